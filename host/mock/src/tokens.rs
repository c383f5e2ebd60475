//! The server's own way to count tokens.
//!
//! A text is cut into pieces: runs of letters and digits, each cut again after every 16 characters, and every other
//! character alone, except white space, which only separates. Each piece is a token. So a common English word is one
//! token, `don't` is three, and a comma is one. It has nothing to do with any model's tokenizer; what matters is that
//! a test can count the same, and that whatever the server answers counts as many tokens as it says.
//!
//! For the prefix cache tokens are hashed in a chain: the hash of a block tells all tokens up to its end.

use crate::prompt::{Part, Prompt};

/// The most characters of a run of letters that are one token.
const LETTERS: usize = 16;

/// The tokens of a block of the prefix cache.
pub(super) const BLOCK: u64 = 16;

/// Calls `on_token` with each token of a text.
fn split<'t>(text: &'t str, mut on_token: impl FnMut(&'t str)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let begin = at;
        let mut letters = 0;
        // Most text is ASCII, for which the kind of a character is known from its byte.
        while letters < LETTERS && at < bytes.len() {
            if bytes[at].is_ascii() {
                if !bytes[at].is_ascii_alphanumeric() {
                    break;
                }
                at += 1;
            } else {
                let next = text[at..].chars().next().filter(|c| c.is_alphanumeric());
                let Some(letter) = next else { break };
                at += letter.len_utf8();
            }
            letters += 1;
        }
        if at > begin {
            on_token(&text[begin..at]);
            continue;
        }
        let Some(other) = text[at..].chars().next() else {
            break;
        };
        at += other.len_utf8();
        if !other.is_whitespace() {
            on_token(&text[begin..at]);
        }
    }
}

/// How many tokens a text has.
pub(super) fn count(text: &str) -> u64 {
    let mut tokens = 0;
    split(text, |_| tokens += 1);
    tokens
}

/// How many tokens a prompt has, with so many for the template of each message.
pub(super) fn count_prompt(prompt: &Prompt<'_>, template: u64) -> u64 {
    let tokens = prompt.parts.iter().map(|part| match part {
        Part::Message(_) => template,
        Part::Text(text) => count(text),
        Part::Ids(ids) => ids.len() as u64,
        Part::Other(tokens) => *tokens,
    });
    tokens.sum()
}

/// The hashes of the blocks of a sequence of tokens.
#[derive(Debug, Clone, Default)]
pub(super) struct Chain {
    hash: u64,
    tokens: u64,
    blocks: Vec<u64>,
    /// Whether it has messages.
    is_conversation: bool,
}

impl Chain {
    /// The chain of a prompt, with so many tokens for the template of each message.
    pub(super) fn of(prompt: &Prompt<'_>, template: u64) -> Self {
        let mut chain = Self::default();
        for part in &prompt.parts {
            match part {
                Part::Message(role) => chain.message(role, template),
                Part::Text(text) => chain.text(text),
                Part::Ids(ids) => ids.iter().for_each(|id| chain.push(*id)),
                Part::Other(tokens) => (0..*tokens).for_each(|token| chain.push(token)),
            }
        }
        chain
    }

    /// Begins a message: the role counts even where the template has no tokens.
    fn message(&mut self, role: &str, template: u64) {
        // Two names for the same.
        let role = match role {
            "model" => "assistant",
            role => role,
        };
        let role = hash(role.as_bytes());
        self.is_conversation = true;
        self.hash = mix(self.hash, role);
        (0..template).for_each(|token| self.push(role ^ token));
    }

    /// Adds an answer, as it will be in the prompt of the next turn.
    pub(super) fn answer(&mut self, text: &str, template: u64) {
        if self.is_conversation {
            self.message("assistant", template);
        }
        self.text(text);
    }

    /// Adds the tokens of a text.
    fn text(&mut self, text: &str) {
        split(text, |token| self.push(hash(token.as_bytes())));
    }

    fn push(&mut self, token: u64) {
        self.hash = mix(self.hash, token);
        self.tokens += 1;
        if self.tokens.is_multiple_of(BLOCK) {
            self.blocks.push(self.hash);
        }
    }

    /// How many tokens there are.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The hashes of the full blocks, in order.
    pub(super) fn blocks(&self) -> &[u64] {
        &self.blocks
    }
}

/// FNV-1a of 64 bits.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn mix(hash: u64, with: u64) -> u64 {
    let mixed = (hash.rotate_left(23) ^ with).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Words;

    #[test]
    fn words_and_marks_are_tokens() {
        for (text, tokens) in [
            ("", 0),
            (" \n\t", 0),
            ("one two\n three", 3),
            ("don't stop, now!", 7),
            ("internationally", 1),
            ("abcdefghijklmnopq", 2),
            ("Málaga – 横浜…", 4),
            ("\u{e9}t\u{e9}\u{3000}deux", 2),
            ("a_b-c 3.14", 8),
        ] {
            assert_eq!(count(text), tokens, "{text}");
        }
        let mut pieces = Vec::new();
        split("Why, 0123456789abcdefgh?", |piece| pieces.push(piece));
        assert_eq!(pieces, ["Why", ",", "0123456789abcdef", "gh", "?"]);
    }

    #[test]
    fn an_answer_counts_as_many_tokens_as_it_says() {
        for begin in 0..48 {
            for tokens in [0, 1, 7, 200] {
                assert_eq!(count(&Words::new(begin).text(tokens)), tokens);
            }
        }
    }

    fn prompt<'a>(parts: &[(&'a str, &'a str)]) -> Prompt<'a> {
        let parts = parts
            .iter()
            .flat_map(|(role, text)| [Part::Message((*role).into()), Part::Text((*text).into())]);
        Prompt {
            parts: parts.collect(),
        }
    }

    #[test]
    fn chain_and_count_agree() {
        let mut prompt = prompt(&[("system", "be brief, please"), ("user", "what is a mock?")]);
        prompt.parts.push(Part::Ids(vec![1, 2, 3]));
        prompt.parts.push(Part::Other(20));
        for template in [0, 4] {
            let tokens = count_prompt(&prompt, template);
            assert_eq!(tokens, 4 + 5 + 3 + 20 + 2 * template);
            assert_eq!(Chain::of(&prompt, template).tokens(), tokens);
        }
    }

    #[test]
    fn blocks_tell_everything_before_their_end() {
        let long = Words::new(3).text(40);
        let first = Chain::of(&prompt(&[("user", &long)]), 0);
        assert_eq!(first.blocks().len(), 2);
        let longer = format!("{long} and more of it");
        assert_eq!(
            Chain::of(&prompt(&[("user", &longer)]), 0).blocks(),
            first.blocks()
        );
        let other_role = Chain::of(&prompt(&[("system", &long)]), 0);
        assert_ne!(other_role.blocks()[0], first.blocks()[0]);
        let other_begin = Chain::of(&prompt(&[("user", &format!("x{long}"))]), 0);
        assert_ne!(other_begin.blocks()[1], first.blocks()[1]);
    }
}
