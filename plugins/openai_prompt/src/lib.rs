//! Sends the prompt of `--prompt` to an OpenAI-compatible chat API. The parser that is used where none is
//! named. Of any data set it says that it reads none.

use llmuses_plugin::{ChatParser, Source, export_chat_parser};

struct OpenaiPrompt;

impl ChatParser for OpenaiPrompt {
    const NAME: &'static str = "openai_prompt";
    const DESCRIPTION: &'static str = "OpenAI chat completions, with the prompt of --prompt";
    const DATA: &'static str = "no data set";
    const SOURCE: Source = Source::PromptOnly;
}

export_chat_parser!(OpenaiPrompt);
