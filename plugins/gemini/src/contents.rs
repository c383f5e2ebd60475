//! Messages of chat completions as this API has them.

use llmuses_plugin::{Value, arguments_of, data_url, json};

/// The contents of a request.
pub(super) fn of(messages: &[Value]) -> Vec<Value> {
    messages
        .iter()
        .map(|message| content(message, messages))
        .collect()
}

/// A message. `all`: those among which the call is whose result it may be.
fn content(message: &Value, all: &[Value]) -> Value {
    match message["role"].as_str().unwrap_or_default() {
        "assistant" => {
            let mut parts = parts(message);
            let calls = message["tool_calls"].as_array().into_iter().flatten();
            parts.extend(calls.map(|call| {
                let function = &call["function"];
                json!({"functionCall": {"name": function["name"], "args": arguments_of(function)}})
            }));
            json!({"role": "model", "parts": parts})
        }
        "tool" => {
            let id = &message["tool_call_id"];
            let mut calls = all
                .iter()
                .filter_map(|message| message["tool_calls"].as_array())
                .flatten();
            let name = calls
                .find(|call| call["id"] == *id)
                .map_or(Value::Null, |call| call["function"]["name"].clone());
            let result = message["content"].as_str().and_then(object);
            let result = result.unwrap_or_else(|| json!({"result": message["content"]}));
            json!({"role": "user", "parts": [{"functionResponse": {"name": name, "response": result}}]})
        }
        _ => json!({"role": "user", "parts": parts(message)}),
    }
}

fn object(text: &str) -> Option<Value> {
    text.parse().ok().filter(Value::is_object)
}

/// The parts of the content of a message.
pub(super) fn parts(message: &Value) -> Vec<Value> {
    match &message["content"] {
        Value::String(text) => vec![json!({"text": text})],
        Value::Array(parts) => parts.iter().map(part).collect(),
        _ => Vec::new(),
    }
}

/// A part. One that is not known is sent as it is.
fn part(part: &Value) -> Value {
    let audio = &part["input_audio"];
    if let Some(data) = audio["data"].as_str() {
        let kind = format!("audio/{}", audio["format"].as_str().unwrap_or("wav"));
        return json!({"inlineData": {"mimeType": kind, "data": data}});
    }
    if let Some(url) = part["image_url"]["url"].as_str() {
        return match data_url(url) {
            Some((kind, data)) => json!({"inlineData": {"mimeType": kind, "data": data}}),
            None => json!({"fileData": {"fileUri": url}}),
        };
    }
    match part["text"].as_str() {
        Some(text) => json!({"text": text}),
        None => part.clone(),
    }
}

/// The texts of a request, to be counted.
pub(super) fn texts(body: &Value) -> Option<Vec<String>> {
    let text = |content: &Value| -> String {
        let parts = content["parts"].as_array().into_iter().flatten();
        parts.filter_map(|part| part["text"].as_str()).collect()
    };
    let contents = body["contents"].as_array()?;
    let system = Some(&body["systemInstruction"]).filter(|system| system.is_object());
    Some(system.into_iter().chain(contents).map(text).collect())
}
