//! The figures of a run while it goes on, for whoever looks: a terminal, a dashboard.
//!
//! The thread that counts publishes a [`Snapshot`] a few times a second on a [`Board`]; viewers take the
//! latest one from there, at their own pace and on threads of their own. Nothing here is part of a
//! result.

mod board;
mod buckets;
mod recent;
mod recorder;
#[cfg(test)]
pub(crate) mod tests_support;

pub use board::Board;
pub use buckets::{BOUNDS_SECONDS, Buckets};
pub use recent::{Recent, RecentFigures};
pub use recorder::Recorder;

use llmuses_core::metric::{ByTime, Sums};
use llmuses_core::plan::Arrivals;
use llmuses_stats::FailureCount;
use std::time::Duration;

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No request that counts is over: those so far are of the warm-up.
    WarmingUp,
    /// Requests are issued.
    Issuing,
    /// No more requests are issued; those in flight are waited for.
    Draining,
    /// The run is over.
    Over,
}

/// A run as it stands at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Which run of a sweep it is, from 1.
    pub run: u32,
    /// How many runs the sweep has.
    pub of: u32,
    /// The load that was asked for.
    pub arrivals: Arrivals,
    /// What the run is doing.
    pub phase: Phase,
    /// Time since the first request was due.
    pub elapsed: Duration,
    /// Requests asked for. `None`: as many as the data set gives, or as the time allows.
    pub asked: Option<u64>,
    /// How long requests are issued, where that was asked for.
    pub duration: Option<Duration>,
    /// Requests that were begun, those of the warm-up among them.
    pub begun: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// Requests of the warm-up that are over.
    pub warmup: u64,
    /// Other requests that are over and succeeded.
    pub succeeded: u64,
    /// Other requests that are over and failed.
    pub failed: u64,
    /// Other requests that the client cancelled.
    pub disconnected: u64,
    /// Failures by kind, the commonest first.
    pub failures: Vec<FailureCount>,
    /// Sums over the requests that are over, without the warm-up.
    pub sums: Sums,
    /// The figures of the last seconds.
    pub recent: RecentFigures,
    /// The times of succeeded requests that are told live.
    pub times: ByTime<Buckets>,
}

impl Snapshot {
    /// Requests that are over, those of the warm-up among them.
    pub fn completed(&self) -> u64 {
        self.warmup + self.succeeded + self.failed + self.disconnected
    }

    /// How much of the run is over, from 0 to 1, by the requests or by the time asked for, whichever is
    /// further. `None` where neither was asked for.
    pub fn share_done(&self) -> Option<f64> {
        let by_requests = self
            .asked
            .filter(|asked| *asked > 0)
            .map(|asked| self.completed() as f64 / asked as f64);
        let by_time = self
            .duration
            .filter(|duration| !duration.is_zero())
            .map(|duration| self.elapsed.as_secs_f64() / duration.as_secs_f64());
        match (by_requests, by_time) {
            (Some(requests), Some(time)) => Some(requests.max(time).min(1.0)),
            (share, None) | (None, share) => share.map(|share| share.min(1.0)),
        }
    }

    /// How long the run still takes if it goes on as so far. `None` where that cannot be said (yet).
    pub fn time_left(&self) -> Option<Duration> {
        let share = self.share_done().filter(|share| *share > 0.0)?;
        let left = self.elapsed.as_secs_f64() * (1.0 - share) / share;
        Duration::try_from_secs_f64(left).ok()
    }
}
