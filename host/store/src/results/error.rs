//! What can go wrong with files of results.

use std::path::PathBuf;

/// Results cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// A file cannot be read.
    #[error("{} cannot be read ({reason}): check its name and its rights", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// A file that is neither a database nor a document of this program.
    #[error(
        "{} is not a database of llmuses: {reason}; give the NAME.db that `llmuses perf` wrote",
        path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// A database that a newer version of this program wrote.
    #[error(
        "a newer llmuses wrote {}: its tables are of version {found}, and this one reads versions 1 to {known}. Use \
         that llmuses, or update this one",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i32,
        /// The version of this program.
        known: i32,
    },
    /// SQLite cannot go on.
    #[error("the database {} cannot be read any further: {reason}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said, which may repeat what is in the file.
        reason: String,
    },
    /// More runs than are read at once.
    #[error(
        "the database {} has {runs} runs: at most {most} are read, and {most_mib} MiB of their plans and totals; give \
         further runs another --name",
        path.display()
    )]
    TooManyRuns {
        /// The file.
        path: PathBuf,
        /// The runs in it.
        runs: u64,
        /// The most that are read.
        most: u64,
        /// The most MiB that are read of them.
        most_mib: u64,
    },
    /// What stands in a column is not what this program writes there.
    #[error("the database {} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
}

impl ResultsError {
    /// Whether the arguments are at fault: a file that is not there, or not ours.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Read { .. } | Self::NotOurs { .. } | Self::Version { .. }
        )
    }
}
