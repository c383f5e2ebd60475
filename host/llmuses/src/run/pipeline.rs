//! The threads of a run, set up so that nothing is sent before all of them are ready.

use super::RunError;
use super::feeds::feeds;
use super::preparation::{PREPARED_AHEAD, Preparation};
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::cost::ParserCost;
use llmuses_core::exchange::{ConnectionOpening, Outcome, Prepared};
use llmuses_core::in_flight::InFlight;
use llmuses_core::last_word::LastWord;
use llmuses_core::plan::{Plan, Target, TransportChoice, TransportSettings};
use llmuses_kernel_io::priority;
use llmuses_load::{Pacing, TurnPacing};
use llmuses_plugin_host::parse;
use llmuses_plugin_host::parse::{GaveUp, ParseSettings};
use llmuses_transport::socket::{SocketSettings, SocketTransport};
use llmuses_transport::worker::{ClientThreadReport, Feed, Shared, WorkerError};
use llmuses_transport::{
    BodySettings, ConnectionNotes, Endpoints, ReqwestTransport, SendingRules, worker,
};
use llmuses_workload::SessionsUnderWay;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// Exchanges and outcomes that wait for the parsers and for the statistics at most.
const FINISHED_QUEUE: usize = 1024;

/// How often the run looks up for an interrupt while nothing finishes.
pub(super) const LOOK_UP: Duration = Duration::from_millis(50);

/// The most threads for parsers: they share the machine with the threads that stamp.
const MOST_PARSE_THREADS: usize = 4;

/// Requests at a time for which a client thread of an open loop is ready beforehand. More are no fault; each further one
/// waits until its client is made.
const AT_ONCE_IN_AN_OPEN_LOOP: usize = 32;

/// The threads that carry and parse requests, and what ties them together.
pub(super) struct Pipeline {
    pub(super) clock: Clock,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) cancel: watch::Sender<bool>,
    pub(super) gauge: Arc<InFlight>,
    pub(super) notes: Arc<ConnectionNotes>,
    pub(super) gave_up: Arc<GaveUp>,
    pub(super) sessions: Option<Arc<SessionsUnderWay>>,
    pub(super) outcomes: flume::Receiver<Outcome>,
    pub(super) workers: Vec<JoinHandle<ClientThreadReport>>,
    pub(super) parsers: Vec<JoinHandle<ParserCost>>,
    pub(super) warm_connections: Vec<ConnectionOpening>,
}

impl Pipeline {
    /// Starts the threads of parsers and clients and opens connections; no request goes yet. `last_word`: of the
    /// coordinator, where there is one.
    pub(super) fn assemble(
        plan: &Plan,
        prepared: &Preparation,
        clock: Clock,
        last_word: Option<Arc<LastWord>>,
        interrupted: &AtomicBool,
    ) -> Result<(Self, Start), RunError> {
        let stop = Arc::new(AtomicBool::new(false));
        let gave_up = Arc::new(GaveUp::default());
        let gauge = Arc::new(InFlight::default());
        let notes = Arc::new(ConnectionNotes::default());
        let (cancel, cancelled) = watch::channel(false);
        let (begin, begun) = watch::channel(None);
        let (finished, exchanges) = flume::bounded(FINISHED_QUEUE);
        let (parsed, outcomes) = flume::bounded(FINISHED_QUEUE);

        let (ready_turns, turns) = flume::unbounded();
        let sessions = prepared.sessions.clone().map(|settings| {
            Arc::new(SessionsUnderWay::new(
                settings,
                clock,
                Arc::clone(&stop),
                ready_turns,
            ))
        });
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let parsers = (0..cores.min(MOST_PARSE_THREADS))
            .map(|index| {
                let settings = ParseSettings {
                    parser: prepared.parser.clone(),
                    context: prepared.context.clone(),
                    parameters: Arc::clone(&prepared.parameters),
                    secrets: Arc::clone(&prepared.secrets),
                    url: Arc::new(plan.target.url.clone()),
                    stop: Arc::clone(&stop),
                    backlog: Arc::clone(gauge.backlog()),
                    gave_up: Arc::clone(&gave_up),
                    sessions: sessions.clone().map(|sessions| sessions as _),
                };
                parse::spawn(index, settings, exchanges.clone(), parsed.clone())
            })
            .collect::<Result<Vec<_>, _>>()?;

        let (queue, bodies) = flume::bounded(PREPARED_AHEAD);
        let shared = Shared {
            clock,
            timeouts: plan.transport.timeouts,
            body: BodySettings {
                framing: prepared.parser.info().framing,
                budget: Arc::clone(&prepared.budget),
                label_header: plan.target.label_header.clone(),
            },
            start: begun,
            until: plan.load.duration,
            stop: Arc::clone(&stop),
            last_word,
            cancelled,
            finished,
            notes: Arc::clone(&notes),
            gauge: Arc::clone(&gauge),
            endpoints: Arc::new(Endpoints::of(&plan.target, plan.load.shard.parts())),
            sending: Arc::new(SendingRules::of_plan(plan)),
        };
        let (feeds, pacing) = feeds(plan, prepared, bodies, &gauge);
        let later = sessions.as_ref().map(|_| TurnPacing {
            turns,
            until: plan.load.duration,
            workers: pacing
                .as_ref()
                .map_or_else(Vec::new, |pacing| pacing.workers.clone()),
            in_flight: Arc::clone(&gauge),
            most: prepared.max_in_flight.unwrap_or(u64::MAX),
        });
        let count = feeds.len();
        let (ready, all_ready) = flume::bounded(count);
        let workers = start_workers(
            &plan.target,
            &plan.transport,
            prepared,
            feeds,
            &shared,
            &ready,
        )?;
        drop((shared, ready));
        let warm_connections = warmed(&all_ready, count, interrupted)?;
        let pipeline = Self {
            clock,
            stop,
            cancel,
            gauge,
            notes,
            gave_up,
            sessions,
            outcomes,
            workers,
            parsers,
            warm_connections,
        };
        let start = Start {
            begin,
            queue,
            pacing,
            later,
        };
        Ok((pipeline, start))
    }

