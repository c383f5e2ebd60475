//! The trait of a format of data sets, and the bridge between it and the contract.

use crate::bindings::api::llmuses::perf::types;
use crate::bindings::format::exports::llmuses::perf::dataset_plugin as contract;
use crate::host::use_second;
use crate::json::from_str;
use crate::requests::{Batches, Requests, Skipped};
use crate::{Entries, Entry, Map, Source, Value, dataset_items, dataset_lines, json};
use serde::Deserialize;
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

    /// Whether the user may name the field that has the prompt (`--field`), which is then [`Head::field`].
    const TAKES_FIELD: bool = false;

    /// Whether a file is likely to be of this format. Only formats inside the load tester are asked, and components of
    /// several formats.
    fn recognises(head: &Head<'_>) -> bool {
        let _ = head;
        false
    }

    /// The conversation in one entry of the file.
    ///
    /// # Errors
    /// Where the entry has none. The text should name the entry, as [`Entry::error`] and the errors of
    /// [`Entry::string_field`] and [`Entry::json`] do. The next entry is tried all the same. A format with an `open` of
    /// its own that does not use this leaves it out.
    fn conversation(entry: Entry) -> Result<Conversation, String> {
        Err(entry.error("the format makes no conversation of an entry alone"))
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

/// The beginning of a file, by which its format is recognised.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// At most the first 64 KiB, perhaps cut within a line; a byte-order mark is left out.
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
            Self::PromptOnly => Err("it reads no data set".to_owned()),
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
    FromEntries {
        entries,
        skipped: Skipped::default(),
        has_blank: F::SOURCE == Source::Lines,
        read: F::conversation,
    }
}

impl Entries {
    /// A conversation of each entry. Those that are blank are passed over and counted.
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
            return Some((self.read)(entry));
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

/// Makes a component of one type or several that implement [`Format`]. To be called once in a crate of the type `cdylib`,
/// which may export an API too. A file is of the first format that recognises it.
///
/// The version that the component reports is that of the crate in which the macro is called. Where the crate
/// is not compiled to WebAssembly, as in its own tests, the macro only checks the types.
#[macro_export]
macro_rules! export_format {
    ($($format:ty),+ $(,)?) => {
        const _: () = {
            struct All;

            impl $crate::format::Formats for All {
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");
                const ALL: &'static [$crate::format::Known] =
                    &[$($crate::format::Known::of::<$format>()),+];
            }

            type Exported = $crate::format::Component<All>;

            #[cfg(target_family = "wasm")]
    $crate::bindings::format::export!(Exported with_types_in $crate::bindings::format);

            #[cfg(not(target_family = "wasm"))]
            const _: fn(Exported) = $crate::format::check;
        };
    };
}

/// A format as a component knows it.
#[doc(hidden)]
pub struct Known {
    name: &'static str,
    description: &'static str,
    takes_field: bool,
    recognises: fn(&Head<'_>) -> bool,
    open: fn(&Head<'_>) -> Result<Box<dyn Conversations>, String>,
}

impl Known {
    /// The format `F`.
    pub const fn of<F: Format>() -> Self {
        Self {
            name: F::NAME,
            description: F::DESCRIPTION,
            takes_field: F::TAKES_FIELD,
            recognises: F::recognises,
            open: F::open,
        }
    }

    fn is_of(&self, head: &Head<'_>) -> bool {
        (self.takes_field || head.field.is_none()) && (self.recognises)(head)
    }
}

/// The formats of a component.
#[doc(hidden)]
pub trait Formats: 'static {
    /// The version of the component.
    const VERSION: &'static str;
    /// In the order in which they are asked whether they recognise a file.
    const ALL: &'static [Known];
}

/// A component with formats, as the contract sees it.
#[doc(hidden)]
pub struct Component<F>(PhantomData<F>);

/// Does nothing; to name it takes a type that could be exported.
#[doc(hidden)]
pub fn check<F: Formats>(_: Component<F>) {}

/// What the host tells of a file.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Options {
    file_name: String,
    head: String,
    format: Option<String>,
    field: Option<String>,
}

impl Options {
    fn read(text: &str) -> Result<Self, String> {
        from_str(text).map_err(|error| format!("the options of the host are not valid: {error}"))
    }
}

impl<F: Formats> contract::Guest for Component<F> {
    type Entries = Batch;

    fn describe() -> Vec<types::FormatInfo> {
        let info = |format: &Known| types::FormatInfo {
            name: format.name.to_owned(),
            version: F::VERSION.to_owned(),
            description: format.description.to_owned(),
        };
        F::ALL.iter().map(info).collect()
    }

    fn recognises(head: Vec<u8>, options: String) -> Option<String> {
        use_second();
        let options = Options::read(&options).ok()?;
        let head = Head {
            bytes: &head,
            file_name: &options.file_name,
            field: options.field.as_deref(),
        };
        let format = F::ALL.iter().find(|format| format.is_of(&head))?;
        Some(format.name.to_owned())
    }

    fn open(options: String) -> Result<contract::Entries, String> {
        use_second();
        let options = Options::read(&options)?;
        let head = Head {
            bytes: options.head.as_bytes(),
            file_name: &options.file_name,
            field: options.field.as_deref(),
        };
        let format = match &options.format {
            Some(name) => F::ALL
                .iter()
                .find(|format| format.name == name)
                .ok_or_else(|| format!("there is no format {name}"))?,
            None => F::ALL
                .iter()
                .find(|format| format.is_of(&head))
                .unwrap_or(&F::ALL[0]),
        };
        if head.field.is_some() && !format.takes_field {
            return Err(format!("{} takes no --field", format.name));
        }
        let batches = Batches::new(Box::new(AsJson((format.open)(&head)?)));
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
mod tests;
