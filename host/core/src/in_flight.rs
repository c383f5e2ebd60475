//! How many requests are under way, and whether there is a place for one more.

use crate::backlog::Backlog;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Counts requests under way, and those that gave their place back.
#[derive(Debug, Default)]
pub struct InFlight {
    begun: AtomicU64,
    now: AtomicU64,
    peak: AtomicU64,
    /// Places that were taken, and those that were left again.
    taken: AtomicU64,
    left: AtomicU64,
    awaited: AtomicU64,
    waiting: Mutex<()>,
    freed: Condvar,
    backlog: Arc<Backlog>,
    panics: AtomicU64,
    not_sent: AtomicU64,
    waited_for_memory: AtomicU64,
}

impl InFlight {
    /// Requests that were ever begun.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Requests under way at the moment.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// The most requests that were ever under way at once.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Who holds up finished exchanges.
    pub fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// A request goes out.
    pub fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(now, Ordering::Relaxed);
    }

    /// A request is over, well or badly.
    pub fn end(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    /// A request that is over has been handed on, and leaves its place to another.
    pub fn leave(&self) {
        // Either this thread reads that somebody waits, or that one reads that a place is free: both are in one order.
        self.left.fetch_add(1, Ordering::SeqCst);
        if self.awaited.load(Ordering::SeqCst) > 0 {
            let _waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.freed.notify_all();
        }
    }

    /// Takes a place for a request that is handed over now, where fewer than `most` are taken.
    pub fn take_place(&self, most: u64) -> bool {
        self.taken
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |taken| {
                let now = taken.saturating_sub(self.left.load(Ordering::SeqCst));
                (now < most).then_some(taken + 1)
            })
            .is_ok()
    }

    /// Waits until it could take a place, for `longest` at most, and tells whether it has.
    pub fn await_place(&self, most: u64, longest: Duration) -> bool {
        self.awaited.fetch_add(1, Ordering::SeqCst);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_taken = false;
        let waited = self.freed.wait_timeout_while(waiting, longest, |()| {
            is_taken = self.take_place(most);
            !is_taken
        });
        drop(waited);
        self.awaited.fetch_sub(1, Ordering::SeqCst);
        is_taken
    }

    /// A request was handed over and was not sent, since nobody is left who wants it.
    pub fn count_not_sent(&self) {
        self.not_sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that were handed over and not sent.
    pub fn not_sent(&self) -> u64 {
        self.not_sent.load(Ordering::Relaxed)
    }

    /// A request waited for its body, since there was no memory for it.
    pub fn count_wait_for_memory(&self) {
        self.waited_for_memory.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests whose bodies waited for memory, and they for these.
    pub fn waited_for_memory(&self) -> u64 {
        self.waited_for_memory.load(Ordering::Relaxed)
    }

    /// A request ended in a panic, which is a fault of this program.
    pub fn count_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that ended in a panic.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn the_peak_stays() {
        let gauge = InFlight::default();
        gauge.begin();
        gauge.begin();
        gauge.end();
        gauge.begin();
        assert_eq!((gauge.begun(), gauge.now(), gauge.peak()), (3, 2, 2));
    }

    #[test]
    fn a_place_is_free_once_a_request_has_left() {
        let gauge = Arc::new(InFlight::default());
        assert!(gauge.take_place(2));
        assert!(gauge.take_place(2));
        assert!(!gauge.take_place(2));
        assert!(!gauge.await_place(2, Duration::from_millis(1)));
        let other = Arc::clone(&gauge);
        let leaving = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            other.leave();
        });
        let longest = Duration::from_secs(20);
        let began = Instant::now();
        assert!(gauge.await_place(2, longest));
        assert!(!gauge.take_place(2));
        assert!(began.elapsed() < longest / 2);
        leaving.join().unwrap();
    }
}
