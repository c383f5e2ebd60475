//! How many tokens a text has by the number of its words, learned from what a server counted.

/// The straight line through what the server counted: `around + per_word · words`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Tokens of a prompt without words: those of the chat template.
    pub around: f64,
    /// Tokens of a word.
    pub per_word: f64,
    /// The largest difference of a probe from the line, in tokens.
    pub worst: f64,
    /// How many probes there were.
    pub probes: u64,
}

/// The server's counts are on no line.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LineError {
    /// Too few answers with a count.
    #[error("the server said for {counted} of {probes} prompts how many tokens they have")]
    Uncounted {
        /// Answers with a count of the server.
        counted: usize,
        /// Prompts sent.
        probes: u64,
    },
    /// Longer prompts do not have more tokens.
    #[error(
        "by the server's count a prompt of {short} words has {few} tokens and one of {long} words {many}: that is no \
         count of tokens"
    )]
    Flat {
        /// Words of the shortest prompt.
        short: u64,
        /// Its tokens.
        few: u64,
        /// Words of the longest prompt.
        long: u64,
        /// Its tokens.
        many: u64,
    },
}

impl Default for Line {
    /// A token for each word, and none around them.
    fn default() -> Self {
        Self {
            around: 0.0,
            per_word: 1.0,
            worst: 0.0,
            probes: 0,
        }
    }
}

impl Line {
    /// Whole tokens of a prompt without words.
    pub fn overhead(&self) -> u32 {
        self.around.round().max(0.0) as u32
    }

    /// The line with the least squares of differences through (words, tokens) of `probes` prompts, not all of which may
    /// have been counted.
    ///
    /// # Errors
    /// Where fewer than half of them were counted, or more words have not more tokens.
    pub fn through(counts: &[(u64, u64)], probes: u64) -> Result<Self, LineError> {
        let shortest = counts.iter().min();
        let longest = counts.iter().max();
        let (Some(&(short, few)), Some(&(long, many))) = (shortest, longest) else {
            return Err(LineError::Uncounted { counted: 0, probes });
        };
        if (counts.len() as u64) * 2 < probes || short == long {
            return Err(LineError::Uncounted {
                counted: counts.len(),
                probes,
            });
        }
        let number = counts.len() as f64;
        let mean = |of: fn(&(u64, u64)) -> u64| {
            counts.iter().map(|pair| of(pair) as f64).sum::<f64>() / number
        };
        let (mean_words, mean_tokens) = (mean(|pair| pair.0), mean(|pair| pair.1));
        let (mut squares, mut products) = (0.0, 0.0);
        for (words, tokens) in counts {
            let words = *words as f64 - mean_words;
            squares += words * words;
            products += words * (*tokens as f64 - mean_tokens);
        }
        let per_word = products / squares;
        // A word has a part of a token where a server counts something else.
        if per_word < LEAST_PER_WORD {
            return Err(LineError::Flat {
                short,
                few,
                long,
                many,
            });
        }
        let around = mean_tokens - per_word * mean_words;
        let off = |(words, tokens): &(u64, u64)| {
            (*tokens as f64 - around - per_word * *words as f64).abs()
        };
        Ok(Self {
            around,
            per_word,
            worst: counts.iter().map(off).fold(0.0, f64::max),
            probes: counts.len() as u64,
        })
    }
}

/// The fewest tokens a word that are taken for a count of tokens.
const LEAST_PER_WORD: f64 = 0.3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_again() {
        let counts: Vec<(u64, u64)> = [20, 80, 200, 400].map(|words| (words, 9 + words)).into();
        let line = Line::through(&counts, 4).unwrap();
        assert!((line.around - 9.0).abs() < 1e-9 && (line.per_word - 1.0).abs() < 1e-12);
        assert!(line.worst < 1e-9);
        let rough = [(20, 40), (80, 110), (200, 275), (400, 530)];
        let line = Line::through(&rough, 4).unwrap();
        assert!((1.2..1.4).contains(&line.per_word), "{line:?}");
        assert!(line.worst > 1.0);
    }

    #[test]
    fn counts_that_are_no_tokens_are_refused() {
        assert!(matches!(
            Line::through(&[(20, 7), (400, 7)], 2),
            Err(LineError::Flat { few: 7, .. })
        ));
        assert!(matches!(
            Line::through(&[(20, 29)], 8),
            Err(LineError::Uncounted { counted: 1, .. })
        ));
        assert!(matches!(
            Line::through(&[], 8),
            Err(LineError::Uncounted { counted: 0, .. })
        ));
    }
}
