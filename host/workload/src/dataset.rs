//! The data set of a run: one file, opened by the host, read by the parser through the host.

use super::items::ItemReader;
use super::lines::LineReader;
use llmuses_kernel_io::regular_file::open_regular;
use llmuses_plugin_host::{DatasetAccess, EntryReader};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// It could not be opened.
    #[error("the data set {} cannot be read", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is a folder.
    #[error("the data set {} is a folder; --dataset takes a file", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
}

/// A data set file.
#[derive(Debug)]
pub struct Dataset {
    path: PathBuf,
    /// Entries that the readers have handed over, of all passes.
    entries: Arc<AtomicU64>,
}

impl Dataset {
    /// A data set in the file `path`.
    ///
    /// # Errors
    /// Where it is not a file that can be read. What is in it shows only as it is read.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let failed = |source| DatasetError::Open {
            path: path.to_owned(),
            source,
        };
        open_regular(path).map_err(|error| match error.kind() {
            ErrorKind::IsADirectory => DatasetError::Folder {
                path: path.to_owned(),
            },
            _ => failed(error),
        })?;
        Ok(Self {
            path: path.to_owned(),
            entries: Arc::default(),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lines or items that have been read so far, in all passes together, unreadable ones included.
    pub fn entries_read(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    fn file(&self) -> Result<File, String> {
        open_regular(&self.path).map_err(|error| format!("it cannot be opened again: {error}"))
    }
}

impl DatasetAccess for Dataset {
    fn lines(&self) -> Result<Box<dyn EntryReader>, String> {
        Ok(Box::new(LineReader::new(
            self.file()?,
            Arc::clone(&self.entries),
        )))
    }

    fn items(&self) -> Result<Box<dyn EntryReader>, String> {
        Ok(Box::new(ItemReader::new(
            self.file()?,
            Arc::clone(&self.entries),
        )?))
    }
}
