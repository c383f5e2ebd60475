//! LongAlpaca-12k for Llama 3: one JSON array whose items have the prompt in `instruction`, sent to an
//! OpenAI-compatible chat API.

use llmuses_plugin::{
    Api, Conversation, Entry, Format, Item, Request, Response, Settings, Source, Summary,
    export_api, export_format, json, openai, tokenizer_count,
};

struct OpenaiLongalpaca12kLlama3;

impl Api for OpenaiLongalpaca12kLlama3 {
    const NAME: &'static str = "openai_longalpaca_12k_llama3";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions for Llama 3; JSON array, prompt in `instruction`";
    const PATH: &'static str = "/v1/chat/completions";

    fn request(item: Item, settings: &Settings) -> Result<Request, String> {
        // Llama 3 ends a text with token 128001 and a turn with 128009; servers may know only the first.
        openai::request(item, settings, json!({"stop_token_ids": [128001, 128009]}))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        openai::response(response, tokenizer_count)
    }
}

impl Format for OpenaiLongalpaca12kLlama3 {
    const NAME: &'static str = "openai_longalpaca_12k_llama3";
    const DESCRIPTION: &'static str = "one JSON array of objects with a prompt in `instruction`";
    const SOURCE: Source = Source::JsonArray;

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        Ok(Conversation::of_prompt(entry.string_field("instruction")?))
    }
}

export_api!(OpenaiLongalpaca12kLlama3);
export_format!(OpenaiLongalpaca12kLlama3);
