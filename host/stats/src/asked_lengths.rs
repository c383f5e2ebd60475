//! How long prompts and outputs were beside what was asked for.

use llmuses_core::clock::Moment;
use llmuses_core::document::{AskedLength, AskedLengths, CachedTokens, LearnedLengths};
use llmuses_core::exchange::{Outcome, TokenSource};
use llmuses_core::metric::CACHED_TOKENS;
use std::collections::HashMap;

/// Lengths asked for and counted, over all requests that are measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LengthsAsked {
    input: Differences,
    output: Differences,
    learned: Option<LearnedLengths>,
    cached: Cached,
}

/// Tokens in the prefix cache of the server.
#[derive(Debug, Clone, Default, PartialEq)]
struct Cached {
    requests: u64,
    /// Tokens of the pieces that several prompts may have, of all requests that are counted.
    pieces: u64,
    reported: f64,
    /// Of each such piece, when the first prompt with it was sent, its tokens, and whether that request is counted: it
    /// finds nothing.
    first: HashMap<u64, (Moment, u32, bool)>,
    /// Tokens that the chat template puts around a prompt.
    overhead: u32,
    /// Whether no more is predicted, since prompts have too many pieces.
    is_full: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Differences {
    requests: u64,
    different: u64,
    asked: u64,
    counted: u64,
    worst: i64,
}

impl LengthsAsked {
    /// None so far. `learned`: how the lengths of prompts are known, where no tokenizer counted them.
    /// `overhead`: tokens that the chat template puts around a prompt.
    pub fn new(learned: Option<LearnedLengths>, overhead: u32) -> Self {
        Self {
            learned,
            cached: Cached {
                overhead,
                ..Cached::default()
            },
            ..Self::default()
        }
    }

    /// Adds a request of which these lengths were asked; of a later turn of a session, whose prompt has what was said before,
    /// only that of the output. One that failed, or whose server counted nothing, is left out.
    pub fn add(&mut self, outcome: &Outcome, input: u32, output: Option<u32>) {
        let Some(reading) = outcome.reading.as_ref().filter(|_| outcome.succeeded()) else {
            return;
        };
        let by_server = |count: &llmuses_core::exchange::TokenCount| {
            (count.source == TokenSource::Server).then_some(count.tokens)
        };
        if outcome.exchange.place.turn == 0
            && let Some(counted) = reading.prompt.as_ref().and_then(by_server)
        {
            // A line is right to a per cent; a tokenizer to the token.
            let tolerance = self.learned.map_or(0, |_| u64::from(input / 100));
            self.input.add(input, counted, tolerance);
        }
        if let Some(asked) = output
            && let Some(counted) = reading.completion.as_ref().and_then(by_server)
        {
            // As aiperf counts them: by more than 5 %, or by more than 50 tokens.
            self.output
                .add(asked, counted, u64::from((asked / 20).min(50)));
        }
    }

    /// Adds what the server reports of its prefix cache for a request whose prompt began with these pieces: of each, by
    /// what number it is known together with all before it, and its tokens. `counts`: whether the request is measured; one
    /// of the warm-up only fills the cache. Later turns of a session are left out: most of what they say was said before.
    pub fn add_cached(&mut self, outcome: &Outcome, pieces: &[(u64, u32)], counts: bool) {
        let exchange = &outcome.exchange;
        let reading = outcome.reading.as_ref().filter(|_| outcome.succeeded());
        let (Some(reading), Some(sent), 0) = (reading, exchange.sent, exchange.place.turn) else {
            return;
        };
        let cached = &mut self.cached;
        let metrics = reading.metrics.iter();
        let mut reported = metrics.filter(|(name, _)| name == CACHED_TOKENS);
        let reported = reported.next().filter(|_| counts);
        // Of later requests nothing can be predicted.
        cached.is_full |= cached.first.len() + pieces.len() > MOST_PIECES;
        if cached.is_full {
            return;
        }
        if let Some((_, reported)) = reported {
            cached.requests += 1;
            cached.reported += reported;
        }
        for (which, tokens) in pieces {
            let this = (sent, *tokens, reported.is_some());
            if this.2 {
                cached.pieces += u64::from(*tokens);
            }
            let first = cached.first.entry(*which).or_insert(this);
            *first = this.min(*first);
        }
    }

