//! `llmuses merge`: one database of those of the parts of a load.

use super::CommandOutcome;
use crate::run::print_summary;
use clap::Args;
use llmuses_observe::terminal;
use llmuses_render::report;
use llmuses_store::merge::merge;
use std::path::PathBuf;

/// Arguments of `llmuses merge`.
#[derive(Debug, Args)]
#[command(
    after_help = "The parts must be of one run: the same plan, seed, parser and data set. A part that is missing, and \
                  requests that have no row, are named.\n\
                  Exit codes: 0 everything is there; 1 something is missing; 2 the arguments are wrong."
)]
pub(super) struct MergeArguments {
    /// Database to write; may not be there yet.
    #[arg(value_name = "OUT")]
    out: PathBuf,

    /// Databases of the parts: what `llmuses perf --shard` and the workers of --on wrote.
    #[arg(value_name = "DB", required = true)]
    parts: Vec<PathBuf>,
}

/// Runs `llmuses merge`.
pub(super) fn execute(arguments: &MergeArguments) -> anyhow::Result<CommandOutcome> {
    let merged = merge(&arguments.out, &arguments.parts, report::whole_summary)?;
    for run in &merged.runs {
        if merged.runs.len() > 1 {
            terminal::print(format!("Run {} of {}:\n", run.id, merged.runs.len()));
        }
        print_summary(true, |look| report::summary(run, look));
    }
    if merged.runs.len() > 1 {
        print_summary(true, |look| report::sweep_summary(&merged.runs, None, look));
    }
    for what in &merged.missing {
        terminal::say(format!("warning: {what}"));
    }
    let which = match merged.missing.is_empty() {
        true => "The requests of all parts",
        false => "The requests that are there",
    };
    terminal::say(format!("{which} are in {}", arguments.out.display()));
    Ok(if merged.missing.is_empty() {
        CommandOutcome::Done
    } else {
        CommandOutcome::Failed
    })
}
