//! One database of those of the parts of a load: the rows of all, and totals made of them.

use crate::results::{NotedAtStart, ResultsDatabase, ResultsError, rebuild_with};
use crate::sink::{Copied, CopyError, FinishedCopy};
use llmuses_core::document::{PlanRecord, Run, RunState, Totals, WorkerFigures};
use llmuses_core::plan::{Arrivals, Load, Shard};
use llmuses_core::wording::counted;
use llmuses_stats::{StoppedBy, circumstances_of_parts};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Gaps that are named one by one.
const NAMED_GAPS: usize = 5;

/// Parts cannot be made one run.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A part cannot be read.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The new database cannot be written.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A database holds a run that is no part of one.
    #[error("{} holds a whole run and no part of one: it was made without --shard", path.display())]
    Whole {
        /// The file.
        path: PathBuf,
    },
    /// A database holds a part of a number of parts of which another one is not.
    #[error("{} is part {shard}, and {} is one of {parts}: they are not of one run", path.display(), first.display())]
    OtherParts {
        /// The file.
        path: PathBuf,
        /// Which part it is.
        shard: Shard,
        /// The first file.
        first: PathBuf,
        /// Of how many parts that one is.
        parts: u32,
    },
    /// Two databases hold the same part.
    #[error("{} and {} are both part {shard}: give each part once", path.display(), other.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// The other one.
        other: PathBuf,
        /// Which part both are.
        shard: Shard,
    },
    /// Two parts are not of the same run.
    #[error("{} and {} are not parts of one run: {difference}", first.display(), path.display())]
    Different {
        /// The first file.
        first: PathBuf,
        /// The file.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
}

impl MergeError {
    /// Whether the arguments are at fault.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Results(error) => error.is_usage(),
            Self::Copy(error) => error.is_usage(),
            _ => true,
        }
    }
}

/// What was made of the parts.
#[derive(Debug)]
pub struct Merged {
    /// The runs as they stand in the new database.
    pub runs: Vec<Run>,
    /// What is missing: parts, and requests of parts.
    pub missing: Vec<String>,
}

/// A part.
struct Part {
    path: PathBuf,
    database: ResultsDatabase,
    runs: Vec<Run>,
    shard: Shard,
}

/// Makes the database `out` of those of the parts. `summary` makes the text that stands with each run.
///
/// # Errors
/// Where they are not parts of one run, one cannot be read, or `out` is there or cannot be written. Parts and requests
/// that are missing are no error, but told.
pub fn merge(
    out: &Path,
    parts: &[PathBuf],
    summary: impl Fn(&Run) -> String,
) -> Result<Merged, MergeError> {
    let parts = parts
        .iter()
        .map(|path| open(path))
        .collect::<Result<Vec<_>, _>>()?;
    check(&parts)?;
    let ids: BTreeSet<u32> = parts
        .iter()
        .flat_map(|part| part.runs.iter().map(|run| run.id))
        .collect();
    let copy = Copied::create(out)?;
    let made = || -> Result<Merged, MergeError> {
        let mut missing = Vec::new();
        for id in &ids {
            copy_run(&copy, &parts, *id, &mut missing)?;
        }
        let mut runs = Vec::new();
        for id in ids {
            runs.push(complete(&copy, out, &parts, id, &missing, &summary)?);
        }
        Ok(Merged { runs, missing })
    };
    match made() {
        Ok(merged) => {
            copy.close()?;
            Ok(merged)
        }
        Err(error) => {
            copy.discard();
            Err(error)
        }
    }
}

fn open(path: &Path) -> Result<Part, MergeError> {
    let database = ResultsDatabase::open(path)?;
    let runs = database.runs()?;
    let shard = runs
        .first()
        .and_then(|run| Shard::of_text(run.plan.load.shard.as_deref()?))
        .ok_or_else(|| MergeError::Whole {
            path: path.to_owned(),
        })?;
    Ok(Part {
        path: path.to_owned(),
        database,
        runs,
        shard,
    })
}

/// Whether all are parts of one run.
fn check(parts: &[Part]) -> Result<(), MergeError> {
    for (index, part) in parts.iter().enumerate() {
        let first = &parts[0];
        if part.shard.parts() != first.shard.parts() {
            return Err(MergeError::OtherParts {
                path: part.path.clone(),
                shard: part.shard,
                first: first.path.clone(),
                parts: first.shard.parts(),
            });
        }
        if let Some(other) = parts[..index]
            .iter()
            .find(|other| other.shard == part.shard)
        {
            return Err(MergeError::Twice {
                path: part.path.clone(),
                other: other.path.clone(),
                shard: part.shard,
            });
        }
        for (before, run) in first.runs.iter().zip(&part.runs) {
            if let Some(difference) = difference(before, run) {
                return Err(MergeError::Different {
                    first: first.path.clone(),
                    path: part.path.clone(),
                    difference,
                });
            }
        }
    }
    Ok(())
}

