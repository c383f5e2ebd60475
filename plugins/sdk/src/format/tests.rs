use super::component::AsJson;
use super::*;
use crate::requests::Batches;

struct Queries;

impl Format for Queries {
    const NAME: &'static str = "queries";
    const DESCRIPTION: &'static str = "";
    const SOURCE: Source = Source::JsonLines;
    const PROMPT_FIELD: &'static str = "query";
}

#[test]
fn a_line_of_text_is_the_prompt() {
    struct Lines;

    impl Format for Lines {
        const NAME: &'static str = "lines";
        const DESCRIPTION: &'static str = "";
        const SOURCE: Source = Source::Lines;
    }

    let mut conversations = conversations_of::<Lines>(Entries::from_lines(["a b", ""]));
    for prompt in ["a b", ""] {
        let next = conversations.next_conversation();
        assert_eq!(next, Some(Ok(Conversation::of_prompt(prompt))));
    }
    assert_eq!(conversations.next_conversation(), None);
}

#[test]
fn an_entry_of_json_without_a_field_is_an_error() {
    struct NoField;

    impl Format for NoField {
        const NAME: &'static str = "no_field";
        const DESCRIPTION: &'static str = "";
        const SOURCE: Source = Source::JsonLines;
    }

    let entries = Entries::from_lines([r#"{"query":"a"}"#]);
    let error = conversations_of::<NoField>(entries).next_conversation();
    let said = "line 1: the format names no PROMPT_FIELD and makes no conversation of an entry";
    assert_eq!(error, Some(Err(said.to_owned())));
}

#[test]
fn a_conversation_in_which_nobody_asks_anything_is_passed_over_and_counted() {
    let entries = Entries::from_lines(["quiet", "loud"]);
    let mut conversations = entries.conversations(|entry| {
        Ok(match entry.text() {
            "quiet" => Conversation::default(),
            text => Conversation::of_prompt(text),
        })
    });
    let loud = Conversation::of_prompt("loud");
    assert_eq!(conversations.next_conversation(), Some(Ok(loud)));
    assert_eq!(conversations.next_conversation(), None);
    let reason = "nobody asks anything".to_owned();
    assert_eq!(conversations.skipped(), [(reason, 1)]);
}

#[test]
fn blank_lines_are_counted_and_a_bad_one_stands_alone() {
    let entries = Entries::from_lines([r#"{"query":"a"}"#, " ", "{}", r#"{"query":"b"}"#]);
    let mut batches = Batches::new(Box::new(AsJson(Box::new(conversations_of::<Queries>(
        entries,
    )))));
    assert_eq!(
        batches.next(9),
        Ok(vec![r#"{"turns":[{"prompt":"a"}]}"#.to_owned()])
    );
    assert_eq!(
        batches.next(9),
        Err("line 3: no field \"query\"".to_owned())
    );
    assert_eq!(
        batches.next(9),
        Ok(vec![r#"{"turns":[{"prompt":"b"}]}"#.to_owned()])
    );
    assert_eq!(batches.next(9), Ok(vec![]));
    assert_eq!(batches.skipped(), [("blank".to_owned(), 1)]);
}
