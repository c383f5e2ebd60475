//! Progress, line by line.

use llmuses_core::backlog::Stage;
use llmuses_core::metric::{LATENCY, TTFT};
use llmuses_core::plan::Arrivals;
use llmuses_observe::terminal;
use llmuses_render::report;
use llmuses_render::report::Progress;
use llmuses_stats::{RunSoFar, Sample, Sink};

/// Prints a progress line after so many requests.
pub(super) struct ProgressLines {
    arrivals: Arrivals,
    every: u64,
}

impl ProgressLines {
    /// A line after each `every` requests that count.
    pub(super) fn new(arrivals: Arrivals, every: u64) -> Self {
        Self { arrivals, every }
    }
}

impl Sink for ProgressLines {
    fn stage(&self) -> Stage {
        Stage::Terminal
    }

    fn offer(&mut self, sample: &Sample, run: &RunSoFar<'_>) {
        let completed = run.statistics.counts().completed;
        if !sample.warmup && completed.is_multiple_of(self.every) {
            let progress = progress(self.arrivals, run);
            terminal::detail(report::progress_line(&progress, &jiff::Zoned::now()));
        }
    }
}

/// How far a run under these arrivals is.
pub(super) fn progress(arrivals: Arrivals, run: &RunSoFar<'_>) -> Progress {
    let concurrency = match arrivals {
        Arrivals::Closed { parallel } => parallel as u64,
        Arrivals::Open { .. } | Arrivals::AllAtOnce => run.in_flight,
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
