//! Ollama's generate, which continues a text.

use llmuses_plugin::{
    Api, Framing, Item, Request, Response, Settings, Summary, Value, export_api, json, ollama,
};

struct OllamaGenerate;

impl Api for OllamaGenerate {
    const NAME: &'static str = "ollama_generate";
    const DESCRIPTION: &'static str = "Ollama's generate, of a text";
    const PATH: &'static str = "/api/generate";
    const FRAMING: Framing = Framing::Ndjson;

    fn request(mut item: Item, settings: &Settings) -> Result<Request, String> {
        if item.body.is_some() {
            return Ok(ollama::request(item, settings, Value::Null));
        }
        let body = json!({
            "model": settings.model(&item),
            "prompt": item.take_prompt()?,
            "stream": true,
        });
        Ok(ollama::request(item, settings, body))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        ollama::response(response)
    }
}

export_api!(OllamaGenerate);
