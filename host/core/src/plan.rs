//! One validated run. `cli` makes a [`Plan`] out of what a person typed; nothing after it reads an
//! argument, an environment variable or a clock for a default of its own.

mod threads;

use crate::bounds::Bounds;
use crate::credential::{public_members, public_url};
use crate::document::{GoodputBounds, PlanRecord};
use crate::metric::{ByTime, Time};
use crate::wandb::WandbSettings;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Everything that a run needs to know, and that is known to be sound.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The model to ask for.
    pub model: String,
    /// The endpoint.
    pub url: Url,
    /// Headers of the user, for every request. May hold credentials.
    pub headers: http::HeaderMap,
    /// The parser.
    pub parser: ParserChoice,
    /// Where prompts come from.
    pub prompts: PromptSource,
    /// Which prompts of a data set are wanted.
    pub lengths: LengthFilter,
    /// Extra members of every request body.
    pub parameters: Map<String, Value>,
    /// How many requests to make. `None`: one pass over the data set, or one request for a prompt.
    pub requests: Option<u64>,
    /// How long requests are issued. `None`: until there are no more.
    pub duration: Option<Duration>,
    /// How long requests in flight have once issuing is over; what is not over then is cancelled, and counted.
    pub drain: Duration,
    /// Which requests come before the ones that count.
    pub warmup: Warmup,
    /// What requests should achieve.
    pub objectives: Option<Objectives>,
    /// When requests go.
    pub arrivals: Arrivals,
    /// The seed of the schedule.
    pub seed: u64,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// A progress line is printed after this many completed requests.
    pub log_every: u64,
    /// The name of the run.
    pub name: String,
    /// Which run of its sweep it is, from 1; also its id in the database.
    pub run: u32,
    /// How many runs the sweep has; 1 where it is none.
    pub runs: u32,
    /// The database that the run writes; does not exist yet, unless an earlier run of the sweep made it.
    pub database: PathBuf,
    /// The `tokenizer.json`.
    pub tokenizer: Option<PathBuf>,
    /// Whether entries of the data set from which no request can be made are counted and passed over.
    pub skip_bad_lines: bool,
    /// Whether TLS certificates are taken unverified.
    pub insecure: bool,
    /// Whether requests and responses are shown on standard error.
    pub debug: bool,
    /// What carries requests.
    pub transport: TransportChoice,
    /// Whether that was left to this program, which then says why it chose so.
    pub transport_by_auto: bool,
    /// Whether the connections of a closed loop are opened before it begins.
    pub warm_connections: bool,
    /// Whether a connection carries more than one request.
    pub keep_alive: bool,
    /// How many threads carry requests; [`Plan::threads`] where this is left open.
    pub client_threads: Option<usize>,
    /// Whether compiled parsers are kept on disk for the next run.
    pub compile_cache: bool,
    /// What the database keeps.
    pub save: Save,
    /// Whether a run whose numbers are to be read with care counts as failed.
    pub require_valid: bool,
    /// Whether progress and summary are left unprinted.
    pub quiet: bool,
    /// The live view, in place of progress lines. `None` where nobody watches.
    pub live_view: Option<LiveView>,
    /// Whether the summary goes to standard error, since standard output is taken.
    pub summary_to_stderr: bool,
    /// What the parser may take.
    pub bounds: Bounds,
    /// The bytes that responses, request bodies, what is read ahead and counting may take together.
    pub memory_limit: u64,
    /// Whether and where the run is logged at Weights & Biases. Holds a credential.
    pub wandb: Option<WandbSettings>,
}

/// Which parser to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParserChoice {
    /// One of the parsers inside this program, by name.
    Builtin(&'static str),
    /// A component in a file.
    File(PathBuf),
}

impl ParserChoice {
    /// The name or the path, as a person would type it.
    pub fn label(&self) -> String {
        match self {
            Self::Builtin(name) => (*name).to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// Where prompts come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptSource {
    /// The same text for every request.
    Prompt(String),
    /// A file that the parser knows how to read.
    Dataset(PathBuf),
}

/// Bounds of the length of a prompt, in Unicode scalar values; both bounds themselves are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LengthFilter {
    /// Prompts must be longer than this.
    pub min: u64,
    /// Prompts must be shorter than this.
    pub max: u64,
}

/// When requests go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arrivals {
    /// Closed loop: this many slots, each of which sends its next request when the last one is over.
    Closed {
        /// The number of slots.
        parallel: usize,
    },
    /// Open loop: a Poisson process.
    Poisson {
        /// Requests per second.
        rate: f64,
    },
    /// Open loop: all requests at time zero.
    AllAtOnce,
}

