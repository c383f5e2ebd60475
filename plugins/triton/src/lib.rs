//! The generate extension of NVIDIA's Triton, with the names of its vLLM backend and of TensorRT-LLM's models.

use llmuses_plugin::{
    Answer, Api, Counts, Item, Request, Response, Settings, Summary, Value, export_api, json,
};

struct Triton;

const PLAIN: &str = "/v2/models/{model}/generate";

impl Api for Triton {
    const NAME: &'static str = "triton";
    const DESCRIPTION: &'static str = "Triton's generate extension, of a text";
    const PATH: &'static str = "/v2/models/{model}/generate_stream";

    fn request(mut item: Item, settings: &Settings) -> Result<Request, String> {
        let body = match item.body {
            Some(_) => Value::Null,
            None => {
                let mut body = json!({"text_input": item.take_prompt()?});
                for (name, value) in item
                    .output
                    .members("max_tokens", "min_tokens", "ignore_eos")
                {
                    body[name] = value;
                }
                // The server counts for who asks.
                for name in ["input_tokens", "output_tokens"] {
                    body[format!("return_num_{name}")] = true.into();
                }
                body["return_finish_reason"] = true.into();
                body["stream"] = true.into();
                body
            }
        };
        let body = settings.body_of(&mut item, body, "parameters");
        let path = match body["stream"] == false {
            true => PLAIN,
            false => Self::PATH,
        };
        Ok(Request::json(&body).path(Settings::path_of(&item, path)))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        let mut produced = None;
        let answer = Answer::of(response, |answer, event| {
            answer.text(event["text_output"].as_str().unwrap_or_default());
            // Those of each event alone.
            if let Some(tokens) = number(&event["num_output_tokens"]) {
                produced = Some(produced.unwrap_or(0_u64).saturating_add(tokens));
            }
            answer.counts(Counts {
                prompt: number(&event["num_input_tokens"]),
                completion: produced,
                ..Counts::default()
            });
            answer.tokens_so_far(produced);
            answer.finish_reason(&event["finish_reason"]);
            Ok(())
        })?;
        Ok(answer.summary(|body| Some(vec![body["text_input"].as_str()?.to_owned()])))
    }
}

/// A number, or the one of a tensor.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value[0].as_u64())
}

export_api!(Triton);

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_plugin::Tokens;

    fn read(events: &[Value]) -> Result<Summary, String> {
        Triton::response(&Response::of(&Response::events_of(events)))
    }

    #[test]
    fn a_prompt_is_the_text_input() {
        let mut item = Item::of_prompt("hi");
        (item.output.max, item.output.min) = (Some(9), Some(3));
        let request = Triton::request(item, &Settings::default()).expect("a request");
        assert_eq!(
            request.to_json(),
            json!({
                "text_input": "hi",
                "max_tokens": 9,
                "min_tokens": 3,
                "return_num_input_tokens": true,
                "return_num_output_tokens": true,
                "return_finish_reason": true,
                "stream": true,
            })
        );
    }

    #[test]
    fn the_tokens_of_events_are_added_up() {
        let event = |text: &str, tokens: Value, finish: Value| json!({"model_name": "m", "text_output": text, "num_input_tokens": 5, "num_output_tokens": tokens, "finish_reason": finish});
        let events = [
            event("a", json!(1), Value::Null),
            event(" b c", json!([2]), Value::Null),
            event("", json!(1), json!("stop")),
        ];
        let expected = Summary::new(Tokens::Usage(5), Tokens::Usage(4))
            .outputs([0, 1])
            .answers([0, 1])
            .tokens_so_far([1, 3])
            .finish_reason("stop");
        assert_eq!(read(&events), Ok(expected));
    }

    #[test]
    fn a_model_without_counts_and_an_error_are_read() {
        let plain = json!({"model_name": "ensemble", "text_output": "a b"});
        let expected = Summary::new(Tokens::Unknown, Tokens::Unknown)
            .output(0)
            .answers([0]);
        assert_eq!(read(&[plain]), Ok(expected));
        let error = json!({"error": "Request for unknown model"});
        assert!(read(&[error]).unwrap_err().ends_with("unknown model"));
    }
}
