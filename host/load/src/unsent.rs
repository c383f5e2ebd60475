//! Requests that were due and were not handed over when a run ended.

use llmuses_core::document::{UnsentRequests, UnsentWait};
use std::time::Duration;

/// Such requests, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsent {
    /// By what they waited for.
    pub requests: UnsentRequests,
    /// How long after the start the last of them was due. `None`: there are none.
    pub last_due: Option<Duration>,
}

impl Unsent {
    /// Requests that waited for the same, by when they were due after the start.
    pub(super) fn of(wait: UnsentWait, due: impl Iterator<Item = Duration>) -> Self {
        let (requests, last_due) = due.fold(
            (0, None),
            |(requests, last): (u64, Option<Duration>), due| (requests + 1, last.max(Some(due))),
        );
        Self {
            requests: UnsentRequests::of(wait, requests),
            last_due,
        }
    }
}

impl std::ops::AddAssign for Unsent {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.last_due = self.last_due.max(other.last_due);
    }
}
