//! A run: the one place that knows the whole pipeline. Plan in; source, pacer, clients, parsers,
//! statistics, database and report wired together; result out.

mod bodies;
mod carrier;
mod collect;
mod dry;
mod error;
mod feeds;
mod format_error;
mod loaded;
mod loads;
#[cfg(feature = "wandb")]
mod logging;
#[cfg(not(feature = "wandb"))]
#[path = "run/no_logging.rs"]
mod logging;
mod made_up;
mod one_load;
mod other_runs;
mod outputs;
mod parser;
mod pauses;
mod pipeline;
mod preparation;
mod probes;
mod progress;
mod role;
mod running;
mod schedule;
mod sinks;
mod slots;
mod start;
mod watch;
mod workers;

use loads::{Loads, SearchLoads, SweepLoads, cool_down};
use logging::Logging;
use one_load::one_load;
use role::Role;

pub use bodies::{Asked, DataFormat, bodies, format_in, format_of, recognised};
pub use dry::dry_run;
pub use error::RunError;
pub use format_error::FormatError;
pub use loaded::digest_of_files;
pub use loads::SearchPlan;
pub use made_up::MadeUpError;
pub use outputs::{Outputs, ProgressEvery, Save, print_summary};
pub use parser::load_parser;

use crate::interrupt;
use llmuses_core::clock::Clock;
use llmuses_core::document::{Document, Run};
use llmuses_core::plan::{PromptSource, RunPlace, Sweep};
use llmuses_fleet::{Fleet, FleetSettings, Session, WorkPlan};
use llmuses_observe::live::Board;
use llmuses_observe::metrics::{About, Exporter, MetricsError};
use llmuses_observe::terminal;
use llmuses_render::forms::{CsvFile, Files};
use llmuses_render::{OutputError, ResponseFile};
use llmuses_stats::{Circumstances, Doubt, RunStatistics, StoppedBy};
use llmuses_store::sink::{SinkError, SinkSummary};
use std::cell::{Cell, OnceCell};
use std::sync::atomic::Ordering;

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
    /// The first error of the database in a load whose requests were sent: it costs rows, and no load.
    database_failed: OnceCell<SinkError>,
}

impl RunResult {
    /// Whether the run was carried out: not ended early, at least one request succeeded, every row was
    /// kept, and nothing speaks against the numbers where that was required.
    pub fn is_good(&self) -> bool {
        if self.valid_required && !self.doubts.is_empty() {
            return false;
        }
        !self.circumstances.interrupted
            && !self.circumstances.ended_by_coordinator
            && self.circumstances.stop_reason.is_none()
            && self.statistics.counts().succeeded > 0
            && self
                .stored
                .as_ref()
                .is_none_or(|stored| stored.not_kept == 0)
    }
}

/// Rows of these runs in the database.
fn kept(results: &[RunResult]) -> u64 {
    let rows = results
        .iter()
        .filter_map(|result| result.record.rows.as_ref());
    rows.map(|rows| rows.kept).sum()
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
    let work = &sweep.work;
    // What a data set has is not known before it is read.
    if matches!(work.prompts, PromptSource::Generated(_)) && work.tokenizer.is_none() {
        return Err(RunError::LearnOnWorkers);
    }
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
    let loads = &mut SearchLoads::new(sweep, plan, outputs.beyond);
    carry_out(sweep, loads, outputs, Role::Alone)
}

fn carry_out(
    sweep: &Sweep,
    loads: &mut dyn Loads,
    outputs: &Outputs,
    mut role: Role<'_>,
) -> Result<Vec<RunResult>, RunError> {
    let board = outputs.metrics.as_ref().map(|_| Board::default());
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
        database_failed: OnceCell::new(),
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
        let place = next.plan.place;
        match one_load(
            next,
            outputs,
            &mut role,
            &mut loaded,
            &onlookers,
            &logging_failed,
            kept(&results),
        ) {
            Ok((result, logging)) => {
                let is_last = result.circumstances.interrupted
                    || result.circumstances.stopped_by == Some(StoppedBy::AllFailed)
                    || role.is_ended(place.run);
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
                // The coordinator says which load it is.
                let is_told = results.is_empty() || matches!(role, Role::Worker(..));
                failure = Some(match is_told {
                    true => error,
                    false => error.of_a_later_load(place),
                });
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
    let all_failed = results
        .iter()
        .any(|result| result.circumstances.stopped_by == Some(StoppedBy::AllFailed));
    loads.tell(outputs, &runs, all_failed);
    // All are written, also where one cannot be.
    let recording = onlookers
        .recording
        .and_then(|file| write_recording(file).err());
    let database_failed = onlookers.database_failed.into_inner().map(RunError::Sink);
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
    // First: how a worker is told that there is no further load stands among the failures.
    let errors = database_failed.into_iter().chain(failure);
    let mut errors = errors.chain(written.err());
    match errors.next() {
        Some(error) => {
            for further in errors.filter(|error| !error.is_end_of_session()) {
                terminal::say(format!("error: {:#}", anyhow::Error::from(further)));
            }
            Err(error)
        }
        None => Ok(results),
    }
}

/// Writes the first response, and says where there was none.
fn write_recording(file: ResponseFile) -> Result<(), OutputError> {
    if !file.finish()? {
        terminal::say("warning: no response came, so the file of --record is not written");
    }
    Ok(())
}

/// Writes the results of the loads so far, so that they are there also if the next ones fail.
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
    let Some(address) = &outputs.metrics else {
        return Ok(None);
    };
    let about = About::of(&sweep.target, &sweep.work.parser);
    let exporter = Exporter::start(address, about, board.clone())?;
    if !outputs.quiet {
        terminal::say(format!("Live figures for Prometheus at {}", exporter.url()));
    }
    Ok(Some(exporter))
}