impl Arrivals {
    /// The arrivals of a plan as it stands in a document. `None` where it does not say.
    pub fn of_record(plan: &PlanRecord) -> Option<Self> {
        Some(match plan.arrivals.as_str() {
            "closed" => Self::Closed {
                parallel: usize::try_from(plan.parallel?).ok()?,
            },
            "poisson" => Self::Poisson { rate: plan.rate? },
            "all-at-once" => Self::AllAtOnce,
            _ => return None,
        })
    }

    /// The load in a few words: `parallel 8`, `rate 5/s`.
    pub fn name(&self) -> String {
        match self {
            Self::Closed { parallel } => format!("parallel {parallel}"),
            Self::Poisson { rate } => format!("rate {rate}/s"),
            Self::AllAtOnce => "all at once".to_owned(),
        }
    }

    /// Whether requests go when the schedule says, no matter how many are in flight.
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Closed { .. })
    }
}

/// The first requests of a run, which no figure has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Warmup {
    /// None: every request counts.
    #[default]
    Nothing,
    /// This many requests, in the order of issue.
    Requests(u64),
    /// The requests that were intended before this much of the run was over.
    Time(Duration),
}

impl Warmup {
    /// Whether the request with this number, intended this long after the start, is part of it.
    pub fn covers(self, number: u64, intended: Duration) -> bool {
        match self {
            Self::Nothing => false,
            Self::Requests(requests) => number < requests,
            Self::Time(time) => intended < time,
        }
    }
}

/// Bounds that each request should keep, of times of the table of metrics. One at least is there.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Objectives(ByTime<Option<Duration>>);

impl Objectives {
    /// These bounds.
    pub fn of(bounds: impl IntoIterator<Item = (Time, Duration)>) -> Self {
        let mut objectives = Self::default();
        for (time, bound) in bounds {
            objectives.0[time] = Some(bound);
        }
        objectives
    }

    /// The bounds of a plan as they stand in a document. `None` where it has none.
    pub fn of_record(plan: &PlanRecord) -> Option<Self> {
        let bounds = plan.objectives.as_ref()?;
        let duration = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
        Some(Self(ByTime::of(|time| bounds.0[time].and_then(duration))))
    }

    /// The times that have a bound, and the bound.
    pub fn bounds(&self) -> impl Iterator<Item = (Time, Duration)> {
        self.0
            .iter()
            .filter_map(|(time, bound)| Some((time, (*bound)?)))
    }

    /// The bounds as they stand in a document.
    pub fn to_record(&self) -> GoodputBounds {
        GoodputBounds(ByTime::of(|time| {
            self.0[time].map(|bound| bound.as_secs_f64())
        }))
    }
}

/// What carries requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportChoice {
    /// Sockets of our own: HTTP/1.1, arrivals by the kernel's clock.
    Socket,
    /// reqwest: HTTP/1.1 or HTTP/2, arrivals as reads return.
    Reqwest,
}

impl TransportChoice {
    /// Its name, as on the command line and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Reqwest => "reqwest",
        }
    }

    /// The reason for it, where nobody asked for another.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Socket if cfg!(target_os = "linux") => "HTTP/1.1, stamped by the kernel",
            Self::Socket => "HTTP/1.1, over connections of our own",
            Self::Reqwest => "HTTP/1.1, or HTTP/2 where a TLS server offers it",
        }
    }
}

/// How a run shows on a terminal while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveView {
    /// Whether in colour.
    pub colour: bool,
}

/// What the database keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Save {
    /// There is no database.
    Nothing,
    /// The run and its totals.
    Summary,
    /// The run, its totals, and a row for each request.
    Full,
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection: name resolution, TCP and TLS together.
    pub connect: Duration,
    /// For silence of the server between two reads.
    pub read: Duration,
    /// For a request as a whole.
    pub total: Option<Duration>,
}

