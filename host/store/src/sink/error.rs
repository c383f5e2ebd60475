//! What can go wrong with the database of a run.

use llmuses_core::document::Rows;
use std::path::PathBuf;

/// Why a database could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A file of that name is there already; it was not touched.
    #[error(
        "the database {} exists already, and a run never overwrites one: choose another --name, or remove the file",
        path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The folder of the file is not there.
    #[error(
        "the database {} cannot be made, because its folder does not exist: make the folder, or choose another --name",
        path.display()
    )]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be made.
    #[error(
        "the database {} cannot be made ({reason}): check that the folder can be written, or choose another --name",
        path.display()
    )]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The thread that writes could not be started.
    #[error(
        "no thread could be started that writes the database {} ({reason}): check the limit of threads of this user",
        path.display()
    )]
    Thread {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// SQLite refused to prepare the new database.
    #[error(
        "the database {} cannot be prepared ({reason}): check the space and the file system of its folder",
        path.display()
    )]
    Prepare {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        reason: rusqlite::Error,
    },
    /// The totals could not be written at the end. The rows written before are in the file.
    #[error(
        "the totals of the run cannot be written to the database {} ({reason}): its rows are still to be used, check the space of its disk",
        path.display()
    )]
    Finish {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        reason: rusqlite::Error,
        /// Outcomes with a row, and without one.
        rows: [u64; 2],
    },
    /// The thread that writes is gone.
    #[error(
        "the writer of the database {} ended by itself, which is a fault of this program: rows may be missing, please report it",
        path.display()
    )]
    WriterGone {
        /// The file.
        path: PathBuf,
    },
}

impl SinkError {
    /// What became of the rows of the load that ended with this error. `all`: outcomes that should have one.
    pub fn rows(&self, all: u64) -> Rows {
        let [kept, not_kept] = match self {
            Self::Finish { rows, .. } => *rows,
            // Nobody can say which were written.
            _ => [0, all],
        };
        Rows {
            kept,
            not_kept,
            write_error: Some(self.to_string()),
        }
    }

    /// The same of a load that began after the error, whose outcomes are not kept.
    pub fn rows_of_later_load(&self, all: u64) -> Rows {
        Rows {
            kept: 0,
            not_kept: all,
            write_error: Some(self.to_string()),
        }
    }
}
