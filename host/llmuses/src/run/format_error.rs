//! Why parser, format and data set do not fit together.

use std::path::PathBuf;

/// The plugins that were chosen do not fit together, or none fits the data set.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// `--dataset-parser` with a parser that reads the data set itself.
    #[error(
        "--dataset-parser: parser `{parser}` reads data sets in a format of its own; leave --dataset-parser out, or \
         use a parser that takes any format, such as openai_chat"
    )]
    OfItsOwn {
        /// The parser.
        parser: String,
    },
    /// `--field` with a parser that reads the data set itself.
    #[error(
        "--field: parser `{parser}` reads data sets in a format of its own; use a parser that takes any format, such as \
         openai_chat"
    )]
    OwnField {
        /// The parser.
        parser: String,
    },
    /// `--dataset-parser` names something else.
    #[error("--dataset-parser: {label} is no format of data sets, but {offers}")]
    NoFormat {
        /// The plugin.
        label: String,
        /// What it is.
        offers: &'static str,
    },
    /// `--parser` names a format.
    #[error(
        "--parser: {label} reads data sets and knows no API: name it with --dataset-parser, and the API with --parser"
    )]
    NoApi {
        /// The plugin.
        label: String,
    },
    /// `--input-tokens` with a parser that makes requests by itself.
    #[error(
        "--input-tokens: parser `{parser}` makes its requests by itself, of a prompt or a data set; use a parser that \
         takes any prompt, such as openai_chat"
    )]
    MakesItsOwn {
        /// The parser.
        parser: String,
    },
    /// `--send-token-ids` with an API that takes text.
    #[error(
        "--send-token-ids: parser `{parser}` takes no ids of tokens ({reason}); leave --send-token-ids out, or use a parser \
         that takes them, such as openai_completions"
    )]
    NoTokenIds {
        /// The parser.
        parser: String,
        /// What it said of some.
        reason: String,
    },
    /// Sessions with a parser that makes requests by itself.
    #[error(
        "--turns: parser `{parser}` makes its requests by itself, each of one turn; use a parser that takes any \
         conversation, such as openai_chat"
    )]
    OneTurnEach {
        /// The parser.
        parser: String,
    },
    /// Several models with a parser that makes requests by itself.
    #[error(
        "--model: parser `{parser}` makes its requests by itself, all of them for one model; use a parser that takes any \
         prompt, such as openai_chat, or give one --model"
    )]
    OneModel {
        /// The parser.
        parser: String,
    },
    /// Sessions with an API whose answers say nothing.
    #[error(
        "--turns: parser `{parser}` has no conversations: its answers are nothing that a later turn could go on from; leave \
         --turns out, or use a parser of an API that generates text, such as openai_chat"
    )]
    NoConversation {
        /// The parser.
        parser: String,
    },
    /// `--trace` with a parser that reads the data set itself.
    #[error(
        "--trace: parser `{parser}` reads data sets in a format of its own, which has no times; use a parser that takes \
         any format, such as openai_chat"
    )]
    NoTimes {
        /// The parser.
        parser: String,
    },
    /// Several URLs that are not of one API.
    #[error(
        "--url {url}: several URLs need the same path and query, since a request is made before it is known where it goes"
    )]
    OtherPath {
        /// The one that differs from the first, without credentials.
        url: String,
    },
    /// A format without a data set.
    #[error("{label} is a format of data sets: it needs a file to read (--dataset)")]
    NoDataset {
        /// The plugin.
        label: String,
    },
    /// The data set is in another coding of characters.
    #[error(
        "the data set {} is UTF-16, and data sets are read as UTF-8: convert it, such as by `iconv -f UTF-16 -t UTF-8`",
        path.display()
    )]
    Utf16 {
        /// The data set.
        path: PathBuf,
    },
    /// The data set is of a kind that is no text.
    #[error(
        "the data set {} is {kind}, and data sets are read as text: {help}",
        path.display()
    )]
    NoText {
        /// The data set.
        path: PathBuf,
        /// What it is, by its first bytes.
        kind: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// No built-in format recognises the data set.
    #[error(
        "no format recognises the data set {}{field}, which begins with `{begin}`; name one with --dataset-parser, or a \
         .wasm file, or the field that has the prompt with --field. Known are:{known}",
        path.display()
    )]
    Unknown {
        /// The data set.
        path: PathBuf,
        /// Its beginning.
        begin: String,
        /// The formats and what they read.
        known: String,
        /// The field that was named.
        field: String,
    },
}
