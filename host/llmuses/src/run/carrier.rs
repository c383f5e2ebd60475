//! What carries the requests of a run: the threads of this process, or workers.

use llmuses_core::backlog::Backlog;
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::document::WorkerFigures;
use llmuses_core::exchange::{ConnectionOpening, Outcome};
use llmuses_stats::Circumstances;
use llmuses_workload::AskedTurn;
use std::sync::Arc;

/// A request that is over.
pub(super) struct Carried {
    pub(super) outcome: Outcome,
    /// Which of several workers sent it.
    pub(super) worker: Option<u32>,
    /// What it asked, where its text was made of lengths.
    pub(super) asked: Option<Arc<AskedTurn>>,
}

/// What comes next.
pub(super) enum Next {
    Over(Box<Carried>),
    /// Nothing within a moment.
    Nothing,
    /// A part of what carries requests is gone, and no more are to be sent.
    Lost(String),
    /// No more can come.
    End,
}

/// How issuing ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halting {
    /// The time of the load is up.
    TimeIsUp,
    /// What watches the run has seen enough.
    Drain,
    /// It makes no sense to go on.
    Now,
    /// Someone ended the run.
    Interrupt,
}

/// What carries the requests of a run.
pub(super) trait Carrier {
    fn clock(&self) -> Clock;

    /// When the run began.
    fn started(&self) -> Moment;

    /// Whether requests and responses come with their texts.
    fn has_texts(&self) -> bool;

    /// Which workers carry them. Empty: this process does.
    fn workers(&mut self) -> Vec<WorkerFigures> {
        Vec::new()
    }

    fn warm_connections(&self) -> &[ConnectionOpening];

    /// The next request that is over, for which it waits a moment.
    fn next(&mut self) -> Next;

    /// Requests begun.
    fn begun(&self) -> u64;

    /// Requests in flight.
    fn in_flight(&self) -> u64;

    fn backlog(&self) -> &Arc<Backlog>;

    /// Whether issuing has been ended.
    fn is_stopped(&self) -> bool;

    /// How many of the first `all` requests of the load it sends.
    fn share_of(&self, all: u64) -> u64;

    /// Ends issuing.
    fn stop(&mut self, how: Halting);

    /// Gives up requests in flight.
    fn cancel(&mut self);

    /// Leaves to itself what does not end.
    fn abandon(&mut self);

    /// Waits for all that took part. `issued`: the requests of which there is a result.
    fn end(self: Box<Self>, issued: u64) -> Ended;
}

/// What is known behind the last request.
pub(super) struct Ended {
    /// What those know who carried requests. `asked`: the requests asked for, if the time was not up before.
    pub(super) circumstances: Circumstances,
    /// What went wrong.
    pub(super) troubles: Vec<String>,
}
