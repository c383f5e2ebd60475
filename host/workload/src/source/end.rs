//! How a source ends, and what it has done by then.

use llmuses_core::cost::CallCost;
use llmuses_plugin_host::CallError;
use std::path::PathBuf;

/// No further requests can be made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// The parser refused to begin.
    #[error("parser `{parser}`: {message}")]
    Begin {
        /// The parser.
        parser: String,
        /// What it said.
        message: String,
    },
    /// An entry of the data set is broken.
    #[error("{}: {message} (--skip-bad-lines counts such entries and passes over them)", path.display())]
    BadEntry {
        /// The data set.
        path: PathBuf,
        /// Where in it, and what is wrong.
        message: String,
    },
    /// The parser refused to make a request of a prompt.
    #[error("parser `{parser}` made no request of the prompt: {message}")]
    BadPrompt {
        /// The parser.
        parser: String,
        /// What it said.
        message: String,
    },
    /// The parser goes on and on.
    #[error(
        "parser `{parser}` does not come to an end: it made {bodies} requests in one pass over a data set \
         of which it read {entries} entries (-n bounds the number of requests)"
    )]
    Endless {
        /// The parser.
        parser: String,
        /// Requests of the pass.
        bodies: u64,
        /// Entries that were read for them.
        entries: u64,
    },
    /// A body takes more than a quarter of the memory that there is for all.
    #[error(
        "parser `{parser}` made a request body of {bytes} bytes, and a body may take a quarter of the {limit} bytes of \
         --memory-limit"
    )]
    TooLarge {
        /// The parser.
        parser: String,
        /// The bytes of the body.
        bytes: usize,
        /// The bytes of the budget.
        limit: usize,
    },
    /// Nothing in the data set is wanted.
    #[error("{0}")]
    Nothing(String),
    /// The parser broke.
    #[error(transparent)]
    Broken(#[from] CallError),
}

/// What a source has done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceReport {
    /// Sessions begun, and those before them that other processes begin.
    pub sessions: u64,
    /// Requests of these, those to come counted.
    pub issued: u64,
    /// Complete passes over the data set.
    pub passes: u64,
    /// Bodies of a complete pass. `None` before the first one is over.
    pub bodies_of_a_pass: Option<u64>,
    /// Entries read in the first pass (so far).
    pub entries_read: u64,
    /// Entries passed over on purpose in the first pass (so far), by reason.
    pub skipped: Vec<(String, u64)>,
    /// Bad entries passed over since the user asked for that, in all passes.
    pub bad_entries: u64,
    /// What the parser's calls cost.
    pub cost: CallCost,
}

/// Why a source ended.
#[derive(Debug, Clone)]
pub enum SourceEnd {
    /// All requests were handed over.
    Complete,
    /// It was told to stop, or nobody takes any more.
    Stopped,
    /// It could not go on.
    Failed(SourceError),
}
