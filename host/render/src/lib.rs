//! Results as people and programs read them: text, pages, CSV, JSON, and the comparison of two.

pub mod compare;
mod csv;
mod error;
mod file;
pub mod forms;
pub mod html;
mod recording;
pub mod report;

#[cfg(test)]
mod tests_support;

pub use csv::{CsvFile, CsvSink};
pub use error::{OutputError, is_of_the_name};
pub use file::{NewFile, NewFiles, OutputFile, OutputFiles};
pub use recording::ResponseFile;
