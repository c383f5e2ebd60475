//! Percentiles of times over the run.

use super::named::Named;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Percentiles of times over the run: columns, one value for each slot. A slot has 20 succeeded requests or more, by when
/// each was sent; there are 60 slots at most.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimesOverTime {
    /// Where each slot begins, from the start of the run.
    pub from_seconds: Vec<f64>,
    /// Where it ends.
    pub to_seconds: Vec<f64>,
    /// Succeeded requests that were sent in it.
    pub requests: Vec<u64>,
    /// The percentiles of some of the times, under their names. Each is right within 1 %.
    pub times: Named<SlotPercentiles>,
}

/// The percentiles of a time in each slot; null where no request has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlotPercentiles {
    /// Medians.
    pub p50_seconds: Vec<Option<f64>>,
    /// 99th percentiles; of fewer than 100 requests the longest time.
    pub p99_seconds: Vec<Option<f64>>,
}
