//! Tokens in the prefix cache of the server: how many are to be expected beside how many it reports.

use llmuses_core::clock::Moment;
use llmuses_core::document::CachedTokens;
use llmuses_core::exchange::Outcome;
use llmuses_core::metric::CACHED_TOKENS;
use std::collections::HashMap;

/// Pieces of prompts of which is kept when they were sent: some 300 MiB at most.
const MOST_PIECES: usize = 4_000_000;

/// Tokens by which what a server reports may differ from the prediction: three of the blocks of 16 tokens in which most
/// servers cache.
const BLOCKS: u32 = 48;

/// The pieces of which prompts consist, and what the server reports of its cache.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct CachedPieces {
    requests: u64,
    /// Tokens of the pieces of all requests that are counted.
    tokens: u64,
    reported: f64,
    /// Tokens of the prompts of these requests, and of how many of them they are known.
    prompt_tokens: u64,
    prompts_known: u64,
    pieces: HashMap<u64, Piece>,
    /// Tokens that the chat template puts around a prompt.
    overhead: u32,
    /// Whether no more is predicted, since prompts have too many pieces.
    is_full: bool,
}

/// A piece with all that is before it.
#[derive(Debug, Clone, PartialEq)]
struct Piece {
    tokens: u32,
    /// When the first prompt with it was sent, and whether that request is counted: it finds nothing.
    first: (Moment, bool),
    /// When the server had read a prompt with it, as its first output shows. What was sent later finds it.
    read: Moment,
    /// When others were sent that are counted, before `read`: whether they find it depends on the server.
    early: Vec<Moment>,
}

impl CachedPieces {
    /// None so far. `overhead`: tokens that the chat template puts around a prompt.
    pub(super) fn new(overhead: u32) -> Self {
        Self {
            overhead,
            ..Self::default()
        }
    }

    /// Adds a request as [`LengthsAsked::add_cached`](super::LengthsAsked::add_cached) says. Requests may come in any order.
    pub(super) fn add(&mut self, outcome: &Outcome, pieces: &[(u64, u32)], counts: bool) {
        let exchange = &outcome.exchange;
        let reading = outcome.reading.as_ref().filter(|_| outcome.succeeded());
        let (Some(reading), Some(sent), 0) = (reading, exchange.sent, exchange.place.turn) else {
            return;
        };
        let reported = reading.metric(CACHED_TOKENS).filter(|_| counts);
        // Of later requests nothing can be predicted.
        self.is_full |= self.pieces.len() + pieces.len() > MOST_PIECES;
        if self.is_full {
            return;
        }
        if let Some(reported) = reported {
            self.requests += 1;
            self.reported += reported;
            if let Some(prompt) = reading.prompt {
                self.prompt_tokens = self.prompt_tokens.saturating_add(prompt.tokens);
                self.prompts_known += 1;
            }
        }
        let first_output = reading
            .outputs
            .first()
            .filter(|_| exchange.response.is_streamed());
        let read = first_output
            .and_then(|index| exchange.response.arrival(*index as usize))
            .unwrap_or(exchange.end);
        for (which, tokens) in pieces {
            let counts = reported.is_some();
            if counts {
                self.tokens += u64::from(*tokens);
            }
            match self.pieces.get_mut(which) {
                Some(piece) => piece.add(sent, read, counts),
                None => {
                    let piece = Piece {
                        tokens: *tokens,
                        first: (sent, counts),
                        read,
                        early: Vec::new(),
                    };
                    self.pieces.insert(*which, piece);
                }
            }
        }
    }

    /// As it stands in a document. `None`: the server reports nothing.
    pub(super) fn to_document(&self) -> Option<CachedTokens> {
        let mean = |tokens: u64| tokens as f64 / self.requests as f64;
        let (mut new, mut early) = (0, 0);
        for piece in self.pieces.values() {
            let tokens = u64::from(piece.tokens);
            new += if piece.first.1 { tokens } else { 0 };
            early += tokens * piece.early.len() as u64;
        }
        let possible = self.tokens.saturating_sub(new);
        (self.requests > 0).then(|| CachedTokens {
            requests: self.requests,
            mean_predicted_tokens: mean(possible.saturating_sub(early)),
            mean_possible_tokens: mean(possible),
            mean_reported_tokens: self.reported / self.requests as f64,
            mean_prompt_tokens: (self.prompts_known == self.requests)
                .then(|| mean(self.prompt_tokens)),
            tolerance_tokens: f64::from(self.overhead.max(BLOCKS)),
        })
    }
}

impl Piece {
    fn add(&mut self, sent: Moment, read: Moment, counts: bool) {
        let mut later = (sent, counts);
        if later < self.first {
            std::mem::swap(&mut later, &mut self.first);
        }
        if later.1 && later.0 < self.read {
            self.early.push(later.0);
        }
        if read < self.read {
            self.read = read;
            self.early.retain(|sent| *sent < read);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::exchange::TokenSource;
    use llmuses_samples::OutcomeBuilder;

    /// Its first output comes 10 ms after it was sent.
    fn outcome(sent: u64, cached: f64) -> Outcome {
        OutcomeBuilder::at(0)
            .sent(sent)
            .events(&[sent + 10, sent + 11])
            .end(sent + 11)
            .outputs(&[0, 1])
            .metric("cached_tokens", cached)
            .input_tokens(600, TokenSource::Server)
            .build()
    }

    fn document(cached: &CachedPieces) -> CachedTokens {
        cached.to_document().expect("the server reports some")
    }

    #[test]
    fn a_prefix_is_cached_by_the_first_prompt_with_it() {
        let mut cached = CachedPieces::new(10);
        // Whichever of them is over first.
        cached.add(&outcome(50, 512.0), &[(0, 512)], true);
        cached.add(&outcome(0, 0.0), &[(0, 512)], true);
        cached.add(&outcome(200, 512.0), &[(0, 512)], true);
        cached.add(&outcome(300, 0.0), &[(1, 512)], true);
        let found = document(&cached);
        assert_eq!(found.requests, 4);
        assert_eq!(found.mean_predicted_tokens, 256.0);
        assert_eq!(found.mean_possible_tokens, 256.0);
        assert_eq!(found.mean_reported_tokens, 256.0);
        assert_eq!(found.tolerance_tokens, 48.0);
        assert_eq!(found.mean_prompt_tokens, Some(600.0));
    }

    #[test]
    fn a_prompt_that_is_sent_while_the_first_is_read_may_find_its_prefix_or_not() {
        let orders = [[0, 4, 9, 10], [10, 9, 4, 0], [9, 0, 10, 4]];
        for order in orders {
            let mut cached = CachedPieces::new(0);
            for sent in order {
                cached.add(&outcome(sent, 0.0), &[(0, 100)], true);
            }
            let found = document(&cached);
            // That at 10 finds it, those at 4 and 9 perhaps.
            assert_eq!(found.mean_predicted_tokens, 25.0, "{order:?}");
            assert_eq!(found.mean_possible_tokens, 75.0, "{order:?}");
        }
    }

    #[test]
    fn a_request_of_the_warm_up_fills_the_cache_and_does_not_count() {
        let mut cached = CachedPieces::default();
        cached.add(&outcome(0, 0.0), &[(1, 512), (2, 100)], false);
        cached.add(&outcome(50, 512.0), &[(1, 512), (3, 100)], true);
        cached.add(&outcome(90, 608.0), &[(1, 512), (3, 100)], true);
        let found = document(&cached);
        assert_eq!(found.requests, 2);
        assert_eq!(found.mean_predicted_tokens, 562.0);
        assert_eq!(found.mean_reported_tokens, 560.0);
    }
}
