//! One outcome as one row of the table `result`.

use super::messages::Messages;
use super::schema::added_columns;
use super::text::{UnixTime, write_times};
use llmuses_core::exchange::{Exchange, TokenCount};
use llmuses_core::metric::{CONNECT, DNS, FIRST_PACKAGE, LATENCY, TLS, TPOT, TTFT};
use llmuses_stats::Sample;
use rusqlite::{Statement, params};
use std::borrow::Cow;
use std::time::Duration;

/// A request body up to this size is kept whole. Prompts are far smaller; what plugins make of media is not, and a run
/// would fill the disk with it.
pub(super) const WHOLE_REQUEST_BYTES: usize = 1 << 20;

/// What is kept of a larger one.
const KEPT_OF_REQUEST_BYTES: usize = 64 << 10;

/// The text of a request as it is kept, and whether it is a beginning only, which it says itself.
fn kept_request(exchange: &Exchange) -> (Cow<'_, str>, bool) {
    let text = exchange.request_text();
    if text.len() <= WHOLE_REQUEST_BYTES {
        return (text, false);
    }
    let end = text.floor_char_boundary(KEPT_OF_REQUEST_BYTES);
    let kept = format!("{} (the first {end} of {} bytes)", &text[..end], text.len());
    (kept.into(), true)
}

/// Whether the text of a request in a database is a beginning only, as [`kept_request`] makes it.
pub(crate) fn is_beginning_of_request(text: &str) -> bool {
    let says_so = || {
        let (kept, all) = text.strip_suffix(" bytes)")?.rsplit_once(" of ")?;
        let (kept, first) = kept.rsplit_once(" (the first ")?;
        let (first, all): (usize, usize) = (first.parse().ok()?, all.parse().ok()?);
        Some(kept.len() == first && first <= KEPT_OF_REQUEST_BYTES && all > WHOLE_REQUEST_BYTES)
    };
    says_so().unwrap_or_default()
}

/// Writes rows, with buffers that are used again for every row.
#[derive(Debug)]
pub(super) struct RowWriter {
    unix: UnixTime,
    run: u32,
    chunk_times: String,
    output_times: String,
    messages: Messages,
    /// Requests of which only the beginning was kept.
    cut_requests: u64,
}

impl RowWriter {
    /// Writes rows of the run with the id `run`.
    pub(super) fn new(unix: UnixTime, run: u32) -> Self {
        Self {
            unix,
            run,
            chunk_times: String::new(),
            output_times: String::new(),
            messages: Messages::default(),
            cut_requests: 0,
        }
    }

    /// The id of the run.
    pub(super) fn run(&self) -> u32 {
        self.run
    }

    /// Requests of which only the beginning was kept.
    pub(super) fn cut_requests(&self) -> u64 {
        self.cut_requests
    }

