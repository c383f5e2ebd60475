//! One load, from its plan to its results.

use super::carrier::Carrier;
use super::collect::{Collected, collect};
use super::error::RunError;
use super::loaded::Loaded;
use super::loads::NextLoad;
use super::logging::Logging;
use super::outputs::{Outputs, Save};
use super::pipeline::Pipeline;
use super::preparation::Preparation;
use super::progress::ProgressLines;
use super::role::{Gate, Role};
use super::running::Running;
use super::sinks::Sinks;
use super::slots::ensure_capacity;
use super::watch::WorkerWatch;
use super::workers::{self, OnWorkers, RowsToCoordinator};
use super::{Onlookers, RunResult};
use crate::interrupt;
use llmuses_core::clock::Clock;
use llmuses_core::document::{Rows, RunState};
use llmuses_core::exchange::ConnectionOpening;
use llmuses_core::last_word::LastWord;
use llmuses_core::plan::Plan;
use llmuses_core::redact::Secrets;
use llmuses_fleet::{RowSender, Session, SessionError};
use llmuses_observe::live::{Board, Recorder};
use llmuses_observe::terminal;
use llmuses_observe::terminal::View;
use llmuses_observe::trace::Trace;
use llmuses_render::report;
use llmuses_stats::{StoppedBy, judge, totals, verdict};
use llmuses_store::results::{RowStages, run_of};
use llmuses_store::sink::{
    Database, FinishedRun, RowSink, RunRecord, SinkError, SinkSummary, unix_seconds,
};
use llmuses_workload::RequestSource;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Carries out one load. What is logged of it is still to be ended. `kept_before`: rows of earlier loads in the database.
pub(super) fn one_load<'a>(
    next: NextLoad,
    outputs: &Outputs,
    role: &mut Role<'_>,
    loaded: &mut Option<Loaded>,
    onlookers: &Onlookers<'_>,
    logging_failed: &'a Cell<bool>,
    kept_before: u64,
) -> Result<(RunResult, Option<Logging<'a>>), RunError> {
    let NextLoad {
        plan, mut watch, ..
    } = next;
    let plan = &plan;
    if !matches!(role, Role::Coordinator(_)) {
        ensure_capacity(&plan.work, &plan.load)?;
    }
    let loaded = match loaded {
        Some(loaded) => loaded,
        none => none.insert(Loaded::of(plan, outputs)?),
    };
    if let (Role::Alone, Some(trace), Some(beyond)) = (&*role, &loaded.schedule, outputs.beyond)
        && plan.place.run == 1
        && let Some(reason) = beyond(plan, trace.busiest_rate())
    {
        terminal::say(format!("warning: {reason}"));
    }
    if loaded.must_learn() {
        match role {
            Role::Alone => loaded.learn(plan, outputs, &interrupt::flag()?)?,
            Role::Worker(..) | Role::Coordinator(_) => return Err(RunError::LearnOnWorkers),
        }
    }
    let made_from = match role {
        Role::Alone if !plan.load.is_part => Vec::new(),
        Role::Alone | Role::Worker(..) | Role::Coordinator(_) => loaded.made_from(plan)?,
    };
    let (given, plan) = (plan, &loaded.addressed(plan)?);
    let (prepared, source) = Preparation::of(plan, given, outputs, loaded)?;
    let clock = role.clock();
    // Not before: until here a signal ends the program at once.
    let interrupted = interrupt::flag()?;
    let mut record = prepared.record(plan, outputs, clock);
    record.plan.work.made_from = made_from.iter().cloned().collect();
    record.plan.load.run_id = role.run_id().map(ToOwned::to_owned);
    // Before connections are opened: that it cannot be written must not be found out later.
    let database = match outputs.save {
        Save::Nothing => None,
        Save::Summary | Save::Full if plan.place.run == 1 => {
            Some(Database::create(&outputs.database, &record)?)
        }
        // What the user has to know of it was said.
        Save::Summary | Save::Full if onlookers.database_failed.get().is_some() => None,
        Save::Summary | Save::Full => Database::append(&outputs.database, &record)
            .map_err(|error| give_up_database(error, plan, onlookers))
            .ok(),
    };
    // Those of the later loads of a sweep say how they went.
    if !outputs.quiet && plan.place.run == 1 {
        let parser = prepared.parser.info();
        let name = [parser.name.as_str(), &parser.version];
        terminal::say(report::opening(plan, name, &parser.headers));
    }
    let session = match role {
        Role::Worker(session, _) => Some(*session),
        Role::Alone | Role::Coordinator(_) => None,
    };
    let load = plan.place.run;
    let begun = match role {
        Role::Coordinator(fleet) => {
            let ours = workers::ready(load, made_from, &[]);
            OnWorkers::begin(fleet, plan, &prepared, &ours, &interrupted)
                .map(|workers| Box::new(workers) as Box<dyn Carrier + '_>)
        }
        Role::Alone | Role::Worker(..) => {
            let gate = |opened: &[ConnectionOpening]| match session {
                None => Gate::At(plan.load.start_at),
                Some(session) => {
                    Gate::Coordinator(session, workers::ready(load, made_from, opened))
                }
            };
            let last_word = session.map(Session::last_word);
            on_threads(
                plan,
                &prepared,
                source,
                gate,
                clock,
                last_word,
                &interrupted,
            )
        }
    };
    let mut carrier = match begun {
        Ok(carrier) => carrier,
        Err(error) => {
            // No request was sent. An empty file would be in the way of the next attempt.
            if let Some(database) = database {
                database.discard();
            }
            return Err(error);
        }
    };
    if let Some(database) = &database {
        database.begin(carrier.started());
        database.note_workers(carrier.workers());
    }
    let watched = outputs.live_view.filter(|_| !outputs.quiet);
    let board = onlookers
        .board
        .clone()
        .or_else(|| watched.map(|_| Board::default()));
    // Where there is no thread for a view, there are lines.
    let view = watched
        .zip(board.clone())
        .and_then(|(look, board)| View::start(board, look).ok());
    let mut logging = Logging::begin(plan, outputs, &record, logging_failed);
    let rows = session.map(Session::rows).transpose()?;
    let mut sinks = Sinks::new(Arc::clone(carrier.backlog()));
    if let Some(board) = board {
        sinks.add(Recorder::new(board, plan, clock, carrier.started()));
    }
    if outputs.debug {
        sinks.add(Trace::new(
            &plan.target,
            &prepared.headers,
            &prepared.secrets,
        ));
    }
    if let Some(csv) = onlookers.csv {
        let stages = RowStages {
            stages: plan.load.stages.clone(),
            began_unix_seconds: unix_seconds(&clock, carrier.started()),
        };
        sinks.add(csv.sink(clock, plan.place.run, stages));
    }
    if let Some(recording) = &onlookers.recording {
        sinks.add(recording);
    }
    if !outputs.quiet && view.is_none() {
        sinks.add(ProgressLines::new(plan.load.arrivals, outputs.progress));
    }
    if let Some(logging) = &mut logging {
        sinks.add(logging);
    }
    if let Some(rows) = &rows {
        sinks.add(RowsToCoordinator {
            rows,
            asked: prepared.asked.clone(),
        });
    }
    let mut of_worker = session.map(|session| WorkerWatch { session, load });
    let watch = match &mut of_worker {
        Some(watch) => watch,
        None => watch.as_mut(),
    };
    // Last, since it keeps what it gets.
    if let Some(database) = database.as_ref().filter(|_| outputs.save == Save::Full) {
        sinks.add(RowSink::new(database, terminal::messages()));
    }
    let mut collected = collect(
        carrier,
        plan,
        outputs,
        &prepared,
        sinks,
        watch,
        &interrupted,
    );
    if let Some(reason) = session.and_then(Session::lost) {
        collected.without_coordinator(&reason);
    }
    // What follows is for the place where it stood.
    drop(view);
    let (mut result, database_error) = finish(
        plan,
        outputs,
        record,
        database,
        collected,
        kept_before,
        &prepared.secrets,
    );
    let all = match outputs.save {
        Save::Full => {
            let counts = result.statistics.counts();
            counts.over() + counts.warmup
        }
        Save::Nothing | Save::Summary => 0,
    };
    // Without these, a load whose database failed would look like one that was to have none.
    result.record.rows = result.record.rows.take().or_else(|| {
        let before = onlookers.database_failed.get();
        let of_this = database_error.as_ref().map(|error| error.rows(all));
        of_this.or_else(|| before.map(|error| error.rows_of_later_load(all)))
    });
    if let Some(error) = database_error {
        give_up_database(error, plan, onlookers);
    }
    if let Some(rows) = rows {
        say_end(rows, &result)?;
    }
    Ok((result, logging))
}

/// Keeps why the database takes no more, and says what follows for the loads from here on.
fn give_up_database(error: SinkError, plan: &Plan, onlookers: &Onlookers<'_>) {
    if plan.place.run < plan.place.runs {
        terminal::say(format!(
            "error: {error}; no rows of later loads are kept, which go to the other outputs alone"
        ));
    }
    // There is none before: nothing is written behind the first.
    let _ = onlookers.database_failed.set(error);
}

/// Has the threads of this process begin. `gate`: what says when, by the connections that were opened before.
fn on_threads<'a, 's>(
    plan: &Plan,
    prepared: &Preparation,
    source: RequestSource,
    gate: impl FnOnce(&[ConnectionOpening]) -> Gate<'s>,
    clock: Clock,
    last_word: Option<Arc<LastWord>>,
    interrupted: &Arc<AtomicBool>,
) -> Result<Box<dyn Carrier + 'a>, RunError> {
    let (pipeline, start) = Pipeline::assemble(plan, prepared, clock, last_word, interrupted)?;
    let gate = gate(&pipeline.warm_connections);
    let running = Running::begin(pipeline, start, source, plan, prepared, &gate, interrupted)?;
    Ok(Box::new(running))
}

