//! Sampling parameters of a data set in the words of an API.

use crate::host::log;
use crate::item::Item;
use crate::{Map, Value};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a record of a data set may have of how its answer is drawn, under the names of OpenAI's chat completions and of
/// vLLM, whatever API its requests go to.
pub const SAMPLING: [&str; 17] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "stop",
    "stop_token_ids",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "logit_bias",
    "min_tokens",
    "ignore_eos",
    "response_format",
    "tool_choice",
    "reasoning_effort",
    "chat_template_kwargs",
];

/// What an answer has to be, as `response_format` says it.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerFormat {
    /// Any JSON.
    Json,
    /// JSON of this schema.
    Schema(Value),
}

impl Item {
    /// Takes `response_format` out of the parameters of the data set. `None`: there is none, it is `text`, or it stays
    /// since it is of another kind, which [`Self::spell_sampling`] says.
    ///
    /// ```
    /// use llmuses_plugin::{AnswerFormat, Item, json};
    ///
    /// let mut item = Item::of_prompt("hi");
    /// let format = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}});
    /// item.parameters.insert("response_format".to_owned(), format);
    /// let schema = json!({"type": "object"});
    /// assert_eq!(item.take_answer_format(), Some(AnswerFormat::Schema(schema)));
    /// assert!(item.parameters.is_empty());
    /// ```
    pub fn take_answer_format(&mut self) -> Option<AnswerFormat> {
        const NAME: &str = "response_format";
        let given = self.parameters.get(NAME).filter(|_| self.body.is_none())?;
        let schema = &given["json_schema"]["schema"];
        let format = match given["type"].as_str()? {
            "text" => None,
            "json_object" => Some(AnswerFormat::Json),
            "json_schema" if schema.is_object() => Some(AnswerFormat::Schema(schema.clone())),
            _ => return None,
        };
        self.parameters.shift_remove(NAME);
        format
    }

    /// Spells the [sampling parameters](SAMPLING) of the data set as an API does. `names` has its name for each that it
    /// knows, with `[]` behind one whose value is always a list; `into` is the object of the body in which they lie, or
    /// empty. Those that the API does not know are left out, and each is said once. Other parameters stay as they are.
    ///
    /// ```
    /// use llmuses_plugin::{Item, json};
    ///
    /// let mut item = Item::of_prompt("hi");
    /// item.parameters.insert("stop".to_owned(), json!("end"));
    /// item.spell_sampling("options", &[("stop", "stop_sequences[]")]);
    /// assert_eq!(item.parameters["options"], json!({"stop_sequences": ["end"]}));
    /// ```
    pub fn spell_sampling(&mut self, into: &str, names: &[(&str, &str)]) {
        // A whole body is sent as it is.
        if self.body.is_some() {
            return;
        }
        let (mut spelled, mut unknown) = (Map::new(), Vec::new());
        for name in SAMPLING {
            let Some(value) = self.parameters.shift_remove(name) else {
                continue;
            };
            match names.iter().find(|(known, _)| *known == name) {
                Some((_, own)) => {
                    let (own, value) = match (own.strip_suffix("[]"), value) {
                        (Some(own), list @ Value::Array(_)) => (own, list),
                        (Some(own), one) => (own, Value::Array(vec![one])),
                        (None, value) => (*own, value),
                    };
                    spelled.insert(own.to_owned(), value);
                }
                None => unknown.push(name),
            }
        }
        say_what_is_left_out(&unknown);
        if into.is_empty() {
            self.parameters.extend(spelled);
        } else if !spelled.is_empty() {
            let inner = self
                .parameters
                .entry(into)
                .or_insert_with(|| Map::new().into());
            if let Value::Object(inner) = inner {
                inner.extend(spelled);
            }
        }
    }
}

/// Says each of these once.
fn say_what_is_left_out(names: &[&str]) {
    /// A bit for each place in [`SAMPLING`].
    static SAID: AtomicU32 = AtomicU32::new(0);
    let of = |name: &&str| SAMPLING.iter().position(|known| known == name);
    let bits = names
        .iter()
        .filter_map(of)
        .fold(0, |bits, place| bits | 1 << place);
    let said = SAID.fetch_or(bits, Ordering::Relaxed);
    let is_new = |name: &&&str| of(name).is_some_and(|place| said & (1 << place) == 0);
    let names: Vec<&str> = names.iter().filter(is_new).copied().collect();
    if !names.is_empty() {
        log::warn(&format!(
            "what the data set says of {} is left out: this parser does not know how the API says it",
            names.join(", ")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn spelled(parameters: Value, into: &str) -> Value {
        let mut item = Item::of_prompt("a");
        item.parameters = parameters.as_object().unwrap().clone();
        item.spell_sampling(into, &[("temperature", "temperature"), ("stop", "ends[]")]);
        item.parameters.into()
    }

    #[test]
    fn known_parameters_have_the_names_of_the_api_and_unknown_ones_are_left_out() {
        let given = json!({"temperature": 0.5, "stop": "x", "tool_choice": "auto", "own": 1});
        assert_eq!(
            spelled(given.clone(), ""),
            json!({"own": 1, "temperature": 0.5, "ends": ["x"]})
        );
        assert_eq!(
            spelled(given, "config"),
            json!({"own": 1, "config": {"temperature": 0.5, "ends": ["x"]}})
        );
        assert_eq!(spelled(json!({"tool_choice": "auto"}), "config"), json!({}));
        assert_eq!(
            spelled(json!({"config": {"k": 1}, "stop": ["y"]}), "config"),
            json!({"config": {"k": 1, "ends": ["y"]}})
        );
    }
}
