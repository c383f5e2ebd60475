//! The JSON of a chunk.

use crate::Value;
use crate::lenient::{List, Object};
use crate::message::{Kind, Message, Text, choice_number, failure};
use crate::usage::{Count, Usage};

#[derive(serde::Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(super) choices: List<Choice<'a>>,
    #[serde(default)]
    usage: Object<Usage>,
    /// Where Groq reports.
    #[serde(default)]
    x_groq: Object<Report>,
    error: Option<Value>,
    #[serde(borrow, default)]
    object: Text<'a>,
    #[serde(borrow, default)]
    message: Text<'a>,
}

#[derive(serde::Deserialize)]
struct Report {
    #[serde(default)]
    usage: Object<Usage>,
}

impl Chunk<'_> {
    /// What went wrong, in either of two forms: an `error`, or the chunk being one as a whole.
    pub(super) fn failure(&self) -> Option<String> {
        if self.object.as_str() == "error" {
            return Some(format!(
                "the server reported an error: {}",
                self.message.as_str()
            ));
        }
        self.error.as_ref().and_then(failure)
    }

    /// The reports of tokens, wherever a server puts them; the usual place last, which so has the last word.
    pub(super) fn usages(&self) -> impl Iterator<Item = &Usage> {
        let in_choices = self
            .choices
            .as_slice()
            .iter()
            .filter_map(|choice| choice.usage.get());
        let of_groq = self.x_groq.get().and_then(|report| report.usage.get());
        in_choices.chain(of_groq).chain(self.usage.get())
    }

    /// The text that is all that the chunk brings, with its choice. `None` where it brings anything else.
    pub(super) fn only_text(&self) -> Option<(u64, Kind, &str)> {
        let [choice] = self.choices.as_slice() else {
            return None;
        };
        if self.usages().next().is_some() {
            return None;
        }
        let in_message = choice.message().and_then(Message::only_text);
        let (kind, text) = match choice.text.is_empty() {
            true => in_message?,
            // In two places: another chunk of the same shape may have different texts there.
            false if choice.message().is_some_and(|message| message.size() > 0) => return None,
            false => (Kind::Text, choice.text.as_str()),
        };
        Some((choice_number(choice.index, 0), kind, text))
    }
}

#[derive(serde::Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default)]
    pub(super) index: Count,
    #[serde(borrow, default)]
    delta: Object<Message<'a>>,
    #[serde(borrow, default)]
    message: Object<Message<'a>>,
    #[serde(borrow, default)]
    text: Text<'a>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Text<'a>,
    /// Where Moonshot reports.
    #[serde(default)]
    usage: Object<Usage>,
}

impl<'a> Choice<'a> {
    /// The text of the older API. A server that sends the same as a message too repeats itself.
    pub(super) fn text(&self) -> &str {
        let text = self.text.as_str();
        match self.message() {
            Some(message) if message.says(text) => "",
            _ => text,
        }
    }

    /// The part of a stream, or the whole of a plain response. A server that sends both repeats itself.
    pub(super) fn message(&self) -> Option<&Message<'a>> {
        let part = self.delta.get().filter(|part| part.size() > 0);
        part.or(self.message.get())
    }

    /// Whether it has a part of a message, rather than a whole one.
    pub(super) fn has_part(&self) -> bool {
        !self.text.is_empty() || self.delta.get().is_some_and(|part| part.size() > 0)
    }

    pub(super) fn has_output(&self) -> bool {
        !self.text.is_empty() || self.message().is_some_and(|message| message.size() > 0)
    }

    pub(super) fn has_answer(&self) -> bool {
        !self.text.is_empty() || self.message().is_some_and(Message::has_answer)
    }

    /// Bytes of reasoning, and of all of it.
    pub(super) fn sizes(&self) -> [usize; 2] {
        let message = self.message();
        let all = self.text().len() + message.map_or(0, Message::size);
        [message.map_or(0, Message::reasoning_size), all]
    }

    /// What it says beside reasoning, and the reasoning. `None` where it calls a function.
    pub(super) fn two_texts(&self) -> Option<[String; 2]> {
        let [mut text, reasoning] = self
            .message()
            .map_or_else(|| Some([String::new(), String::new()]), Message::two_texts)?;
        text.push_str(self.text());
        Some([text, reasoning])
    }
}
