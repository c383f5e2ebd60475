//! Sums, shares and rates of the running totals.

use super::RunStatistics;
use crate::counts::TokenTotals;
use crate::figures::Figures;
use llmuses_core::metric::{
    AUDIO_SECONDS, CACHED_TOKENS, DOCUMENTS, REASONING_TOKENS, Sums, TEXTS,
};
use std::time::Duration;

impl RunStatistics {
    /// What the figures of the run are made of.
    pub fn sums(&self) -> Sums {
        let counts = &self.counts;
        let tokens = |side: &TokenTotals| (side.requests() > 0).then_some(side.tokens as f64);
        Sums {
            wall_seconds: self.wall().map(|wall| wall.as_secs_f64()),
            completed: counts.completed,
            succeeded: counts.succeeded,
            failed: counts.failed,
            disconnected: counts.disconnected,
            met_all: self.objectives.map(|_| counts.met_objectives),
            input_tokens: tokens(&counts.prompt),
            output_tokens: tokens(&counts.completion),
            cached_tokens: self.named(CACHED_TOKENS).map(Figures::sum),
            texts: self.named(TEXTS).map(Figures::sum),
            documents: self.named(DOCUMENTS).map(Figures::sum),
            audio_seconds: self.named(AUDIO_SECONDS).map(Figures::sum),
            reasoning_tokens: self.named(REASONING_TOKENS).map(Figures::sum),
            reasoning_known: self.named(REASONING_TOKENS).map_or(0, Figures::samples),
            input_known: counts.prompt.requests(),
            output_known: counts.completion.requests(),
            packages: counts.packages,
            token_chunks: counts.token_chunks,
            chunks_of_several_tokens: counts.chunks_of_several_tokens,
            bytes_received: counts.bytes_received,
            // Only the run as a whole knows what was asked of each request.
            ..Sums::default()
        }
    }

    /// A figure of the plugin.
    fn named(&self, name: &str) -> Option<&Figures> {
        let mut named = self.metrics.named().iter();
        let (_, figures) = named.find(|(known, _)| known == name)?;
        Some(figures)
    }

    /// Average package latency in seconds: the sum of all spans by the sum of their gaps. `None` where no
    /// response had three packages.
    pub fn average_package_latency(&self) -> Option<f64> {
        ratio(
            self.counts.package_span_nanos as f64 / 1e9,
            self.counts.package_gaps as f64,
        )
    }

    /// Output tokens per chunk of output. `None` where nobody knows.
    pub fn tokens_per_chunk(&self) -> Option<f64> {
        ratio(
            self.counts.chunked_tokens as f64,
            self.counts.chunked_outputs as f64,
        )
    }

    /// The share of the tokens of prompts that the server took from a cache of prefixes, where it told that for
    /// every succeeded request.
    pub fn cached_share(&self) -> Option<f64> {
        let cached = self.named(CACHED_TOKENS)?;
        let told = cached.samples() == self.counts.succeeded;
        ratio(cached.sum(), self.counts.prompt.tokens as f64).filter(|_| told)
    }

    /// The same of the prompts of first turns, of those of which the server tells it.
    pub fn cached_share_of_first_turns(&self) -> Option<f64> {
        ratio(
            self.counts.first_turn_cached_tokens as f64,
            self.counts.first_turn_tokens as f64,
        )
    }

    /// The share of gaps between output events that are zero, from 0 to 1.
    pub fn coalesced_share(&self) -> Option<f64> {
        ratio(
            self.counts.coalesced_gaps as f64,
            self.counts.output_gaps as f64,
        )
    }

    /// Requests per second that the schedule drew: gaps between the first and the last intention by
    /// their distance. A Poisson process only comes close to the rate that was asked for.
    pub fn scheduled_rate(&self) -> Option<f64> {
        let span = self.span.schedule()?;
        ratio(
            self.counts.over().saturating_sub(1) as f64,
            span.as_secs_f64(),
        )
    }

    /// Requests per second that were sent: gaps between the first and the last one by their distance. Where some were due
    /// and not sent when the run ended, the last of them `last_unsent` after the start, the distance is to that: sending
    /// went on until then, however few were sent.
    pub fn sent_rate(&self, last_unsent: Option<Duration>) -> Option<f64> {
        let until = last_unsent.map(|after| self.timeline.start().after(after));
        let span = self.span.sending(until)?;
        ratio(
            self.counts.sent.saturating_sub(1) as f64,
            span.as_secs_f64(),
        )
    }
}

/// A ratio; `None` where there is nothing to divide by.
fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}
