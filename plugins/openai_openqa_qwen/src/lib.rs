//! open-qa for Qwen: JSON lines with the prompt in `question`, sent to an OpenAI-compatible chat API.

use llmuses_plugin::{ChatParser, Source, Value, export_chat_parser, json};

struct OpenaiOpenqaQwen;

impl ChatParser for OpenaiOpenqaQwen {
    const NAME: &'static str = "openai_openqa_qwen";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions for Qwen; JSON lines, prompt in `question`";
    const DATA: &'static str = "JSON lines with a prompt in `question`";
    const SOURCE: Source = Source::JsonLines;
    const PROMPT_FIELD: &'static str = "question";

    fn defaults() -> Value {
        // Qwen ends a turn with a special token. Servers that do not know it as the end stop at its text,
        // for which it must not be left out.
        json!({"skip_special_tokens": false, "stop": ["<|im_end|>"]})
    }
}

export_chat_parser!(OpenaiOpenqaQwen);
