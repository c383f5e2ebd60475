//! The running totals of a run: outcomes go in one by one, figures come out at any time.

mod rates;

use super::counts::{Counts, FailureCount, TokenSpreads};
use super::failure_counts::FailureCounts;
use super::figures::Metrics;
use super::finish_reasons::FinishReasons;
use super::goodput::is_met;
use super::input_length::ByInputLength;
use super::measure::{Measurement, Origin, output_gaps, token_gaps};
use super::ratio_errors::RatioErrors;
use super::run_span::RunSpan;
use super::sample::Sample;
use super::sessions::SessionTotals;
use super::short_outputs::{ShortOutputCounts, ShortOutputs};
use super::slowest::Slowest;
use super::spread::Spread;
use super::timeline::Timeline;
use llmuses_core::clock::Moment;
use llmuses_core::exchange::{
    ConnectionOpening, Outcome, Reading, StampQuality, TokenCount, TokenSource,
};
use llmuses_core::metric::{
    ByTime, CACHED_TOKENS, CONNECT, DNS, ITL, REASONING_TOKENS, Sums, TLS, TOKEN_ITL, TPOT, TTFT,
    Time,
};
use llmuses_core::plan::Objectives;
use std::time::Duration;

/// The totals of a run so far.
#[derive(Debug, Clone)]
pub struct RunStatistics {
    origin: Origin,
    counts: Counts,
    times: ByTime<Spread>,
    lengths: TokenSpreads,
    timeline: Timeline,
    slowest: Slowest,
    sessions: SessionTotals,
    texts: bool,
    by_input_length: ByTime<ByInputLength>,
    objectives: Option<Objectives>,
    metrics: Metrics,
    failures: FailureCounts,
    finish_reasons: FinishReasons,
    asked_output: Option<u64>,
    short_outputs: ShortOutputCounts,
    ratio_errors: RatioErrors,
    span: RunSpan,
}

