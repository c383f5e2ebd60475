//! One worker as the coordinator has it: its process, and the threads that write to it and read from it.

use crate::bounds::{ClockOffset, OffsetBounds};
use crate::error::FleetError;
use crate::launch::{FleetSettings, kill};
use crate::lines::{
    BEAT, Done, HELLO, Hello, Pong, ROW, Ready, SILENCE, ToCoordinator, ToWorker, line, message,
    next_line, shown,
};
use crate::row::RowContent;
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::messages::Messages;
use llmuses_core::wording::hexadecimal;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that are read at once.
const READ_AT_ONCE: usize = 256 << 10;

/// What a worker said.
#[derive(Debug)]
pub(crate) enum Said {
    Hello(Hello),
    Ready(Ready),
    Pong,
    Row(Box<RowContent>, u64),
    /// The load is over, with totals; its rows are whole.
    Done(Box<RawValue>),
    Failed(String),
    /// Nothing can be read from it any more.
    Broken(String),
}

/// What the threads of a worker share.
#[derive(Debug)]
struct State {
    clock: Clock,
    heard: AtomicU64,
    /// Whether what it said waits to be taken: then it is not its silence.
    waits: AtomicBool,
    greeted: AtomicBool,
    /// What it printed last before it said hello.
    printed: Mutex<Option<String>>,
    begun: AtomicU64,
    in_flight: AtomicU64,
    pings: Mutex<Pings>,
    /// Of its clock, for the load that goes on.
    offset: Mutex<Option<ClockOffset>>,
}

#[derive(Debug, Default)]
struct Pings {
    next: u64,
    /// When those without an answer were sent.
    open: BTreeMap<u64, Moment>,
    bounds: OffsetBounds,
}

/// Pings without an answer that are remembered.
const MOST_OPEN: usize = 64;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each holds one value that is whole after every call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// A ping, noted as sent now.
    fn ping(&self) -> ToWorker {
        let mut pings = lock(&self.pings);
        let number = pings.next;
        pings.next += 1;
        while pings.open.len() >= MOST_OPEN {
            pings.open.pop_first();
        }
        pings.open.insert(number, self.clock.now());
        ToWorker::Ping(number)
    }

    /// Notes a line that belongs to no protocol, such as what a shell says as it starts.
    fn note_printed(&self, text: &[u8]) {
        let line = shown(text.trim_ascii());
        if !self.greeted.load(Ordering::Relaxed) && !line.is_empty() {
            *lock(&self.printed) = Some(line);
        }
    }

    fn pong(&self, pong: Pong, received: Moment) {
        self.begun.store(pong.begun, Ordering::Relaxed);
        self.in_flight.store(pong.in_flight, Ordering::Relaxed);
        let mut pings = lock(&self.pings);
        if let Some(sent) = pings.open.remove(&pong.ping) {
            pings.bounds.add(sent, pong.at, received);
        }
    }
}

/// A worker.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) name: String,
    to: Option<flume::Sender<ToWorker>>,
    child: Child,
    state: Arc<State>,
}

impl Link {
    /// Starts a worker. What it says comes out of `said` under its number.
    pub(crate) fn start(
        settings: &FleetSettings,
        number: usize,
        name: &str,
        host: &str,
        clock: Clock,
        said: &flume::Sender<(usize, Said)>,
        messages: &Messages,
    ) -> Result<Self, FleetError> {
        let failed = |source| FleetError::Start {
            worker: name.to_owned(),
            program: "a thread".to_owned(),
            source,
        };
        let mut child = settings.launcher.start(name, host, &settings.credentials)?;
        let state = Arc::new(State {
            clock,
            heard: AtomicU64::new(clock.now().nanos()),
            waits: AtomicBool::new(false),
            greeted: AtomicBool::new(false),
            printed: Mutex::default(),
            begun: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            pings: Mutex::default(),
            offset: Mutex::default(),
        });
        let (to, orders) = flume::unbounded();
        let thread = |what: &str| std::thread::Builder::new().name(format!("{what} {name}"));
        if let Some(input) = child.stdin.take() {
            let state = Arc::clone(&state);
            thread("to")
                .spawn(move || write(&state, input, &orders))
                .map_err(failed)?;
        }
        if let Some(output) = child.stdout.take() {
            let reader = Reader {
                state: Arc::clone(&state),
                number,
                said: said.clone(),
                messages: messages.clone(),
                name: name.to_owned(),
                load: 0,
                rows: 0,
                digest: Sha256::new(),
            };
            thread("from")
                .spawn(move || reader.run(output))
                .map_err(failed)?;
        }
        if let Some(errors) = child.stderr.take() {
            let (messages, name) = (messages.clone(), name.to_owned());
            let state = Arc::clone(&state);
            let show = move || {
                for text in BufReader::new(errors).split(b'\n').map_while(Result::ok) {
                    state.note_printed(&text);
                    messages.say(format!("worker {name}: {}", String::from_utf8_lossy(&text)));
                }
            };
            thread("errors").spawn(show).map_err(failed)?;
        }
        Ok(Self {
            name: name.to_owned(),
            to: Some(to),
            child,
            state,
        })
    }

