//! Which conversation a request of a trace belongs to.

use llmuses_plugin::Value;
use std::collections::HashMap;

/// The first request of each conversation, by the requests that follow it.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    first: HashMap<String, String>,
}

impl Sessions {
    /// The name of the conversation of the request `id`, which follows `parent`; none or a negative one is no request.
    pub(crate) fn of(&mut self, id: &Value, parent: Option<&Value>) -> Option<String> {
        let id = name(id)?;
        let session = match parent.and_then(name) {
            // Of a trace that was cut, the beginning may be missing.
            Some(parent) => self.first.get(&parent).cloned().unwrap_or(parent),
            None => id.clone(),
        };
        self.first.insert(id, session.clone());
        Some(session)
    }
}

fn name(id: &Value) -> Option<String> {
    match id {
        Value::String(text) if text != "-1" && !text.is_empty() => Some(text.clone()),
        Value::Number(number) if number.as_f64().is_some_and(|number| number >= 0.0) => {
            Some(number.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_plugin::json;

    #[test]
    fn a_conversation_has_the_name_of_its_first_request() {
        let mut sessions = Sessions::default();
        let mut of = |id: i64, parent: i64| sessions.of(&json!(id), Some(&json!(parent))).unwrap();
        assert_eq!(of(1, -1), "1");
        assert_eq!(of(2, 1), "1");
        assert_eq!(of(3, -1), "3");
        assert_eq!(of(4, 2), "1");
        assert_eq!(of(9, 7), "7");
    }
}
