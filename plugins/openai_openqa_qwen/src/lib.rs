//! open-qa for Qwen: JSON lines with the prompt in `question`, sent to an OpenAI-compatible chat API.

use llmuses_plugin::{
    Api, Conversation, Entry, Format, Item, Request, Response, Settings, Source, Summary,
    export_api, export_format, json, openai, tokenizer_count,
};

struct OpenaiOpenqaQwen;

impl Api for OpenaiOpenqaQwen {
    const NAME: &'static str = "openai_openqa_qwen";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions for Qwen; JSON lines, prompt in `question`";
    const PATH: &'static str = "/v1/chat/completions";

    fn request(item: Item, settings: &Settings) -> Result<Request, String> {
        // Qwen ends a turn with a special token. Servers that do not know it as the end stop at its text,
        // for which it must not be left out.
        openai::request(
            item,
            settings,
            json!({"skip_special_tokens": false, "stop": ["<|im_end|>"]}),
        )
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        openai::response(response, tokenizer_count)
    }
}

impl Format for OpenaiOpenqaQwen {
    const NAME: &'static str = "openai_openqa_qwen";
    const DESCRIPTION: &'static str = "JSON lines with a prompt in `question`";
    const SOURCE: Source = Source::JsonLines;

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        Ok(Conversation::of_prompt(entry.string_field("question")?))
    }
}

export_api!(OpenaiOpenqaQwen);
export_format!(OpenaiOpenqaQwen);
