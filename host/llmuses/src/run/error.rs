//! Why there can be no run, or no further one.

use super::format_error::FormatError;
use super::made_up::MadeUpError;
use llmuses_core::plan::RunPlace;
use llmuses_fleet::{FleetError, SessionError};
use llmuses_observe::metrics::MetricsError;
use llmuses_plugin_host::parse::ParseError;
use llmuses_plugin_host::{CallError, LoadError};
use llmuses_render::{OutputError, is_of_the_name};
use llmuses_store::sink::SinkError;
use llmuses_transport::ClientBuildError;
use llmuses_transport::capacity::CapacityError;
use llmuses_transport::socket::TlsError;
use llmuses_transport::worker::WorkerError;
use llmuses_workload::{DatasetError, SourceError, TokenizerError};
use std::path::PathBuf;

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
        "--start-at: the run could begin {:.3} s after that instant, and nothing was sent; requests that were due would have \
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
    /// Each worker would learn by itself how long prompts are.
    #[error(
        "with workers, --input-tokens and traces of lengths need --tokenizer-path, the folder of the model's tokenizer: \
         without it, each worker would learn from the server by itself how long prompts are"
    )]
    LearnOnWorkers,
    /// A file of which requests are made cannot be compared with those of other machines.
    #[error("{} cannot be read", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A load behind the first one was not carried out; there are results of those before it.
    #[error("load {load}{}", of_all(*loads))]
    LaterLoad {
        /// Which one, from 1.
        load: u32,
        /// How many were asked for; the largest number where that is not known.
        loads: u32,
        /// Why not.
        #[source]
        reason: Box<RunError>,
    },
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
    /// The same error as that of a load behind the first one.
    pub(super) fn of_a_later_load(self, place: RunPlace) -> Self {
        Self::LaterLoad {
            load: place.run,
            loads: place.runs,
            reason: Box::new(self),
        }
    }

    /// Whether it is how a worker is told that there is no further load, which is no failure.
    pub(super) fn is_end_of_session(&self) -> bool {
        match self {
            Self::Session(SessionError::End) => true,
            Self::LaterLoad { reason, .. } => reason.is_end_of_session(),
            _ => false,
        }
    }

    /// Whether the arguments are at fault, rather than the run.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::MadeUp(MadeUpError::NotLearned(_)) => false,
            Self::Capacity(_)
            | Self::MadeUp(_)
            | Self::Dataset(_)
            | Self::Format(_)
            | Self::LearnOnWorkers
            | Self::Tokenizer(_) => true,
            Self::Tls(error)
            | Self::Worker(WorkerError::Transport(ClientBuildError::Tls(error))) => {
                matches!(error, TlsError::File { .. })
            }
            Self::Output(error) => error.is_usage(),
            Self::Fleet(error) => !matches!(error, FleetError::Interrupted),
            Self::Metrics(error) => matches!(
                error,
                MetricsError::Listen { .. } | MetricsError::Resolve { .. }
            ),
            Self::Load(error) => !matches!(error, LoadError::Call(_) | LoadError::Host(_)),
            Self::Sink(SinkError::Create { reason, .. }) => is_of_the_name(reason),
            Self::Sink(error) => {
                matches!(error, SinkError::Exists { .. } | SinkError::NoFolder { .. })
            }
            _ => false,
        }
    }
}

/// How many loads there are, behind the number of one.
fn of_all(loads: u32) -> String {
    match loads {
        // Of a search, nobody knows.
        u32::MAX => String::new(),
        loads => format!(" of {loads}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_begun() -> RunError {
        let (worker, reason) = ("n1".to_owned(), "its output ended".to_owned());
        FleetError::Worker { worker, reason }.into()
    }

    #[test]
    fn a_load_that_follows_others_is_named_and_no_fault_of_the_arguments() {
        assert!(not_begun().is_usage());
        let told = |runs| {
            let error = not_begun().of_a_later_load(RunPlace { run: 2, runs });
            assert!(!error.is_usage());
            format!("{:#}", anyhow::Error::from(error))
        };
        let reason = "worker n1: its output ended; the load was not begun";
        assert_eq!(told(3), format!("load 2 of 3: {reason}"));
        assert_eq!(told(u32::MAX), format!("load 2: {reason}"));
    }
}
