//! What can go wrong with files that are written.

use std::io::ErrorKind;
use std::path::PathBuf;

/// Results cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// A file of that name is there already; it was not touched.
    #[error(
        "{} exists already, and results are never overwritten: give another name to {flag}, or remove the file",
        path.display()
    )]
    Exists {
        /// The flag that named it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Two outputs for standard output.
    #[error("{0} - and {1} - cannot both have standard output: give one of them a file")]
    TwoOnStandardOutput(&'static str, &'static str),
    /// The system gives no thread for the rows of a file.
    #[error("a thread could not be started: {0}")]
    Thread(#[source] std::io::Error),
    /// A file cannot be made or written.
    #[error("{flag} {} cannot be written ({reason}): check its folder and the space there", path.display())]
    Write {
        /// The flag that named it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// Standard output takes no more.
    #[error("standard output cannot be written: {0}")]
    StandardOutput(#[source] std::io::Error),
}

impl OutputError {
    /// Whether the arguments are at fault: a file that cannot be made, or is in the way.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Exists { .. } | Self::TwoOnStandardOutput(..) => true,
            Self::Write { reason, .. } => is_of_the_name(reason),
            Self::StandardOutput(_) | Self::Thread(_) => false,
        }
    }
}

/// Whether an error of the system is about the place that the user named, rather than about a disk that is
/// full or broken.
pub fn is_of_the_name(error: &std::io::Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::Interrupted
            | ErrorKind::OutOfMemory
    ) && error.raw_os_error() != Some(libc::EIO)
}
