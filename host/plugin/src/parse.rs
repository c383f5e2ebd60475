//! From finished exchanges to outcomes: threads with parser instances of their own, away from the
//! threads that stamp.

use crate::{CallError, InstanceContext, Parser, ParserInstance};
use llmuses_core::cost::ParserCost;
use llmuses_core::exchange::{Exchange, Failure, FailureKind, Outcome, Reading, ResponseLog};
use llmuses_core::redact::Secrets;
use llmuses_kernel_io::priority;
use memchr::memmem;
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

/// After this many responses in a row on which the parser broke, the run stops issuing: what is left
/// of it would not tell anything.
const BROKEN_IN_A_ROW: u64 = 20;

/// What the threads share.
#[derive(Clone)]
pub struct ParseSettings {
    /// The parser.
    pub parser: Parser,
    /// What its instances are given.
    pub context: InstanceContext,
    /// `--parameters` as the text of a JSON object.
    pub parameters: Arc<str>,
    /// What must not be kept of a response.
    pub secrets: Arc<Secrets>,
    /// Set when the run should stop issuing.
    pub stop: Arc<AtomicBool>,
    /// Where this thread tells that what is behind it takes nothing.
    pub gauge: Arc<llmuses_transport::worker::InFlight>,
    /// Set with `stop`, when the parser broke too often.
    pub gave_up: Arc<GaveUp>,
}

/// Whether the parser broke on one response after the other, or nobody waits for it any more.
#[derive(Debug, Default)]
pub struct GaveUp {
    in_a_row: AtomicU64,
    reached: AtomicBool,
    abandoned: AtomicBool,
}

impl GaveUp {
    /// Has the responses that still wait go to the statistics unread: the person who runs the test ended
    /// it, and a slow parser could take an hour for a full queue.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Why a response is not given to the parser, where it is not. What was measured of it is kept.
    fn unread(&self) -> Option<String> {
        if self.reached.load(Ordering::Relaxed) {
            return Some(format!(
                "not read: the parser had broken on {BROKEN_IN_A_ROW} responses in a row"
            ));
        }
        self.abandoned
            .load(Ordering::Relaxed)
            .then(|| "not read: the run was ended before the parser came to it".to_owned())
    }

    /// Why the run stopped, if the parser is why.
    pub fn reason(&self) -> Option<String> {
        self.reached
            .load(Ordering::Relaxed)
            .then(|| format!("the parser broke on {BROKEN_IN_A_ROW} responses in a row"))
    }
}

/// Starts a parsing thread. It ends when no more exchanges can come.
///
/// # Errors
/// Where the system gives no thread, or the parser breaks as it starts.
pub fn spawn(
    index: usize,
    settings: ParseSettings,
    exchanges: flume::Receiver<Exchange>,
    outcomes: flume::Sender<Outcome>,
) -> Result<JoinHandle<ParserCost>, ParseError> {
    let instance = settings.parser.instantiate(settings.context.clone())?;
    let mut thread = ParseThread {
        settings,
        instance: Some(instance),
        cost: ParserCost::default(),
        error_word: memmem::Finder::new(b"\"error\"").into_owned(),
    };
    Ok(std::thread::Builder::new()
        .name(format!("parse-{index}"))
        .spawn(move || {
            priority::step_back();
            while let Some(exchange) = next(&exchanges) {
                let outcome = thread.outcome(exchange);
                let sent = match outcomes.try_send(outcome) {
                    Err(flume::TrySendError::Full(outcome)) => {
                        let backlog = thread.settings.gauge.backlog();
                        backlog.plugin_held_up(|| outcomes.send(outcome)).is_ok()
                    }
                    sent => sent.is_ok(),
                };
                if !sent {
                    break;
                }
            }
            thread.drop_instance();
            thread.cost
        })?)
}

/// The next exchange; `None` when no more can come. To be woken for each would cost more than to read it,
/// and nothing here has a deadline: where there is none, some gather before this thread waits for one.
fn next(exchanges: &flume::Receiver<Exchange>) -> Option<Exchange> {
    match exchanges.try_recv() {
        Ok(exchange) => Some(exchange),
        Err(flume::TryRecvError::Disconnected) => None,
        Err(flume::TryRecvError::Empty) => {
            std::thread::sleep(priority::GATHER);
            exchanges.recv().ok()
        }
    }
}

