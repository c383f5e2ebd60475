//! Messages of chat completions as this API has them.

use llmuses_plugin::{Value, arguments_of, data_url, json, text_of};

/// The messages of a request, without those of the system.
pub(super) fn of(messages: Vec<Value>) -> Vec<Value> {
    let mut own: Vec<Value> = Vec::with_capacity(messages.len());
    for message in messages {
        if message["role"] != "tool" {
            let one = of_one(&message);
            // The API takes no answer that says nothing.
            let is_empty = match &one["content"] {
                Value::Null => true,
                Value::String(text) => text.is_empty(),
                Value::Array(parts) => parts.is_empty(),
                _ => false,
            };
            if !(is_empty && one["role"] == "assistant") {
                own.push(one);
            }
            continue;
        }
        let result = json!({
            "type": "tool_result",
            "tool_use_id": message["tool_call_id"],
            "content": content(&message["content"]),
        });
        // Results of calls that were made together come in one message.
        match own.last_mut() {
            Some(last) if last["content"][0]["type"] == "tool_result" => {
                if let Some(results) = last["content"].as_array_mut() {
                    results.push(result);
                }
            }
            _ => own.push(json!({"role": "user", "content": [result]})),
        }
    }
    own
}

/// Refuses messages with audio, which the API does not have.
pub(super) fn without_audio(messages: &[Value]) -> Result<(), String> {
    let contents = messages.iter().map(|message| &message["content"]);
    let mut parts = contents.filter_map(Value::as_array).flatten();
    match parts.any(|part| part["type"] == "input_audio" || part["type"] == "audio_url") {
        true => Err("this API takes no audio, and a message has some".to_owned()),
        false => Ok(()),
    }
}

fn of_one(message: &Value) -> Value {
    let own = content(&message["content"]);
    let calls = message["tool_calls"].as_array();
    let Some(calls) = calls.filter(|calls| !calls.is_empty()) else {
        return json!({"role": message["role"], "content": own});
    };
    let mut blocks = match own {
        Value::Array(blocks) => blocks,
        Value::String(text) if !text.is_empty() => vec![json!({"type": "text", "text": text})],
        _ => Vec::new(),
    };
    blocks.extend(calls.iter().map(|call| {
        let function = &call["function"];
        json!({
            "type": "tool_use",
            "id": call["id"],
            "name": function["name"],
            "input": arguments_of(function),
        })
    }));
    json!({"role": message["role"], "content": blocks})
}

fn content(content: &Value) -> Value {
    match content.as_array() {
        Some(parts) => parts.iter().map(part).collect(),
        None => content.clone(),
    }
}

/// A part of a content. One that is not known is sent as it is.
fn part(part: &Value) -> Value {
    let Some(url) = part["image_url"]["url"].as_str() else {
        return part.clone();
    };
    let source = match data_url(url) {
        Some((kind, data)) => json!({"type": "base64", "media_type": kind, "data": data}),
        None => json!({"type": "url", "url": url}),
    };
    json!({"type": "image", "source": source})
}

/// The text of a message of the system.
///
/// # Errors
/// Where a part of it is no text.
pub(super) fn text(message: &Value) -> Result<String, String> {
    match &message["content"] {
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => text_of(parts),
        _ => Ok(String::new()),
    }
}

/// Which tool is to be called. What is not known is sent as it is.
pub(super) fn tool_choice(choice: &Value) -> Value {
    match (choice.as_str(), choice["function"]["name"].as_str()) {
        (Some("required"), _) => json!({"type": "any"}),
        (Some(kind), _) => json!({"type": kind}),
        (None, Some(name)) => json!({"type": "tool", "name": name}),
        (None, None) => choice.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_is_refused() {
        let said = |part: Value| without_audio(&[json!({"role": "user", "content": [part]})]);
        assert_eq!(said(json!({"type": "text", "text": "a"})), Ok(()));
        let audio = json!({"data": "QQ==", "format": "wav"});
        let error = said(json!({"type": "input_audio", "input_audio": audio})).unwrap_err();
        assert!(error.contains("no audio"), "{error}");
    }

    #[test]
    fn images_calls_and_results_are_blocks() {
        let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
        let call =
            |id: &str| json!({"id": id, "function": {"name": "f", "arguments": "{\"a\":1}"}});
        let use_ = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {"a": 1}});
        let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "9"});
        let tool = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "9"});
        let messages = vec![
            json!({"role": "user", "content": [
                {"type": "text", "text": "a"}, image("data:image/png;base64,QQ=="), image("http://h/b.png"),
            ]}),
            json!({"role": "assistant", "content": null, "tool_calls": [call("1"), call("2")]}),
            tool("1"),
            tool("2"),
            json!({"role": "assistant", "content": null, "tool_calls": []}),
            json!({"role": "user", "content": "c", "tool_calls": null}),
        ];
        let expected = [
            json!({"role": "user", "content": [
                {"type": "text", "text": "a"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QQ=="}},
                {"type": "image", "source": {"type": "url", "url": "http://h/b.png"}},
            ]}),
            json!({"role": "assistant", "content": [use_("1"), use_("2")]}),
            json!({"role": "user", "content": [result("1"), result("2")]}),
            json!({"role": "user", "content": "c"}),
        ];
        assert_eq!(of(messages), expected);
    }

    #[test]
    fn the_system_has_text_alone() {
        let said = |content: Value| text(&json!({"role": "system", "content": content}));
        assert_eq!(said(json!("a")), Ok("a".to_owned()));
        let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
        assert_eq!(said(parts), Ok("ab".to_owned()));
        assert!(
            said(json!([{"type": "image_url", "image_url": {"url": "http://h/a.png"}}])).is_err()
        );
    }

    #[test]
    fn arguments_are_an_object_however_they_are_recorded() {
        for (recorded, input) in [
            (json!("{\"a\":1}"), json!({"a": 1})),
            (json!({"a": 1}), json!({"a": 1})),
            (json!(""), json!({})),
            (json!(null), json!({})),
            (json!("x"), json!({"arguments": "x"})),
        ] {
            assert_eq!(
                arguments_of(&json!({"name": "f", "arguments": recorded})),
                input
            );
        }
    }

    #[test]
    fn a_choice_of_tools_is_an_object() {
        for (choice, own) in [
            (json!("auto"), json!({"type": "auto"})),
            (json!("required"), json!({"type": "any"})),
            (
                json!({"type": "function", "function": {"name": "f"}}),
                json!({"type": "tool", "name": "f"}),
            ),
        ] {
            assert_eq!(tool_choice(&choice), own);
        }
    }
}
