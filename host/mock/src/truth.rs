//! What really happened: when requests arrived and when their tokens were written.
//!
//! Times are kept one by one, so that the percentiles are exact, up to a bound on each list; what finds no
//! room is counted, never lost in silence.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use llmuses_kernel_io::{Stamp, StampQuality, Write};

use super::log::{Entry, Log};
use super::metrics::{End, Totals};

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

/// What is remembered.
#[derive(Debug, Default)]
struct Memory {
    window: Window,
    totals: Totals,
}

/// The memory of the server.
#[derive(Debug)]
pub(super) struct Truth {
    start: Instant,
    in_flight: AtomicU64,
    memory: Mutex<Memory>,
    log: Option<Log>,
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

    /// A request for an answer was received whole. `entry` makes its line of the log, if there is one.
    pub(super) fn arrived(
        self: &Arc<Self>,
        arrival: Stamp,
        entry: impl FnOnce() -> Entry,
    ) -> Pending {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let mut memory = self.memory();
        let window = &mut memory.window;
        window.requests += 1;
        window.arrivals_read += u64::from(arrival.quality == StampQuality::Read);
        window.dropped += window.arrivals.push(nanos(self.start, arrival.at));
        drop(memory);
        let entry = self.log.as_ref().map(|_| {
            let arrival_unix = self.start_unix() + (arrival.at - self.start).as_secs_f64();
            Box::new(Entry {
                arrival_unix,
                ..entry()
            })
        });
        Pending(Arc::new(Exchange {
            arrival: arrival.at,
            first_token: AtomicU64::new(0),
            last_token: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            begun: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            entry: Mutex::new(entry),
            truth: Arc::clone(self),
        }))
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

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Counts are whole even where a thread ended while it held them.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a request when work on it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admitted {
    pub(super) prompt_tokens: u64,
    /// Those of them that were in the prefix cache; nothing where there is no cache.
    pub(super) cached: Option<u64>,
    /// From its arrival to its slot.
    pub(super) waited: Duration,
}

/// An answer that is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Completed {
    pub(super) end: End,
    /// Its tokens.
    pub(super) tokens: u64,
    /// Of a plain answer, when its first token was due.
    pub(super) plain: Option<Instant>,
}

/// A request whose end is open. Dropped before one was noted, it counts as left by the client.
#[derive(Debug)]
pub(super) struct Pending(Arc<Exchange>);

impl Pending {
    /// What the writes of the answer are noted for.
    pub(super) fn exchange(&self) -> &Arc<Exchange> {
        &self.0
    }

    /// Work on it begins. `prompt` makes the beginning of its prompt for the log, if there is one.
    pub(super) fn admitted(&self, admitted: Admitted, prompt: impl FnOnce() -> String) {
        let Admitted {
            prompt_tokens,
            cached,
            waited,
        } = admitted;
        let nanos = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        let mut memory = self.0.truth.memory();
        let Memory { window, totals } = &mut *memory;
        window.prompt_tokens += prompt_tokens;
        window.cached_tokens += cached.unwrap_or(0);
        window.dropped += window.queue.push(nanos);
        totals.prompt_tokens += prompt_tokens;
        if let Some(cached) = cached {
            totals.cache_queries += prompt_tokens;
            totals.cache_hits += cached;
        }
        totals.queue.add_nanos(nanos);
        totals.prompts.add(prompt_tokens as f64);
        drop(memory);
        self.0.log(|entry| {
            entry.prompt = Some(prompt());
            entry.prompt_tokens = Some(prompt_tokens);
            entry.cached_tokens = cached;
            entry.queue_seconds = Some(waited.as_secs_f64());
        });
    }

    /// The whole answer has been handed to the HTTP library.
    pub(super) fn complete(&self, completed: Completed) {
        let Completed { end, tokens, plain } = completed;
        let mut memory = self.0.truth.memory();
        let Memory { window, totals } = &mut *memory;
        window.completed += 1;
        totals.latency.add(self.0.arrival.elapsed().as_secs_f64());
        totals.answers.add(tokens as f64);
        if let Some(first) = plain {
            window.tokens += tokens;
            totals.generation_tokens += tokens;
            if tokens > 0 {
                totals.first_token.add_nanos(nanos(self.0.arrival, first));
            }
        }
        drop(memory);
        if plain.is_some() {
            self.0.tokens.store(tokens, Ordering::Relaxed);
        }
        self.end(Some(end), Some(200));
    }

    /// The answer is an error with this status. Only where work on it had begun it is one of the requests that ended.
    pub(super) fn fail(&self, status: u16, had_begun: bool) {
        self.0.truth.memory().window.errors += 1;
        self.end(had_begun.then_some(End::Error), Some(status));
        self.0.log(|entry| entry.end = End::Error.as_str());
    }

