//! Hugging Face's Text Generation Inference.

use llmuses_plugin::{
    Answer, AnswerFormat, Api, Counts, Item, Request, Response, Settings, Summary, Value,
    export_api, json,
};

struct Tgi;

/// The names of sampling parameters in `parameters`.
const SAMPLING: [(&str, &str); 7] = [
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("seed", "seed"),
    ("stop", "stop[]"),
    ("frequency_penalty", "frequency_penalty"),
    ("repetition_penalty", "repetition_penalty"),
];

const PLAIN: &str = "/generate";

impl Api for Tgi {
    const NAME: &'static str = "tgi";
    const DESCRIPTION: &'static str = "Text Generation Inference, of a text";
    const PATH: &'static str = "/generate_stream";

    fn request(mut item: Item, settings: &Settings) -> Result<Request, String> {
        let body = match item.body {
            Some(_) => Value::Null,
            None => {
                let mut parameters = json!({"details": true});
                match item.take_answer_format() {
                    Some(AnswerFormat::Schema(schema)) => {
                        parameters["grammar"] = json!({"type": "json", "value": schema});
                    }
                    // Any object: a grammar needs a schema.
                    Some(AnswerFormat::Json) => {
                        parameters["grammar"] =
                            json!({"type": "json", "value": {"type": "object"}});
                    }
                    None => {}
                }
                item.spell_sampling("parameters", &SAMPLING);
                if let Some(most) = item.output.max {
                    parameters["max_new_tokens"] = most.into();
                }
                json!({"inputs": item.take_prompt()?, "parameters": parameters})
            }
        };
        let body = settings.body_of(&mut item, body, "parameters");
        Ok(settings.request_by_path(&item, body, Self::PATH, PLAIN))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        let answer = Answer::of(response, |answer, event| {
            match event["token"].as_object() {
                // Special tokens are no text, though they have one.
                Some(token) if token.get("special") == Some(&Value::Bool(true)) => {}
                Some(token) => {
                    let text = token.get("text").and_then(Value::as_str);
                    answer.text(text.unwrap_or_default());
                }
                // A plain response, or one that came as a whole.
                None => answer.text(event["generated_text"].as_str().unwrap_or_default()),
            }
            let details = &event["details"];
            let prefill = details["prefill"]
                .as_array()
                .map(|tokens| tokens.len() as u64);
            answer.counts(Counts {
                prompt: details["input_length"]
                    .as_u64()
                    .or(prefill.filter(|tokens| *tokens > 0)),
                completion: details["generated_tokens"].as_u64(),
                ..Counts::default()
            });
            answer.finish_reason(&details["finish_reason"]);
            Ok(())
        })?;
        Ok(answer.summary(|body| Some(vec![body["inputs"].as_str()?.to_owned()])))
    }
}

export_api!(Tgi);

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_plugin::Tokens;

    fn read(events: &[Value]) -> Result<Summary, String> {
        Tgi::response(&Response::of(&Response::events_of(events)))
    }

    #[test]
    fn a_prompt_is_the_inputs() {
        let mut item = Item::of_prompt("hi");
        item.output.max = Some(9);
        item.parameters
            .insert("parameters".to_owned(), json!({"do_sample": true}));
        let request = Tgi::request(item, &Settings::default()).expect("a request");
        let parameters = json!({"details": true, "max_new_tokens": 9, "do_sample": true});
        assert_eq!(
            request.to_json(),
            json!({"inputs": "hi", "parameters": parameters})
        );
    }

    #[test]
    fn the_format_of_the_answer_is_a_grammar() {
        let mut item = Item::of_prompt("hi");
        let schema = json!({"type": "object", "required": ["a"]});
        let format = json!({"type": "json_schema", "json_schema": {"schema": schema}});
        item.parameters.insert("response_format".to_owned(), format);
        let request = Tgi::request(item, &Settings::default()).expect("a request");
        assert_eq!(
            request.to_json()["parameters"],
            json!({"details": true, "grammar": {"type": "json", "value": schema}})
        );
    }

    #[test]
    fn special_tokens_are_no_output_and_the_last_event_has_the_counts() {
        let token = |text: &str, special: bool| json!({"index": 1, "token": {"id": 5, "text": text, "special": special}, "generated_text": null, "details": null});
        let mut last = token("</s>", true);
        last["generated_text"] = "a b".into();
        last["details"] =
            json!({"finish_reason": "eos_token", "generated_tokens": 3, "input_length": 7});
        let expected = Summary::new(Tokens::Usage(7), Tokens::Usage(3))
            .outputs([0, 1])
            .answers([0, 1])
            .finish_reason("eos_token");
        assert_eq!(
            read(&[token("a", false), token(" b", false), last]),
            Ok(expected)
        );
    }

    #[test]
    fn a_plain_answer_has_the_tokens_of_the_prompt_where_they_were_asked_for() {
        let details =
            json!({"finish_reason": "length", "generated_tokens": 3, "prefill": [{}, {}]});
        let expected = Summary::new(Tokens::Usage(2), Tokens::Usage(3))
            .output(0)
            .answers([0])
            .finish_reason("length");
        assert_eq!(
            read(&[json!({"generated_text": "a b", "details": details})]),
            Ok(expected)
        );
        let error = json!({"error": "Input validation error", "error_type": "validation"});
        assert!(
            read(&[error])
                .unwrap_err()
                .contains("Input validation error")
        );
    }
}
