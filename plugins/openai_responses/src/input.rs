//! What a conversation is in this API: a list of items, of which messages are one kind.

use llmuses_plugin::{Value, json};

/// The items of a message of chat completions: itself, the calls in it, or the output of one.
pub(super) fn items(message: &Value) -> Vec<Value> {
    if message["role"] == "tool" {
        return vec![json!({
            "type": "function_call_output",
            "call_id": message["tool_call_id"],
            "output": message["content"],
        })];
    }
    let mut items = Vec::new();
    let content = &message["content"];
    let calls = message["tool_calls"].as_array();
    let says_nothing = content.is_null() || content == "";
    if !says_nothing || calls.is_none() {
        let is_models = message["role"] == "assistant";
        let content = match content.as_array() {
            Some(parts) => parts
                .iter()
                .map(|part| self::part(part, is_models))
                .collect(),
            None => content.clone(),
        };
        items.push(json!({"role": message["role"], "content": content}));
    }
    items.extend(calls.into_iter().flatten().map(|call| {
        json!({
            "type": "function_call",
            "call_id": call["id"],
            "name": call["function"]["name"],
            "arguments": call["function"]["arguments"],
        })
    }));
    items
}

/// A part of a content. One that is not known is sent as it is.
fn part(part: &Value, is_models: bool) -> Value {
    match part["type"].as_str().unwrap_or_default() {
        "text" if is_models => json!({"type": "output_text", "text": part["text"]}),
        "text" => json!({"type": "input_text", "text": part["text"]}),
        "image_url" => {
            let mut image = json!({"type": "input_image", "image_url": part["image_url"]["url"]});
            if !part["image_url"]["detail"].is_null() {
                image["detail"] = part["image_url"]["detail"].clone();
            }
            image
        }
        _ => part.clone(),
    }
}

/// A format of answers of chat completions: the schema lies in the format itself.
pub(super) fn format(format: &Value) -> Value {
    let mut own = format["json_schema"].clone();
    if !own.is_object() {
        return format.clone();
    }
    own["type"] = format["type"].clone();
    own
}

/// A tool of chat completions: the function lies in the tool itself.
pub(super) fn tool(tool: &Value) -> Value {
    let Some(function) = tool["function"].as_object() else {
        return tool.clone();
    };
    let mut own = json!({"type": "function"});
    for (name, value) in function {
        own[name] = value.clone();
    }
    own
}

/// The texts of a request, to be counted.
pub(super) fn texts(body: &Value) -> Option<Vec<String>> {
    if let Some(text) = body["input"].as_str() {
        return Some(vec![text.to_owned()]);
    }
    let items = body["input"].as_array()?;
    let text = |item: &Value| match &item["content"] {
        Value::String(text) => text.clone(),
        content => {
            let parts = content.as_array().into_iter().flatten();
            parts.filter_map(|part| part["text"].as_str()).collect()
        }
    };
    Some(items.iter().map(text).collect())
}
