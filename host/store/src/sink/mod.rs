//! Where the rows of a run go: an SQLite database with one row for each request and one for the run.
//!
//! A writer of its own thread takes outcomes from a bounded queue, so that no disk can move a
//! timestamp; nothing but values comes in. What it writes, column by column, is in `schema`.

mod copied;
mod database;
mod error;
mod file;
mod messages;
mod row_sink;
mod rows;
mod schema;
mod text;
mod worker_rows;
mod writer;

#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "fuzzed"))]
pub(crate) mod tests_support;

pub use copied::{Copied, CopyError, FinishedCopy};
pub use database::{Database, FinishedRun, RunRecord, SinkSummary};
pub use error::SinkError;
pub use messages::read_messages;
pub use row_sink::RowSink;
pub(crate) use rows::is_beginning_of_request;
pub use schema::{APPLICATION_ID, SCHEMA_VERSION, TASK, WORKER, added_columns, last_columns};
pub use text::unix_seconds;
