//! Sends each line of a text file as a prompt to an OpenAI-compatible chat API.

use llmuses_plugin::{ChatParser, Source, export_chat_parser};

struct OpenaiLineByLine;

impl ChatParser for OpenaiLineByLine {
    const NAME: &'static str = "openai_line_by_line";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions, with each line of a text file as a prompt";
    const DATA: &'static str = "lines of text, each of them a prompt";
    const SOURCE: Source = Source::Lines;
}

export_chat_parser!(OpenaiLineByLine);