    /// Says something to it.
    pub(crate) fn say(&self, order: ToWorker) {
        if let Some(to) = &self.to {
            // Where nobody takes it, its end is on its way.
            to.send(order).ok();
        }
    }

    /// Sends a ping now.
    pub(crate) fn ping(&self) {
        // The number is given where it is written.
        self.say(ToWorker::Ping(0));
    }

    /// Forgets earlier pings.
    pub(crate) fn forget_pings(&self) {
        lock(&self.state.pings).bounds = OffsetBounds::default();
    }

    /// The pings so far.
    pub(crate) fn bounds(&self) -> OffsetBounds {
        lock(&self.state.pings).bounds.clone()
    }

    /// A load begins, in which its clock has this offset.
    pub(crate) fn begin(&self, offset: ClockOffset) {
        self.state.begun.store(0, Ordering::Relaxed);
        self.state.in_flight.store(0, Ordering::Relaxed);
        *lock(&self.state.offset) = Some(offset);
    }

    /// Requests begun, and in flight, as it said last.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (
            self.state.begun.load(Ordering::Relaxed),
            self.state.in_flight.load(Ordering::Relaxed),
        )
    }

    /// Whether it has said hello and nothing for too long since.
    pub(crate) fn is_silent(&self) -> bool {
        let heard = Moment::from_nanos(self.state.heard.load(Ordering::Relaxed));
        self.state.greeted.load(Ordering::Relaxed)
            && !self.state.waits.load(Ordering::Relaxed)
            && self.state.clock.now().since(heard) > SILENCE
    }

    /// How its program ended, where it has, within a moment.
    pub(crate) fn exit(&mut self) -> Option<String> {
        let until = Instant::now() + Duration::from_millis(500);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status.to_string()),
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
                _ => return None,
            }
        }
    }

    /// The last line that it printed before it said hello.
    pub(crate) fn printed(&self) -> Option<String> {
        lock(&self.state.printed).clone()
    }

    /// Closes its input.
    pub(crate) fn close(&mut self) {
        self.to = None;
    }

    /// Ends its program.
    pub(crate) fn kill(&mut self) {
        self.close();
        kill(&mut self.child);
    }

    /// Waits until its program has ended by itself, and ends it where it has not by then.
    pub(crate) fn end(&mut self, until: Instant) {
        self.close();
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        kill(&mut self.child);
    }
}

/// Writes orders as they come, and a ping where none has gone for a while.
fn write(state: &State, mut input: ChildStdin, orders: &flume::Receiver<ToWorker>) {
    let mut next = Instant::now() + BEAT;
    loop {
        let order = match orders.recv_deadline(next) {
            Ok(order) => order,
            Err(flume::RecvTimeoutError::Timeout) => ToWorker::Ping(0),
            Err(flume::RecvTimeoutError::Disconnected) => return,
        };
        let order = match order {
            ToWorker::Ping(_) => {
                next = Instant::now() + BEAT;
                if !state.greeted.load(Ordering::Relaxed) {
                    continue;
                }
                state.ping()
            }
            order => order,
        };
        // The end of a worker is seen where its output is read.
        if input
            .write_all(&line(&order))
            .and_then(|()| input.flush())
            .is_err()
        {
            return;
        }
    }
}

/// Where `text` begins in a line.
fn position(line: &[u8], text: &[u8]) -> Option<usize> {
    line.windows(text.len()).position(|part| part == text)
}

