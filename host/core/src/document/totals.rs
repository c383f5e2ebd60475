//! The figures of a run.

use super::figures::RunFigures;
use super::groups::GroupFigures;
use super::machine::Machine;
use super::named::Named;
use super::objective::ObjectiveFigures;
use super::over_time::TimesOverTime;
use super::plan::GoodputBounds;
use super::replay::ReplayFigures;
use super::scatter::TtftByInputLength;
use super::search::ProbeFigures;
use super::sessions::SessionFigures;
use super::spread::Times;
use super::task::Task;
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
    pub time_to_first_token_by_input_length: Option<TtftByInputLength>,
    /// The 20 succeeded requests with the longest latency, longest first.
    pub slowest_requests: Vec<SlowestRequest>,
}

/// Requests, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestCounts {
    /// Null: as many as the data set gives, or as the time allows.
    pub asked: Option<u64>,
    /// Issued.
    pub issued: u64,
    /// Over, well or badly.
    pub completed: u64,
    /// That the client broke off (`--cancel`): neither succeeded nor failed, and not among the completed ones.
    #[serde(default)]
    pub disconnected: u64,
    /// Sent, whatever became of them.
    pub sent: u64,
    /// Whose response arrived whole.
    pub succeeded: u64,
    /// That failed, cancelled ones among them.
    pub failed: u64,
    /// Succeeded ones to which the model answered nothing, as the server says.
    #[serde(default)]
    pub empty_answers: u64,
    /// Succeeded ones whose response came in one piece.
    pub not_streamed: u64,
    /// Of these, those that asked for a stream.
    #[serde(default)]
    pub not_streamed_though_asked: u64,
    /// Succeeded ones that opened a connection.
    pub own_connection: u64,
    /// Connections that were opened before the first request.
    pub warm_connections: u64,
    /// Requests of the warm-up; no other figure has them, but issued.
    pub warmup: u64,
    /// Of these, failed ones.
    pub warmup_failed: u64,
    /// The most in flight at once.
    pub peak_in_flight: u64,
    /// The most that might be; null in a closed loop.
    #[serde(default)]
    pub max_in_flight: Option<u64>,
    /// Due and not sent when the run ended.
    #[serde(default)]
    pub due_and_not_sent: u64,
}

/// How connections were used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionFigures {
    /// Connections that were opened, those before the first request among them; null where nobody counted.
    #[serde(default)]
    pub opened: Option<u64>,
    /// The versions of HTTP in which responses came.
    pub http_versions: Vec<String>,
    /// What servers call themselves in the header `server` of their responses: 4 different texts at most.
    #[serde(default)]
    pub servers: Vec<String>,
    /// Requests that waited until a connection of HTTP/2 had a stream for them.
    #[serde(default)]
    pub requests_that_waited_for_a_stream: u64,
    /// Requests that went out once more on a new connection, since the server had closed the kept one without a byte of an
    /// answer.
    pub requests_sent_again: u64,
    /// Whether the server was found to close each connection behind its first answer.
    pub one_request_each: bool,
    /// Streams that ended with `[DONE]`, since their body did not end in order behind that.
    pub streams_ended_at_done: u64,
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
    /// As they were sent.
    pub sent_per_second: Option<f64>,
    /// Output tokens of succeeded requests / wall.
    pub output_tokens_per_second: Option<f64>,
}

/// Requests that met every objective.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Goodput {
    /// The objectives.
    pub objectives: GoodputBounds,
    /// How many met all.
    pub requests_that_met_all: u64,
    /// Their share of the completed ones.
    pub share_of_completed: Option<f64>,
    /// Their rate.
    pub per_second: Option<f64>,
}

/// Tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// Of prompts.
    pub input: TokenFigures,
    /// Of answers.
    pub output: TokenFigures,
    /// Reasoning that the server counted and did not send; in no time per output token.
    #[serde(default)]
    pub output_counted_but_not_sent: u64,
    /// Wall / output tokens.
    pub average_seconds_per_output_token: Option<f64>,
}

