//! The message of the model as it goes back to the API in the next turn of a conversation.

use crate::{Map, Value, json};

/// The message that the first choice of a response says: `content`, and the calls of tools, put together out of their parts.
/// Reasoning is left out, as APIs want it.
pub(super) fn of(content: String, events: &[Vec<u8>]) -> Value {
    let mut calls: Vec<Value> = Vec::new();
    for event in events {
        let Ok(chunk) = serde_json::from_slice::<Value>(event) else {
            continue;
        };
        let choice = &chunk["choices"][0];
        let message = match &choice["delta"] {
            Value::Object(delta) => delta,
            _ => match &choice["message"] {
                Value::Object(message) => message,
                _ => continue,
            },
        };
        if let Some(Value::Array(parts)) = message.get("tool_calls") {
            for (place, part) in parts.iter().enumerate() {
                add_call(&mut calls, place, part);
            }
        }
    }
    let mut message = Map::new();
    message.insert("role".to_owned(), "assistant".into());
    message.insert("content".to_owned(), content.into());
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Value::Object(message)
}

/// The most calls of tools that are put together: their numbers are the server's.
const MOST_CALLS: usize = 128;

/// Adds a part of a call: the name and the arguments come in pieces, all else once.
fn add_call(calls: &mut Vec<Value>, place: usize, part: &Value) {
    let index = part["index"].as_u64().map_or(place, |index| index as usize);
    if index >= MOST_CALLS {
        return;
    }
    while calls.len() <= index {
        calls.push(new_call("function", ""));
    }
    let call = &mut calls[index];
    if part["type"] == "custom" || part["custom"].is_object() {
        let id = call["id"].as_str().unwrap_or_default().to_owned();
        if call["type"] != "custom" {
            *call = new_call("custom", &id);
        }
    }
    let (kind, input) = match call["type"] == "custom" {
        true => ("custom", "input"),
        false => ("function", "arguments"),
    };
    if let Some(id) = part["id"].as_str().filter(|id| !id.is_empty()) {
        call["id"] = id.into();
    }
    for name in ["name", input] {
        if let (Some(piece), Some(Value::String(whole))) =
            (part[kind][name].as_str(), call[kind].get_mut(name))
        {
            whole.push_str(piece);
        }
    }
}

/// A call of which nothing is known. What a tool is called with has another name where it is no function.
fn new_call(kind: &str, id: &str) -> Value {
    let input = match kind {
        "custom" => "input",
        _ => "arguments",
    };
    json!({"id": id, "type": kind, kind: {"name": "", input: ""}})
}

#[cfg(test)]
mod tests {

    fn reply(chunks: &[&str]) -> String {
        let events: Vec<Vec<u8>> = chunks
            .iter()
            .map(|chunk| chunk.as_bytes().to_vec())
            .collect();
        let response = crate::Response {
            wants_reply: true,
            ..crate::Response::of(&events)
        };
        let summary = crate::openai::response(&response, |_| None).expect("a response");
        summary.reply.expect("a reply")
    }

    #[test]
    fn what_is_said_again_is_said_once() {
        let the = r#"{"choices":[{"delta":{"content":"The"}}]}"#;
        let sky = r#"{"choices":[{"delta":{"content":" sky"}}]}"#;
        let is = r#"{"choices":[{"delta":{"content":" is"}}]}"#;
        let all = r#"{"choices":[{"message":{"content":"The sky is"}}]}"#;
        let twice = r#"{"choices":[{"text":"The","delta":{"content":"The"}}]}"#;
        let parts = r#"{"choices":[{"delta":{"content":[{"type":"text","text":"The"}]}}]}"#;
        let so_far = |text: &str| format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#);
        let [one, two, three] = ["The", "The sky", "The sky is"].map(so_far);
        for (chunks, said) in [
            (&[the, sky, is, all][..], "The sky is"),
            (&[twice], "The"),
            (&[parts], "The"),
            (&[&one, &two, &three], "The sky is"),
        ] {
            let expected = format!(r#"{{"role":"assistant","content":"{said}"}}"#);
            assert_eq!(reply(chunks), expected);
        }
    }

    #[test]
    fn parts_become_one_message() {
        assert_eq!(
            reply(&[
                r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
                r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#,
                r#"{"choices":[{"delta":{"content":"a"}}]}"#,
                r#"{"choices":[{"delta":{"content":"b"}}]}"#,
                r#"{"choices":[],"usage":{}}"#,
            ]),
            r#"{"role":"assistant","content":"ab"}"#
        );
        assert_eq!(
            reply(&[
                r#"{"choices":[{"text":"a"}]}"#,
                r#"{"choices":[{"text":"b"}]}"#
            ]),
            r#"{"role":"assistant","content":"ab"}"#
        );
        assert_eq!(
            reply(&[r#"{"choices":[{"message":{"content":"whole"}}]}"#]),
            r#"{"role":"assistant","content":"whole"}"#
        );
    }

    #[test]
    fn a_tool_that_is_no_function_keeps_its_kind() {
        assert_eq!(
            reply(&[
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","custom":{"name":"f","input":"a"}}]}}]}"#,
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"custom":{"input":"b"}}]}}]}"#,
            ]),
            r#"{"role":"assistant","content":"","tool_calls":[{"id":"c","type":"custom","custom":{"name":"f","input":"ab"}}]}"#
        );
    }

    #[test]
    fn the_kind_of_a_tool_may_come_before_its_name() {
        assert_eq!(
            reply(&[
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","type":"custom"}]}}]}"#,
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"custom":{"name":"f","input":"ab"}}]}}]}"#,
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
            ]),
            r#"{"role":"assistant","content":"","tool_calls":[{"id":"c","type":"custom","custom":{"name":"f","input":"ab"}}]}"#
        );
    }

    #[test]
    fn what_is_damaged_elsewhere_is_said_all_the_same() {
        assert_eq!(
            reply(&[r#"{"choices":[{"delta":{"content":"a","content":"The"}}]}"#]),
            r#"{"role":"assistant","content":"The"}"#
        );
    }

    #[test]
    fn calls_of_tools_are_put_together() {
        assert_eq!(
            reply(&[
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":""}}]}}]}"#,
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]}}]}"#,
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}"#,
            ]),
            r#"{"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]}"#
        );
    }
}
