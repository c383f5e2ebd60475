//! What really happened: when requests arrived and when their tokens were written.
//!
//! Times are kept one by one, so that the percentiles are exact, up to a bound on each list; what finds no
//! room is counted, never lost in silence.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use llmuses_kernel_io::{Stamp, StampQuality, Write};

/// What a frame is to the client that measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first token of a stream.
    FirstToken,
    /// Any later token.
    Token,
    /// Anything else: a role, an end, a whole body.
    Other,
}

/// What a frame has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// How many tokens: one for each answer.
    pub(super) tokens: u64,
    /// Whether the answer begins with it: a first token that is no reasoning.
    pub(super) answer: bool,
}

impl Frame {
    /// A frame without tokens.
    pub(super) const OTHER: Self = Self {
        kind: Kind::Other,
        tokens: 0,
        answer: false,
    };

    /// Whether the time at which it leaves is compared with that of the request's arrival.
    pub(super) fn begins(self) -> bool {
        self.answer || self.kind == Kind::FirstToken
    }
}

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
    fn push(&mut self, nanos: u64) -> u64 {
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

/// The memory of the server.
#[derive(Debug)]
pub(super) struct Truth {
    start: Instant,
    in_flight: AtomicU64,
    window: Mutex<Window>,
}

impl Truth {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            in_flight: AtomicU64::new(0),
            window: Mutex::default(),
        }
    }

    /// A connection was accepted.
    pub(super) fn connected(&self) {
        self.window().connections += 1;
    }

    /// A request for an answer was received whole.
    pub(super) fn arrived(self: &Arc<Self>, arrival: Stamp) -> Pending {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let mut window = self.window();
        window.requests += 1;
        window.arrivals_read += u64::from(arrival.quality == StampQuality::Read);
        let dropped = window.arrivals.push(nanos(self.start, arrival.at));
        window.dropped += dropped;
        drop(window);
        Pending(Arc::new(Exchange {
            arrival: arrival.at,
            last_token: AtomicU64::new(0),
            begun: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            truth: Arc::clone(self),
        }))
    }

    /// What happened since the last call. To make a report of it may take a moment; this does not.
    pub(super) fn take(&self) -> (Window, u64) {
        let window = std::mem::take(&mut *self.window());
        (window, self.in_flight.load(Ordering::Relaxed))
    }

    /// Seconds since 1970 of the moment from which arrivals are counted.
    pub(super) fn start_unix(&self) -> f64 {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        now.saturating_sub(self.start.elapsed()).as_secs_f64()
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        // Counts are whole even where a thread ended while it held them.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request whose end is open. Dropped before one was noted, it counts as left by the client.
#[derive(Debug)]
pub(super) struct Pending(Arc<Exchange>);

impl Pending {
    /// What the writes of the answer are reckoned to.
    pub(super) fn exchange(&self) -> &Arc<Exchange> {
        &self.0
    }

    /// Work on it begins: it has waited for so long, and so many tokens of its prompt were in the prefix cache.
    pub(super) fn admitted(&self, prompt_tokens: u64, cached: u64, waited: Duration) {
        let mut window = self.0.truth.window();
        window.prompt_tokens += prompt_tokens;
        window.cached_tokens += cached;
        let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        let dropped = window.queue.push(waited);
        window.dropped += dropped;
    }

    /// The whole answer, of so many tokens outside a stream, has been handed to the HTTP library.
    pub(super) fn complete(&self, plain_tokens: u64) {
        self.end();
        let mut window = self.0.truth.window();
        window.completed += 1;
        window.tokens += plain_tokens;
    }

    /// The answer is an error.
    pub(super) fn fail(&self) {
        self.end();
        self.0.truth.window().errors += 1;
    }

    fn end(&self) {
        self.0.ended.store(true, Ordering::Relaxed);
        self.0.truth.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.0.ended.load(Ordering::Relaxed) {
            self.end();
            self.0.truth.window().aborted += 1;
        }
    }
}

/// A request and the writes of its answer so far.
#[derive(Debug)]
pub(super) struct Exchange {
    arrival: Instant,
    /// The write of the last token, in nanoseconds since the arrival.
    last_token: AtomicU64,
    /// Whether anything was written.
    begun: AtomicBool,
    /// Whether the end was noted.
    ended: AtomicBool,
    truth: Arc<Truth>,
}

impl Exchange {
    /// A write carried a frame of the answer.
    ///
    /// Gaps are from the moment before one write to that before the next: the way through the kernel is the same for
    /// both. What comes first is compared with an arrival that the kernel stamped, so it is taken to have left by the
    /// kernel's clock too, where that was asked for: after a pause the way to there takes tens of microseconds.
    pub(super) fn written(&self, frame: Frame, write: Write) {
        let since = nanos(self.arrival, write.at);
        let left = nanos(self.arrival, write.left.unwrap_or(write.at));
        let first = !self.begun.swap(true, Ordering::Relaxed);
        let mut window = self.truth.window();
        let mut dropped = 0;
        if first {
            dropped += window.first_write.push(left);
        }
        match frame.kind {
            Kind::FirstToken => {
                self.last_token.store(since, Ordering::Relaxed);
                window.departures_read += u64::from(write.left.is_none());
                dropped += window.ttft.push(left);
            }
            Kind::Token => {
                let last = self.last_token.swap(since, Ordering::Relaxed);
                dropped += window.itl.push(since.saturating_sub(last));
            }
            Kind::Other => {}
        }
        if frame.answer {
            dropped += window.first_answer.push(left);
        }
        window.tokens += frame.tokens;
        window.dropped += dropped;
    }
}

fn nanos(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_become_times_and_ends_are_counted() {
        let truth = Arc::new(Truth::new());
        let at = Instant::now();
        let quality = StampQuality::Kernel;
        let after = |millis| at + Duration::from_millis(millis);
        let pending = truth.arrived(Stamp { at, quality });
        let exchange = pending.exchange();
        let write = |millis, left: Option<u64>| Write {
            at: after(millis),
            left: left.map(after),
            offered: 1,
            accepted: 1,
        };
        let frame = |kind, answer| Frame {
            kind,
            tokens: 1,
            answer,
        };
        exchange.written(Frame::OTHER, write(1, None));
        exchange.written(frame(Kind::FirstToken, false), write(50, Some(51)));
        exchange.written(frame(Kind::Token, false), write(60, None));
        exchange.written(frame(Kind::Token, true), write(60, Some(62)));
        exchange.written(frame(Kind::FirstToken, true), write(70, None));
        pending.admitted(7, 5, Duration::from_millis(3));
        pending.complete(0);
        drop(pending);
        let quality = StampQuality::Read;
        truth.arrived(Stamp { at, quality }).fail();
        drop(truth.arrived(Stamp { at, quality }));
        let open = truth.arrived(Stamp { at, quality });

        let (window, in_flight) = truth.take();
        let ends = (window.completed, window.errors, window.aborted, in_flight);
        assert_eq!((window.requests, ends), (4, (1, 1, 1, 1)));
        assert_eq!((window.arrivals.kept.len(), window.arrivals_read), (4, 3));
        let tokens = (window.tokens, window.prompt_tokens, window.cached_tokens);
        assert_eq!(tokens, (4, 7, 5));
        assert_eq!(window.queue.kept, [3_000_000]);
        assert_eq!(window.first_answer.kept, [62_000_000, 70_000_000]);
        assert_eq!(window.first_write.kept, [1_000_000]);
        // The kernel's time of departure where it told one.
        assert_eq!(window.ttft.kept, [51_000_000, 70_000_000]);
        assert_eq!(window.departures_read, 1);
        assert_eq!(window.itl.kept, [10_000_000, 0]);

        drop(open);
        let (window, in_flight) = truth.take();
        assert_eq!((window.requests, window.aborted, in_flight), (0, 1, 0));
    }

    #[test]
    fn what_finds_no_room_is_told() {
        let mut samples = Samples::new(2);
        let told: Vec<u64> = (0..4).map(|nanos| samples.push(nanos)).collect();
        assert_eq!(told, [0, 0, 1, 1]);
        assert_eq!(samples.kept, [0, 1]);
    }
}
