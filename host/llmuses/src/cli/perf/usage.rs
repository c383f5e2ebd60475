//! What can be wrong with the arguments.

use llmuses_core::plan::RateTableError;
use llmuses_core::wandb::ApiKeyError;
use llmuses_fleet::FleetError;
use llmuses_render::OutputError;
use llmuses_stats::NoShareError;
use llmuses_transport::ClientBuildError;
use llmuses_workload::{DatasetError, TokenizerError};
use std::path::PathBuf;
use std::time::Duration;

/// The arguments cannot be carried out. Ends the program with code 2.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// A time to think without a later turn.
    #[error(
        "--think-time is the time before a later turn of a session, and every session has one turn: --turns makes more, \
         and conversations of a --dataset may have more"
    )]
    NoTurns,
    /// A flag of `perf` that a search sets by itself.
    #[error(
        "{flag} is no flag of a search, which sets the load by itself and decides by --objective"
    )]
    NotOfASearch {
        /// The flag.
        flag: &'static str,
    },
    /// Nothing can be searched so.
    #[error("{reason}")]
    Search {
        /// What is wrong.
        reason: &'static str,
    },
    /// An objective that cannot be tested while a run goes on.
    #[error("--objective {0}")]
    NoShare(#[from] NoShareError),
    /// A share of requests that met objectives, without objectives.
    #[error("goodput and goodput_share need the objectives of each request: give --goodput")]
    NoGoodput,
    /// A closed loop cannot be saturated.
    #[error(
        "--stop-if saturated needs an open loop (--rate, --stages rate:, --rate-from or --trace): the requests of a closed \
         loop wait for the server, and nothing grows"
    )]
    SaturatedClosed,
    /// A flag of made-up prompts without them.
    #[error(
        "{flag} is about prompts that are made up: give --input-tokens. The answers to a --prompt, or to those of a \
         --dataset, have the length that parameters of the API ask for, such as --parameters max_tokens=128"
    )]
    OnlyMadeUp {
        /// The flag.
        flag: &'static str,
    },
    /// A flag of data sets without one.
    #[error("{flag} is about the entries of a data set: give --dataset, or leave it out")]
    OnlyDataset {
        /// The flag.
        flag: &'static str,
    },
    /// A file of the route cannot be used.
    #[error(transparent)]
    Route(#[from] ClientBuildError),
    /// The length of outputs is said twice.
    #[error(
        "--input-tokens has output lengths (INPUT/OUTPUT), and --output-tokens says others: leave one of them out"
    )]
    TwoOutputs,
    /// A number of prefixes without a length.
    #[error(
        "--prefixes and --prefix-share need the length of a prefix: --prefix-tokens, or --cache-hit"
    )]
    PrefixLength,
    /// A prefix that no prompt is longer than.
    #[error(
        "--prefix-tokens {tokens}: a prompt has {prompt} tokens (--input-tokens), and so no text of its own behind its prefix"
    )]
    LongPrefix {
        /// The length of a prefix.
        tokens: u32,
        /// The length of all prompts.
        prompt: u32,
    },
    /// The URL is none, or not one of a web service.
    #[error("--url {text}: {reason}")]
    Url {
        /// The value that was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Several URLs for one socket.
    #[error("--unix-socket is one server: give one --url")]
    UrlsOfOneSocket,
    /// The proxy is none that can be used.
    #[error("--proxy {text}: {reason}")]
    Proxy {
        /// The value that was given, without credentials.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no `--model`, and the server has not just one.
    #[error("--model is not given, and {url} does not say which to use: {reason}; {advice}")]
    Model {
        /// Where the models are listed.
        url: String,
        /// Why that does not help.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// A header that each request is to have has another value.
    #[error("{flag} {name}: {reason}")]
    HeaderName {
        /// The flag.
        flag: &'static str,
        /// The header.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A weight of a model that is none.
    #[error("--model {text}: {reason}")]
    ModelWeight {
        /// The argument.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Neither a prompt nor a data set.
    #[error("there is nothing to send: give --prompt TEXT, or --dataset FILE")]
    NoPrompts,
    /// The file of `--prompt @FILE` cannot be read.
    #[error("--prompt @{}", path.display())]
    PromptFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data set cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The tokenizer is not there.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// No such parser.
    #[error(
        "there is no parser `{name}`: it is neither a file nor one of the built-in parsers ({})",
        known.join(", ")
    )]
    Parser {
        /// The value that was given.
        name: String,
        /// The built-in ones.
        known: Vec<&'static str>,
    },
    /// No such format of data sets.
    #[error(
        "there is no format of data sets `{name}`: it is neither a file nor one of the built-in formats ({})",
        known.join(", ")
    )]
    DatasetParser {
        /// The value that was given.
        name: String,
        /// The built-in ones.
        known: Vec<&'static str>,
    },
    /// A header that cannot be sent.
    #[error("--headers {name}: {reason}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key was given twice.
    #[error("{flag} gives `{key}` twice")]
    Twice {
        /// The flag.
        flag: &'static str,
        /// The key.
        key: String,
    },
    /// The length bounds leave nothing.
    #[error(
        "no prompt is longer than {min} and shorter than {max} characters at once: \
         --min-prompt-length and --max-prompt-length leave nothing"
    )]
    Lengths {
        /// The lower bound.
        min: u64,
        /// The upper bound.
        max: u64,
    },
    /// Outputs that cannot go where they were sent.
    #[error(transparent)]
    Outputs(#[from] OutputError),
    /// Every request would be of the warm-up.
    #[error(
        "--warmup {warmup} leaves nothing of -n {requests}: requests of the warm-up are among the -n"
    )]
    AllWarmup {
        /// Requests of the warm-up.
        warmup: u64,
        /// All requests.
        requests: u64,
    },
    /// The whole time would be warm-up.
    #[error("--warmup {warmup:?} leaves nothing of --duration {duration:?}")]
    LongWarmup {
        /// The warm-up.
        warmup: Duration,
        /// The time for issuing requests.
        duration: Duration,
    },
    /// Without end, and all at once.
    #[error(
        "--rate -1 sends all requests at once, and --duration alone does not say how many: give -n"
    )]
    EndlessAtOnce,
    /// `--shard` names no part.
    #[error("--shard {text}: {reason}")]
    Shard {
        /// The value that was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A part of the load would have nothing to do.
    #[error("{flag} {slots} cannot be split into {parts} parts: each part needs one at least")]
    FewSlots {
        /// The flag.
        flag: &'static str,
        /// What it says.
        slots: u32,
        /// The parts of the load.
        parts: u32,
    },
    /// One instant for the beginnings of several loads.
    #[error(
        "--start-at is the beginning of one load, and there are {loads}: give one --rate or --parallel"
    )]
    OneStart {
        /// How many loads there are.
        loads: usize,
    },
    /// The instant of `--start-at` is over.
    #[error("--start-at: that instant was {:.3} s ago", ago.as_secs_f64())]
    StartIsOver {
        /// How long ago it was.
        ago: Duration,
    },
    /// What cannot be done with workers.
    #[error("{reason}")]
    OnWorkers {
        /// What, and what to do.
        reason: String,
    },
    /// The command of `--on` is none.
    #[error("--on {0}")]
    OnCommand(FleetError),
    /// Somebody typed `llmuses worker`.
    #[error(
        "a worker takes what it should do from standard input, and `llmuses perf --on COMMAND --hosts ...` starts it"
    )]
    WorkerByHand,
    /// A flag of an open loop without one.
    #[error("{flag} is for an open loop: give --rate, or --stages rate:...")]
    OnlyOpen {
        /// The flag.
        flag: &'static str,
    },
    /// A flag of a closed loop with an open one.
    #[error("{flag} is for the users of a closed loop: give --parallel")]
    OnlyClosed {
        /// The flag.
        flag: &'static str,
    },
    /// More stages than can have figures.
    #[error(
        "--stages has {stages} stages, and 100 are the most that have figures of their own; a rate that changes more often \
         can be read from a table (--rate-from)"
    )]
    ManyStages {
        /// How many there are.
        stages: usize,
    },
    /// The table of `--rate-from` cannot be read.
    #[error("--rate-from {}: {reason}", path.display())]
    RateFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The table of `--rate-from` is none.
    #[error("--rate-from {}: {reason}", path.display())]
    RateTable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: RateTableError,
    },
    /// The file of `--out` is there already.
    #[error("--out {}: it is there already, and is never overwritten: give another name", path.display())]
    OutExists {
        /// The file.
        path: PathBuf,
    },
    /// A pause between runs of which there is one.
    #[error(
        "--cool-down is the time between runs, and there is one: give --repeat, or several loads"
    )]
    NothingToCoolDown,
    /// A flag of a trace without one.
    #[error("{flag} is for the replay of a trace: give --trace")]
    OnlyTrace {
        /// The flag.
        flag: &'static str,
    },
    /// A trace ends twice in the same way.
    #[error("--trace-limit is a number of entries, a time, or one of each")]
    TwoTraceLimits,
    /// Gaps between requests of which all go at once.
    #[error("--arrival: --rate -1 sends all requests at once, so there are no gaps between them")]
    GapsAtOnce,
    /// The recorded response of `plugin check` cannot be read.
    #[error("--responses {}: {source}", path.display())]
    Responses {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The key of Weights & Biases is none. It is not shown.
    #[error("{from}: {reason}")]
    WandbKey {
        /// The flag or the variable.
        from: &'static str,
        /// What is wrong with it.
        reason: ApiKeyError,
    },
    /// The URL of Weights & Biases is none. It is not shown, since it may hold a password.
    #[error("WANDB_BASE_URL: {reason}; without Weights & Biases, use --no-wandb")]
    WandbBaseUrl {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A bound of a change, where there is one run.
    #[error(
        "--fail-if {text}: a single run has no change; give a value such as ttft_p99>200ms, or use \
         `llmuses compare`"
    )]
    ChangeBound {
        /// The value that was given.
        text: String,
    },
    /// The file of `--headers @FILE` cannot be read.
    #[error("--headers @{}: {source}", path.display())]
    HeaderFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A parameter that is none. It is not shown.
    #[error("--parameters: {0}")]
    ParameterForm(&'static str),
    /// A header that is none. It is not shown.
    #[error("--headers: {0}")]
    HeaderForm(&'static str),
    /// The variable of `--api-key-env` is not set, is empty, or holds what no header can have.
    #[error("--api-key-env {name}: {reason}")]
    ApiKeyEnv {
        /// The variable.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The address of `--metrics-listen` is none.
    #[error("--metrics-listen {text}: {reason}")]
    MetricsListen {
        /// The value that was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder of the database cannot be made.
    #[error("the folder of {} cannot be made ({reason}): give another --name", path.display())]
    Folder {
        /// The database.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The database is there already.
    #[error(
        "{} is there already, and results are never overwritten: give another --name, or move it away",
        path.display()
    )]
    DatabaseExists {
        /// The file.
        path: PathBuf,
    },
}
