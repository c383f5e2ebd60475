//! Counts along with the run, and publishes a few times a second.

use super::{Board, Buckets, Phase, Recent, Snapshot};
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::exchange::Outcome;
use llmuses_core::metric::{ByTime, TPOT, TTFT, Time};
use llmuses_core::plan::{Arrivals, Place, Plan, Warmup};
use llmuses_stats::{Measurement, RunStatistics};
use std::time::Duration;

/// How often a snapshot is published.
const EVERY: Duration = Duration::from_millis(200);

/// What a recorder cannot count by itself.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings {
    /// Requests begun so far.
    pub begun: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// Whether no more requests are issued.
    pub draining: bool,
}

/// Counts along with one run.
#[derive(Debug)]
pub struct Recorder {
    board: Board,
    clock: Clock,
    start: Moment,
    place: Place,
    arrivals: Arrivals,
    asked: Option<u64>,
    duration: Option<Duration>,
    warms_up: bool,
    recent: Recent,
    times: ByTime<Buckets>,
    next: Moment,
}

impl Recorder {
    /// A recorder of the run of `plan`, which began at `start`.
    pub fn new(board: Board, plan: &Plan, clock: Clock, start: Moment) -> Self {
        Self {
            board,
            clock,
            start,
            place: plan.place,
            arrivals: plan.load.arrivals,
            asked: plan.expected_requests(),
            duration: plan.load.duration,
            warms_up: plan.load.warmup != Warmup::Nothing,
            recent: Recent::default(),
            times: ByTime::default(),
            next: start,
        }
    }

    /// Counts a request. `begun`: requests begun so far. One of the warm-up is in the figures of the last
    /// seconds only: whoever watches wants to see what goes on.
    pub fn record(
        &mut self,
        outcome: &Outcome,
        statistics: &RunStatistics,
        begun: u64,
        warmup: bool,
    ) {
        let measured = Measurement::of(outcome, statistics.origin());
        let elapsed = self.clock.now().since(self.start);
        let (ttft, tpot, tokens) = if outcome.succeeded() {
            let tokens = measured.completion_tokens.map_or(0, |count| count.tokens);
            (measured.times[TTFT], measured.times[TPOT], tokens)
        } else {
            (None, None, 0)
        };
        if outcome.succeeded() && !warmup {
            for time in Time::all().filter(|time| time.live.is_some()) {
                if let Some(found) = measured.times[time] {
                    self.times[time].record(found);
                }
            }
        }
        self.recent.record(elapsed, begun, tokens, ttft, tpot);
    }

    /// Publishes a snapshot where the last one is old enough.
    pub fn publish_if_due(&mut self, statistics: &RunStatistics, around: Surroundings) {
        if self.clock.now() >= self.next {
            let counts = statistics.counts();
            let phase = if around.draining {
                Phase::Draining
            } else if counts.completed == 0 && self.warms_up {
                Phase::WarmingUp
            } else {
                Phase::Issuing
            };
            self.publish(statistics, around, phase);
        }
    }

    /// Publishes the last snapshot of the run.
    pub fn publish_end(&mut self, statistics: &RunStatistics, around: Surroundings) {
        self.publish(statistics, around, Phase::Over);
    }

    fn publish(&mut self, statistics: &RunStatistics, around: Surroundings, phase: Phase) {
        let now = self.clock.now();
        self.next = now.after(EVERY);
        let elapsed = now.since(self.start);
        let counts = statistics.counts();
        self.board.publish(Snapshot {
            run: self.place.run,
            of: self.place.runs,
            arrivals: self.arrivals,
            phase,
            elapsed,
            asked: self.asked,
            duration: self.duration,
            begun: around.begun,
            in_flight: around.in_flight,
            warmup: counts.warmup,
            succeeded: counts.succeeded,
            failed: counts.failed,
            failures: statistics.failures(),
            sums: statistics.sums(),
            recent: self.recent.figures(elapsed, around.begun),
            times: self.times.clone(),
        });
    }
}
