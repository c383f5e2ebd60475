//! Time in which the program itself did not run.

use std::time::Duration;

/// The time in which this program stood still, as a thread saw that did nothing but look.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pauses {
    /// All of it.
    pub total: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// For how long its control group had used up its share of processor time. `None`: the system does not
    /// tell.
    pub throttled: Option<Duration>,
    /// How a thread that carries or issues requests waited for a processor: the one that waited longest. `None`: the
    /// system does not tell.
    pub waits: Option<ProcessorWaits>,
}

/// How a thread waited for a processor while it could have run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessorWaits {
    /// For how long in all.
    pub total: Duration,
    /// For how long on average, each time that it got a processor.
    pub mean: Duration,
}

/// Other runs of this program that were there at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct OtherRuns {
    /// Those that ask the same server.
    pub same_server: u64,
    /// All of them.
    pub runs: u64,
}
