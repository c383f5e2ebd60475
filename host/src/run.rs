//! A run: the one place that knows the whole pipeline. Plan in; source, pacer, clients, parsers,
//! statistics, database and report wired together; result out.

use crate::client::ReqwestTransport;
use crate::client::capacity::{self, CapacityError};
use crate::client::socket::{SocketSettings, SocketTransport, TlsError};
use crate::client::worker::{self, Feed, InFlight, Shared, WorkerError, WorkerReport};
use crate::clock::{Clock, Moment};
use crate::exchange::{ConnectionOpening, Outcome, StampQuality};
use crate::interrupt;
use crate::parse::{self, GaveUp, ParseError, ParseSettings};
use crate::plan::{Arrivals, ParserChoice, Plan, PromptSource, Save, TransportChoice};
use crate::plugin::{
    Bounds, BuildOptions, CONTRACT_VERSION, CallError, CompileCache, Compiler, InstanceContext,
    LoadError, Loading, Parser, ParserCost, PluginEngine, TokenCounter, WASMTIME_VERSION, builtin,
};
use crate::redact::Secrets;
use crate::report::{self, Progress};
use crate::schedule::{due_times, pace};
use crate::sink::{Database, FinishedRun, RunRecord, RunState, SinkError, SinkSummary};
use crate::stats::{
    Circumstances, DatasetUse, Doubt, Origin, RunStatistics, judge, totals_json, verdict_json,
};
use crate::trace;
use crate::workload::{
    Dataset, DatasetError, HostTokenizer, Prepared, RequestSource, SourceEnd, SourceError,
    SourceReport, SourceSettings, TokenizerError,
};
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Bodies that are made ahead of the clients.
const PREPARED_AHEAD: usize = 256;

/// Exchanges and outcomes that wait for the parsers and for the statistics at most.
const FINISHED_QUEUE: usize = 1024;

/// How long requests in flight have, after an interrupt, before they are given up.
const DRAIN: Duration = Duration::from_secs(5);

/// How often the run looks up for an interrupt while nothing finishes.
const LOOK_UP: Duration = Duration::from_millis(50);

/// The most threads for parsers: they share the machine with the threads that stamp.
const MOST_PARSE_THREADS: usize = 4;

/// There can be no run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// More connections than this machine holds.
    #[error(transparent)]
    Capacity(#[from] CapacityError),
    /// The WebAssembly engine does not run here.
    #[error("the WebAssembly engine could not be set up: {0}")]
    Engine(String),
    /// The parser cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The parser broke before the first request.
    #[error(transparent)]
    Parser(#[from] CallError),
    /// The tokenizer cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The data set cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// No request can be made.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A client thread cannot be started.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A parser thread cannot be started.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The database cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// It was interrupted before it began.
    #[error("interrupted before the first request")]
    Interrupted,
    /// The system gives no thread, or does not let signals be watched.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl RunError {
    /// Whether what was typed is at fault, rather than the run.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Capacity(_) | Self::Dataset(_) | Self::Tokenizer(_) => true,
            Self::Source(error) => matches!(error, SourceError::Begin { .. }),
            Self::Load(error) => !matches!(error, LoadError::Call(_) | LoadError::Host(_)),
            Self::Sink(error) => matches!(
                error,
                SinkError::Exists { .. } | SinkError::NoFolder { .. } | SinkError::Create { .. }
            ),
            _ => false,
        }
    }
}

/// What a run gave.
#[derive(Debug)]
pub struct RunResult {
    /// Totals and histograms.
    pub statistics: RunStatistics,
    /// What the totals do not know.
    pub circumstances: Circumstances,
    /// What speaks against the numbers.
    pub doubts: Vec<Doubt>,
    /// Whether any doubt makes the run a failed one.
    pub valid_required: bool,
    /// What became of the rows. `None` where none were to be kept.
    pub stored: Option<SinkSummary>,
}

impl RunResult {
    /// Whether the run was carried out: not ended early, at least one request succeeded, every row was
    /// kept, and nothing speaks against the numbers where that was required.
    pub fn is_good(&self) -> bool {
        if self.valid_required && !self.doubts.is_empty() {
            return false;
        }
        !self.circumstances.interrupted
            && self.circumstances.stop_reason.is_none()
            && self.statistics.counts().succeeded > 0
            && self
                .stored
                .as_ref()
                .is_none_or(|stored| stored.not_kept == 0)
    }
}

