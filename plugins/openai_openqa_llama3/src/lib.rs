//! open-qa for Llama 3: JSON lines with the prompt in `question`, sent to an OpenAI-compatible chat API.

use llmuses_plugin::{
    Api, Conversation, Entry, Format, Item, Request, Response, Settings, Source, Summary,
    export_api, export_format, json, openai, tokenizer_count,
};

struct OpenaiOpenqaLlama3;

impl Api for OpenaiOpenqaLlama3 {
    const NAME: &'static str = "openai_openqa_llama3";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions for Llama 3; JSON lines, prompt in `question`";
    const PATH: &'static str = "/v1/chat/completions";

    fn request(item: Item, settings: &Settings) -> Result<Request, String> {
        // Llama 3 ends a text with token 128001 and a turn with 128009; servers may know only the first.
        openai::request(item, settings, json!({"stop_token_ids": [128001, 128009]}))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        openai::response(response, tokenizer_count)
    }
}

impl Format for OpenaiOpenqaLlama3 {
    const NAME: &'static str = "openai_openqa_llama3";
    const DESCRIPTION: &'static str = "JSON lines with a prompt in `question`";
    const SOURCE: Source = Source::JsonLines;

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        Ok(Conversation::of_prompt(entry.string_field("question")?))
    }
}

export_api!(OpenaiOpenqaLlama3);
export_format!(OpenaiOpenqaLlama3);
