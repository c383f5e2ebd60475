//! A run: the one place that knows the whole pipeline. Plan in; source, pacer, clients, parsers,
//! statistics, database and report wired together; result out.

mod logging;
mod pipeline;
mod preparation;
mod running;

use logging::Logging;
use pipeline::Pipeline;
use preparation::Preparation;
use running::Collected;

pub use preparation::load_parser;

use crate::client::capacity::CapacityError;
use crate::client::socket::TlsError;
use crate::client::worker::WorkerError;
use crate::clock::Clock;
use crate::interrupt;
use crate::parse::ParseError;
use crate::plan::{Plan, Save};
use crate::plugin::{CallError, LoadError};
use crate::report::{self};
use crate::sink::{Database, FinishedRun, RunState, SinkError, SinkSummary};
use crate::stats::{Circumstances, Doubt, Origin, RunStatistics, judge, totals_json, verdict_json};
use crate::workload::{DatasetError, SourceError, TokenizerError};

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
    /// The parser broke before the first request.
    #[error(transparent)]
    Parser(#[from] CallError),
    /// The tokenizer cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The data set cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
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
    /// It was interrupted before it began.
    #[error("interrupted before the first request")]
    Interrupted,
    /// The system gives no thread, or does not let signals be watched.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl RunError {
    /// Whether what was typed is at fault, rather than the run.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Capacity(_) | Self::Dataset(_) | Self::Tokenizer(_) => true,
            Self::Load(error) => !matches!(error, LoadError::Call(_) | LoadError::Host(_)),
            Self::Sink(error) => matches!(
                error,
                SinkError::Exists { .. } | SinkError::NoFolder { .. } | SinkError::Create { .. }
            ),
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
    /// Whether any doubt makes the run a failed one.
    pub valid_required: bool,
    /// What became of the rows. `None` where none were to be kept.
    pub stored: Option<SinkSummary>,
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

/// Carries out a plan: progress goes to standard error, the summary to standard output.
///
/// # Errors
/// Why there could be no run. A run that began always gives a result, whatever became of it.
pub fn run(plan: Plan) -> Result<RunResult, RunError> {
    let (prepared, source) = Preparation::of(&plan)?;
    let clock = Clock::start();
    let origin = Origin::of(&plan.arrivals);
    let interrupted = interrupt::flag()?;
    // Before connections are opened: that it cannot be written must not be found out later.
    let database = match plan.save {
        Save::Nothing => None,
        Save::Summary | Save::Full => {
            let record = prepared.record(&plan, clock, origin);
            Some(Database::create(&plan.database, &record)?)
        }
    };
    if !plan.quiet {
        eprintln!("{}", report::opening(&plan, prepared.parser.info()));
    }
    let begun = Pipeline::assemble(&plan, &prepared, clock, &interrupted)
        .and_then(|(pipeline, start)| pipeline.begin(start, source));
    let pipeline = match begun {
        Ok(pipeline) => pipeline,
        Err(error) => {
            // No request was sent. An empty file would be in the way of the next attempt.
            if let Some(database) = database {
                database.discard();
            }
            return Err(error);
        }
    };
    let rows = database.as_ref().filter(|_| plan.save == Save::Full);
    let mut logging = Logging::begin(&plan, || prepared.record(&plan, clock, origin));
    let collected = pipeline.collect(
        &plan,
        &prepared,
        rows,
        origin,
        &interrupted,
        logging.as_mut(),
    );
    finish(&plan, clock, database, collected, logging)
}

/// Judges, stores the end, and prints the summary.
fn finish(
    plan: &Plan,
    clock: Clock,
    database: Option<Database>,
    collected: Collected,
    logging: Option<Logging>,
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
    let totals = totals_json(&statistics, &circumstances);
    let stored = database.map(|database| {
        database.finish(FinishedRun {
            finished: clock.now(),
            state,
            totals: totals.clone(),
            verdict: verdict_json(&doubts),
        })
    });
    if !plan.quiet {
        print!(
            "{}",
            report::summary(&statistics, &circumstances, &plan.arrivals, &doubts)
        );
    }
    let stored = stored.transpose();
    if let Ok(Some(stored)) = &stored
        && !plan.quiet
    {
        eprint!("{}", report::closing(stored));
    }
    let result = stored.map(|stored| RunResult {
        statistics,
        circumstances,
        doubts,
        valid_required: plan.require_valid,
        stored,
    });
    // Last of all, when everything else is stored and said: this may wait for somebody else's service.
    if let Some(logging) = logging {
        logging.end(&totals, result.as_ref().is_ok_and(RunResult::is_good));
    }
    Ok(result?)
}
