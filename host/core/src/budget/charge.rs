//! What somebody has drawn from a budget.

use super::{Budget, Large, SMALL, UsedUp};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What is drawn at once at least, so that small pieces do not count one by one.
const SMALLEST_STEP: usize = 4 << 10;

/// What is drawn at once at most beyond what is needed.
const LARGEST_STEP: usize = 1 << 20;

/// How often waiting looks whether there is something left.
const LOOK_UP: Duration = Duration::from_millis(2);

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
            .is_none_or(|budget| budget.has_room_ever(needed))
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
mod tests;
