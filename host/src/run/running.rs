//! A run under way: takes outcomes, looks after interrupts, and ends.

use super::pipeline::Pipeline;
use super::preparation::Preparation;
use crate::plan::{Arrivals, Plan, PromptSource};
use crate::plugin::ParserCost;
use crate::report::{self, Progress};
use crate::sink::Database;
use crate::stats::{Circumstances, DatasetUse, Origin, RunStatistics};
use crate::trace;
use crate::workload::{SourceEnd, SourceReport};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long requests in flight have, after an interrupt, before they are given up.
const DRAIN: Duration = Duration::from_secs(5);

/// A run that sends requests.
pub(super) struct Running {
    pub(super) pipeline: Pipeline,
    pub(super) source: JoinHandle<(SourceReport, SourceEnd)>,
    /// Of an open loop.
    pub(super) pacer: Option<JoinHandle<()>>,
}

impl Running {
    /// Takes outcomes until all are there, and looks after interrupts meanwhile.
    pub(super) fn collect(
        self,
        plan: &Plan,
        prepared: &Preparation,
        rows: Option<&Database>,
        origin: Origin,
        interrupted: &AtomicBool,
    ) -> Collected {
        let mut statistics = RunStatistics::new(origin);
        for opening in &self.pipeline.warm_connections {
            statistics.record_warm_connection(*opening);
        }
        let head = trace::request_head(plan, &prepared.headers);
        let mut give_up_at: Option<Instant> = None;
        let mut told_of_trouble = false;
        loop {
            match self.pipeline.next_outcome() {
                Ok(outcome) => {
                    statistics.record(&outcome);
                    if plan.debug {
                        eprint!("{}", trace::exchange(&outcome, &head));
                    }
                    if let Some(rows) = rows {
                        rows.send(outcome);
                        if !told_of_trouble && let Some(trouble) = rows.trouble() {
                            told_of_trouble = true;
                            eprintln!("error: results are not kept any more: {trouble}");
                        }
                    }
                    if !plan.quiet && statistics.counts().completed.is_multiple_of(plan.log_every) {
                        self.progress(plan, &statistics);
                    }
                }
                Err(flume::RecvTimeoutError::Timeout) => {}
                Err(flume::RecvTimeoutError::Disconnected) => break,
            }
            if interrupted.load(Ordering::Relaxed) {
                self.pipeline.stop.store(true, Ordering::Relaxed);
                let deadline = *give_up_at.get_or_insert_with(|| Instant::now() + DRAIN);
                if Instant::now() >= deadline {
                    self.pipeline.cancel.send_replace(true);
                }
                if Instant::now() >= deadline + DRAIN {
                    self.pipeline.gave_up.abandon();
                }
            }
        }
        self.end(plan, statistics, interrupted.load(Ordering::Relaxed))
    }

    fn progress(&self, plan: &Plan, statistics: &RunStatistics) {
        let concurrency = match plan.arrivals {
            Arrivals::Closed { parallel } => parallel as u64,
            _ => self.pipeline.gauge.now(),
        };
        let progress = Progress::of(statistics, concurrency);
        eprintln!("{}", report::progress_line(&progress, &jiff::Zoned::now()));
    }

    fn end(self, plan: &Plan, statistics: RunStatistics, interrupted: bool) -> Collected {
        let mut troubles = Vec::new();
        let mut client_busy = Vec::new();
        for worker in self.pipeline.workers {
            match worker.join() {
                Ok(Ok(report)) => client_busy.push(report.busy),
                Ok(Err(error)) => troubles.push(error.to_string()),
                Err(_) => troubles.push("a client thread broke off".to_owned()),
            }
        }
        if let Some(pacer) = self.pacer
            && pacer.join().is_err()
        {
            troubles.push("the thread that keeps the schedule broke off".to_owned());
        }
        let mut parser_cost = ParserCost::default();
        for parser in self.pipeline.parsers {
            match parser.join() {
                Ok(cost) => parser_cost += cost,
                Err(_) => troubles.push("a parser thread broke off".to_owned()),
            }
        }
        let (report, end) = self.source.join().unwrap_or_else(|_| {
            troubles.push("the thread that makes requests broke off".to_owned());
            (SourceReport::default(), SourceEnd::Stopped)
        });
        parser_cost.requests += report.cost;
        if let SourceEnd::Failed(error) = end {
            troubles.push(error.to_string());
        }
        troubles.extend(self.pipeline.gave_up.reason());
        let dataset = matches!(plan.prompts, PromptSource::Dataset(_)).then(|| DatasetUse {
            passes: passes(&report),
            entries_read: report.entries_read,
            skipped: report.skipped.clone(),
            bad_entries: report.bad_entries,
        });
        let circumstances = Circumstances {
            asked: plan.requests,
            issued: statistics.counts().completed,
            dataset,
            client_busy,
            peak_in_flight: self.pipeline.gauge.peak(),
            wall_clock_step_seconds: self.pipeline.clock.wall_step_seconds(),
            interrupted,
            transport: plan.transport.as_str().to_owned(),
            backlog_waits: self.pipeline.gauge.backlog_waits(),
            parser_cost,
            stop_reason: (!troubles.is_empty()).then(|| troubles.join("; ")),
        };
        Collected {
            statistics,
            circumstances,
        }
    }
}

/// How often the data set was used: bodies issued, in bodies of a whole pass.
pub(super) fn passes(report: &SourceReport) -> f64 {
    match report.bodies_of_a_pass {
        Some(whole) if whole > 0 => report.issued as f64 / whole as f64,
        // The first pass was not over when the run was.
        _ => 1.0,
    }
}

pub(super) struct Collected {
    pub(super) statistics: RunStatistics,
    pub(super) circumstances: Circumstances,
}
