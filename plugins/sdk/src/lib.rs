//! The kit for parsers of the load tester `llmuses`, in Rust.
//!
//! A parser knows one API and one kind of data set: it turns prompts into request bodies, and reads token
//! counts out of finished responses. It is a WebAssembly component, so it can neither open a file nor a
//! socket; whatever it needs, it asks the host for through this kit.
//!
//! # The short way
//!
//! Implement [`Parser`] on an empty type and hand it to [`export_parser!`]. Three constants are enough for
//! an OpenAI-compatible API. [`Parser::prompt_of`] says where in an entry of the data set the prompt is, and
//! [`Parser::body`] what else belongs into the request.
//!
//! ```
//! use llmuses_plugin::{Entry, Parser, Prompt, Source, export_parser};
//!
//! struct Trivia;
//!
//! impl Parser for Trivia {
//!     const NAME: &'static str = "trivia";
//!     const DESCRIPTION: &'static str = "JSON lines with the prompt in `question`";
//!     const SOURCE: Source = Source::JsonLines;
//!
//!     fn prompt_of(entry: Entry) -> Result<Prompt, String> {
//!         Ok(entry.string_field("question")?.into())
//!     }
//! }
//!
//! export_parser!(Trivia);
//! ```
//!
//! # By hand
//!
//! [`Parser::build_request`] may be replaced as a whole. It returns anything that implements [`Requests`],
//! and every iterator over `Result<Value, String>` does. [`dataset_lines`] and [`dataset_items`] read the
//! data set, [`Options::unwanted`] applies the limits of length, [`Skipped`] counts what was passed over, and
//! [`merge`] lays the user's parameters over one's own. [`Parser::parse_responses`] builds a [`Summary`];
//! [`tokenizer_count`] counts where the server did not.
//!
//! # On the machine itself
//!
//! The kit also compiles for the machine that one develops on, so that a parser can have ordinary unit
//! tests. There is no host then: the data set cannot be opened, there is no tokenizer, and what is logged
//! goes nowhere. [`Entries::from_lines`] and [`requests_from`] stand in for the data set.

#![deny(missing_docs)]

#[doc(hidden)]
pub mod api;
#[doc(hidden)]
pub mod bindings;
pub mod dashscope;
mod dataset;
#[doc(hidden)]
pub mod export;
#[doc(hidden)]
pub mod format;
mod host;
mod item;
mod json;
mod lenient;
mod message;
pub mod openai;
mod options;
mod parser;
mod prompt;
mod repeats;
mod requests;
mod shape;
mod summary;
mod usage;

pub use api::{Api, Framing, Response, Task};
pub use dataset::{Entries, Entry, dataset_items, dataset_lines};
pub use format::{Conversation, Conversations, Format, Head, conversations_of};
pub use host::{log, tokenizer_count};
pub use item::{Item, OutputLength, Request, Settings};
pub use options::{Options, merge};
pub use parser::{Parser, Source};
pub use prompt::Prompt;
pub use requests::{Requests, Skipped, requests_from};
pub use serde_json::{Map, Value, json};
pub use summary::{Summary, Tokens};

/// The examples of the page for authors, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
