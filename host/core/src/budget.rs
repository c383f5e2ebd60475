//! The memory that a run may take for what comes from outside: responses, request bodies, entries of a data set that are
//! read ahead, the counting of tokens. All of them draw from one budget.

mod charge;

pub use charge::Charge;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A holder of no more than this may use all of the budget; larger ones leave an eighth of it to these, and what these
/// have of that takes nothing from the larger ones. So where memory is used up, large responses fail and small ones go on.
const SMALL: usize = 1 << 20;

/// A budget in bytes.
///
/// Large responses are served in the order in which they began: where there is no room for all of them, the one that
/// began last gives up, with its next read, and the older ones go on with what it gives back.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
    /// What of it holders of no more than [`SMALL`] have.
    used_by_small: AtomicUsize,
    /// For how many nanoseconds bodies waited until there was memory for them.
    bodies_waited: AtomicU64,
    /// The responses that have begun.
    begun: AtomicU64,
    /// Those under way that are larger than [`SMALL`], by their place in the order of beginning.
    large: Mutex<BTreeMap<u64, Large>>,
}

/// A large response under way.
#[derive(Debug, Default, Clone, Copy)]
struct Large {
    drawn: usize,
    /// It is to fail with its next read: an older one needs what it has.
    gives_up: bool,
}

impl Default for Budget {
    /// Without a limit.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            used_by_small: AtomicUsize::new(0),
            bodies_waited: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            large: Mutex::default(),
        }
    }

    /// The bytes of it.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The bytes that one body, or one count of tokens, may have: others are to go on beside it.
    pub fn most_for_one(&self) -> usize {
        self.limit / 4
    }

    /// The bytes in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Waits a moment for memory for a request body, and counts the time.
    pub fn await_memory_for_body(&self, moment: Duration) {
        let begun = Instant::now();
        std::thread::sleep(moment);
        let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.bodies_waited.fetch_add(nanos, Ordering::Relaxed);
    }

    /// For how long the making of bodies has waited for memory so far.
    pub fn bodies_waited(&self) -> Duration {
        Duration::from_nanos(self.bodies_waited.load(Ordering::Relaxed))
    }

    fn draw(&self, bytes: usize, holds: usize) -> Result<(), UsedUp> {
        self.draw_within(bytes, self.most_for(holds.saturating_add(bytes)))
    }

    /// Draws where no more than `most` is in use then.
    fn draw_within(&self, bytes: usize, most: usize) -> Result<(), UsedUp> {
        let drawn = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|used| *used <= most)
            });
        drawn.map(drop).map_err(|_| UsedUp { limit: self.limit })
    }

    /// Draws `step`, or `needed` at least, for a large response that holds `holds` already and has `place` in the order of
    /// beginning; gives back how much. Fails where it was asked to give up, also where it needs nothing. Where there is no
    /// room, the youngest give up for it. Until they have, a sixteenth of the budget more bridges the time, where small
    /// holders leave that.
    fn draw_in_turn(
        &self,
        step: usize,
        needed: usize,
        holds: usize,
        place: u64,
    ) -> Result<usize, UsedUp> {
        let used_up = UsedUp { limit: self.limit };
        let mut large = self.large();
        let own = large.entry(place).or_default();
        own.drawn = holds;
        if own.gives_up {
            return Err(used_up);
        }
        // It has as much already.
        if needed == 0 {
            return Ok(0);
        }
        let most = self.most_for_large();
        let drawn = if self.draw_within(step, most).is_ok() {
            step
        } else {
            let missing = self.used().saturating_add(needed).saturating_sub(most);
            let mut coming_back: usize = large
                .values()
                .filter(|other| other.gives_up)
                .map(|other| other.drawn)
                .sum();
            while coming_back < missing {
                // This one itself where there is no younger one.
                let (youngest, other) = large
                    .iter_mut()
                    .rfind(|(_, other)| !other.gives_up)
                    .ok_or(used_up)?;
                other.gives_up = true;
                if *youngest == place {
                    return Err(used_up);
                }
                coming_back += other.drawn;
            }
            let bridge = most.saturating_add(self.limit / 16).min(self.limit);
            self.draw_within(needed, bridge)?;
            needed
        };
        if let Some(own) = large.get_mut(&place) {
            own.drawn += drawn;
        }
        Ok(drawn)
    }

    /// Whether what large responses may have is in use, and one of them has yet to give back what it was asked for.
    fn awaits_what_is_given_up(&self) -> bool {
        self.used() > self.most_for_large() && self.large().values().any(|one| one.gives_up)
    }

    /// Counts `now` bytes as those of a small holder that were `counted` so far.
    fn count_as_small(&self, counted: &mut usize, now: usize) {
        if now != *counted {
            // In this order, since it would be below zero for a moment otherwise.
            self.used_by_small.fetch_add(now, Ordering::Relaxed);
            self.used_by_small.fetch_sub(*counted, Ordering::Relaxed);
            *counted = now;
        }
    }

    fn large(&self) -> MutexGuard<'_, BTreeMap<u64, Large>> {
        // Nothing that is done under the lock can panic halfway.
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What may be in use with a holder of so many bytes.
    fn most_for(&self, holder: usize) -> usize {
        if holder <= SMALL {
            self.limit
        } else {
            self.most_for_large()
        }
    }

    /// What may be in use with a large holder: all but what is kept for small ones and not used by them.
    fn most_for_large(&self) -> usize {
        let used_by_small = self.used_by_small.load(Ordering::Relaxed);
        self.limit - self.kept_for_small().saturating_sub(used_by_small)
    }

    fn kept_for_small(&self) -> usize {
        self.limit / 8
    }

    /// Whether somebody may hold `bytes` where nobody else holds anything.
    fn has_room_ever(&self, bytes: usize) -> bool {
        bytes <= SMALL.min(self.limit) || bytes <= self.limit - self.kept_for_small()
    }
}

/// A wait for a request body, from its begin on: to tell what is missing for it, memory or who makes it.
#[derive(Debug, Clone, Copy)]
pub struct BodyWait {
    begun: Instant,
    waited_for_memory: Duration,
}

impl BodyWait {
    /// It begins now.
    pub fn begin(budget: &Budget) -> Self {
        Self {
            begun: Instant::now(),
            waited_for_memory: budget.bodies_waited(),
        }
    }

    /// Whether the body waited for memory for half of the time or more.
    pub fn is_for_memory(self, budget: &Budget) -> bool {
        let for_memory = budget
            .bodies_waited()
            .saturating_sub(self.waited_for_memory);
        !for_memory.is_zero() && for_memory * 2 >= self.begun.elapsed()
    }
}

/// The budget does not have as much left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the memory for responses and requests is used up ({} MiB, --memory-limit)",
    .limit >> 20
)]
pub struct UsedUp {
    limit: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_of_bodies_for_memory_is_counted() {
        let budget = Budget::new(8 << 20);
        assert_eq!(budget.bodies_waited(), Duration::ZERO);
        let wait = BodyWait::begin(&budget);
        std::thread::sleep(Duration::from_millis(20));
        assert!(!wait.is_for_memory(&budget));
        let wait = BodyWait::begin(&budget);
        for _ in 0..10 {
            budget.await_memory_for_body(Duration::from_millis(2));
        }
        assert!(wait.is_for_memory(&budget));
        assert!(budget.bodies_waited() >= Duration::from_millis(20));
    }
}
