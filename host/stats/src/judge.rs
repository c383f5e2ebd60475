//! The judgement: from totals and circumstances to the list of doubts.

mod answers;
mod work;
mod workers;

use super::circumstances::Circumstances;
use super::measure::Origin;
use super::running::RunStatistics;
use super::saturation::saturation;
use super::verdict::{Doubt, TokenSide};
use llmuses_core::backlog::PipelineStage;
use llmuses_core::document::{Percentile, why_stopped};
use llmuses_core::exchange::FailureKind;
use llmuses_core::metric;
use std::time::Duration;
use workers::lost_worker;

/// Client threads busier than this stamp late.
const BUSY_SHARE: f64 = 0.70;
/// The least dispatch lag that counts as a fault of the client.
const LEAST_LAG: Duration = Duration::from_millis(5);
/// The share of the shortest time to first token that a dispatch lag may reach. Not of the median: that of an
/// overloaded server is long, and would excuse any client.
const LAG_OF_TTFT: f64 = 0.01;
/// Failures and waits for the parser above this share are doubts.
const FEW: f64 = 0.01;

/// Coalesced chunks above this share are a doubt.
const COALESCED_SHARE: f64 = 0.20;
/// A run may lose this share of its time before that is a doubt.
const LOST_SHARE: f64 = 0.01;
/// What a thread takes to wake and to read is less than this on a machine that has nothing else to do.
const LEAST_LATE: Duration = Duration::from_micros(250);
/// Above this share of the run, what looks like a slow server may be what this client missed.
const MUCH_LOST: f64 = 0.10;
/// The wall clock may move by this, for reading two clocks takes a moment.
const CLOCK_JITTER_SECONDS: f64 = 0.010;
/// And by this share of the run: the kernel slews a clock by at most 500 parts in a million.
const CLOCK_SLEW: f64 = 500e-6;

