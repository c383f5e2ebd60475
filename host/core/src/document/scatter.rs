//! Times by the length of the prompt.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A time by the length of the prompt, of succeeded requests of which both are known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimeByInputLength {
    /// How many requests there are.
    pub requests: u64,
    /// Tokens of the prompts of 500 of them at most, picked evenly by a hash of their place in the order of issue.
    pub input_tokens: Vec<u64>,
    /// The times of the same requests.
    pub seconds: Vec<f64>,
    /// The straight line through all requests; null where all prompts have one length.
    pub line: Option<StraightLine>,
}

/// A straight line, by least squares.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StraightLine {
    /// The time at length 0.
    pub intercept_seconds: f64,
    /// By how much it grows with each token.
    pub seconds_per_token: f64,
    /// The share of the variance that the line explains; null where all times are equal.
    pub r_squared: Option<f64>,
}
