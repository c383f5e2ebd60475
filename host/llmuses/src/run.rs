//! A run: the one place that knows the whole pipeline. Plan in; source, pacer, clients, parsers,
//! statistics, database and report wired together; result out.

mod bodies;
mod carrier;
mod collect;
mod dry;
mod loads;
#[cfg(feature = "wandb")]
mod logging;
#[cfg(not(feature = "wandb"))]
#[path = "run/no_logging.rs"]
mod logging;
mod made_up;
mod other_runs;
mod outputs;
mod pauses;
mod pipeline;
mod preparation;
mod probes;
mod progress;
mod role;
mod running;
mod schedule;
mod sinks;
mod start;
mod watch;
mod workers;

use carrier::Carrier;
use collect::{Collected, collect};
use loads::{Loads, NextLoad, SearchLoads, SweepLoads, cool_down};
use logging::Logging;
use pipeline::Pipeline;
use preparation::{Loaded, Preparation, ensure_capacity};
use progress::ProgressLines;
use role::{Gate, Role};
use sinks::Sinks;
use watch::WorkerWatch;
use workers::{OnWorkers, RowsToCoordinator};

pub use bodies::{Asked, DataFormat, FormatError, bodies, format_in, format_of, recognised};
pub use dry::dry_run;
pub use loads::SearchPlan;
pub use made_up::MadeUpError;
pub use outputs::{Outputs, ProgressEvery, Save, print_summary};
pub use preparation::load_parser;

use crate::interrupt;
use llmuses_core::clock::Clock;
use llmuses_core::document::{Document, Run, RunState};
use llmuses_core::plan::{Plan, RunPlace, Sweep};
use llmuses_fleet::{Fleet, FleetError, FleetSettings, RowSender, Session, SessionError, WorkPlan};
use llmuses_observe::live::{Board, Recorder};
use llmuses_observe::metrics::{About, Exporter, MetricsError};
use llmuses_observe::terminal;
use llmuses_observe::terminal::View;
use llmuses_observe::trace::Trace;
use llmuses_plugin_host::parse::ParseError;
use llmuses_plugin_host::{CallError, LoadError};
use llmuses_render::forms::{CsvFile, Files};
use llmuses_render::report;
use llmuses_render::{OutputError, ResponseFile, is_of_the_name};
use llmuses_stats::{Circumstances, Doubt, RunStatistics, judge, totals, verdict};
use llmuses_store::results::{RowStages, run_of};
use llmuses_store::sink::{
    Database, FinishedRun, RowSink, RunRecord, SinkError, SinkSummary, unix_seconds,
};
use llmuses_transport::ClientBuildError;
use llmuses_transport::capacity::CapacityError;
use llmuses_transport::socket::TlsError;
use llmuses_transport::worker::WorkerError;
use llmuses_workload::{DatasetError, RequestSource, SourceError, TokenizerError};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// There can be no run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// More connections than this machine holds.
    #[error(transparent)]
    Capacity(#[from] CapacityError),
    /// The WebAssembly engine does not run here.
    #[error("the WebAssembly engine could not be set up: {0}")]
    Engine(String),
    /// The parser cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The plugins do not fit together, or none fits the data set.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The parser broke before the first request.
    #[error(transparent)]
    Parser(#[from] CallError),
    /// The tokenizer cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The data set cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// No prompts can be made up.
    #[error(transparent)]
    MadeUp(#[from] MadeUpError),
    /// No request can be made.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A client thread cannot be started.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A parser thread cannot be started.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The database cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A file for results cannot be made.
    #[error(transparent)]
    Output(OutputError),
    /// The run is over, and its results could not be written.
    #[error(transparent)]
    Results(OutputError),
    /// Live figures cannot be served.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The instant of `--start-at` was over before the run was ready.
    #[error(
        "--start-at: the run was ready {:.3} s after that instant, and nothing was sent; requests that were due would have \
         gone in a burst. Give a later instant",
        late.as_secs_f64()
    )]
    LateStart {
        /// By how much it was over.
        late: std::time::Duration,
    },
    /// There is no run with these workers.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// This worker cannot go on.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// It was interrupted before it began.
    #[error("interrupted before the first request")]
    Interrupted,
    /// The system gives no thread, or does not let signals be watched.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl RunError {
    /// Whether the arguments are at fault, rather than the run.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::MadeUp(MadeUpError::NotLearned(_)) => false,
            Self::Capacity(_)
            | Self::MadeUp(_)
            | Self::Dataset(_)
            | Self::Format(_)
            | Self::Tokenizer(_) => true,
            Self::Tls(error)
            | Self::Worker(WorkerError::Transport(ClientBuildError::Tls(error))) => {
                matches!(error, TlsError::File { .. })
            }
            Self::Output(error) => error.is_usage(),
            Self::Fleet(error) => !matches!(error, FleetError::Interrupted),
            Self::Metrics(error) => matches!(error, MetricsError::Listen { .. }),
            Self::Load(error) => !matches!(error, LoadError::Call(_) | LoadError::Host(_)),
            Self::Sink(SinkError::Create { reason, .. }) => is_of_the_name(reason),
            Self::Sink(error) => {
                matches!(error, SinkError::Exists { .. } | SinkError::NoFolder { .. })
            }
            _ => false,
        }
    }
}

