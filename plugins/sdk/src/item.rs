//! What one request asks, in the neutral form that every API plugin gets.

use crate::host::log;
use crate::options::{merge, parameters};
use crate::prompt::user_message;
use crate::{Map, Value};
use serde::Deserialize;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// What one request asks. It has one of `messages`, `prompt`, `prompt_token_ids`, `texts`, `query` with `documents`,
/// and `body`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Item {
    /// The conversation so far, each message as OpenAI's chat completions have it.
    pub messages: Vec<Value>,
    /// A text: one message of the user, or the prompt of an API without messages.
    pub prompt: Option<String>,
    /// A prompt as the ids of its tokens.
    pub prompt_token_ids: Vec<u32>,
    /// Texts to embed, or several prompts in one request of an API that takes them.
    pub texts: Vec<String>,
    /// What `documents` are to be ranked by.
    pub query: Option<String>,
    /// Documents to rank: texts, or objects as the API has them.
    pub documents: Vec<Value>,
    /// The whole body of the request, to be sent as it is. [`Settings::request_of`] knows what to do with it.
    pub body: Option<Value>,
    /// Tools that the model may call, each as OpenAI's chat completions have it.
    pub tools: Vec<Value>,
    /// How long the answer is to be.
    pub output: OutputLength,
    /// A model in place of the one of the run. [`Settings::model`] knows which it is.
    pub model: Option<String>,
    /// Members of the body. Sampling parameters have OpenAI's names ([`Item::spell_sampling`]), others are as the API has them.
    /// [`Settings::request_of`] adds them.
    pub parameters: Map<String, Value>,
}

/// How many tokens an answer is to have. Each API has its own words for that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct OutputLength {
    /// The most tokens.
    pub max: Option<u64>,
    /// The fewest tokens.
    pub min: Option<u64>,
    /// Whether the answer is to have exactly `max` tokens: nothing that the model produces ends it before.
    pub exact: bool,
}

impl OutputLength {
    /// The fewest tokens, where any are asked for.
    pub fn least(self) -> Option<u64> {
        if self.exact { self.max } else { self.min }
    }

    /// What is asked for under the names that an API has for the most tokens, for the fewest, and for not ending where
    /// the model would.
    ///
    /// ```
    /// use llmuses_plugin::{OutputLength, Value};
    ///
    /// let length = OutputLength { max: Some(7), exact: true, ..OutputLength::default() };
    /// let members = length.members("max_tokens", "min_tokens", "ignore_eos");
    /// assert_eq!(
    ///     Value::Object(members).to_string(),
    ///     r#"{"max_tokens":7,"min_tokens":7,"ignore_eos":true}"#
    /// );
    /// ```
    pub fn members(self, most: &str, fewest: &str, ignores_end: &str) -> Map<String, Value> {
        let mut members = Map::new();
        if let Some(max) = self.max {
            members.insert(most.to_owned(), max.into());
        }
        if let Some(least) = self.least() {
            members.insert(fewest.to_owned(), least.into());
        }
        if self.exact {
            members.insert(ignores_end.to_owned(), true.into());
        }
        members
    }
}

impl Item {
    /// An item of one text: where tests start from.
    pub fn of_prompt(prompt: impl Into<String>) -> Self {
        Self {
            prompt: Some(prompt.into()),
            ..Self::default()
        }
    }

    /// The chat messages, taken out. A text becomes one message of the role `user`.
    ///
    /// # Errors
    /// Where the item is none of a conversation.
    pub fn take_messages(&mut self) -> Result<Vec<Value>, String> {
        match self.prompt.take() {
            Some(text) => Ok(vec![user_message(text)]),
            None if self.messages.is_empty() => {
                Err("this API takes messages or a prompt, and the item has neither".to_owned())
            }
            None => Ok(std::mem::take(&mut self.messages)),
        }
    }

    /// Nothing for an API whose answers have no length that could be asked for.
    ///
    /// # Errors
    /// Where an exact or a least length is asked for all the same.
    pub fn without_length(&self) -> Result<(), String> {
        match self.output.least() {
            Some(_) => {
                Err("this API has no length of answers to ask for (--output-tokens)".to_owned())
            }
            None => Ok(()),
        }
    }

    /// Takes out the tools, of which an API of texts has none. That is said once.
    pub fn leave_out_tools(&mut self) {
        static IS_SAID: AtomicBool = AtomicBool::new(false);
        if std::mem::take(&mut self.tools).is_empty() {
            return;
        }
        if !IS_SAID.swap(true, Ordering::Relaxed) {
            log::warn("the tools of the data set are left out: this API takes none");
        }
    }

