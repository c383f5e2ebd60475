//! JSON records with a prompt under one of the usual names, or with the messages of one request.

use crate::images;
use crate::record::{Members, PROMPTS, prompt_of, with_the_rest};
use llmuses_plugin::{Conversation, Conversations, Entry, Format, Head, Source, Value};

/// A record a line.
pub(crate) struct JsonLines;

/// One array of records.
pub(crate) struct JsonArray;

impl Format for JsonLines {
    const NAME: &'static str = "json_lines";
    const DESCRIPTION: &'static str = "JSON lines with `messages`, or a prompt in `prompt`, `question`, `instruction`, \
                                       `text` or another usual name";
    const SOURCE: Source = Source::JsonLines;
    const TAKES_FIELD: bool = true;

    fn recognises(head: &Head<'_>) -> bool {
        !head.is_array() && (is_record(head) || has_line_with_prompt(head))
    }

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        record(&entry, None)
    }

    fn open(head: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        opened::<Self>(head)
    }
}

impl Format for JsonArray {
    const NAME: &'static str = "json_array";
    const DESCRIPTION: &'static str = "one JSON array of such records, as of LongAlpaca";
    const SOURCE: Source = Source::JsonArray;
    const TAKES_FIELD: bool = true;

    fn recognises(head: &Head<'_>) -> bool {
        head.is_array() && is_record(head)
    }

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        record(&entry, None)
    }

    fn open(head: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        opened::<Self>(head)
    }
}

/// Whether a record has a prompt.
fn has_prompt(members: &Members, field: Option<&str>) -> bool {
    match field {
        Some(field) => members.contains_key(field),
        None => {
            members.get("messages").is_some_and(Value::is_array)
                || PROMPTS
                    .iter()
                    .any(|name| members.get(*name).is_some_and(Value::is_string))
        }
    }
}

/// Whether the file begins as JSON lines do, and one of its first lines has a prompt: others may be broken.
fn has_line_with_prompt(head: &Head<'_>) -> bool {
    /// So many lines are looked at.
    const ENOUGH: usize = 32;
    let begins_so = head.bytes.trim_ascii_start().starts_with(b"{");
    let mut lines = head.bytes.split(|byte| *byte == b'\n').take(ENOUGH);
    begins_so
        && lines.any(|line| {
            let record = std::str::from_utf8(line)
                .ok()
                .and_then(|line| line.parse().ok());
            matches!(record, Some(Value::Object(members)) if has_prompt(&members, head.field))
        })
}

/// Whether the first record of the file has a prompt.
fn is_record(head: &Head<'_>) -> bool {
    match head.first_record() {
        Some(Value::Object(members)) => has_prompt(&members, head.field),
        Some(_) => false,
        // Of a record that is longer than the beginning of the file, its own beginning has to do.
        None => {
            let start = head.bytes.trim_ascii_start();
            let start = start.strip_prefix(b"[").unwrap_or(start);
            !head.is_whole() && start.trim_ascii_start().starts_with(b"{")
        }
    }
}

fn opened<F: Format>(head: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
    let field = head.field.map(str::to_owned);
    let entries = F::SOURCE.entries(head)?;
    Ok(Box::new(entries.conversations(move |entry| {
        record(&entry, field.as_deref())
    })))
}

fn record(entry: &Entry, field: Option<&str>) -> Result<Conversation, String> {
    let mut members: Members = entry.json()?;
    conversation_in(&mut members, field).map_err(|reason| entry.error(reason))
}

/// The conversation in the members of a record.
pub(crate) fn conversation_in(
    members: &mut Members,
    field: Option<&str>,
) -> Result<Conversation, String> {
    let conversation = match members.get("messages") {
        Some(Value::Array(messages)) if field.is_none() && !messages.is_empty() => {
            Conversation::of_messages(asked(messages.clone()))
        }
        Some(_) if field.is_none() => {
            return Err("\"messages\" is not a list of messages".to_owned());
        }
        _ => match images::message(members, field)? {
            Some(message) => Conversation::of_messages(vec![message]),
            None => Conversation::of_prompt(prompt_of(members, field)?),
        },
    };
    with_the_rest(conversation, members)
}