/// The tokens of one side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokenFigures {
    /// In all.
    pub tokens: Option<u64>,
    /// The mean.
    pub per_request: Option<f64>,
    /// Requests whose tokens are known.
    pub requests_known: u64,
    /// Who counted, for how many requests.
    pub requests_by_source: TokensBySource,
    /// The fewest.
    pub min: Option<u64>,
    /// The most.
    pub max: Option<u64>,
    /// The median.
    pub p50: Option<u64>,
    /// The 90th percentile.
    pub p90: Option<u64>,
    /// The 99th percentile.
    pub p99: Option<u64>,
    /// Bars of equal width.
    pub bars: Vec<LengthBar>,
}

/// Who counted tokens, for how many requests; absent: for none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokensBySource {
    /// The server.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub server: u64,
    /// The tokenizer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokenizer: u64,
    /// The parser.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub parser: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How many requests had `from` to `to` tokens, both included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LengthBar {
    /// The fewest tokens.
    pub from: u64,
    /// The most tokens.
    pub to: u64,
    /// Requests.
    pub requests: u64,
}

/// Events of streams.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Packages {
    /// In all.
    pub count: u64,
    /// The mean.
    pub per_request: Option<f64>,
    /// (Event n - 2 - event 0) / (n - 2), summed over requests before dividing.
    pub average_latency_seconds: Option<f64>,
    /// Gaps between one event with output and the next.
    pub output_gaps: u64,
    /// Gaps of zero: both events came in one read.
    pub coalesced_output_gaps: u64,
    /// Output chunks that brought tokens, of streams that tell their tokens so far with every chunk; without the first
    /// chunk of each stream.
    #[serde(default)]
    pub token_chunks: u64,
    /// Those of them that brought two tokens or more.
    #[serde(default)]
    pub chunks_of_several_tokens: u64,
}

/// The parser's own figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParserMetrics {
    /// By name.
    pub named: Named<ParserFigures>,
    /// Values left out: infinite or not a number.
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

/// What the parser cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParserCosts {
    /// Making requests.
    pub requests: ParserCalls,
    /// Reading responses.
    pub responses: ParserCalls,
    /// New instances after it broke.
    pub replaced_instances: ParserCalls,
}

/// Calls into the parser.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParserCalls {
    /// How many.
    pub calls: u64,
    /// How long in all.
    pub seconds: f64,
    /// The mean.
    pub seconds_per_call: Option<f64>,
    /// Of one processor; parsers run on several threads.
    pub share_of_run: Option<f64>,
}

/// How the client measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientUse {
    /// The machine that sent the requests; null in documents of older versions.
    #[serde(default)]
    pub machine: Option<Machine>,
    /// What carried requests.
    pub transport: String,
    /// Why this program chose it; absent where the user did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub transport_reason: Option<String>,
    /// Responses whose arrivals the kernel stamped.
    pub kernel_stamped_responses: u64,
    /// Responses that were stamped when a read returned.
    pub read_stamped_responses: u64,
    /// Of each client thread, the share of the run during which it was busy.
    pub busy_shares: Vec<f64>,
    /// How often a client thread had to wait until the parser took a response.
    pub parser_backlog_waits: u64,
    /// How often one had to wait for something behind the parser.
    #[serde(default)]
    pub other_backlog_waits: BacklogWaits,
    /// Requests that had to wait for their body.
    #[serde(default)]
    pub requests_that_waited_for_their_body: u64,
    /// Other runs of this program on the machine when this one began or ended; null where the system does not tell.
    #[serde(default)]
    pub other_runs: Option<u64>,
    /// Of these, those that asked the same server.
    #[serde(default)]
    pub other_runs_against_the_same_server: Option<u64>,
    /// For how long this program stood still.
    #[serde(default)]
    pub stood_still_seconds: f64,
    /// For how long its control group had used up its share of processor time; null where the system does not tell.
    #[serde(default)]
    pub throttled_seconds: Option<f64>,
    /// By how much the wall clock moved against the monotonic one.
    pub wall_clock_step_seconds: f64,
    /// Whether someone ended the run.
    pub interrupted: bool,
    /// Why issuing stopped early.
    pub stop_reason: Option<String>,
}