impl Plan {
    /// A plan for `model` at `url` with every default: one request at a time, by the default parser, of
    /// an empty prompt, kept in full in `run.db`.
    pub fn new(model: String, url: Url) -> Self {
        const PATIENCE: Duration = Duration::from_secs(120);
        Self {
            model,
            url,
            headers: http::HeaderMap::new(),
            parser: ParserChoice::Builtin("openai_prompt"),
            prompts: PromptSource::Prompt(String::new()),
            lengths: LengthFilter {
                min: 0,
                max: u64::MAX,
            },
            parameters: Map::new(),
            requests: None,
            duration: None,
            drain: PATIENCE,
            warmup: Warmup::Nothing,
            objectives: None,
            arrivals: Arrivals::Closed { parallel: 1 },
            seed: 42,
            timeouts: Timeouts {
                connect: PATIENCE,
                read: PATIENCE,
                total: None,
            },
            log_every: 10,
            name: "run".to_owned(),
            run: 1,
            runs: 1,
            database: PathBuf::from("run.db"),
            tokenizer: None,
            skip_bad_lines: false,
            insecure: false,
            debug: false,
            transport: TransportChoice::Socket,
            transport_by_auto: true,
            warm_connections: true,
            keep_alive: true,
            client_threads: None,
            compile_cache: true,
            save: Save::Full,
            require_valid: false,
            quiet: false,
            live_view: None,
            summary_to_stderr: false,
            bounds: Bounds::default(),
            memory_limit: u64::MAX,
            wandb: None,
        }
    }

    /// How many requests there will be. `None`: as many as the data set gives, or as the time allows.
    pub fn expected_requests(&self) -> Option<u64> {
        match (&self.prompts, self.duration) {
            (PromptSource::Prompt(_), None) => self.requests.or(Some(1)),
            _ => self.requests,
        }
    }

    /// The plan as it stands in a document. Values of headers are left out, and so is what may be a credential in the
    /// URL and among the parameters.
    pub fn to_record(&self) -> PlanRecord {
        let seconds = |time: Duration| time.as_secs_f64();
        let path = |path: &PathBuf| path.display().to_string();
        let (prompt, dataset) = match &self.prompts {
            PromptSource::Prompt(text) => (Some(text.clone()), None),
            PromptSource::Dataset(file) => (None, Some(path(file))),
        };
        let (arrivals, parallel, rate) = match self.arrivals {
            Arrivals::Closed { parallel } => ("closed", Some(parallel as u64), None),
            Arrivals::Poisson { rate } => ("poisson", None, Some(rate)),
            Arrivals::AllAtOnce => ("all-at-once", None, Some(-1.0)),
        };
        let (warmup_requests, warmup_seconds) = match self.warmup {
            Warmup::Nothing => (None, None),
            Warmup::Requests(requests) => (Some(requests), None),
            Warmup::Time(time) => (None, Some(seconds(time))),
        };
        PlanRecord {
            model: self.model.clone(),
            url: public_url(&self.url),
            header_names: self.headers.keys().map(ToString::to_string).collect(),
            parser: Some(self.parser.label()),
            prompt,
            dataset,
            // The file has not been read.
            dataset_sha256: None,
            min_prompt_length: Some(self.lengths.min),
            max_prompt_length: (self.lengths.max != u64::MAX).then_some(self.lengths.max),
            parameters: public_members(&self.parameters),
            number: self.requests,
            duration_seconds: self.duration.map(seconds),
            drain_seconds: self.duration.map(|_| seconds(self.drain)),
            warmup_requests,
            warmup_seconds,
            objectives: self.objectives.map(|objectives| objectives.to_record()),
            arrivals: arrivals.to_owned(),
            parallel,
            rate,
            seed: self.seed,
            prompt_order: Some("as in the data set".to_owned()),
            connect_timeout_seconds: Some(seconds(self.timeouts.connect)),
            read_timeout_seconds: Some(seconds(self.timeouts.read)),
            total_timeout_seconds: self.timeouts.total.map(seconds),
            log_every_n_query: Some(self.log_every),
            name: Some(self.name.clone()),
            tokenizer: self.tokenizer.as_ref().map(path),
            skip_bad_lines: self.skip_bad_lines,
            insecure: self.insecure,
            transport: self.transport.as_str().to_owned(),
            warm_connections: self.warm_connections,
            keep_alive: self.keep_alive,
            client_threads: Some(self.threads() as u64),
            require_valid: self.require_valid,
            parser_bounds: self.bounds.to_json(),
            memory_limit_bytes: (self.memory_limit != u64::MAX).then_some(self.memory_limit),
            wandb: self
                .wandb
                .as_ref()
                .map_or(Value::Null, WandbSettings::to_json),
            others: Map::new(),
        }
    }
}
