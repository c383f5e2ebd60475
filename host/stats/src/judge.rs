//! The judgement: from totals and circumstances to the list of doubts.

use super::circumstances::Circumstances;
use super::counts::TokenTotals;
use super::measure::Origin;
use super::running::RunStatistics;
use super::saturation::saturation;
use super::verdict::{Doubt, TokenSide};
use llmuses_core::backlog::PipelineStage;
use llmuses_core::document::{Percentile, WorkerFigures, why_stopped};
use llmuses_core::exchange::FailureKind;
use llmuses_core::metric;
use std::time::Duration;

/// Client threads busier than this stamp late.
const BUSY_SHARE: f64 = 0.70;
/// The least dispatch lag that counts as a fault of the client.
const LEAST_LAG: Duration = Duration::from_millis(5);
/// The share of the shortest time to first token that a dispatch lag may reach. Not of the median: that of an
/// overloaded server is long, and would excuse any client.
const LAG_OF_TTFT: f64 = 0.01;
/// Failures and waits for the parser above this share are doubts.
const FEW: f64 = 0.01;

/// The share of the predicted hits of a prefix cache that may miss.
const CACHE_MISSES: f64 = 0.1;
/// Coalesced chunks above this share are a doubt.
const COALESCED_SHARE: f64 = 0.20;
/// A run may lose this share of its time before that is a doubt.
const LOST_SHARE: f64 = 0.01;
/// Prompts shorter than this are not worth a cache.
const LEAST_CACHED_TOKENS: f64 = 64.0;
/// The same in characters, where nobody counted tokens.
const LEAST_CACHED_CHARS: u64 = 256;
/// Chunks of output carry one token each, within this.
const TOKENS_PER_CHUNK: std::ops::RangeInclusive<f64> = 0.9..=1.1;
/// Outputs may be shorter than asked by this share on average.
const SHORTER: f64 = 0.01;
/// Clocks of workers may be apart by this.
const MOST_APART: Duration = Duration::from_millis(10);
/// And by this share of the run.
const APART_SHARE: f64 = 0.01;
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
    add(workers_apart(statistics, circumstances));
    add(unlike_workers(circumstances));
    add(workers_on_one_machine(circumstances));
    add(failures(statistics));
    add(saturated(statistics));
    add(held_up(statistics, circumstances));
    add(due_and_not_sent(circumstances));
    add(lost_time(statistics, circumstances));
    add(client_busy(circumstances));
    add(dispatch_lag(statistics, circumstances));
    add(other_runs(statistics, circumstances));
    add(bodies_late(statistics));
    for stage in PipelineStage::ALL {
        add(behind(stage, statistics, circumstances));
    }
    add(wall_clock(statistics, circumstances));
    add(coalesced(statistics));
    add(not_streamed(statistics));
    add(hidden_reasoning(statistics));
    add(more_tokens_than_bytes(statistics));
    add(few_samples(statistics));
    add(dataset_reused(statistics, circumstances));
    add(prompt_repeated(statistics, circumstances));
    add(shorter_than_asked(statistics, circumstances));
    add(other_prompt_lengths(circumstances));
    add(other_turn_lengths(circumstances));
    add(other_cache_hits(circumstances));
    add(other_output_lengths(circumstances));
    add(without_tokens(statistics));
    add(chunks_are_not_tokens(statistics));
    add(tokens_unknown(statistics, circumstances));
    add(without_end(statistics, circumstances));
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
        all_failed: circumstances.all_failed,
    })
}

fn lost_worker(circumstances: &Circumstances) -> Option<Doubt> {
    circumstances.workers.iter().find_map(|worker| {
        Some(Doubt::LostWorker {
            name: worker.name.clone(),
            after_seconds: worker.lost_after_seconds?,
            reason: worker.lost.clone()?,
            without_result: worker.requests_without_result,
        })
    })
}

