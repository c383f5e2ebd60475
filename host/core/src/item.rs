//! The two neutral forms between what is sent and how an API spells it. An [`Entry`] is what a source gives: a
//! conversation of one turn or more. An [`Item`] is what one request asks. Both cross the boundary to plugins as JSON
//! texts; `wit/entry.schema.json` and `wit/item.schema.json` are made of the types here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a source of requests gives: a conversation, with what all of its turns share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The turns, in their order; one at least. Each becomes a request.
    #[schemars(length(min = 1))]
    pub turns: Vec<Turn>,
    /// The text of a system message that comes before all turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Tools that the model may call, each as OpenAI's chat completions have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
    /// A model in place of the one of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Members of the request body. Sampling parameters have OpenAI's names, and API plugins spell them as the API does; others
    /// are as the API has them. Those of `--parameters` go over them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// The name of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// When the first turn is due, in seconds from the start of the run: of traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
}

/// One turn of a conversation. It has one of `messages`, `prompt`, `prompt_token_ids`, `texts`, `query` with
/// `documents`, and `body`; or lengths alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Messages to add to those of the turns before, each as OpenAI's chat completions have it. One of the model may be
    /// among them, as it was recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Value>,
    /// The text of one message of the user, or the prompt of an API without messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// A prompt as the ids of its tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompt_token_ids: Vec<u32>,
    /// Texts to embed, or several prompts of one request to an API that takes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<String>,
    /// What `documents` are to be ranked by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Documents to rank: texts, or objects as the API has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Value>,
    /// The whole body of the request, which is sent as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Tokens of the prompt, where only its length is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// The blocks of a prompt of which only the length is known: prompts share as long a beginning as these lists do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hash_ids: Vec<u64>,
    /// How many tokens a block of `hash_ids` has; the last one may have fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_tokens: Option<u64>,
    /// The most tokens of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Seconds between the end of the turn before and this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<f64>,
}

impl Turn {
    /// Whether it has nothing but lengths.
    pub fn asks_nothing(&self) -> bool {
        self.messages.is_empty()
            && self.prompt.is_none()
            && self.prompt_token_ids.is_empty()
            && self.texts.is_empty()
            && self.query.is_none()
            && self.documents.is_empty()
            && self.body.is_none()
    }
}

/// What one request asks. It has one of `messages`, `prompt`, `prompt_token_ids`, `texts`, `query` with `documents`, and
/// `body`. A plugin passes over members that it does not know: later versions of the load tester may have more.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    /// The conversation so far, each message as OpenAI's chat completions have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Value>,
    /// A text: one message of the user, or the prompt of an API without messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// A prompt as the ids of its tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompt_token_ids: Vec<u32>,
    /// Texts to embed, or several prompts of one request to an API that takes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<String>,
    /// What `documents` are to be ranked by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Documents to rank: texts, or objects as the API has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Value>,
    /// The whole body of the request, to be sent as it is. Only `--model` and `--parameters` go over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Tools that the model may call, each as OpenAI's chat completions have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
    /// How long the answer is to be. Absent: as the API has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputLength>,
    /// A model in place of the one of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Members of the request body. Sampling parameters have OpenAI's names, and API plugins spell them as the API does; others
    /// are as the API has them. Those of `--parameters` go over them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
}

/// How many tokens an answer is to have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputLength {
    /// The most tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// The fewest tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// Whether the answer is to have exactly `max` tokens: nothing that the model produces ends it before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
}

impl Item {
    /// An item of one text.
    pub fn of_prompt(prompt: impl Into<String>) -> Self {
        Self {
            prompt: Some(prompt.into()),
            ..Self::default()
        }
    }

    /// Whether it asks nothing beside messages and a prompt.
    pub fn has_no_content(&self) -> bool {
        self.prompt_token_ids.is_empty()
            && self.texts.is_empty()
            && self.query.is_none()
            && self.documents.is_empty()
            && self.body.is_none()
    }

