//! `llmuses report`: the results of a run once more, from its database.

use super::Outcome;
use super::documents::DocumentArguments;
use crate::document::Document;
use crate::render::render;
use crate::report::summary;
use crate::results::{CsvFile, NewFiles, ResultsDatabase, Targets};
use anyhow::Context;
use clap::Args;
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
    let targets = Targets::of(arguments.csv.as_deref(), arguments.documents.files())?;
    let files = NewFiles::make(&targets)?;
    if targets.is_empty() {
        for run in &runs {
            if runs.len() > 1 {
                println!("Run {} of {}:", run.id, runs.len());
            }
            print!("{}", summary(run));
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
        database.each_row(|row| {
            csv.send(row);
            Ok(())
        })?;
        csv.finish()?;
    }
    Ok(Outcome::Done)
}