/// What a run gave.
#[derive(Debug)]
pub struct RunResult {
    /// Totals and histograms.
    pub statistics: RunStatistics,
    /// What the totals do not know.
    pub circumstances: Circumstances,
    /// What speaks against the numbers.
    pub doubts: Vec<Doubt>,
    /// Which run of its sweep it is.
    pub place: RunPlace,
    /// Whether any doubt makes the run a failed one.
    pub valid_required: bool,
    /// What became of the rows. `None` where none were to be kept.
    pub stored: Option<SinkSummary>,
    /// The run as it stands in a database, or would stand there.
    pub record: Run,
}

/// Those who look on while a run goes on.
#[derive(Debug, Default)]
struct Onlookers<'a> {
    csv: Option<&'a CsvFile>,
    recording: Option<ResponseFile>,
    board: Option<Board>,
}

impl RunResult {
    /// Whether the run was carried out: not ended early, at least one request succeeded, every row was
    /// kept, and nothing speaks against the numbers where that was required.
    pub fn is_good(&self) -> bool {
        if self.valid_required && !self.doubts.is_empty() {
            return false;
        }
        !self.circumstances.interrupted
            && self.circumstances.stop_reason.is_none()
            && self.statistics.counts().succeeded > 0
            && self
                .stored
                .as_ref()
                .is_none_or(|stored| stored.not_kept == 0)
    }
}

/// Carries out the runs of a sweep one after another, and writes `outputs`: progress goes to standard error, the
/// summary to standard output. Ends early where a run is interrupted, for nobody who ends one run wants the next, and
/// where a run was stopped since every request failed.
///
/// # Errors
/// Why there could be no run at all, or why results could not be written. Where a later run cannot begin,
/// the results of those before it are written all the same.
pub fn run(sweep: &Sweep, outputs: &Outputs) -> Result<Vec<RunResult>, RunError> {
    carry_out(sweep, &mut SweepLoads::of(sweep), outputs, Role::Alone)
}

/// The same, sent by workers. `plan`: what each is to do, by its number.
///
/// # Errors
/// As those of [`run`]; where not all workers are ready, nothing was sent.
pub fn run_on_workers(
    sweep: &Sweep,
    outputs: &Outputs,
    workers: FleetSettings,
    plan: impl Fn(u32) -> WorkPlan,
) -> Result<Vec<RunResult>, RunError> {
    let mut fleet = Fleet::start(workers, Clock::start(), &terminal::messages())?;
    fleet.plan(plan)?;
    let role = Role::Coordinator(Box::new(fleet));
    carry_out(sweep, &mut SweepLoads::of(sweep), outputs, role)
}

/// The same, of the part of a worker. `clock` tells the time of the coordinator.
///
/// # Errors
/// As those of [`run`].
pub fn run_as_worker(
    sweep: &Sweep,
    outputs: &Outputs,
    session: &Session,
    clock: Clock,
) -> Result<Vec<RunResult>, RunError> {
    let role = Role::Worker(session, clock);
    carry_out(sweep, &mut SweepLoads::of(sweep), outputs, role)
}

/// Searches the highest load that keeps objectives. `sweep`: its first load is that of every probe, but for what is varied.
/// The probes are runs, and their results are written as those of [`run`] are.
///
/// # Errors
/// As those of [`run`].
pub fn search(
    sweep: &Sweep,
    outputs: &Outputs,
    plan: &SearchPlan,
) -> Result<Vec<RunResult>, RunError> {
    let loads = &mut SearchLoads::new(sweep, plan);
    carry_out(sweep, loads, outputs, Role::Alone)
}