/// Judges a run: every reason to doubt its figures, the weightiest first. Empty: nothing speaks
/// against them.
pub fn judge(statistics: &RunStatistics, circumstances: &Circumstances) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let mut add = |doubt: Option<Doubt>| doubts.extend(doubt);
    add(nothing_succeeded(statistics));
    add(lost_worker(circumstances));
    add(interrupted(statistics, circumstances));
    add(stopped_early(statistics, circumstances));
    add(older_version(circumstances));
    add(workers::workers_apart(statistics, circumstances));
    add(workers::unlike_workers(circumstances));
    add(workers::workers_on_one_machine(circumstances));
    // Before what blames the server: what this client missed looks the same.
    add(lost_time(statistics, circumstances).or_else(|| processor_waits(statistics, circumstances)));
    add(failures(statistics));
    add(saturated(statistics, circumstances));
    add(held_up(statistics, circumstances));
    add(due_and_not_sent(circumstances));
    add(client_busy(circumstances));
    add(late_reads(statistics, circumstances));
    add(dispatch_lag(statistics, circumstances));
    add(other_runs(statistics, circumstances));
    add(bodies_late(statistics, circumstances));
    for stage in PipelineStage::ALL {
        add(behind(stage, statistics, circumstances));
    }
    add(wall_clock(statistics, circumstances));
    add(coalesced(statistics, circumstances));
    add(answers::not_streamed(statistics));
    add(answers::hidden_reasoning(statistics));
    add(answers::more_tokens_than_bytes(statistics));
    add(few_samples(statistics));
    add(work::dataset_reused(statistics, circumstances));
    add(work::dataset_cached(statistics, circumstances));
    add(work::prompt_repeated(statistics, circumstances));
    add(work::shorter_than_asked(statistics, circumstances));
    add(work::other_prompt_lengths(circumstances));
    add(work::other_turn_lengths(circumstances));
    add(work::other_cache_hits(circumstances));
    add(work::other_output_lengths(circumstances));
    add(answers::without_tokens(statistics));
    add(answers::chunks_are_not_tokens(statistics));
    add(answers::tokens_unknown(statistics, circumstances));
    add(answers::without_end(statistics, circumstances));
    for (side, totals) in [
        (TokenSide::Input, &statistics.counts().prompt),
        (TokenSide::Output, &statistics.counts().completion),
    ] {
        add(answers::tokens_mixed(side, totals));
        add(answers::tokens_partly_known(
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
    // A worker that was lost is a doubt of its own, which explains the end.
    let was_ended = circumstances.interrupted && lost_worker(circumstances).is_none();
    was_ended.then(|| Doubt::Interrupted {
        cancelled: statistics
            .failures()
            .iter()
            .find(|failure| failure.kind == FailureKind::Cancelled)
            .map_or(0, |failure| failure.count),
    })
}

fn stopped_early(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    // An interruption is a doubt of its own, and explains missing requests.
    // So do failed turns, which are a doubt too, those behind them.
    let failed_sessions = statistics.sessions().not_sent();
    let unexplained = !circumstances.interrupted
        && circumstances
            .asked
            .is_some_and(|asked| circumstances.issued + failed_sessions < asked);
    let reason = why_stopped(
        circumstances.ended_by_coordinator,
        circumstances.stop_reason.as_deref(),
    );
    (unexplained || reason.is_some()).then_some(Doubt::StoppedEarly {
        asked: circumstances.asked,
        issued: circumstances.issued,
        reason,
        stopped_by: circumstances.stopped_by,
    })
}

fn older_version(circumstances: &Circumstances) -> Option<Doubt> {
    circumstances
        .totals_of_older_version
        .then_some(Doubt::OlderVersion {
            requests: circumstances.issued,
        })
}

fn failures(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    let commonest = statistics.failures().into_iter().next()?;
    let many = metric::FAILED_SHARE.of(&statistics.sums())? > FEW && counts.succeeded > 0;
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

fn saturated(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    // The requests of a closed loop wait for the server, and nothing grows. With a client that missed much of the run
    // it is not known whether they wait for the server at all.
    let is_of_client = has_lost(statistics, circumstances, MUCH_LOST);
    (statistics.origin() == Origin::Intended && !is_of_client)
        .then(|| saturation(statistics.timeline()))
        .flatten()
        .map(Doubt::Saturated)
}

fn held_up(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let held_up = statistics.time(metric::HELD_UP);
    let over = statistics.counts().over();
    let many = held_up.samples() as f64 > over as f64 * FEW;
    many.then_some(Doubt::HeldUp {
        requests: held_up.samples(),
        over,
        longest: held_up.max().unwrap_or_default(),
        most: circumstances.max_in_flight,
    })
}

fn due_and_not_sent(circumstances: &Circumstances) -> Option<Doubt> {
    let requests = circumstances.due_and_not_sent;
    let due = circumstances.issued + requests;
    // Who ends a run early, or what does, has a doubt that explains it.
    let ended_early = circumstances.interrupted
        || circumstances.ended_by_coordinator
        || circumstances.stop_reason.is_some();
    // One that was due a moment before the end is no doubt.
    let many = requests as f64 > due as f64 * FEW;
    (many && !ended_early).then_some(Doubt::DueAndNotSent {
        requests,
        due,
        waited_for: circumstances.due_and_not_sent_waited_for,
    })
}

fn lost_time(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let pauses = circumstances.pauses;
    let wall = statistics.wall()?;
    let lost = pauses.total.max(pauses.throttled.unwrap_or_default());
    (lost > wall.mul_f64(LOST_SHARE)).then_some(Doubt::LostTime { pauses, wall })
}

fn processor_waits(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let waits = circumstances.pauses.waits?;
    let wall = statistics.wall()?;
    let latency = statistics
        .time(metric::LATENCY)
        .percentile(Percentile::P50)?;
    // A thread that is woken often waits a little each time on any machine. What a request waits for is the last
    // of its reads.
    let is_long = waits.mean > latency.mul_f64(LOST_SHARE);
    (waits.total > wall.mul_f64(LOST_SHARE) && is_long).then_some(Doubt::ProcessorWaits {
        waits,
        wall,
        latency,
    })
}

/// The next request of an open loop does not wait for what is read late, and times are those of the kernel.
fn late_reads(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let mean = circumstances.late_reads.mean()?;
    let latency =
        Duration::try_from_secs_f64(statistics.time(metric::LATENCY).mean_seconds()?).ok()?;
    let is_told = client_busy(circumstances).is_some()
        || lost_time(statistics, circumstances).is_some()
        || processor_waits(statistics, circumstances).is_some();
    let limit = LEAST_LATE.max(latency.mul_f64(LOST_SHARE));
    let costs = statistics.origin() == Origin::Sent && mean > limit;
    (costs && !is_told).then_some(Doubt::LateReads {
        mean,
        limit,
        latency,
    })
}

/// Whether this program did not run for more than `share` of the run, by whatever told.
fn has_lost(statistics: &RunStatistics, circumstances: &Circumstances, share: f64) -> bool {
    let pauses = circumstances.pauses;
    let waited = pauses.waits.map(|waits| waits.total).unwrap_or_default();
    let lost = pauses.total.max(waited);
    statistics
        .wall()
        .is_some_and(|wall| lost > wall.mul_f64(share))
        && (lost_time(statistics, circumstances).is_some()
            || processor_waits(statistics, circumstances).is_some())
}

/// How late a request may be sent.
fn lag_limit(statistics: &RunStatistics) -> Duration {
    let shortest = statistics.time(metric::TTFT).min().unwrap_or_default();
    LEAST_LAG.max(shortest.mul_f64(LAG_OF_TTFT))
}

fn dispatch_lag(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let p99 = statistics
        .time(metric::CLIENT_LAG)
        .percentile(Percentile::P99)?;
    let limit = lag_limit(statistics);
    let waited = circumstances.connections.waited_for_stream;
    let over = statistics.counts().over();
    // A client that is short of the processor sends late too, but waits for no stream.
    let few_streams = waited as f64 > over as f64 * FEW;
    (p99 > limit).then_some(if few_streams {
        Doubt::FewStreams { waited, over, p99 }
    } else {
        Doubt::DispatchLag { p99, limit }
    })
}

/// Other runs do harm where they ask the same server, or where this client was short of the processor.
fn other_runs(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let others = circumstances.other_runs.filter(|others| others.runs > 0)?;
    let short_of_processor = || {
        lost_time(statistics, circumstances).is_some()
            || processor_waits(statistics, circumstances).is_some()
            || client_busy(circumstances).is_some()
            || matches!(
                dispatch_lag(statistics, circumstances),
                Some(Doubt::DispatchLag { .. })
            )
    };
    (others.same_server > 0 || short_of_processor()).then_some(Doubt::OtherRuns(others))
}

fn bodies_late(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    // Where nothing came back there is no figure that it could have moved.
    if statistics.counts().succeeded == 0 {
        return None;
    }
    let p99 = statistics
        .time(metric::BODY_WAIT)
        .percentile(Percentile::P99)?;
    let limit = lag_limit(statistics);
    let counts = statistics.counts();
    (p99 > limit).then_some(Doubt::BodiesLate {
        p99,
        limit,
        waited: counts.waited_for_body,
        for_memory: circumstances.waited_for_memory.min(counts.waited_for_body),
        over: counts.over(),
    })
}

fn behind(
    stage: PipelineStage,
    statistics: &RunStatistics,
    circumstances: &Circumstances,
) -> Option<Doubt> {
    let over = statistics.counts().over();
    let waits = circumstances.backlog_waits.of(stage);
    (waits as f64 > over as f64 * FEW).then_some(match stage {
        PipelineStage::Plugin => Doubt::ParserBehind { waits, over },
        stage => Doubt::OutputBehind { stage, waits, over },
    })
}

fn wall_clock(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let seconds = circumstances.wall_clock_step_seconds;
    let wall = statistics.wall().unwrap_or_default().as_secs_f64();
    (seconds.abs() > CLOCK_JITTER_SECONDS + wall * CLOCK_SLEW)
        .then_some(Doubt::WallClockStepped { seconds })
}

fn coalesced(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let counts = statistics.counts();
    (statistics.coalesced_share()? > COALESCED_SHARE).then_some(Doubt::Coalesced {
        coalesced: counts.coalesced_gaps,
        gaps: counts.output_gaps,
        by_client: has_lost(statistics, circumstances, MUCH_LOST),
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

#[cfg(test)]
mod tests;
