//! Results as people and programs read them: text, pages, CSV, JSON, and the comparison of two.

pub mod compare;
mod digits;
mod error;
mod file;
pub mod forms;
pub mod html;
mod recording;
pub mod report;
mod sections;

#[cfg(test)]
mod tests_support;

pub use error::{OutputError, is_of_the_name};
pub use file::{NewFile, OutputFile, OutputFiles};
pub use recording::ResponseFile;
