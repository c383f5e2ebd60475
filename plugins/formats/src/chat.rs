//! Conversations of several turns, as they were recorded: each answer in them is history of the turns after it.

use crate::record::{Members, with_the_rest};
use llmuses_plugin::{
    Conversation, Conversations, Entry, Format, Head, Source, Value, conversations_of, json,
};

/// ShareGPT: `conversations` of `from` and `value`, or `conversation` of `human` and `assistant`.
pub(crate) struct ShareGpt;

/// A record is the array of the messages.
pub(crate) struct MultiTurn;

impl Format for ShareGpt {
    const NAME: &'static str = "sharegpt";
    const DESCRIPTION: &'static str = "JSON lines or one JSON array of conversations in `conversations` or `conversation`, as of ShareGPT";
    const SOURCE: Source = Source::Json;

    fn recognises(head: &Head<'_>) -> bool {
        match head.first_record() {
            Some(Value::Object(members)) => messages_of(&members).is_ok(),
            _ => head
                .cut_record()
                .is_some_and(|text| has(text, b"\"conversations\"") && has(text, b"\"from\"")),
        }
    }

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        let mut members: Members = entry.json()?;
        let messages = messages_of(&members).map_err(|reason| entry.error(reason))?;
        with_the_rest(turns_of(messages), &mut members).map_err(|reason| entry.error(reason))
    }
}

impl Format for MultiTurn {
    const NAME: &'static str = "multi_turn";
    const DESCRIPTION: &'static str = "JSON lines, or the items of one JSON array, each the array of the messages of a conversation";
    const SOURCE: Source = Source::Json;

    fn recognises(head: &Head<'_>) -> bool {
        is_line_of_messages(head)
            || head
                .first_record()
                .is_some_and(|record| has_messages(&record))
    }

    fn open(head: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        // Such a line begins as an array of conversations does.
        let source = match is_line_of_messages(head) {
            true => Source::JsonLines,
            false => Source::Json,
        };
        Ok(Box::new(conversations_of::<Self>(source.entries(head)?)))
    }

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        let messages: Vec<Value> = entry.json()?;
        if !messages.iter().all(is_message) {
            return Err(entry.error("an item of it is no message with a `role`"));
        }
        Ok(turns_of(messages))
    }
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Whether the first line is the array of the messages of a conversation. Of a line that is longer than the beginning of
/// the file, its first message has to do.
fn is_line_of_messages(head: &Head<'_>) -> bool {
    let (line, is_whole) = head.first_line();
    if !is_whole && head.is_array() {
        return match head.first_record() {
            Some(first) => is_message(&first),
            None => has(line, b"\"role\""),
        };
    }
    let text = std::str::from_utf8(line).ok();
    let value = text.and_then(|text| text.parse::<Value>().ok());
    value.is_some_and(|value| has_messages(&value))
}

fn has_messages(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.iter().any(is_message))
}

fn is_message(value: &Value) -> bool {
    value["role"].is_string()
}

/// The messages of a record of ShareGPT, in OpenAI's form.
fn messages_of(members: &Members) -> Result<Vec<Value>, String> {
    let name = match ["conversations", "conversation"]
        .into_iter()
        .find(|name| members.contains_key(*name))
    {
        Some(name) => name,
        None => return Err("neither \"conversations\" nor \"conversation\"".to_owned()),
    };
    let Value::Array(said) = &members[name] else {
        return Err(format!("\"{name}\" is not a list"));
    };
    let mut messages = Vec::with_capacity(said.len());
    for (number, part) in (1..).zip(said) {
        let text = |name: &str| part[name].as_str();
        if text("human").is_some() || text("assistant").is_some() {
            for (name, role) in [("human", "user"), ("assistant", "assistant")] {
                messages.extend(text(name).map(|text| json!({"role": role, "content": text})));
            }
            continue;
        }
        let (Some(from), Some(value)) = (
            text("from").or(text("role")),
            text("value").or(text("content")),
        ) else {
            return Err(format!(
                "part {number} of \"{name}\" has neither `from` and `value` nor `human` and `assistant`"
            ));
        };
        let role = match from {
            "human" | "user" => "user",
            "gpt" | "assistant" | "chatgpt" | "bing" | "bard" | "model" => "assistant",
            "system" => "system",
            "tool" | "observation" | "function_response" => "tool",
            other => return Err(format!("part {number} of \"{name}\" is from `{other}`")),
        };
        messages.push(json!({"role": role, "content": value}));
    }
    Ok(messages)
}

