//! The trait of a format of data sets, and the bridge between it and the contract.

use crate::bindings::api::llmuses::perf::types;
use crate::bindings::format::exports::llmuses::perf::dataset_plugin as contract;
use crate::export::Version;
use crate::host::use_second;
use crate::requests::{Batches, Requests, Skipped};
use crate::{Entries, Entry, Map, Source, Value, dataset_items, dataset_lines, json};
use std::cell::RefCell;
use std::marker::PhantomData;

/// A format of data sets.
///
/// ```
/// use llmuses_plugin::{Conversation, Entry, Format, Source, export_format};
///
/// struct Trivia;
///
/// impl Format for Trivia {
///     const NAME: &'static str = "trivia";
///     const DESCRIPTION: &'static str = "JSON lines with the prompt in `riddle`";
///     const SOURCE: Source = Source::JsonLines;
///
///     fn conversation(entry: Entry) -> Result<Conversation, String> {
///         Ok(Conversation::of_prompt(entry.string_field("riddle")?))
///     }
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

    /// Whether a file is likely to be of this format. Only formats inside the load tester are asked.
    fn recognises(head: &Head<'_>) -> bool {
        let _ = head;
        false
    }

    /// The conversation in one entry of the file.
    ///
    /// # Errors
    /// Where the entry has none. The text should name the entry, as [`Entry::error`] and the errors of
    /// [`Entry::string_field`] and [`Entry::json`] do. The next entry is tried all the same.
    fn conversation(entry: Entry) -> Result<Conversation, String>;

    /// Begins to read the file; by default entry by entry. Of JSON lines, those that are blank are passed over and
    /// counted.
    ///
    /// # Errors
    /// Where the file cannot be read at all.
    fn open() -> Result<Box<dyn Conversations>, String> {
        let entries = match Self::SOURCE {
            Source::Lines | Source::JsonLines => dataset_lines()?,
            Source::JsonArray => dataset_items()?,
            Source::PromptOnly => return Err("it reads no data set".to_owned()),
        };
        Ok(Box::new(conversations_of::<Self>(entries)))
    }
}

/// The beginning of a file, by which its format is recognised.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// At most the first 64 KiB, perhaps cut within a line; a byte-order mark is left out.
    pub bytes: &'a [u8],
    /// The name of the file without its folder.
    pub file_name: &'a str,
}

impl<'a> Head<'a> {
    /// The first line that is not blank, without blanks around it, and whether all of it is there.
    pub fn first_line(&self) -> (&'a [u8], bool) {
        let start = self.bytes.trim_ascii_start();
        let mut lines = start.split(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default().trim_ascii_end();
        (
            first,
            lines.next().is_some() || self.bytes.len() < MOST_HEAD,
        )
    }

    /// That line as a JSON object. `None`: it is none, or cut.
    pub fn first_object(&self) -> Option<Map<String, Value>> {
        serde_json::from_slice(self.first_line().0).ok()
    }
}

/// A beginning of so many bytes may not be the whole file: 64 KiB, without a byte-order mark.
const MOST_HEAD: usize = (64 << 10) - 3;

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
    FromEntries::<F> {
        entries,
        skipped: Skipped::default(),
        format: PhantomData,
    }
}

struct FromEntries<F> {
    entries: Entries,
    skipped: Skipped,
    format: PhantomData<F>,
}

impl<F: Format> Conversations for FromEntries<F> {
    fn next_conversation(&mut self) -> Option<Result<Conversation, String>> {
        loop {
            let entry = match self.entries.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            if F::SOURCE == Source::JsonLines && entry.text().trim().is_empty() {
                self.skipped.count("blank");
                continue;
            }
            return Some(F::conversation(entry));
        }
    }

    fn skipped(&self) -> Vec<(String, u64)> {
        self.skipped.to_list()
    }
}

/// A conversation of one turn or more, as it is asked of a model: an entry in the words of the contract.
///
/// ```
/// use llmuses_plugin::Conversation;
///
/// let conversation = Conversation::of_prompt("Why?").output_tokens(64).prompt("And why that?");
/// assert_eq!(
///     conversation.to_json().to_string(),
///     r#"{"turns":[{"prompt":"Why?","output_tokens":64},{"prompt":"And why that?"}]}"#
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conversation {
    turns: Vec<Value>,
    others: Map<String, Value>,
}

impl Conversation {
    /// A conversation whose first turn is a text of the user.
    pub fn of_prompt(text: impl Into<String>) -> Self {
        Self::default().prompt(text)
    }

    /// A conversation whose first turn is chat messages, oldest first, each as OpenAI's API takes them.
    pub fn of_messages(messages: Vec<Value>) -> Self {
        Self::default().turn("messages", Value::Array(messages))
    }

    /// Adds a turn that is a text of the user.
    pub fn prompt(self, text: impl Into<String>) -> Self {
        self.turn("prompt", Value::String(text.into()))
    }

    /// Adds a turn of one member of `wit/entry.schema.json`: `texts`, `prompt_token_ids`, `body` and others.
    pub fn turn(mut self, member: &str, value: Value) -> Self {
        self.turns.push(json!({ member: value }));
        self
    }

