//! What became of the schedule of a trace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of the schedule of a trace that was replayed; how late requests were sent is `dispatch_lag`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayFigures {
    /// Requests of the trace that this run was to send.
    pub requests: u64,
    /// When the last of them was due, after the start of the run.
    pub last_due_seconds: f64,
    /// Requests that were due later than the trace says, since the one before them in their conversation was not over.
    pub held_back_requests: u64,
    /// By how much at most.
    pub longest_held_back_seconds: f64,
}
