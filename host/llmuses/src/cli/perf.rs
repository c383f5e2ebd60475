//! `llmuses perf`: its arguments. How they become a plan is in `planning`, and what is done with that in `execution`.

mod choices;
mod execution;
mod header_names;
mod help;
mod made_up;
mod model;
mod on_workers;
mod parts;
mod planning;
mod ready;
mod repeats;
mod route;
mod search;
mod sessions;
mod trace;
mod usage;
#[cfg(feature = "wandb")]
mod wandb;

pub(super) use choices::Transport;
pub(super) use execution::{execute, make_folder, warn_of_chunks};
pub(super) use help::{with_help, with_short_help};
pub(super) use on_workers::{flags_for_workers, own_digest};
pub(super) use planning::{database, parameters, parser};
pub(super) use search::NOT_OF_A_SEARCH;
pub use usage::UsageError;

use super::bounds::BoundsArguments;
use super::documents::DocumentArguments;
use super::settings::Settings;
use super::values::{
    Secret, count, count_of_slots, file_name, gaps, objectives, rate, seconds, secret, size,
    stop_rule, warmup,
};
use choices::{SaveArgument, UrlPolicyArgument};
use clap::Args;
use header_names::HeaderNameArguments;
use llmuses_core::plan::{Arrivals, Cancellation, Gaps, Objectives, Stages, StopRule, Warmup};
use llmuses_plugin_host::{builtin_names, format_names};
use llmuses_render::compare::Bound;
use llmuses_stats::RunObjective;
use made_up::MadeUpArguments;
use on_workers::OnWorkersArguments;
use parts::PartArguments;
use repeats::RepeatArguments;
use route::RouteArguments;
use sessions::SessionArguments;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use trace::TraceArguments;

/// Arguments of `llmuses perf`.
#[derive(Debug, Clone, Args)]
#[command(next_line_help = false)]
pub(super) struct PerfArguments {
    /// Name of the model to ask for; several, such as LoRA adapters, share the sessions by their weights (base=3 adapter=1;
    /// without one: 1) [default: the one that the server lists at /v1/models, if it is the only one]
    #[arg(long, value_name = "NAME[=WEIGHT]", num_args = 1.., help_heading = "Endpoint")]
    model: Vec<String>,

    /// Endpoint that the requests go to; several share them (--url-policy). One without a path, or that ends with /v1,
    /// gets the path of the API [default: http://127.0.0.1:8000, with the path of the API]
    #[arg(long, value_name = "URL", num_args = 1.., help_heading = "Endpoint")]
    url: Vec<String>,