/// Carries out a plan: progress goes to standard error, the summary to standard output.
///
/// # Errors
/// Why there could be no run. A run that began always gives a result, whatever became of it.
pub fn run(plan: Plan) -> Result<RunResult, RunError> {
    let (prepared, source) = Preparation::of(&plan)?;
    let clock = Clock::start();
    let origin = Origin::of(&plan.arrivals);
    let interrupted = interrupt::flag()?;
    // Before connections are opened: that it cannot be written must not be found out later.
    let database = match plan.save {
        Save::Nothing => None,
        Save::Summary | Save::Full => {
            let record = prepared.record(&plan, clock, origin);
            Some(Database::create(&plan.database, &record)?)
        }
    };
    if !plan.quiet {
        eprintln!("{}", report::opening(&plan, prepared.parser.info()));
    }
    let begun = Pipeline::assemble(&plan, &prepared, clock, &interrupted)
        .and_then(|(pipeline, start)| pipeline.begin(start, source));
    let pipeline = match begun {
        Ok(pipeline) => pipeline,
        Err(error) => {
            // No request was sent. An empty file would be in the way of the next attempt.
            if let Some(database) = database {
                database.discard();
            }
            return Err(error);
        }
    };
    let rows = database.as_ref().filter(|_| plan.save == Save::Full);
    let collected = pipeline.collect(&plan, &prepared, rows, origin, &interrupted);
    finish(&plan, clock, database, collected)
}

/// Everything that can go wrong before the first request, done.
struct Preparation {
    parser: Parser,
    context: InstanceContext,
    parameters: Arc<str>,
    headers: HeaderMap,
    secrets: Arc<Secrets>,
}

impl Preparation {
    fn of(plan: &Plan) -> Result<(Self, RequestSource), RunError> {
        ensure_capacity(plan)?;
        let parser = load_parser(&plan.parser, &plan.bounds, plan.compile_cache)?;
        let dataset = match &plan.prompts {
            PromptSource::Dataset(path) => Some(Arc::new(Dataset::open(path)?)),
            PromptSource::Prompt(_) => None,
        };
        let tokenizer = match &plan.tokenizer {
            Some(path) => Some(Arc::new(HostTokenizer::load(path)?) as Arc<dyn TokenCounter>),
            None => None,
        };
        let context = InstanceContext {
            dataset: dataset.clone().map(|dataset| dataset as _),
            tokenizer,
            debug: plan.debug,
            seed: plan.seed,
        };
        let parameters: Arc<str> = serde_json::Value::Object(plan.parameters.clone())
            .to_string()
            .into();
        let mut source = RequestSource::new(
            parser.info().name.clone(),
            parser.instantiate(context.clone())?,
            dataset,
            SourceSettings {
                options: build_options(plan, &parameters),
                requests: match &plan.prompts {
                    PromptSource::Prompt(_) => plan.requests.or(Some(1)),
                    PromptSource::Dataset(_) => plan.requests,
                },
                skip_bad_lines: plan.skip_bad_lines,
            },
        );
        source.prepare(PREPARED_AHEAD)?;
        let prepared = Self {
            headers: headers(plan, &parser),
            secrets: Arc::new(Secrets::of(plan)),
            parser,
            context,
            parameters,
        };
        Ok((prepared, source))
    }

    fn record(&self, plan: &Plan, clock: Clock, origin: Origin) -> RunRecord {
        let info = self.parser.info();
        RunRecord {
            clock,
            origin,
            started: clock.now(),
            plan: plan.to_json(),
            schedule_seed: plan.seed,
            llmuses_version: env!("CARGO_PKG_VERSION").to_owned(),
            contract_version: CONTRACT_VERSION.to_owned(),
            wasmtime_version: WASMTIME_VERSION.to_owned(),
            plugin_name: info.name.clone(),
            plugin_version: info.version.clone(),
            plugin_sha256: info.sha256.clone(),
            plugin_source: info.source.to_string(),
            transport: plan.transport.as_str().to_owned(),
            stamps: match plan.transport {
                TransportChoice::Socket => StampQuality::Kernel,
                TransportChoice::Reqwest => StampQuality::Read,
            },
        }
    }
}

