//! From finished exchanges to outcomes: threads with parser instances of their own, away from the
//! threads that stamp.

use crate::answer::{Suspicion, server_error};
use crate::hints::hint;
use crate::{CallError, InstanceContext, Parser, ParserInstance, answer};
use bytes::Bytes;
use llmuses_core::backlog::Backlog;
use llmuses_core::cost::{CallCost, ParserCost};
use llmuses_core::exchange::{
    Exchange, Failure, FailureKind, Outcome, Reading, ResponseLog, TokenSource,
};
use llmuses_core::redact::Secrets;
use llmuses_kernel_io::priority;
use memchr::memmem;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;
use url::Url;

/// After this many responses in a row on which the parser broke, the run stops issuing: what is left
/// of it would not tell anything.
const BROKEN_IN_A_ROW: u64 = 20;

/// How a parser begins the text of an error that is the server's own.
const SERVER_ERROR: &str = "the server reported an error";

/// Goes on with a session once a turn of it has been read. Here, since the request of the next turn takes the reply to this
/// one, and an instance of the parser.
pub trait GoOn: Send + Sync {
    /// Whether somebody waits for what comes next, so that responses must not gather.
    fn hurries(&self) -> bool;

    /// Whether the next turn has the reply to this one.
    fn wants_reply(&self, exchange: &Exchange) -> bool;

    /// Takes in that the last turn of a session was read, or its only one.
    fn over(&self, exchange: &Exchange);

