//! The pieces that responses of the chat APIs have in common, read without a copy where JSON allows it, and
//! read leniently: servers differ in what they leave out, send as `null`, or send in another shape.

mod content;
mod reading;
mod text;
mod transcript;

use crate::lenient::{List, Object};
use content::Content;
pub use reading::failure;
pub(crate) use reading::{cleaned, leniently, read, readable};
pub(crate) use text::Text;
pub(crate) use transcript::{Transcript, choice_number};

/// A message, or the part of one that a chunk adds.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Message<'a> {
    #[serde(borrow, default)]
    content: Content<'a>,
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
    #[serde(borrow, default)]
    audio: Object<Audio<'a>>,
    /// Pictures that a model draws.
    #[serde(borrow, default)]
    images: List<Picture<'a>>,
}

#[derive(Debug, serde::Deserialize)]
struct Picture<'a> {
    #[serde(borrow, default)]
    image_url: Object<Place<'a>>,
}

#[derive(Debug, serde::Deserialize)]
struct Place<'a> {
    #[serde(borrow, default)]
    url: Text<'a>,
}

/// What a model says aloud.
#[derive(Debug, serde::Deserialize)]
struct Audio<'a> {
    /// In base64.
    #[serde(borrow, default)]
    data: Text<'a>,
    #[serde(borrow, default)]
    transcript: Text<'a>,
}

#[derive(Debug, serde::Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow, default)]
    function: Object<Function<'a>>,
    /// A tool that takes a text of any kind.
    #[serde(borrow, default)]
    custom: Object<Custom<'a>>,
}

#[derive(Debug, serde::Deserialize)]
struct Custom<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    input: Text<'a>,
}

#[derive(Debug, serde::Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    arguments: Text<'a>,
}

impl Message<'_> {
    /// The text of it all in bytes, names of functions and audio included. Not zero means that it is output.
    pub(crate) fn size(&self) -> usize {
        let calls: usize = self
            .calls()
            .map(|[name, arguments]| name.len() + arguments.len())
            .sum();
        let texts = self.content.text.as_str().len() + self.refusal.as_str().len();
        texts + self.media_size() + self.reasoning_size() + calls
    }

    /// Whether its text is this one.
    pub(crate) fn says(&self, text: &str) -> bool {
        !text.is_empty() && self.content.text.as_str() == text
    }

    /// Whether it has a part of the answer: neither reasoning nor a call of a function.
    pub(crate) fn has_answer(&self) -> bool {
        !self.content.text.is_empty() || !self.refusal.is_empty() || self.media_size() > 0
    }

    /// Audio and pictures in bytes.
    fn media_size(&self) -> usize {
        let audio = self.audio.get().map_or(0, |audio| {
            audio.data.as_str().len() + audio.transcript.as_str().len()
        });
        let pictures = self.images.as_slice().iter();
        let pictures = pictures.filter_map(|picture| picture.image_url.get());
        audio
            + pictures
                .map(|place| place.url.as_str().len())
                .sum::<usize>()
    }

    /// The reasoning in bytes.
    pub(crate) fn reasoning_size(&self) -> usize {
        self.reasoning_pieces().map(str::len).iter().sum()
    }

    /// The one text in it. `None` where there are several, or none, or that of a call of a function, or audio.
    pub(crate) fn only_text(&self) -> Option<(Kind, &str)> {
        let texts = [
            (Kind::Text, &self.content.text),
            (Kind::Text, &self.refusal),
            (Kind::Reasoning, &self.content.reasoning),
            (Kind::Reasoning, &self.reasoning_content),
            (Kind::Reasoning, &self.reasoning),
            (Kind::Reasoning, &self.reasoning_details),
            (Kind::Reasoning, &self.thinking),
        ];
        let mut texts = texts.iter().filter(|(_, text)| !text.is_empty());
        let (kind, text) = texts.next()?;
        let others = self.calls().next().is_some() || self.media_size() > 0;
        let alone = texts.next().is_none() && !others;
        alone.then_some((*kind, text.as_str()))
    }

    /// What it says beside reasoning, and the reasoning. `None` where it calls a function.
    pub(crate) fn two_texts(&self) -> Option<[String; 2]> {
        let text = format!("{}{}", self.content.text.as_str(), self.refusal.as_str());
        let none = self.calls().next().is_none();
        none.then(|| [text, self.reasoning_pieces().concat()])
    }

    /// The reasoning under all its names; where a server sends the same under two, only the first of them.
    fn reasoning_pieces(&self) -> [&str; 5] {
        let mut pieces = [
            &self.content.reasoning,
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

    /// The names of the tools that are called, each with what it is called with.
    fn calls(&self) -> impl Iterator<Item = [&str; 2]> {
        fn of_function<'f>(function: &'f Function<'_>) -> [&'f str; 2] {
            [function.name.as_str(), function.arguments.as_str()]
        }
        let calls = self.tool_calls.as_slice().iter();
        calls
            .flat_map(|call| {
                let custom = call.custom.get();
                let custom = custom.map(|custom| [custom.name.as_str(), custom.input.as_str()]);
                custom
                    .into_iter()
                    .chain(call.function.get().map(of_function))
            })
            .chain(self.function_call.get().map(of_function))
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