fn ensure_capacity(plan: &Plan) -> Result<(), CapacityError> {
    let at_once = match plan.arrivals {
        Arrivals::Closed { parallel } => slots(plan, parallel) as u64,
        Arrivals::AllAtOnce => match (&plan.prompts, plan.requests) {
            (_, Some(requests)) => requests,
            (PromptSource::Prompt(_), None) => 1,
            // As many as the data set has; nobody knows before it was read.
            (PromptSource::Dataset(_), None) => 0,
        },
        // Depends on the server.
        Arrivals::Poisson { .. } => 0,
    };
    capacity::ensure(at_once)
}

/// The slots of a closed loop that can ever be busy.
fn slots(plan: &Plan, parallel: usize) -> usize {
    match plan.requests {
        Some(requests) => parallel.min(usize::try_from(requests).unwrap_or(usize::MAX)),
        None => parallel,
    }
}

/// Loads a parser under its bounds; what goes wrong with the cache of compiled ones is only told.
///
/// # Errors
/// Where the parser cannot be loaded, or no parser can.
pub fn load_parser(
    choice: &ParserChoice,
    bounds: &Bounds,
    compile_cache: bool,
) -> Result<Parser, RunError> {
    let engine = PluginEngine::new().map_err(|error| RunError::Engine(format!("{error:#}")))?;
    let trouble = |error| {
        eprintln!("warning: compiled parsers are not kept for the next run: {error}");
    };
    let cache = if compile_cache {
        CompileCache::open().map_err(trouble).ok()
    } else {
        None
    };
    let loading = Loading {
        engine: &engine,
        bounds: *bounds,
        compiler: Compiler::child()?,
        cache: cache.as_ref(),
        cache_trouble: &trouble,
    };
    Ok(match choice {
        ParserChoice::File(path) => Parser::from_file(&loading, path)?,
        ParserChoice::Builtin(name) => {
            let component = builtin(name)
                .ok_or_else(|| LoadError::Host(format!("no built-in parser `{name}`")))?;
            Parser::from_builtin(&loading, component)?
        }
    })
}

fn build_options(plan: &Plan, parameters: &str) -> BuildOptions {
    let (prompt, has_dataset) = match &plan.prompts {
        PromptSource::Prompt(text) => (Some(text.clone()), false),
        PromptSource::Dataset(_) => (None, true),
    };
    BuildOptions {
        model: plan.model.clone(),
        prompt,
        has_dataset,
        min_length: plan.lengths.min,
        max_length: plan.lengths.max,
        parameters: parameters.to_owned(),
    }
}

/// The headers of every request: ours, over them the parser's, over them the user's.
fn headers(plan: &Plan, parser: &Parser) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("llmuses/", env!("CARGO_PKG_VERSION"))),
    );
    for more in [&parser.info().headers, &plan.headers] {
        for (name, value) in more {
            headers.insert(name, value.clone());
        }
    }
    headers
}

/// The threads that carry and parse requests, and what ties them together.
struct Pipeline {
    clock: Clock,
    stop: Arc<AtomicBool>,
    cancel: watch::Sender<bool>,
    gauge: Arc<InFlight>,
    gave_up: Arc<GaveUp>,
    outcomes: flume::Receiver<Outcome>,
    workers: Vec<JoinHandle<Result<WorkerReport, WorkerError>>>,
    parsers: Vec<JoinHandle<ParserCost>>,
    warm_connections: Vec<ConnectionOpening>,
}