    /// As it stands in a document.
    pub fn to_document(&self) -> AskedLengths {
        AskedLengths {
            input: self.input.to_document(),
            output: self.output.to_document(),
            learned: self.learned,
            cached: self.cached.to_document(),
        }
    }
}

impl Cached {
    fn to_document(&self) -> Option<CachedTokens> {
        let mean = |sum: f64| sum / self.requests as f64;
        let new: u64 = self
            .first
            .values()
            .filter(|(_, _, counts)| *counts)
            .map(|(_, tokens, _)| u64::from(*tokens))
            .sum();
        (self.requests > 0).then(|| CachedTokens {
            requests: self.requests,
            mean_predicted_tokens: mean(self.pieces.saturating_sub(new) as f64),
            mean_reported_tokens: mean(self.reported),
            tolerance_tokens: f64::from(self.overhead.max(BLOCKS)),
        })
    }
}

/// Pieces of prompts of which is kept when they were sent first: some 200 MiB at most.
const MOST_PIECES: usize = 4_000_000;

/// Tokens by which what a server reports may differ from the prediction: three of the blocks of 16 tokens in which most
/// servers cache.
const BLOCKS: u32 = 48;

impl Differences {
    fn add(&mut self, asked: u32, counted: u64, tolerance: u64) {
        let difference = i64::try_from(counted).unwrap_or(i64::MAX) - i64::from(asked);
        self.requests += 1;
        self.asked = self.asked.saturating_add(u64::from(asked));
        self.counted = self.counted.saturating_add(counted);
        if difference.unsigned_abs() > tolerance {
            self.different += 1;
        }
        if difference.unsigned_abs() > self.worst.unsigned_abs() {
            self.worst = difference;
        }
    }

    fn to_document(&self) -> AskedLength {
        let mean = |sum: u64| (self.requests > 0).then(|| sum as f64 / self.requests as f64);
        AskedLength {
            requests: self.requests,
            different: self.different,
            mean_asked_tokens: mean(self.asked),
            mean_counted_tokens: mean(self.counted),
            worst_difference_tokens: self.worst,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_samples::OutcomeBuilder;

    #[test]
    fn lengths_are_compared_request_by_request() {
        let outcome = |prompt, completion| {
            OutcomeBuilder::at(0)
                .events(&[1, 2])
                .outputs(&[0, 1])
                .tokens(prompt, completion, TokenSource::Server)
                .build()
        };
        let mut lengths = LengthsAsked::default();
        lengths.add(&outcome(100, 40), 100, Some(40));
        lengths.add(&outcome(103, 39), 100, Some(40));
        lengths.add(&outcome(98, 20), 100, Some(40));
        let AskedLengths { input, output, .. } = lengths.to_document();
        assert_eq!((input.requests, input.different), (3, 2));
        assert_eq!(input.worst_difference_tokens, 3);
        assert_eq!(input.mean_asked_tokens, Some(100.0));
        // One token of forty is within 5 %.
        assert_eq!((output.requests, output.different), (3, 1));
        assert_eq!(output.worst_difference_tokens, -20);
    }

    #[test]
    fn a_prefix_is_cached_by_the_first_prompt_with_it() {
        let outcome = |sent, cached| {
            OutcomeBuilder::at(0)
                .sent(sent)
                .events(&[sent + 10, sent + 11])
                .outputs(&[0, 1])
                .metric("cached_tokens", cached)
                .build()
        };
        let mut lengths = LengthsAsked::new(None, 10);
        // Whichever of them is over first.
        lengths.add_cached(&outcome(50, 512.0), &[(0, 512)], true);
        lengths.add_cached(&outcome(0, 0.0), &[(0, 512)], true);
        lengths.add_cached(&outcome(200, 512.0), &[(0, 512)], true);
        lengths.add_cached(&outcome(300, 0.0), &[(1, 512)], true);
        let cached = lengths.to_document().cached.unwrap();
        assert_eq!(cached.requests, 4);
        assert_eq!(cached.mean_predicted_tokens, 256.0);
        assert_eq!(cached.mean_reported_tokens, 256.0);
        assert_eq!(cached.tolerance_tokens, 48.0);
    }

    #[test]
    fn a_request_of_the_warm_up_fills_the_cache_and_does_not_count() {
        let outcome = |sent, cached| {
            OutcomeBuilder::at(0)
                .sent(sent)
                .events(&[sent + 10, sent + 11])
                .outputs(&[0, 1])
                .metric("cached_tokens", cached)
                .build()
        };
        let mut lengths = LengthsAsked::default();
        lengths.add_cached(&outcome(0, 0.0), &[(1, 512), (2, 100)], false);
        lengths.add_cached(&outcome(50, 512.0), &[(1, 512), (3, 100)], true);
        lengths.add_cached(&outcome(90, 608.0), &[(1, 512), (3, 100)], true);
        let cached = lengths.to_document().cached.unwrap();
        assert_eq!(cached.requests, 2);
        assert_eq!(cached.mean_predicted_tokens, 562.0);
        assert_eq!(cached.mean_reported_tokens, 560.0);
    }

    #[test]
    fn learned_lengths_may_be_off_by_a_per_cent() {
        let outcome = |prompt| {
            OutcomeBuilder::at(0)
                .events(&[1, 2])
                .outputs(&[0, 1])
                .tokens(prompt, 1, TokenSource::Server)
                .build()
        };
        let mut lengths = LengthsAsked::new(Some(LearnedLengths::default()), 0);
        lengths.add(&outcome(1009), 1000, None);
        lengths.add(&outcome(1011), 1000, None);
        let input = lengths.to_document().input;
        assert_eq!((input.requests, input.different), (2, 1));
    }
}
