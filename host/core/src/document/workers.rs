//! The workers of a run that several sent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A worker of a run that several sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerFigures {
    /// Its number, from 0.
    pub worker: u32,
    /// How --hosts calls it.
    pub name: String,
    /// The name of its machine; null: it does not tell.
    pub host: Option<String>,
    /// What tells one boot of one kernel from all others; null: it does not tell.
    pub boot: Option<String>,
    /// The version of its program.
    pub version: Option<String>,
    /// What its program was built for.
    pub build: Option<String>,
    /// How many processors it may use.
    pub processors: Option<u64>,
    /// Requests that it sent and that are over, those of the warm-up among them.
    pub requests: u64,
    /// The median of the times to first token of its succeeded requests.
    pub time_to_first_token_p50_seconds: Option<f64>,
    /// The 99th percentile of its dispatch lag.
    pub dispatch_lag_p99_seconds: Option<f64>,
    /// The share of the run during which the busiest of its client threads was busy.
    pub busy_share: Option<f64>,
    /// By how much its wall clock was ahead of that of the coordinator. Times stand in the coordinator's all the same. Null:
    /// nobody measured it, as of parts that were merged.
    pub clock_offset_seconds: Option<f64>,
    /// By how much that may be more or less: the time of the fastest pings.
    pub clock_bound_seconds: Option<f64>,
    /// The most by which both clocks moved against each other during the run.
    pub clock_drift_seconds: Option<f64>,
    /// When after the start it was lost; null: it was not.
    pub lost_after_seconds: Option<f64>,
    /// Why it was lost; null: it was not.
    pub lost: Option<String>,
    /// Requests that it had begun and of which there is no result, by what it had said.
    pub requests_without_result: u64,
    /// Requests of its part that were due by the end of the load and have no result, where it was lost; null: it was not,
    /// or nothing says when its requests were due.
    #[serde(default)]
    pub due_without_result: Option<u64>,
}
