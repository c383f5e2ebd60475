//! When the coordinator of a worker was last heard, for those who send requests: each asks for itself, since the thread
//! that watches for silence may run late, above all where the whole process stood still.

use crate::clock::{Clock, Moment};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When the coordinator was last heard. Once it has been silent for too long, nothing that comes later counts.
#[derive(Debug)]
pub struct LastWord {
    clock: Clock,
    limit: Duration,
    /// In nanoseconds of the clock. Zero: nothing has come yet.
    nanos: AtomicU64,
}

impl LastWord {
    /// Before the first word. Silence for longer than `limit` is too long.
    pub fn new(clock: Clock, limit: Duration) -> Self {
        Self {
            clock,
            limit,
            nanos: AtomicU64::new(0),
        }
    }

    /// A word came at this moment. False where it came too late to count.
    pub fn heard(&self, at: Moment) -> bool {
        let counts = |last: u64| !self.is_over(last, at);
        self.nanos
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| {
                counts(last).then_some(last.max(at.nanos()).max(1))
            })
            .is_ok()
    }

    /// For how long nothing has come. `None`: nothing has come at all.
    pub fn silence(&self) -> Option<Duration> {
        let last = self.nanos.load(Ordering::SeqCst);
        (last > 0).then(|| self.clock.now().since(Moment::from_nanos(last)))
    }

    /// Whether the coordinator was heard within the limit, or is still to say its first word.
    pub fn is_recent(&self) -> bool {
        !self.is_over(self.nanos.load(Ordering::SeqCst), self.clock.now())
    }

    fn is_over(&self, last: u64, now: Moment) -> bool {
        last > 0 && now.since(Moment::from_nanos(last)) > self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_too_long_a_silence_does_not_count() {
        let clock = Clock::start();
        let word = LastWord::new(clock, Duration::from_millis(50));
        std::thread::sleep(Duration::from_millis(60));
        // The first word may take any time.
        assert!(word.is_recent() && word.silence().is_none());
        assert!(word.heard(clock.now()));
        assert!(word.is_recent());
        std::thread::sleep(Duration::from_millis(60));
        assert!(!word.is_recent());
        assert!(!word.heard(clock.now()));
        assert!(!word.is_recent());
        assert!(word.silence() > Some(Duration::from_millis(50)));
    }
}
