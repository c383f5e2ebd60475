//! The figures of requests that have something in common.

use super::counts::{Goodput, Packages};
use super::figures::RunFigures;
use super::spread::Times;
use super::tokens::Tokens;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The figures of the requests of a run that have something in common: a stage of its load, for example.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupFigures {
    /// What tells requests of one group from those of another: `window` (the steady state), `stage`, `url`,
    /// `turn`, `model` or `label`.
    pub by: String,
    /// What its requests have in common.
    pub name: String,
    /// When the window of a steady state begins, after the start of the run; null for other groups. It ends with the last
    /// request sent: from then on users leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub begins_seconds: Option<f64>,
    /// What its rates are divided by: of a window or a stage, its length; otherwise the time of the run.
    pub seconds: Option<f64>,
    /// Over, well or badly.
    pub completed: u64,
    /// That the client cancelled: neither succeeded nor failed, and not among the completed ones.
    #[serde(default)]
    pub disconnected: u64,
    /// Sent, whether they succeeded or not.
    pub sent: u64,
    /// Whose response arrived whole.
    pub succeeded: u64,
    /// That failed.
    pub failed: u64,
    /// Requests that the schedule wanted to go, per second.
    pub due_per_second: Option<f64>,
    /// The figures, under the names that `--fail-if` takes.
    pub figures: RunFigures,
    /// Null without objectives.
    pub goodput: Option<Goodput>,
    /// Tokens.
    pub tokens: Tokens,
    /// Events of streams.
    pub packages: Packages,
    /// Bytes of the data of all events.
    pub bytes_received: u64,
    /// The times.
    #[serde(flatten)]
    pub times: Times,
}
