//! An outcome with what it measures.

use super::measure::{Measurement, Origin};
use llmuses_core::exchange::Outcome;

/// A request that is over, measured once for all who look at it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What happened.
    pub outcome: Outcome,
    /// What it measures.
    pub measured: Measurement,
    /// Whether it is of the warm-up, and so in no figure.
    pub warmup: bool,
    /// Which of several workers sent it, from 0. `None`: this process did.
    pub worker: Option<u32>,
    /// The output tokens that were asked for. `None`: no length was.
    pub asked_output: Option<u32>,
}

impl Sample {
    /// Measures an outcome. `origin`: from where its times are counted.
    pub fn of(outcome: Outcome, origin: Origin, warmup: bool) -> Self {
        Self {
            measured: Measurement::of(&outcome, origin),
            outcome,
            warmup,
            worker: None,
            asked_output: None,
        }
    }

    /// The same without the texts of request, response and answer.
    pub fn without_texts(&self) -> Self {
        Self {
            outcome: self.outcome.without_texts(),
            measured: self.measured,
            warmup: self.warmup,
            worker: self.worker,
            asked_output: self.asked_output,
        }
    }
}
