//! LongAlpaca-12k for Qwen: one JSON array whose items have the prompt in `instruction`, sent to an
//! OpenAI-compatible chat API.

use llmuses_plugin::{Entry, Options, Parser, Prompt, Source, Value, export_parser, json, openai};

struct OpenaiLongalpaca12kQwen;

impl Parser for OpenaiLongalpaca12kQwen {
    const NAME: &'static str = "openai_longalpaca_12k_qwen";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions for Qwen; JSON array, prompt in `instruction`";
    const SOURCE: Source = Source::JsonArray;

    fn prompt_of(entry: Entry) -> Result<Prompt, String> {
        Ok(entry.string_field("instruction")?.into())
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

export_parser!(OpenaiLongalpaca12kQwen);