/// A parsing thread could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The system gave no thread.
    #[error("a thread for the parser could not be started: {0}")]
    Thread(#[from] std::io::Error),
    /// The parser broke as it started.
    #[error(transparent)]
    Parser(#[from] CallError),
}

struct ParseThread {
    settings: ParseSettings,
    /// Absent after the parser broke, until it is needed again.
    instance: Option<ParserInstance>,
    /// What the instances before this one have cost.
    cost: ParserCost,
    error_word: memmem::Finder<'static>,
}

impl ParseThread {
    fn outcome(&mut self, mut exchange: Exchange) -> Outcome {
        let reading = self.reading(&mut exchange);
        self.settings.secrets.blank(&mut exchange);
        Outcome { exchange, reading }
    }

    fn reading(&mut self, exchange: &mut Exchange) -> Option<Reading> {
        // A server that reports an error and then breaks off has broken off for that reason.
        let may_be_reported = exchange
            .failure
            .as_ref()
            .is_none_or(|failure| failure.kind == FailureKind::Truncated);
        if may_be_reported && let Some(message) = self.error_in(&exchange.response) {
            exchange.failure = Some(Failure::new(FailureKind::StreamError, message));
        }
        if exchange.failure.is_some() {
            return None;
        }
        if let Some(reason) = self.settings.gave_up.unread() {
            exchange.failure = Some(Failure::new(FailureKind::Parse, reason));
            return None;
        }
        match self.ask(exchange) {
            Ok(reading) => {
                self.settings.gave_up.in_a_row.store(0, Ordering::Relaxed);
                Some(reading)
            }
            Err(error) => {
                if matches!(error, CallError::Broken { .. }) {
                    self.note_broken();
                }
                let message = match error {
                    CallError::Refused(message) => {
                        format!("parser `{}`: {message}", self.settings.parser.info().name)
                    }
                    broken => broken.to_string(),
                };
                exchange.failure = Some(Failure::new(FailureKind::Parse, message));
                None
            }
        }
    }

    fn ask(&mut self, exchange: &Exchange) -> Result<Reading, CallError> {
        let instance = match &mut self.instance {
            Some(instance) => instance,
            None => {
                let context = self.settings.context.clone();
                let began = Instant::now();
                let instance = self.settings.parser.instantiate(context)?;
                self.cost.replacements.add(began.elapsed());
                self.instance.insert(instance)
            }
        };
        instance.parse_responses(
            &exchange.response,
            &exchange.request,
            &self.settings.parameters,
        )
    }

    /// A parser that broke is not to be trusted with another response: its memory may be in any state.
    fn note_broken(&mut self) {
        self.drop_instance();
        let gave_up = &self.settings.gave_up;
        if gave_up.in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= BROKEN_IN_A_ROW {
            gave_up.reached.store(true, Ordering::Relaxed);
            self.settings.stop.store(true, Ordering::Relaxed);
        }
    }

    fn drop_instance(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.cost.responses += instance.cost();
        }
    }

    /// The error that the server reports within a response that began well: an event or body whose
    /// JSON object has a member `error` that says something: some servers always send it, empty.
    fn error_in(&self, response: &ResponseLog) -> Option<String> {
        #[derive(Deserialize)]
        struct MayHoldError<'a> {
            #[serde(borrow)]
            error: Option<&'a serde_json::value::RawValue>,
        }
        response.iter().find_map(|data| {
            // Nearly no chunk holds the word; only one that does is worth a look at its structure.
            self.error_word.find(data)?;
            let error = serde_json::from_slice::<MayHoldError<'_>>(data)
                .ok()?
                .error?;
            says_something(error).then(|| {
                format!(
                    "the server reported an error in its response: {}",
                    llmuses_core::words::excerpt(error.get().as_bytes())
                )
            })
        })
    }
}

/// Whether an `error` is one.
fn says_something(error: &serde_json::value::RawValue) -> bool {
    use serde_json::Value;
    match serde_json::from_str(error.get()) {
        Ok(Value::Null | Value::Bool(false)) => false,
        Ok(Value::String(text)) => !text.is_empty(),
        Ok(Value::Object(members)) => !members.is_empty(),
        Ok(Value::Array(items)) => !items.is_empty(),
        Ok(Value::Bool(true) | Value::Number(_)) | Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_error_says_nothing() {
        let says = |text: &str| {
            says_something(&serde_json::value::RawValue::from_string(text.to_owned()).unwrap())
        };
        for nothing in ["null", "false", "\"\"", "{}", "{ }", "[]"] {
            assert!(!says(nothing), "{nothing}");
        }
        for something in ["true", "500", "\"no\"", "{\"a\":null}", "[1]"] {
            assert!(says(something), "{something}");
        }
    }
}
