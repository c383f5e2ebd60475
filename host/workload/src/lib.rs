//! Where requests come from: the readers of data sets, the tokenizer, and the source that asks a
//! parser for one body after another.

mod dataset;
mod items;
mod lines;
mod source;
mod tokenizer;
mod waiting;

pub use dataset::{Dataset, DatasetError};
pub use source::{RequestSource, SourceEnd, SourceError, SourceReport, SourceSettings};
pub use tokenizer::{HostTokenizer, TokenizerError};
