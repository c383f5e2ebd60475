//! A request and its answer, from the arrival to the last write.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use llmuses_kernel_io::{Stamp, StampQuality, Write};

use super::log::Entry;
use super::metrics::End;
use super::truth::{Memory, Truth};

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
    /// A request for an answer was received whole. `entry` makes its line of the log, if there is one.
    pub(super) fn arrived(
        truth: &Arc<Truth>,
        arrival: Stamp,
        entry: impl FnOnce() -> Entry,
    ) -> Self {
        truth.in_flight.fetch_add(1, Ordering::Relaxed);
        let mut memory = truth.memory();
        let window = &mut memory.window;
        window.requests += 1;
        window.arrivals_read += u64::from(arrival.quality == StampQuality::Read);
        window.dropped += window.arrivals.push(nanos(truth.start, arrival.at));
        drop(memory);
        let entry = truth.log.as_ref().map(|_| {
            let arrival_unix = truth.start_unix() + (arrival.at - truth.start).as_secs_f64();
            Box::new(Entry {
                arrival_unix,
                ..entry()
            })
        });
        Self(Arc::new(Exchange {
            arrival: arrival.at,
            first_token: AtomicU64::new(0),
            last_token: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            begun: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            entry: Mutex::new(entry),
            truth: Arc::clone(truth),
        }))
    }

    /// When it arrived.
    pub(super) fn arrival(&self) -> Instant {
        self.0.arrival
    }

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
        let arrived = |quality| Pending::arrived(&truth, Stamp { at, quality }, Entry::default);
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
}
