//! `llmuses report`: the results of a run once more, from its database.

use super::Outcome;
use super::documents::DocumentArguments;
use anyhow::Context;
use clap::Args;
use llmuses_core::document::Document;
use llmuses_observe::terminal::print;
use llmuses_render::forms::render;
use llmuses_render::report::summary;
use llmuses_render::{CsvFile, NewFiles, OutputFiles};
use llmuses_store::results::ResultsDatabase;
use std::path::PathBuf;

/// Arguments of `llmuses report`.
#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// Database of the run: the NAME.db that `llmuses perf` wrote.
    #[arg(value_name = "DB")]
    database: PathBuf,

    #[command(flatten)]
    documents: DocumentArguments,

    /// Write a row for each request as CSV to a new file; - for standard output.
    #[arg(long, value_name = "FILE")]
    csv: Option<String>,
}

/// Runs `llmuses report`.
pub(super) fn execute(arguments: &ReportArguments) -> anyhow::Result<Outcome> {
    let database = ResultsDatabase::open(&arguments.database)?;
    let runs = database.runs()?;
    let targets = OutputFiles::of(arguments.csv.as_deref(), arguments.documents.files())?;
    let files = NewFiles::make(&targets)?;
    if targets.is_empty() {
        for run in &runs {
            if runs.len() > 1 {
                print(format!("Run {} of {}:\n", run.id, runs.len()));
            }
            print(summary(run));
        }
    }
    let document = Document::of(runs);
    for file in files.documents {
        if let Some(content) = render(file.flag(), &document) {
            file.write(&content)?;
        }
    }
    if let Some(file) = files.csv {
        let csv = CsvFile::start(file).context("no thread could be started")?;
        database.each_row(|row| csv.send(row))?;
        csv.finish()?;
    }
    Ok(Outcome::Done)
}
