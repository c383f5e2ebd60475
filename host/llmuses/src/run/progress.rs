//! Progress, line by line.

use super::outputs::ProgressEvery;
use llmuses_core::backlog::PipelineStage;
use llmuses_core::metric::{LATENCY, TTFT};
use llmuses_core::plan::Arrivals;
use llmuses_observe::terminal;
use llmuses_render::report;
use llmuses_render::report::Progress;
use llmuses_stats::{RunSoFar, Sample, Sink};
use std::time::Instant;

/// Prints a progress line now and then.
pub(super) struct ProgressLines {
    arrivals: Arrivals,
    every: ProgressEvery,
    /// When the last line was printed, or the first one could have been.
    last: Instant,
    /// The requests that the last line told.
    told: u64,
}

impl ProgressLines {
    /// Lines about requests that count.
    pub(super) fn new(arrivals: Arrivals, every: ProgressEvery) -> Self {
        Self {
            arrivals,
            every,
            last: Instant::now(),
            told: 0,
        }
    }

    fn tell(&mut self, run: &RunSoFar<'_>) {
        self.told = run.statistics.counts().completed;
        self.last = Instant::now();
        let progress = progress(self.arrivals, run);
        terminal::detail(report::progress_line(&progress, &jiff::Zoned::now()));
    }
}

impl Sink for ProgressLines {
    fn stage(&self) -> PipelineStage {
        PipelineStage::Terminal
    }

    fn offer(&mut self, sample: &Sample, run: &RunSoFar<'_>) {
        let completed = run.statistics.counts().completed;
        let is_due = if self.every.at_least.is_zero() {
            completed.is_multiple_of(self.every.requests)
        } else {
            completed >= self.told + self.every.requests
                && self.last.elapsed() >= self.every.at_least
        };
        // One that the client cancelled changes nothing of what a line tells.
        if !sample.warmup && !sample.outcome.is_disconnected() && is_due {
            self.tell(run);
        }
    }

    /// The last line tells all requests, unless a number was asked for that does not fit.
    fn end(&mut self, run: &RunSoFar<'_>) {
        let completed = run.statistics.counts().completed;
        if !self.every.at_least.is_zero() && completed > self.told {
            self.tell(run);
        }
    }
}

/// How far a run under these arrivals is.
pub(super) fn progress(arrivals: Arrivals, run: &RunSoFar<'_>) -> Progress {
    let concurrency = match arrivals {
        Arrivals::Closed { parallel } => parallel as u64,
        Arrivals::Open { .. } | Arrivals::AllAtOnce | Arrivals::Trace(_) => run.in_flight,
    };
    let statistics = run.statistics;
    Progress {
        sums: statistics.sums(),
        concurrency,
        latency: statistics.time(LATENCY).mean_seconds(),
        ttft: statistics.time(TTFT).mean_seconds(),
        time_per_package: statistics.average_package_latency(),
    }
}
