//! LongAlpaca-12k for Qwen: one JSON array whose items have the prompt in `instruction`, sent to an
//! OpenAI-compatible chat API.

use llmuses_plugin::{
    Api, Conversation, Entry, Format, Item, Request, Response, Settings, Source, Summary,
    export_api, export_format, json, openai, tokenizer_count,
};

struct OpenaiLongalpaca12kQwen;

impl Api for OpenaiLongalpaca12kQwen {
    const NAME: &'static str = "openai_longalpaca_12k_qwen";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions for Qwen; JSON array, prompt in `instruction`";
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

impl Format for OpenaiLongalpaca12kQwen {
    const NAME: &'static str = "openai_longalpaca_12k_qwen";
    const DESCRIPTION: &'static str = "one JSON array of objects with a prompt in `instruction`";
    const SOURCE: Source = Source::JsonArray;

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        Ok(Conversation::of_prompt(entry.string_field("instruction")?))
    }
}

export_api!(OpenaiLongalpaca12kQwen);
export_format!(OpenaiLongalpaca12kQwen);