    /// Has the next turn of the session sent, or ends the session where this turn failed. There is no instance where the
    /// parser broke.
    ///
    /// # Errors
    /// Where the parser breaks now.
    fn go_on(
        &self,
        outcome: &mut Outcome,
        instance: Option<&mut ParserInstance>,
    ) -> Result<(), CallError>;
}

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
    /// The endpoint, for hints in messages.
    pub url: Arc<Url>,
    /// Set when the run should stop issuing.
    pub stop: Arc<AtomicBool>,
    /// Where this thread tells that what is behind it takes nothing.
    pub backlog: Arc<Backlog>,
    /// Set with `stop`, when the parser broke too often.
    pub gave_up: Arc<GaveUp>,
    /// What goes on with sessions. `None`: there are none.
    pub sessions: Option<Arc<dyn GoOn>>,
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
        clean_body: None,
        cost: ParserCost::default(),
        of_requests: CallCost::default(),
        error_word: memmem::Finder::new(b"\"error").into_owned(),
    };
    Ok(std::thread::Builder::new()
        .name(format!("parse-{index}"))
        .spawn(move || {
            priority::step_back();
            while let Some(exchange) = thread.next(&exchanges) {
                let mut outcome = thread.outcome(exchange);
                thread.go_on(&mut outcome);
                let sent = match outcomes.try_send(outcome) {
                    Err(flume::TrySendError::Full(outcome)) => {
                        let backlog = &thread.settings.backlog;
                        backlog.plugin_held_up(|| outcomes.send(outcome).is_ok())
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
    /// The last body of a request that holds no credential.
    clean_body: Option<Bytes>,
    /// What the instances before this one have cost.
    cost: ParserCost,
    /// What making requests of later turns has cost of this one.
    of_requests: CallCost,
    error_word: memmem::Finder<'static>,
}

impl ParseThread {
    /// The next exchange; `None` when no more can come. To be woken for each would cost more than to read it, and nothing
    /// here has a deadline unless a session waits: where there is none, some gather before this thread waits for one.
    fn next(&self, exchanges: &flume::Receiver<Exchange>) -> Option<Exchange> {
        match exchanges.try_recv() {
            Ok(exchange) => Some(exchange),
            Err(flume::TryRecvError::Disconnected) => None,
            Err(flume::TryRecvError::Empty) => {
                let sessions = self.settings.sessions.as_ref();
                if !sessions.is_some_and(|sessions| sessions.hurries()) {
                    std::thread::sleep(priority::GATHER);
                }
                exchanges.recv().ok()
            }
        }
    }

    /// Goes on with the session of a turn.
    fn go_on(&mut self, outcome: &mut Outcome) {
        let Some(sessions) = &self.settings.sessions else {
            return;
        };
        if outcome.exchange.place.left() == 0 {
            sessions.over(&outcome.exchange);
            return;
        }
        let before = self.instance.as_ref().map(ParserInstance::cost);
        let gone_on = sessions.go_on(outcome, self.instance.as_mut());
        let after = self.instance.as_ref().map(ParserInstance::cost);
        if let (Some(before), Some(after)) = (before, after) {
            self.of_requests += after - before;
        }
        if gone_on.is_err() {
            self.note_broken();
        }
    }

    fn outcome(&mut self, mut exchange: Exchange) -> Outcome {
        // Before the plugin is shown any of it, and before anything is cut.
        self.blank_request(&mut exchange);
        self.settings.secrets.blank(&mut exchange);
        let Exchange {
            failure, response, ..
        } = &mut exchange;
        if let Some(failure) = failure {
            failure.cut_and_quote(response);
        }
        let read = catch_unwind(AssertUnwindSafe(|| self.reading(&mut exchange)));
        let reading = read.unwrap_or_else(|_| {
            self.drop_instance();
            let message = "the response could not be read, by a fault of this program";
            exchange.failure = Some(Failure::new(FailureKind::Parse, message));
            None
        });
        if let Some(hint) = hint(&exchange, &self.settings.url)
            && let Some(failure) = &mut exchange.failure
        {
            failure.message = format!("{} ({hint})", failure.message);
        }
        Outcome { exchange, reading }
    }

    /// Blanks credentials in the body that was sent. One that many requests share is looked at once.
    fn blank_request(&mut self, exchange: &mut Exchange) {
        let secrets = &self.settings.secrets;
        let is_known = self
            .clean_body
            .as_ref()
            .is_some_and(|clean| std::ptr::eq(&**clean, &*exchange.request));
        if secrets.is_empty() || is_known {
            return;
        }
        let blanked = match secrets.blank_bytes(&exchange.request) {
            Cow::Owned(blanked) => Some(blanked),
            Cow::Borrowed(_) => None,
        };
        match blanked {
            Some(blanked) => exchange.request = blanked.into(),
            None => self.clean_body = Some(exchange.request.clone()),
        }
    }

    fn reading(&mut self, exchange: &mut Exchange) -> Option<Reading> {
        // A server that reports an error and then ends the connection has ended it for that reason.
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
        if exchange.response.is_empty() {
            let message = "the response is empty";
            exchange.failure = Some(Failure::new(FailureKind::NoOutput, message));
            return None;
        }
        match self.ask(exchange) {
            Ok(reading) => {
                self.settings.gave_up.in_a_row.store(0, Ordering::Relaxed);
                exchange.failure = without_an_answer(exchange, &reading);
                // What was read of a response without output is in no figure, but in its row.
                Some(reading)
            }
            Err(error) => {
                if matches!(error, CallError::Broken { .. }) {
                    self.note_broken();
                }
                exchange.failure = Some(self.refusal(exchange, error));
                None
            }
        }
    }

    /// The failure of a response that the parser did not read: the server's own error, where there is one.
    fn refusal(&self, exchange: &Exchange, error: CallError) -> Failure {
        let message = match error {
            CallError::Refused(message) => message,
            broken => return Failure::new(FailureKind::Parse, broken.to_string()),
        };
        if message.starts_with(SERVER_ERROR) {
            return Failure::new(FailureKind::StreamError, message);
        }
        if let Some(message) = answer::error_beside(&exchange.response, &[]) {
            return Failure::new(FailureKind::StreamError, message);
        }
        let message = format!(
            "parser `{}`: {message}; {}",
            self.settings.parser.info().name,
            answer::excerpt(exchange)
        );
        Failure::new(FailureKind::Parse, message)
    }

    fn ask(&mut self, exchange: &Exchange) -> Result<Reading, CallError> {
        let sessions = self.settings.sessions.as_ref();
        let wants_reply = sessions.is_some_and(|sessions| sessions.wants_reply(exchange));
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
            wants_reply,
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
            let of_requests = std::mem::take(&mut self.of_requests);
            self.cost.responses += instance.cost() - of_requests;
            self.cost.requests += of_requests;
        }
    }

    /// The error that the server reports within a response that began well, by the word for it.
    fn error_in(&self, response: &ResponseLog) -> Option<String> {
        // Nearly no chunk holds the word; only one that does is worth a look at its structure.
        response.iter().find_map(|data| {
            self.error_word.find(data)?;
            server_error(data, Suspicion::Some)
        })
    }
}

/// The failure that a response is which was read well and is no answer.
fn without_an_answer(exchange: &Exchange, reading: &Reading) -> Option<Failure> {
    let response = &exchange.response;
    if let Some(message) = answer::error_beside(response, &reading.outputs) {
        return Some(Failure::new(FailureKind::StreamError, message));
    }
    if let Some(reason) = reading
        .finish_reason
        .as_deref()
        .filter(|reason| answer::is_given_up(reason))
    {
        let message = format!("the answer ended with finish_reason `{reason}`");
        return Some(Failure::new(FailureKind::StreamError, message));
    }
    if !reading.outputs.is_empty() {
        return None;
    }
    let ended_well = || {
        let reason = reading.finish_reason.as_deref();
        reason.is_some_and(answer::is_good_end) || answer::ended_well(response)
    };
    let counted = reading
        .completion
        .filter(|count| count.source == TokenSource::Server);
    // Servers such as vLLM count the token that ends an answer.
    if counted.is_some_and(|count| count.tokens <= 1) && ended_well() {
        return None;
    }
    let counted = match counted {
        Some(count) if count.tokens > 0 => {
            format!(", though the server counted {} tokens", count.tokens)
        }
        _ => String::new(),
    };
    let message = format!(
        "nothing in the response is output of the model{counted}; {}",
        answer::excerpt(exchange)
    );
    Some(Failure::new(FailureKind::NoOutput, message))
}
