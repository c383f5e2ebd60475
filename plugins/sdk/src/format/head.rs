//! The beginning of a file.

use crate::parser::PROMPT_ONLY;
use crate::{Entries, Map, Source, Value, dataset_items, dataset_lines};

/// The beginning of a file, by which its format is recognised.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// At most the first MiB, perhaps cut within a line; a byte-order mark is left out.
    pub bytes: &'a [u8],
    /// The name of the file without its folder.
    pub file_name: &'a str,
    /// The field that has the prompt, where the user names one.
    pub field: Option<&'a str>,
}

impl Source {
    /// The entries of the file with this beginning.
    ///
    /// # Errors
    /// Where the host cannot open it, or this is no source of entries.
    pub fn entries(self, head: &Head<'_>) -> Result<Entries, String> {
        match self {
            Self::Lines | Self::JsonLines => dataset_lines(),
            Self::JsonArray => dataset_items(),
            Self::Json if head.is_array() => dataset_items(),
            Self::Json => dataset_lines(),
            Self::PromptOnly => Err(PROMPT_ONLY.to_owned()),
        }
    }
}

impl<'a> Head<'a> {
    /// The first line that is not blank, without blanks around it, and whether all of it is there.
    pub fn first_line(&self) -> (&'a [u8], bool) {
        let start = self.bytes.trim_ascii_start();
        let mut lines = start.split(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default().trim_ascii_end();
        (first, lines.next().is_some() || self.is_whole())
    }

    /// That line as a JSON object. `None`: it is none, or cut.
    pub fn first_object(&self) -> Option<Map<String, Value>> {
        serde_json::from_slice(self.first_line().0).ok()
    }

    /// Whether these bytes are all of the file.
    pub fn is_whole(&self) -> bool {
        self.bytes.len() < MOST_HEAD
    }

    /// The beginning of the first record, where it is longer than the beginning of the file.
    pub fn cut_record(&self) -> Option<&'a [u8]> {
        let is_cut = !self.is_whole() && self.first_record().is_none();
        is_cut.then(|| self.bytes.trim_ascii_start())
    }

    /// Whether the file begins as a JSON array does.
    pub fn is_array(&self) -> bool {
        self.bytes.trim_ascii_start().starts_with(b"[")
    }

    /// The first record: the first line as JSON or, where the file begins as an array, the first item of it. `None`: it
    /// is cut, or no JSON.
    pub fn first_record(&self) -> Option<Value> {
        let start = self.bytes.trim_ascii_start();
        let text = match start.strip_prefix(b"[") {
            Some(items) => items,
            None => self.first_line().0,
        };
        let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
        values.next()?.ok()
    }
}

/// A beginning of so many bytes may not be the whole file: a MiB, without a byte-order mark and a character that is cut.
const MOST_HEAD: usize = (1 << 20) - 6;