    /// The next outcome, or that there is none yet, or that no more can come. Some gather where there was none:
    /// to be woken for each would cost more than to count it.
    pub(super) fn next_outcome(&self) -> Result<Outcome, flume::RecvTimeoutError> {
        match self.outcomes.try_recv() {
            Ok(outcome) => Ok(outcome),
            Err(flume::TryRecvError::Disconnected) => Err(flume::RecvTimeoutError::Disconnected),
            Err(flume::TryRecvError::Empty) => {
                std::thread::sleep(priority::GATHER);
                self.outcomes.recv_timeout(LOOK_UP)
            }
        }
    }
}

/// What begins a run once everything is in place.
pub(super) struct Start {
    pub(super) begin: watch::Sender<Option<Moment>>,
    pub(super) queue: flume::Sender<Prepared>,
    pub(super) pacing: Option<Pacing>,
    /// Of later turns of sessions.
    pub(super) later: Option<TurnPacing>,
}

/// Waits until every client thread has opened its connections, and gives back how long each took.
fn warmed(
    ready: &flume::Receiver<Result<Vec<ConnectionOpening>, WorkerError>>,
    workers: usize,
    interrupted: &AtomicBool,
) -> Result<Vec<ConnectionOpening>, RunError> {
    let mut openings = Vec::new();
    let mut waiting = workers;
    while waiting > 0 {
        match ready.recv_timeout(LOOK_UP) {
            Ok(opened) => {
                openings.extend(opened?);
                waiting -= 1;
            }
            // All have let go of their sender, and one has said nothing.
            Err(flume::RecvTimeoutError::Disconnected) => return Err(WorkerError::Broken.into()),
            Err(flume::RecvTimeoutError::Timeout) if interrupted.load(Ordering::Relaxed) => {
                return Err(RunError::Interrupted);
            }
            Err(flume::RecvTimeoutError::Timeout) => {}
        }
    }
    Ok(openings)
}

/// Starts the client threads.
fn start_workers(
    target: &Target,
    transport: &TransportSettings,
    prepared: &Preparation,
    feeds: Vec<Feed>,
    shared: &Shared,
    ready: &flume::Sender<Result<Vec<ConnectionOpening>, WorkerError>>,
) -> Result<Vec<JoinHandle<ClientThreadReport>>, RunError> {
    let targets: Vec<Target> = target.of_each_url().collect();
    let settings = match transport.choice {
        TransportChoice::Socket => Some(
            targets
                .iter()
                .map(|target| {
                    SocketSettings::new(
                        target,
                        &transport.timeouts,
                        prepared.headers.clone(),
                        Arc::clone(&shared.notes),
                    )
                    .map(|settings| settings.with_limit(transport.requests_per_connection))
                })
                .collect::<Result<Vec<_>, _>>()?,
        ),
        TransportChoice::Reqwest => None,
    };
    let mut workers = Vec::with_capacity(feeds.len());
    for (index, feed) in feeds.into_iter().enumerate() {
        let warm = match &feed {
            // With a ramp, each user comes with a connection of its own.
            Feed::Closed {
                slots, ramp: None, ..
            } if transport.warm_connections => *slots,
            _ => 0,
        };
        let at_once = match &feed {
            Feed::Closed { slots, .. } => *slots,
            Feed::Open { .. } => AT_ONCE_IN_AN_OPEN_LOOP,
        };
        let (shared, ready) = (shared.clone(), ready.clone());
        workers.push(match settings.clone() {
            Some(settings) => {
                let make = || {
                    Ok(settings
                        .into_iter()
                        .map(SocketTransport::new)
                        .collect::<Vec<_>>())
                };
                worker::spawn(index, make, warm, feed, shared, ready)?
            }
            None => {
                let (targets, timeouts) = (targets.clone(), transport.timeouts);
                let headers = prepared.headers.clone();
                let notes = Arc::clone(&shared.notes);
                let limit = transport.requests_per_connection;
                let make = move || {
                    let each = at_once.div_ceil(targets.len());
                    let made = targets.iter().map(|target| {
                        let notes = Arc::clone(&notes);
                        ReqwestTransport::new(target, &timeouts, headers.clone(), notes)?
                            .with_limit(limit)
                            .prepared_for(each)
                    });
                    made.collect::<Result<Vec<_>, _>>()
                };
                worker::spawn(index, make, warm, feed, shared, ready)?
            }
        });
    }
    Ok(workers)
}