impl RunStatistics {
    /// Totals of nothing. `origin`: from where the times of each request are counted.
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            counts: Counts::default(),
            times: ByTime::default(),
            lengths: TokenSpreads::default(),
            timeline: Timeline::new(Moment::default()),
            slowest: Slowest::default(),
            sessions: SessionTotals::default(),
            texts: false,
            by_input_length: ByTime::default(),
            objectives: None,
            metrics: Metrics::default(),
            failures: FailureCounts::default(),
            finish_reasons: FinishReasons::default(),
            asked_output: None,
            short_outputs: ShortOutputCounts::default(),
            ratio_errors: RatioErrors::default(),
            span: RunSpan::default(),
        }
    }

    /// The same, of a run that begins at `start` rather than at moment zero.
    pub fn starting_at(self, start: Moment) -> Self {
        Self {
            timeline: Timeline::new(start),
            ..self
        }
    }

    /// The same, with objectives against which each request is held.
    pub fn with_objectives(self, objectives: Option<Objectives>) -> Self {
        Self { objectives, ..self }
    }

    /// The same, where each output was asked to have so many tokens at least.
    pub fn with_asked_output(self, asked_output: Option<u64>) -> Self {
        Self {
            asked_output,
            ..self
        }
    }

    /// The same; `texts`: whether the beginnings of prompts and answers are kept of the slowest requests.
    pub fn with_texts(self, texts: bool) -> Self {
        Self { texts, ..self }
    }

    /// Counts a request of the warm-up.
    fn record_warmup(&mut self, outcome: &Outcome) {
        self.counts.warmup += 1;
        self.counts.warmup_failed += u64::from(outcome.failed());
    }

    /// Adds a sample. The order of samples does not matter.
    pub fn add(&mut self, sample: &Sample) {
        if sample.warmup {
            self.record_warmup(&sample.outcome);
        } else {
            self.record_measured(&sample.outcome, &sample.measured);
        }
    }

    /// Measures and adds one request that counts, for those who have no other use for what it measures.
    pub fn record(&mut self, outcome: &Outcome) {
        self.record_measured(outcome, &Measurement::of(outcome, self.origin));
    }

    fn record_measured(&mut self, outcome: &Outcome, measured: &Measurement) {
        let exchange = &outcome.exchange;
        let good = outcome.succeeded()
            && self
                .objectives
                .is_some_and(|objectives| is_met(&objectives, &measured.times));
        self.counts.met_objectives += u64::from(good);
        self.timeline.record(outcome, &measured.times, good);

        self.span.note(exchange);
        self.counts.sent += u64::from(exchange.sent.is_some());
        for time in Time::all().filter(|time| outcome.succeeded() || time.is_of_the_client()) {
            record(&mut self.times[time], measured.times[time]);
        }
        self.sessions.add(outcome, measured);
        self.counts.waited_for_body += u64::from(!exchange.body_wait.is_zero());

        let counts = &mut self.counts;
        let disconnected = outcome.is_disconnected();
        counts.disconnected += u64::from(disconnected);
        counts.completed += u64::from(!disconnected);
        counts.bytes_received += exchange.response.bytes() as u64;
        if !exchange.response.is_empty() {
            match exchange.stamps {
                StampQuality::Kernel => counts.kernel_stamped += 1,
                StampQuality::Read => counts.read_stamped += 1,
            }
        }
        match &exchange.failure {
            None => self.record_success(outcome, measured),
            Some(_) if disconnected => {}
            Some(failure) => {
                counts.failed += 1;
                let head = exchange.head.as_ref();
                self.failures.record(failure, head.map(|head| head.status));
            }
        }
    }

    fn record_success(&mut self, outcome: &Outcome, measured: &Measurement) {
        let counts = &mut self.counts;
        counts.succeeded += 1;
        counts.prompt.record(measured.prompt_tokens);
        counts.completion.record(measured.completion_tokens);
        if let Some(count) = measured.completion_tokens {
            counts.without_tokens += u64::from(count.tokens == 0);
            if measured.output_gaps > 0 {
                counts.chunked += 1;
                counts.chunked_outputs += measured.output_gaps + 1;
                let hidden = outcome.reading.as_ref().map_or(0, Reading::hidden_tokens);
                let sent = count.tokens.saturating_sub(hidden);
                counts.chunked_tokens = counts.chunked_tokens.saturating_add(sent);
            }
        }
        counts.packages += measured.packages;
        if let Some(span) = measured.package_span {
            counts.package_span_nanos += span.as_nanos();
            counts.package_gaps += measured.package_gaps;
        }
        counts.output_gaps += measured.output_gaps;
        counts.coalesced_gaps += measured.coalesced_gaps;
        counts.own_connections += u64::from(measured.times[CONNECT].is_some());
        counts.without_end += u64::from(is_without_end(outcome));
        if !outcome.exchange.response.is_streamed() {
            counts.plain += 1;
            counts.plain_though_asked += u64::from(outcome.exchange.asked_to_stream());
        }
        if let Some(reading) = &outcome.reading {
            counts.empty_answers += u64::from(reading.outputs.is_empty());
            if let Some(reason) = &reading.finish_reason {
                self.finish_reasons.record(reason);
            }
            if let (Some(asked), Some(count)) = (self.asked_output, measured.completion_tokens)
                && count.tokens < asked
            {
                self.short_outputs.record(reading.finish_reason.as_deref());
            }
            if let (0, Some(cached), Some(prompt)) = (
                outcome.exchange.place.turn,
                reading.metric(CACHED_TOKENS),
                measured.prompt_tokens,
            ) {
                let (all, from_cache) = (
                    &mut counts.first_turn_tokens,
                    &mut counts.first_turn_cached_tokens,
                );
                *all = all.saturating_add(prompt.tokens);
                *from_cache = from_cache.saturating_add(cached.max(0.0) as u64);
            }
            let hidden = reading.hidden_tokens();
            counts.with_hidden_tokens += u64::from(hidden > 0);
            counts.hidden_tokens = counts.hidden_tokens.saturating_add(hidden);
            let sent = measured
                .completion_tokens
                .map_or(0, |count| count.tokens.saturating_sub(hidden));
            let bytes = outcome.exchange.response.bytes();
            if sent > bytes as u64 {
                counts.more_tokens_than_bytes += 1;
                counts.most_tokens_and_bytes =
                    counts.most_tokens_and_bytes.max((sent, bytes as u64));
            }
        }
        self.slowest.record(outcome, measured, self.texts);
        for time in [TTFT, TPOT] {
            if let (Some(prompt), Some(taken)) = (measured.prompt_tokens, measured.times[time]) {
                let number = outcome.exchange.number;
                self.by_input_length[time].record(number, prompt.tokens, taken);
            }
        }
        for (spread, count) in [
            (&mut self.lengths.input, measured.prompt_tokens),
            (&mut self.lengths.output, measured.completion_tokens),
        ] {
            if let Some(count) = count {
                spread.record(count.tokens);
            }
        }

        for gap in output_gaps(outcome) {
            self.times[ITL].record(gap);
        }
        let (mut chunks, mut of_several) = (0, 0);
        for (gap, tokens) in token_gaps(outcome) {
            self.times[TOKEN_ITL].record_times(gap / tokens.get(), tokens.get().into());
            chunks += 1;
            of_several += u64::from(tokens.get() > 1);
        }
        self.counts.token_chunks += chunks;
        self.counts.chunks_of_several_tokens += of_several;
        self.ratio_errors.add(&Sums {
            token_chunks: chunks,
            chunks_of_several_tokens: of_several,
            ..sums_of(outcome, measured)
        });
        if let Some(reading) = &outcome.reading {
            for (name, value) in &reading.metrics {
                self.metrics.record(name, *value);
            }
            self.metrics.leave_out(reading.metrics_cut);
        }
    }

    /// How certain the figures are that are a sum over requests by another.
    pub(super) fn ratio_errors(&self) -> &RatioErrors {
        &self.ratio_errors
    }

    /// Adds a connection that was opened before the run began.
    pub fn record_warm_connection(&mut self, opening: ConnectionOpening) {
        self.counts.warm_connections += 1;
        self.times[CONNECT].record(opening.total);
        record(&mut self.times[DNS], opening.dns);
        record(&mut self.times[TLS], opening.tls);
    }

    /// From where the times of each request are counted.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// What is counted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How a time is spread: of succeeded requests; the dispatch lags of every request that was sent, for they are about
    /// the client, and a request that fails later was just as late; the wait for bodies of every request.
    pub fn time(&self, time: Time) -> &Spread {
        &self.times[time]
    }

    /// The lengths of prompts and completions.
    pub fn lengths(&self) -> &TokenSpreads {
        &self.lengths
    }

    /// What happened when.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The slowest requests.
    pub fn slowest(&self) -> &Slowest {
        &self.slowest
    }

    /// A time by the length of the prompt.
    pub(super) fn by_input_length(&self, time: Time) -> &ByInputLength {
        &self.by_input_length[time]
    }

    /// From the start until the first request was sent that counts. `None` without a warm-up.
    pub(super) fn warmup(&self) -> Option<Duration> {
        let first = self.span.first_sent().filter(|_| self.counts.warmup > 0)?;
        Some(first.since(self.timeline.start()))
    }

    /// Sessions of several turns.
    pub fn sessions(&self) -> &SessionTotals {
        &self.sessions
    }

    /// The objectives against which requests are held.
    pub fn objectives(&self) -> Option<&Objectives> {
        self.objectives.as_ref()
    }

    /// The parser's own figures, of succeeded requests.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Why the answers of succeeded requests ended, the most frequent first.
    pub fn finish_reasons(&self) -> Vec<(String, u64)> {
        self.finish_reasons.sorted()
    }

    /// Outputs that are shorter than the parameters ask for.
    pub fn short_outputs(&self) -> ShortOutputs {
        self.short_outputs.counted()
    }

    /// Failures by kind, the most frequent first; kinds that did not occur are left out.
    pub fn failures(&self) -> Vec<FailureCount> {
        self.failures.by_kind()
    }

    /// Failures by kind and status, the most frequent first.
    pub fn failures_by_status(&self) -> Vec<FailureCount> {
        self.failures.by_status()
    }

    /// How long the run took: from the first request sent to the last end, over all requests, failed ones
    /// included. Where none was sent, from the first intention. `None` before the first outcome.
    pub fn wall(&self) -> Option<Duration> {
        self.span.wall()
    }

    /// The time in which the requests were sent: n − 1 gaps between n of them, and one more. `None` for fewer than two.
    pub fn sending(&self) -> Option<Duration> {
        let span = self.span.sending(None)?;
        let gaps = u32::try_from(self.counts.sent).ok()?.checked_sub(1)?;
        (gaps > 0).then(|| span + span / gaps)
    }
}

