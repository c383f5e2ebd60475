//! What a request holds while it is answered, and what happens when the answer is over.

use std::sync::Arc;

use super::api::{Facts, Finish};
use super::cache::PrefixCache;
use super::exchange::{Completed, Exchange, Pending};
use super::metrics::End;
use super::slots::Slot;
use super::tokens::Chain;

/// A request that has a slot.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) pending: Pending,
    pub(super) slot: Option<Slot>,
    pub(super) cached: Option<Cached>,
}

/// The prompts of a request in the prefix cache, which get the answer added.
#[derive(Debug)]
pub(super) struct Cached {
    pub(super) cache: Arc<PrefixCache>,
    pub(super) chains: Vec<Chain>,
    /// The tokens of the template for each message.
    pub(super) template: u64,
}

impl Work {
    /// What the writes of the answer are noted for.
    pub(super) fn exchange(&self) -> &Arc<Exchange> {
        self.pending.exchange()
    }

    /// The whole answer has been handed to the HTTP library.
    pub(super) fn complete(&mut self, facts: &Facts, is_stream: bool) {
        if let Some(cached) = self.cached.take().filter(|_| facts.tokens > 0) {
            let answer = facts.answer();
            for mut chain in cached.chains {
                chain.answer(&answer, cached.template);
                cached.cache.insert(&chain);
            }
        }
        self.pending.complete(Completed {
            end: match facts.finish {
                Finish::Stop => End::Stop,
                Finish::Length => End::Length,
            },
            tokens: facts.all_tokens(),
            plain: (!is_stream).then_some(facts.first),
        });
        self.slot = None;
    }
}
