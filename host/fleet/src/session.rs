//! The side of a worker: what the coordinator says comes in, rows go out, and where nothing comes in any more, no more
//! load is sent.

use crate::error::SessionError;
use crate::lines::{
    Done, Failed, Halt, Hello, Pong, Ready, SILENCE, ToCoordinator, ToWorker, WorkPlan, line,
    message, next_line, silent_for,
};
use crate::row::Row;
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::in_flight::InFlight;
use llmuses_core::last_word::LastWord;
use llmuses_core::wording::hexadecimal;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Rows that wait for the coordinator at most.
const ROWS_AHEAD: usize = 8192;

/// Bytes that are written at once, so that the answer to a ping does not wait for long.
const AT_ONCE: usize = 64 << 10;

/// How long the first line may take: machines that start late hold up all others.
const FIRST_LINE: Duration = Duration::from_secs(600);

/// A worker's connection to its coordinator.
pub struct Session {
    shared: Arc<Shared>,
    orders: flume::Receiver<ToWorker>,
    /// What tells the run from all others, once its plan has come.
    run_id: OnceLock<String>,
}

struct Shared {
    clock: Clock,
    output: Mutex<Box<dyn Write + Send>>,
    /// When the last line came.
    heard: Arc<LastWord>,
    /// Why the coordinator is gone.
    lost: Mutex<Option<String>>,
    is_lost: AtomicBool,
    /// What is set where the coordinator is gone, so that the load ends as at an interrupt.
    stop: Mutex<Option<Arc<AtomicBool>>>,
    /// The last load that the coordinator has halted in either way, from 1.
    drains: AtomicU32,
    ends_now: AtomicU32,
    /// The last one of which it said that the run was interrupted.
    interrupts: AtomicU32,
    gauge: Mutex<Option<Arc<InFlight>>>,
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each holds one value that is whole after every call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut output = lock(&self.output);
        output.write_all(bytes)?;
        output.flush()
    }

    fn say(&self, message: &ToCoordinator) -> std::io::Result<()> {
        self.write(&line(message))
    }

    fn lose(&self, reason: String) {
        lock(&self.lost).get_or_insert(reason);
        self.is_lost.store(true, Ordering::SeqCst);
        if let Some(stop) = lock(&self.stop).as_ref() {
            stop.store(true, Ordering::SeqCst);
        }
    }

    fn pong(&self, ping: u64, at: Moment) -> std::io::Result<()> {
        let gauge = lock(&self.gauge).clone();
        let count = |count: fn(&InFlight) -> u64| gauge.as_deref().map_or(0, count);
        self.say(&ToCoordinator::Pong(Pong {
            ping,
            at: at.nanos(),
            begun: count(InFlight::begun),
            in_flight: count(InFlight::now),
        }))
    }

    /// Reads lines until there are no more.
    fn listen(&self, mut input: impl BufRead, orders: &flume::Sender<ToWorker>) {
        let mut bytes = Vec::new();
        let reason = loop {
            match next_line(&mut input, &mut bytes) {
                Ok(true) => {}
                Ok(false) => break "standard input has ended".to_owned(),
                Err(error) => break format!("standard input: {error}"),
            }
            let now = self.clock.now();
            // What lay in the pipe while this process stood still is no sign that somebody is there.
            if !self.heard.heard(now) {
                break silent_for(SILENCE);
            }
            match message(&bytes) {
                Ok(ToWorker::Ping(ping)) => {
                    if let Err(error) = self.pong(ping, now) {
                        break format!("standard output: {error}");
                    }
                }
                Ok(ToWorker::Halt { load, how }) => {
                    if how == Halt::Interrupt {
                        self.interrupts.store(load, Ordering::SeqCst);
                    }
                    let halted = match how {
                        Halt::Drain => &self.drains,
                        Halt::Now | Halt::Interrupt => &self.ends_now,
                    };
                    halted.store(load, Ordering::SeqCst);
                }
                Ok(order) => {
                    let is_end = matches!(order, ToWorker::End);
                    orders.send(order).ok();
                    if is_end {
                        return;
                    }
                }
                Err(shown) => break SessionError::Line(shown).to_string(),
            }
        };
        self.lose(reason);
    }

    /// Looks whether the coordinator has been silent for too long, until it is gone.
    fn watch(&self) {
        while !self.is_lost.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
            let (silent, limit) = match self.heard.silence() {
                Some(silent) => (silent, SILENCE),
                None => (self.clock.now().since(Moment::default()), FIRST_LINE),
            };
            if silent > limit {
                self.lose(silent_for(limit));
            }
        }
    }
}