/// How often a client thread had to wait until a response was taken, by what took none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BacklogWaits {
    /// The totals.
    pub totals: u64,
    /// The database.
    pub database: u64,
    /// The CSV file, or the reader of standard output.
    pub csv: u64,
    /// Standard error.
    pub terminal: u64,
}

/// How a data set was used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DatasetFigures {
    /// Above 1: entries were used again.
    pub passes: f64,
    /// Read in the first pass.
    pub entries_read: u64,
    /// Read but not wanted, by reason.
    pub entries_skipped: Named<u64>,
    /// From which no request could be made.
    pub bad_entries: u64,
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

/// Lengths that were asked for beside what the server counted, of the measured requests that succeeded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AskedLengths {
    /// Of prompts of first turns, the chat template included.
    pub input: AskedLength,
    /// Of outputs.
    pub output: AskedLength,
    /// Of prompts of later turns of sessions: asked for is what the server counted of the prompt before and of its output,
    /// without hidden reasoning, with the length of the new message.
    #[serde(default)]
    pub later_input: AskedLength,
    /// How the lengths of prompts are known where there was no tokenizer; null where there was one.
    #[serde(default)]
    pub learned: Option<LearnedLengths>,
    /// Tokens of prompts in the server's prefix cache; null where it reports none.
    #[serde(default)]
    pub cached: Option<CachedTokens>,
}

/// Tokens of prompts that a server with a prefix cache has already computed: predicted and reported, of the measured
/// requests of which it reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CachedTokens {
    /// Requests of which the server reports cached tokens. Those after the first 4,000,000 pieces of prompts are left out.
    pub requests: u64,
    /// Mean of the predicted tokens: those of the prefix of each prompt that was sent after the server had read another one
    /// with that prefix, as its first output shows; of a trace, those of the leading blocks of such a prompt.
    pub mean_predicted_tokens: f64,
    /// The same with the prompts that were sent while the first one with their prefix was being read: some servers have
    /// blocks in their cache as soon as they begin to compute them.
    #[serde(default)]
    pub mean_possible_tokens: f64,
    /// Mean of the reported tokens.
    pub mean_reported_tokens: f64,
    /// By how much the means may differ: a server caches whole blocks, and its chat template too.
    pub tolerance_tokens: f64,
}

impl CachedTokens {
    /// The tokens to be expected on average, for a person: one number, or a range.
    pub fn expected(&self) -> String {
        let [least, most] = [self.mean_predicted_tokens, self.mean_possible_tokens];
        match most - least >= 0.05 {
            true => format!("{least:.1} to {most:.1}"),
            false => format!("{least:.1}"),
        }
    }
}

/// The straight line through what the server counted for a few prompts before the run:
/// `tokens = tokens_around + tokens_per_word · words`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LearnedLengths {
    /// Prompts that were counted.
    pub probes: u64,
    /// Tokens of a prompt without words: those of the chat template.
    pub tokens_around: f64,
    /// Tokens of a word.
    pub tokens_per_word: f64,
    /// The largest difference of one of these prompts from the line.
    pub worst_difference_tokens: f64,
}

/// A length that was asked for beside what the server counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AskedLength {
    /// Requests of which the length was asked for and counted by the server.
    pub requests: u64,
    /// Those with another length: of a prompt by any number of tokens, or by more than 1 % where lengths were
    /// learned from the server; of the prompt of a later turn by more than 16 tokens and 5 % of what it adds; of an output
    /// by more than 5 % or 50 tokens.
    pub different: u64,
    /// Mean of what was asked for.
    pub mean_asked_tokens: Option<f64>,
    /// Mean of what was counted.
    pub mean_counted_tokens: Option<f64>,
    /// The largest difference, counted − asked.
    pub worst_difference_tokens: i64,
    /// Those of `different` that are shorter.
    #[serde(default)]
    pub shorter: u64,
    /// Of outputs, why the shorter ones ended, in the words of the API; where the server does not tell, none is here.
    #[serde(default)]
    pub shorter_by_finish_reason: Named<u64>,
}
