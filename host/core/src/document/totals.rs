//! The figures of a run.

mod client;

pub use client::{
    BacklogWaits, ClientUse, ConnectionFigures, DatasetFigures, LateReadFigures, MOST_SERVERS,
    ParserCalls, ParserCosts, why_stopped,
};

use super::counts::{Goodput, Packages, RequestCounts};
use super::figures::{FigureError, RunFigures};
use super::groups::GroupFigures;
use super::named::Named;
use super::objective::ObjectiveFigures;
use super::over_time::TimesOverTime;
use super::replay::ReplayFigures;
use super::scatter::TimeByInputLength;
use super::search::ProbeFigures;
use super::sessions::SessionFigures;
use super::spread::Times;
use super::task::Task;
use super::tokens::{AskedLengths, Tokens};
use super::workers::WorkerFigures;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The figures of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// From where the times of a request are counted: when the schedule wanted it sent (`intended`, open loop), or when it
    /// was sent (`sent`, closed loop).
    #[schemars(extend("enum" = ["intended", "sent"]))]
    pub origin: String,
    /// What a model was asked for. Runs of a task other than `generate` need have no output tokens.
    #[serde(default)]
    pub task: Task,
    /// First request sent to last end.
    pub wall_seconds: Option<f64>,
    /// Requests, counted.
    pub requests: RequestCounts,
    /// How connections were used.
    #[serde(default)]
    pub connections: ConnectionFigures,
    /// By kind, the most frequent first.
    pub failures: Named<FailureFigures>,
    /// The figures of the run as a whole, under the names that `--fail-if` takes.
    #[serde(default)]
    pub figures: RunFigures,
    /// How certain those of them are that are a sum over requests by another, such as tokens per request, under the same
    /// names; without a figure that the run does not have, or of a single request.
    #[serde(default)]
    pub figure_errors: Named<FigureError>,
    /// Why the answers of succeeded requests ended, in the words of the API, the most frequent first; empty where no
    /// plugin tells.
    #[serde(default)]
    pub finish_reasons: Named<u64>,
    /// Lengths that were asked for beside what the server counted; null where none were.
    #[serde(default)]
    pub asked_lengths: Option<AskedLengths>,
    /// Rates.
    pub rates: Rates,
    /// Null without objectives.
    pub goodput: Option<Goodput>,
    /// The objectives of the run as a whole, and what became of them.
    #[serde(default)]
    pub objectives: Vec<ObjectiveFigures>,
    /// Figures of requests that have something in common, such as a stage of the load; empty where nothing tells them apart.
    #[serde(default)]
    pub groups: Vec<GroupFigures>,
    /// What became of the schedule of a trace; null where none was replayed.
    #[serde(default)]
    pub replay: Option<ReplayFigures>,
    /// What the run found as a probe of a search; null where it is none.
    #[serde(default)]
    pub probe: Option<ProbeFigures>,
    /// Tokens.
    pub tokens: Tokens,
    /// Events of streams.
    pub packages: Packages,
    /// Bytes of the data of all events; framing and headers are not in it.
    pub bytes_received: u64,
    /// The times.
    #[serde(flatten)]
    pub times: Times,
    /// The parser's own figures.
    pub parser_metrics: ParserMetrics,
    /// What the parser cost.
    pub parser_cost: ParserCosts,
    /// How the client measured.
    pub client: ClientUse,
    /// The workers that sent the requests; empty where one process did.
    #[serde(default)]
    pub workers: Vec<WorkerFigures>,
    /// Sessions of several turns; null where every request stood alone.
    #[serde(default)]
    pub sessions: Option<SessionFigures>,
    /// Null without a data set.
    pub data_set: Option<DatasetFigures>,
    /// The run in slots of equal length from its start, 240 at most: columns.
    pub timeline: TimeSeries,
    /// Percentiles of times over the run; null in documents of older versions.
    #[serde(default)]
    pub times_over_time: Option<TimesOverTime>,
    /// Times to first token by the length of the prompt; null in documents of older versions.
    #[serde(default)]
    pub time_to_first_token_by_input_length: Option<TimeByInputLength>,
    /// Times per output token by the length of the prompt; null in documents of older versions.
    #[serde(default)]
    pub time_per_output_token_by_input_length: Option<TimeByInputLength>,
    /// The 20 succeeded requests with the longest latency, longest first.
    pub slowest_requests: Vec<SlowestRequest>,
}

