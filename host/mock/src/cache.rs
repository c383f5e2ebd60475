//! The prefix cache, as that of vLLM: blocks of tokens, each known by all tokens up to its end, the least recently
//! used ones making room.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use crate::tokens::{BLOCK, Chain};

/// The cache. It holds no text, only which blocks there are.
#[derive(Debug)]
pub(super) struct PrefixCache {
    blocks: Mutex<Blocks>,
    room: usize,
}

#[derive(Debug, Default)]
struct Blocks {
    /// When each block was used last, in uses of any block.
    used: HashMap<u64, u64>,
    /// The same, by time.
    order: BTreeMap<u64, u64>,
    uses: u64,
}

impl Blocks {
    fn touch(&mut self, block: u64) {
        self.uses += 1;
        if let Some(last) = self.used.insert(block, self.uses) {
            self.order.remove(&last);
        }
        self.order.insert(self.uses, block);
    }
}

impl PrefixCache {
    /// An empty cache for so many blocks.
    pub(super) fn new(room: usize) -> Self {
        let blocks = Mutex::default();
        Self { blocks, room }
    }

    /// How many tokens of a prompt are in the cache; afterwards all its full blocks are.
    ///
    /// The last token of a prompt is never taken from the cache, since a model needs it to begin.
    pub(super) fn look_up(&self, prompt: &Chain) -> u64 {
        let usable = (prompt.tokens().saturating_sub(1) / BLOCK) as usize;
        let found = {
            let blocks = self.lock();
            let known = prompt.blocks().iter().take(usable);
            known
                .take_while(|block| blocks.used.contains_key(block))
                .count()
        };
        self.insert(prompt);
        found as u64 * BLOCK
    }

    /// Keeps the full blocks of a sequence. Its end makes room before its beginning does, which others may share.
    pub(super) fn insert(&self, sequence: &Chain) {
        let mut blocks = self.lock();
        // What does not fit is not worth beginning with.
        let fitting = sequence.blocks().len().min(self.room);
        for block in sequence.blocks()[..fitting].iter().rev() {
            blocks.touch(*block);
        }
        while blocks.used.len() > self.room {
            let Some((_, block)) = blocks.order.pop_first() else {
                return;
            };
            blocks.used.remove(&block);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Blocks> {
        // A thread that ended while it held the blocks may have left one that is never found: no harm.
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::{Part, Prompt};

    fn chain(ids: std::ops::Range<u64>) -> Chain {
        let parts = vec![Part::Ids(ids.collect())];
        Chain::of(&Prompt { parts }, 0)
    }

    #[test]
    fn full_blocks_are_found_but_never_the_last_token() {
        let cache = PrefixCache::new(100);
        for (tokens, first, again) in [
            (15, 0, 0),
            (16, 0, 0),
            (33, 16, 32),
            (48, 32, 32),
            (49, 48, 48),
        ] {
            assert_eq!(cache.look_up(&chain(0..tokens)), first, "{tokens}");
            assert_eq!(cache.look_up(&chain(0..tokens)), again, "{tokens}");
        }
        assert_eq!(cache.look_up(&chain(1..50)), 0);
    }

    #[test]
    fn a_hole_ends_what_is_found() {
        let cache = PrefixCache::new(2);
        cache.look_up(&chain(0..64));
        // Two of four blocks fit: the beginning.
        assert_eq!(cache.look_up(&chain(0..64)), 32);
        assert_eq!(cache.lock().used.len(), 2);
        assert_eq!(cache.lock().order.len(), 2);
    }

    #[test]
    fn the_least_recently_used_makes_room_from_its_end() {
        let cache = PrefixCache::new(4);
        cache.look_up(&chain(0..33));
        cache.look_up(&chain(100..133));
        assert_eq!(cache.look_up(&chain(0..33)), 32);
        // One block more: the end of what was used least goes.
        cache.look_up(&chain(200..217));
        assert_eq!(cache.look_up(&chain(0..33)), 32);
        assert_eq!(cache.look_up(&chain(100..133)), 16);
    }
}