fn carry_out(
    sweep: &Sweep,
    loads: &mut dyn Loads,
    outputs: &Outputs,
    mut role: Role<'_>,
) -> Result<Vec<RunResult>, RunError> {
    let board = outputs.metrics.map(|_| Board::default());
    // Before anything else is made, and until all is over.
    let _exporter = match &board {
        Some(board) => serve(sweep, outputs, board)?,
        None => None,
    };
    let files = Files::begin(&outputs.files).map_err(RunError::Output)?;
    let record = outputs.record.as_deref();
    let recording = match record.map(ResponseFile::make).transpose() {
        Ok(recording) => recording,
        Err(error) => {
            files.discard();
            return Err(RunError::Output(error));
        }
    };
    let onlookers = Onlookers {
        csv: files.rows(),
        recording,
        board,
    };
    // Whether Weights & Biases has failed one of the runs.
    let logging_failed = Cell::new(false);
    let mut results: Vec<RunResult> = Vec::new();
    let mut failure = None;
    let mut last_logging = None;
    let mut loaded = None;
    while let Some(next) = loads.next() {
        // The next load waits for what is still to be logged of this one; what follows the last load does not.
        if let Some(result) = results.last() {
            end_logging(last_logging.take(), result);
        }
        // Before the first load a signal ends the program at once.
        if !next.cool_down.is_zero() {
            let interrupted = interrupt::flag()?;
            cool_down(next.cool_down, || interrupted.load(Ordering::Relaxed));
        }
        match one(
            next,
            outputs,
            &mut role,
            &mut loaded,
            &onlookers,
            &logging_failed,
        ) {
            Ok((result, logging)) => {
                let is_last = result.circumstances.interrupted || result.circumstances.all_failed;
                let place = result.place;
                loads.note(&result);
                results.push(result);
                last_logging = logging;
                if place.run < place.runs {
                    write_so_far(&files, &results);
                }
                if is_last {
                    break;
                }
            }
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    if results.is_empty()
        && let Some(error) = failure
    {
        onlookers
            .recording
            .into_iter()
            .for_each(ResponseFile::discard);
        files.discard();
        return Err(error);
    }
    let runs: Vec<Run> = results.iter().map(|run| run.record.clone()).collect();
    let all_failed = results.iter().any(|result| result.circumstances.all_failed);
    loads.tell(outputs, &runs, all_failed);
    // All are written, whatever became of the others.
    let recording = onlookers
        .recording
        .and_then(|file| write_recording(file).err());
    let failed = files.finish(&Document::of(runs)).into_iter();
    let mut failed = failed.chain(recording);
    let written = match failed.next() {
        Some(error) => Err(RunError::Results(error)),
        None => Ok(()),
    };
    for further in failed {
        terminal::say(format!("error: {further}"));
    }
    if let Some(result) = results.last() {
        end_logging(last_logging, result);
    }
    match failure {
        Some(error) => Err(error),
        None => written.map(|()| results),
    }
}

/// Writes the first response, and says where there was none.
fn write_recording(file: ResponseFile) -> Result<(), OutputError> {
    if !file.finish()? {
        terminal::say("warning: no response came, so the file of --record is not written");
    }
    Ok(())
}

/// Writes the results of the loads so far, so that they are there whatever becomes of the next ones.
fn write_so_far(files: &Files, results: &[RunResult]) {
    let runs = results.iter().map(|run| run.record.clone()).collect();
    for error in files.write_so_far(&Document::of(runs)) {
        terminal::say(format!("warning: {error}"));
    }
}

/// Ends what is logged of a run. Last of all, when everything else is stored and said: this may wait for
/// somebody else's service.
fn end_logging(logging: Option<Logging<'_>>, result: &RunResult) {
    if let Some(logging) = logging {
        logging.finish(result.record.totals.as_ref(), result.is_good());
    }
}

/// Serves live figures, and says where.
fn serve(
    sweep: &Sweep,
    outputs: &Outputs,
    board: &Board,
) -> Result<Option<Exporter>, MetricsError> {
    let Some(address) = outputs.metrics else {
        return Ok(None);
    };
    let about = About::of(&sweep.target, &sweep.work.parser);
    let exporter = Exporter::start(address, about, board.clone())?;
    if !outputs.quiet {
        terminal::say(format!("Live figures for Prometheus at {}", exporter.url()));
    }
    Ok(Some(exporter))
}

/// Carries out one plan. What is logged of it is still to be ended.
fn one<'a>(
    next: NextLoad,
    outputs: &Outputs,
    role: &mut Role<'_>,
    loaded: &mut Option<Loaded>,
    onlookers: &Onlookers<'_>,
    logging_failed: &'a Cell<bool>,
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
    if loaded.must_learn() {
        loaded.learn(plan, outputs, &interrupt::flag()?)?;
    }
    let (given, plan) = (plan, &loaded.addressed(plan)?);
    let (prepared, source) = Preparation::of(plan, given, outputs, loaded)?;
    let clock = role.clock();
    // Not before: until here a signal ends the program at once.
    let interrupted = interrupt::flag()?;
    let record = prepared.record(plan, outputs, clock);
    // Before connections are opened: that it cannot be written must not be found out later.
    let database = match outputs.save {
        Save::Nothing => None,
        Save::Summary | Save::Full if plan.place.run == 1 => {
            Some(Database::create(&outputs.database, &record)?)
        }
        Save::Summary | Save::Full => Some(Database::append(&outputs.database, &record)?),
    };
    // Those of the later loads of a sweep say how they went.
    if !outputs.quiet && plan.place.run == 1 {
        let parser = prepared.parser.info();
        let name = [parser.name.as_str(), &parser.version];
        terminal::say(report::opening(plan, name, &parser.headers));
    }
    let session = match role {
        Role::Worker(session, _) => Some(*session),
        _ => None,
    };
    let begun = match role {
        Role::Coordinator(fleet) => OnWorkers::begin(fleet, plan, &prepared, &interrupted)
            .map(|workers| Box::new(workers) as Box<dyn Carrier + '_>),
        Role::Alone | Role::Worker(..) => {
            on_threads(plan, &prepared, source, session, clock, &interrupted)
        }
    };
    let carrier = match begun {
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
    let mut of_worker = session.map(WorkerWatch);
    let watch = match &mut of_worker {
        Some(watch) => watch,
        None => watch.as_mut(),
    };
    // Last, since it keeps what it gets.
    if let Some(database) = database.as_ref().filter(|_| outputs.save == Save::Full) {
        sinks.add(RowSink::new(database, terminal::messages()));
    }
    let collected = collect(
        carrier,
        plan,
        outputs,
        &prepared,
        sinks,
        watch,
        &interrupted,
    );
    // What follows is for the place where it stood.
    drop(view);
    match finish(plan, outputs, record, database, collected) {
        Ok(result) => {
            if let Some(rows) = rows {
                say_end(rows, &result)?;
            }
            Ok((result, logging))
        }
        Err(error) => {
            if let Some(logging) = logging {
                logging.finish(None, false);
            }
            Err(error)
        }
    }
}

/// Has the threads of this process begin.
fn on_threads<'a>(
    plan: &Plan,
    prepared: &Preparation,
    source: RequestSource,
    session: Option<&Session>,
    clock: Clock,
    interrupted: &Arc<AtomicBool>,
) -> Result<Box<dyn Carrier + 'a>, RunError> {
    let (pipeline, start) = Pipeline::assemble(plan, prepared, clock, interrupted)?;
    let gate = match session {
        None => Gate::At(plan.load.start_at),
        Some(session) => {
            let opened = &pipeline.warm_connections;
            Gate::Coordinator(session, workers::ready(plan, prepared, opened))
        }
    };
    let running = pipeline.begin(start, source, plan, prepared, &gate, interrupted)?;
    Ok(Box::new(running))
}

/// Tells the coordinator that the load is over here.
fn say_end(rows: RowSender, result: &RunResult) -> Result<(), RunError> {
    let totals = serde_json::value::to_raw_value(&result.record.totals)
        .map_err(|error| SessionError::Output(error.into()))?;
    Ok(rows.done(result.record.id, totals)?)
}

/// Judges, stores the end, and prints the summary.
fn finish(
    plan: &Plan,
    outputs: &Outputs,
    record: RunRecord,
    database: Option<Database>,
    collected: Collected,
) -> Result<RunResult, RunError> {
    let Collected {
        statistics,
        circumstances,
    } = collected;
    let doubts = judge(&statistics, &circumstances);
    let state = if circumstances.interrupted {
        RunState::Interrupted
    } else if circumstances.stop_reason.is_some() || statistics.counts().succeeded == 0 {
        RunState::Failed
    } else {
        RunState::Finished
    };
    let mut finished = FinishedRun {
        finished: record.clock.now(),
        state,
        totals: totals(&statistics, &circumstances),
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
    }
    let stored = stored.transpose()?;
    run.rows = stored.as_ref().map(SinkSummary::rows);
    // Of a sweep, the last run says where the results of all are.
    if let Some(rows) = &run.rows
        && !outputs.quiet
        && (plan.place.run == plan.place.runs
            || circumstances.interrupted
            || circumstances.all_failed
            || rows.not_kept > 0)
    {
        terminal::say(report::closing(rows, &outputs.database));
    }
    for warning in stored.iter().flat_map(SinkSummary::warnings) {
        terminal::say(format!("warning: {warning}"));
    }
    Ok(RunResult {
        record: run,
        statistics,
        circumstances,
        doubts,
        place: plan.place,
        valid_required: outputs.require_valid,
        stored,
    })
}