/// What differs between the same run of two parts, but for what each machine has of its own.
fn difference(first: &Run, other: &Run) -> Option<String> {
    for (what, before, after) in [
        ("version", &first.versions.llmuses, &other.versions.llmuses),
        ("parser", &first.parser.name, &other.parser.name),
        (
            "SHA-256 of the parser",
            &first.parser.sha256,
            &other.parser.sha256,
        ),
        ("seed", &first.schedule_seed, &other.schedule_seed),
    ] {
        if before != after {
            return Some(format!("{what}: {before} and {after}"));
        }
    }
    // Older versions kept neither of these.
    let (before, after) = (&first.plan.load, &other.plan.load);
    if let (Some(before), Some(after)) = (&before.run_id, &after.run_id)
        && before != after
    {
        return Some(format!(
            "id of the run: {before} and {after}, of two commands"
        ));
    }
    if let (Some(before), Some(after)) = (before.start_at_unix_seconds, after.start_at_unix_seconds)
        && before != after
    {
        return Some(format!("--start-at: {before} and {after}"));
    }
    if let Some(difference) = other_digest(&first.plan.work.made_from, &other.plan.work.made_from) {
        return Some(difference);
    }
    let differences = of_all(&first.plan).differences(&of_all(&other.plan));
    differences.into_iter().next().map(|found| found.text)
}

/// The first thing of which requests are made from another content. `None` where one side is of an older version.
fn other_digest(
    first: &BTreeMap<String, String>,
    other: &BTreeMap<String, String>,
) -> Option<String> {
    if first.is_empty() || other.is_empty() {
        return None;
    }
    let of = |side: &BTreeMap<String, String>, what: &str| {
        side.get(what)
            .map_or("none".to_owned(), |digest| format!("{digest:.12}"))
    };
    let what = first
        .keys()
        .chain(other.keys())
        .find(|what| first.get(*what) != other.get(*what))?;
    Some(format!(
        "SHA-256 of the {what}: {} and {}",
        of(first, what),
        of(other, what)
    ))
}

/// A plan without what each machine has of its own.
fn of_all(plan: &PlanRecord) -> PlanRecord {
    let mut plan = plan.clone();
    plan.load.shard = None;
    plan.limits.memory_limit_bytes = None;
    plan.transport.client_threads = None;
    if plan.dataset.sha256.is_some() {
        plan.dataset.path = None;
    }
    // Their contents are compared.
    if plan.work.made_from.contains_key("tokenizer") {
        plan.work.tokenizer = None;
    }
    if plan.work.made_from.contains_key("text of prompts") {
        plan.work.text = None;
    }
    plan
}

/// Copies the rows of one run of all parts, and notes what is missing.
fn copy_run(
    copy: &Copied,
    parts: &[Part],
    id: u32,
    missing: &mut Vec<String>,
) -> Result<(), MergeError> {
    let of_run = |part: &Part| part.runs.iter().position(|run| run.id == id);
    let place = match parts.iter().map(|part| part.runs.len()).max() {
        Some(2..) => format!("load {id}: "),
        _ => String::new(),
    };
    let all = parts.first().map_or(0, |part| part.shard.parts());
    let absent: Vec<String> = (0..all)
        .filter(|number| {
            let part = parts.iter().find(|part| part.shard.part() == *number);
            part.and_then(of_run).is_none()
        })
        .map(|number| format!("{number}/{all}"))
        .collect();
    if !absent.is_empty() {
        missing.push(format!("{place}parts {} are missing", absent.join(", ")));
    }
    let mut is_first = true;
    for part in parts {
        let Some(index) = of_run(part) else { continue };
        let run = &part.runs[index];
        if is_first {
            let mut plan = run.plan.clone();
            plan.load.shard = None;
            copy.add_run(&part.path, part.database.connection(), id, &plan)?;
            is_first = false;
        }
        let columns = part.database.columns_of_result()?;
        copy.add_rows(
            &part.path,
            part.database.connection(),
            &columns,
            id,
            part.shard.part(),
        )?;
        copy.add_worker(&part.path, id, sender(part, run))?;
        if let Some(gaps) = gaps(part, run)? {
            missing.push(format!("{place}part {}: {gaps}", part.shard));
        }
        if let (Some(rows), Some(totals)) = (&run.rows, &run.totals) {
            let all = totals.requests.over() + totals.requests.warmup;
            if rows.kept < all {
                let shard = &part.shard;
                let kept = rows.kept;
                missing.push(format!(
                    "{place}part {shard}: {kept} of its {all} requests have a row (--save full keeps them all)"
                ));
            }
        }
        let cut = match run.state {
            RunState::Running => Some("its program was killed before the load was over"),
            RunState::Interrupted => Some("it was interrupted"),
            RunState::Finished | RunState::Failed => None,
        };
        if let Some(cut) = cut {
            missing.push(format!("{place}part {}: {cut}", part.shard));
        }
    }
    Ok(())
}

