//! The reasons for which figures of a run are not to be trusted. Each one knows its figure, what most
//! likely caused it, and what to do about it.

mod cause;
mod figure;
mod remedy;

use super::circumstances::StoppedBy;
use super::pauses::{OtherRuns, Pauses, ProcessorWaits};
use super::saturation::Saturation;
use super::short_outputs::ShortOutputs;
use super::workers::UnlikeWorker;
use llmuses_core::backlog::PipelineStage;
use llmuses_core::document::{AskedLength, CachedTokens, Reason, UnsentRequests};
use llmuses_core::exchange::{FailureKind, TokenSource};
use std::time::Duration;

/// One side of an exchange, where tokens are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSide {
    /// The prompt.
    Input,
    /// What the model produced.
    Output,
}

impl TokenSide {
    /// `input` or `output`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// A reason to doubt the figures of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Doubt {
    /// No request succeeded, or none was even completed.
    NothingSucceeded {
        /// Completed requests.
        completed: u64,
        /// The most frequent kind of failure, its count and its first message.
        commonest: Option<(FailureKind, u64, String)>,
    },
    /// Someone ended the run.
    Interrupted {
        /// Requests that were in flight and count as cancelled.
        cancelled: u64,
    },
    /// Fewer requests were issued than were asked for, or issuing stopped for a reason.
    StoppedEarly {
        /// Requests asked for, where that is known.
        asked: Option<u64>,
        /// Requests issued.
        issued: u64,
        /// Why issuing stopped, where that is known.
        reason: Option<String>,
        /// What stopped it, where that is more than a reason in words.
        stopped_by: Option<StoppedBy>,
    },
    /// The figures are made of the rows of a database of an older version.
    OlderVersion {
        /// Requests that have a row.
        requests: u64,
    },
    /// A worker was lost, and all others stopped.
    LostWorker {
        /// How it is called.
        name: String,
        /// When after the start.
        after_seconds: f64,
        /// Why.
        reason: String,
        /// Requests that it had begun and of which there is no result.
        without_result: u64,
        /// Requests of its part that were due and of which there is none, where that is known.
        due_without_result: Option<u64>,
    },
    /// The clock of a worker may be further from that of the coordinator than 1 % of the run, or 10 ms.
    WorkersApart {
        /// How the worker is called.
        name: String,
        /// By how many seconds.
        seconds: f64,
        /// The limit that held for this run.
        limit: Duration,
    },
    /// A worker has other times to first token than the others, by more than chance.
    UnlikeWorkers(UnlikeWorker),
    /// Two workers were on one machine.
    WorkersOnOneMachine {
        /// How they are called.
        names: [String; 2],
    },
    /// More than 1 % of the requests failed.
    Failures {
        /// Failed requests.
        failed: u64,
        /// Completed requests.
        completed: u64,
        /// The most frequent kind.
        commonest: FailureKind,
        /// Its count.
        commonest_count: u64,
    },
    /// The server did not keep up with the schedule.
    Saturated(Saturation),
    /// More than 1 % of the requests were due while as many as may be were in flight.
    HeldUp {
        /// Such requests.
        requests: u64,
        /// Requests that are over.
        over: u64,
        /// How long one of them waited at the longest.
        longest: Duration,
        /// The most that might be in flight, where that is known.
        most: Option<u64>,
    },
    /// More than 1 % of the requests that were due had not been sent when the run ended.
    DueAndNotSent {
        /// Such requests.
        requests: u64,
        /// All that were due.
        due: u64,
        /// What they waited for, where that was counted.
        waited_for: UnsentRequests,
    },
    /// This program stood still for more than 1 % of the run.
    LostTime {
        /// For how long.
        pauses: Pauses,
        /// The length of the run.
        wall: Duration,
    },
    /// A thread of this program waited for a processor for more than 1 % of the run, and each time for more than 1 % of
    /// a latency.
    ProcessorWaits {
        /// How.
        waits: ProcessorWaits,
        /// The length of the run.
        wall: Duration,
        /// The median latency.
        latency: Duration,
    },
    /// What had come was read so late that the next requests of a closed loop went out later by more than 1 % of the mean
    /// latency, and by more than 0.25 ms.
    LateReads {
        /// How late, for a response on average.
        mean: Duration,
        /// How late it may be.
        limit: Duration,
        /// The mean latency.
        latency: Duration,
    },
    /// A client thread was busy for more than 70 % of the run.
    ClientBusy {
        /// The share of the busiest thread, from 0 to 1.
        share: f64,
        /// How many threads were above the limit.
        busy: usize,
        /// How many there were.
        threads: usize,
    },
    /// The client sent late: p99 of the dispatch lag, without the opening of connections and the wait for
    /// bodies, is above the larger of 5 ms and 1 % of the shortest time to first token.
    DispatchLag {
        /// The 99th percentile.
        p99: Duration,
        /// The limit that held for this run.
        limit: Duration,
    },
    /// Requests were late since connections of HTTP/2 had no stream for them.
    FewStreams {
        /// How many waited.
        waited: u64,
        /// Requests that are over.
        over: u64,
        /// The 99th percentile of the dispatch lag.
        p99: Duration,
    },
    /// Other runs of this program were on the machine: they ask the same server, or this client was short of the processor.
    OtherRuns(OtherRuns),
    /// Requests waited for their bodies, p99 longer than the limit of the dispatch lag.
    BodiesLate {
        /// The 99th percentile.
        p99: Duration,
        /// The limit that held for this run.
        limit: Duration,
        /// Requests that waited at all.
        waited: u64,
        /// Those of them whose bodies waited for memory.
        for_memory: u64,
        /// Requests that are over.
        over: u64,
    },
    /// Client threads had to wait since something behind the parser took no finished response, for more
    /// than 1 % of the requests.
    OutputBehind {
        /// What took none.
        stage: PipelineStage,
        /// How often they waited.
        waits: u64,
        /// Requests that are over.
        over: u64,
    },
    /// Client threads had to wait until the parser took a finished response, for more than 1 % of the
    /// requests.
    ParserBehind {
        /// How often they waited.
        waits: u64,
        /// Requests that are over.
        over: u64,
    },
    /// The wall clock moved against the monotonic one by more than slewing explains.
    WallClockStepped {
        /// By how many seconds.
        seconds: f64,
    },
    /// More than 20 % of the gaps between output events are zero.
    Coalesced {
        /// Zero gaps.
        coalesced: u64,
        /// All gaps.
        gaps: u64,
        /// Whether this program did not run for a tenth of the run: what waits unread is merged.
        by_client: bool,
    },
    /// Percentiles of the summary rest on fewer samples than they need.
    FewSamples {
        /// Succeeded requests.
        samples: u64,
        /// The percentiles concerned, with the number of samples that each needs; ascending.
        short: Vec<(String, u64)>,
    },
    /// The data set was used more than once.
    DatasetReused {
        /// How often its entries were used, on average.
        passes: f64,
        /// The share of the tokens of prompts from the cache of the server, where it is known.
        cached: Option<f64>,
    },
    /// Most tokens of prompts of a data set came from the cache of the server, though none of its entries was sent twice.
    DatasetCached {
        /// Their share, of the prompts of first turns.
        share: f64,
        /// Whether there are others.
        of_first_turns: bool,
    },
    /// All requests had the same prompt.
    PromptRepeated {
        /// Completed requests.
        requests: u64,
        /// The share of the tokens of prompts from the cache of the server, where it is known.
        cached: Option<f64>,
    },
    /// Outputs are shorter than the parameters ask for.
    ShorterThanAsked {
        /// Output tokens per request.
        mean: f64,
        /// The fewest of one.
        shortest: u64,
        /// How many were asked for.
        asked: u64,
        /// The shorter ones, and why they ended.
        short: ShortOutputs,
    },
    /// More than 1 % of the prompts have another length than was asked for.
    OtherPromptLengths(AskedLength),
    /// More than 1 % of the prompts of later turns have not what was said before them and their message.
    OtherTurnLengths(AskedLength),
    /// The server's prefix cache did not do what the prompts let expect.
    OtherCacheHits(CachedTokens),
    /// More than 1 % of the outputs have a clearly other length than was asked for.
    OtherOutputLengths(AskedLength),
    /// More than 1 % of the succeeded requests have no output token.
    WithoutTokens {
        /// Such requests.
        requests: u64,
        /// Succeeded requests.
        succeeded: u64,
    },
    /// A chunk of output is not a token.
    ChunksAreNotTokens {
        /// Tokens per chunk.
        tokens_per_chunk: f64,
    },
    /// Nobody counted any tokens of the output.
    TokensUnknown {
        /// Succeeded requests.
        succeeded: u64,
        /// Whether those of some prompts were counted.
        only_output: bool,
    },
    /// Streams did not say that they are over.
    WithoutEnd {
        /// How many.
        streams: u64,
        /// Succeeded requests.
        succeeded: u64,
    },
    /// Streams were asked for, and plain answers came.
    NotStreamed {
        /// Succeeded requests to which that happened.
        plain: u64,
        /// Succeeded requests.
        succeeded: u64,
    },
    /// The server counted tokens of reasoning that it did not send.
    HiddenReasoning {
        /// Succeeded requests with such tokens.
        requests: u64,
        /// Those tokens.
        tokens: u64,
    },
    /// Responses count more output tokens than they have bytes.
    MoreTokensThanBytes {
        /// Succeeded requests to which that happened.
        requests: u64,
        /// Succeeded requests.
        succeeded: u64,
        /// The most tokens that one of them counts, without those that the server says it did not send.
        tokens: u64,
        /// The bytes of that response.
        bytes: u64,
    },
    /// Tokens of one side were counted in more than one way.
    TokensMixed {
        /// The side.
        side: TokenSide,
        /// Who counted for how many requests.
        sources: Vec<(TokenSource, u64)>,
    },
    /// Some succeeded requests knew their tokens and some did not.
    TokensPartlyKnown {
        /// The side.
        side: TokenSide,
        /// Succeeded requests that knew.
        known: u64,
        /// Succeeded requests.
        succeeded: u64,
    },
}

