//! The prompt in the body of a request, as one text: two prompts that begin alike give texts that begin alike.

use serde_json::Value;

/// What a model reads of a body, in the order in which it reads it; all of the body where it is of no known kind.
pub(super) fn prompt_of(body: &str) -> String {
    let Ok(Value::Object(members)) = serde_json::from_str(body) else {
        return body.to_owned();
    };
    let mut text = String::new();
    for name in ["system", "instructions", "tools", "system_instruction"] {
        if let Some(value) = members.get(name) {
            push(&mut text, value);
        }
    }
    let begin = text.len();
    for name in ["messages", "prompt", "contents", "input", "inputs"] {
        if let Some(value) = members.get(name) {
            push(&mut text, value);
        }
    }
    match text.len() > begin {
        true => text,
        false => body.to_owned(),
    }
}

/// The most output tokens that a body asks for.
pub(super) fn most_output(body: &Value) -> Option<u64> {
    [
        "max_completion_tokens",
        "max_tokens",
        "max_output_tokens",
        "max_new_tokens",
    ]
    .iter()
    .find_map(|name| body[*name].as_u64())
}

fn push(text: &mut String, value: &Value) {
    match value {
        Value::String(string) => {
            text.push_str(string);
            text.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| push(text, item)),
        // The role, and what was said.
        Value::Object(members) => members.values().for_each(|member| push(text, member)),
        Value::Null => {}
        other => {
            text.push_str(&other.to_string());
            text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_longer_conversation_begins_as_the_shorter_one() {
        let message = |role: &str, text: &str| json!({"role": role, "content": text});
        let (one, two, three) = (
            message("user", "a"),
            message("assistant", "b"),
            message("user", "c"),
        );
        let short = json!({"model": "m", "messages": [one], "max_tokens": 5}).to_string();
        let long = json!({"model": "x", "messages": [one, two, three]}).to_string();
        assert_eq!(prompt_of(&short), "user\na\n");
        assert!(prompt_of(&long).starts_with(&prompt_of(&short)));
        assert_eq!(prompt_of(r#"{"prompt": [1, 2]}"#), "1\n2\n");
        assert_eq!(prompt_of("no JSON"), "no JSON");
        let other = r#"{"query": "x"}"#;
        assert_eq!(prompt_of(other), other);
    }
}
