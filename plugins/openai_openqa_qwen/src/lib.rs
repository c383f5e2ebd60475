//! open-qa for Qwen: JSON lines with the prompt in `question`, sent to an OpenAI-compatible chat API.

use llmuses_plugin::{Entry, Options, Parser, Prompt, Source, Value, export_parser, json, openai};

struct OpenaiOpenqaQwen;

impl Parser for OpenaiOpenqaQwen {
    const NAME: &'static str = "openai_openqa_qwen";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions for Qwen; JSON lines, prompt in `question`";
    const SOURCE: Source = Source::JsonLines;

    fn prompt_of(entry: Entry) -> Result<Prompt, String> {
        Ok(entry.string_field("question")?.into())
    }

    fn body(options: &Options, prompt: Prompt) -> Value {
        // Qwen ends a turn with a special token. Servers that do not know it as the end stop at its text,
        // for which it must not be left out.
        openai::body(
            options,
            prompt,
            json!({"skip_special_tokens": false, "stop": ["<|im_end|>"]}),
        )
    }
}

export_parser!(OpenaiOpenqaQwen);
