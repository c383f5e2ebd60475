//! Sends the prompt of `--prompt` to an OpenAI-compatible chat API. The parser that is used where none is
//! named.

use llmuses_plugin::{
    Api, Conversations, Format, Head, Item, Request, Response, Settings, Source, Summary,
    export_api, export_format, json, openai, tokenizer_count,
};

struct OpenaiPrompt;

impl Api for OpenaiPrompt {
    const NAME: &'static str = "openai_prompt";
    const DESCRIPTION: &'static str = "OpenAI chat completions, with the prompt of --prompt";
    const PATH: &'static str = "/v1/chat/completions";

    fn request(item: Item, settings: &Settings) -> Result<Request, String> {
        openai::request(item, settings, json!({}))
    }

    fn response(response: &Response<'_>) -> Result<Summary, String> {
        openai::response(response, tokenizer_count)
    }
}

/// Says of any data set where it would be read.
impl Format for OpenaiPrompt {
    const NAME: &'static str = "openai_prompt";
    const DESCRIPTION: &'static str = "no data set";
    const SOURCE: Source = Source::PromptOnly;

    fn open(_head: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        Err(
            "it takes its prompt from --prompt only; a data set is read, for example, by openai_chat (any format), \
             openai_line_by_line (lines of text), openai_openqa_qwen (JSON lines) and openai_longalpaca_12k_qwen (one JSON \
             array)"
                .to_owned(),
        )
    }
}

export_api!(OpenaiPrompt);
export_format!(OpenaiPrompt);
