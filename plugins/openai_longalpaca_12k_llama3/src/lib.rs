//! LongAlpaca-12k for Llama 3: one JSON array whose items have the prompt in `instruction`, sent to an
//! OpenAI-compatible chat API.

use llmuses_plugin::{ChatParser, Source, Value, export_chat_parser, json};

struct OpenaiLongalpaca12kLlama3;

impl ChatParser for OpenaiLongalpaca12kLlama3 {
    const NAME: &'static str = "openai_longalpaca_12k_llama3";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions for Llama 3; JSON array, prompt in `instruction`";
    const DATA: &'static str = "one JSON array of objects with a prompt in `instruction`";
    const SOURCE: Source = Source::JsonArray;
    const PROMPT_FIELD: &'static str = "instruction";

    fn defaults() -> Value {
        // Llama 3 ends a text with token 128001 and a turn with 128009; servers may know only the first.
        json!({"stop_token_ids": [128001, 128009]})
    }
}

export_chat_parser!(OpenaiLongalpaca12kLlama3);