    /// How several --url share the requests.
    #[arg(
        long,
        value_enum,
        default_value = "round-robin",
        help_heading = "Endpoint"
    )]
    url_policy: UrlPolicyArgument,

    /// Take flags from this TOML file: `parallel = 8`, `parameters = ["max_tokens=100"]` or `[parameters]`. What is on
    /// the command line comes first.
    #[arg(long, value_name = "FILE.toml", help_heading = "Endpoint")]
    config: Option<PathBuf>,

    /// Wait so long at most until the server answers, before anything is measured.
    #[arg(long, value_name = "TIME", value_parser = seconds, help_heading = "Endpoint")]
    wait_ready: Option<Duration>,

    /// Extra HTTP headers for every request, such as Authorization='Bearer KEY'; @FILE takes them from a file, one
    /// on each line.
    #[arg(long, value_name = "KEY=VALUE|@FILE", num_args = 1.., value_parser = secret, help_heading = "Endpoint")]
    headers: Vec<Secret>,

    /// Extra HTTP header for every request, as curl takes it: 'NAME: VALUE' or @FILE. May be given several times.
    #[arg(long, value_name = "NAME: VALUE|@FILE", value_parser = secret, help_heading = "Endpoint")]
    header: Vec<Secret>,

    /// Environment variable that holds the API key, such as OPENAI_API_KEY: sent as
    /// `Authorization: Bearer KEY`, and never on the command line.
    #[arg(long, value_name = "NAME", help_heading = "Endpoint")]
    api_key_env: Option<String>,

    /// Extra members of every request body, such as max_tokens=100 temperature=0.7. Values: bool_true,
    /// bool_false, numbers, any JSON value, else a string; null removes a default of the parser.
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., value_parser = secret, help_heading = "Endpoint")]
    parameters: Vec<Secret>,

    #[command(flatten)]
    route: RouteArguments,

    #[command(flatten)]
    header_names: HeaderNameArguments,

    /// Data set to take prompts from; --parser or --dataset-parser says in which format. - reads it from standard input.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "prompt",
        help_heading = "Prompts"
    )]
    dataset: Option<PathBuf>,

    /// Prompt for every request; @FILE takes the content of a file.
    #[arg(long, value_name = "TEXT|@FILE", help_heading = "Prompts")]
    prompt: Option<String>,

    #[command(flatten)]
    made_up: MadeUpArguments,

    #[command(flatten)]
    sessions: SessionArguments,

    /// Only prompts of the data set that have more Unicode characters than this.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Prompts")]
    min_prompt_length: u64,

    /// Only prompts of the data set that have fewer Unicode characters than this [default: no limit]
    #[arg(long, value_name = "N", help_heading = "Prompts")]
    max_prompt_length: Option<u64>,

    /// Count entries of the data set that are broken and pass over them, instead of ending the run.
    #[arg(long, help_heading = "Prompts")]
    skip_bad_lines: bool,

    #[arg(
        long,
        value_name = "NAME|FILE",
        help = parser_help(" (`llmuses plugin list`)"),
        long_help = long_parser_help(),
        help_heading = "Prompts"
    )]
    parser: Option<String>,

    /// Format of the data set, for a parser that takes any: the name of a built-in one, or a .wasm file
    /// [default: the one of the parser, or the built-in one that recognises the file]
    #[arg(
        long,
        value_name = "NAME|FILE",
        requires = "dataset",
        long_help = format_help(),
        help_heading = "Prompts"
    )]
    dataset_parser: Option<String>,

    /// Field of a JSON object, or column of a table, that has the prompt, for json_lines, json_array, csv and tsv
    /// [default: prompt, question, instruction, text and others]
    #[arg(
        long,
        value_name = "NAME",
        requires = "dataset",
        help_heading = "Prompts"
    )]
    field: Option<String>,

    /// Folder in which images and audio lie that a data set names by their paths [default: the folder of the data set]
    #[arg(
        long,
        value_name = "FOLDER",
        requires = "dataset",
        help_heading = "Prompts"
    )]
    image_folder: Option<PathBuf>,

    /// Folder with tokenizer.json (or with vocab.json and merges.txt of GPT-2 or Qwen2), or that file, to count tokens
    /// with where the server does not.
    #[arg(long, value_name = "PATH", help_heading = "Prompts")]
    tokenizer_path: Option<PathBuf>,

    /// Requests to make, every turn of a session counted. A data set that has fewer is used again from its start
    /// [default: one pass over the data set, or one request for a prompt]
    #[arg(
        short = 'n',
        long = "number",
        visible_alias = "num-prompts",
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = count,
        help_heading = "Load"
    )]
    number: Option<u64>,

    /// Closed loop: requests in flight at once (of --turns: users, each in one session after another); several, such as 1,8,64, are run one after another
    /// [default: 1]
    #[arg(
        long,
        visible_aliases = ["concurrency", "max-concurrency"],
        value_name = "N[,N...]",
        allow_negative_numbers = true,
        value_parser = count_of_slots,
        value_delimiter = ',',
        conflicts_with = "rate",
        help_heading = "Load"
    )]
    parallel: Vec<u32>,

    /// Send nothing: print what would be sent and when, with the first requests.
    #[arg(long, help_heading = "Load")]
    dry_run: bool,

    /// Open loop: requests (of --turns: sessions) per second, however many are in flight, at times that --arrival draws; -1
    /// sends all at once; several, such as 5,10,20, are run one after another.
    #[arg(
        long,
        visible_alias = "request-rate",
        value_name = "R[,R...]",
        allow_negative_numbers = true,
        value_parser = rate,
        value_delimiter = ',',
        help_heading = "Load"
    )]
    rate: Vec<Arrivals>,

    /// Gaps between the requests of --rate: poisson (exponential), constant (all equal), or gamma:CV, of which the
    /// standard deviation is CV times the mean (above 1: bursts). A burstiness B of vLLM is CV = 1/√B.
    #[arg(
        long,
        value_name = "poisson|constant|gamma:CV",
        default_value = "poisson",
        value_parser = gaps,
        help_heading = "Load"
    )]
    arrival: Gaps,

    /// A load that changes, stage by stage, each with figures of its own: requests per second (rate:) or requests in
    /// flight (parallel:) that stay or change evenly, or by the same factor in equal times (exp), such as
    /// rate:5@60s,5..50@2m,50@5m or parallel:1..64exp@10m. The run ends with the last stage.
    #[arg(
        long,
        value_name = "rate|parallel:STAGE,...",
        conflicts_with_all = ["rate", "parallel", "duration"],
        group = "timed",
        help_heading = "Load"
    )]
    stages: Option<Stages>,

    /// Open loop whose rate follows a table: CSV with a time in seconds and requests per second in each row. The rate
    /// changes evenly from row to row (two rows of one time are a jump), and the run ends with the last row. Each part
    /// between two rows has figures of its own, up to 100 parts.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["rate", "parallel", "duration", "stages", "trace"],
        group = "timed",
        help_heading = "Load"
    )]
    rate_from: Option<PathBuf>,

    /// Closed loop: let users begin one after another, evenly within this time, in place of all at once.
    #[arg(long, value_name = "TIME", value_parser = seconds, help_heading = "Load")]
    ramp_up: Option<Duration>,

    #[command(flatten)]
    trace: TraceArguments,

    /// Requests of an open loop (--rate, --stages rate:, --rate-from, --trace) that may be in flight at once. Those that
    /// are due beyond that wait, counted from when they were due [default: as many connections as open files and local
    /// ports of this machine allow]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = count_of_slots,
        conflicts_with = "parallel",
        help_heading = "Load"
    )]
    max_in_flight: Option<u32>,

    /// Time during which requests are issued, such as 10s or 2m (without a unit: seconds); without -n, a data
    /// set is used again and again.
    #[arg(
        long,
        value_name = "TIME",
        allow_negative_numbers = true,
        value_parser = seconds,
        group = "timed",
        help_heading = "Load"
    )]
    duration: Option<Duration>,

    /// Time that requests in flight have after --duration; what is not over then is cancelled.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "120",
        value_parser = seconds,
        requires = "timed",
        help_heading = "Load"
    )]
    drain_timeout: Duration,

    /// First part of the requests, kept out of every figure: a number of them (of --turns: of sessions) such as 100, or
    /// those that were due within a time such as 10s.
    #[arg(long, value_name = "N|TIME", value_parser = warmup, help_heading = "Load")]
    warmup: Option<Warmup>,

    /// Cancel this share of the requests, so long after they were sent, as users do who leave: 10%:500ms, or with a
    /// distribution of times 10%:uniform:100ms..2s. They neither succeed nor fail, and are in no latency figure and
    /// no rate of answers.
    #[arg(long, value_name = "SHARE:TIME", value_parser = clap::value_parser!(Cancellation), help_heading = "Load")]
    cancel: Option<Cancellation>,

    /// Send all requests, also where all fail. Without it, a run ends with code 1 where none of its first 100 requests
    /// succeeds, or the first 10 get no connection.
    #[arg(long, help_heading = "Load")]
    keep_going: bool,

    #[command(flatten)]
    repeats: RepeatArguments,

    #[command(flatten)]
    parts: PartArguments,

    #[command(flatten)]
    workers: OnWorkersArguments,

    /// The arguments that workers are given.
    #[arg(skip)]
    typed: Vec<OsString>,

    /// Seed of the arrival times.
    #[arg(long, value_name = "N", default_value_t = 42, help_heading = "Load")]
    seed: u64,

    /// What carries requests.
    #[arg(long, value_enum, default_value = "auto", help_heading = "Client")]
    transport: Transport,

    /// Open the connections of a closed loop as they are needed, not before it begins.
    #[arg(long, help_heading = "Client")]
    no_warm_connections: bool,

    /// Open a connection for each request, and ask the server to close it (Connection: close).
    #[arg(long, help_heading = "Client")]
    no_keep_alive: bool,

    /// Requests that a connection carries at most; the last one asks the server to close it (Connection: close; HTTP/2: the
    /// client closes it) [default: as many as the server lets it]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with = "no_keep_alive",
        help_heading = "Client"
    )]
    requests_per_connection: Option<u32>,

    /// Threads that carry requests [default: one for every 250 streams or requests a second, at
    /// most one for each processor and 8 in all]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=512),
        help_heading = "Client"
    )]
    client_threads: Option<u16>,

    /// Memory that responses, request bodies, what is read ahead and the counting of tokens may take together, such as
    /// 512MiB or 4GiB. Where it is used up, large responses fail (client-resource) and bodies wait [default:
    /// an eighth of the memory of this machine or of the control group of this process, 2 GiB at most]
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Client")]
    memory_limit: Option<u64>,

    /// Time to wait for a connection: name, TCP and TLS together.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "120",
        value_parser = seconds,
        help_heading = "Time-outs"
    )]
    connect_timeout: Duration,

    /// Time that the server may be silent, before its answer and within it.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "120",
        value_parser = seconds,
        help_heading = "Time-outs"
    )]
    read_timeout: Duration,

    /// Time that a request may take as a whole [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = seconds, help_heading = "Time-outs")]
    total_timeout: Option<Duration>,

    /// Name of the run; results go to NAME.db [default: {model}_{time}]
    #[arg(long, value_name = "NAME", help_heading = "Results")]
    name: Option<String>,

    /// What the database keeps.
    #[arg(long, value_enum, default_value = "full", help_heading = "Results")]
    save: SaveArgument,

    #[command(flatten)]
    documents: DocumentArguments,

    /// Write the first response, head and body, to a new file, for `llmuses plugin check --responses`.
    #[arg(long, value_name = "FILE", value_parser = file_name, help_heading = "Results")]
    record: Option<PathBuf>,

    /// Objectives of each request; reported is the share and the rate of those that met all, such as
    /// ttft:500ms,tpot:50ms,latency:10s.
    #[arg(long, value_name = "NAME:TIME,...", value_parser = objectives, help_heading = "Results")]
    goodput: Option<Objectives>,

    /// End with code 1 where anything speaks against the numbers (the verdict at the end of the summary).
    #[arg(long, help_heading = "Results")]
    require_valid: bool,

    /// End with code 1 where a figure of any load passes this, such as ttft_p99>200ms, failed_share>1% or
    /// qps<50. May be given several times; the figures are those of `llmuses compare`.
    #[arg(long, value_name = "BOUND", value_parser = clap::value_parser!(Bound), help_heading = "Results")]
    fail_if: Vec<Bound>,

    /// End the run early with code 1 where this holds for certain: saturated (the queue of an open loop grows), or a share
    /// or percentile such as failed>5% or ttft_p99>2s. May be given several times.
    #[arg(long, value_name = "RULE", value_parser = stop_rule, help_heading = "Load")]
    stop_if: Vec<StopRule>,

    /// Objective of each load as a whole, such as ttft_p99<200ms, failed<0.1% or goodput_share>95%: met or missed where
    /// the 95 % confidence interval of the figure says so, else not decided. Ends with code 1 where one is not met. May
    /// be given several times.
    #[arg(long, value_name = "FIGURE<VALUE", value_parser = clap::value_parser!(RunObjective), help_heading = "Results")]
    objective: Vec<RunObjective>,

    /// Print every figure at the end, and of a sweep those of each load; `llmuses report` does so too.
    #[arg(long, help_heading = "Results")]
    details: bool,

    /// A progress line on standard error after this many requests [default: 10, one a second at most]
    #[arg(long, value_name = "N", value_parser = count, help_heading = "Results")]
    log_every_n_query: Option<u64>,

    /// Progress lines on a terminal too, in place of the live view.
    #[arg(long, help_heading = "Results")]
    no_progress: bool,

    /// Serve live figures for Prometheus at http://ADDR/metrics, such as 127.0.0.1:9464; port 0 is a free
    /// one.
    #[arg(long, value_name = "ADDR", help_heading = "Results")]
    metrics_listen: Option<String>,

    #[cfg(feature = "wandb")]
    #[command(flatten)]
    wandb: wandb::WandbArguments,

    /// Show requests and responses on standard error, credentials blanked.
    #[arg(long, help_heading = "Results")]
    debug: bool,

    /// Do not keep compiled parsers for the next run.
    #[arg(long, help_heading = "Client")]
    no_compile_cache: bool,

    #[command(flatten)]
    bounds: BoundsArguments,

    /// All of them as a file.
    #[arg(skip)]
    settings: Option<Settings>,
}

impl PerfArguments {
    /// Notes the arguments, to be kept with the results.
    pub(super) fn note_settings(&mut self, settings: Option<Settings>) {
        self.settings = settings;
    }

    /// Notes the arguments that workers are given.
    pub(super) fn note_given(&mut self, typed: Vec<OsString>) {
        self.typed = typed;
    }
}

/// `built_in`: what stands behind "a built-in one".
fn parser_help(built_in: &str) -> String {
    format!(
        "Parser that makes requests and reads responses: the name of a built-in one{built_in}, or a .wasm file \
         [default: openai_prompt, and openai_chat for data sets, made-up prompts, turns and several models]"
    )
}

fn long_parser_help() -> String {
    let names: Vec<&str> = builtin_names().collect();
    format!("{}\nBuilt in: {}.", parser_help(""), names.join(", "))
}

fn format_help() -> String {
    let names: Vec<&str> = format_names().collect();
    format!(
        "Format of the data set, for a parser that takes any: the name of a built-in one, or a .wasm file \
         [default: the one of the parser, or the built-in one that recognises the file]\n\
         Built in: {}.",
        names.join(", ")
    )
}
