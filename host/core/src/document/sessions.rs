//! Sessions of several turns.

use super::spread::TimeFigures;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sessions of several turns, those of the warm-up left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionFigures {
    /// Sessions whose first turn is over.
    pub begun: u64,
    /// Of these, those whose turns all succeeded.
    pub complete: u64,
    /// Those that ended with a turn that failed.
    pub ended_by_failure: u64,
    /// Those that ended with a turn that the client cancelled.
    #[serde(default)]
    pub disconnected: u64,
    /// Those whose turns so far succeeded, and that were not over when the run was.
    pub cut_short: u64,
    /// The turns that the sessions were to have.
    pub turns_asked: u64,
    /// Of these, those that were not sent, since a turn before them failed or was cancelled, or the run was over.
    pub turns_not_sent: u64,
    /// By the place of the turn in its session, first turns first.
    pub by_turn: Vec<TurnFigures>,
}

/// Turns at one place of their sessions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TurnFigures {
    /// The place, from 1.
    pub turn: u32,
    /// Whether turns at all later places are among them.
    pub and_later: bool,
    /// Requests that are over.
    pub requests: u64,
    /// Of these, failed ones.
    pub failed: u64,
    /// Of these, those that the client cancelled: neither succeeded nor failed. All that follows is of succeeded ones.
    #[serde(default)]
    pub disconnected: u64,
    /// Mean tokens of a prompt; null where nobody counted.
    pub input_tokens_per_request: Option<f64>,
    /// Mean tokens of an answer.
    pub output_tokens_per_request: Option<f64>,
    /// Mean tokens of a prompt that the server took from its cache; null where it does not tell.
    pub cached_tokens_per_request: Option<f64>,
    /// First chunk that carries output - origin.
    pub time_to_first_token: TimeFigures,
    /// (Last output - first output) / (output tokens - 1).
    pub time_per_output_token: TimeFigures,
    /// End of the body - origin.
    pub latency: TimeFigures,
}

impl TurnFigures {
    /// The place for a person: `3`, or `10 and later`.
    pub fn name(&self) -> String {
        name_of_turn(self.turn, self.and_later)
    }
}

/// A place of turns for a person. `turn`: from 1. `and_later`: whether turns at all later places are among them.
pub fn name_of_turn(turn: u32, and_later: bool) -> String {
    match and_later {
        true => format!("{turn} and later"),
        false => turn.to_string(),
    }
}