impl Pipeline {
    /// Starts the threads of parsers and clients and opens connections; no request goes yet.
    fn assemble(
        plan: &Plan,
        prepared: &Preparation,
        clock: Clock,
        interrupted: &AtomicBool,
    ) -> Result<(Self, Start), RunError> {
        let stop = Arc::new(AtomicBool::new(false));
        let gave_up = Arc::new(GaveUp::default());
        let gauge = Arc::new(InFlight::default());
        let (cancel, cancelled) = watch::channel(false);
        let (begin, begun) = watch::channel(None);
        let (finished, exchanges) = flume::bounded(FINISHED_QUEUE);
        let (parsed, outcomes) = flume::bounded(FINISHED_QUEUE);

        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let parsers = (0..cores.min(MOST_PARSE_THREADS))
            .map(|index| {
                let settings = ParseSettings {
                    parser: prepared.parser.clone(),
                    context: prepared.context.clone(),
                    parameters: Arc::clone(&prepared.parameters),
                    secrets: Arc::clone(&prepared.secrets),
                    stop: Arc::clone(&stop),
                    gave_up: Arc::clone(&gave_up),
                };
                parse::spawn(index, settings, exchanges.clone(), parsed.clone())
            })
            .collect::<Result<Vec<_>, _>>()?;

        let (queue, bodies) = flume::bounded(PREPARED_AHEAD);
        let shared = Shared {
            clock,
            timeouts: plan.timeouts,
            start: begun,
            stop: Arc::clone(&stop),
            cancelled,
            finished,
            gauge: Arc::clone(&gauge),
        };
        let (feeds, pacing) = feeds(plan, bodies);
        let count = feeds.len();
        let (ready, all_ready) = flume::bounded(count);
        let workers = start_workers(plan, prepared, feeds, &shared, &ready)?;
        drop((shared, ready));
        let warm_connections = warmed(&all_ready, count, interrupted)?;
        let pipeline = Self {
            clock,
            stop,
            cancel,
            gauge,
            gave_up,
            outcomes,
            workers,
            parsers,
            warm_connections,
        };
        let start = Start {
            begin,
            queue,
            pacing,
        };
        Ok((pipeline, start))
    }

    /// Has requests made and sent from now on.
    fn begin(self, start: Start, source: RequestSource) -> Result<Running, RunError> {
        let Start {
            begin,
            queue,
            pacing,
        } = start;
        let stop = Arc::clone(&self.stop);
        let source = std::thread::Builder::new()
            .name("source".to_owned())
            .spawn(move || source.run(&queue, &stop))?;
        let (clock, started) = (self.clock, self.clock.now());
        begin.send_replace(Some(started));
        if let Some(Pacing {
            due_times,
            bodies,
            targets,
        }) = pacing
        {
            let stop = Arc::clone(&self.stop);
            std::thread::Builder::new()
                .name("pacer".to_owned())
                .spawn(move || pace(due_times, &bodies, &targets, &clock, started, &stop))?;
        }
        Ok(Running {
            pipeline: self,
            source,
        })
    }
}

/// What begins a run once everything is in place.
struct Start {
    begin: watch::Sender<Option<Moment>>,
    queue: flume::Sender<Prepared>,
    pacing: Option<Pacing>,
}

/// Waits until every client thread has opened its connections, and gives back how long each took.
fn warmed(
    ready: &flume::Receiver<Vec<ConnectionOpening>>,
    workers: usize,
    interrupted: &AtomicBool,
) -> Result<Vec<ConnectionOpening>, RunError> {
    let mut openings = Vec::new();
    let mut waiting = workers;
    while waiting > 0 {
        match ready.recv_timeout(LOOK_UP) {
            Ok(opened) => {
                openings.extend(opened);
                waiting -= 1;
            }
            // A worker that could not begin lets go of its sender; its error comes out when it is joined.
            Err(flume::RecvTimeoutError::Disconnected) => break,
            Err(flume::RecvTimeoutError::Timeout) if interrupted.load(Ordering::Relaxed) => {
                return Err(RunError::Interrupted);
            }
            Err(flume::RecvTimeoutError::Timeout) => {}
        }
    }
    Ok(openings)
}

/// A run that sends requests.
struct Running {
    pipeline: Pipeline,
    source: JoinHandle<(SourceReport, SourceEnd)>,
}

