//! Sends each line of a text file as a prompt to an OpenAI-compatible chat API.

use llmuses_plugin::{Parser, Source, export_parser};

struct OpenaiLineByLine;

impl Parser for OpenaiLineByLine {
    const NAME: &'static str = "openai_line_by_line";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions, with each line of a text file as a prompt";
    const SOURCE: Source = Source::Lines;
}

export_parser!(OpenaiLineByLine);