/// Who sent a part. How its clock went is not known.
fn sender(part: &Part, run: &Run) -> WorkerFigures {
    let totals = run.totals.as_ref();
    let machine = totals.and_then(|totals| totals.client.machine.as_ref());
    WorkerFigures {
        worker: part.shard.part(),
        name: format!("part {}", part.shard),
        host: machine.and_then(|machine| machine.host.clone()),
        processors: machine.and_then(|machine| machine.processors),
        version: Some(run.versions.llmuses.clone()),
        ..WorkerFigures::default()
    }
}

/// The requests, or sessions, of a part that have no row though one before or behind them has.
fn gaps(part: &Part, run: &Run) -> Result<Option<String>, MergeError> {
    let Some(arrivals) = Arrivals::of_record(&run.plan.load) else {
        return Ok(None);
    };
    let split = Load {
        arrivals,
        seed: run.plan.load.seed,
        shard: part.shard,
        ..Load::default()
    }
    .split();
    let (sessions, most_turns) = part.database.sessions(run.id)?;
    // Of sessions of several turns, it is not known how many there are to be where requests are counted.
    let asked = run
        .plan
        .load
        .sessions
        .or(run.plan.load.number.filter(|_| most_turns <= 1));
    let end = match asked {
        // Time may be up before.
        Some(asked) if run.plan.load.duration_seconds.is_none() => asked,
        _ => sessions.last().map_or(0, |last| last + 1),
    };
    let what = if most_turns > 1 { "session" } else { "request" };
    let mut there = sessions.into_iter().peekable();
    let (mut count, mut named) = (0_u64, Vec::new());
    for number in (0..end).filter(|number| split.takes(*number)) {
        if there.next_if_eq(&number).is_some() {
            continue;
        }
        count += 1;
        if named.len() < NAMED_GAPS {
            named.push(number.to_string());
        }
    }
    if count > named.len() as u64 {
        named.push("…".to_owned());
    }
    Ok((count > 0).then(|| {
        format!(
            "{} without a row: {}",
            counted(count, what),
            named.join(", ")
        )
    }))
}

/// Completes a run of which all rows are there.
fn complete(
    copy: &Copied,
    out: &Path,
    parts: &[Part],
    id: u32,
    missing: &[String],
    summary: &impl Fn(&Run) -> String,
) -> Result<Run, MergeError> {
    let runs: Vec<(&Part, &Run)> = parts
        .iter()
        .filter_map(|part| Some((part, part.runs.iter().find(|run| run.id == id)?)))
        .collect();
    let totals: Vec<(String, &Totals)> = runs
        .iter()
        .filter_map(|(part, run)| Some((format!("part {}", part.shard), run.totals.as_ref()?)))
        .collect();
    let mut known = circumstances_of_parts(&totals);
    if !missing.is_empty() {
        let before = known.stop_reason.take().into_iter();
        let all: Vec<String> = missing.iter().cloned().chain(before).collect();
        known.stop_reason = Some(all.join("; "));
    }
    let was_killed = |run: &Run| run.state == RunState::Running;
    known.stopped_by = (runs.iter().any(|(_, run)| was_killed(run))).then_some(StoppedBy::Kill);
    let database = ResultsDatabase::open(out)?;
    let (mut run, noted) = database.unfinished(id)?;
    let first_due = runs
        .iter()
        .map(|(part, run)| Ok(part.database.unfinished(run.id)?.1.first_due))
        .collect::<Result<Vec<Option<f64>>, ResultsError>>()?
        .into_iter()
        .flatten()
        .reduce(f64::min);
    run.started_unix_seconds = runs
        .iter()
        .map(|(_, run)| run.started_unix_seconds)
        .fold(f64::INFINITY, f64::min);
    run.finished_unix_seconds = runs
        .iter()
        .filter_map(|(_, run)| run.finished_unix_seconds)
        .reduce(f64::max);
    run.state = state(&runs, missing.is_empty());
    let noted = NotedAtStart { first_due, ..noted };
    rebuild_with(&database, &mut run, noted, known)?;
    if let Some(whole) = &mut run.totals {
        for worker in &mut whole.workers {
            let part = runs
                .iter()
                .find(|(part, _)| part.shard.part() == worker.worker);
            let totals = part.and_then(|(_, run)| run.totals.as_ref());
            let shares = totals.map(|totals| totals.client.busy_shares.iter().copied());
            worker.busy_share = shares.and_then(|shares| shares.reduce(f64::max));
        }
        whole.requests.warm_connections = totals
            .iter()
            .map(|(_, part)| part.requests.warm_connections)
            .sum();
    }
    let finished = FinishedCopy {
        first_due,
        summary: summary(&run),
    };
    run.rows = Some(copy.finish_run(&run, &finished)?);
    Ok(run)
}

fn state(runs: &[(&Part, &Run)], all_there: bool) -> RunState {
    let has = |state| runs.iter().any(|(_, run)| run.state == state);
    if has(RunState::Failed) {
        RunState::Failed
    } else if all_there && !has(RunState::Running) && !has(RunState::Interrupted) {
        RunState::Finished
    } else {
        RunState::Interrupted
    }
}

#[cfg(test)]
mod tests;
