//! Real text, of which prompts are pieces: text at random would be harder to predict for a server that guesses tokens
//! ahead.

use crate::tokenizer::HostTokenizer;
use llmuses_kernel_io::regular_file::read_regular_text;
use std::path::{Path, PathBuf};

/// The largest file of text.
const MOST_BYTES: u64 = 256 << 20;

/// The text cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// It cannot be read.
    #[error("the text {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The tokenizer fails on it.
    #[error("the text {} cannot be measured: {reason}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What the tokenizer said.
        reason: String,
    },
    /// There are no words in it.
    #[error("the text {} has no words", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// A text with its words and how many tokens each has.
#[derive(Debug)]
pub struct RealText {
    text: String,
    /// Where each word begins, in bytes, and how many tokens are before it.
    words: Vec<(usize, u32)>,
    tokens: u32,
    /// Tokens by which a piece may be longer than asked for: the last word of which some are wanted is there as a whole.
    spare: u32,
}

impl RealText {
    /// Reads a file. Without a tokenizer its pieces are measured in words.
    ///
    /// # Errors
    /// Where it cannot be read or has no words, and where the tokenizer fails on it.
    pub fn load(path: &Path, tokenizer: Option<&HostTokenizer>) -> Result<Self, TextError> {
        let text = read_regular_text(path, MOST_BYTES).map_err(|source| TextError::Read {
            path: path.to_owned(),
            source,
        })?;
        let of_text = match tokenizer {
            Some(tokenizer) => {
                Self::of(text.trim(), tokenizer).map_err(|reason| TextError::Tokenizer {
                    path: path.to_owned(),
                    reason,
                })?
            }
            None => Self::in_words(text.trim()),
        };
        of_text.ok_or_else(|| TextError::Empty {
            path: path.to_owned(),
        })
    }

    /// A text whose pieces are measured in words. `None`: it has none.
    pub(super) fn in_words(text: &str) -> Option<Self> {
        let begin = text.as_ptr() as usize;
        let places = text
            .split_whitespace()
            .map(|word| word.as_ptr() as usize - begin);
        let words: Vec<(usize, u32)> = places.zip(0..).collect();
        (!words.is_empty()).then(|| Self {
            text: text.to_owned(),
            tokens: words.len() as u32,
            spare: 0,
            words,
        })
    }

    fn of(text: &str, tokenizer: &HostTokenizer) -> Result<Option<Self>, String> {
        let ends = tokenizer.token_ends(text)?;
        let mut words = Vec::new();
        let mut before = 0;
        let mut in_word = false;
        for (place, letter) in text.char_indices() {
            if letter.is_whitespace() {
                in_word = false;
            } else if !in_word {
                in_word = true;
                while ends.get(before).is_some_and(|end| *end <= place) {
                    before += 1;
                }
                words.push((place, before as u32));
            }
        }
        Ok((!words.is_empty()).then(|| Self {
            text: text.to_owned(),
            words,
            tokens: ends.len() as u32,
            spare: 1,
        }))
    }

    /// How many words it has.
    pub(super) fn words(&self) -> usize {
        self.words.len()
    }

    /// Appends text from this word on, from the beginning again behind the end, of about `tokens` tokens and not more
    /// than a word above; of exactly so many words where it is measured in words.
    pub(super) fn extend(&self, text: &mut String, word: usize, tokens: u32) {
        let mut word = word;
        let mut left = tokens;
        while left > 0 {
            let (begin, before) = self.words[word];
            let after = self.words[word..]
                .partition_point(|(_, at)| at - before < left + self.spare)
                + word;
            let end = match self.words.get(after) {
                Some((next, _)) => *next,
                None => self.text.len(),
            };
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(self.text[begin..end].trim_end());
            if after < self.words.len() {
                return;
            }
            left = left.saturating_sub((self.tokens - before).max(1));
            word = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_plugin_host::TokenCounter;

    const TOKENIZER: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../datasets/tokenizer/tokenizer.json"
    );

    #[test]
    fn pieces_begin_and_end_at_words() {
        let tokenizer = HostTokenizer::load(Path::new(TOKENIZER)).unwrap();
        let source =
            "The moon is far away, and the sun is farther.\nBoth shine by day or by night.";
        let text = RealText::of(source, &tokenizer).unwrap().unwrap();
        assert_eq!(text.words(), 17);
        let mut piece = String::new();
        text.extend(&mut piece, 1, 6);
        assert!(piece.starts_with("moon is far"), "{piece}");
        assert!(source.contains(&piece), "{piece}");
        // Longer than the whole: it comes again.
        let mut long = String::new();
        text.extend(&mut long, 16, 100);
        assert!(long.starts_with("night. The moon is"), "{long}");
        let tokens = tokenizer.count(&long).unwrap();
        assert!((90..=112).contains(&tokens), "{tokens}");
    }
}