/// A kind of failure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureFigures {
    /// How many.
    pub requests: u64,
    /// The message of the first.
    pub first_message: String,
    /// Refused requests by their HTTP status, the most frequent first; empty for other kinds.
    #[serde(default)]
    pub by_status: Vec<StatusFigures>,
}

/// Requests that were refused with one HTTP status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusFigures {
    /// The status.
    pub status: Option<u16>,
    /// How many.
    pub requests: u64,
    /// The message of the first.
    pub first_message: String,
}

/// Rates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// Succeeded requests / wall.
    pub succeeded_per_second: Option<f64>,
    /// As the schedule drew them.
    pub scheduled_per_second: Option<f64>,
    /// As they were sent: from the first request that was sent to the last one that was sent, or that was due and not sent.
    pub sent_per_second: Option<f64>,
    /// Output tokens of succeeded requests / wall.
    pub output_tokens_per_second: Option<f64>,
}

/// The parser's own figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParserMetrics {
    /// By name.
    pub named: Named<ParserFigures>,
    /// Values left out: infinite, not a number, or below zero or above 2^32 of a count that other figures are made of, such as
    /// `cached_tokens`.
    pub values_not_finite: u64,
    /// Values under more names than are kept.
    pub values_beyond_the_limit_of_names: u64,
}

/// A figure of the parser's own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParserFigures {
    /// How many values.
    pub samples: u64,
    /// The mean.
    pub mean: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 99th percentile.
    pub p99: f64,
}

/// The run over time: columns, one value for each slot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimeSeries {
    /// The length of a slot.
    pub slot_seconds: f64,
    /// From the start of the run until the first request was sent that counts; null without a warm-up.
    #[serde(default)]
    pub warmup_seconds: Option<f64>,
    /// Requests that were sent.
    pub requests_sent: Vec<u64>,
    /// Requests that were over and had succeeded.
    pub requests_succeeded: Vec<u64>,
    /// Null without objectives.
    pub requests_that_met_all: Option<Vec<u64>>,
    /// Requests that were over and had failed.
    pub requests_failed: Vec<u64>,
    /// Requests in flight at the end of the slot.
    pub requests_in_flight_at_the_end: Vec<u64>,
    /// Of succeeded requests, shared evenly over the arrivals of their output events.
    pub output_tokens: Vec<f64>,
    /// Tokens of the prompts of succeeded requests, in the slot in which each ended.
    #[serde(default)]
    pub input_tokens: Vec<u64>,
    /// Of requests sent in the slot.
    pub time_to_first_token_mean_seconds: Vec<Option<f64>>,
    /// Of requests sent in the slot.
    pub time_to_first_token_max_seconds: Vec<Option<f64>>,
}

/// A slow request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlowestRequest {
    /// The place in the order of issue, from 0.
    pub number: u64,
    /// When it was sent, from the start of the run.
    pub sent_seconds_after_start: Option<f64>,
    /// Its latency.
    pub latency_seconds: f64,
    /// Its time to first token.
    pub time_to_first_token_seconds: Option<f64>,
    /// Its time per output token.
    pub time_per_output_token_seconds: Option<f64>,
    /// Tokens of its prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of its answer.
    pub output_tokens: Option<u64>,
    /// The first 2,000 characters of its prompt; null where no rows of requests are kept.
    #[serde(default)]
    pub prompt: Option<String>,
    /// The first 2,000 characters of its answer; null where no rows of requests are kept, or nothing of it can be read.
    #[serde(default)]
    pub answer: Option<String>,
}