/// Times of day of several machines are as far apart as their clocks.
fn workers_apart(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let wall = statistics.wall()?;
    let limit = MOST_APART.min(wall.mul_f64(APART_SHARE));
    let apart = |worker: &WorkerFigures| worker.clock_bound_seconds + worker.clock_drift_seconds;
    let workers = circumstances.workers.iter();
    let worst = workers.max_by(|a, b| apart(a).total_cmp(&apart(b)))?;
    (apart(worst) > limit.as_secs_f64()).then(|| Doubt::WorkersApart {
        name: worst.name.clone(),
        seconds: apart(worst),
        limit,
    })
}

fn unlike_workers(circumstances: &Circumstances) -> Option<Doubt> {
    let workers = circumstances.unlike_workers.iter();
    let most = workers.max_by(|a, b| {
        a.difference_seconds
            .abs()
            .total_cmp(&b.difference_seconds.abs())
    })?;
    Some(Doubt::UnlikeWorkers(most.clone()))
}

fn workers_on_one_machine(circumstances: &Circumstances) -> Option<Doubt> {
    let workers = &circumstances.workers;
    if circumstances.workers_share_a_machine {
        return None;
    }
    workers.iter().enumerate().find_map(|(place, worker)| {
        worker.boot.as_ref()?;
        let mut others = workers[place + 1..].iter();
        let other = others.find(|other| other.boot == worker.boot)?;
        Some(Doubt::WorkersOnOneMachine {
            names: [worker.name.clone(), other.name.clone()],
        })
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

fn saturated(statistics: &RunStatistics) -> Option<Doubt> {
    // The requests of a closed loop wait for the server, and nothing grows.
    (statistics.origin() == Origin::Intended)
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
    (many && !ended_early).then_some(Doubt::DueAndNotSent { requests, due })
}

fn lost_time(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let pauses = circumstances.pauses;
    let wall = statistics.wall()?;
    let lost = pauses.total.max(pauses.throttled.unwrap_or_default());
    (lost > wall.mul_f64(LOST_SHARE)).then_some(Doubt::LostTime { pauses, wall })
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
            || client_busy(circumstances).is_some()
            || matches!(
                dispatch_lag(statistics, circumstances),
                Some(Doubt::DispatchLag { .. })
            )
    };
    (others.same_server > 0 || short_of_processor()).then_some(Doubt::OtherRuns(others))
}

fn bodies_late(statistics: &RunStatistics) -> Option<Doubt> {
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

fn coalesced(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    (statistics.coalesced_share()? > COALESCED_SHARE).then_some(Doubt::Coalesced {
        coalesced: counts.coalesced_gaps,
        gaps: counts.output_gaps,
    })
}

fn not_streamed(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    (counts.plain_though_asked > 0).then_some(Doubt::NotStreamed {
        plain: counts.plain_though_asked,
        succeeded: counts.succeeded,
    })
}

fn hidden_reasoning(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    (counts.hidden_tokens > 0).then_some(Doubt::HiddenReasoning {
        requests: counts.with_hidden_tokens,
        tokens: counts.hidden_tokens,
    })
}

fn more_tokens_than_bytes(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    let (tokens, bytes) = counts.most_tokens_and_bytes;
    (counts.more_tokens_than_bytes > 0).then_some(Doubt::MoreTokensThanBytes {
        requests: counts.more_tokens_than_bytes,
        succeeded: counts.succeeded,
        tokens,
        bytes,
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

fn dataset_reused(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let passes = circumstances.dataset.as_ref()?.passes;
    let cached = statistics.cached_share();
    (passes > 1.0 && may_be_cached(cached)).then_some(Doubt::DatasetReused { passes, cached })
}

/// Whether the server took tokens of prompts from a cache, or may have: where it says that there were none,
/// prompts that are sent again do no harm.
fn may_be_cached(share: Option<f64>) -> bool {
    share.is_none_or(|share| share > FEW)
}

fn prompt_repeated(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let chars = circumstances.one_prompt?;
    let counts = statistics.counts();
    let long = match counts.prompt.mean() {
        Some(tokens) => tokens >= LEAST_CACHED_TOKENS,
        None => chars >= LEAST_CACHED_CHARS,
    };
    let cached = statistics.cached_share();
    (long && counts.succeeded > 1 && may_be_cached(cached)).then_some(Doubt::PromptRepeated {
        requests: counts.over(),
        cached,
    })
}

fn shorter_than_asked(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let asked = circumstances.asked_output?;
    let mean = statistics.counts().completion.mean()?;
    let (shortest, _) = statistics.lengths().output.extremes()?;
    (mean < asked as f64 * (1.0 - SHORTER)).then_some(Doubt::ShorterThanAsked {
        mean,
        shortest,
        asked,
        short: statistics.short_outputs(),
    })
}

fn other_prompt_lengths(circumstances: &Circumstances) -> Option<Doubt> {
    let lengths = circumstances.lengths_asked.as_ref()?.to_document().input;
    (lengths.different as f64 > lengths.requests as f64 * FEW)
        .then_some(Doubt::OtherPromptLengths(lengths))
}

fn other_turn_lengths(circumstances: &Circumstances) -> Option<Doubt> {
    let lengths = circumstances.lengths_asked.as_ref()?.to_document();
    let later = lengths.later_input;
    (later.different as f64 > later.requests as f64 * FEW).then_some(Doubt::OtherTurnLengths(later))
}

fn other_cache_hits(circumstances: &Circumstances) -> Option<Doubt> {
    let cached = circumstances.lengths_asked.as_ref()?.to_document().cached?;
    let reported = cached.mean_reported_tokens;
    let tolerance_of = |expected: f64| cached.tolerance_tokens.max(expected * CACHE_MISSES);
    let [least, most] = [cached.mean_predicted_tokens, cached.mean_possible_tokens];
    let is_expected =
        reported >= least - tolerance_of(least) && reported <= most + tolerance_of(most);
    (!is_expected).then_some(Doubt::OtherCacheHits(cached))
}

fn other_output_lengths(circumstances: &Circumstances) -> Option<Doubt> {
    let lengths = circumstances.lengths_asked.as_ref()?.to_document().output;
    (lengths.different as f64 > lengths.requests as f64 * FEW)
        .then_some(Doubt::OtherOutputLengths(lengths))
}

fn without_tokens(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    (counts.without_tokens as f64 > counts.succeeded as f64 * FEW).then_some(Doubt::WithoutTokens {
        requests: counts.without_tokens,
        succeeded: counts.succeeded,
    })
}

fn chunks_are_not_tokens(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    let tokens_per_chunk = statistics.tokens_per_chunk()?;
    // A token that ends the text is counted, and has no chunk.
    let without_end =
        counts.chunked_tokens.saturating_sub(counts.chunked) as f64 / counts.chunked_outputs as f64;
    let near =
        tokens_per_chunk >= *TOKENS_PER_CHUNK.start() && without_end <= *TOKENS_PER_CHUNK.end();
    (!near).then_some(Doubt::ChunksAreNotTokens { tokens_per_chunk })
}

fn tokens_unknown(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let counts = statistics.counts();
    let nobody = counts.completion.requests() == 0;
    // A server that ranks documents need not count tokens.
    let wanted = circumstances.task.has_output_tokens();
    (counts.succeeded > 0 && nobody && wanted).then_some(Doubt::TokensUnknown {
        succeeded: counts.succeeded,
        only_output: counts.prompt.requests() > 0,
    })
}

fn without_end(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<Doubt> {
    let counts = statistics.counts();
    let has_an_end = circumstances.task.has_output_tokens();
    (counts.without_end > 0 && has_an_end).then_some(Doubt::WithoutEnd {
        streams: counts.without_end,
        succeeded: counts.succeeded,
    })
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
