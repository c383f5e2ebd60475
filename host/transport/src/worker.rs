//! The threads that carry requests. Each has a runtime, a transport and connections of its own, so
//! that a stream never waits for a lock or for work of another thread.

use super::attempt::{InCommon, attempt};
use super::endpoints::Endpoints;
use super::sending::SendingRules;
use super::transport::Transport;
use super::{BodySettings, ClientBuildError, ConnectionNotes};
use llmuses_core::budget::BodyWait;
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::exchange::{ConnectionOpening, Exchange, Job, Prepared};
use llmuses_core::in_flight::InFlight;
use llmuses_core::last_word::LastWord;
use llmuses_core::late_reads::LateReads;
use llmuses_core::plan::{Stages, Timeouts};
use llmuses_kernel_io::processor_time::{self, ThreadWaits};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, watch};

/// What all workers of a run share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The clock of the run.
    pub clock: Clock,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How the bodies of responses are read.
    pub body: BodySettings,
    /// Turns into the beginning of the run once every worker is ready.
    pub start: watch::Receiver<Option<Moment>>,
    /// How long after the start requests are issued.
    pub until: Option<Duration>,
    /// No further request is to be issued.
    pub stop: Arc<AtomicBool>,
    /// When the coordinator was last heard, where there is one: without a recent word nothing is sent.
    pub last_word: Option<Arc<LastWord>>,
    /// What is in flight is to be given up.
    pub cancelled: watch::Receiver<bool>,
    /// Where finished exchanges go.
    pub finished: flume::Sender<Exchange>,
    /// What is noted of connections.
    pub notes: Arc<ConnectionNotes>,
    /// How many requests are under way.
    pub gauge: Arc<InFlight>,
    /// Where they go, if there are several endpoints.
    pub endpoints: Arc<Endpoints>,
    /// What each request is sent with beside what all have.
    pub sending: Arc<SendingRules>,
}

/// A request that has a place, from the hand-over to the moment at which its exchange is handed on. Also where its task
/// panics it gives the place back; nothing further is issued then.
struct Place<'a> {
    shared: &'a Shared,
    is_over: bool,
}

impl<'a> Place<'a> {
    fn take(shared: &'a Shared) -> Self {
        shared.gauge.begin();
        Self {
            shared,
            is_over: false,
        }
    }

    /// The request is not under way any more.
    fn end(&mut self) {
        if !self.is_over {
            self.is_over = true;
            self.shared.gauge.end();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            self.shared.gauge.count_panic();
            self.shared.stop.store(true, Ordering::Relaxed);
        }
        self.shared.gauge.leave();
    }
}

/// Where a worker's requests come from.
#[derive(Debug)]
pub enum Feed {
    /// Closed loop: slots that take the next body as soon as they are free. One that has taken the first turn of a session
    /// carries the later ones too.
    Closed {
        /// The bodies.
        queue: flume::Receiver<Prepared>,
        /// The number of slots of this worker.
        slots: usize,
        /// When each slot is open; always where there is none.
        ramp: Option<Ramp>,
    },
    /// Open loop: requests that a pacer hands over when they are due.
    Open {
        /// The requests.
        due: mpsc::UnboundedReceiver<Job>,
    },
}

/// How many slots of all workers are open, and when.
#[derive(Debug, Clone)]
pub enum Opening {
    /// As many as the stages of a load say.
    Stages(Stages),
    /// So many slots open evenly one after another within this time, and stay open.
    Within(Duration, usize),
}

/// Slots that open, and may close, while the run goes on.
#[derive(Debug, Clone)]
pub struct Ramp {
    /// How many slots of all workers are open, and when.
    pub opening: Opening,
    /// The place of the first slot of this worker among all of them.
    pub first: usize,
    /// From one slot of this worker to its next.
    pub step: usize,
}

impl Ramp {
    /// From when on a slot of this worker is open, counted from the start, not before `since`. `None`: not any more.
    fn opens(&self, slot: usize, since: Duration) -> Option<Duration> {
        let place = self.first + slot * self.step;
        match &self.opening {
            Opening::Stages(stages) => stages.reaches((place + 1) as f64, since),
            Opening::Within(time, slots) => {
                Some(since.max(time.mul_f64(place as f64 / (*slots).max(1) as f64)))
            }
        }
    }
}

