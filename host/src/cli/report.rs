//! `llmuses report`: the results of a run once more, from its database.

use super::Outcome;
use crate::document::Document;
use crate::html::report_page;
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

    /// Write everything of the summary as JSON to a new file; - for standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<String>,

    /// Write a row for each request as CSV to a new file; - for standard output.
    #[arg(long, value_name = "FILE")]
    csv: Option<String>,

    /// Write the results as a page that needs no network to a new file; - for standard output.
    #[arg(long, value_name = "FILE")]
    html: Option<String>,
}

/// Runs `llmuses report`.
pub(super) fn execute(arguments: &ReportArguments) -> anyhow::Result<Outcome> {
    let database = ResultsDatabase::open(&arguments.database)?;
    let runs = database.runs()?;
    let targets = Targets::of(
        arguments.json.as_deref(),
        arguments.csv.as_deref(),
        arguments.html.as_deref(),
    )?;
    let files = NewFiles::make(&targets)?;
    if targets.is_empty() {
        for run in &runs {
            if runs.len() > 1 {
                println!("Run {} of {}:", run.id, runs.len());
            }
            print!("{}", summary(run));
        }
    }
    if let Some(file) = files.json {
        file.write(&Document::of(runs.clone()).to_json())?;
    }
    if let Some(file) = files.html {
        file.write(&report_page(&runs))?;
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
