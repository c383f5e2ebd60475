//! Ollama's chat: lines of JSON, the last of which has counts and durations.

use llmuses_plugin::{
    Api, Framing, Item, Request, Response, Settings, Summary, Tokens, Value, export_api, json,
};

struct Ollama;

impl Api for Ollama {
    const NAME: &'static str = "ollama";
    const DESCRIPTION: &'static str = "Ollama's chat";
    const PATH: &'static str = "/api/chat";
    const FRAMING: Framing = Framing::Ndjson;

    fn request(mut item: Item, settings: &Settings) -> Result<Request, String> {
        if item.body.is_some() {
            return Ok(settings.request_of(&mut item, Value::Null));
        }
        let mut body = json!({
            "model": settings.model(&item),
            "messages": item.take_messages()?,
            "stream": true,
        });
        if !item.tools.is_empty() {
            body["tools"] = std::mem::take(&mut item.tools).into();
        }
        if let Some(most) = item.output.max {
            body["options"] = json!({"num_predict": most});
        }
        Ok(settings.request_of(&mut item, body))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        let mut summary = Summary::default().outputs([]).answers([]);
        let mut reply = String::new();
        for (index, number) in (0..response.events.len()).zip(0_u32..) {
            let line: Value = response.json(index)?;
            if let Some(error) = line["error"].as_str() {
                return Err(format!("the server reported an error: {error}"));
            }
            let message = &line["message"];
            let says = |name: &str| message[name].as_str().is_some_and(|text| !text.is_empty());
            let calls = message["tool_calls"].as_array();
            if says("content") || says("thinking") || calls.is_some_and(|calls| !calls.is_empty()) {
                summary = summary.output(number);
            }
            if says("content") {
                summary = summary.answers([number]);
                reply += message["content"].as_str().unwrap_or_default();
            }
            if line["done"] == true {
                summary = ended(summary, &line);
            }
        }
        if response.wants_reply {
            summary = summary.reply(json!({"role": "assistant", "content": reply}));
        }
        Ok(summary)
    }
}

/// Adds what the last line tells.
fn ended(summary: Summary, line: &Value) -> Summary {
    let tokens = |name: &str| line[name].as_u64().map_or(Tokens::Unknown, Tokens::Usage);
    let mut summary = summary.tokens(tokens("prompt_eval_count"), tokens("eval_count"));
    if let Some(reason) = line["done_reason"].as_str() {
        summary = summary.finish_reason(reason);
    }
    for (name, metric) in [
        ("load_duration", "load_seconds"),
        ("prompt_eval_duration", "prompt_eval_seconds"),
        ("eval_duration", "eval_seconds"),
    ] {
        if let Some(nanoseconds) = line[name].as_f64() {
            summary = summary.metric(metric, nanoseconds / 1e9);
        }
    }
    summary
}

export_api!(Ollama);