    /// The text, taken out; that of messages is their contents, one behind the other with an empty line between them.
    ///
    /// # Errors
    /// Where the item has no text, or what is none, such as images and calls of tools. Tools are left out, which is said
    /// once.
    pub fn take_prompt(&mut self) -> Result<String, String> {
        self.leave_out_tools();
        if let Some(prompt) = self.prompt.take() {
            return Ok(prompt);
        }
        let mut contents = Vec::with_capacity(self.messages.len());
        for message in &self.messages {
            if message["tool_calls"]
                .as_array()
                .is_some_and(|calls| !calls.is_empty())
            {
                return Err("this API takes text, and a message has calls of tools".to_owned());
            }
            match &message["content"] {
                Value::String(text) => contents.push(text.clone()),
                Value::Array(parts) => contents.push(text_of(parts)?),
                _ => {}
            }
        }
        match contents.is_empty() {
            true => Err("this API takes a prompt, and the item has no text".to_owned()),
            false => Ok(contents.join("\n\n")),
        }
    }
}

/// What a function of a recorded call of a tool is called with, as an object: data sets have it as a text of JSON, as OpenAI
/// does, or as the object itself. What is neither goes back under the name `arguments`.
pub fn arguments_of(function: &Value) -> Value {
    match &function["arguments"] {
        object @ Value::Object(_) => object.clone(),
        Value::Null => Value::Object(Map::new()),
        Value::String(text) if text.trim().is_empty() => Value::Object(Map::new()),
        other => {
            let text = other.as_str().unwrap_or_default();
            let object = text.parse().ok().filter(Value::is_object);
            object.unwrap_or_else(|| crate::json!({"arguments": other}))
        }
    }
}

/// The media type and the base64 of a data URL, as data sets have images and audio in it. `None`: it is another URL.
///
/// ```
/// use llmuses_plugin::data_url;
///
/// assert_eq!(data_url("data:image/png;base64,QQ=="), Some(("image/png", "QQ==")));
/// assert_eq!(data_url("http://h/a.png"), None);
/// ```
pub fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}

/// The text of the parts of a content.
///
/// # Errors
/// Where a part is no text, such as an image.
pub fn text_of(parts: &[Value]) -> Result<String, String> {
    let mut all = String::new();
    for part in parts {
        match (
            part.as_str().or(part["text"].as_str()),
            part["type"].as_str(),
        ) {
            (Some(text), _) => all += text,
            (None, kind) => {
                let kind = kind.unwrap_or("another kind");
                return Err(format!(
                    "this API takes text, and a message has a part of {kind}"
                ));
            }
        }
    }
    Ok(all)
}

/// What the user asked for, as far as it concerns every request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// The name of the model of the run.
    pub model: String,
    /// What `--parameters` gave, in the order given.
    pub parameters: Map<String, Value>,
}

impl Settings {
    pub(crate) fn read(model: String, text: &str) -> Result<Self, String> {
        Ok(Self {
            model,
            parameters: parameters(text)?,
        })
    }

    /// The model that an item asks.
    pub fn model<'a>(&'a self, item: &'a Item) -> &'a str {
        item.model.as_deref().unwrap_or(&self.model)
    }

    /// The request with a body of JSON: `body`, over it the parameters of the item, over them those of the user, as
    /// [`merge`] does it. Where the item has a whole body, that takes the place of `body`, with the model of the run.
    pub fn request_of(&self, item: &mut Item, body: Value) -> Request {
        Request::json(&self.body_of(item, body, ""))
    }

    /// The body that [`Self::request_of`] sends. Of the member `options`, which is an object, the parameters take the
    /// place of single members rather than of the whole.
    ///
    /// ```
    /// use llmuses_plugin::{Item, Settings, json};
    ///
    /// let mut item = Item::of_prompt("hi");
    /// item.parameters.insert("options".to_owned(), json!({"top_k": 1}));
    /// let body = json!({"options": {"num_predict": 5}});
    /// let body = Settings::default().body_of(&mut item, body, "options");
    /// assert_eq!(body, json!({"options": {"num_predict": 5, "top_k": 1}}));
    /// ```
    pub fn body_of(&self, item: &mut Item, body: Value, options: &str) -> Value {
        let mut body = match item.body.take() {
            Some(mut whole) => {
                if whole.get("model").is_some() {
                    whole["model"] = self.model(item).into();
                }
                whole
            }
            None => body,
        };
        if let Value::Object(members) = &mut body {
            for given in [&item.parameters, &self.parameters] {
                let inner = members.get(options).and_then(Value::as_object).cloned();
                merge(members, given);
                if let (Some(mut inner), Some(Value::Object(over))) = (inner, given.get(options)) {
                    merge(&mut inner, over);
                    members.insert(options.to_owned(), Value::Object(inner));
                }
            }
        }
        body
    }