    /// Whether its length says how much it asks: not that of ids of tokens, of a body that is sent as it is, or of
    /// messages that have images or audio and no text.
    pub fn is_measured_by_length(&self) -> bool {
        self.prompt_token_ids.is_empty()
            && self.body.is_none()
            && !(self.has_other_than_text() && self.length() == 0)
    }

    /// Whether a message has a part that is no text: an image, audio.
    fn has_other_than_text(&self) -> bool {
        self.messages
            .iter()
            .filter_map(|message| message["content"].as_array())
            .flatten()
            .any(|part| part.is_object() && part["text"].is_null())
    }

    /// The length of what it asks in Unicode scalar values: of messages, that of their texts.
    pub fn length(&self) -> u64 {
        let length = |text: &str| text.chars().count() as u64;
        let texts = self.prompt.iter().chain(&self.texts).chain(&self.query);
        let texts: u64 = texts.map(|text| length(text)).sum();
        let documents: u64 = self
            .documents
            .iter()
            .filter_map(Value::as_str)
            .map(length)
            .sum();
        let contents = |message: &Value| match &message["content"] {
            Value::String(text) => length(text),
            Value::Array(parts) => {
                let texts = parts.iter().filter_map(|part| part["text"].as_str());
                texts.map(length).sum()
            }
            _ => 0,
        };
        texts + documents + self.messages.iter().map(contents).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::SchemaGenerator;
    use schemars::generate::SchemaSettings;
    use serde_json::json;

    /// Holds a file beside the contract against the schema of a type.
    fn is_published<T: JsonSchema>(name: &str) {
        let generator: SchemaGenerator = SchemaSettings::draft2020_12().for_serialize().into();
        let mut schema = generator.into_root_schema_for::<T>();
        schema.insert("$id".to_owned(), json!(format!("urn:llmuses:{name}:0.2")));
        let text = format!("{:#}\n", schema.to_value());
        let file = format!(
            "{}/../../wit/{name}.schema.json",
            env!("CARGO_MANIFEST_DIR")
        );
        if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
            std::fs::write(&file, &text).unwrap();
        }
        let published = std::fs::read_to_string(&file).unwrap();
        assert!(
            published == text,
            "{file} is not that of the type: run this test with INSTA_UPDATE=always"
        );
    }

    #[test]
    fn the_published_schemas_of_entry_and_item_are_those_of_the_types() {
        is_published::<Entry>("entry");
        is_published::<Item>("item");
    }

    #[test]
    fn an_entry_with_a_member_that_nobody_knows_is_refused() {
        let error = serde_json::from_str::<Entry>(r#"{"turns":[{"promt":"x"}]}"#).unwrap_err();
        assert!(
            error.to_string().contains("unknown field `promt`"),
            "{error}"
        );
    }

    #[test]
    fn the_length_is_that_of_all_texts() {
        let item = Item {
            messages: vec![
                json!({"role": "user", "content": "né😀"}),
                json!({"role": "user", "content": [{"type": "text", "text": "ab"}, {"type": "image_url"}]}),
            ],
            ..Item::default()
        };
        assert_eq!(item.length(), 5);
        assert_eq!(Item::of_prompt("né😀").length(), 3);
    }

    #[test]
    fn the_length_measures_text_and_neither_audio_nor_images_alone() {
        let of_parts = |parts: Value| Item {
            messages: vec![json!({"role": "user", "content": parts})],
            ..Item::default()
        };
        let audio =
            json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}});
        let text = json!({"type": "text", "text": "What is said?"});
        let empty = json!({"type": "text", "text": ""});
        assert!(!of_parts(json!([audio])).is_measured_by_length());
        assert!(!of_parts(json!([empty, audio])).is_measured_by_length());
        assert!(of_parts(json!([text, audio])).is_measured_by_length());
        assert!(of_parts(json!([empty])).is_measured_by_length());
        assert!(Item::of_prompt("").is_measured_by_length());
    }
}
