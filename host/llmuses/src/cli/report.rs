//! `llmuses report`: the results of a run once more, from its database.

use super::CommandOutcome;
use super::documents::DocumentArguments;
use crate::run::print_summary;
use clap::Args;
use llmuses_core::document::Document;
use llmuses_observe::terminal::{print, say};
use llmuses_render::OutputFiles;
use llmuses_render::forms::Files;
use llmuses_render::report::{self, search_summary, sweep_summary};
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
}

/// Runs `llmuses report`.
pub(super) fn execute(arguments: &ReportArguments) -> anyhow::Result<CommandOutcome> {
    let database = ResultsDatabase::open(&arguments.database)?;
    let runs = database.runs()?;
    let targets = OutputFiles::of(arguments.documents.files())?;
    let files = Files::begin(&targets)?;
    let document = Document::of(runs);
    let runs = &document.runs;
    if targets.is_empty() {
        for run in runs {
            if runs.len() > 1 {
                print(format!("Run {} of {}:\n", run.id, runs.len()));
            }
            print_summary(true, |look| report::summary(run, look));
        }
        match &document.search {
            Some(search) => print_summary(true, |look| search_summary(search, runs, look)),
            None if runs.len() > 1 => print_summary(true, |look| sweep_summary(runs, None, look)),
            None => {}
        }
    }
    if let Some(csv) = files.rows() {
        let mut rows = 0_u64;
        let read = database.each_row(|row| {
            rows += 1;
            csv.send(row);
        });
        if let Err(error) = read {
            // Empty files would be in the way of the next try.
            files.discard();
            return Err(error.into());
        }
        let kept: u64 = document
            .runs
            .iter()
            .filter_map(|run| Some(run.rows.as_ref()?.kept))
            .sum();
        if rows < kept {
            say(format!(
                "warning: {} has {} of the {kept} rows that were written to it",
                database.path().display(),
                rows
            ));
        }
    }
    if let Some(error) = files.finish(&document).into_iter().next() {
        return Err(error.into());
    }
    Ok(CommandOutcome::Done)
}
