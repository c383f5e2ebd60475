//! SGLang's own `/generate`.

use llmuses_plugin::{
    Answer, AnswerFormat, Api, Counts, Item, Request, Response, Settings, Summary, Value,
    export_api, json,
};

struct Sglang;

/// The names of sampling parameters in `sampling_params`.
const SAMPLING: [(&str, &str); 12] = [
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("min_p", "min_p"),
    ("seed", "sampling_seed"),
    ("stop", "stop"),
    ("stop_token_ids", "stop_token_ids"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
    ("repetition_penalty", "repetition_penalty"),
    ("min_tokens", "min_new_tokens"),
    ("ignore_eos", "ignore_eos"),
];

impl Api for Sglang {
    const NAME: &'static str = "sglang";
    const DESCRIPTION: &'static str = "SGLang's generate, of a text or of token ids";
    const PATH: &'static str = "/generate";

    fn request(mut item: Item, settings: &Settings) -> Result<Request, String> {
        let body = match item.body {
            Some(_) => Value::Null,
            None => {
                let format = item.take_answer_format();
                item.spell_sampling("sampling_params", &SAMPLING);
                let mut body = match item.prompt_token_ids.is_empty() {
                    true => json!({"text": item.take_prompt()?}),
                    false => {
                        item.leave_out_tools();
                        json!({"input_ids": std::mem::take(&mut item.prompt_token_ids)})
                    }
                };
                let length = item
                    .output
                    .members("max_new_tokens", "min_new_tokens", "ignore_eos");
                body["sampling_params"] = length.into();
                // The schema as a text.
                if let Some(format) = format {
                    let schema = match format {
                        AnswerFormat::Json => json!({"type": "object"}),
                        AnswerFormat::Schema(schema) => schema,
                    };
                    body["sampling_params"]["json_schema"] = schema.to_string().into();
                }
                body["stream"] = true.into();
                body
            }
        };
        Ok(Request::json(&settings.body_of(
            &mut item,
            body,
            "sampling_params",
        )))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        let mut last = String::new();
        let answer = Answer::of(response, |answer, event| {
            let text = event["text"].as_str().unwrap_or_default();
            // Each event has the text so far, or what it adds to that (`--incremental-streaming-output`).
            let added = text.strip_prefix(last.as_str());
            answer.text(added.unwrap_or(text));
            last = match added {
                Some(_) => text.to_owned(),
                None => String::new(),
            };
            let info = &event["meta_info"];
            let completion = info["completion_tokens"].as_u64();
            answer.counts(Counts {
                prompt: info["prompt_tokens"].as_u64(),
                completion,
                cached: info["cached_tokens"].as_u64(),
                reasoning: info["reasoning_tokens"].as_u64(),
            });
            answer.tokens_so_far(completion);
            let finish = &info["finish_reason"];
            if finish["type"] == "abort" {
                let message = finish["message"]
                    .as_str()
                    .unwrap_or("the answer was aborted");
                let code = &finish["status_code"];
                return Err(format!("the server reported an error: {message} ({code})"));
            }
            answer.finish_reason(match finish {
                Value::Object(_) => &finish["type"],
                other => other,
            });
            answer.metric("e2e_seconds", info["e2e_latency"].as_f64());
            Ok(())
        })?;
        Ok(answer.summary(|body| Some(vec![body["text"].as_str()?.to_owned()])))
    }
}

export_api!(Sglang);

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_plugin::Tokens;

    fn read(events: &[Value]) -> Result<Summary, String> {
        Sglang::response(&Response::of(&Response::events_of(events)))
    }

    fn event(text: &str, tokens: u64, finish: Value) -> Value {
        json!({"text": text, "meta_info": {
            "id": "x", "finish_reason": finish, "prompt_tokens": 5, "completion_tokens": tokens, "cached_tokens": 2,
        }})
    }

    #[test]
    fn a_prompt_is_a_text_or_token_ids() {
        let mut item = Item::of_prompt("hi");
        (item.output.max, item.output.exact) = (Some(9), true);
        let body = |item| {
            Sglang::request(item, &Settings::default())
                .expect("a request")
                .to_json()
        };
        assert_eq!(
            body(item),
            json!({
                "text": "hi",
                "sampling_params": {"max_new_tokens": 9, "min_new_tokens": 9, "ignore_eos": true},
                "stream": true,
            })
        );
        let item = Item {
            prompt_token_ids: vec![4, 5],
            ..Item::default()
        };
        assert_eq!(
            body(item),
            json!({"input_ids": [4, 5], "sampling_params": {}, "stream": true})
        );
    }

    #[test]
    fn the_format_of_the_answer_is_the_text_of_a_schema() {
        let mut item = Item::of_prompt("hi");
        let format = json!({"type": "json_schema", "json_schema": {"schema": {"type": "array"}}});
        item.parameters.insert("response_format".to_owned(), format);
        let request = Sglang::request(item, &Settings::default()).expect("a request");
        assert_eq!(
            request.to_json()["sampling_params"],
            json!({"json_schema": "{\"type\":\"array\"}"})
        );
    }

    #[test]
    fn the_text_so_far_is_counted_once() {
        let stop = json!({"type": "stop", "matched": 2});
        let whole = [
            event("a", 1, Value::Null),
            event("a b c", 3, Value::Null),
            event("a b c", 4, stop.clone()),
        ];
        let expected = |outputs: &[u32], so_far: &[u32]| {
            Ok(Summary::new(Tokens::Usage(5), Tokens::Usage(4))
                .outputs(outputs.iter().copied())
                .answers(outputs.iter().copied())
                .tokens_so_far(so_far.iter().copied())
                .metric("cached_tokens", 2.0)
                .finish_reason("stop"))
        };
        assert_eq!(read(&whole), expected(&[0, 1], &[1, 3]));
        let parts = [
            event("a", 1, Value::Null),
            event(" b c", 3, Value::Null),
            event(" d", 4, stop),
        ];
        assert_eq!(read(&parts), expected(&[0, 1, 2], &[1, 3, 4]));
    }

    #[test]
    fn an_aborted_answer_is_an_error() {
        let abort = json!({"type": "abort", "message": "too long", "status_code": 400, "err_type": "BadRequestError"});
        assert_eq!(
            read(&[event("", 0, abort)]),
            Err("the server reported an error: too long (400)".to_owned())
        );
        let error = json!({"error": {"message": "no room"}});
        assert!(read(&[error]).unwrap_err().ends_with("no room"));
    }
}
