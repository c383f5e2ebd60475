//! A request as a row of the table.

use crate::sink::{added_columns, unix_seconds};
use llmuses_core::clock::Clock;
use llmuses_core::metric::{
    CACHED_TOKENS, CONNECT, FIRST_PACKAGE, LATENCY, REASONING_TOKENS, TPOT, TTFT,
};
use llmuses_core::plan::Stages;
use llmuses_stats::Sample;
use serde::Serialize;
use std::time::Duration;

/// One request. Times of day are Unix seconds, spans of time are seconds; what a request does not have is
/// empty.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CsvRow {
    /// The run, from 1: a sweep has several.
    pub run: u32,
    /// The place in the order of issue, from 0.
    pub number: u64,
    /// Whether it is of the warm-up, and so in no figure.
    pub warmup: bool,
    /// Whether it succeeded.
    pub success: bool,
    /// When the schedule wanted it sent.
    pub intended_unix_seconds: f64,
    /// Just before the last bytes of the request were written.
    pub sent_unix_seconds: Option<f64>,
    /// The end of the response, or of the attempt.
    pub completed_unix_seconds: f64,
    /// End − origin.
    pub latency_seconds: f64,
    /// First event with output − origin.
    pub time_to_first_token_seconds: Option<f64>,
    /// First event − origin.
    pub time_to_first_package_seconds: Option<f64>,
    /// (Last output − first output) / (completion tokens − 1).
    pub time_per_output_token_seconds: Option<f64>,
    /// (Event n − 2 − event 0) / (n − 2).
    pub package_latency_seconds: Option<f64>,
    /// Events of the response.
    pub packages: u64,
    /// Opening of the connection; empty on a kept one.
    pub connect_seconds: Option<f64>,
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of the completion.
    pub output_tokens: Option<u64>,
    /// HTTP status.
    pub status: Option<u16>,
    /// The kind of the failure.
    pub error_kind: Option<String>,
    /// Its message.
    pub error: Option<String>,
    /// The times that were added to the table of metrics later, in its order.
    pub added: Vec<Option<f64>>,
    /// Why the answer ended, in the word of the API.
    pub finish_reason: Option<String>,
    /// Who answered, by the header of `--label-header`.
    pub label: Option<String>,
    /// Where it was sent, without credentials, if the run has several URLs.
    pub url: Option<String>,
    /// The session of which it is a turn, in the order in which they began, from 0.
    pub session: u64,
    /// The turn of the session, from 0.
    pub turn: u32,
    /// How many turns the session was to have.
    pub turns: u32,
    /// The stage of the load in which it was due, from 1; empty where the load has none.
    pub stage: Option<usize>,
    /// The model that it asked, if the run has several.
    pub model: Option<String>,
    /// The value of its `--request-id-header`.
    pub request_id: Option<String>,
    /// Tokens of the prompt that the server took from its cache, where it tells.
    pub cached_tokens: Option<u64>,
    /// Output tokens that are reasoning, where the server tells.
    pub reasoning_tokens: Option<u64>,
    /// Output tokens that were asked for, where a length was.
    pub asked_output_tokens: Option<u32>,
}

/// When the requests of a run are due.
#[derive(Debug, Clone, Default)]
pub struct RowStages {
    /// The stages of its load. `None`: it has none.
    pub stages: Option<Stages>,
    /// When the first of them begins, in Unix seconds.
    pub began_unix_seconds: f64,
}

impl RowStages {
    /// The stage of a request that was due at this time of day, from 1.
    pub fn of(&self, due_unix_seconds: f64) -> Option<usize> {
        let after = (due_unix_seconds - self.began_unix_seconds).max(0.0);
        // Rows are rounded to microseconds, and a request that begins a stage belongs to it.
        let after = Duration::try_from_secs_f64(after + 0.5e-6).ok()?;
        let stages = self.stages.as_ref()?;
        Some(stages.at(after) + 1)
    }
}

impl CsvRow {
    /// The row of a sample.
    pub fn of(sample: &Sample, clock: &Clock, run: u32, stages: &RowStages) -> Self {
        let Sample {
            outcome,
            measured,
            warmup,
            worker: _,
            asked_output,
        } = sample;
        let exchange = &outcome.exchange;
        let unix = |moment| unix_seconds(clock, moment);
        let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64());
        let failure = exchange.failure.as_ref();
        let reading = outcome.reading.as_ref();
        let metric = |name: &str| tokens_of(reading?.metric(name)?);
        Self {
            run,
            number: exchange.number,
            warmup: *warmup,
            success: outcome.succeeded(),
            intended_unix_seconds: unix(exchange.intended),
            sent_unix_seconds: exchange.sent.map(unix),
            completed_unix_seconds: unix(exchange.end),
            latency_seconds: seconds(measured.times[LATENCY]).unwrap_or_default(),
            time_to_first_token_seconds: seconds(measured.times[TTFT]),
            time_to_first_package_seconds: seconds(measured.times[FIRST_PACKAGE]),
            time_per_output_token_seconds: seconds(measured.times[TPOT]),
            package_latency_seconds: measured.package_latency_seconds(),
            packages: measured.packages,
            connect_seconds: seconds(measured.times[CONNECT]),
            input_tokens: measured.prompt_tokens.map(|count| count.tokens),
            output_tokens: measured.completion_tokens.map(|count| count.tokens),
            status: exchange.head.as_ref().map(|head| head.status),
            error_kind: failure.map(|failure| failure.kind.as_str().to_owned()),
            error: failure.map(|failure| failure.message.clone()),
            added: added_columns()
                .map(|(time, _)| seconds(measured.times[time]))
                .collect(),
            finish_reason: outcome
                .reading
                .as_ref()
                .and_then(|reading| reading.finish_reason.clone()),
            session: exchange.place.session,
            turn: exchange.place.turn,
            turns: exchange.place.turns,
            stage: stages.of(unix(exchange.intended)),
            model: exchange.model.as_deref().map(str::to_owned),
            request_id: exchange.request_id.as_deref().map(str::to_owned),
            label: exchange
                .head
                .as_ref()
                .and_then(|head| head.label.as_deref().map(str::to_owned)),
            url: exchange.url.as_deref().map(str::to_owned),
            cached_tokens: metric(CACHED_TOKENS),
            reasoning_tokens: metric(REASONING_TOKENS),
            asked_output_tokens: *asked_output,
        }
    }
}

/// Tokens as a figure of the parser has them. `None`: it is no number of anything.
pub(super) fn tokens_of(figure: f64) -> Option<u64> {
    (figure.is_finite() && figure >= 0.0).then_some(figure as u64)
}
