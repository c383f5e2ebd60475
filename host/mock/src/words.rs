//! What the answers are made of.

/// One word to a token. None of it needs escapes in JSON. Some words are not ASCII, so that a client meets characters
/// of several bytes. The last and the first may meet, and must not become one word.
const WORDS: [&str; 48] = [
    "The",
    " old",
    " lighthouse",
    " stood",
    " at",
    " the",
    " edge",
    " of",
    " a",
    " quiet",
    " bay",
    ",",
    " and",
    " every",
    " evening",
    " its",
    " keeper",
    " climbed",
    " the",
    " narrow",
    " stairs",
    " to",
    " light",
    " the",
    " lamp",
    ".",
    " From",
    " up",
    " there",
    " he",
    " saw",
    " ships",
    " bound",
    " for",
    " Málaga",
    ",",
    " for",
    " 横浜",
    ",",
    " for",
    " ports",
    " he",
    " would",
    " never",
    " visit",
    " –",
    " naïve",
    "?",
];

/// The words of an answer, beginning anywhere on the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words(u64);

impl Words {
    pub(super) fn new(begin: u64) -> Self {
        Self(begin % WORDS.len() as u64)
    }

    /// The word of a token. An answer does not begin with a space.
    pub(super) fn at(self, token: u64) -> &'static str {
        // The remainder is below 48, whatever the size of a pointer.
        let word = WORDS[((self.0 + token) % WORDS.len() as u64) as usize];
        match token {
            0 => word.trim_start(),
            _ => word,
        }
    }

    /// The words behind the first so many.
    pub(super) fn skip(self, tokens: u64) -> Self {
        Self::new(self.0 + tokens)
    }

    /// The first so many words in one.
    pub(super) fn text(self, tokens: u64) -> String {
        (0..tokens).map(|token| self.at(token)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_needs_escapes_and_each_is_seen() {
        for (index, word) in WORDS.iter().enumerate() {
            assert_eq!(serde_json::json!(word).to_string(), format!("\"{word}\""));
            assert_eq!(Words::new(index as u64 + 48).at(48), *word);
        }
    }

    #[test]
    fn a_text_begins_without_a_space() {
        assert_eq!(Words::new(1).text(3), "old lighthouse stood");
        assert_eq!(Words::new(0).text(2), "The old");
        assert_eq!(Words::new(5).text(0), "");
        assert_eq!(Words::new(0).skip(1).text(2), "old lighthouse");
    }
}