/// Messages without the answers that are recorded at their end, where there is anything before them.
pub(crate) fn asked(mut messages: Vec<Value>) -> Vec<Value> {
    let is_answer = |message: &Value| message["role"] == "assistant";
    let end = messages.iter().rposition(|message| !is_answer(message));
    if let Some(last) = end {
        messages.truncate(last + 1);
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{head, read};
    use llmuses_plugin::json;

    #[test]
    fn a_prompt_is_found_under_its_usual_names() {
        for name in PROMPTS {
            let line = json!({"id": 7, name: "why?"});
            assert_eq!(
                read::<JsonLines>(&line),
                Ok(json!({"turns": [{"prompt": "why?"}]}))
            );
            assert!(JsonLines::recognises(&head(&format!("\n{line}\nrest"))));
            assert!(JsonArray::recognises(&head(&format!("[\n{line},{line}"))));
        }
    }

    #[test]
    fn a_conversation_keeps_its_system_message_tools_and_length() {
        let line = json!({
            "messages": [{"role": "user", "content": "a"}],
            "tools": [{}],
            "system": "s",
            "max_tokens": 9,
            "temperature": 0.5,
        });
        assert_eq!(
            read::<JsonLines>(&line),
            Ok(json!({
                "turns": [{"messages": [{"role": "user", "content": "a"}], "output_tokens": 9}],
                "system": "s",
                "tools": [{}],
                "parameters": {"temperature": 0.5},
            }))
        );
    }

    #[test]
    fn the_answer_at_the_end_of_messages_is_not_sent() {
        let (user, answer) = (json!({"role": "user"}), json!({"role": "assistant"}));
        let line = json!({"messages": [user, answer, user, answer]});
        assert_eq!(
            read::<JsonLines>(&line),
            Ok(json!({"turns": [{"messages": [user, answer, user]}]}))
        );
    }

    #[test]
    fn a_line_may_have_an_image_where_others_have_none() {
        let line = json!({"prompt": "b", "image": "a.png"});
        let content = json!([
            {"type": "text", "text": "b"},
            {"type": "image_url", "image_url": {"url": "a.png"}},
        ]);
        assert_eq!(
            read::<JsonLines>(&line),
            Ok(json!({"turns": [{"messages": [{"role": "user", "content": content}]}]}))
        );
    }

    #[test]
    fn a_line_without_a_prompt_says_what_was_looked_for() {
        let error = read::<JsonLines>(&json!({})).unwrap_err();
        assert!(
            error.starts_with("line 1: no prompt: it has neither \"messages\" nor one of prompt,"),
            "{error}"
        );
        assert_eq!(
            read::<JsonLines>(&json!({"prompt": 1})),
            Err("line 1: \"prompt\" is not a string".to_owned())
        );
        for text in ["{}\n", "text\n", "[1]\n", "", "{\"prompt\": 1}\n"] {
            assert!(!JsonLines::recognises(&head(text)), "{text:?}");
            assert!(!JsonArray::recognises(&head(text)), "{text:?}");
        }
        let long = format!("{{\"prompt\": \"{}", "long ".repeat(300_000));
        assert!(JsonLines::recognises(&head(&long)));
        assert!(JsonArray::recognises(&head(&format!("[{long}"))));
    }

    #[test]
    fn lines_of_json_are_recognised_though_the_first_is_broken() {
        for first in ["{\"prompt\": broken", "{\"id\": 1}", "{\"prompt\": 5}"] {
            let text = format!("{first}\n{{\"prompt\": \"ok\"}}\n");
            assert!(JsonLines::recognises(&head(&text)), "{text}");
        }
        assert!(!JsonLines::recognises(&head(
            "text\n{\"prompt\": \"ok\"}\n"
        )));
    }

    #[test]
    fn a_named_field_has_the_prompt() {
        let mut members = json!({"riddle": "r", "prompt": "p"});
        let found = conversation_in(members.as_object_mut().unwrap(), Some("riddle"));
        assert_eq!(found, Ok(Conversation::of_prompt("r")));
        let with_field = |field| Head {
            field: Some(field),
            ..head("{\"riddle\": \"r\"}")
        };
        assert!(JsonLines::recognises(&with_field("riddle")));
        assert!(!JsonLines::recognises(&with_field("prompt")));
    }
}
