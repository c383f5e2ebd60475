//! Why a plugin cannot be loaded.

use super::instance::CallError;
use std::path::PathBuf;

/// A parser could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("the parser {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a component, or not one of a parser.
    #[error("{label} is not a parser: {reason}")]
    NotAParser {
        /// The file or name.
        label: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// It could not be compiled within the bounds.
    #[error("{label} cannot be used: {reason}")]
    Compile {
        /// The file or name.
        label: String,
        /// Why not.
        reason: String,
    },
    /// It asks for more than parsers get.
    #[error("{label} cannot be run: {reason}")]
    Imports {
        /// The file or name.
        label: String,
        /// What it asks for.
        reason: String,
    },
    /// It has a wish that is not granted.
    #[error("parser `{parser}` wants a header that parsers may not set: {reason}")]
    Header {
        /// The name of the parser.
        parser: String,
        /// Which, and why not.
        reason: String,
    },
    /// It broke while it was asked who it is.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The linker refused the host's own functions.
    #[error("the plugin host could not be set up: {0}")]
    Host(String),
}
