//! What goes to standard error, written by one thread. Whoever says something puts it into a queue and goes on: a reader
//! that is slow, or that does not read at all, holds up neither the run nor its end.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that wait at most before further details are dropped.
const MOST_DETAIL_BYTES: usize = 4 << 20;

/// Bytes that wait at most before messages are dropped too.
const MOST_BYTES: usize = 16 << 20;

/// What is written at once. Small, so that a slow reader is told apart from none.
const AT_ONCE: usize = 4 << 10;

/// A reader that has taken nothing for this long does not read.
const PATIENCE: Duration = Duration::from_secs(2);

/// For how long details are still written once the program is over.
const LAST_DETAILS: Duration = Duration::from_secs(5);

/// How often waiting looks whether the reader has taken something.
const LOOK_UP: Duration = Duration::from_millis(10);

/// How much a text matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// An error, a warning, a summary: kept as long as somebody reads.
    Message,
    /// One of very many lines: dropped and counted where they are not read as fast as they come.
    Detail,
    /// A drawing of the live view: dropped where anything waits, since another one follows.
    Drawing,
}

/// The queue and the thread behind it. Copies are the same queue.
#[derive(Clone)]
pub(super) struct Outlet(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    /// Something was put into the queue.
    filled: Condvar,
    /// Everything was written.
    emptied: Condvar,
    /// Bytes written so far. Counted without the lock, since a write may take for ever.
    written: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Weight, String)>,
    bytes: usize,
    /// Whether the thread writes.
    writing: bool,
    /// Lines that were dropped.
    dropped: u64,
    /// How many of them a message has told of.
    told: u64,
    /// The bytes written when somebody last gave up waiting for the reader.
    stuck_at: Option<u64>,
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.writing
    }

    fn push(&mut self, weight: Weight, text: String) {
        let fits = match weight {
            Weight::Drawing => self.is_idle(),
            // One that is larger than all the room is taken where nothing waits.
            Weight::Detail => {
                self.waiting.is_empty() || self.bytes + text.len() <= MOST_DETAIL_BYTES
            }
            Weight::Message => self.waiting.is_empty() || self.bytes + text.len() <= MOST_BYTES,
        };
        if fits {
            self.bytes += text.len();
            self.waiting.push_back((weight, text));
        } else if weight != Weight::Drawing {
            self.dropped += lines(&text);
        }
    }

    fn drop_details(&mut self) {
        let Self {
            waiting,
            bytes,
            dropped,
            ..
        } = self;
        waiting.retain(|(weight, text)| {
            if *weight == Weight::Detail {
                *dropped += lines(text);
            }
            let stays = *weight == Weight::Message;
            if !stays {
                *bytes -= text.len();
            }
            stays
        });
    }
}

fn lines(text: &str) -> u64 {
    text.lines().count() as u64
}

impl Outlet {
    /// An outlet that writes to `out`.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(super) fn start(out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            written: AtomicU64::new(0),
        });
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("standard-error".to_owned())
            .spawn(move || of_thread.write_along(out))?;
        Ok(Self(shared))
    }

    /// Puts a text into the queue, and does not wait.
    pub(super) fn put(&self, weight: Weight, text: String) {
        self.0.lock().push(weight, text);
        self.0.filled.notify_one();
    }

    /// Waits until everything is written, for as long as somebody reads. At first use after a reader has stopped,
    /// that takes as long as `patience`; after that, no time until it reads again.
    pub(super) fn settle(&self, patience: Duration) {
        let mut queue = self.0.lock();
        let mut progress = (self.0.written.load(Ordering::Relaxed), Instant::now());
        while !queue.is_idle() {
            let written = self.0.written.load(Ordering::Relaxed);
            if queue.stuck_at == Some(written) {
                return;
            }
            if written != progress.0 {
                progress = (written, Instant::now());
            } else if progress.1.elapsed() > patience {
                queue.stuck_at = Some(written);
                return;
            }
            queue = self.0.wait(queue);
        }
    }

    /// Writes what is left, at the end of the program: messages for as long as somebody reads, details for a few
    /// seconds. Says how many lines were dropped in all.
    pub(super) fn finish(&self) {
        let begun = Instant::now();
        let mut queue = self.0.lock();
        let mut progress = (self.0.written.load(Ordering::Relaxed), Instant::now());
        loop {
            if begun.elapsed() > LAST_DETAILS {
                queue.drop_details();
            }
            if queue.is_idle() || begun.elapsed() > LAST_DETAILS {
                if queue.dropped > queue.told {
                    queue.told = queue.dropped;
                    let text = not_shown(queue.dropped);
                    queue.push(Weight::Message, text);
                    self.0.filled.notify_one();
                } else if queue.is_idle() {
                    return;
                }
            }
            let written = self.0.written.load(Ordering::Relaxed);
            if written != progress.0 {
                progress = (written, Instant::now());
            } else if progress.1.elapsed() > PATIENCE {
                return;
            }
            queue = self.0.wait(queue);
        }
    }

    /// Puts a last text before all that waits, and gives the reader a moment to take it. For an end at once: it waits
    /// for no other thread.
    pub(super) fn last_words(&self, text: String, moment: Duration) {
        let until = Instant::now() + moment;
        let mut queue = loop {
            if let Ok(queue) = self.0.queue.try_lock() {
                break queue;
            }
            if Instant::now() > until {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        queue.waiting.clear();
        queue.bytes = text.len();
        queue.waiting.push_back((Weight::Message, text));
        self.0.filled.notify_one();
        while !queue.is_idle() && Instant::now() < until {
            queue = self.0.wait(queue);
        }
    }
}

fn not_shown(lines: u64) -> String {
    let plural = if lines == 1 { " was" } else { "s were" };
    format!(
        "warning: {lines} line{plural} not shown here, since standard error was not read as fast as they came\n"
    )
}

impl Shared {
    /// Nothing panics while it holds the lock, and nothing is written meanwhile.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        self.emptied
            .wait_timeout(queue, LOOK_UP)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn write_along(&self, mut out: impl Write) {
        let mut queue = self.lock();
        loop {
            let Some((weight, text)) = queue.waiting.pop_front() else {
                queue.writing = false;
                self.emptied.notify_all();
                queue = self
                    .filled
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            queue.bytes -= text.len();
            queue.writing = true;
            drop(queue);
            // A drawing goes out in one piece, so that nobody sees half of one.
            let at_once = match weight {
                Weight::Drawing => text.len().max(1),
                Weight::Message | Weight::Detail => AT_ONCE,
            };
            for piece in text.as_bytes().chunks(at_once) {
                // Standard error is where one would complain.
                let _ = out.write_all(piece);
                self.written
                    .fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
            queue = self.lock();
        }
    }
}

#[cfg(test)]
mod tests;
