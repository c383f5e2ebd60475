use super::*;

struct Queries;

impl Format for Queries {
    const NAME: &'static str = "queries";
    const DESCRIPTION: &'static str = "";
    const SOURCE: Source = Source::JsonLines;

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        Ok(Conversation::of_prompt(entry.string_field("query")?))
    }
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