    fn end(&self, end: Option<End>, status: Option<u16>) {
        self.0.ended.store(true, Ordering::Relaxed);
        self.0.truth.in_flight.fetch_sub(1, Ordering::Relaxed);
        if let Some(end) = end {
            self.0.truth.memory().totals.ended(end);
        }
        self.0.log(|entry| {
            entry.end = end.map_or("", End::as_str);
            entry.status = status;
            entry.seconds = self.0.arrival.elapsed().as_secs_f64();
        });
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.0.ended.load(Ordering::Relaxed) {
            self.0.truth.memory().window.aborted += 1;
            let begun = self.0.begun.load(Ordering::Relaxed);
            self.end(Some(End::Abort), begun.then_some(200));
        }
    }
}

/// A request and the writes of its answer so far.
#[derive(Debug)]
pub(super) struct Exchange {
    arrival: Instant,
    /// The departure of the first token, in nanoseconds since the arrival; 0 before that.
    first_token: AtomicU64,
    /// The write of the last token, in nanoseconds since the arrival.
    last_token: AtomicU64,
    /// Tokens written.
    tokens: AtomicU64,
    /// Whether anything was written.
    begun: AtomicBool,
    /// Whether the end was noted.
    ended: AtomicBool,
    /// Its line of the log, if there is one.
    entry: Mutex<Option<Box<Entry>>>,
    truth: Arc<Truth>,
}

/// Everything that belongs to it has been written or given up.
impl Drop for Exchange {
    fn drop(&mut self) {
        let entry = self.entry.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let (Some(entry), Some(log)) = (entry, &self.truth.log) {
            entry.tokens = self.tokens.load(Ordering::Relaxed);
            let first = self.first_token.load(Ordering::Relaxed);
            entry.ttft_seconds = (first > 0).then_some(first as f64 / 1e9);
            log.write(entry);
        }
    }
}

impl Exchange {
    /// Adds something to its line of the log, if there is one.
    fn log(&self, add: impl FnOnce(&mut Entry)) {
        if self.truth.log.is_some() {
            let mut entry = self.entry.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = &mut *entry {
                add(entry);
            }
        }
    }

    /// A write carried a frame of the answer.
    ///
    /// Gaps are from the moment before one write to that before the next: the way through the kernel is the same for
    /// both. What comes first is compared with an arrival that the kernel stamped, so it is taken to have left by the
    /// kernel's clock too, where that was asked for: after a pause the way to there takes tens of microseconds.
    pub(super) fn written(&self, frame: Frame, write: Write) {
        let since = nanos(self.arrival, write.at);
        let left = nanos(self.arrival, write.left.unwrap_or(write.at));
        let first = !self.begun.swap(true, Ordering::Relaxed);
        // Only the task of the connection writes to it.
        let tokens = self.tokens.load(Ordering::Relaxed) + frame.tokens;
        self.tokens.store(tokens, Ordering::Relaxed);
        let mut memory = self.truth.memory();
        let Memory { window, totals } = &mut *memory;
        let mut dropped = 0;
        if first {
            dropped += window.first_write.push(left);
        }
        match frame.kind {
            Kind::FirstToken => {
                self.last_token.store(since, Ordering::Relaxed);
                self.first_token.store(left, Ordering::Relaxed);
                window.departures_read += u64::from(write.left.is_none());
                dropped += window.ttft.push(left);
                totals.first_token.add_nanos(left);
            }
            Kind::Token => {
                let last = self.last_token.swap(since, Ordering::Relaxed);
                let gap = since.saturating_sub(last);
                dropped += window.itl.push(gap);
                totals.between_tokens.add_nanos(gap);
            }
            Kind::Other => {}
        }
        if frame.answer {
            dropped += window.first_answer.push(left);
        }
        window.tokens += frame.tokens;
        totals.generation_tokens += frame.tokens;
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
        let truth = Arc::new(Truth::new(None));
        let at = Instant::now();
        let quality = StampQuality::Kernel;
        let after = |millis| at + Duration::from_millis(millis);
        let arrived = |quality| truth.arrived(Stamp { at, quality }, Entry::default);
        let pending = arrived(quality);
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
        let admitted = Admitted {
            prompt_tokens: 7,
            cached: Some(5),
            waited: Duration::from_millis(3),
        };
        pending.admitted(admitted, || unreachable!("there is no log"));
        pending.complete(Completed {
            end: End::Stop,
            tokens: 4,
            plain: None,
        });
        drop(pending);
        arrived(StampQuality::Read).fail(500, true);
        drop(arrived(StampQuality::Read));
        let open = arrived(StampQuality::Read);

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
