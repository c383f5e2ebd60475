//! A conversation, as a format makes it of an entry.

use crate::{Map, Value, json};

/// A conversation of one turn or more, as it is asked of a model: an entry in the words of the contract.
///
/// ```
/// use llmuses_plugin::Conversation;
///
/// let conversation = Conversation::of_prompt("Why?").output_tokens(64).prompt("And why that?");
/// assert_eq!(
///     conversation.to_json().to_string(),
///     r#"{"turns":[{"prompt":"Why?","output_tokens":64},{"prompt":"And why that?"}]}"#
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conversation {
    turns: Vec<Value>,
    others: Map<String, Value>,
}

impl Conversation {
    /// A conversation whose first turn is a text of the user.
    pub fn of_prompt(text: impl Into<String>) -> Self {
        Self::default().prompt(text)
    }

    /// A conversation whose first turn is chat messages, oldest first, each as OpenAI's API takes them.
    pub fn of_messages(messages: Vec<Value>) -> Self {
        Self::default().turn("messages", Value::Array(messages))
    }

    /// Adds a turn that is a text of the user.
    pub fn prompt(self, text: impl Into<String>) -> Self {
        self.turn("prompt", Value::String(text.into()))
    }

    /// Adds a turn of one member of `wit/entry.schema.json`: `texts`, `prompt_token_ids`, `body` and others.
    pub fn turn(mut self, member: &str, value: Value) -> Self {
        self.turns.push(json!({ member: value }));
        self
    }

    /// Adds a member to the last turn: `documents` beside a `query`, `delay`.
    pub fn also(mut self, member: &str, value: Value) -> Self {
        if let Some(turn) = self.turns.last_mut() {
            turn[member] = value;
        }
        self
    }

    /// The most tokens of the answer to the last turn.
    pub fn output_tokens(self, tokens: u64) -> Self {
        self.also("output_tokens", tokens.into())
    }

    /// A member of the whole: `system`, `tools`, `model`, `parameters`, `session`, `at`.
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.others.insert(member.to_owned(), value);
        self
    }

    /// Adds members of the body, beside those that there are.
    pub fn parameters(mut self, more: Map<String, Value>) -> Self {
        if more.is_empty() {
            return self;
        }
        match self.others.get_mut("parameters") {
            Some(Value::Object(known)) => known.extend(more),
            _ => return self.with("parameters", Value::Object(more)),
        }
        self
    }

    /// Whether anything is asked in it.
    pub fn has_turns(&self) -> bool {
        !self.turns.is_empty()
    }

    /// The whole as JSON, as the host gets it.
    pub fn to_json(&self) -> Value {
        let mut whole = Map::new();
        whole.insert("turns".to_owned(), Value::Array(self.turns.clone()));
        whole.extend(self.others.clone());
        Value::Object(whole)
    }

    pub(super) fn into_json(self) -> Value {
        let mut whole = Map::new();
        whole.insert("turns".to_owned(), Value::Array(self.turns));
        whole.extend(self.others);
        Value::Object(whole)
    }
}
