//! The results of runs, whether they have just ended or come out of a database: one JSON document and
//! one table of requests, the same to the digit from either side.

mod cells;
mod document;
mod error;
mod guard;
mod reader;
mod rebuild;
mod row;
mod sent;
mod versions;

#[cfg(test)]
mod foreign_tests;

pub use document::run_of;
pub use error::ResultsError;
pub(crate) use reader::NotedAtStart;
pub use reader::ResultsDatabase;
pub(crate) use rebuild::rebuild_with;
pub use row::{CsvRow, RowStages};
pub use sent::SentRequest;
