//! Tokens in the prefix cache of the server: how many are to be expected beside how many it reports.

use llmuses_core::clock::Moment;
use llmuses_core::document::CachedTokens;
use llmuses_core::exchange::Outcome;
use llmuses_core::metric::CACHED_TOKENS;
use std::collections::HashMap;
use std::sync::Arc;

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
    /// By the URL that requests went to, where there are several: each server has a cache of its own.
    pieces: HashMap<Option<Arc<str>>, HashMap<u64, Piece>>,
    /// How many there are of all URLs.
    count: usize,
    /// Whether other processes send requests of the same load, whose prompts are not seen here.
    others_send: bool,
    /// The same of processes that sent a part of the load each.
    of_parts: Option<CachedTokens>,
    /// Tokens that the chat template puts around a prompt.
    overhead: u32,
    /// Whether no more is predicted, since prompts have too many pieces.
    is_full: bool,
}

/// A piece with all that is before it.
#[derive(Debug, Clone, PartialEq)]
struct Piece {
    tokens: u32,
    /// Of the prompts with it that the server answered.
    answered: Option<Answered>,
    /// When the first prompt with it was sent that failed or was cancelled: whether the server read that is not known.
    maybe_read: Option<Moment>,
}

/// The prompts with a piece that the server answered.
#[derive(Debug, Clone, PartialEq)]
struct Answered {
    /// When the first one was sent, and whether that request is counted: it finds nothing.
    first: (Moment, bool),
    /// When the server had read one of them, as its first output shows. What was sent later finds it.
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

    /// Other processes send requests of the same load: any prompt may find what one of theirs left.
    pub(super) fn with_others(mut self) -> Self {
        self.others_send = true;
        self
    }

    /// Those of processes that sent a part of the load each. `None`: the server reported nothing to any of them.
    pub(super) fn of_parts(parts: &[CachedTokens]) -> Self {
        let requests: u64 = parts.iter().map(|part| part.requests).sum();
        let mean = |of: fn(&CachedTokens) -> f64| {
            let sum: f64 = parts
                .iter()
                .map(|part| of(part) * part.requests as f64)
                .sum();
            sum / requests as f64
        };
        let prompts_known = parts.iter().all(|part| part.mean_prompt_tokens.is_some());
        let of_parts = (requests > 0).then(|| CachedTokens {
            requests,
            mean_predicted_tokens: mean(|part| part.mean_predicted_tokens),
            mean_possible_tokens: mean(|part| part.mean_possible_tokens),
            mean_reported_tokens: mean(|part| part.mean_reported_tokens),
            mean_prompt_tokens: prompts_known
                .then(|| mean(|part| part.mean_prompt_tokens.unwrap_or_default())),
            tolerance_tokens: parts
                .iter()
                .map(|part| part.tolerance_tokens)
                .fold(0.0, f64::max),
        });
        Self {
            of_parts,
            ..Self::default()
        }
    }