impl Session {
    /// Says hello, and listens from then on.
    ///
    /// # Errors
    /// Where the first line cannot be written, or the system gives no thread.
    pub fn begin(
        clock: Clock,
        hello: Hello,
        input: impl BufRead + Send + 'static,
        output: impl Write + Send + 'static,
    ) -> Result<Self, SessionError> {
        let shared = Arc::new(Shared {
            clock,
            output: Mutex::new(Box::new(output)),
            heard: Arc::new(LastWord::new(clock, SILENCE)),
            lost: Mutex::new(None),
            is_lost: AtomicBool::new(false),
            stop: Mutex::new(None),
            drains: AtomicU32::new(0),
            ends_now: AtomicU32::new(0),
            interrupts: AtomicU32::new(0),
            gauge: Mutex::new(None),
        });
        shared.say(&ToCoordinator::Hello(hello))?;
        let (give, orders) = flume::unbounded();
        let listening = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("orders".to_owned())
            .spawn(move || listening.listen(input, &give))?;
        let watching = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("silence".to_owned())
            .spawn(move || watching.watch())?;
        Ok(Self {
            shared,
            orders,
            run_id: OnceLock::new(),
        })
    }

    /// The clock in whose moments all is said.
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// What tells the run from all others. `None`: its plan has not come.
    pub fn run_id(&self) -> Option<&str> {
        self.run_id.get().map(String::as_str)
    }

    /// When the coordinator was last heard, for those who send requests.
    pub fn last_word(&self) -> Arc<LastWord> {
        Arc::clone(&self.shared.heard)
    }

    /// Waits for what is to be done.
    ///
    /// # Errors
    /// Where the coordinator is gone, or says something else.
    pub fn plan(&self) -> Result<WorkPlan, SessionError> {
        match self.order()? {
            ToWorker::Plan(plan) => {
                // There is one plan.
                let _ = self.run_id.set(plan.run_id.clone());
                Ok(plan)
            }
            ToWorker::End => Err(SessionError::End),
            _ => Err(SessionError::Order),
        }
    }

    fn order(&self) -> Result<ToWorker, SessionError> {
        loop {
            match self.orders.recv_timeout(Duration::from_millis(50)) {
                Ok(order) => return Ok(order),
                Err(flume::RecvTimeoutError::Disconnected) => {
                    let reason = lock(&self.shared.lost).clone();
                    return Err(reason.map_or(SessionError::End, SessionError::Lost));
                }
                Err(flume::RecvTimeoutError::Timeout) => {
                    if let Some(reason) = self.lost() {
                        return Err(SessionError::Lost(reason));
                    }
                }
            }
        }
    }

    /// Says that all is in place for a load, and waits for its beginning: the moment of this worker's clock at which it
    /// begins. `gauge` counts its requests, and `stop` is set where the coordinator is gone.
    ///
    /// # Errors
    /// Where the coordinator is gone, has no further load, or the moment is over already.
    pub fn ready(
        &self,
        ready: &Ready,
        gauge: Arc<InFlight>,
        stop: Arc<AtomicBool>,
    ) -> Result<Moment, SessionError> {
        *lock(&self.shared.gauge) = Some(gauge);
        *lock(&self.shared.stop) = Some(Arc::clone(&stop));
        if self.shared.is_lost.load(Ordering::SeqCst) {
            stop.store(true, Ordering::SeqCst);
        }
        self.shared.say(&ToCoordinator::Ready(ready.clone()))?;
        let start = match self.order()? {
            ToWorker::Go { load, start } if load == ready.load => Moment::from_nanos(start),
            ToWorker::End => return Err(SessionError::End),
            _ => return Err(SessionError::Order),
        };
        let now = self.shared.clock.now();
        if now >= start {
            return Err(SessionError::Late {
                late: now.since(start),
            });
        }
        Ok(start)
    }

