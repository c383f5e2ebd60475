//! Filtering, the order of bodies and errors, and the two ways to begin.

use super::*;
use crate::{Entry, Prompt, json};

struct Lines;

impl Parser for Lines {
    const NAME: &'static str = "lines";
    const DESCRIPTION: &'static str = "";
    const SOURCE: Source = Source::Lines;

    fn body(options: &Options, prompt: Prompt) -> Value {
        json!([options.model, prompt.into_messages()[0]["content"]])
    }
}

struct Json;

impl Parser for Json {
    const NAME: &'static str = "json";
    const DESCRIPTION: &'static str = "";
    const SOURCE: Source = Source::JsonLines;

    fn prompt_of(entry: Entry) -> Result<Prompt, String> {
        Ok(entry.string_field("q")?.into())
    }

    fn body(options: &Options, prompt: Prompt) -> Value {
        Lines::body(options, prompt)
    }
}

struct Alone;

impl Parser for Alone {
    const NAME: &'static str = "alone";
    const DESCRIPTION: &'static str = "";
    const SOURCE: Source = Source::PromptOnly;
}

fn options() -> Options {
    Options {
        model: "m".to_owned(),
        ..Options::default()
    }
}

fn batches<P: Parser>(options: Options, lines: &[&str]) -> Batches {
    Batches::new(Box::new(requests_from::<P>(
        options,
        Entries::from_lines(lines.iter().copied()),
    )))
}

fn body(prompt: &str) -> String {
    json!(["m", prompt]).to_string()
}

#[test]
fn no_more_than_asked_for_and_nothing_at_the_end() {
    let mut batches = batches::<Lines>(options(), &["a", "b", "c"]);
    assert_eq!(batches.next(2), Ok(vec![body("a"), body("b")]));
    assert_eq!(batches.next(u32::MAX), Ok(vec![body("c")]));
    assert_eq!(batches.next(2), Ok(vec![]));
    assert_eq!(batches.next(2), Ok(vec![]));
}

#[test]
fn good_bodies_come_before_the_error_behind_them() {
    let mut batches = batches::<Json>(options(), &[r#"{"q":"a"}"#, "", "{", "{}", r#"{"q":"b"}"#]);
    assert_eq!(batches.next(8), Ok(vec![body("a")]));
    assert_eq!(
        batches.next(8),
        Err("line 3, column 1: not valid JSON: EOF while parsing an object".to_owned())
    );
    assert_eq!(batches.next(8), Err("line 4: no field \"q\"".to_owned()));
    assert_eq!(batches.next(8), Ok(vec![body("b")]));
    assert_eq!(batches.next(8), Ok(vec![]));
    assert_eq!(batches.skipped(), [("blank".to_owned(), 1)]);
}

#[test]
fn an_error_at_the_last_place_of_a_batch_waits_for_the_next() {
    let mut batches = batches::<Json>(options(), &[r#"{"q":"a"}"#, "[]"]);
    assert_eq!(batches.next(1), Ok(vec![body("a")]));
    assert_eq!(batches.next(1), Err("line 2: not a JSON object".to_owned()));
    assert_eq!(batches.next(1), Ok(vec![]));
}

#[test]
fn lengths_are_filtered_and_counted_by_reason() {
    let options = Options {
        min_length: 1,
        max_length: 4,
        ..options()
    };
    let mut batches = batches::<Lines>(options, &["a", "", "äö", "abcd", "abc", "abcde"]);
    assert_eq!(batches.next(8), Ok(vec![body("äö"), body("abc")]));
    assert_eq!(
        batches.skipped(),
        [
            ("not longer than the minimum".to_owned(), 2),
            ("not shorter than the maximum".to_owned(), 2)
        ]
    );
}

#[test]
fn a_blank_line_of_text_is_a_prompt_like_any_other() {
    let mut batches = batches::<Lines>(options(), &["", " ", "a"]);
    assert_eq!(batches.next(8), Ok(vec![body(" "), body("a")]));
    assert_eq!(
        batches.skipped(),
        [("not longer than the minimum".to_owned(), 1)]
    );
}

#[test]
fn a_prompt_gives_one_request_whatever_its_length() {
    let options = Options {
        prompt: Some("long".into()),
        has_dataset: true,
        max_length: 2,
        ..options()
    };
    let mut batches = Batches::new(begin::<Lines>(options).expect("a prompt is enough"));
    assert_eq!(batches.next(8), Ok(vec![body("long")]));
    assert_eq!(batches.next(8), Ok(vec![]));
    assert!(batches.skipped().is_empty());
}

#[test]
fn without_prompt_and_data_set_there_is_nothing_to_begin() {
    let error = |result: Result<Box<dyn Requests>, String>| result.err().unwrap_or_default();
    assert_eq!(
        error(begin::<Lines>(options())),
        "it needs a prompt (--prompt) or a data set (--dataset)"
    );
    assert_eq!(
        error(begin::<Alone>(options())),
        "it needs a prompt (--prompt)"
    );
    let with_dataset = Options {
        has_dataset: true,
        ..options()
    };
    let text = error(begin::<Alone>(with_dataset));
    assert!(
        text.starts_with("it takes its prompt from --prompt only; "),
        "{text}"
    );
    assert!(text.contains("openai_line_by_line"), "{text}");
}
