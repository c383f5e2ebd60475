//! The memory that a run may take for what comes from outside: responses, request bodies, entries of a data set that are
//! read ahead, the counting of tokens. All of them draw from one budget.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is drawn at once at least, so that small pieces do not count one by one.
const SMALLEST_STEP: usize = 4 << 10;

/// What is drawn at once at most beyond what is needed.
const LARGEST_STEP: usize = 1 << 20;

/// How often waiting looks whether there is something left.
const LOOK_UP: Duration = Duration::from_millis(2);

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
    /// room, the youngest give up for it. Until they have, half of what is kept for small holders bridges the time.
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
        let kept = self.limit / 8;
        self.limit - kept.saturating_sub(self.used_by_small.load(Ordering::Relaxed))
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

/// What somebody has drawn from a budget. Goes back when it is dropped.
#[derive(Debug, Default)]
pub struct Charge {
    budget: Option<Arc<Budget>>,
    drawn: usize,
    needed: usize,
    /// What of it the budget counts as that of a small holder: all or nothing.
    as_small: usize,
    /// The place in the order of beginning of a response under way, which gives up where an older one needs its memory.
    place: Option<u64>,
    /// Whether the budget knows of it as a large one.
    is_large: bool,
}

impl Charge {
    /// Nothing so far, of this budget.
    pub fn of(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Some(Arc::clone(budget)),
            drawn: 0,
            needed: 0,
            as_small: 0,
            place: None,
            is_large: false,
        }
    }

    /// The same for a response that begins now, until [`Self::shrink`] says that it is whole.
    pub fn of_response(budget: &Arc<Budget>) -> Self {
        let mut charge = Self::of(budget);
        charge.place = Some(budget.begun.fetch_add(1, Ordering::Relaxed));
        charge
    }

    /// Draws for `bytes` more.
    ///
    /// # Errors
    /// Where there is not as much left; nothing is drawn then.
    pub fn grow(&mut self, bytes: usize) -> Result<(), UsedUp> {
        let needed = self.needed.saturating_add(bytes);
        if let Some(budget) = &self.budget {
            let missing = needed.saturating_sub(self.drawn);
            let step = (needed / 4).clamp(SMALLEST_STEP, LARGEST_STEP).max(missing);
            let drawn = match self.place {
                // Each time, whether it needs more or not: an older one may wait for what it has.
                Some(place) if needed > SMALL => {
                    self.is_large = true;
                    budget.count_as_small(&mut self.as_small, 0);
                    budget.draw_in_turn(step, missing, self.drawn, place)?
                }
                _ if missing == 0 => 0,
                // Where there is no room for a step ahead there may be for what is needed.
                _ => match budget.draw(step, self.drawn) {
                    Ok(()) => step,
                    Err(_) => {
                        budget.draw(missing, self.drawn)?;
                        missing
                    }
                },
            };
            self.drawn += drawn;
        }
        self.needed = needed;
        self.count_as_small_or_not();
        Ok(())
    }

    /// Says that `bytes` in all are needed now: draws for more, or lets others have what is not needed any more but for a step.
    ///
    /// # Errors
    /// Where there is not as much left; nothing is drawn then.
    pub fn need(&mut self, bytes: usize) -> Result<(), UsedUp> {
        if let Some(more) = bytes.checked_sub(self.needed).filter(|more| *more > 0) {
            return self.grow(more);
        }
        self.needed = bytes;
        let kept = bytes.saturating_add(LARGEST_STEP);
        self.give_back(self.drawn - self.drawn.min(kept));
        Ok(())
    }

    /// Draws for `bytes` more where no more than half of the budget is in use then: for what can wait, so that what
    /// cannot has the other half.
    ///
    /// # Errors
    /// Where there is not as much left; nothing is drawn then.
    pub fn grow_within_half(&mut self, bytes: usize) -> Result<(), UsedUp> {
        if let Some(budget) = &self.budget {
            budget.draw_within(bytes, budget.limit / 2)?;
            self.drawn += bytes;
        }
        self.needed = self.needed.saturating_add(bytes);
        self.count_as_small_or_not();
        Ok(())
    }

    /// Whether a response should be read on a little later: there is no room for more of it until a younger one, which
    /// was asked to give up, has been read once more. Its thread may wait for a processor.
    pub fn should_wait(&self) -> bool {
        let (Some(budget), Some(place), true) = (&self.budget, self.place, self.is_large) else {
            return false;
        };
        let gives_up = |own: &Large| own.gives_up;
        budget.awaits_what_is_given_up() && !budget.large().get(&place).is_some_and(gives_up)
    }

    /// Draws for `bytes` more, and waits up to `patience` until there is as much left.
    ///
    /// # Errors
    /// Where there is not; at once where the whole budget has not as much.
    pub fn grow_within(&mut self, bytes: usize, patience: Duration) -> Result<(), UsedUp> {
        let until = Instant::now() + patience;
        loop {
            match self.grow(bytes) {
                Err(UsedUp { .. }) if self.can_ever_grow(bytes) && Instant::now() < until => {
                    std::thread::sleep(LOOK_UP);
                }
                result => return result,
            }
        }
    }

    fn can_ever_grow(&self, bytes: usize) -> bool {
        let needed = self.needed.saturating_add(bytes);
        self.budget
            .as_ref()
            .is_none_or(|budget| needed <= budget.most_for(needed))
    }

    /// Gives back what is drawn and not needed. A response is whole then and does not give up any more.
    pub fn shrink(&mut self) {
        self.leave_the_order();
        self.give_back(self.drawn - self.drawn.min(self.needed));
    }

    /// Gives everything back.
    pub fn clear(&mut self) {
        self.leave_the_order();
        self.needed = 0;
        self.give_back(self.drawn);
    }

    fn leave_the_order(&mut self) {
        let is_large = std::mem::take(&mut self.is_large);
        if let (Some(budget), Some(place), true) = (&self.budget, self.place.take(), is_large) {
            budget.large().remove(&place);
        }
    }

    fn give_back(&mut self, bytes: usize) {
        if let Some(budget) = &self.budget {
            self.drawn -= bytes;
            budget.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.count_as_small_or_not();
    }

    fn count_as_small_or_not(&mut self) {
        if let Some(budget) = &self.budget {
            let is_small = self.needed <= SMALL;
            budget.count_as_small(&mut self.as_small, if is_small { self.drawn } else { 0 });
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A copy is charged to nobody: only tests make any.
impl Clone for Charge {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Who paid is no part of what is compared.
impl PartialEq for Charge {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Charge {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_goes_back() {
        let budget = Arc::new(Budget::new(10 << 20));
        let mut one = Charge::of(&budget);
        one.grow(10).unwrap();
        assert_eq!(budget.used(), SMALLEST_STEP);
        one.grow(SMALLEST_STEP).unwrap();
        one.shrink();
        assert_eq!(budget.used(), SMALLEST_STEP + 10);
        let mut other = Charge::of(&budget);
        other.grow(100_000).unwrap();
        drop(one);
        other.clear();
        assert_eq!(budget.used(), 0);
        Charge::default().grow(usize::MAX).unwrap();
    }

    #[test]
    fn what_is_not_needed_any_more_goes_back_but_for_a_step() {
        let budget = Arc::new(Budget::new(10 << 20));
        let mut charge = Charge::of(&budget);
        charge.grow(8 << 20).unwrap();
        charge.need(1 << 20).unwrap();
        assert_eq!(budget.used(), (1 << 20) + LARGEST_STEP);
        charge.need(2 << 20).unwrap();
        assert_eq!(budget.used(), 2 << 20);
        assert!(charge.need(20 << 20).is_err());
        charge.shrink();
        assert_eq!(budget.used(), 2 << 20);
        charge.need(0).unwrap();
        charge.shrink();
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn large_holders_leave_room_for_small_ones() {
        let budget = Arc::new(Budget::new(80 << 20));
        let mut large = Charge::of(&budget);
        while large.grow(1 << 20).is_ok() {}
        assert_eq!(budget.used(), 70 << 20);
        let mut small = Charge::of(&budget);
        small.grow(SMALL).unwrap();
        let error = small.grow(1).unwrap_err().to_string();
        assert!(error.contains("80 MiB, --memory-limit"), "{error}");
        drop(large);
        small.grow(1).unwrap();
    }

    #[test]
    fn of_large_responses_that_grow_together_the_oldest_are_served() {
        let budget = Arc::new(Budget::new(64 << 20));
        let mut growing: Vec<_> = (0..10)
            .map(|place| (place, Charge::of_response(&budget), 0))
            .collect();
        let (mut whole, mut failed) = (Vec::new(), Vec::new());
        // Each has 12 MiB and comes in steps of 64 KiB, the youngest first in each round.
        while !growing.is_empty() {
            for index in (0..growing.len()).rev() {
                let (place, charge, size) = &mut growing[index];
                *size += 64 << 10;
                if charge.grow(64 << 10).is_err() {
                    failed.push(*place);
                    growing.remove(index);
                } else if *size == 12 << 20 {
                    charge.shrink();
                    whole.push(growing.remove(index));
                }
            }
        }
        failed.sort_unstable();
        // The budget less an eighth, 56 MiB, has room for four of them.
        assert_eq!(failed, [4, 5, 6, 7, 8, 9]);
        assert_eq!(budget.used(), 48 << 20);
        drop(whole);
        assert_eq!(budget.used(), 0);
        assert!(budget.large().is_empty());
    }

    #[test]
    fn a_response_that_gave_up_leaves_room_to_those_that_begin_later() {
        let budget = Arc::new(Budget::new(64 << 20));
        let mut old = Charge::of_response(&budget);
        let mut young = Charge::of_response(&budget);
        young.grow(30 << 20).unwrap();
        old.grow(30 << 20).unwrap();
        assert!(young.grow(1).is_err(), "it was asked to give up");
        young.clear();
        assert_eq!(budget.used(), 30 << 20);
        let mut next = Charge::of_response(&budget);
        next.grow(20 << 20).unwrap();
    }

    #[test]
    fn a_response_gives_up_with_its_next_read_also_where_it_needs_no_more_memory() {
        let budget = Arc::new(Budget::new(64 << 20));
        let mut old = Charge::of_response(&budget);
        let mut young = Charge::of_response(&budget);
        young.grow(30 << 20).unwrap();
        // A step ahead of what it needs.
        young.grow(1).unwrap();
        let drawn = young.drawn;
        old.grow(28 << 20).unwrap();
        assert!(young.grow(1).is_err(), "it was asked to give up");
        assert_eq!(young.drawn, drawn);
    }

    #[test]
    fn small_responses_take_no_room_from_large_ones() {
        let budget = Arc::new(Budget::new(64 << 20));
        let mut large: [_; 2] = std::array::from_fn(|_| Charge::of_response(&budget));
        let mut small: [_; 8] = std::array::from_fn(|_| Charge::of_response(&budget));
        for one in &mut small {
            one.grow(SMALL).unwrap();
        }
        // Together 52 MiB, and 56 MiB is what large ones may have; with the small ones it is 60 MiB.
        for one in &mut large {
            one.grow(26 << 20).unwrap();
        }
        // As a large one it is the youngest.
        let [.., last] = &mut small;
        assert!(last.grow(8 << 20).is_err());
        drop((large, small));
        assert_eq!(budget.used(), 0);
        assert_eq!(budget.used_by_small.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_old_response_waits_until_a_young_one_has_given_up() {
        let budget = Arc::new(Budget::new(64 << 20));
        let mut old = Charge::of_response(&budget);
        let mut young = Charge::of_response(&budget);
        young.grow(30 << 20).unwrap();
        old.grow(26 << 20).unwrap();
        assert!(!old.should_wait(), "nobody was asked to give up");
        old.grow(1 << 20).unwrap();
        assert!(old.should_wait());
        assert!(!young.should_wait(), "it has to give up");
        young.clear();
        assert!(!old.should_wait());
    }

    #[test]
    fn a_response_is_large_once_it_needs_more_than_a_small_one() {
        let budget = Arc::new(Budget::new(64 << 20));
        let mut charge = Charge::of_response(&budget);
        charge.grow(SMALL - (16 << 10)).unwrap();
        charge.grow(16 << 10).unwrap();
        // The step ahead of it is no need.
        assert!(charge.drawn > SMALL);
        assert!(budget.large().is_empty());
        charge.grow(1).unwrap();
        assert_eq!(budget.large().len(), 1);
        charge.shrink();
        assert!(budget.large().is_empty());
    }

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

    #[test]
    fn what_can_wait_leaves_half() {
        let budget = Arc::new(Budget::new(8 << 20));
        let mut body = Charge::of(&budget);
        body.grow_within_half(3 << 20).unwrap();
        let mut other = Charge::of(&budget);
        assert!(other.grow_within_half(2 << 20).is_err());
        other.grow_within_half(1 << 20).unwrap();
        drop((body, other));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn waiting_ends_when_something_comes_back_or_can_never_come() {
        let budget = Arc::new(Budget::new(8 << 20));
        let mut first = Charge::of(&budget);
        first.grow(6 << 20).unwrap();
        let mut second = Charge::of(&budget);
        let begun = Instant::now();
        assert!(
            second
                .grow_within(9 << 20, Duration::from_secs(60))
                .is_err()
        );
        assert!(
            second
                .grow_within(4 << 20, Duration::from_millis(50))
                .is_err()
        );
        assert!(begun.elapsed() < Duration::from_secs(30));
        let waits =
            std::thread::spawn(move || second.grow_within(4 << 20, Duration::from_secs(60)));
        std::thread::sleep(Duration::from_millis(20));
        drop(first);
        waits.join().unwrap().unwrap();
    }
}
