//! OpenAI's chat completions, and the servers that follow them.

use llmuses_plugin::{
    Api, Item, Request, Response, Settings, Summary, export_api, json, openai, tokenizer_count,
};

struct OpenaiChat;

impl Api for OpenaiChat {
    const NAME: &'static str = "openai_chat";
    const DESCRIPTION: &'static str = "OpenAI chat completions";
    const PATH: &'static str = "/v1/chat/completions";

    fn request(item: Item, settings: &Settings) -> Result<Request, String> {
        openai::request(item, settings, json!({}))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        openai::response(response, tokenizer_count)
    }
}

export_api!(OpenaiChat);
