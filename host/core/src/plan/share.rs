//! Bounds of a share of requests.

use crate::metric::Time;
use std::time::Duration;

/// A bound of a share of requests, which a run can be held to while it goes on: of the failed ones, of those that met all
/// objectives, or, for a percentile, of those whose time is longer than the bound of the percentile.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareBound {
    /// As it was asked for: `ttft_p99<200ms`.
    pub text: String,
    /// Which requests are counted.
    pub of: ShareOf,
    /// The bound of their share, above 0 and below 1.
    pub share: f64,
    /// Whether the share should be below the bound, rather than above it.
    pub below: bool,
}

/// Which requests are counted for a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ShareOf {
    /// Failed ones, of all.
    Failed,
    /// Those that met every objective of `--goodput`, of all.
    MetAll,
    /// Those with this time or a longer one, of those that have the time.
    Longer(Time, Duration),
}

/// What ends a run early.
#[derive(Debug, Clone, PartialEq)]
pub enum StopRule {
    /// The requests in flight, and the times that they take, grow without end.
    Saturated,
    /// The bound holds for certain.
    Share(ShareBound),
}

impl StopRule {
    /// As it was asked for.
    pub fn text(&self) -> &str {
        match self {
            Self::Saturated => "saturated",
            Self::Share(bound) => &bound.text,
        }
    }
}
