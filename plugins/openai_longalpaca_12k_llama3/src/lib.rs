//! LongAlpaca-12k for Llama 3: one JSON array whose items have the prompt in `instruction`, sent to an
//! OpenAI-compatible chat API.

use llmuses_plugin::{Entry, Options, Parser, Prompt, Source, Value, export_parser, json, openai};

struct OpenaiLongalpaca12kLlama3;

impl Parser for OpenaiLongalpaca12kLlama3 {
    const NAME: &'static str = "openai_longalpaca_12k_llama3";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions for Llama 3; JSON array, prompt in `instruction`";
    const SOURCE: Source = Source::JsonArray;

    fn prompt_of(entry: Entry) -> Result<Prompt, String> {
        Ok(entry.string_field("instruction")?.into())
    }

    fn body(options: &Options, prompt: Prompt) -> Value {
        // Llama 3 ends a text with token 128001 and a turn with 128009; servers may know only the first.
        openai::body(options, prompt, json!({"stop_token_ids": [128001, 128009]}))
    }
}

export_parser!(OpenaiLongalpaca12kLlama3);
