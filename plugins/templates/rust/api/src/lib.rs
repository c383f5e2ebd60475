//! An API that follows OpenAI's chat completions. For another one, make and read JSON of your own here.

use llmuses_plugin::{
    Api, Item, Request, Response, Settings, Summary, export_api, json, openai, tokenizer_count,
};

struct MyParser;

impl Api for MyParser {
    const NAME: &'static str = "my_parser";
    const DESCRIPTION: &'static str = "OpenAI chat completions";
    const PATH: &'static str = "/v1/chat/completions";

    /// The request of an item. What the user gives with `--parameters` goes over it.
    fn request(item: Item, settings: &Settings) -> Result<Request, String> {
        openai::request(item, settings, json!({"temperature": 0}))
    }

    /// What a response says about tokens, and which of its events carry output.
    fn response(response: &Response<'_>) -> Result<Summary, String> {
        openai::response(response, tokenizer_count)
    }
}

export_api!(MyParser);

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_plugin::Tokens;

    #[test]
    fn an_item_becomes_a_request() {
        let made = MyParser::request(Item::of_prompt("why?"), &Settings::default()).unwrap();
        let body = made.to_json();
        assert_eq!(body["messages"][0]["content"], "why?");
        assert_eq!(body["temperature"], 0);
    }

    #[test]
    fn tokens_are_those_that_the_server_reports() {
        let events = [
            br#"{"choices": [{"delta": {"content": "hi"}}]}"#.to_vec(),
            br#"{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}"#.to_vec(),
        ];
        let summary = MyParser::response(&Response::of(&events)).unwrap();
        assert_eq!(
            summary,
            Summary::new(Tokens::Usage(3), Tokens::Usage(1))
                .output(0)
                .answers([0])
        );
    }
}
