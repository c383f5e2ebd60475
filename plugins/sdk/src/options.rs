//! What the user asked for, read and checked once, before the first request is made.

use crate::Prompt;
use crate::bindings::first::llmuses::perf::types;
use crate::json::from_str;
use serde_json::{Map, Value};

/// What the user asked for, as far as request bodies depend on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The name of the model.
    pub model: String,
    /// The prompt of `--prompt`. Where there is one, the data set is not read.
    pub prompt: Option<Prompt>,
    /// Whether there is a data set to read.
    pub has_dataset: bool,
    /// Only prompts of more Unicode scalar values than this are wanted.
    pub min_length: u64,
    /// Only prompts of fewer Unicode scalar values than this are wanted.
    pub max_length: u64,
    /// What `--parameters` gave, in the order given. See [`merge`] for what a `null` means.
    pub parameters: Map<String, Value>,
}

impl Default for Options {
    /// No model, no prompt, no data set, no limits, no parameters: where tests start from.
    fn default() -> Self {
        Self {
            model: String::new(),
            prompt: None,
            has_dataset: false,
            min_length: 0,
            max_length: u64::MAX,
            parameters: Map::new(),
        }
    }
}

impl Options {
    /// Why the length of this prompt keeps it out of the run, in the words in which it is counted; `None` if
    /// it is wanted. Both limits are strict, and meant for prompts of a data set.
    pub fn unwanted(&self, prompt: &Prompt) -> Option<&'static str> {
        let length = prompt.length();
        if length <= self.min_length {
            Some("not longer than the minimum")
        } else if length >= self.max_length {
            Some("not shorter than the maximum")
        } else {
            None
        }
    }
}

impl TryFrom<types::RequestOptions> for Options {
    type Error = String;

    fn try_from(options: types::RequestOptions) -> Result<Self, String> {
        let prompt = match options.prompt {
            None => None,
            Some(types::Prompt::Text(text)) => Some(Prompt::Text(text)),
            Some(types::Prompt::Messages(text)) => Some(Prompt::from_messages_json(&text)?),
        };
        Ok(Self {
            model: options.model,
            prompt,
            has_dataset: options.has_dataset,
            min_length: options.min_length,
            max_length: options.max_length,
            parameters: parameters(&options.parameters)?,
        })
    }
}

/// The parameters out of their JSON text; no text at all is no parameters.
pub(crate) fn parameters(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match from_str(text) {
        Ok(Value::Object(parameters)) => Ok(parameters),
        Ok(_) => Err("the parameters are not a JSON object".to_owned()),
        Err(error) => Err(crate::json::explain(
            "the parameters",
            text.as_bytes(),
            &error,
        )),
    }
}

/// Lays `over` on top of `base`, key by key: a value takes the place of the one that was there, a new key
/// comes last, and `null` takes a key away. Objects inside are replaced, not merged.
pub fn merge(base: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        if value.is_null() {
            // Not `remove`, which would put the last key in the gap.
            base.shift_remove(key);
        } else {
            base.insert(key.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn contract(prompt: Option<types::Prompt>, parameters: &str) -> types::RequestOptions {
        types::RequestOptions {
            model: "m".to_owned(),
            prompt,
            has_dataset: true,
            min_length: 1,
            max_length: 9,
            parameters: parameters.to_owned(),
        }
    }

    #[test]
    fn everything_comes_over() {
        let given = contract(
            Some(types::Prompt::Messages("[1]".to_owned())),
            r#"{"z":1,"a":null}"#,
        );
        let options = Options::try_from(given).expect("valid");
        assert_eq!(options.prompt, Some(Prompt::Messages(vec![json!(1)])));
        assert_eq!(
            (options.min_length, options.max_length, options.has_dataset),
            (1, 9, true)
        );
        assert_eq!(
            Value::Object(options.parameters).to_string(),
            r#"{"z":1,"a":null}"#
        );
    }

    #[test]
    fn parameters_must_be_an_object() {
        let error = |text| Options::try_from(contract(None, text)).expect_err("not an object");
        assert_eq!(error("[]"), "the parameters are not a JSON object");
        assert_eq!(
            error("{"),
            "the parameters, column 1: not valid JSON: EOF while parsing an object"
        );
        assert!(Options::try_from(contract(None, " ")).is_ok_and(|o| o.parameters.is_empty()));
    }

    #[test]
    fn both_limits_are_strict() {
        let options = Options {
            min_length: 2,
            max_length: 4,
            ..Options::default()
        };
        assert_eq!(
            options.unwanted(&"ab".into()),
            Some("not longer than the minimum")
        );
        assert_eq!(options.unwanted(&"äöü".into()), None);
        assert_eq!(
            options.unwanted(&"abcd".into()),
            Some("not shorter than the maximum")
        );
    }

    #[test]
    fn merging_keeps_the_order_and_null_removes() {
        let (mut base, over) = (
            json!({"a": 1, "b": {"x": 1}, "c": 3, "d": 4}),
            json!({"a": null, "e": null, "b": {"y": 2}, "f": 6}),
        );
        if let (Some(base), Some(over)) = (base.as_object_mut(), over.as_object()) {
            merge(base, over);
        }
        assert_eq!(base.to_string(), r#"{"b":{"y":2},"c":3,"d":4,"f":6}"#);
    }
}
