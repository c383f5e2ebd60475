//! The pieces that responses of the chat APIs have in common, read without a copy where JSON allows it, and
//! read leniently: servers differ in what they leave out, send as `null`, or send in another shape.

use crate::json::explain;
use crate::lenient::{List, Object};
use crate::usage::Count;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// The responses with what is not UTF-8 in them replaced, and escapes that are half a character: a model that
/// stops within a character makes servers send either, and the rest of the answer is as good as any.
pub(crate) fn readable(responses: &[Vec<u8>]) -> Cow<'_, [Vec<u8>]> {
    let is_good = |data: &Vec<u8>| str::from_utf8(data).is_ok() && half_escapes(data).is_empty();
    if responses.iter().all(is_good) {
        return Cow::Borrowed(responses);
    }
    let replaced = |data: &Vec<u8>| {
        let mut data = String::from_utf8_lossy(data).into_owned().into_bytes();
        for place in half_escapes(&data) {
            data[place..place + 6].copy_from_slice(b"\\ufffd");
        }
        data
    };
    Cow::Owned(responses.iter().map(replaced).collect())
}

/// Where `data` has an escape of six bytes (`\ud83d`) for half of a surrogate pair whose other half is missing.
fn half_escapes(data: &[u8]) -> Vec<usize> {
    let unit = |place: usize| {
        let digits = data.get(place..place + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut found = Vec::new();
    let mut place = 0;
    while let Some(step) = data[place..].iter().position(|&byte| byte == b'\\') {
        place += step;
        place += match unit(place) {
            Some(0xD800..=0xDBFF) if matches!(unit(place + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                found.push(place);
                6
            }
            _ => 2,
        };
        if place >= data.len() {
            break;
        }
    }
    found
}

/// Reads one response as JSON. `None` where it is blank, as an event that only keeps the stream alive, or an
/// empty value of another type than an object.
///
/// Errors name the response by its number among all of them, from 1.
pub(crate) fn read<'a, T: Deserialize<'a>>(
    responses: &'a [Vec<u8>],
    index: usize,
) -> Result<Option<T>, String> {
    let bytes = responses.get(index).map(Vec::as_slice).unwrap_or_default();
    let place = || match responses.len() {
        1 => "the response".to_owned(),
        _ => format!("chunk {}", index + 1),
    };
    let explained = |error: serde_json::Error| explain(&place(), bytes, &error);
    match bytes.trim_ascii_start().first() {
        None => Ok(None),
        Some(b'{') => serde_json::from_slice(bytes).map(Some).map_err(explained),
        // An array would pass for an object whose fields come in order, so that it must not get as far.
        Some(_) => match serde_json::from_slice::<Value>(bytes) {
            Ok(value) if says_nothing(&value) => Ok(None),
            Ok(_) => Err(format!("{} is not a JSON object", place())),
            Err(error) => Err(explained(error)),
        },
    }
}

/// Whether a value is one of those that stand for nothing, or is made of such.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(says_nothing),
        Value::Object(fields) => fields.values().all(says_nothing),
    }
}

/// What an `error` field says, or `None` where it says nothing: some servers always send it, empty.
pub fn failure(error: &Value) -> Option<String> {
    if says_nothing(error) {
        return None;
    }
    let message = match error {
        Value::String(text) => text.clone(),
        Value::Object(_) => {
            let mut message = match &error["message"] {
                Value::String(text) => text.clone(),
                _ => return Some(format!("the server reported an error: {error}")),
            };
            let details: Vec<String> = [&error["type"], &error["code"]]
                .into_iter()
                .filter_map(plain)
                .filter(|detail| detail != "error")
                .collect();
            if !details.is_empty() {
                message.push_str(&format!(" ({})", details.join(", ")));
            }
            message
        }
        other => other.to_string(),
    };
    Some(format!("the server reported an error: {message}"))
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A text, or what stands where one is expected: nothing and values of other types are empty; an array is
/// the texts of its parts; and an object, as a part of a content is, the text that it holds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or the parts of one")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut all = String::new();
        while let Some(part) = seq.next_element::<Text<'de>>()? {
            all.push_str(part.as_str());
        }
        Ok(Cow::Owned(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = Cow::Borrowed("");
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if matches!(
                &*key,
                "text" | "thinking" | "refusal" | "summary" | "content"
            ) {
                let Text(part) = map.next_value()?;
                all += part;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(all)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }
}

/// A message, or the part of one that a chunk adds.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Message<'a> {
    #[serde(borrow, default)]
    content: Text<'a>,
    #[serde(borrow, default)]
    reasoning_content: Text<'a>,
    #[serde(borrow, default)]
    reasoning: Text<'a>,
    #[serde(borrow, default)]
    reasoning_details: Text<'a>,
    #[serde(borrow, default)]
    thinking: Text<'a>,
    #[serde(borrow, default)]
    refusal: Text<'a>,
    #[serde(borrow, default)]
    tool_calls: List<ToolCall<'a>>,
    #[serde(borrow, default)]
    function_call: Object<Function<'a>>,
}

#[derive(Debug, serde::Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow, default)]
    function: Object<Function<'a>>,
}

#[derive(Debug, serde::Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    arguments: Text<'a>,
}

