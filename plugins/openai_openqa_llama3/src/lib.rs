//! open-qa for Llama 3: JSON lines with the prompt in `question`, sent to an OpenAI-compatible chat API.

use llmuses_plugin::{Entry, Options, Parser, Prompt, Source, Value, export_parser, json, openai};

struct OpenaiOpenqaLlama3;

impl Parser for OpenaiOpenqaLlama3 {
    const NAME: &'static str = "openai_openqa_llama3";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions for Llama 3; JSON lines, prompt in `question`";
    const SOURCE: Source = Source::JsonLines;

    fn prompt_of(entry: Entry) -> Result<Prompt, String> {
        Ok(entry.string_field("question")?.into())
    }

    fn body(options: &Options, prompt: Prompt) -> Value {
        // Llama 3 ends a text with token 128001 and a turn with 128009; servers may know only the first.
        openai::body(options, prompt, json!({"stop_token_ids": [128001, 128009]}))
    }
}

export_parser!(OpenaiOpenqaLlama3);
