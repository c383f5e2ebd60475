//! Ollama's own APIs: lines of JSON, the last of which has counts and durations.

use crate::{
    Answer, AnswerFormat, Counts, Item, Request, Response, Settings, Summary, Value, arguments_of,
    data_url,
};

/// The names of sampling parameters in `options`.
const SAMPLING: [(&str, &str); 9] = [
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("min_p", "min_p"),
    ("seed", "seed"),
    ("stop", "stop[]"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
    ("repetition_penalty", "repeat_penalty"),
];

/// The request of `body`, with the length of the answer in `options`.
pub fn request(mut item: Item, settings: &Settings, mut body: Value) -> Request {
    if let Some(format) = item.take_answer_format() {
        body["format"] = match format {
            AnswerFormat::Json => "json".into(),
            AnswerFormat::Schema(schema) => schema,
        };
    }
    item.spell_sampling("options", &SAMPLING);
    if let Some(most) = item.output.max
        && body.is_object()
    {
        body["options"]["num_predict"] = most.into();
    }
    Request::json(&settings.body_of(&mut item, body, "options"))
}

/// Messages of chat completions as the chat has them: the content is a text, images lie beside it, and the arguments of a
/// call are an object.
///
/// # Errors
/// Where a part of a content is neither a text nor an image whose data is there.
pub fn messages(mut messages: Vec<Value>) -> Result<Vec<Value>, String> {
    for message in &mut messages {
        if let Some(parts) = message["content"].as_array() {
            let (mut text, mut images) = (String::new(), Vec::new());
            for part in parts {
                let image = part["image_url"]["url"].as_str().and_then(data_url);
                match (part["text"].as_str(), image) {
                    (Some(piece), _) => text += piece,
                    (None, Some((_, data))) => images.push(Value::from(data)),
                    (None, None) => {
                        return Err("this API takes texts and the data of images, and a message has another part".to_owned());
                    }
                }
            }
            message["content"] = text.into();
            if !images.is_empty() {
                message["images"] = images.into();
            }
        }
        let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
        for call in calls.into_iter().flatten() {
            if let Some(function @ Value::Object(_)) = call.get_mut("function") {
                function["arguments"] = arguments_of(function);
            }
        }
    }
    Ok(messages)
}

/// Reads one finished response of the chat or of generate.
///
/// # Errors
/// Where it is not JSON, or reports an error.
pub fn response(response: &Response<'_>) -> Result<Summary, String> {
    let mut is_counted = false;
    let mut answer = Answer::of(response, |answer, line| {
        let message = &line["message"];
        for thinking in [&message["thinking"], &line["thinking"]] {
            answer.reasoning(thinking.as_str().unwrap_or_default());
        }
        for text in [&message["content"], &line["response"]] {
            answer.text(text.as_str().unwrap_or_default());
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            answer.other(call["function"]["name"].as_str().unwrap_or_default());
        }
        if line["done"] == true {
            is_counted |= line["prompt_eval_count"].is_u64() || line["total_duration"].is_u64();
            answer.counts(Counts {
                prompt: line["prompt_eval_count"].as_u64(),
                completion: line["eval_count"].as_u64(),
                ..Counts::default()
            });
            answer.finish_reason(&line["done_reason"]);
            for (name, metric) in [
                ("load_duration", "load_seconds"),
                ("prompt_eval_duration", "prompt_eval_seconds"),
                ("eval_duration", "eval_seconds"),
            ] {
                let nanoseconds = line[name].as_f64();
                answer.metric(metric, nanoseconds.map(|nanoseconds| nanoseconds / 1e9));
            }
        }
        Ok(())
    })?;
    if is_counted && !answer.has_output() {
        answer.counted_none();
    }
    Ok(answer.summary(|_| None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn the_format_of_the_answer_is_a_member_of_its_own() {
        let schema = json!({"type": "object"});
        for (given, format) in [
            (json!({"type": "json_object"}), json!("json")),
            (
                json!({"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}),
                schema.clone(),
            ),
            (json!({"type": "text"}), Value::Null),
        ] {
            let mut item = Item::of_prompt("a");
            item.parameters.insert("response_format".to_owned(), given);
            let sent = request(item, &Settings::default(), json!({"model": "m"})).to_json();
            assert_eq!(sent["format"], format);
            assert_eq!(sent["response_format"], Value::Null);
        }
    }

    #[test]
    fn images_lie_beside_the_text_and_arguments_are_objects() {
        let image =
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}});
        let call = |arguments: Value| json!([{"function": {"name": "f", "arguments": arguments}}]);
        let given = vec![
            json!({"role": "user", "content": [{"type": "text", "text": "a"}, image]}),
            json!({"role": "assistant", "content": "", "tool_calls": call("{\"b\":1}".into())}),
            json!({"role": "tool", "content": "9"}),
        ];
        let expected = vec![
            json!({"role": "user", "content": "a", "images": ["QQ=="]}),
            json!({"role": "assistant", "content": "", "tool_calls": call(json!({"b": 1}))}),
            json!({"role": "tool", "content": "9"}),
        ];
        assert_eq!(messages(given), Ok(expected));
        let link = json!({"type": "image_url", "image_url": {"url": "http://h/a.png"}});
        assert!(messages(vec![json!({"role": "user", "content": [link]})]).is_err());
    }
}
