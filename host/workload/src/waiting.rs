//! How many bytes of bodies wait for a client. Their number alone would not bound the memory: a parser
//! may make bodies of megabytes.

use std::collections::VecDeque;

/// Bodies that wait take this many bytes together at most, or are one body.
pub(super) const WAITING_BYTES: usize = 64 << 20;

/// The sizes of the bodies in a queue, without a word from its other end.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Of the bodies that were put in last: those in the queue, and perhaps a few that have just left it.
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl Waiting {
    /// Whether a body of `size` bytes may join the `waiting` bodies that are in the queue.
    pub(super) fn has_room_for(&mut self, size: usize, waiting: usize) -> bool {
        while self.sizes.len() > waiting
            && let Some(gone) = self.sizes.pop_front()
        {
            self.bytes -= gone;
        }
        waiting == 0 || self.bytes.saturating_add(size) <= WAITING_BYTES
    }

    /// Notes a body that is put into the queue.
    pub(super) fn add(&mut self, size: usize) {
        self.sizes.push_back(size);
        self.bytes += size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_wait_for_each_other_and_one_always_goes() {
        let mut waiting = Waiting::default();
        assert!(waiting.has_room_for(usize::MAX, 0));
        for before in 0..2 {
            assert!(waiting.has_room_for(30 << 20, before));
            waiting.add(30 << 20);
        }
        assert!(!waiting.has_room_for(30 << 20, 2));
        assert!(waiting.has_room_for(4 << 20, 2));
        assert!(waiting.has_room_for(30 << 20, 1));
    }
}
