//! What really happened: when requests arrived and when their tokens were written.
//!
//! Times are kept one by one, so that the percentiles are exact, up to a bound on each list; what finds no
//! room is counted, never lost in silence.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::log::Log;
use super::metrics::Totals;

/// The most gaps between tokens that are kept.
const GAPS: usize = 8_000_000;
/// The most requests of which times are kept.
const REQUESTS: usize = 2_000_000;

/// Times in nanoseconds, up to a bound.
#[derive(Debug)]
pub(super) struct Samples {
    pub(super) kept: Vec<u64>,
    room: usize,
}

impl Samples {
    fn new(room: usize) -> Self {
        let kept = Vec::new();
        Self { kept, room }
    }

    /// Keeps a time; 1 if there was no room for it.
    pub(super) fn push(&mut self, nanos: u64) -> u64 {
        if self.kept.len() < self.room {
            self.kept.push(nanos);
            return 0;
        }
        1
    }
}

/// What happened between two reports.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) requests: u64,
    pub(super) completed: u64,
    pub(super) errors: u64,
    pub(super) aborted: u64,
    pub(super) arrivals_read: u64,
    pub(super) departures_read: u64,
    pub(super) tokens: u64,
    pub(super) prompt_tokens: u64,
    pub(super) cached_tokens: u64,
    pub(super) connections: u64,
    pub(super) dropped: u64,
    pub(super) queue: Samples,
    pub(super) ttft: Samples,
    pub(super) first_answer: Samples,
    pub(super) itl: Samples,
    pub(super) first_write: Samples,
    /// Since the start of the server.
    pub(super) arrivals: Samples,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            requests: 0,
            completed: 0,
            errors: 0,
            aborted: 0,
            arrivals_read: 0,
            departures_read: 0,
            tokens: 0,
            prompt_tokens: 0,
            cached_tokens: 0,
            connections: 0,
            dropped: 0,
            queue: Samples::new(REQUESTS),
            ttft: Samples::new(REQUESTS),
            first_answer: Samples::new(REQUESTS),
            itl: Samples::new(GAPS),
            first_write: Samples::new(REQUESTS),
            arrivals: Samples::new(REQUESTS),
        }
    }
}

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) window: Window,
    pub(super) totals: Totals,
}

/// The memory of the server.
#[derive(Debug)]
pub(super) struct Truth {
    pub(super) start: Instant,
    pub(super) in_flight: AtomicU64,
    memory: Mutex<Memory>,
    pub(super) log: Option<Log>,
}

impl Truth {
    pub(super) fn new(log: Option<Log>) -> Self {
        Self {
            start: Instant::now(),
            in_flight: AtomicU64::new(0),
            memory: Mutex::default(),
            log,
        }
    }

    /// A connection was accepted.
    pub(super) fn connected(&self) {
        self.memory().window.connections += 1;
    }

    /// What happened since the last call. To make a report of it may take a moment; this does not.
    pub(super) fn take(&self) -> (Window, u64) {
        let window = std::mem::take(&mut self.memory().window);
        (window, self.in_flight.load(Ordering::Relaxed))
    }

    /// Makes something of the totals since the start.
    pub(super) fn with_totals<T>(&self, make: impl FnOnce(&Totals) -> T) -> T {
        make(&self.memory().totals)
    }

    /// How many lines of the log could not be written.
    pub(super) fn log_lines_lost(&self) -> u64 {
        self.log.as_ref().map_or(0, Log::lost)
    }

    /// Seconds since 1970 of the moment from which arrivals are counted.
    pub(super) fn start_unix(&self) -> f64 {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        now.saturating_sub(self.start.elapsed()).as_secs_f64()
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        // Counts are whole even where a thread ended while it held them.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_told() {
        let mut samples = Samples::new(2);
        let told: Vec<u64> = (0..4).map(|nanos| samples.push(nanos)).collect();
        assert_eq!(told, [0, 0, 1, 1]);
        assert_eq!(samples.kept, [0, 1]);
    }
}
