//! What can go wrong with files of results.

use std::path::PathBuf;

/// Results cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
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
    #[error(
        "only one of --json -, --csv -, --html - and --markdown - can have standard output: give the others a file"
    )]
    TwoOnStandardOutput,
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
        /// What SQLite said.
        reason: rusqlite::Error,
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
    /// Whether what was typed is at fault: a file that is not there, not ours, or in the way.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Exists { .. }
                | Self::TwoOnStandardOutput
                | Self::Write { .. }
                | Self::Read { .. }
                | Self::NotOurs { .. }
                | Self::Version { .. }
        )
    }
}
