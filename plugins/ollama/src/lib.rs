//! Ollama's chat.

use llmuses_plugin::{
    Api, Framing, Item, Request, Response, Settings, Summary, Value, export_api, json, ollama,
};

struct Ollama;

impl Api for Ollama {
    const NAME: &'static str = "ollama";
    const DESCRIPTION: &'static str = "Ollama's chat";
    const PATH: &'static str = "/api/chat";
    const FRAMING: Framing = Framing::Ndjson;

    fn request(mut item: Item, settings: &Settings) -> Result<Request, String> {
        if item.body.is_some() {
            return Ok(ollama::request(item, settings, Value::Null));
        }
        let mut body = json!({
            "model": settings.model(&item),
            "messages": ollama::messages(item.take_messages()?)?,
            "stream": true,
        });
        if !item.tools.is_empty() {
            body["tools"] = std::mem::take(&mut item.tools).into();
        }
        Ok(ollama::request(item, settings, body))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        ollama::response(response)
    }
}

export_api!(Ollama);
