//! JSON records with a prompt under one of the usual names, or with the messages of one request.

use crate::media;
use crate::record::{Members, OUTPUT_LENGTHS, PROMPTS, numbered_prompts, prompt_of, with_the_rest};
use llmuses_plugin::{Conversation, Conversations, Entry, Format, Head, Source, Value, json, log};
use std::sync::atomic::{AtomicBool, Ordering};

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
    const DESCRIPTION: &'static str =
        "one JSON array of such records, as of LongAlpaca, or of texts";
    const SOURCE: Source = Source::JsonArray;
    const TAKES_FIELD: bool = true;

    fn recognises(head: &Head<'_>) -> bool {
        let is_text = || matches!(head.first_record(), Some(Value::String(_)));
        head.is_array() && (is_record(head) || (head.field.is_none() && is_text()))
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
                || numbered_prompts(members).is_some()
                || without_text(members).is_some()
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
    let mut members: Members = match entry.json()? {
        Value::Object(members) => members,
        // Of an array of texts.
        Value::String(text) if field.is_none() => return Ok(Conversation::of_prompt(text)),
        _ => return Err(entry.error("it is not a JSON object")),
    };
    let is_body = field.is_none() && members.get("messages").is_some_and(Value::is_array);
    let is_body = is_body && members.get("stream").is_some_and(Value::is_boolean);
    let conversation =
        conversation_in(&mut members, field).map_err(|reason| entry.error(reason))?;
    say_what_is_left_out(&members, is_body);
    say_that_video_is_left_out(&members);
    Ok(conversation)
}

/// Says once for each reading of a file which members of its records are not sent. Of a recorded body they would have been
/// asked for; others are often no more than notes.
fn say_what_is_left_out(members: &Members, is_body: bool) {
    say_left_out(&left_out(members), is_body);
}

/// Says so once, if there are any.
pub(crate) fn say_left_out(names: &[&str], is_body: bool) {
    /// More names than so many are counted.
    const MOST: usize = 8;
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    if names.is_empty() || IS_SAID.swap(true, Ordering::Relaxed) {
        return;
    }
    let mut said = names[..names.len().min(MOST)].join(", ");
    if names.len() > MOST {
        said += &format!(" and {} more", names.len() - MOST);
    }
    match is_body {
        true => log::warn(&format!(
            "what the data set says of {said} is left out: `--dataset-parser bodies` sends recorded bodies as they are"
        )),
        false => log::info(&format!("what the data set says of {said} is left out")),
    }
}

/// Says once for each reading of a file that video beside a prompt is not sent.
fn say_that_video_is_left_out(members: &Members) {
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    let has = |name: &&&str| members.get(**name).is_some_and(|value| !value.is_null());
    if let Some(name) = ["video", "videos"].iter().find(has)
        && !IS_SAID.swap(true, Ordering::Relaxed)
    {
        log::warn(&format!(
            "what the data set has in \"{name}\" is left out: of records, text, images and audio are sent"
        ));
    }
}

/// The members of a record that are in no conversation. Which model is asked, and whether it streams, says the run; video has
/// a line of its own.
fn left_out(members: &Members) -> Vec<&str> {
    const OF_THE_RUN: [&str; 3] = ["model", "stream", "stream_options"];
    const READ: [&str; 5] = [
        "messages",
        "prompt_token_ids",
        "input_ids",
        "video",
        "videos",
    ];
    let is_prompt = |name: &str| {
        let numbered = name
            .rsplit_once('_')
            .filter(|(_, number)| number.parse::<u32>().is_ok());
        PROMPTS.contains(&numbered.map_or(name, |(name, _)| name))
    };
    let is_left = |name: &&str| {
        !READ.contains(name)
            && !OF_THE_RUN.contains(name)
            && !OUTPUT_LENGTHS.contains(name)
            && !is_prompt(name)
    };
    let mut names: Vec<&str> = members.keys().map(String::as_str).filter(is_left).collect();
    names.sort_unstable();
    names
}

/// What a record asks where it has no text as its prompt: token ids, several prompts, or the parts of a message.
fn without_text(members: &Members) -> Option<Conversation> {
    let list = |name: &str| {
        members
            .get(name)?
            .as_array()
            .filter(|list| !list.is_empty())
    };
    let all = |list: &Vec<Value>, is_one: fn(&Value) -> bool| list.iter().all(is_one);
    let is_id = |id: &Value| id.as_u64().is_some_and(|id| u32::try_from(id).is_ok());
    for name in ["prompt_token_ids", "input_ids", "prompt"] {
        if let Some(ids) = list(name).filter(|list| all(list, is_id)) {
            return Some(Conversation::default().turn("prompt_token_ids", ids.clone().into()));
        }
    }
    if let Some(texts) = list("prompt").filter(|list| all(list, Value::is_string)) {
        return Some(Conversation::default().turn("texts", texts.clone().into()));
    }
    let parts = list("content").filter(|list| all(list, |part| part["type"].is_string()))?;
    let message = json!({"role": "user", "content": parts});
    Some(Conversation::of_messages(vec![message]))
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
        _ => match media::message(members, field)? {
            Some(message) => Conversation::of_messages(vec![message]),
            None => of_prompts(members, field)?,
        },
    };
    with_the_rest(conversation, members)
}

