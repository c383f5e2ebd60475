//! Sends each line of a text file as a prompt to an OpenAI-compatible chat API.

use llmuses_plugin::{
    Api, Conversation, Entry, Format, Item, Request, Response, Settings, Source, Summary,
    export_api, export_format, json, openai, tokenizer_count,
};

struct OpenaiLineByLine;

impl Api for OpenaiLineByLine {
    const NAME: &'static str = "openai_line_by_line";
    const DESCRIPTION: &'static str =
        "OpenAI chat completions, with each line of a text file as a prompt";
    const PATH: &'static str = "/v1/chat/completions";

    fn request(item: Item, settings: &Settings) -> Result<Request, String> {
        openai::request(item, settings, json!({}))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        openai::response(response, tokenizer_count)
    }
}

impl Format for OpenaiLineByLine {
    const NAME: &'static str = "openai_line_by_line";
    const DESCRIPTION: &'static str = "lines of text, each of them a prompt";
    const SOURCE: Source = Source::Lines;

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        Ok(Conversation::of_prompt(entry.into_text()))
    }
}

export_api!(OpenaiLineByLine);
export_format!(OpenaiLineByLine);
