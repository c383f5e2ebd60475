//! The trait of a format of data sets.

mod component;
mod conversation;
mod head;

use crate::requests::Skipped;
use crate::{Entries, Entry, Source};
pub use component::{Batch, Component, Formats, Known, check};
pub use conversation::Conversation;
pub use head::Head;

/// A format of data sets.
///
/// ```
/// use llmuses_plugin::{Format, Source, export_format};
///
/// struct Trivia;
///
/// impl Format for Trivia {
///     const NAME: &'static str = "trivia";
///     const DESCRIPTION: &'static str = "JSON lines with the prompt in `riddle`";
///     const SOURCE: Source = Source::JsonLines;
///     const PROMPT_FIELD: &'static str = "riddle";
/// }
///
/// export_format!(Trivia);
/// ```
pub trait Format: Sized + 'static {
    /// The name, as it would be given to `--dataset-parser`.
    const NAME: &'static str;

    /// What the format is, in one line.
    const DESCRIPTION: &'static str;

    /// What an entry of the file is.
    const SOURCE: Source;

    /// The field that has the prompt, for entries of JSON that have only a prompt. Lines of text have none: each is a prompt.
    const PROMPT_FIELD: &'static str = "";

    /// Whether the user may name the field that has the prompt (`--field`), which is then [`Head::field`].
    const TAKES_FIELD: bool = false;

    /// Whether a file is likely to be of this format. Only formats inside the load tester are asked, and components of
    /// several formats.
    fn recognises(head: &Head<'_>) -> bool {
        let _ = head;
        false
    }

    /// The conversation in one entry of the file; by default one turn with the prompt in [`Self::PROMPT_FIELD`], or
    /// with the whole entry where that is a line of text. One without turns is passed over and counted.
    ///
    /// # Errors
    /// Where the entry has none. The text should name the entry, as [`Entry::error`] and the errors of
    /// [`Entry::string_field`] and [`Entry::json`] do. The next entry is tried all the same. A format with an `open` of
    /// its own that does not use this leaves it out.
    fn conversation(entry: Entry) -> Result<Conversation, String> {
        let prompt = match (Self::PROMPT_FIELD, Self::SOURCE) {
            ("", Source::Lines) => entry.into_text(),
            ("", _) => {
                return Err(entry.error(
                    "the format names no PROMPT_FIELD and makes no conversation of an entry",
                ));
            }
            (field, _) => entry.string_field(field)?,
        };
        Ok(Conversation::of_prompt(prompt))
    }

    /// Begins to read the file, of which the beginning is `head`; by default entry by entry. Of JSON lines, those that
    /// are blank are passed over and counted.
    ///
    /// # Errors
    /// Where the file cannot be read at all.
    fn open(head: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        let entries = Self::SOURCE.entries(head)?;
        Ok(Box::new(conversations_of::<Self>(entries)))
    }
}

/// Conversations, made one after another as they are asked for. Every iterator over `Result<Conversation, String>` is
/// one, with nothing passed over.
pub trait Conversations {
    /// The next one, or `None` at the end, after which this is not called again.
    ///
    /// An error stands for exactly one part of the file; the next call goes on behind it.
    fn next_conversation(&mut self) -> Option<Result<Conversation, String>>;

    /// How many parts of the file were passed over on purpose so far, by reason.
    fn skipped(&self) -> Vec<(String, u64)> {
        Vec::new()
    }
}

impl<I: Iterator<Item = Result<Conversation, String>>> Conversations for I {
    fn next_conversation(&mut self) -> Option<Result<Conversation, String>> {
        self.next()
    }
}

/// The conversations of the format `F` in these entries.
pub fn conversations_of<F: Format>(entries: Entries) -> impl Conversations {
    FromEntries {
        entries,
        skipped: Skipped::default(),
        has_blank: F::SOURCE == Source::Lines,
        read: F::conversation,
    }
}

impl Entries {
    /// A conversation of each entry. Entries that are blank, and conversations without turns, are passed over and counted.
    pub fn conversations(
        self,
        read: impl FnMut(Entry) -> Result<Conversation, String>,
    ) -> impl Conversations {
        FromEntries {
            entries: self,
            skipped: Skipped::default(),
            has_blank: false,
            read,
        }
    }
}

struct FromEntries<R> {
    entries: Entries,
    skipped: Skipped,
    /// Whether blank entries are entries too.
    has_blank: bool,
    read: R,
}

impl<R: FnMut(Entry) -> Result<Conversation, String>> Conversations for FromEntries<R> {
    fn next_conversation(&mut self) -> Option<Result<Conversation, String>> {
        loop {
            let entry = match self.entries.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            if !self.has_blank && entry.text().trim().is_empty() {
                self.skipped.count("blank");
                continue;
            }
            match (self.read)(entry) {
                Ok(conversation) if !conversation.has_turns() => {
                    self.skipped.count("nobody asks anything");
                }
                read => return Some(read),
            }
        }
    }

    fn skipped(&self) -> Vec<(String, u64)> {
        self.skipped.to_list()
    }
}

#[cfg(test)]
mod tests;
