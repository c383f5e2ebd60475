//! What made-up prompts are made of.

use super::text::RealText;
use super::vocabulary::Vocabulary;
use crate::tokenizer::HostTokenizer;
use std::sync::Arc;

/// What texts are made of.
#[derive(Debug, Clone)]
pub struct Words {
    /// The words.
    pub vocabulary: Arc<Vocabulary>,
    /// What counts them.
    pub counting: Counting,
    /// Text of which prompts are pieces, in place of words at random.
    pub text: Option<Arc<RealText>>,
    /// Tokens that the chat template puts around a prompt, or special tokens of an API without one.
    pub overhead: u32,
    /// Tokens that a chat template adds for a later turn of a session, around the reply before and the message.
    pub later_overhead: u32,
}

/// How the tokens of a text are known.
#[derive(Debug, Clone)]
pub enum Counting {
    /// The tokenizer of the model counts them.
    Tokenizer(Arc<HostTokenizer>),
    /// The server counted those of a few texts: so many tokens a word.
    Learned {
        /// Tokens of a word, on average.
        per_word: f64,
    },
}
