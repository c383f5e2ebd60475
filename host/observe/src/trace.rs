//! What `--debug` shows of each exchange, on standard error: request, events with the time of each,
//! and how it ended. Values of headers that carry credentials are blanked.

use crate::terminal;
use http::HeaderMap;
use llmuses_core::backlog::PipelineStage;
use llmuses_core::credential::{is_credential, public_url};
use llmuses_core::exchange::Outcome;
use llmuses_core::plan::Target;
use llmuses_core::redact::Secrets;
use llmuses_core::wording::BLANK;
use llmuses_stats::{RunSoFar, Sample, Sink};
use std::fmt::Write;

/// Shows the exchanges of a run.
#[derive(Debug)]
pub struct Trace {
    /// The head of every request.
    head: String,
}

impl Trace {
    /// Of requests to `target` with these headers.
    pub fn new(target: &Target, headers: &HeaderMap, secrets: &Secrets) -> Self {
        let head = request_head(target, headers);
        Self {
            head: secrets.blank_text(&head).into_owned(),
        }
    }
}

impl Sink for Trace {
    fn stage(&self) -> PipelineStage {
        PipelineStage::Terminal
    }

    fn offer(&mut self, sample: &Sample, _: &RunSoFar<'_>) {
        terminal::detail(exchange(&sample.outcome, &self.head));
    }
}

/// The head of every request of a run, as it is shown.
fn request_head(target: &Target, headers: &HeaderMap) -> String {
    let mut text = format!("POST {}\n", public_url(&target.url));
    for (name, value) in headers {
        let value = value.to_str().unwrap_or("(not text)");
        let shown = if is_credential(name, value) {
            BLANK
        } else {
            value
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {shown}");
    }
    text
}

/// One exchange, as it is shown.
fn exchange(outcome: &Outcome, request_head: &str) -> String {
    let exchange = &outcome.exchange;
    let mut text = format!(
        "--- request {}\n{request_head}\n{}\n",
        exchange.number,
        exchange.request_text()
    );
    let sent = exchange.sent.unwrap_or(exchange.intended);
    match &exchange.head {
        Some(head) => {
            let _ = writeln!(
                text,
                "--- response {} after {:.6} s: status {}",
                exchange.number,
                head.at.since(sent).as_secs_f64(),
                head.status
            );
        }
        None => {
            let _ = writeln!(text, "--- response {}: none", exchange.number);
        }
    }
    for (data, arrival) in exchange.response.iter().zip(exchange.response.arrivals()) {
        let _ = writeln!(
            text,
            "{:.6} {}",
            arrival.since(sent).as_secs_f64(),
            String::from_utf8_lossy(data)
        );
    }
    if let Some(done) = exchange.response.done() {
        let _ = writeln!(text, "{:.6} [DONE]", done.since(sent).as_secs_f64());
    }
    let took = exchange.end.since(sent).as_secs_f64();
    let _ = match (&exchange.failure, &outcome.reading) {
        (Some(failure), _) if outcome.is_disconnected() => writeln!(
            text,
            "--- disconnected {}: {}",
            exchange.number, failure.message
        ),
        (Some(failure), _) => writeln!(
            text,
            "--- failed {} after {took:.6} s: {}: {}",
            exchange.number, failure.kind, failure.message
        ),
        (None, Some(reading)) => writeln!(
            text,
            "--- done {} after {took:.6} s: prompt tokens {}, completion tokens {}",
            exchange.number,
            count(reading.prompt),
            count(reading.completion)
        ),
        (None, None) => writeln!(text, "--- done {} after {took:.6} s", exchange.number),
    };
    text
}

fn count(count: Option<llmuses_core::exchange::TokenCount>) -> String {
    match count {
        Some(count) => format!("{} ({})", count.tokens, count.source.as_str()),
        None => "unknown".to_owned(),
    }
}
