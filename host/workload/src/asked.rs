//! What requests ask of which a data set tells only the lengths, as traces do.

use llmuses_core::item::Turn;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// What a request asks whose text is made of lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedTurn {
    /// Tokens of the prompt, the chat template included.
    pub input: u32,
    /// Tokens of the output.
    pub output: Option<u32>,
    /// The prompt in pieces: of each, by what number it is known together with all that is before it, and its tokens.
    pub pieces: Vec<(u64, u32)>,
}

impl AskedTurn {
    /// What a turn of the entry with this number asks. `None`: its length is unknown, or more than can be made.
    pub fn of(turn: &Turn, entry: u64) -> Option<Self> {
        let tokens = |tokens: u64| u32::try_from(tokens).ok();
        let input = tokens(turn.input_tokens?)?;
        let block = turn.block_tokens.and_then(tokens).unwrap_or(input).max(1);
        let mut pieces = Vec::with_capacity(turn.hash_ids.len() + 1);
        let (mut known, mut end) = (0, 0_u32);
        for id in &turn.hash_ids {
            let length = block.min(input - end);
            known = after(known, (true, *id));
            pieces.push((known, length));
            end += length;
        }
        if end < input {
            // What is behind the last block is of this entry alone, and returns with it in a later pass.
            pieces.push((after(known, (false, entry)), input - end));
        }
        let output = turn.output_tokens.and_then(tokens);
        Some(Self {
            input,
            output,
            pieces,
        })
    }
}

/// The number of a piece that comes after that with the number `known`.
fn after(known: u64, piece: (bool, u64)) -> u64 {
    let mut hasher = DefaultHasher::new();
    (known, piece).hash(&mut hasher);
    hasher.finish()
}

/// What was asked of the requests that are made and have no result yet, by their numbers.
#[derive(Debug, Clone, Default)]
pub struct AskedTurns(Arc<Mutex<HashMap<u64, Arc<AskedTurn>>>>);

impl AskedTurns {
    /// Notes what a request asks.
    pub(crate) fn note(&self, number: u64, asked: Arc<AskedTurn>) {
        self.lock().insert(number, asked);
    }

    /// What was asked of the request with this number.
    pub fn get(&self, number: u64) -> Option<Arc<AskedTurn>> {
        self.lock().get(&number).cloned()
    }

    /// What was asked of the request with this number, which is forgotten with that.
    pub fn take(&self, number: u64) -> Option<Arc<AskedTurn>> {
        self.lock().remove(&number)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<AskedTurn>>> {
        // The map is whole after each call, also where a thread ended.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(hash_ids: &[u64], input: u64, entry: u64) -> AskedTurn {
        let turn = Turn {
            input_tokens: Some(input),
            output_tokens: Some(7),
            hash_ids: hash_ids.to_vec(),
            block_tokens: Some(512),
            ..Turn::default()
        };
        AskedTurn::of(&turn, entry).unwrap()
    }

    #[test]
    fn a_block_is_known_together_with_those_before_it() {
        let lengths = |asked: &AskedTurn| {
            let lengths = asked.pieces.iter().map(|(_, tokens)| *tokens);
            lengths.collect::<Vec<_>>()
        };
        let one = asked(&[1, 2, 3], 1100, 0);
        assert_eq!((one.input, one.output), (1100, Some(7)));
        assert_eq!(lengths(&one), [512, 512, 76]);
        let other = asked(&[1, 5, 3], 1100, 1);
        assert_eq!(one.pieces[0], other.pieces[0]);
        assert_ne!(one.pieces[1], other.pieces[1]);
        assert_ne!(one.pieces[2], other.pieces[2]);
    }

    #[test]
    fn what_is_behind_the_blocks_is_of_one_entry() {
        let one = asked(&[1], 600, 0);
        assert_eq!(one.pieces[1].1, 88);
        assert_eq!(one, asked(&[1], 600, 0));
        let other = asked(&[1], 600, 1);
        assert_eq!(one.pieces[0], other.pieces[0]);
        assert_ne!(one.pieces[1], other.pieces[1]);
    }
}
