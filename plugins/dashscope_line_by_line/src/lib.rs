//! Sends each line of a text file as a prompt to DashScope's own API. An example of a parser for an API that
//! isn't like OpenAI's.

use llmuses_plugin::{
    Api, Format, Item, Request, Response, Settings, Source, Summary, dashscope, export_api,
    export_format, json, tokenizer_count,
};

struct DashscopeLineByLine;

impl Api for DashscopeLineByLine {
    const NAME: &'static str = "dashscope_line_by_line";
    const DESCRIPTION: &'static str =
        "DashScope text generation, with each line of a text file as a prompt";
    const PATH: &'static str = "/api/v1/services/aigc/text-generation/generation";
    const HEADERS: &'static [(&'static str, &'static str)] = &[dashscope::STREAM_HEADER];

    fn request(item: Item, settings: &Settings) -> Result<Request, String> {
        dashscope::request(item, settings, json!({}))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        dashscope::response(response, tokenizer_count)
    }
}

impl Format for DashscopeLineByLine {
    const NAME: &'static str = "dashscope_line_by_line";
    const DESCRIPTION: &'static str = "lines of text, each of them a prompt";
    const SOURCE: Source = Source::Lines;
}

export_api!(DashscopeLineByLine);
export_format!(DashscopeLineByLine);