/// Tells the coordinator that the load is over here.
fn say_end(rows: RowSender, result: &RunResult) -> Result<(), RunError> {
    let totals = serde_json::value::to_raw_value(&result.record.totals)
        .map_err(|error| SessionError::Output(error.into()))?;
    Ok(rows.done(result.record.id, totals)?)
}

/// Judges, stores the end, and prints the summary. Gives back too why the end could not be stored: what was measured
/// is there all the same.
fn finish(
    plan: &Plan,
    outputs: &Outputs,
    record: RunRecord,
    database: Option<Database>,
    collected: Collected,
    kept_before: u64,
    secrets: &Secrets,
) -> (RunResult, Option<SinkError>) {
    let Collected {
        statistics,
        circumstances,
        was_ended,
    } = collected;
    let doubts = judge(&statistics, &circumstances);
    let state = if was_ended {
        RunState::Interrupted
    } else if circumstances.stop_reason.is_some() || statistics.counts().succeeded == 0 {
        RunState::Failed
    } else {
        RunState::Finished
    };
    let mut totals = totals(&statistics, &circumstances);
    // A credential that the server sends in pieces, one in each chunk, is whole only here.
    for request in &mut totals.slowest_requests {
        for text in [&mut request.prompt, &mut request.answer]
            .into_iter()
            .flatten()
        {
            *text = secrets.blank_text(text).into_owned();
        }
    }
    let mut finished = FinishedRun {
        finished: record.clock.now(),
        state,
        totals,
        verdict: verdict(&doubts),
        summary: String::new(),
    };
    let mut run = run_of(&record, &finished);
    finished.summary = report::whole_summary(&run);
    let stored = database.map(|database| database.finish(&finished));
    if !outputs.quiet {
        // Of a sweep, all loads are shown together at its end.
        if plan.place.runs > 1 {
            terminal::say(report::load_line(&run, plan.place));
        }
        if plan.place.runs == 1 || outputs.details {
            outputs.show(|look| report::summary(&run, look));
        }
        if let Some(line) = report::nothing_succeeded(&finished.verdict) {
            terminal::say(line);
        }
        // Of these, it was said when they happened.
        let is_said = circumstances.interrupted || circumstances.stopped_by.is_some();
        if let Some(reason) = circumstances.stop_reason.as_ref().filter(|_| !is_said) {
            terminal::say(format!("error: the run is not complete: {reason}"));
        }
    }
    let (stored, database_error) = match stored.transpose() {
        Ok(stored) => (stored, None),
        Err(error) => (None, Some(error)),
    };
    run.rows = stored.as_ref().map(SinkSummary::rows);
    // Of a sweep, the last run says where the results of all are.
    if let Some(rows) = &run.rows
        && !outputs.quiet
        && (plan.place.run == plan.place.runs
            || circumstances.interrupted
            || circumstances.stopped_by == Some(StoppedBy::AllFailed)
            || rows.not_kept > 0)
    {
        let all = Rows {
            kept: rows.kept + kept_before,
            ..rows.clone()
        };
        terminal::say(report::closing(&all, &outputs.database));
    }
    for warning in stored.iter().flat_map(SinkSummary::warnings) {
        terminal::say(format!("warning: {warning}"));
    }
    let result = RunResult {
        record: run,
        statistics,
        circumstances,
        doubts,
        place: plan.place,
        valid_required: outputs.require_valid,
        stored,
    };
    (result, database_error)
}
