//! What a parser costs: how often it is called and how long that takes.

use std::ops::{AddAssign, Sub};
use std::time::Duration;

/// Calls of one sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallCost {
    /// How many.
    pub calls: u64,
    /// How long they took together, the host's functions that they called included.
    pub time: Duration,
}

impl CallCost {
    /// Adds one call.
    pub fn add(&mut self, time: Duration) {
        self.calls += 1;
        self.time += time;
    }

    /// The time of a call. `None` where there was none.
    pub fn mean(&self) -> Option<Duration> {
        let nanos = self.time.as_nanos().checked_div(u128::from(self.calls))?;
        Some(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }
}

impl AddAssign for CallCost {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.time += other.time;
    }
}

impl Sub for CallCost {
    type Output = Self;

    /// What this has more than an earlier one.
    fn sub(self, earlier: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(earlier.calls),
            time: self.time.saturating_sub(earlier.time),
        }
    }
}

/// All calls of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParserCost {
    /// Making requests: `build-request`, `next` and what belongs to them.
    pub requests: CallCost,
    /// Reading responses: `parse-responses`.
    pub responses: CallCost,
    /// New instances that took the place of broken ones.
    pub replacements: CallCost,
}

impl AddAssign for ParserCost {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.responses += other.responses;
        self.replacements += other.replacements;
    }
}
