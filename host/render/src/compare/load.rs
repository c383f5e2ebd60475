//! The runs to be compared, out of a database or a JSON document.

use llmuses_kernel_io::regular_file::{open_regular, read_regular_text};
use llmuses_store::results::{FORMAT, FORMAT_VERSION, ResultsDatabase, ResultsError, StoredRun};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The largest document that is read: that of a run has some hundred kilobytes.
const MOST_DOCUMENT_BYTES: u64 = 32 << 20;

/// Results cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The file cannot be read, or is a database of somebody else.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// Neither a database nor a document of this program.
    #[error(
        "{} holds no results of llmuses: {reason}; give a NAME.db or what --json wrote",
        path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A document that another version wrote.
    #[error(
        "{} is of version {found} of the document, and this program reads version {FORMAT_VERSION}",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
}

/// The runs of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    /// The file, as it was typed.
    pub name: String,
    /// Its runs as they stand in the document.
    pub runs: Vec<Value>,
}

impl Results {
    /// Reads a database or a document; which of them it is shows in its first bytes.
    ///
    /// # Errors
    /// A file that is not there, or neither of both.
    pub fn load(path: &Path) -> Result<Self, CompareError> {
        let name = path.display().to_string();
        let content = open_regular(path)
            .and_then(|mut file| {
                let mut first = [0; 6];
                let read = std::io::Read::read(&mut file, &mut first)?;
                Ok(first[..read].to_vec())
            })
            .map_err(|reason| ResultsError::Read {
                path: path.to_owned(),
                reason,
            })?;
        let runs = if content == b"SQLite" {
            ResultsDatabase::open(path)?
                .runs()?
                .iter()
                .map(StoredRun::to_json)
                .collect()
        } else {
            runs_of_document(path)?
        };
        Ok(Self { name, runs })
    }
}

fn runs_of_document(path: &Path) -> Result<Vec<Value>, CompareError> {
    let not_ours = |reason: String| CompareError::NotOurs {
        path: path.to_owned(),
        reason,
    };
    let text = read_regular_text(path, MOST_DOCUMENT_BYTES)
        .map_err(|error| not_ours(format!("it cannot be read as text ({error})")))?;
    let document: Value = serde_json::from_str(&text).map_err(|error| {
        not_ours(format!(
            "it is neither an SQLite database nor JSON ({error})"
        ))
    })?;
    if document["format"] != FORMAT {
        return Err(not_ours(format!("its `format` is not `{FORMAT}`")));
    }
    match document["format_version"].as_u64() {
        Some(version) if version == u64::from(FORMAT_VERSION) => {}
        found => {
            return Err(CompareError::Version {
                path: path.to_owned(),
                found: found.unwrap_or_default(),
            });
        }
    }
    match document["runs"].as_array() {
        Some(runs) if !runs.is_empty() => Ok(runs.clone()),
        _ => Err(not_ours("it has no runs".to_owned())),
    }
}
