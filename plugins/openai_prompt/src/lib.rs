//! Sends the prompt of `--prompt` to an OpenAI-compatible chat API. The parser that is used where none is
//! named.

use llmuses_plugin::{Parser, Source, export_parser};

struct OpenaiPrompt;

impl Parser for OpenaiPrompt {
    const NAME: &'static str = "openai_prompt";
    const DESCRIPTION: &'static str = "OpenAI chat completions, with the prompt of --prompt";
    const SOURCE: Source = Source::PromptOnly;
}

export_parser!(OpenaiPrompt);