/// Reads what a worker says.
struct Reader {
    state: Arc<State>,
    number: usize,
    said: flume::Sender<(usize, Said)>,
    messages: Messages,
    name: String,
    /// The load for which it said that it is ready, from 1.
    load: u32,
    /// Of the load.
    rows: u64,
    digest: Sha256,
}

impl Reader {
    fn run(mut self, output: ChildStdout) {
        let mut output = BufReader::with_capacity(READ_AT_ONCE, output);
        let mut bytes = Vec::new();
        let reason = loop {
            match next_line(&mut output, &mut bytes) {
                Ok(true) => {}
                Ok(false) if bytes.is_empty() => break "its output ended".to_owned(),
                Ok(false) => {
                    break format!("its output was cut off within a line: {}", shown(&bytes));
                }
                Err(error) => break format!("its output cannot be read: {error}"),
            }
            let now = self.state.clock.now();
            self.state.heard.store(now.nanos(), Ordering::Relaxed);
            if !self.state.greeted.load(Ordering::Relaxed) {
                // What a shell says as it starts may have no line end of its own.
                let hello = position(&bytes, HELLO);
                let before = &bytes[..hello.unwrap_or(bytes.len())];
                self.state.note_printed(before);
                if hello.is_none() || !before.is_empty() {
                    let text = String::from_utf8_lossy(before);
                    self.messages
                        .say(format!("worker {}: {}", self.name, text.trim_end()));
                }
                match hello {
                    Some(at) => drop(bytes.drain(..at)),
                    None => continue,
                }
            }
            match self.take(&bytes, now) {
                Ok(Some(said)) => {
                    if !self.give(said) {
                        return;
                    }
                }
                Ok(None) => {}
                Err(reason) => break reason,
            }
        };
        self.give(Said::Broken(reason));
    }

    fn give(&self, said: Said) -> bool {
        let number = self.number;
        match self.said.try_send((number, said)) {
            Ok(()) => true,
            Err(flume::TrySendError::Disconnected(_)) => false,
            Err(flume::TrySendError::Full(said)) => {
                self.state.waits.store(true, Ordering::Relaxed);
                let is_taken = self.said.send(said).is_ok();
                let now = self.state.clock.now();
                self.state.heard.store(now.nanos(), Ordering::Relaxed);
                self.state.waits.store(false, Ordering::Relaxed);
                is_taken
            }
        }
    }

    fn take(&mut self, bytes: &[u8], now: Moment) -> Result<Option<Said>, String> {
        let message = message(bytes)
            .map_err(|shown| format!("its output has a line that no worker sends: {shown}"))?;
        Ok(Some(match message {
            ToCoordinator::Hello(hello) => {
                self.state.greeted.store(true, Ordering::Relaxed);
                Said::Hello(hello)
            }
            ToCoordinator::Ready(ready) => {
                self.load = ready.load;
                self.rows = 0;
                self.digest = Sha256::new();
                Said::Ready(ready)
            }
            ToCoordinator::Pong(pong) => {
                self.state.pong(pong, now);
                Said::Pong
            }
            ToCoordinator::Row(row) => {
                if !bytes.starts_with(ROW) {
                    return Err(format!("its output has an odd line: {}", shown(bytes)));
                }
                self.rows += 1;
                self.digest.update(bytes);
                let offset = *lock(&self.state.offset);
                let offset = offset.ok_or("it sent a result before the load began")?;
                let session = row.session();
                Said::Row(Box::new(row.content(offset)), session)
            }
            ToCoordinator::Done(done) => self.done(done)?,
            ToCoordinator::Failed(failed) => Said::Failed(failed.message),
        }))
    }

    fn done(&mut self, done: Done) -> Result<Said, String> {
        if done.load != self.load {
            return Err(format!(
                "it said that load {} is over, in load {}",
                done.load, self.load
            ));
        }
        if done.rows != self.rows {
            return Err(format!(
                "it sent {} results and {} came",
                done.rows, self.rows
            ));
        }
        let digest = std::mem::take(&mut self.digest);
        if done.sha256 != hexadecimal(&digest.finalize()) {
            return Err("its results came otherwise than it sent them (SHA-256)".to_owned());
        }
        Ok(Said::Done(done.totals))
    }
}
