//! The tokenizer of `--tokenizer-path`, run by the host for the parsers.

mod file;
mod vocabulary;

use file::Shape;
use llmuses_core::caught::caught;
use llmuses_core::messages::Messages;
use llmuses_kernel_io::regular_file::read_regular;
use llmuses_plugin_host::TokenCounter;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use tokenizers::{Encoding, PostProcessor as _, Tokenizer};

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

/// What it takes while it reads a text that no normalizer makes longer, in bytes for each byte.
const MEMORY_A_BYTE: usize = 160;

/// Texts in a row on which a tokenizer may fail before it is not asked any more. Failing can take it long: one whose
/// expression goes back and forth on a text needs a tenth of a second for forty letters.
const MOST_FAILURES: u32 = 8;

/// Texts in all on which it may fail, where that is one of [`ONE_OF`] or more.
const MOST_FAILURES_IN_ALL: u64 = 32;

/// See [`MOST_FAILURES_IN_ALL`].
const ONE_OF: u64 = 10;

/// A loaded tokenizer.
#[derive(Debug)]
pub struct HostTokenizer {
    tokenizer: Tokenizer,
    shape: Shape,
    counts: Counts,
    messages: Option<Messages>,
    /// Whether it was said that it is not asked any more.
    is_told: AtomicBool,
}

/// On how many texts it was asked and failed.
#[derive(Debug, Default)]
struct Counts {
    asked: AtomicU64,
    failed: AtomicU64,
    failed_in_a_row: AtomicU32,
    /// Texts on which it had failed, of how many, when it was given up.
    gave_up: OnceLock<(u64, u64)>,
}

impl Counts {
    /// Counts a text.
    fn add(&self, is_failure: bool) {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        if !is_failure {
            self.failed_in_a_row.store(0, Ordering::Relaxed);
            return;
        }
        let in_a_row = self.failed_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        let are_many = failed >= MOST_FAILURES_IN_ALL && failed.saturating_mul(ONE_OF) >= asked;
        if in_a_row >= MOST_FAILURES || are_many {
            self.gave_up.get_or_init(|| (failed, asked));
        }
    }
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
        let shape = Shape::of(json)?;
        let tokenizer = caught(|| without_lengths(json))
            .unwrap_or_else(|| Err("what is in it does not fit together".to_owned()))?;
        Ok(Self {
            tokenizer,
            shape,
            counts: Counts::default(),
            messages: None,
            is_told: AtomicBool::new(false),
        })
    }

    /// Says when it is not asked any more, since it failed on too many texts.
    #[must_use]
    pub fn with_messages(mut self, messages: Messages) -> Self {
        self.messages = Some(messages);
        self
    }

    /// Tokens that are words of lower-case letters, without the space before them, in the order of their ids.
    pub(crate) fn words(&self) -> impl Iterator<Item = String> {
        (0..self.tokenizer.get_vocab_size(false) as u32).filter_map(|id| {
            let text = caught(|| self.tokenizer.decode(&[id], true))?.ok()?;
            let word = text.trim_start_matches(' ');
            let is_word = word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
            is_word.then(|| word.to_owned())
        })
    }

    /// How many special tokens, such as one for the beginning, it puts around a text. Counts of texts are without them.
    pub fn special_tokens(&self) -> u32 {
        let processor = self.tokenizer.get_post_processor();
        let added = processor.map_or(Some(0), |processor| {
            caught(|| processor.added_tokens(false))
        });
        let added = added.unwrap_or_default();
        u32::try_from(added).unwrap_or(u32::MAX)
    }

    /// The ids of the tokens of a text, with the special ones around it.
    ///
    /// # Errors
    /// Where the tokenizer fails on the text.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>, String> {
        let encoding = self.encoded(|tokenizer| tokenizer.encode_fast(text, true))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Where each token of a text ends, in bytes.
    ///
    /// # Errors
    /// Where the tokenizer fails on the text.
    pub fn token_ends(&self, text: &str) -> Result<Vec<usize>, String> {
        let encoding = self.encoded(|tokenizer| tokenizer.encode(text, false))?;
        Ok(encoding.get_offsets().iter().map(|(_, end)| *end).collect())
    }

    /// What the tokenizer makes of a text. A file that is no good tokenizer makes it panic on some texts.
    fn encoded(
        &self,
        encode: impl FnOnce(&Tokenizer) -> tokenizers::Result<Encoding>,
    ) -> Result<Encoding, String> {
        if let Some((failed, asked)) = self.counts.gave_up.get() {
            return Err(given_up(*failed, *asked));
        }
        let result = match caught(|| encode(&self.tokenizer)) {
            Some(Ok(encoding)) => Ok(encoding),
            Some(Err(error)) => Err(format!("the tokenizer failed: {error}")),
            None => {
                Err("the tokenizer failed on this text, by a fault of it or of its file".to_owned())
            }
        };
        self.counts.add(result.is_err());
        if result.is_err()
            && let Some((failed, asked)) = self.counts.gave_up.get()
            && !self.is_told.swap(true, Ordering::Relaxed)
            && let Some(messages) = &self.messages
        {
            messages.say(format!(
                "{}; tokens that the server does not count are unknown from here on",
                given_up(*failed, *asked)
            ));
        }
        result
    }

    /// Whether a text of so many words is split at each of them before anything else, and each is one token.
    pub(crate) fn has_a_token_for_each_word(&self, text: &str, words: usize) -> bool {
        // The fast encoding does not say from which split a token came.
        let Ok(encoding) = self.encoded(|tokenizer| tokenizer.encode(text, false)) else {
            return false;
        };
        let splits = encoding.get_word_ids();
        splits.len() == words
            && splits
                .windows(2)
                .all(|pair| pair[0].is_some() && pair[0] < pair[1])
    }
}

