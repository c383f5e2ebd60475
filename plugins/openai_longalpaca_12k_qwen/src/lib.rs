//! LongAlpaca-12k for Qwen: one JSON array whose items have the prompt in `instruction`, sent to an
//! OpenAI-compatible chat API.

use llmuses_plugin::{ChatParser, Source, Value, export_chat_parser, json};

struct OpenaiLongalpaca12kQwen;

impl ChatParser for OpenaiLongalpaca12kQwen {
    const NAME: &'static str = "openai_longalpaca_12k_qwen";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions for Qwen; JSON array, prompt in `instruction`";
    const DATA: &'static str = "one JSON array of objects with a prompt in `instruction`";
    const SOURCE: Source = Source::JsonArray;
    const PROMPT_FIELD: &'static str = "instruction";

    fn defaults() -> Value {
        // Qwen ends a turn with a special token. Servers that do not know it as the end stop at its text,
        // for which it must not be left out.
        json!({"skip_special_tokens": false, "stop": ["<|im_end|>"]})
    }
}

export_chat_parser!(OpenaiLongalpaca12kQwen);