    /// Writes the row of `sample` with the prepared [`super::schema::insert_result`].
    pub(super) fn insert(
        &mut self,
        statement: &mut Statement<'_>,
        sample: &Sample,
    ) -> rusqlite::Result<()> {
        let Sample {
            outcome,
            measured,
            warmup,
            worker,
            asked_output,
        } = sample;
        let exchange = &outcome.exchange;
        let response = &exchange.response;
        let seconds = |moment| self.unix.seconds(moment);

        write_times(&mut self.chunk_times, self.unix, response.arrivals());
        let outputs = outcome.reading.as_ref().map(|reading| {
            let moments = reading
                .outputs
                .iter()
                .filter_map(|index| response.arrival(*index as usize));
            write_times(&mut self.output_times, self.unix, moments);
            self.output_times.as_str()
        });
        let messages = self
            .messages
            .of(response)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        let metrics = outcome
            .reading
            .as_ref()
            .filter(|reading| !reading.metrics.is_empty())
            // Names and numbers are always JSON.
            .and_then(|reading| serde_json::to_string(&reading.metrics).ok());

        let (request, is_cut) = kept_request(exchange);
        self.cut_requests += u64::from(is_cut);
        let columns = params![
            request,
            seconds(exchange.sent.unwrap_or(exchange.intended)),
            self.chunk_times,
            outcome.succeeded(),
            messages,
            seconds(exchange.end),
            measured.times[LATENCY].map(as_seconds),
            measured.times[FIRST_PACKAGE].map(as_seconds),
            integer(measured.packages),
            measured.package_latency_seconds(),
            tokens(measured.prompt_tokens),
            tokens(measured.completion_tokens),
            seconds(exchange.intended),
            exchange.sent.map(seconds),
            measured.times[CONNECT].map(as_seconds),
            measured.times[TTFT].map(as_seconds),
            measured.times[TPOT].map(as_seconds),
            outputs,
            exchange.head.as_ref().map(|head| head.status),
            exchange
                .failure
                .as_ref()
                .map(|failure| failure.kind.as_str()),
            exchange
                .failure
                .as_ref()
                .map(|failure| failure.message.as_str()),
            integer(exchange.number),
            self.run,
            warmup,
            counted_by(measured.prompt_tokens),
            counted_by(measured.completion_tokens),
            measured.times[DNS].map(as_seconds),
            measured.times[TLS].map(as_seconds),
            response.is_streamed(),
            exchange.stamps.key(),
            metrics,
        ];
        for (place, value) in (1..).zip(columns) {
            statement.raw_bind_parameter(place, value)?;
        }
        for (place, (time, _)) in (columns.len() + 1..).zip(added_columns()) {
            statement.raw_bind_parameter(place, measured.times[time].map(as_seconds))?;
        }
        let reading = outcome.reading.as_ref();
        let so_far = reading.and_then(|reading| reading.tokens_so_far.as_ref());
        let last = params![
            reading.and_then(|reading| reading.finish_reason.as_deref()),
            exchange
                .head
                .as_ref()
                .and_then(|head| head.label.as_deref()),
            exchange.url.as_deref(),
            integer(exchange.place.session),
            exchange.place.turn,
            exchange.place.turns,
            // Numbers are always JSON.
            so_far.and_then(|tokens| serde_json::to_string(tokens).ok()),
            worker,
            exchange.model.as_deref(),
            exchange.request_id.as_deref(),
            asked_output,
        ];
        for (place, value) in (columns.len() + added_columns().count() + 1..).zip(last) {
            statement.raw_bind_parameter(place, value)?;
        }
        statement.raw_execute()?;
        Ok(())
    }
}

fn as_seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn tokens(count: Option<TokenCount>) -> Option<i64> {
    count.map(|count| integer(count.tokens))
}

fn counted_by(count: Option<TokenCount>) -> Option<&'static str> {
    count.map(|count| count.source.key())
}

/// SQLite has no unsigned 64-bit numbers, and no run has more than 2⁶³ of anything.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_samples::OutcomeBuilder;

    #[test]
    fn the_beginning_of_a_request_is_known_as_one() {
        let kept = |body: String| {
            let mut exchange = OutcomeBuilder::at(0).build().exchange;
            exchange.request = body.into();
            let (text, is_cut) = kept_request(&exchange);
            (text.into_owned(), is_cut)
        };
        for body in ["x".repeat(WHOLE_REQUEST_BYTES + 1), "ü".repeat(1 << 20)] {
            let (text, is_cut) = kept(body);
            assert!(is_cut);
            assert!(is_beginning_of_request(&text), "{}", text.len());
        }
        let (text, is_cut) = kept("x".repeat(WHOLE_REQUEST_BYTES));
        assert!(!is_cut);
        assert!(!is_beginning_of_request(&text));
        // A prompt may have such words.
        for text in [
            "",
            "x (the first 1 of 2000000 by",
            "xy (the first 1 of 2000000 bytes)",
        ] {
            assert!(!is_beginning_of_request(text), "{text}");
        }
        assert!(!is_beginning_of_request("x (the first 1 of 20 bytes)"));
    }
}
