//! The runs to be compared, out of a database or a JSON document.

use llmuses_core::clean::printable_json;
use llmuses_core::document::{Document, FORMAT, FORMAT_VERSION, Run};
use llmuses_kernel_io::regular_file::{open_regular, read_regular_text};
use llmuses_store::results::{ResultsDatabase, ResultsError};
use serde::Deserialize;
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
    /// The file, as it was given.
    pub name: String,
    /// Its runs.
    pub runs: Vec<Run>,
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
            ResultsDatabase::open(path)?.runs()?
        } else {
            runs_of_document(path)?
        };
        Ok(Self { name, runs })
    }
}

/// What every version of the document says of itself.
#[derive(Deserialize)]
struct Header {
    format: Option<String>,
    format_version: Option<u64>,
}

fn runs_of_document(path: &Path) -> Result<Vec<Run>, CompareError> {
    let not_ours = |reason: String| CompareError::NotOurs {
        path: path.to_owned(),
        reason,
    };
    let text = read_regular_text(path, MOST_DOCUMENT_BYTES)
        .map_err(|error| not_ours(format!("it cannot be read as text ({error})")))?;
    let header: Header = serde_json::from_str(&text).map_err(|error| {
        not_ours(format!(
            "it is neither an SQLite database nor JSON of this program ({error})"
        ))
    })?;
    if header.format.as_deref() != Some(FORMAT) {
        return Err(not_ours(format!("its `format` is not `{FORMAT}`")));
    }
    if header.format_version != Some(u64::from(FORMAT_VERSION)) {
        return Err(CompareError::Version {
            path: path.to_owned(),
            found: header.format_version.unwrap_or_default(),
        });
    }
    let document: Document = serde_json::from_str(&text)
        .and_then(|value| serde_json::from_value(printable_json(value)))
        .map_err(|error| not_ours(format!("it is damaged ({error})")))?;
    if document.runs.is_empty() {
        return Err(not_ours("it has no runs".to_owned()));
    }
    Ok(document.runs)
}
