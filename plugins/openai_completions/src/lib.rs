//! OpenAI's older completions, which continue a text, and the servers that have them.

use llmuses_plugin::{
    Api, Item, Request, Response, Settings, Summary, export_api, json, openai, tokenizer_count,
};

struct OpenaiCompletions;

impl Api for OpenaiCompletions {
    const NAME: &'static str = "openai_completions";
    const DESCRIPTION: &'static str = "OpenAI completions, of a text or of token ids";
    const PATH: &'static str = "/v1/completions";

    fn request(item: Item, settings: &Settings) -> Result<Request, String> {
        openai::completion_request(item, settings, json!({}))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        openai::response(response, tokenizer_count)
    }
}

export_api!(OpenaiCompletions);