    /// Adds a request as [`LengthsAsked::add_cached`](super::LengthsAsked::add_cached) says. Requests may come in any order.
    pub(super) fn add(&mut self, outcome: &Outcome, pieces: &[(u64, u32)], counts: bool) {
        let exchange = &outcome.exchange;
        let (Some(sent), 0) = (exchange.sent, exchange.place.turn) else {
            return;
        };
        let answer = outcome.reading.as_ref().filter(|_| outcome.succeeded());
        let Some(reading) = answer else {
            for (which, tokens) in pieces {
                if let Some(piece) = self.piece(exchange.url.as_ref(), *which, *tokens) {
                    let first = piece.maybe_read.map_or(sent, |first| first.min(sent));
                    piece.maybe_read = Some(first);
                }
            }
            return;
        };
        let reported = reading.metric(CACHED_TOKENS).filter(|_| counts);
        // Of later requests nothing can be predicted.
        self.is_full |= self.count + pieces.len() > MOST_PIECES;
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
            if let Some(piece) = self.piece(exchange.url.as_ref(), *which, *tokens) {
                piece.add(sent, read, counts);
            }
        }
    }

    /// A piece of prompts that went to a URL. `None`: there is no place for it.
    fn piece(&mut self, url: Option<&Arc<str>>, which: u64, tokens: u32) -> Option<&mut Piece> {
        let of_url = self.pieces.entry(url.cloned()).or_default();
        if !of_url.contains_key(&which) {
            self.is_full |= self.count >= MOST_PIECES;
            if self.is_full {
                return None;
            }
            self.count += 1;
        }
        Some(of_url.entry(which).or_insert(Piece {
            tokens,
            answered: None,
            maybe_read: None,
        }))
    }

    /// As it stands in a document. `None`: the server reports nothing.
    pub(super) fn to_document(&self) -> Option<CachedTokens> {
        if self.of_parts.is_some() {
            return self.of_parts;
        }
        let mean = |tokens: u64| tokens as f64 / self.requests as f64;
        // Tokens that were surely not in the cache, and those of which that depends on the server.
        let (mut new, mut unsure) = (0, 0);
        for piece in self.pieces.values().flat_map(HashMap::values) {
            let Some(answered) = &piece.answered else {
                continue;
            };
            let tokens = u64::from(piece.tokens);
            let (first, is_counted) = answered.first;
            let maybe_found =
                self.others_send || piece.maybe_read.is_some_and(|maybe| maybe < first);
            match (is_counted, maybe_found) {
                (true, true) => unsure += tokens,
                (true, false) => new += tokens,
                (false, _) => {}
            }
            unsure += tokens * answered.early.len() as u64;
        }
        let possible = self.tokens.saturating_sub(new);
        (self.requests > 0).then(|| CachedTokens {
            requests: self.requests,
            mean_predicted_tokens: mean(possible.saturating_sub(unsure)),
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
        let Some(answered) = &mut self.answered else {
            self.answered = Some(Answered {
                first: later,
                read,
                early: Vec::new(),
            });
            return;
        };
        if later < answered.first {
            std::mem::swap(&mut later, &mut answered.first);
        }
        if later.1 && later.0 < answered.read {
            answered.early.push(later.0);
        }
        if read < answered.read {
            answered.read = read;
            answered.early.retain(|sent| *sent < read);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::exchange::{FailureKind, TokenSource};
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

    fn at_url(url: &str, sent: u64, cached: f64) -> Outcome {
        let mut outcome = outcome(sent, cached);
        outcome.exchange.url = Some(url.into());
        outcome
    }

    #[test]
    fn each_url_has_a_cache_of_its_own() {
        let mut cached = CachedPieces::new(0);
        for (url, sent, tokens) in [("a", 0, 0.0), ("b", 100, 0.0), ("a", 200, 512.0)] {
            cached.add(&at_url(url, sent, tokens), &[(0, 512)], true);
        }
        let found = document(&cached);
        assert_eq!(found.mean_predicted_tokens, 512.0 / 3.0);
        assert_eq!(found.mean_possible_tokens, 512.0 / 3.0);
    }

    #[test]
    fn what_a_failed_or_cancelled_request_left_in_the_cache_is_not_known() {
        let failed = |sent: u64| {
            let outcome = OutcomeBuilder::at(0).sent(sent).end(sent + 5);
            outcome.fails(FailureKind::TimeoutRead, "silence").build()
        };
        // Whichever of them is over first; a failed one that was sent later leaves nothing for the first.
        for order in [[0, 1], [1, 0]] {
            let mut cached = CachedPieces::new(0);
            for which in order {
                match which {
                    0 => cached.add(&failed(0), &[(0, 100)], true),
                    _ => cached.add(&outcome(50, 0.0), &[(0, 100)], true),
                }
            }
            cached.add(&outcome(200, 0.0), &[(1, 100)], true);
            cached.add(&failed(300), &[(1, 100)], true);
            let found = document(&cached);
            assert_eq!(found.requests, 2);
            assert_eq!(found.mean_predicted_tokens, 0.0);
            assert_eq!(found.mean_possible_tokens, 50.0);
        }
    }

    #[test]
    fn a_part_of_a_load_may_find_what_the_other_parts_sent() {
        let mut part = CachedPieces::new(0).with_others();
        part.add(&outcome(0, 90.0), &[(0, 100)], true);
        part.add(&outcome(50, 100.0), &[(0, 100)], true);
        let found = document(&part);
        assert_eq!(found.mean_predicted_tokens, 50.0);
        assert_eq!(found.mean_possible_tokens, 100.0);
        let mut alone = CachedPieces::new(0).with_others();
        alone.add(&outcome(0, 0.0), &[(0, 400)], true);
        let merged = document(&CachedPieces::of_parts(&[found, document(&alone)]));
        assert_eq!(merged.requests, 3);
        assert_eq!(merged.mean_predicted_tokens, 100.0 / 3.0);
        assert_eq!(merged.mean_possible_tokens, 200.0);
        assert_eq!(merged.mean_reported_tokens, 190.0 / 3.0);
        assert_eq!(CachedPieces::of_parts(&[]).to_document(), None);
    }
}
