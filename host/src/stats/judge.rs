//! The judgement: from totals and circumstances to the list of doubts.

use super::counts::TokenTotals;
use super::running::RunStatistics;
use super::verdict::{Doubt, TokenSide};
use crate::document::Percentile;
use crate::exchange::FailureKind;
use crate::metric;
use crate::plugin::ParserCost;
use std::time::Duration;

/// Client threads busier than this stamp late.
const BUSY_SHARE: f64 = 0.70;
/// The least dispatch lag that is held against a client.
const LEAST_LAG: Duration = Duration::from_millis(5);
/// The share of the median time to first token that a dispatch lag may reach.
const LAG_OF_TTFT: f64 = 0.01;
/// Failures and waits for the parser above this share are doubts.
const FEW: f64 = 0.01;
/// Coalesced chunks above this share are a doubt.
const COALESCED_SHARE: f64 = 0.20;
/// The wall clock may move by this, for reading two clocks takes a moment.
const CLOCK_JITTER_SECONDS: f64 = 0.010;
/// And by this share of the run: the kernel slews a clock by at most 500 parts in a million.
const CLOCK_SLEW: f64 = 500e-6;

/// What the totals of a run cannot know.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Circumstances {
    /// Requests asked for. `None`: as many as the data set gives.
    pub asked: Option<u64>,
    /// Requests issued.
    pub issued: u64,
    /// The data set, where prompts came from one.
    pub dataset: Option<DatasetUse>,
    /// For each client thread, the share of the run during which it was busy, from 0 to 1. Empty where
    /// that could not be measured.
    pub client_busy: Vec<f64>,
    /// The most requests that were in flight at once.
    pub peak_in_flight: u64,
    /// By how many seconds the wall clock moved against the monotonic one during the run.
    pub wall_clock_step_seconds: f64,
    /// Whether someone ended the run before its end.
    pub interrupted: bool,
    /// The name of the transport.
    pub transport: String,
    /// Why this program chose it. `None`: the user did.
    pub transport_reason: Option<&'static str>,
    /// How often a client thread had to wait until the parser took a response.
    pub backlog_waits: u64,
    /// What the parser cost.
    pub parser_cost: ParserCost,
    /// Why issuing stopped before all requests were issued, where it did.
    pub stop_reason: Option<String>,
}

/// How a data set was used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DatasetUse {
    /// Passes over the data set: complete ones, and the fraction of the last one. Above 1: entries were
    /// used again.
    pub passes: f64,
    /// Entries read in the first pass, whatever became of them.
    pub entries_read: u64,
    /// Entries read but not wanted, by reason, in the first pass.
    pub skipped: Vec<(String, u64)>,
    /// Entries from which no request could be made, and that were passed over as the user wished.
    pub bad_entries: u64,
}

/// Judges a run: every reason to doubt its figures, the weightiest first. Empty: nothing speaks
/// against them.
pub fn judge(statistics: &RunStatistics, circumstances: &Circumstances) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let mut add = |doubt: Option<Doubt>| doubts.extend(doubt);
    add(nothing_succeeded(statistics));
    add(interrupted(statistics, circumstances));
    add(stopped_early(circumstances));
    add(failures(statistics));
    add(client_busy(circumstances));
    add(dispatch_lag(statistics));
    add(parser_behind(statistics, circumstances));
    add(wall_clock(statistics, circumstances));
    add(coalesced(statistics));
    add(few_samples(statistics));
    add(dataset_reused(circumstances));
    for (side, totals) in [
        (TokenSide::Input, &statistics.counts().prompt),
        (TokenSide::Output, &statistics.counts().completion),
    ] {
        add(tokens_mixed(side, totals));
        add(tokens_partly_known(
            side,
            totals,
            statistics.counts().succeeded,
        ));
    }
    doubts
}

fn nothing_succeeded(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    (counts.succeeded == 0).then(|| Doubt::NothingSucceeded {
        completed: counts.completed,
        commonest: statistics
            .failures()
            .into_iter()
            .next()
            .map(|first| (first.kind, first.count, first.example)),
    })
}

