//! Prompts that are made, not read.

use crate::lengths::{Lengths, NumberDistribution};
use std::fmt;
use std::path::PathBuf;

/// Prompts of lengths that were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// How many tokens they have, the chat template included.
    pub input: Lengths,
    /// How many tokens the outputs have, where the mix of `input` does not say. `None`: as the model ends them.
    pub output: Option<NumberDistribution>,
    /// What prompts have in common.
    pub prefixes: Option<Prefixes>,
    /// Text of which they are pieces, in place of words at random.
    pub text: Option<PathBuf>,
    /// Whether they are sent as the ids of their tokens, special ones included, in place of the text.
    pub as_token_ids: bool,
}

/// Beginnings that prompts have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prefixes {
    /// How long they are.
    pub share: Share,
    /// How many there are.
    pub number: u32,
    /// The exponent of the Zipf distribution by which they are chosen; with 0 each is as frequent as any other.
    pub exponent: f64,
}

/// How much of a prompt is its prefix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// So many tokens. Prompts that are not longer are drawn again.
    Tokens(u32),
    /// This part of its tokens, from 0 to 1.
    Part(f64),
}

impl fmt::Display for Prefixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.share {
            Share::Tokens(tokens) => write!(f, "{tokens} tokens")?,
            Share::Part(part) => write!(f, "{} % of each prompt", part * 100.0)?,
        }
        write!(f, ", {} of them", self.number)?;
        if self.exponent > 0.0 {
            write!(f, ", chosen by zipf:{}", self.exponent)?;
        }
        Ok(())
    }
}