impl Message<'_> {
    /// The text of it all in bytes, names of functions included. Not zero means that it is output.
    pub(crate) fn size(&self) -> usize {
        let calls: usize = self
            .functions()
            .map(|f| f.name.as_str().len() + f.arguments.as_str().len())
            .sum();
        self.content.as_str().len() + self.refusal.as_str().len() + self.reasoning_size() + calls
    }

    /// Whether it has a part of the answer: neither reasoning nor a call of a function.
    pub(crate) fn has_answer(&self) -> bool {
        !self.content.is_empty() || !self.refusal.is_empty()
    }

    /// The reasoning in bytes.
    pub(crate) fn reasoning_size(&self) -> usize {
        self.reasoning_pieces().map(str::len).iter().sum()
    }

    /// The one text in it. `None` where there are several, or none, or that of a call of a function.
    pub(crate) fn only_text(&self) -> Option<(Kind, &str)> {
        let texts = [
            (Kind::Text, &self.content),
            (Kind::Text, &self.refusal),
            (Kind::Reasoning, &self.reasoning_content),
            (Kind::Reasoning, &self.reasoning),
            (Kind::Reasoning, &self.reasoning_details),
            (Kind::Reasoning, &self.thinking),
        ];
        let mut texts = texts.iter().filter(|(_, text)| !text.is_empty());
        let (kind, text) = texts.next()?;
        let alone = texts.next().is_none() && self.functions().next().is_none();
        alone.then_some((*kind, text.as_str()))
    }

    /// What it says beside reasoning, and the reasoning. `None` where it calls a function.
    pub(crate) fn two_texts(&self) -> Option<[String; 2]> {
        let text = format!("{}{}", self.content.as_str(), self.refusal.as_str());
        let none = self.functions().next().is_none();
        none.then(|| [text, self.reasoning_pieces().concat()])
    }

    /// The reasoning under all its names; where a server sends the same under two, only the first of them.
    fn reasoning_pieces(&self) -> [&str; 4] {
        let mut pieces = [
            &self.reasoning_content,
            &self.reasoning,
            &self.reasoning_details,
            &self.thinking,
        ]
        .map(Text::as_str);
        for index in 1..pieces.len() {
            if pieces[..index].contains(&pieces[index]) {
                pieces[index] = "";
            }
        }
        pieces
    }

    fn functions(&self) -> impl Iterator<Item = &Function<'_>> {
        let calls = self.tool_calls.as_slice().iter();
        calls
            .filter_map(|call| call.function.get())
            .chain(self.function_call.get())
    }
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// What the model answers.
    Text,
    /// What it thinks before.
    Reasoning,
}

/// The text that a model produced, put together out of chunks, separately for each choice: to be counted,
/// and only built where that is needed.
pub(crate) struct Transcript {
    /// Whether each chunk repeats the text before it.
    cumulative: bool,
    choices: Vec<(u64, Parts)>,
}

#[derive(Default)]
struct Parts {
    reasoning: String,
    text: String,
    arguments: String,
}

impl Transcript {
    pub(crate) fn new(cumulative: bool) -> Self {
        Self {
            cumulative,
            choices: Vec::new(),
        }
    }

    /// Adds what a chunk brought for a choice.
    pub(crate) fn add(&mut self, choice: u64, message: &Message<'_>, text: &str) {
        let cumulative = self.cumulative;
        let add = |whole: &mut String, pieces: &[&str]| {
            if cumulative && pieces.iter().any(|piece| !piece.is_empty()) {
                whole.clear();
            }
            whole.extend(pieces.iter().copied());
        };
        let arguments: Vec<&str> = message.functions().map(|f| f.arguments.as_str()).collect();
        let parts = self.parts(choice);
        add(&mut parts.reasoning, &message.reasoning_pieces());
        add(
            &mut parts.text,
            &[message.content.as_str(), message.refusal.as_str(), text],
        );
        add(&mut parts.arguments, &arguments);
    }

    /// Adds the one text that a chunk brought, which is not empty.
    pub(crate) fn add_text(&mut self, choice: u64, kind: Kind, text: &str) {
        let cumulative = self.cumulative;
        let parts = self.parts(choice);
        let whole = match kind {
            Kind::Text => &mut parts.text,
            Kind::Reasoning => &mut parts.reasoning,
        };
        if cumulative {
            whole.clear();
        }
        whole.push_str(text);
    }

    fn parts(&mut self, choice: u64) -> &mut Parts {
        let place = self
            .choices
            .iter()
            .position(|(known, _)| *known == choice)
            .unwrap_or_else(|| {
                self.choices.push((choice, Parts::default()));
                self.choices.len() - 1
            });
        &mut self.choices[place].1
    }

    /// Whether this says for each of its choices what `other` says for it. It may leave out the reasoning.
    pub(crate) fn says_again(&self, other: &Self) -> bool {
        self.choices.iter().all(|(choice, parts)| {
            let said = other.choices.iter().find(|(known, _)| known == choice);
            said.is_some_and(|(_, said)| {
                parts.text.trim() == said.text.trim()
                    && parts.arguments == said.arguments
                    && (parts.reasoning.is_empty()
                        || parts.reasoning.trim() == said.reasoning.trim())
            })
        })
    }

    /// Whether what the model says begins with its reasoning, between tags.
    pub(crate) fn has_tagged_reasoning(&self) -> bool {
        self.choices
            .iter()
            .any(|(_, parts)| parts.text.contains("<think") || parts.text.contains("</think"))
    }

    /// What the first choice says beside its reasoning.
    pub(crate) fn answer(&self) -> String {
        let first = self.choices.first();
        first.map_or_else(String::new, |(_, parts)| parts.text.clone())
    }

    /// One text for each choice, or a single empty one where the model produced nothing.
    pub(crate) fn into_texts(self) -> Vec<String> {
        if self.choices.is_empty() {
            return vec![String::new()];
        }
        self.choices
            .into_iter()
            .map(|(_, parts)| parts.reasoning + &parts.text + &parts.arguments)
            .collect()
    }
}

/// The number under which a choice is collected: the server's, or else its place in the list.
pub(crate) fn choice_number(index: Count, place: usize) -> u64 {
    index.0.unwrap_or(place as u64)
}

#[cfg(test)]
mod tests;
