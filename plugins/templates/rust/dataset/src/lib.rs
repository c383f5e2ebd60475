//! A format of data sets: JSON lines with the prompt in `question`.

use llmuses_plugin::{Conversation, Entry, Format, Source, export_format};

struct MyParser;

impl Format for MyParser {
    const NAME: &'static str = "my_parser";
    const DESCRIPTION: &'static str = "JSON lines with `question`";
    const SOURCE: Source = Source::JsonLines;

    /// The conversation in an entry of the file: here one turn, the prompt.
    fn conversation(entry: Entry) -> Result<Conversation, String> {
        Ok(Conversation::of_prompt(entry.string_field("question")?))
    }
}

export_format!(MyParser);

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_plugin::{Conversations, Entries, conversations_of};

    #[test]
    fn each_question_becomes_a_conversation() {
        let entries = Entries::from_lines([r#"{"question": "why?"}"#]);
        let mut all = conversations_of::<MyParser>(entries);
        let first = all.next_conversation().unwrap();
        assert_eq!(first, Ok(Conversation::of_prompt("why?")));
        assert!(all.next_conversation().is_none());
    }

    #[test]
    fn a_line_without_a_question_is_named() {
        let mut all = conversations_of::<MyParser>(Entries::from_lines(["{}"]));
        let bad = all.next_conversation().unwrap();
        assert_eq!(bad, Err("line 1: no field \"question\"".to_owned()));
    }
}