impl Running {
    /// Takes outcomes until all are there, and looks after interrupts meanwhile.
    fn collect(
        self,
        plan: &Plan,
        prepared: &Preparation,
        rows: Option<&Database>,
        origin: Origin,
        interrupted: &AtomicBool,
    ) -> Collected {
        let mut statistics = RunStatistics::new(origin);
        for opening in &self.pipeline.warm_connections {
            statistics.record_warm_connection(*opening);
        }
        let head = trace::request_head(plan, &prepared.headers);
        let mut give_up_at: Option<Instant> = None;
        let mut told_of_trouble = false;
        loop {
            match self.pipeline.outcomes.recv_timeout(LOOK_UP) {
                Ok(outcome) => {
                    statistics.record(&outcome);
                    if plan.debug {
                        eprint!("{}", trace::exchange(&outcome, &head));
                    }
                    if let Some(rows) = rows {
                        rows.send(outcome);
                        if !told_of_trouble && let Some(trouble) = rows.trouble() {
                            told_of_trouble = true;
                            eprintln!("error: results are not kept any more: {trouble}");
                        }
                    }
                    if !plan.quiet && statistics.counts().completed.is_multiple_of(plan.log_every) {
                        self.progress(plan, &statistics);
                    }
                }
                Err(flume::RecvTimeoutError::Timeout) => {}
                Err(flume::RecvTimeoutError::Disconnected) => break,
            }
            if interrupted.load(Ordering::Relaxed) {
                self.pipeline.stop.store(true, Ordering::Relaxed);
                let deadline = *give_up_at.get_or_insert_with(|| Instant::now() + DRAIN);
                if Instant::now() >= deadline {
                    self.pipeline.cancel.send_replace(true);
                }
                if Instant::now() >= deadline + DRAIN {
                    self.pipeline.gave_up.abandon();
                }
            }
        }
        self.end(plan, statistics, interrupted.load(Ordering::Relaxed))
    }

    fn progress(&self, plan: &Plan, statistics: &RunStatistics) {
        let concurrency = match plan.arrivals {
            Arrivals::Closed { parallel } => parallel as u64,
            _ => self.pipeline.gauge.now(),
        };
        let progress = Progress::of(statistics, concurrency);
        eprintln!("{}", report::progress_line(&progress, &jiff::Zoned::now()));
    }

    fn end(self, plan: &Plan, statistics: RunStatistics, interrupted: bool) -> Collected {
        let mut troubles = Vec::new();
        let mut client_busy = Vec::new();
        for worker in self.pipeline.workers {
            match worker.join() {
                Ok(Ok(report)) => client_busy.push(report.busy),
                Ok(Err(error)) => troubles.push(error.to_string()),
                Err(_) => troubles.push("a client thread broke off".to_owned()),
            }
        }
        let mut parser_cost = ParserCost::default();
        for parser in self.pipeline.parsers {
            match parser.join() {
                Ok(cost) => parser_cost += cost,
                Err(_) => troubles.push("a parser thread broke off".to_owned()),
            }
        }
        let (report, end) = self.source.join().unwrap_or_else(|_| {
            troubles.push("the thread that makes requests broke off".to_owned());
            (SourceReport::default(), SourceEnd::Stopped)
        });
        parser_cost.requests += report.cost;
        if let SourceEnd::Failed(error) = end {
            troubles.push(error.to_string());
        }
        troubles.extend(self.pipeline.gave_up.reason());
        let dataset = matches!(plan.prompts, PromptSource::Dataset(_)).then(|| DatasetUse {
            passes: passes(&report),
            entries_read: report.entries_read,
            skipped: report.skipped.clone(),
            bad_entries: report.bad_entries,
        });
        let circumstances = Circumstances {
            asked: plan.requests,
            issued: statistics.counts().completed,
            dataset,
            client_busy,
            peak_in_flight: self.pipeline.gauge.peak(),
            wall_clock_step_seconds: self.pipeline.clock.wall_step_seconds(),
            interrupted,
            transport: plan.transport.as_str().to_owned(),
            backlog_waits: self.pipeline.gauge.backlog_waits(),
            parser_cost,
            stop_reason: (!troubles.is_empty()).then(|| troubles.join("; ")),
        };
        Collected {
            statistics,
            circumstances,
        }
    }
}

/// How often the data set was used: bodies issued, in bodies of a whole pass.
fn passes(report: &SourceReport) -> f64 {
    match report.bodies_of_a_pass {
        Some(whole) if whole > 0 => report.issued as f64 / whole as f64,
        // The first pass was not over when the run was.
        _ => 1.0,
    }
}

