//! Carrying out `llmuses perf`.

use super::PerfArguments;
use super::choices::SaveArgument;
use super::planning::database_of_part;
use super::usage::UsageError;
use crate::calibration::Kept;
use crate::cli::CommandOutcome;
use crate::run::{Outputs, RunError, RunResult, Save, dry_run, run, run_on_workers};
use llmuses_core::document::ObjectiveOutcome;
use llmuses_core::plan::Sweep;
use llmuses_core::wording::counted;
use llmuses_observe::terminal;
use llmuses_store::sink::SinkError;

/// Runs `llmuses perf`.
pub(in crate::cli) fn execute(arguments: PerfArguments) -> anyhow::Result<CommandOutcome> {
    if arguments.dry_run {
        let (sweep, outputs) = arguments.into_sweep()?;
        dry_run(&sweep, &outputs)?;
        return Ok(CommandOutcome::Done);
    }
    arguments.wait_until_ready()?;
    let (loads, name, results) = loop {
        let (sweep, outputs) = arguments.clone().into_sweep()?;
        make_folder(&outputs)?;
        let results = match arguments.on_workers(&sweep, &outputs.name)? {
            None => {
                warn_of_loads(&sweep);
                run(&sweep, &outputs)
            }
            Some((workers, plan)) => run_on_workers(&sweep, &outputs, workers, plan),
        };
        match results {
            // Another run took this name first, before anything was sent. The next name is free.
            Err(RunError::Sink(SinkError::Exists { .. })) if arguments.name.is_none() => {}
            results => break (sweep.loads.len(), outputs.name, results),
        }
    };
    // Where a later load cannot begin, those before it keep their results.
    let are_there = matches!(&results, Ok(_) | Err(RunError::LaterLoad { .. }));
    if are_there && arguments.workers.on.is_some() && arguments.save == SaveArgument::Full {
        terminal::say(where_texts_are(&name, arguments.workers.hosts.len()));
    }
    let results = results?;
    if arguments.workers.on.is_none() {
        warn_of_chunks(&results);
    }
    let mut reasons = Vec::new();
    for result in &results {
        let load = match results.len() {
            1 => String::new(),
            _ => format!(" (load {})", result.record.id),
        };
        if arguments.require_valid && !result.doubts.is_empty() {
            let doubts = counted(result.doubts.len() as u64, "doubt");
            reasons.push(format!(
                "--require-valid: {doubts} about these numbers{load}, as the verdict of the summary says"
            ));
        }
        let totals = result.record.totals.as_ref();
        let broken = arguments
            .fail_if
            .iter()
            .filter_map(|bound| bound.broken_by_run(totals));
        reasons.extend(broken.map(|reason| format!("--fail-if {reason}{load}")));
        let objectives = totals.map(|totals| totals.objectives.as_slice());
        let unmet = objectives
            .unwrap_or_default()
            .iter()
            .filter(|objective| objective.outcome != ObjectiveOutcome::Met);
        reasons.extend(unmet.map(|objective| {
            let (text, outcome) = (&objective.objective, objective.outcome.as_str());
            format!("--objective {text}: {outcome}{load}")
        }));
    }
    for reason in &reasons {
        terminal::say(format!("fails: {reason}"));
    }
    let complete = results.len() == loads;
    Ok(
        if complete && reasons.is_empty() && results.iter().all(RunResult::is_good) {
            CommandOutcome::Done
        } else {
            CommandOutcome::Failed
        },
    )
}

/// Where workers have left the texts of a run of this name.
fn where_texts_are(name: &str, workers: usize) -> String {
    let first = database_of_part(name, 0);
    let (first, texts) = (
        first.display(),
        "Texts of requests and responses are with the",
    );
    match workers {
        1 => format!("{texts} worker, in {first}"),
        _ => format!(
            "{texts} workers, in {first} and so on; `llmuses merge` makes one database of those"
        ),
    }
}

/// Warns of loads whose chunks came faster than this machine is known to measure right.
pub(in crate::cli) fn warn_of_chunks(results: &[RunResult]) {
    let Some(kept) = Kept::of_this_machine() else {
        return;
    };
    for result in results {
        let is_tls = result.record.plan.target.url.starts_with("https:");
        let totals = result.record.totals.as_ref();
        let beyond = totals.and_then(|totals| kept.what_was_beyond(totals));
        if let Some(reason) = beyond.filter(|_| kept.is_of_tls(is_tls)) {
            terminal::say(format!("warning: {reason}"));
        }
    }
}

/// Warns of loads that are more than this machine is known to measure right. That of a trace is known once it is read.
fn warn_of_loads(sweep: &Sweep) {
    let is_tls = sweep.target.url.scheme() == "https";
    let Some(kept) = Kept::of_this_machine().filter(|kept| kept.is_of_tls(is_tls)) else {
        return;
    };
    let beyond = sweep
        .loads
        .iter()
        .filter(|load| load.repeat.is_none_or(|repeat| repeat == 1))
        .filter_map(|load| kept.what_is_beyond(load, None, &sweep.transport));
    for reason in beyond {
        terminal::say(format!("warning: {reason}"));
    }
}

/// Makes the folder that the name of the run asks for.
pub(in crate::cli) fn make_folder(outputs: &Outputs) -> Result<(), UsageError> {
    match outputs.database.parent() {
        Some(folder) if outputs.save != Save::Nothing && !folder.as_os_str().is_empty() => {
            std::fs::create_dir_all(folder).map_err(|reason| UsageError::Folder {
                path: outputs.database.clone(),
                reason,
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_databases_of_workers_are_named() {
        let texts = "Texts of requests and responses are with the";
        assert_eq!(
            where_texts_are("a.db", 1),
            format!("{texts} worker, in a.0.db")
        );
        let several = where_texts_are("a", 2);
        assert!(several.starts_with(&format!("{texts} workers, in a.0.db and so on;")));
    }
}