/// What a worker tells when it ends.
#[derive(Debug, Clone, Copy)]
pub struct ClientThreadReport {
    /// The share of the run during which the thread was on a processor, 0 to 1.
    pub busy: f64,
    /// How it waited for a processor. `None`: the system does not tell.
    pub waits: Option<ThreadWaits>,
    /// How late it read the last bytes of responses.
    pub late_reads: LateReads,
}

impl ClientThreadReport {
    /// Of a thread that sent nothing.
    const IDLE: Self = Self {
        busy: 0.0,
        waits: None,
        late_reads: LateReads::NONE,
    };
}

/// A worker could not begin.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The system gave no thread or no event queue.
    #[error("a client thread could not be started: {0}")]
    Start(#[from] std::io::Error),
    /// It ended before it was ready.
    #[error("a client thread ended before the first request, by a fault of this program")]
    Broken,
    /// The transport could not be set up.
    #[error(transparent)]
    Transport(#[from] ClientBuildError),
}

/// Starts a worker. It makes its transports, one for each endpoint, on its own thread, opens `warm` connections in all,
/// hands over how long each took on `ready`, and issues once `shared.start` is set.
///
/// # Errors
/// Where the system gives no thread.
pub fn spawn<T, M>(
    index: usize,
    make_transports: M,
    warm: usize,
    feed: Feed,
    shared: Shared,
    ready: flume::Sender<Result<Vec<ConnectionOpening>, WorkerError>>,
) -> Result<JoinHandle<ClientThreadReport>, WorkerError>
where
    T: Transport + 'static,
    M: FnOnce() -> Result<Vec<T>, ClientBuildError> + Send + 'static,
{
    let body = move || {
        let set_up = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_io_events_per_tick(T::READY_AT_ONCE)
                .build_local(LocalOptions::default())?;
            Ok((runtime, make_transports()?))
        };
        let (runtime, transports) = match set_up() {
            Ok(there) => there,
            Err(error) => {
                // Told before the first request, which is then not sent.
                let _ = ready.send(Err(error));
                return ClientThreadReport::IDLE;
            }
        };
        llmuses_kernel_io::priority::be_prompt();
        runtime.block_on(async move {
            let mut openings = Vec::with_capacity(warm);
            let count = transports.len();
            for (index, transport) in transports.iter().enumerate() {
                let share = warm / count + usize::from(index < warm % count);
                openings.extend(transport.warm(share).await);
            }
            // The receiver is there until all workers have said that they are ready.
            let _ = ready.send(Ok(openings));
            drop(ready);
            work(transports, feed, shared).await
        })
    };
    Ok(std::thread::Builder::new()
        .name(format!("client-{index}"))
        .spawn(body)?)
}

async fn work<T: Transport + 'static>(
    transports: Vec<T>,
    feed: Feed,
    mut shared: Shared,
) -> ClientThreadReport {
    let start = match shared.start.wait_for(Option::is_some).await {
        Ok(start) => start.unwrap_or_default(),
        // The run was given up before it began.
        Err(_) => return ClientThreadReport::IDLE,
    };
    let cpu_before = processor_time::of_thread();
    let waits_before = processor_time::waits_of_thread();
    let worker = Rc::new(Worker {
        transports,
        shared,
        late_reads: Cell::default(),
    });
    match feed {
        Feed::Closed { queue, slots, ramp } => {
            worker.clone().closed_loop(queue, slots, ramp, start).await;
        }
        Feed::Open { due } => worker.clone().open_loop(due).await,
    }
    let wall = worker.shared.clock.now().since(start).as_secs_f64();
    let cpu = processor_time::of_thread()
        .saturating_sub(cpu_before)
        .as_secs_f64();
    ClientThreadReport {
        busy: if wall > 0.0 { cpu / wall } else { 0.0 },
        waits: waits_before
            .and_then(|before| Some(processor_time::waits_of_thread()?.since(before))),
        late_reads: worker.late_reads.get(),
    }
}

struct Worker<T> {
    /// One for each endpoint.
    transports: Vec<T>,
    shared: Shared,
    late_reads: Cell<LateReads>,
}