    /// Adds a member to the last turn: `documents` beside a `query`, `delay`.
    pub fn also(mut self, member: &str, value: Value) -> Self {
        if let Some(turn) = self.turns.last_mut() {
            turn[member] = value;
        }
        self
    }

    /// The most tokens of the answer to the last turn.
    pub fn output_tokens(self, tokens: u64) -> Self {
        self.also("output_tokens", tokens.into())
    }

    /// A member of the whole: `system`, `tools`, `model`, `parameters`, `session`, `at`.
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.others.insert(member.to_owned(), value);
        self
    }

    /// The whole as JSON, as the host gets it.
    pub fn to_json(&self) -> Value {
        let mut whole = Map::new();
        whole.insert("turns".to_owned(), Value::Array(self.turns.clone()));
        whole.extend(self.others.clone());
        Value::Object(whole)
    }

    fn into_json(self) -> Value {
        let mut whole = Map::new();
        whole.insert("turns".to_owned(), Value::Array(self.turns));
        whole.extend(self.others);
        Value::Object(whole)
    }
}

/// Makes a component of a type that implements [`Format`]. To be called once in a crate of the type `cdylib`, which may
/// export an API too.
///
/// The version that the component reports is that of the crate in which the macro is called. Where the crate
/// is not compiled to WebAssembly, as in its own tests, the macro only checks the type.
#[macro_export]
macro_rules! export_format {
    ($format:ty) => {
        const _: () = {
            struct CrateVersion;

            impl $crate::export::Version for CrateVersion {
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            }

            type Exported = $crate::format::Component<$format, CrateVersion>;

            #[cfg(target_family = "wasm")]
    $crate::bindings::format::export!(Exported with_types_in $crate::bindings::format);

            #[cfg(not(target_family = "wasm"))]
            const _: fn(Exported) = $crate::format::check;
        };
    };
}

/// The format `F` of a crate of the version `V`, as the contract sees it.
#[doc(hidden)]
pub struct Component<F, V>(PhantomData<(F, V)>);

/// Does nothing; to name it takes a type that could be exported.
#[doc(hidden)]
pub fn check<F: Format, V: Version>(_: Component<F, V>) {}

impl<F: Format, V: Version> contract::Guest for Component<F, V> {
    type Entries = Batch;

    fn describe() -> types::FormatInfo {
        types::FormatInfo {
            name: F::NAME.to_owned(),
            version: V::VERSION.to_owned(),
            description: F::DESCRIPTION.to_owned(),
        }
    }

    fn recognises(head: Vec<u8>, file_name: String) -> bool {
        use_second();
        F::recognises(&Head {
            bytes: &head,
            file_name: &file_name,
        })
    }

    fn open(_options: String) -> Result<contract::Entries, String> {
        use_second();
        let batches = Batches::new(Box::new(AsJson(F::open()?)));
        Ok(contract::Entries::new(Batch(RefCell::new(batches))))
    }
}

/// Conversations as JSON values.
struct AsJson(Box<dyn Conversations>);

impl Requests for AsJson {
    fn next_body(&mut self) -> Option<Result<Value, String>> {
        let next = self.0.next_conversation()?;
        Some(next.map(Conversation::into_json))
    }

    fn skipped(&self) -> Vec<(String, u64)> {
        self.0.skipped()
    }
}

/// The entries of one data set, behind the shared reference by which the contract calls them.
#[doc(hidden)]
pub struct Batch(RefCell<Batches>);

impl contract::GuestEntries for Batch {
    fn next(&self, max: u32) -> Result<Vec<String>, String> {
        self.0.borrow_mut().next(max)
    }

    fn skipped(&self) -> Vec<(String, u64)> {
        self.0.borrow().skipped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Queries;

    impl Format for Queries {
        const NAME: &'static str = "queries";
        const DESCRIPTION: &'static str = "";
        const SOURCE: Source = Source::JsonLines;

        fn conversation(entry: Entry) -> Result<Conversation, String> {
            Ok(Conversation::of_prompt(entry.string_field("query")?))
        }
    }

    #[test]
    fn blank_lines_are_counted_and_a_bad_one_stands_alone() {
        let entries = Entries::from_lines([r#"{"query":"a"}"#, " ", "{}", r#"{"query":"b"}"#]);
        let mut batches = Batches::new(Box::new(AsJson(Box::new(conversations_of::<Queries>(
            entries,
        )))));
        assert_eq!(
            batches.next(9),
            Ok(vec![r#"{"turns":[{"prompt":"a"}]}"#.to_owned()])
        );
        assert_eq!(
            batches.next(9),
            Err("line 3: no field \"query\"".to_owned())
        );
        assert_eq!(
            batches.next(9),
            Ok(vec![r#"{"turns":[{"prompt":"b"}]}"#.to_owned()])
        );
        assert_eq!(batches.next(9), Ok(vec![]));
        assert_eq!(batches.skipped(), [("blank".to_owned(), 1)]);
    }
}
