//! The forms in which the results of runs are written to files. Each is a line of [`RENDERERS`], which gives `perf` and
//! `report` its flag.

mod config;
mod csv;
mod files;
mod html;
mod json;
mod markdown;

pub use csv::{CsvFile, CsvSink};
pub use files::Files;

use crate::file::{OutputFile, OutputFiles};
use llmuses_core::document::Document;

/// A form of results.
pub trait Renderer: Sync {
    /// The flag that asks for it.
    fn flag(&self) -> &'static str;

    /// What the flag does.
    fn help(&self) -> &'static str;

    /// What it is made of.
    fn source(&self) -> FormSource;
}

/// What a form is made of.
#[derive(Debug, Clone, Copy)]
pub enum FormSource {
    /// The document and nothing else: the content of the file.
    Document(fn(&Document) -> String),
    /// The requests, row by row while a run goes on (see [`CsvFile`]).
    Requests,
}

/// All forms, in the order in which they are listed and written.
pub static RENDERERS: [&dyn Renderer; 5] = [
    &json::Json,
    &html::Html,
    &markdown::Markdown,
    &csv::Csv,
    &config::Config,
];

/// What the form of that flag is made of.
fn source_of(flag: &str) -> Option<FormSource> {
    let renderer = RENDERERS.iter().find(|renderer| renderer.flag() == flag)?;
    Some(renderer.source())
}

/// Whether rows come on standard output while a run goes on.
pub fn rows_take_stdout(targets: &OutputFiles) -> bool {
    targets.files.iter().any(|(flag, target)| {
        *target == OutputFile::StandardOutput
            && matches!(source_of(flag), Some(FormSource::Requests))
    })
}