/// A turn for each answer, of what is asked before it, and one for what is asked behind the last. Answers before
/// anything was asked are left out, as model servers refuse them. ShareGPT has conversations in which nobody asks anything:
/// they have no turns.
fn turns_of(messages: Vec<Value>) -> Conversation {
    let mut conversation = Conversation::default();
    let (mut pending, mut is_asked, mut has_asked) = (Vec::new(), false, false);
    for message in messages {
        if message["role"] == "assistant" {
            if is_asked {
                conversation = conversation.turn("messages", Value::Array(pending));
                pending = Vec::new();
                is_asked = false;
            }
            if !has_asked {
                continue;
            }
        } else if message["role"] != "system" {
            is_asked = true;
            has_asked = true;
        }
        pending.push(message);
    }
    if is_asked {
        conversation = conversation.turn("messages", Value::Array(pending));
    }
    conversation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{head, read};
    use llmuses_plugin::Entries;

    fn said(role: &str, content: &str) -> Value {
        json!({"role": role, "content": content})
    }

    #[test]
    fn both_spellings_of_sharegpt_are_the_same() {
        let turns = json!({"turns": [
            {"messages": [said("user", "a")]},
            {"messages": [said("assistant", "b"), said("user", "c")]},
        ]});
        for record in [
            json!({"id": "x", "conversations": [
                {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"},
                {"from": "human", "value": "c"}, {"from": "gpt", "value": "d"},
            ]}),
            json!({"conversation": [
                {"human": "a", "assistant": "b"}, {"human": "c", "assistant": "d"},
            ]}),
            json!({"conversations": [said("user", "a"), said("assistant", "b"), said("user", "c")]}),
            json!({"conversations": [
                {"from": "gpt", "value": "welcome"},
                {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"},
                {"from": "human", "value": "c"},
            ]}),
        ] {
            assert_eq!(read::<ShareGpt>(&record), Ok(turns.clone()), "{record}");
            assert!(ShareGpt::recognises(&head(&record.to_string())));
            assert!(ShareGpt::recognises(&head(&format!("[{record},"))));
        }
    }

    #[test]
    fn the_array_of_messages_is_a_conversation() {
        let messages = json!([
            said("system", "s"),
            said("user", "a"),
            {"role": "assistant", "tool_calls": [{"id": "1"}]},
            {"role": "tool", "tool_call_id": "1", "content": "9"},
        ]);
        assert_eq!(
            read::<MultiTurn>(&messages),
            Ok(json!({"turns": [
                {"messages": [messages[0], messages[1]]},
                {"messages": [messages[2], messages[3]]},
            ]}))
        );
        assert!(MultiTurn::recognises(&head(&format!(
            "{messages}\n{messages}\n"
        ))));
        assert!(MultiTurn::recognises(&head(&format!("[\n{messages},\n"))));
        assert!(!MultiTurn::recognises(&head("[{\"prompt\": \"a\"}]")));
        let long = "long ".repeat(400_000);
        for (text, is_it) in [
            (json!([said("system", &long)]), true),
            (json!([said("system", "s"), said("user", &long)]), true),
            (json!([{"prompt": long}]), false),
        ] {
            assert_eq!(MultiTurn::recognises(&head(&text.to_string())), is_it);
        }
    }

    #[test]
    fn a_conversation_without_a_question_is_passed_over() {
        for said in [json!([]), json!([{"from": "gpt", "value": "a"}])] {
            let record = json!({"conversations": said}).to_string();
            let mut all = conversations_of::<ShareGpt>(Entries::from_lines([record]));
            assert_eq!(all.next_conversation(), None);
            assert_eq!(all.skipped().len(), 1);
        }
    }

    #[test]
    fn what_is_no_conversation_is_said() {
        for (record, said) in [
            (
                json!({"conversations": 1}),
                "line 1: \"conversations\" is not a list",
            ),
            (
                json!({"conversations": [{"from": "human"}]}),
                "line 1: part 1 of \"conversations\" has neither",
            ),
            (
                json!({"conversations": [{"from": "me", "value": "a"}]}),
                "line 1: part 1 of \"conversations\" is from `me`",
            ),
        ] {
            let error = read::<ShareGpt>(&record).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
