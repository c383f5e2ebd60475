//! The kit for plugins of the load tester `llmuses`, in Rust.
//!
//! A plugin knows an API, a format of data sets, or both. It is a WebAssembly component, so it can neither open a file nor
//! a socket; whatever it needs, it asks the host for through this kit.
//!
//! Implement [`Api`] or [`Format`] on an empty type and hand it to [`export_api!`] or [`export_format!`]. [`openai`] has
//! what APIs that follow OpenAI's chat completions need; [`ChatParser`] and [`export_chat_parser!`] make such an API and a
//! format in one.
//!
//! [`Parser`] and [`export_parser!`] make a plugin of version 0.1 of the contract, which makes its requests of a prompt or
//! a data set by itself.
//!
//! # On the machine itself
//!
//! The kit also compiles for the machine that one develops on, so that a plugin can have ordinary unit
//! tests. There is no host then: the data set cannot be opened, there is no tokenizer, and what is logged
//! goes nowhere. [`Entries::from_lines`] stands in for the data set.

#![deny(missing_docs)]

mod answer;
#[doc(hidden)]
pub mod api;
#[doc(hidden)]
pub mod bindings;
mod chat;
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
pub mod ollama;
pub mod openai;
mod options;
mod parser;
mod prompt;
mod repeats;
mod requests;
pub mod rerank;
mod sampling;
mod shape;
mod summary;
mod usage;

pub use answer::{Answer, Counts};
pub use api::{Api, Framing, Response, Task};
pub use chat::ChatParser;
pub use dataset::{Entries, Entry, dataset_items, dataset_lines};
pub use format::{Conversation, Conversations, Format, Head, conversations_of};
pub use host::{log, tokenizer_count};
pub use item::{Item, OutputLength, Request, Settings, arguments_of, data_url, text_of};
pub use message::failure as server_error;
pub use options::{Options, merge};
pub use parser::{Parser, Source};
pub use prompt::Prompt;
pub use requests::{Requests, Skipped, requests_from};
pub use sampling::{AnswerFormat, SAMPLING};
pub use serde_json::{Map, Value, json};
pub use summary::{Summary, Tokens};

/// The examples of the page for authors, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