impl<T: Transport + 'static> Worker<T> {
    async fn closed_loop(
        self: Rc<Self>,
        queue: flume::Receiver<Prepared>,
        slots: usize,
        ramp: Option<Ramp>,
        start: Moment,
    ) {
        let mut tasks = Vec::with_capacity(slots);
        for slot in 0..slots {
            let worker = Rc::clone(&self);
            let ramp = ramp.clone();
            let queue = queue.clone();
            tasks.push(tokio::task::spawn_local(async move {
                let mut free = start;
                loop {
                    if let Some(ramp) = &ramp {
                        match worker.opened(ramp, slot, free, start).await {
                            Some(opened) => free = opened,
                            None => break,
                        }
                    }
                    let (mut prepared, body_wait) = match queue.try_recv() {
                        Ok(prepared) => (prepared, Duration::ZERO),
                        Err(_) => {
                            let budget = &worker.shared.body.budget;
                            let wait = BodyWait::begin(budget);
                            let Ok(prepared) = queue.recv_async().await else {
                                break;
                            };
                            if wait.is_for_memory(budget) {
                                worker.shared.gauge.count_wait_for_memory();
                            }
                            (prepared, worker.shared.clock.now().since(free))
                        }
                    };
                    if worker.shared.stop.load(Ordering::Relaxed) || worker.is_over(start) {
                        break;
                    }
                    let later = prepared.later.take();
                    let job = prepared.due(free, body_wait, Duration::ZERO);
                    worker.carry(job).await;
                    if let Some(later) = later {
                        while let Ok(job) = later.recv_async().await {
                            worker.carry(job).await;
                        }
                    }
                    free = worker.shared.clock.now();
                }
            }));
        }
        drop(queue);
        for task in tasks {
            // A task that ends in panic has been counted, and the run fails for it.
            let _ = task.await;
        }
    }

    /// Waits until a slot that is free is open, and gives back since when it is both. `None`: it does not open any more, or
    /// nothing further is to be issued.
    async fn opened(
        &self,
        ramp: &Ramp,
        slot: usize,
        free: Moment,
        start: Moment,
    ) -> Option<Moment> {
        /// The longest single sleep, so that a stop is noticed soon.
        const LONGEST: Duration = Duration::from_millis(50);
        let opens = start.after(ramp.opens(slot, free.since(start))?);
        loop {
            if self.shared.stop.load(Ordering::Relaxed) {
                return None;
            }
            let left = opens.since(self.shared.clock.now());
            if left.is_zero() {
                return Some(opens);
            }
            tokio::time::sleep(left.min(LONGEST)).await;
        }
    }

    /// Whether the time in which requests are issued is over.
    fn is_over(&self, start: Moment) -> bool {
        let shared = &self.shared;
        shared
            .until
            .is_some_and(|until| shared.clock.now().since(start) >= until)
    }

    async fn open_loop(self: Rc<Self>, mut due: mpsc::UnboundedReceiver<Job>) {
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                job = due.recv() => match job {
                    Some(job) => {
                        let worker = Rc::clone(&self);
                        tasks.spawn_local(async move { worker.carry(job).await });
                    }
                    None => break,
                },
                // Finished tasks are let go as the run goes on, not at its end.
                Some(_) = tasks.join_next() => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn carry(&self, mut job: Job) {
        let shared = &self.shared;
        // A process that stood still has much that is due, and its other threads may not know yet.
        if shared
            .last_word
            .as_ref()
            .is_some_and(|word| !word.is_recent())
        {
            shared.stop.store(true, Ordering::Relaxed);
            shared.gauge.count_not_sent();
            shared.gauge.leave();
            return;
        }
        let mut place = Place::take(shared);
        let mut cancelled = shared.cancelled.clone();
        job.sending = shared.sending.of(&job);
        let choice = shared.endpoints.choose(job.number, job.place.session);
        let index = choice.as_ref().map_or(0, |choice| choice.index);
        let mut exchange = attempt(
            &self.transports[index],
            InCommon {
                clock: &shared.clock,
                timeouts: &shared.timeouts,
                body: &shared.body,
                notes: &shared.notes,
                late_reads: &self.late_reads,
            },
            &mut cancelled,
            job,
        )
        .await;
        place.end();
        exchange.url = choice.map(|choice| choice.url());
        if let Err(flume::TrySendError::Full(exchange)) = shared.finished.try_send(exchange) {
            shared.gauge.backlog().count_wait();
            // Fails only where nobody is left to take it, which is at the end of a run that was
            // broken off.
            let _ = shared.finished.send_async(exchange).await;
        }
    }
}

#[cfg(test)]
mod tests;