/// What the figures of a run of this request alone would be made of, where it succeeded.
fn sums_of(outcome: &Outcome, measured: &Measurement) -> Sums {
    let tokens = |count: Option<TokenCount>| count.map(|count| count.tokens as f64);
    let reading = outcome.reading.as_ref();
    let metric = |name: &str| reading.and_then(|reading| reading.metric(name));
    let reasoning = metric(REASONING_TOKENS);
    Sums {
        succeeded: 1,
        packages: measured.packages,
        input_tokens: tokens(measured.prompt_tokens),
        input_known: measured.prompt_tokens.is_some().into(),
        output_tokens: tokens(measured.completion_tokens),
        output_known: measured.completion_tokens.is_some().into(),
        cached_tokens: Some(metric(CACHED_TOKENS).unwrap_or(0.0)),
        reasoning_tokens: reasoning,
        reasoning_known: reasoning.is_some().into(),
        ..Sums::default()
    }
}

fn record(spread: &mut Spread, time: Option<Duration>) {
    if let Some(time) = time {
        spread.record(time);
    }
}

/// Whether a stream has nothing by which it could be told from one that was cut off.
fn is_without_end(outcome: &Outcome) -> bool {
    let response = &outcome.exchange.response;
    let is_told = outcome.reading.as_ref().is_some_and(|reading| {
        let counted_by = reading.completion.map(|count| count.source);
        // Counts that come with each chunk do not tell which one is the last.
        let is_counted_at_the_end =
            counted_by == Some(TokenSource::Server) && reading.tokens_so_far.is_none();
        reading.finish_reason.is_some() || is_counted_at_the_end
    });
    response.is_streamed() && response.done().is_none() && !is_told
}

#[cfg(test)]
mod tests;
