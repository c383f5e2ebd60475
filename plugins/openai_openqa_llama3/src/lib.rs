//! open-qa for Llama 3: JSON lines with the prompt in `question`, sent to an OpenAI-compatible chat API.

use llmuses_plugin::{ChatParser, Source, Value, export_chat_parser, json};

struct OpenaiOpenqaLlama3;

impl ChatParser for OpenaiOpenqaLlama3 {
    const NAME: &'static str = "openai_openqa_llama3";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions for Llama 3; JSON lines, prompt in `question`";
    const DATA: &'static str = "JSON lines with a prompt in `question`";
    const SOURCE: Source = Source::JsonLines;
    const PROMPT_FIELD: &'static str = "question";

    fn defaults() -> Value {
        // Llama 3 ends a text with token 128001 and a turn with 128009; servers may know only the first.
        json!({"stop_token_ids": [128001, 128009]})
    }
}

export_chat_parser!(OpenaiOpenqaLlama3);