    /// A request with a body of [`Self::body_of`] to an API whose path says whether it streams. A parameter `stream` that
    /// is false chooses `plain` in place of `path`; it is no member of the body. `{model}` in both is the name of the
    /// model.
    pub fn request_by_path(
        &self,
        item: &Item,
        mut body: Value,
        path: &str,
        plain: &str,
    ) -> Request {
        let stream = body
            .as_object_mut()
            .and_then(|body| body.shift_remove("stream"));
        let path = if stream == Some(Value::Bool(false)) {
            plain
        } else {
            path
        };
        Request::json(&body).path(Self::path_of(item, path))
    }

    /// A path with the model of the item in place of `{model}`; where it names none, the host writes that of the run.
    pub fn path_of(item: &Item, path: &str) -> String {
        match &item.model {
            None => path.to_owned(),
            Some(model) => path.replace("{model}", &escaped(model)),
        }
    }
}

/// A name as it stands within a path: all but the unreserved characters of RFC 3986 as their bytes.
fn escaped(name: &str) -> String {
    let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escape = |byte| match is_kept(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(escape).collect()
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: String,
    pub(crate) path: Option<String>,
}

impl Request {
    /// A request with any body.
    pub fn new(body: Vec<u8>, content_type: impl Into<String>) -> Self {
        Self {
            body,
            content_type: content_type.into(),
            path: None,
        }
    }

    /// A request with a body of JSON.
    pub fn json(body: &Value) -> Self {
        Self::new(bytes_of(body), "application/json")
    }

    /// With a path of its own in place of [`Api::PATH`](crate::Api::PATH).
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// What the body is, as in the header.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The body as JSON, for tests.
    ///
    /// # Panics
    /// Where it is none.
    pub fn to_json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// A value as JSON in memory of exactly its length. Memory that grows is copied, and for a while takes three times as much,
/// which a long prompt does not leave of what a plugin has.
fn bytes_of(value: &Value) -> Vec<u8> {
    let mut length = Length(0);
    write(value, &mut length);
    let mut bytes = Vec::with_capacity(length.0);
    write(value, &mut bytes);
    bytes
}

fn write(value: &Value, to: impl Write) {
    serde_json::to_writer(to, value).expect("a value is JSON, and memory takes any of it");
}

/// How many bytes were written.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn messages_are_those_of_the_item_or_one_of_its_text() {
        let messages = Item::of_prompt("hi").take_messages();
        assert_eq!(messages, Ok(vec![json!({"role": "user", "content": "hi"})]));
        let mut item = Item {
            messages: vec![
                json!({"role": "system", "content": "a"}),
                json!({"content": "b"}),
            ],
            ..Item::default()
        };
        assert_eq!(item.clone().take_prompt().as_deref(), Ok("a\n\nb"));
        assert_eq!(item.take_messages().map(|all| all.len()), Ok(2));
        assert!(Item::default().take_messages().is_err());
        assert!(Item::default().take_prompt().is_err());
    }

    #[test]
    fn parameters_go_over_each_other_and_null_takes_away() {
        let settings = Settings::read("m".to_owned(), r#"{"b":3,"c":null}"#).unwrap();
        let mut item: Item =
            serde_json::from_str(r#"{"parameters":{"a":1,"b":2,"c":4},"later":"unknown"}"#)
                .unwrap();
        let request = settings.request_of(&mut item, json!({"model": "m", "a": 0, "c": 0}));
        assert_eq!(request.body, br#"{"model":"m","a":1,"b":3}"#);
    }

    #[test]
    fn the_path_says_whether_an_answer_streams() {
        let settings = Settings::default();
        let mut item = Item {
            model: Some("a/b".to_owned()),
            ..Item::default()
        };
        let request = |item: &Item, body| {
            let request = settings.request_by_path(item, body, "/m/{model}/s", "/m/{model}/p");
            (
                request.path.unwrap_or_default(),
                String::from_utf8(request.body).unwrap(),
            )
        };
        let streamed = request(&item, json!({"stream": true, "x": 1}));
        assert_eq!(streamed, ("/m/a%2Fb/s".to_owned(), r#"{"x":1}"#.to_owned()));
        item.model = None;
        let plain = request(&item, json!({"stream": false}));
        assert_eq!(plain, ("/m/{model}/p".to_owned(), "{}".to_owned()));
    }

    #[test]
    fn a_body_takes_no_more_memory_than_its_length() {
        let body = json!({"messages": [user_message("né\n\"x\"".repeat(1000))], "n": 1.5});
        let request = Request::json(&body);
        assert_eq!(request.body, body.to_string().into_bytes());
        assert_eq!(request.body.capacity(), request.body.len());
    }

    #[test]
    fn a_whole_body_is_sent_as_it_is_but_for_the_model() {
        let settings = Settings::read("m".to_owned(), r#"{"x":1}"#).unwrap();
        let mut item: Item =
            serde_json::from_str(r#"{"body":{"stream":false,"model":"recorded"}}"#).unwrap();
        let request = settings.request_of(&mut item, json!({"never": 1}));
        assert_eq!(request.body, br#"{"stream":false,"model":"m","x":1}"#);
    }
}
