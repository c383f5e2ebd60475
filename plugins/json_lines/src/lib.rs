//! JSON lines: each has a prompt under one of the usual names, or a conversation in `messages`.

use llmuses_plugin::{Conversation, Entry, Format, Head, Map, Source, Value, export_format};

struct JsonLines;

/// Where a prompt is looked for, in this order.
const PROMPTS: [&str; 4] = ["prompt", "question", "instruction", "text"];

/// Where the most tokens of the answer are looked for.
const OUTPUT_LENGTHS: [&str; 3] = ["max_completion_tokens", "max_tokens", "output_tokens"];

impl Format for JsonLines {
    const NAME: &'static str = "json_lines";
    const DESCRIPTION: &'static str =
        "JSON lines with `messages`, or a prompt in `prompt`, `question`, `instruction` or `text`";
    const SOURCE: Source = Source::JsonLines;

    fn recognises(head: &Head<'_>) -> bool {
        match head.first_object() {
            Some(members) => conversation_in(&members).is_ok(),
            None => {
                // Of a line that is longer than the beginning of the file, its own beginning has to do.
                let (line, is_whole) = head.first_line();
                !is_whole && line.starts_with(b"{")
            }
        }
    }

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        let mut members: Map<String, Value> = entry.json()?;
        let mut conversation = conversation_in(&members).map_err(|reason| entry.error(reason))?;
        let length = OUTPUT_LENGTHS
            .iter()
            .find_map(|name| members.get(*name)?.as_u64());
        if let Some(length) = length {
            conversation = conversation.output_tokens(length);
        }
        for name in ["system", "tools"] {
            if let Some(value) = members.remove(name) {
                conversation = conversation.with(name, value);
            }
        }
        Ok(conversation)
    }
}

/// The conversation in the members of a line.
fn conversation_in(members: &Map<String, Value>) -> Result<Conversation, String> {
    match members.get("messages") {
        Some(Value::Array(messages)) if !messages.is_empty() => {
            return Ok(Conversation::of_messages(messages.clone()));
        }
        Some(_) => return Err("\"messages\" is not a list of messages".to_owned()),
        None => {}
    }
    let prompt = PROMPTS
        .iter()
        .find_map(|name| members.get(*name).map(|value| (name, value)));
    match prompt {
        Some((_, Value::String(text))) => Ok(Conversation::of_prompt(text.as_str())),
        Some((name, _)) => Err(format!("\"{name}\" is not a string")),
        None => Err(format!(
            "no prompt: it has neither \"messages\" nor one of {}",
            PROMPTS.join(", ")
        )),
    }
}

export_format!(JsonLines);

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_plugin::{Conversations, Entries, conversations_of};

    fn is_recognised(text: &str) -> bool {
        let bytes = text.as_bytes();
        JsonLines::recognises(&Head {
            bytes: &bytes[..bytes.len().min(64 << 10)],
            file_name: "x",
        })
    }

    fn read(line: &str) -> Result<String, String> {
        let mut all = conversations_of::<JsonLines>(Entries::from_lines([line]));
        let first = all.next_conversation().expect("a line");
        first.map(|conversation| conversation.to_json().to_string())
    }

    #[test]
    fn a_prompt_is_found_under_its_usual_names() {
        for name in PROMPTS {
            let line = format!(r#"{{"id":7,"{name}":"why?"}}"#);
            assert_eq!(
                read(&line).as_deref(),
                Ok(r#"{"turns":[{"prompt":"why?"}]}"#)
            );
            assert!(is_recognised(&format!("\n{line}\nrest")));
        }
    }

    #[test]
    fn a_conversation_keeps_its_system_message_tools_and_length() {
        let line = r#"{"messages":[{"role":"user","content":"a"}],"tools":[{}],"system":"s","max_tokens":9}"#;
        assert_eq!(
            read(line).as_deref(),
            Ok(
                r#"{"turns":[{"messages":[{"role":"user","content":"a"}],"output_tokens":9}],"system":"s","tools":[{}]}"#
            )
        );
    }

    #[test]
    fn a_line_without_a_prompt_says_what_was_looked_for() {
        assert_eq!(
            read("{}"),
            Err("line 1: no prompt: it has neither \"messages\" nor one of prompt, question, instruction, text".to_owned())
        );
        assert_eq!(
            read(r#"{"prompt":1}"#),
            Err("line 1: \"prompt\" is not a string".to_owned())
        );
        for head in ["{}\n", "text\n", "[1]\n", "", "{\"prompt\": 1}\n"] {
            assert!(!is_recognised(head), "{head:?}");
        }
        let long = format!("{{\"prompt\": \"{}", "long ".repeat(20_000));
        assert!(is_recognised(&long));
    }
}
