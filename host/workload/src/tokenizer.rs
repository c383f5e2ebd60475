//! The tokenizer of `--tokenizer-path`, run by the host for the parsers.

mod vocabulary;

use llmuses_kernel_io::regular_file::read_regular;
use llmuses_plugin_host::TokenCounter;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

/// The largest `tokenizer.json` that is read: large ones have tens of megabytes.
const MOST_BYTES: u64 = 256 << 20;

/// The tokenizer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The path leads nowhere.
    #[error("the tokenizer {} cannot be read", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder has no tokenizer in it.
    #[error(
        "the folder {} has no tokenizer.json{found}; --tokenizer-path takes a folder with that file, or \
         the file{help}",
        path.display()
    )]
    NotInFolder {
        /// The folder.
        path: PathBuf,
        /// What it has instead.
        found: String,
        /// How to make the file of that.
        help: String,
    },
    /// The file is no tokenizer.
    #[error("{} is not a tokenizer: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// The bytes of a file of a tokenizer.
fn read(path: &Path) -> Result<Vec<u8>, TokenizerError> {
    read_regular(path, MOST_BYTES).map_err(|source| TokenizerError::Read {
        path: path.to_owned(),
        source,
    })
}

/// A loaded tokenizer.
#[derive(Debug)]
pub struct HostTokenizer {
    tokenizer: Tokenizer,
}

impl HostTokenizer {
    /// What to load for `path`: the file itself, `tokenizer.json` in the folder, or the folder where one can be made
    /// of its `vocab.json` and `merges.txt`.
    ///
    /// # Errors
    /// Where there is none of these.
    pub fn find(path: &Path) -> Result<PathBuf, TokenizerError> {
        let metadata = std::fs::metadata(path).map_err(|source| TokenizerError::Read {
            path: path.to_owned(),
            source,
        })?;
        if !metadata.is_dir() {
            return Ok(path.to_owned());
        }
        let file = path.join("tokenizer.json");
        if file.is_file() {
            return Ok(file);
        }
        match vocabulary::look(path)? {
            None => Ok(path.to_owned()),
            Some(obstacle) => Err(TokenizerError::NotInFolder {
                path: path.to_owned(),
                help: obstacle.help(path),
                found: obstacle.found,
            }),
        }
    }

    /// Loads a `tokenizer.json`, or makes one of the files of a folder.
    ///
    /// # Errors
    /// Where it cannot be read or is no tokenizer.
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        let json = if path.is_dir() {
            vocabulary::tokenizer_json(path)?
        } else {
            read(path)?
        };
        Self::from_json(&json).map_err(|reason| TokenizerError::Invalid {
            path: path.to_owned(),
            reason,
        })
    }

    /// The files of which [`Self::load`] makes the tokenizer of `path`.
    pub fn files(path: &Path) -> Vec<PathBuf> {
        if path.is_dir() {
            vocabulary::files(path)
        } else {
            vec![path.to_owned()]
        }
    }

    fn from_json(json: &[u8]) -> Result<Self, String> {
        let mut tokenizer = Tokenizer::from_bytes(json).map_err(|error| error.to_string())?;
        // A file may ask for texts to be cut or filled up to a length, for training. A count of a text
        // that was cut would be wrong.
        tokenizer
            .with_truncation(None)
            .map_err(|error| error.to_string())?;
        tokenizer.with_padding(None);
        Ok(Self { tokenizer })
    }

    /// Tokens that are words of lower-case letters, without the space before them, in the order of their ids.
    pub(crate) fn words(&self) -> impl Iterator<Item = String> {
        (0..self.tokenizer.get_vocab_size(false) as u32).filter_map(|id| {
            let text = self.tokenizer.decode(&[id], true).ok()?;
            let word = text.trim_start_matches(' ');
            let is_word = word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
            is_word.then(|| word.to_owned())
        })
    }

    /// Where each token of a text ends, in bytes.
    pub fn token_ends(&self, text: &str) -> Vec<usize> {
        match self.tokenizer.encode(text, false) {
            Ok(encoding) => encoding.get_offsets().iter().map(|(_, end)| *end).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Whether a text of so many words is split at each of them before anything else, and each is one token.
    pub(crate) fn has_a_token_for_each_word(&self, text: &str, words: usize) -> bool {
        // The fast encoding does not say from which split a token came.
        let Ok(encoding) = self.tokenizer.encode(text, false) else {
            return false;
        };
        let splits = encoding.get_word_ids();
        splits.len() == words
            && splits
                .windows(2)
                .all(|pair| pair[0].is_some() && pair[0] < pair[1])
    }
}

impl TokenCounter for HostTokenizer {
    fn count(&self, text: &str) -> Result<u64, String> {
        // A file that is no good tokenizer makes it panic on some texts.
        std::panic::catch_unwind(AssertUnwindSafe(|| self.tokenizer.encode_fast(text, false)))
            .map_err(|_| {
                "the tokenizer failed on this text, by a fault of it or of its file".to_owned()
            })?
            .map(|encoding| encoding.len() as u64)
            .map_err(|error| format!("the tokenizer failed: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] = include_bytes!("../../../datasets/tokenizer/tokenizer.json");

    #[test]
    fn text_is_counted_without_special_tokens() {
        let tokenizer = HostTokenizer::from_json(SAMPLE).unwrap();
        assert_eq!(tokenizer.count("").unwrap(), 0);
        let words = tokenizer.count("How far away is the moon?").unwrap();
        assert!((5..=12).contains(&words), "{words}");
    }

    #[test]
    fn a_folder_without_the_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = HostTokenizer::find(folder.path()).unwrap_err().to_string();
        assert!(error.contains("has no tokenizer.json"), "{error}");
    }
}
