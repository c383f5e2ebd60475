//! A prompt: the text of one user message, or a conversation so far.

use serde_json::Value;

/// What a request asks the model.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// The content of a single user message.
    Text(String),
    /// A conversation so far: chat messages, oldest first, each as the API takes them.
    Messages(Vec<Value>),
}

impl Prompt {
    /// A conversation from the JSON text of an array of chat messages.
    ///
    /// # Errors
    /// Where the text is no JSON, or not an array.
    pub fn from_messages_json(text: &str) -> Result<Self, String> {
        match crate::json::from_str(text) {
            Ok(Value::Array(messages)) => Ok(Self::Messages(messages)),
            Ok(_) => Err("the prompt is not a JSON array of chat messages".to_owned()),
            Err(error) => Err(crate::json::explain("the prompt", text.as_bytes(), &error)),
        }
    }

    /// The chat messages, as an array: a text becomes one message of the role `user`.
    pub fn into_messages(self) -> Value {
        match self {
            Self::Text(text) => Value::Array(vec![user_message(text)]),
            Self::Messages(messages) => Value::Array(messages),
        }
    }

    /// Its length in Unicode scalar values. Of a conversation, that of the text of all its messages.
    pub fn length(&self) -> u64 {
        match self {
            Self::Text(text) => length(text),
            Self::Messages(messages) => {
                messages.iter().map(|m| content_length(&m["content"])).sum()
            }
        }
    }
}

/// A message of the user. The text is moved: `json!` would copy it, and a prompt may be a good part of the memory that a
/// plugin has.
pub(crate) fn user_message(text: String) -> Value {
    Value::from_iter([("role", Value::from("user")), ("content", text.into())])
}

impl From<String> for Prompt {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

fn length(text: &str) -> u64 {
    text.chars().count() as u64
}

/// The content of a message is a text, or an array of parts of which some have a `text`.
fn content_length(content: &Value) -> u64 {
    match content {
        Value::String(text) => length(text),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .map(length)
            .sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_becomes_one_user_message() {
        assert_eq!(
            Prompt::from("hi").into_messages(),
            json!([{"role": "user", "content": "hi"}])
        );
    }

    #[test]
    fn a_conversation_stays_as_it_is() {
        let text = r#"[{"role":"system","content":"s"},{"role":"user","content":"u","name":"n"}]"#;
        let prompt = Prompt::from_messages_json(text).expect("an array");
        assert_eq!(prompt.length(), 2);
        assert_eq!(prompt.into_messages().to_string(), text);
    }

    #[test]
    fn what_is_no_array_is_no_conversation() {
        assert_eq!(
            Prompt::from_messages_json(r#"{"role":"user"}"#),
            Err("the prompt is not a JSON array of chat messages".to_owned())
        );
        assert_eq!(
            Prompt::from_messages_json("[1,"),
            Err("the prompt, column 3: not valid JSON: EOF while parsing a value".to_owned())
        );
    }

    #[test]
    fn length_counts_scalar_values_and_the_text_of_parts() {
        assert_eq!(Prompt::from("né😀").length(), 3);
        let parts = json!({"role": "user", "content": [{"type": "text", "text": "ab"}, {"type": "image_url"}]});
        assert_eq!(Prompt::Messages(vec![parts, json!(7)]).length(), 2);
    }
}
