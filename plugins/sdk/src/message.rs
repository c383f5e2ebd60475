//! The pieces that responses of the chat APIs have in common, read without a copy where JSON allows it, and
//! read leniently: servers differ in what they leave out, send as `null`, or send in another shape.

mod reading;
mod text;
mod transcript;

use crate::lenient::{List, Object};
pub use reading::failure;
pub(crate) use reading::{read, readable};
pub(crate) use text::Text;
pub(crate) use transcript::{Transcript, choice_number};

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

#[cfg(test)]
mod tests;
