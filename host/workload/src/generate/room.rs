//! Whether prompts of the lengths asked for have room for a text of their own.

use super::words::Words;
use crate::draw;
use llmuses_core::lengths::{MOST_TOKENS, NumberDistribution};
use llmuses_core::plan::{Generated, Share};
use std::fmt;

/// The share of lengths that have to have room: drawing again the others takes a hundred draws at most on average.
const LEAST_SHARE: f64 = 0.01;

/// Lengths that have no room for a text, or hardly ever.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub struct NoRoom {
    lengths: NumberDistribution,
    room: Room,
}

/// What a prompt has beside a text of its own, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Those of the chat template, or special ones.
    pub(super) around: u32,
    /// Those of its prefix.
    pub(super) prefix: u32,
}

impl Room {
    /// In a first turn, or a later one, which has no prefix. A prefix that is a share of each prompt leaves room by itself.
    pub(super) fn of(generated: &Generated, words: &Words, is_first: bool) -> Self {
        let share = generated.prefixes.map(|prefixes| prefixes.share);
        match (is_first, share) {
            (true, Some(Share::Tokens(prefix))) => Self {
                around: words.overhead,
                prefix,
            },
            (true, _) => Self {
                around: words.overhead,
                prefix: 0,
            },
            (false, _) => Self {
                around: words.later_overhead,
                prefix: 0,
            },
        }
    }

    /// The tokens of the shortest prompt.
    pub(super) fn least(self) -> u32 {
        self.around.saturating_add(self.prefix).saturating_add(1)
    }
}

impl Words {
    /// Whether prompts of each kind have room for a text. `has_later_turns`: sessions have turns after the first.
    ///
    /// # Errors
    /// Where those of one have none, or so few have that drawing them would take long.
    pub fn ensure_room(&self, generated: &Generated, has_later_turns: bool) -> Result<(), NoRoom> {
        let first = Room::of(generated, self, true);
        let later = has_later_turns.then(|| Room::of(generated, self, false));
        for room in [first].into_iter().chain(later) {
            for part in generated.input.parts() {
                if draw::share_from(room.least(), &part.input) < LEAST_SHARE {
                    return Err(NoRoom {
                        lengths: part.input,
                        room,
                    });
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = LEAST_SHARE * 100.0;
        match self.lengths {
            lengths if self.room.least() == 1 => {
                return write!(
                    f,
                    "fewer than {share} % of the lengths {lengths} are from 1 to {MOST_TOKENS} tokens"
                );
            }
            NumberDistribution::Fixed(tokens) => {
                write!(f, "a prompt of {tokens} tokens has no room for a text")?;
            }
            NumberDistribution::Uniform { max, .. } => {
                write!(
                    f,
                    "a prompt of {max} tokens or fewer has no room for a text"
                )?;
            }
            lengths => write!(
                f,
                "fewer than {share} % of the lengths {lengths} have room for a text"
            )?,
        }
        match (self.room.around, self.room.prefix) {
            (0, prefix) => write!(f, ", since the prefix has {prefix} tokens"),
            (around, prefix) => {
                write!(
                    f,
                    ", since the chat template or special tokens take {around} tokens"
                )?;
                match prefix {
                    0 => Ok(()),
                    prefix => write!(f, " and the prefix {prefix}"),
                }
            }
        }
    }
}