/// Starts the client threads on the transport of the plan.
fn start_workers(
    plan: &Plan,
    prepared: &Preparation,
    feeds: Vec<Feed>,
    shared: &Shared,
    ready: &flume::Sender<Vec<ConnectionOpening>>,
) -> Result<Vec<JoinHandle<Result<WorkerReport, WorkerError>>>, RunError> {
    let settings = match plan.transport {
        TransportChoice::Socket => Some(SocketSettings::new(plan, prepared.headers.clone())?),
        TransportChoice::Reqwest => None,
    };
    let mut workers = Vec::with_capacity(feeds.len());
    for (index, feed) in feeds.into_iter().enumerate() {
        let warm = match &feed {
            Feed::Closed { slots, .. } if plan.warm_connections => *slots,
            _ => 0,
        };
        let (shared, ready) = (shared.clone(), ready.clone());
        workers.push(match settings.clone() {
            Some(settings) => {
                let make = || Ok(SocketTransport::new(settings));
                worker::spawn(index, make, warm, feed, shared, ready)?
            }
            None => {
                let (plan, headers) = (plan.clone(), prepared.headers.clone());
                let make = move || ReqwestTransport::new(&plan, headers);
                worker::spawn(index, make, warm, feed, shared, ready)?
            }
        });
    }
    Ok(workers)
}

/// What the pacer of an open loop needs.
struct Pacing {
    due_times: crate::schedule::DueTimes,
    bodies: flume::Receiver<Prepared>,
    targets: Vec<mpsc::UnboundedSender<crate::client::attempt::Job>>,
}

/// Where each worker's requests come from, and the pacer's part where there is one.
fn feeds(plan: &Plan, bodies: flume::Receiver<Prepared>) -> (Vec<Feed>, Option<Pacing>) {
    let Some(due_times) = due_times(plan.arrivals, plan.seed) else {
        return (closed_feeds(plan, &bodies), None);
    };
    let (targets, feeds) = (0..plan.client_threads)
        .map(|_| {
            let (target, due) = mpsc::unbounded_channel();
            (target, Feed::Open { due })
        })
        .unzip();
    let pacing = Pacing {
        due_times,
        bodies,
        targets,
    };
    (feeds, Some(pacing))
}

fn closed_feeds(plan: &Plan, bodies: &flume::Receiver<Prepared>) -> Vec<Feed> {
    let parallel = match plan.arrivals {
        Arrivals::Closed { parallel } => parallel,
        Arrivals::Poisson { .. } | Arrivals::AllAtOnce => 0,
    };
    let slots = slots(plan, parallel);
    let threads = plan.client_threads.min(slots);
    (0..threads)
        .map(|index| Feed::Closed {
            queue: bodies.clone(),
            slots: slots / threads + usize::from(index < slots % threads),
        })
        .collect()
}

struct Collected {
    statistics: RunStatistics,
    circumstances: Circumstances,
}

/// Judges, stores the end, and prints the summary.
fn finish(
    plan: &Plan,
    clock: Clock,
    database: Option<Database>,
    collected: Collected,
) -> Result<RunResult, RunError> {
    let Collected {
        statistics,
        circumstances,
    } = collected;
    let doubts = judge(&statistics, &circumstances);
    let state = if circumstances.interrupted {
        RunState::Interrupted
    } else if circumstances.stop_reason.is_some() || statistics.counts().succeeded == 0 {
        RunState::Failed
    } else {
        RunState::Finished
    };
    let stored = database.map(|database| {
        database.finish(FinishedRun {
            finished: clock.now(),
            state,
            totals: totals_json(&statistics, &circumstances),
            verdict: verdict_json(&doubts),
        })
    });
    if !plan.quiet {
        print!(
            "{}",
            report::summary(&statistics, &circumstances, &plan.arrivals, &doubts)
        );
    }
    let stored = stored.transpose()?;
    if let Some(stored) = &stored
        && !plan.quiet
    {
        eprint!("{}", report::closing(stored));
    }
    Ok(RunResult {
        statistics,
        circumstances,
        doubts,
        valid_required: plan.require_valid,
        stored,
    })
}