/// The tokenizer of a file. A file may ask for texts to be cut or filled up to a length, for training; a count of a text that
/// was cut would be wrong.
fn without_lengths(json: &[u8]) -> Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::from_bytes(json).map_err(|error| error.to_string())?;
    tokenizer
        .with_truncation(None)
        .map_err(|error| error.to_string())?;
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

fn given_up(failed: u64, asked: u64) -> String {
    format!("the tokenizer failed on {failed} of {asked} texts, so it is not asked any more")
}

impl TokenCounter for HostTokenizer {
    fn count(&self, text: &str) -> Result<u64, String> {
        self.shape
            .pieces(text)
            .map(|piece| {
                self.encoded(|tokenizer| tokenizer.encode_fast(piece, false))
                    .map(|encoding| encoding.len() as u64)
            })
            .sum()
    }

    fn memory_bytes(&self, text: &str) -> usize {
        let largest = self.shape.pieces(text).map(str::len).max();
        largest
            .unwrap_or_default()
            .saturating_mul(MEMORY_A_BYTE)
            .saturating_mul(self.shape.growth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    const SAMPLE: &[u8] = include_bytes!("../../../datasets/tokenizer/tokenizer.json");

    #[test]
    fn text_is_counted_without_special_tokens() {
        let tokenizer = HostTokenizer::from_json(SAMPLE).unwrap();
        assert_eq!(tokenizer.count("").unwrap(), 0);
        let words = tokenizer.count("How far away is the moon?").unwrap();
        assert!((5..=12).contains(&words), "{words}");
    }

    #[test]
    fn a_long_text_is_counted_in_pieces_with_the_same_result() {
        let tokenizer = HostTokenizer::from_json(SAMPLE).unwrap();
        let text = "How far away is the moon?  It's 384,400 km\n\n away ".repeat(8000);
        let whole = tokenizer.encoded(|tokenizer| tokenizer.encode_fast(&*text, false));
        assert!(tokenizer.shape.pieces(&text).count() > 3);
        assert_eq!(
            tokenizer.count(&text),
            whole.map(|whole| whole.len() as u64)
        );
        let (in_pieces, of_all) = (tokenizer.memory_bytes(&text), text.len() * MEMORY_A_BYTE);
        assert!(
            in_pieces > 0 && in_pieces < of_all / 3,
            "{in_pieces} of {of_all}"
        );
    }

    #[test]
    fn a_file_on_which_the_library_panics_is_no_tokenizer() {
        let mut json: serde_json::Value = serde_json::from_slice(SAMPLE).unwrap();
        json["model"]["continuing_subword_prefix"] = "#".repeat(1000).into();
        let error = HostTokenizer::from_json(&serde_json::to_vec(&json).unwrap()).unwrap_err();
        assert_eq!(error, "what is in it does not fit together");
    }

    #[test]
    fn special_tokens_around_a_text_are_told_apart() {
        assert_eq!(
            HostTokenizer::from_json(SAMPLE).unwrap().special_tokens(),
            0
        );
        let mut json: serde_json::Value = serde_json::from_slice(SAMPLE).unwrap();
        json["post_processor"] = serde_json::json!({
            "type": "BertProcessing", "sep": ["b", 1], "cls": ["a", 0]
        });
        let json = serde_json::to_vec(&json).unwrap();
        let tokenizer = HostTokenizer::from_json(&json).unwrap();
        assert_eq!(tokenizer.special_tokens(), 2);
        assert_eq!(tokenizer.count("").unwrap(), 0);
    }

    /// A text on which the tokenizer below fails.
    fn bad_text() -> String {
        "a".repeat(40) + "!"
    }

    /// An expression that goes back and forth on such a text until its limit, and then panics.
    fn bad_tokenizer() -> HostTokenizer {
        let mut json: serde_json::Value = serde_json::from_slice(SAMPLE).unwrap();
        json["pre_tokenizer"] = serde_json::json!({
            "type": "Split", "pattern": { "Regex": "(a+)+$" }, "behavior": "Isolated", "invert": false
        });
        HostTokenizer::from_json(&serde_json::to_vec(&json).unwrap()).unwrap()
    }

    #[test]
    fn a_tokenizer_that_fails_again_and_again_is_not_asked_any_more() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&said);
        let messages = Messages::new(move |text| into.lock().unwrap().push(text.to_owned()));
        let tokenizer = bad_tokenizer().with_messages(messages);
        let fails = |times| {
            for _ in 0..times {
                let error = tokenizer.count(&bad_text()).unwrap_err();
                assert!(error.contains("by a fault of it or of its file"), "{error}");
            }
        };
        fails(MOST_FAILURES - 1);
        // One text that it can read, and it is asked as before.
        tokenizer.count("a word").unwrap();
        fails(MOST_FAILURES);
        for _ in 0..2 {
            let error = tokenizer.count("a word").unwrap_err();
            assert!(error.contains("failed on 15 of 16 texts"), "{error}");
        }
        let said = said.lock().unwrap();
        assert!(
            matches!(said.as_slice(), [one] if one.contains("failed on 15 of 16 texts, so it is not asked any more")),
            "{said:?}"
        );
    }

    /// As of a run whose prompts it fails on and whose outputs it can read.
    #[test]
    fn a_tokenizer_that_fails_on_every_second_text_is_not_asked_any_more() {
        let counts = Counts::default();
        for _ in 1..MOST_FAILURES_IN_ALL {
            counts.add(true);
            counts.add(false);
        }
        assert_eq!(counts.gave_up.get(), None);
        counts.add(true);
        assert_eq!(counts.gave_up.get(), Some(&(32, 63)));
        // Few of many are no reason.
        let counts = Counts::default();
        for _ in 0..1000 {
            counts.add(true);
            (0..20).for_each(|_| counts.add(false));
        }
        assert_eq!(counts.gave_up.get(), None);
    }

    #[test]
    fn a_folder_without_the_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = HostTokenizer::find(folder.path()).unwrap_err().to_string();
        assert!(error.contains("has no tokenizer.json"), "{error}");
    }
}
