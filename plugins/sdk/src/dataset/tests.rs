//! Numbering across batches and errors, and what is said about bad entries.

use super::*;
use std::collections::VecDeque;

/// A reader whose answers are written down beforehand.
struct Script(VecDeque<Result<Vec<String>, String>>);

impl Reader for Script {
    fn read(&mut self, _max: u32) -> Result<Vec<String>, String> {
        self.0
            .pop_front()
            .unwrap_or_else(|| Err("asked after the end".to_owned()))
    }
}

fn line(text: &str) -> Entry {
    Entry {
        text: text.to_owned(),
        unit: "line",
        number: 17,
    }
}

fn question(text: &str) -> Result<String, String> {
    line(text).string_field("question")
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

#[test]
fn numbers_run_on_across_batches_and_over_errors() {
    let script = [
        Ok(owned(&["a", "b"])),
        Err("line 3 is not UTF-8".to_owned()),
        Ok(owned(&["d"])),
        Ok(Vec::new()),
    ];
    let mut entries = Entries::new("line", Box::new(Script(script.into())));
    let seen: Vec<_> = entries
        .by_ref()
        .map(|entry| entry.map(|entry| (entry.number(), entry.into_text())))
        .collect();
    assert_eq!(
        seen,
        [
            Ok((1, "a".to_owned())),
            Ok((2, "b".to_owned())),
            Err("line 3 is not UTF-8".to_owned()),
            Ok((4, "d".to_owned())),
        ]
    );
    assert!(
        entries.next().is_none(),
        "a reader is not asked again after its end"
    );
}

#[test]
fn the_field_is_found_among_others() {
    assert_eq!(
        question(r#"{"id": 1, "x": {"question": 2}, "question": "why\n?", "y": [1]}"#),
        Ok("why\n?".to_owned())
    );
    assert_eq!(
        question(r#"{"question": 1, "question": "last"}"#),
        Ok("last".to_owned())
    );
    assert_eq!(
        question(r#"{"\u0071uestion": "escaped key"}"#),
        Ok("escaped key".to_owned())
    );
}

#[test]
fn a_missing_or_wrong_field_is_named() {
    assert_eq!(
        question(r#"{"answer": "x"}"#),
        Err("line 17: no field \"question\"".to_owned())
    );
    for value in ["1", "null", "[\"x\"]", "{}", "true"] {
        assert_eq!(
            question(&format!(r#"{{"question": {value}}}"#)),
            Err("line 17: \"question\" is not a string".to_owned())
        );
    }
    for text in ["[1]", "\"question\"", "7", "-7", "7.5", "true", "null"] {
        assert_eq!(
            question(text),
            Err("line 17: not a JSON object".to_owned()),
            "{text}"
        );
    }
}

#[test]
fn broken_json_is_placed() {
    assert_eq!(
        question("    x"),
        Err("line 17, column 5: not valid JSON: expected value".to_owned())
    );
    assert_eq!(
        question(r#"{"question": "x"} y"#),
        Err("line 17, column 19: not valid JSON: trailing characters".to_owned())
    );
    assert_eq!(
        question(r#"{"question": "x"#),
        Err("line 17, column 15: not valid JSON: EOF while parsing a string".to_owned())
    );
}

#[test]
fn items_are_called_items() {
    let mut entries = Entries::from_items(["{}", r#"{"a": []}"#]);
    let mut next = || {
        entries
            .next()
            .and_then(Result::ok)
            .map(|item| item.string_field("a"))
    };
    assert_eq!(next(), Some(Err("item 1: no field \"a\"".to_owned())));
    assert_eq!(
        next(),
        Some(Err("item 2: \"a\" is not a string".to_owned()))
    );
    assert_eq!(next(), None);
}

#[test]
fn an_entry_can_be_read_as_any_type() {
    assert_eq!(line("[1, 2]").json::<Vec<u8>>(), Ok(vec![1, 2]));
    assert_eq!(
        line("[1, -2]").json::<Vec<u8>>(),
        Err("line 17, column 6: invalid value: integer `-2`, expected u8".to_owned())
    );
}

#[test]
fn natively_there_is_no_data_set() {
    assert!(dataset_lines().is_err());
    assert!(dataset_items().is_err());
}
