//! What goes wrong between coordinator and workers.

use std::time::Duration;

/// A load was not begun with these workers. Not one of its requests was sent.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The command that starts workers is none.
    #[error("{text:?} is no command: {reason}")]
    Command {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A worker could not be started.
    #[error("worker {worker}: `{program}` could not be started: {source}")]
    Start {
        /// Which one.
        worker: String,
        /// The program that was to be started.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Workers were not ready in time.
    #[error("not ready within {} s: {missing}; the load was not begun", limit.as_secs_f64())]
    NotReady {
        /// How long they had.
        limit: Duration,
        /// Which, and how far each was.
        missing: String,
    },
    /// A worker ended, or said that it cannot take part.
    #[error("worker {worker}: {reason}; the load was not begun")]
    Worker {
        /// Which one.
        worker: String,
        /// What it said, or how it ended.
        reason: String,
    },
    /// A worker is not the same program, or makes requests from something else.
    #[error(
        "worker {worker} has another {what} than this machine: {theirs}, not {ours}; the load was not begun"
    )]
    Different {
        /// Which one.
        worker: String,
        /// What is different.
        what: String,
        /// What the worker has.
        theirs: String,
        /// What the coordinator has.
        ours: String,
    },
    /// Someone ended it.
    #[error("interrupted before the first request")]
    Interrupted,
}

/// A worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The coordinator is gone.
    #[error("the coordinator is gone: {0}")]
    Lost(String),
    /// It said something that is no line of this protocol.
    #[error("standard input has a line that no coordinator sends: {0}")]
    Line(String),
    /// It said something that does not fit here.
    #[error("the coordinator said something else than was expected")]
    Order,
    /// There is no further load.
    #[error("there is no further load")]
    End,
    /// The worker got the beginning of the load after it, or stood still until after it.
    #[error("it was {:.3} ms late for the start of the load", late.as_secs_f64() * 1e3)]
    Late {
        /// By how much.
        late: Duration,
    },
    /// A line cannot be sent.
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
}