impl Doubt {
    /// A short name for the database, which stays the same when wordings change.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NothingSucceeded { .. } => Reason::NOTHING_SUCCEEDED,
            Self::Interrupted { .. } => "interrupted",
            Self::StoppedEarly { .. } => "stopped-early",
            Self::OlderVersion { .. } => "older-version",
            Self::LostWorker { .. } => "lost-worker",
            Self::WorkersApart { .. } => "workers-apart",
            Self::UnlikeWorkers(_) => "unlike-workers",
            Self::WorkersOnOneMachine { .. } => "workers-on-one-machine",
            Self::Failures { .. } => "failures",
            Self::Saturated(_) => "saturated",
            Self::HeldUp { .. } => "held-up",
            Self::DueAndNotSent { .. } => "due-and-not-sent",
            Self::LostTime { .. } => "lost-time",
            Self::ProcessorWaits { .. } => "processor-waits",
            Self::LateReads { .. } => "late-reads",
            Self::ClientBusy { .. } => "client-busy",
            Self::DispatchLag { .. } => "dispatch-lag",
            Self::FewStreams { .. } => "few-streams",
            Self::OtherRuns(_) => "other-runs",
            Self::BodiesLate { .. } => "bodies-late",
            Self::ParserBehind { .. } => "parser-behind",
            Self::OutputBehind { .. } => "output-behind",
            Self::WallClockStepped { .. } => "wall-clock-stepped",
            Self::Coalesced { .. } => "coalesced-chunks",
            Self::FewSamples { .. } => "few-samples",
            Self::DatasetReused { .. } => "data-set-reused",
            Self::DatasetCached { .. } => "data-set-cached",
            Self::PromptRepeated { .. } => "prompt-repeated",
            Self::ShorterThanAsked { .. } => "shorter-than-asked",
            Self::OtherPromptLengths(_) => "other-prompt-lengths",
            Self::OtherTurnLengths(_) => "other-turn-lengths",
            Self::OtherCacheHits(_) => "other-cache-hits",
            Self::OtherOutputLengths(_) => "other-output-lengths",
            Self::WithoutTokens { .. } => "no-output-tokens",
            Self::ChunksAreNotTokens { .. } => "chunks-are-not-tokens",
            Self::TokensUnknown { .. } => "tokens-unknown",
            Self::WithoutEnd { .. } => "streams-without-end",
            Self::NotStreamed { .. } => "not-streamed",
            Self::HiddenReasoning { .. } => "hidden-reasoning",
            Self::MoreTokensThanBytes { .. } => "more-tokens-than-bytes",
            Self::TokensMixed { .. } => "tokens-mixed",
            Self::TokensPartlyKnown { .. } => "tokens-partly-known",
        }
    }
}
