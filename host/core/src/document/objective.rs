//! What became of the objectives of a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A figure of the run beside the bound that it should keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectiveFigures {
    /// As it was asked for: `ttft_p99<200ms`.
    pub objective: String,
    /// The name of the figure.
    pub figure: String,
    /// The bound: seconds of a time, a share of 1.
    pub limit: f64,
    /// The figure; null where the run does not have it.
    pub value: Option<f64>,
    /// The lower bound of its 95 % confidence interval; null where there are too few requests for it.
    pub low: Option<f64>,
    /// The upper bound of its 95 % confidence interval; null where there are too few requests for it.
    pub high: Option<f64>,
    /// Whether the interval lies on the right side of the bound, on the wrong one, or on both.
    pub outcome: ObjectiveOutcome,
    /// Requests of a run that would decide it, if the figure stays as it is; null where it is decided, or where no number of
    /// requests is known to do.
    pub requests_needed: Option<u64>,
}

/// What became of an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectiveOutcome {
    /// The whole interval keeps the bound.
    Met,
    /// The whole interval breaks it.
    Missed,
    /// The bound lies within the interval, or the run does not have the figure.
    NotDecided,
}

impl ObjectiveOutcome {
    /// For a person.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NotDecided => "not decided",
        }
    }
}
