//! A parser for OpenAI-compatible chat APIs. Its data set has JSON lines with the prompt in `question`.

use llmuses_plugin::{
    Entry, Options, Parser, Prompt, Source, Summary, Value, export_parser, json, openai,
    tokenizer_count,
};

struct MyParser;

impl Parser for MyParser {
    const NAME: &'static str = "my_parser";
    const DESCRIPTION: &'static str = "OpenAI chat completions, with `question` of JSON lines";
    const SOURCE: Source = Source::JsonLines;

    /// Where in an entry of the data set the prompt is.
    fn prompt_of(entry: Entry) -> Result<Prompt, String> {
        Ok(entry.string_field("question")?.into())
    }

    /// The request for a prompt. What the user gives with `--parameters` goes over it.
    fn body(options: &Options, prompt: Prompt) -> Value {
        openai::body(options, prompt, json!({"temperature": 0}))
    }

    /// What a response says about tokens. For another API than OpenAI's, read it here.
    fn parse_responses(
        responses: &[Vec<u8>],
        request: &str,
        _parameters: &str,
    ) -> Result<Summary, String> {
        openai::parse(responses, request, tokenizer_count)
    }
}

export_parser!(MyParser);

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_plugin::{Entries, Requests, Tokens, requests_from};

    #[test]
    fn each_question_becomes_a_request() {
        let entries = Entries::from_lines([r#"{"question": "why?"}"#, "{}"]);
        let mut requests = requests_from::<MyParser>(Options::default(), entries);
        let body = requests.next_body().unwrap().unwrap();
        assert_eq!(body["messages"][0]["content"], "why?");
        assert_eq!(body["temperature"], 0);
        let bad = requests.next_body().unwrap().unwrap_err();
        assert_eq!(bad, "line 2: no field \"question\"");
        assert!(requests.next_body().is_none());
    }

    #[test]
    fn tokens_are_those_that_the_server_reports() {
        let responses = [
            br#"{"choices": [{"delta": {"content": "hi"}}]}"#.to_vec(),
            br#"{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}"#.to_vec(),
        ];
        let summary = MyParser::parse_responses(&responses, "{}", "{}").unwrap();
        assert_eq!(
            summary,
            Summary::new(Tokens::Usage(3), Tokens::Usage(1)).output(0)
        );
    }
}
