//! Counts along with the run, and publishes a few times a second.

use super::{Board, Buckets, Phase, Recent, Snapshot};
use llmuses_core::backlog::PipelineStage;
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::metric::{ByTime, Time};
use llmuses_core::plan::{Arrivals, Plan, RunPlace, Warmup};
use llmuses_stats::{RunSoFar, Sample, Sink};
use std::time::Duration;

/// How often a snapshot is published.
const EVERY: Duration = Duration::from_millis(200);

/// Counts along with one run.
#[derive(Debug)]
pub struct Recorder {
    board: Board,
    clock: Clock,
    start: Moment,
    place: RunPlace,
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
            asked: plan
                .expected_requests()
                .map(|requests| plan.load.split().count(requests)),
            duration: plan.load.duration,
            warms_up: plan.load.warmup != Warmup::Nothing,
            recent: Recent::default(),
            times: ByTime::default(),
            next: start,
        }
    }

    fn publish(&mut self, run: &RunSoFar<'_>, phase: Phase) {
        let statistics = run.statistics;
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
            begun: run.begun,
            in_flight: run.in_flight,
            warmup: counts.warmup,
            succeeded: counts.succeeded,
            failed: counts.failed,
            disconnected: counts.disconnected,
            failures: statistics.failures(),
            sums: statistics.sums(),
            recent: self.recent.figures(elapsed, run.begun),
            times: self.times.clone(),
        });
    }
}

impl Sink for Recorder {
    /// The board is memory, and whoever looks at it takes a copy.
    fn stage(&self) -> PipelineStage {
        PipelineStage::Totals
    }

    /// One of the warm-up is in the figures of the last seconds only: whoever watches wants to see what goes on.
    fn offer(&mut self, sample: &Sample, run: &RunSoFar<'_>) {
        let measured = &sample.measured;
        let succeeded = sample.outcome.succeeded();
        let elapsed = self.clock.now().since(self.start);
        if !sample.warmup {
            let has_it = |time: &Time| succeeded || time.is_of_the_client();
            let live = Time::all().filter(|time| time.live.is_some());
            for time in live.filter(has_it) {
                if let Some(found) = measured.times[time] {
                    self.times[time].record(found);
                }
            }
        }
        self.recent.record(elapsed, run.begun, sample);
    }

    /// Publishes a snapshot where the last one is old enough.
    fn tick(&mut self, run: &RunSoFar<'_>) {
        if self.clock.now() >= self.next {
            let is_empty = run.statistics.counts().over() == 0;
            let phase = if run.is_draining {
                Phase::Draining
            } else if is_empty && self.warms_up {
                Phase::WarmingUp
            } else {
                Phase::Issuing
            };
            self.publish(run, phase);
        }
    }

    /// Publishes the last snapshot of the run.
    fn end(&mut self, run: &RunSoFar<'_>) {
        self.publish(run, Phase::Over);
    }
}
