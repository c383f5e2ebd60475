//! The results of runs, whether they have just ended or come out of a database: one JSON document and
//! one table of requests, the same to the digit from either side.

mod csv;
mod document;
mod error;
mod file;
mod guard;
mod reader;
mod rebuild;
mod versions;

#[cfg(test)]
mod foreign_tests;

pub use csv::{CsvFile, CsvRow};
pub use document::run_of;
pub use error::ResultsError;
pub use file::{NewFile, NewFiles, Target, Targets};
pub use reader::ResultsDatabase;