/// The prompt of a record without messages, images and audio, or what it has in place of one.
fn of_prompts(members: &mut Members, field: Option<&str>) -> Result<Conversation, String> {
    let is_text = |name: &&str| members.get(*name).is_some_and(Value::is_string);
    if field.is_none() && !PROMPTS.iter().any(is_text) {
        if let Some(prompts) = numbered_prompts(members) {
            let turns = prompts.into_iter();
            return Ok(turns.fold(Conversation::default(), Conversation::prompt));
        }
        if let Some(conversation) = without_text(members) {
            return Ok(conversation);
        }
    }
    Ok(Conversation::of_prompt(prompt_of(members, field)?))
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
    fn what_a_record_has_beside_its_prompt_is_kept_under_every_name() {
        let function = json!({"name": "f", "parameters": {}});
        let line = json!({"prompt": "p", "prefix": "s", "functions": [function]});
        assert_eq!(
            read::<JsonLines>(&line),
            Ok(json!({
                "turns": [{"prompt": "p"}],
                "system": "s",
                "tools": [{"type": "function", "function": function}],
            }))
        );
        let line = json!({"context": "c", "question": "q"});
        assert_eq!(
            read::<JsonLines>(&line),
            Ok(json!({"turns": [{"prompt": "q"}]}))
        );
    }

    #[test]
    fn a_prompt_may_be_no_single_text() {
        let parts = json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "a.png"}}]);
        for (line, turns) in [
            (
                json!({"prompt_0": "a", "prompt_1": "b"}),
                json!([{"prompt": "a"}, {"prompt": "b"}]),
            ),
            (
                json!({"turn_1": "a", "turn_2": "b"}),
                json!([{"prompt": "a"}, {"prompt": "b"}]),
            ),
            (
                json!({"prompt_token_ids": [1, 2]}),
                json!([{"prompt_token_ids": [1, 2]}]),
            ),
            (
                json!({"input_ids": [1, 2]}),
                json!([{"prompt_token_ids": [1, 2]}]),
            ),
            (
                json!({"prompt": [1, 2]}),
                json!([{"prompt_token_ids": [1, 2]}]),
            ),
            (
                json!({"prompt": ["a", "b"]}),
                json!([{"texts": ["a", "b"]}]),
            ),
            (
                json!({"content": parts}),
                json!([{"messages": [{"role": "user", "content": parts}]}]),
            ),
        ] {
            assert_eq!(
                read::<JsonLines>(&line),
                Ok(json!({"turns": turns})),
                "{line}"
            );
            assert!(JsonLines::recognises(&head(&line.to_string())), "{line}");
            assert!(JsonArray::recognises(&head(&format!("[{line}]"))), "{line}");
        }
        for wrong in [
            json!({"prompt": [-1]}),
            json!({"prompt": []}),
            json!({"prompt": ["a", 1]}),
        ] {
            assert!(!JsonLines::recognises(&head(&wrong.to_string())), "{wrong}");
            assert!(read::<JsonLines>(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts_in_an_array_are_prompts() {
        assert!(JsonArray::recognises(&head("[\"a\", \"b\"]")));
        assert!(!JsonLines::recognises(&head("[\"a\", \"b\"]")));
        assert_eq!(
            read::<JsonArray>(&json!("a")),
            Ok(json!({"turns": [{"prompt": "a"}]}))
        );
        assert!(read::<JsonArray>(&json!(1)).is_err());
    }

    #[test]
    fn members_of_a_recorded_body_that_are_not_sent_are_known() {
        let mut body = json!({
            "model": "z", "messages": [{"role": "user", "content": "a"}], "stream": true, "max_tokens": 5,
            "temperature": 1, "foo": 1, "n": 2,
        });
        let members = body.as_object_mut().unwrap();
        conversation_in(members, None).unwrap();
        assert_eq!(left_out(members), ["foo", "n"]);
        for (mut record, names) in [
            (
                json!({"prompt": "a", "foo": 1, "seed": 1, "max_tokens": 2}),
                &["foo"][..],
            ),
            (
                json!({"prompt_0": "a", "prompt_1": "b", "id_1": 1}),
                &["id_1"],
            ),
            (json!({"prompt_token_ids": [1]}), &[]),
            (
                json!({"instruction": "a", "input": "b", "output": "c"}),
                &["output"],
            ),
        ] {
            let members = record.as_object_mut().unwrap();
            conversation_in(members, None).unwrap();
            assert_eq!(left_out(members), names);
        }
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