fn interrupted(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    circumstances.interrupted.then(|| Doubt::Interrupted {
        cancelled: statistics
            .failures()
            .iter()
            .find(|failure| failure.kind == FailureKind::Cancelled)
            .map_or(0, |failure| failure.count),
    })
}

fn stopped_early(circumstances: &Circumstances) -> Option<Doubt> {
    // An interruption is a doubt of its own, and explains missing requests.
    let unexplained = !circumstances.interrupted
        && circumstances
            .asked
            .is_some_and(|asked| circumstances.issued < asked);
    (unexplained || circumstances.stop_reason.is_some()).then(|| Doubt::StoppedEarly {
        asked: circumstances.asked,
        issued: circumstances.issued,
        reason: circumstances.stop_reason.clone(),
    })
}

fn failures(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    let commonest = statistics.failures().into_iter().next()?;
    let many = statistics.failed_share()? > FEW && counts.succeeded > 0;
    many.then_some(Doubt::Failures {
        failed: counts.failed,
        completed: counts.completed,
        commonest: commonest.kind,
        commonest_count: commonest.count,
    })
}

fn client_busy(circumstances: &Circumstances) -> Option<Doubt> {
    let shares = &circumstances.client_busy;
    let share = shares.iter().copied().fold(0.0, f64::max);
    (share > BUSY_SHARE).then(|| Doubt::ClientBusy {
        share,
        busy: shares.iter().filter(|share| **share > BUSY_SHARE).count(),
        threads: shares.len(),
    })
}

fn dispatch_lag(statistics: &RunStatistics) -> Option<Doubt> {
    let p99 = statistics
        .time(metric::CLIENT_LAG)
        .percentile(Percentile::P99)?;
    let median = statistics
        .time(metric::TTFT)
        .percentile(Percentile::P50)
        .unwrap_or_default();
    let limit = LEAST_LAG.max(median.mul_f64(LAG_OF_TTFT));
    (p99 > limit).then_some(Doubt::DispatchLag { p99, limit })
}

fn parser_behind(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let completed = statistics.counts().completed;
    let waits = circumstances.backlog_waits;
    (waits as f64 > completed as f64 * FEW).then_some(Doubt::ParserBehind { waits, completed })
}

fn wall_clock(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let seconds = circumstances.wall_clock_step_seconds;
    let wall = statistics.wall().unwrap_or_default().as_secs_f64();
    (seconds.abs() > CLOCK_JITTER_SECONDS + wall * CLOCK_SLEW)
        .then_some(Doubt::WallClockStepped { seconds })
}

fn coalesced(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    (statistics.coalesced_share()? > COALESCED_SHARE).then_some(Doubt::Coalesced {
        coalesced: counts.coalesced_gaps,
        gaps: counts.output_gaps,
    })
}

fn few_samples(statistics: &RunStatistics) -> Option<Doubt> {
    // Only the summary's own percentiles: p99.9 would be a doubt of nearly every run. It has its mark.
    let samples = statistics.counts().succeeded;
    let short: Vec<(String, u64)> = Percentile::LISTED
        .into_iter()
        .filter(|percentile| percentile.is_short(samples))
        .map(|percentile| (percentile.label(), percentile.needs()))
        .collect();
    (samples > 0 && !short.is_empty()).then_some(Doubt::FewSamples { samples, short })
}

fn dataset_reused(circumstances: &Circumstances) -> Option<Doubt> {
    let passes = circumstances.dataset.as_ref()?.passes;
    (passes > 1.0).then_some(Doubt::DatasetReused { passes })
}

fn tokens_mixed(side: TokenSide, totals: &TokenTotals) -> Option<Doubt> {
    let sources = totals.sources();
    (sources.len() > 1).then_some(Doubt::TokensMixed { side, sources })
}

fn tokens_partly_known(side: TokenSide, totals: &TokenTotals, succeeded: u64) -> Option<Doubt> {
    let known = totals.requests();
    (known > 0 && known < succeeded).then_some(Doubt::TokensPartlyKnown {
        side,
        known,
        succeeded,
    })
}

#[cfg(test)]
mod tests;