    /// Says why this worker cannot go on.
    pub fn fail(&self, message: &str) {
        let failed = Failed {
            message: message.to_owned(),
        };
        // Whoever does not hear it sees that this program ends.
        self.shared.say(&ToCoordinator::Failed(failed)).ok();
    }

    /// Why the coordinator is gone. `None`: it is there.
    pub fn lost(&self) -> Option<String> {
        lock(&self.shared.lost).clone()
    }

    /// Whether no more requests of this load are to be sent, and those in flight have as long as at the end of its time.
    pub fn drains(&self, load: u32) -> bool {
        self.shared.drains.load(Ordering::Relaxed) == load
    }

    /// Whether the coordinator ends this load as at an interrupt of its own, whatever the reason.
    pub fn ends_now(&self, load: u32) -> bool {
        self.shared.ends_now.load(Ordering::Relaxed) == load
    }

    /// Whether the reason is that the run was interrupted.
    pub fn is_interrupted(&self, load: u32) -> bool {
        self.shared.interrupts.load(Ordering::Relaxed) == load
    }

    /// Takes the rows of a load.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn rows(&self) -> std::io::Result<RowSender> {
        let (rows, queue) = flume::bounded::<Box<Row>>(ROWS_AHEAD);
        let shared = Arc::clone(&self.shared);
        let writer = std::thread::Builder::new()
            .name("rows".to_owned())
            .spawn(move || write_rows(&shared, &queue))?;
        Ok(RowSender {
            shared: Arc::clone(&self.shared),
            rows,
            writer,
        })
    }
}

/// Takes rows of a load to the coordinator.
pub struct RowSender {
    shared: Arc<Shared>,
    rows: flume::Sender<Box<Row>>,
    writer: JoinHandle<(u64, String)>,
}

impl RowSender {
    /// Sends a row. Waits while many are on their way; where the coordinator is gone, nobody wants it any more.
    pub fn send(&self, row: Row) {
        let mut row = Box::new(row);
        while !self.shared.is_lost.load(Ordering::Relaxed) {
            match self.rows.send_timeout(row, Duration::from_millis(100)) {
                Ok(()) | Err(flume::SendTimeoutError::Disconnected(_)) => return,
                Err(flume::SendTimeoutError::Timeout(back)) => row = back,
            }
        }
    }

    /// Says that a load is over, once all rows have gone. `totals`: those of this worker, as JSON.
    ///
    /// # Errors
    /// Where the coordinator is gone.
    pub fn done(self, load: u32, totals: Box<RawValue>) -> Result<(), SessionError> {
        drop(self.rows);
        let ended = loop {
            if self.writer.is_finished() {
                break self.writer.join().ok();
            }
            // A reader that takes nothing keeps the thread for good.
            if self.shared.is_lost.load(Ordering::Relaxed) {
                break None;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let lost = lock(&self.shared.lost).clone();
        match (ended, lost) {
            (Some((rows, sha256)), None) => Ok(self.shared.say(&ToCoordinator::Done(Done {
                load,
                rows,
                sha256,
                totals,
            }))?),
            (_, reason) => Err(SessionError::Lost(reason.unwrap_or_default())),
        }
    }
}

/// Writes rows as they come, and gives back how many and their digest.
fn write_rows(shared: &Shared, queue: &flume::Receiver<Box<Row>>) -> (u64, String) {
    let (mut rows, mut digest) = (0, Sha256::new());
    let mut bytes = Vec::new();
    while let Ok(row) = queue.recv() {
        bytes.clear();
        for row in std::iter::once(row).chain(queue.try_iter()) {
            bytes.extend(line(&ToCoordinator::Row(row)));
            rows += 1;
            if bytes.len() >= AT_ONCE {
                break;
            }
        }
        digest.update(&bytes);
        if let Err(error) = shared.write(&bytes) {
            shared.lose(format!("standard output: {error}"));
            break;
        }
    }
    (rows, hexadecimal(&digest.finalize()))
}

#[cfg(test)]
mod tests;
