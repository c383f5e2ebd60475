//! Sends each line of a text file as a prompt to DashScope's own API. An example of a parser for an API that
//! isn't like OpenAI's.

use llmuses_plugin::{
    Options, Parser, Prompt, Source, Summary, Value, dashscope, export_parser, json,
    tokenizer_count,
};

struct DashscopeLineByLine;

impl Parser for DashscopeLineByLine {
    const NAME: &'static str = "dashscope_line_by_line";
    const DESCRIPTION: &'static str =
        "DashScope text generation, with each line of a text file as a prompt";
    const SOURCE: Source = Source::Lines;
    const HEADERS: &'static [(&'static str, &'static str)] = &[dashscope::STREAM_HEADER];

    fn body(options: &Options, prompt: Prompt) -> Value {
        dashscope::body(options, prompt, json!({}))
    }

    fn parse_responses(
        responses: &[Vec<u8>],
        request: &str,
        _parameters: &str,
    ) -> Result<Summary, String> {
        dashscope::parse(responses, request, tokenizer_count)
    }
}

export_parser!(DashscopeLineByLine);
