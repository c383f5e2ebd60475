//! What can go wrong with logging, and the one line that is said about it.

use std::path::PathBuf;
use std::time::Duration;

/// Of what a service says about an error, so much is shown.
pub(super) const LONGEST_WORDS: usize = 200;

/// Logging does not work. The run goes on without it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The HTTP client cannot be set up.
    #[error("the HTTP client could not be set up: {0}")]
    Client(String),
    /// No answer came: no connection, a time-out, an answer that was cut short.
    #[error("{0}")]
    NoAnswer(String),
    /// The key is not accepted, or not for this entity.
    #[error("it refused the key (status {status}){}", said(words))]
    Refused {
        /// The status of the response.
        status: u16,
        /// What else the service said.
        words: String,
    },
    /// An answer with another status than success.
    #[error("it answered with status {status}{}", said(words))]
    Status {
        /// The status of the response.
        status: u16,
        /// What else the service said.
        words: String,
    },
    /// The service understood, and said no.
    #[error("it did not take the run{}", said(words))]
    NotTaken {
        /// What the service said.
        words: String,
    },
    /// A success that is none of this protocol.
    #[error("its answer is not one of Weights & Biases ({0})")]
    Garbage(&'static str),
    /// The folder of the run cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not everything was sent when the patience at the end of the run was over.
    #[error("it did not take everything within {} s after the end of the run", .0.as_secs())]
    Late(Duration),
    /// The thread that logs ended before its work did.
    #[error("the thread that logs failed")]
    BrokeOff,
    /// There is no thread to log on.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
}

impl Trouble {
    /// Whether the same request may well succeed later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..),
            _ => false,
        }
    }

    /// What to do about it.
    fn remedy(&self) -> &'static str {
        match self {
            Self::Client(_) | Self::Thread(_) | Self::BrokeOff => {
                "use --no-wandb, or --wandb-offline"
            }
            Self::NoAnswer(_) | Self::Late(_) => {
                "check the network and WANDB_BASE_URL, or use --wandb-offline and `wandb sync` later"
            }
            Self::Refused { .. } => {
                "check --wandb-api-key or WANDB_API_KEY, and WANDB_ENTITY where it is set"
            }
            Self::Status { .. } | Self::Garbage(_) => {
                "check WANDB_BASE_URL, or use --wandb-offline and `wandb sync` later"
            }
            Self::NotTaken { .. } => "check WANDB_ENTITY and the rights of the key",
            Self::Folder { .. } => "set WANDB_DIR to a folder that can be written",
        }
    }

    /// The whole of it in one line. `place`: host or folder.
    pub(super) fn line(&self, place: &str) -> String {
        format!(
            "Weights & Biases ({place}): {self}; the run is not logged there any further, its results \
             are kept as always. What to do: {}",
            self.remedy()
        )
    }
}

fn said(words: &str) -> String {
    if words.is_empty() {
        String::new()
    } else {
        format!(": {words}")
    }
}
