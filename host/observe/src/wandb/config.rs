//! The configuration of a run in the form in which it is logged.

use serde_json::{Map, Value, json};

/// Of longer texts, only the beginning goes along: a prompt may be a book, and the configuration is
/// shown in a table.
const LONGEST_TEXT: usize = 2000;

/// What a run was configured with, name by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Config {
    values: Map<String, Value>,
}

impl Config {
    pub(super) fn new(config: Value) -> Self {
        let mut values = match config {
            Value::Object(values) => values,
            Value::Null => Map::new(),
            other => Map::from_iter([("config".to_owned(), other)]),
        };
        values.values_mut().for_each(shorten);
        Self { values }
    }

    /// The JSON text of the variable `config`: every value within an object.
    pub(super) fn to_text(&self) -> String {
        let wrapped: Map<String, Value> = self
            .values
            .iter()
            .map(|(name, value)| (name.clone(), json!({ "value": value })))
            .collect();
        Value::Object(wrapped).to_string()
    }

    /// Names and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.values.iter()
    }
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(LONGEST_TEXT) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::Object(values) => values.values_mut().for_each(shorten),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
