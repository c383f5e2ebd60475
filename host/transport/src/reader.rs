//! From the bytes of a response body to the events of a [`ResponseLog`]: tells a stream from a plain
//! answer, knows `[DONE]`, and notices an `event: error`.

use super::json_stream::{self, JsonSplitter};
use super::sse::{Event, EventSplitter, EventTooLong, looks_like_events};
use llmuses_core::budget::{Budget, Charge, UsedUp};
use llmuses_core::clock::Moment;
use llmuses_core::exchange::{Failure, FailureKind, Framing, ResponseLog};
use std::sync::Arc;

/// Reads one response body, piece by piece.
#[derive(Debug)]
pub struct BodyReader {
    framing: Framing,
    form: Form,
    /// Whether the `content-type` says that it is a stream.
    is_labelled_stream: bool,
    log: ResponseLog,
    failure: Option<Failure>,
    /// When the last line of an event under way came.
    line_at: Moment,
    /// The memory of what is kept.
    charge: Charge,
}

#[derive(Debug)]
enum Form {
    /// The first bytes have not told yet.
    Unknown(Vec<u8>),
    /// One body, kept until its end.
    Plain(Vec<u8>),
    /// Server-sent events.
    Events(EventSplitter),
    /// JSON values.
    Values(JsonSplitter),
}

impl BodyReader {
    /// A reader for a response with this `content-type` of an API that splits its streams like this. A response that
    /// is labelled as server-sent events is read as such in every case.
    pub fn new(framing: Framing, content_type: Option<&str>) -> Self {
        let kind = content_type
            .and_then(|value| value.split(';').next())
            .unwrap_or_default()
            .trim();
        let is_events = kind.eq_ignore_ascii_case("text/event-stream");
        let is_values = JSON_STREAMS
            .iter()
            .any(|name| kind.eq_ignore_ascii_case(name));
        let mut log = ResponseLog::default();
        let form = match framing {
            Framing::Plain if !is_events => Form::Plain(Vec::new()),
            Framing::ByContentType if is_values => {
                log.set_streamed();
                Form::Values(JsonSplitter::lines(ResponseLog::LIMIT_BYTES))
            }
            _ => Form::Unknown(Vec::new()),
        };
        Self {
            framing,
            form,
            is_labelled_stream: is_events || framing == Framing::Sse,
            log,
            failure: None,
            line_at: Moment::default(),
            charge: Charge::default(),
        }
    }

    /// The same, with what is kept of the body drawn from a budget.
    #[must_use]
    pub fn drawing_from(mut self, budget: &Arc<Budget>) -> Self {
        self.charge = Charge::of_response(budget);
        self
    }

    /// What was drawn for the body.
    pub fn take_charge(&mut self) -> Charge {
        std::mem::take(&mut self.charge)
    }

    /// Whether it should be read on a little later, when others have given back memory.
    pub fn should_wait(&self) -> bool {
        self.charge.should_wait()
    }

    /// Takes the bytes of one read, which arrived at `arrival`.
    ///
    /// # Errors
    /// A failure where the response is larger than is taken, or than there is memory for. All but its beginning is let
    /// go at once then, so that others have the memory; nothing further may be pushed.
    pub fn push(&mut self, bytes: &[u8], arrival: Moment) -> Result<(), Failure> {
        self.charge
            .grow(bytes.len())
            .map_err(used_up)
            .and_then(|()| self.take(bytes, arrival))
            // Framing, comments and what was held back before are no part of it.
            .and_then(|()| self.charge.need(self.held()).map_err(used_up))
            .inspect_err(|_| self.let_go(arrival))
    }

    /// The bytes that are kept of the body so far.
    fn held(&self) -> usize {
        let under_way = match &self.form {
            Form::Unknown(bytes) | Form::Plain(bytes) => bytes.len(),
            Form::Events(splitter) => splitter.held(),
            Form::Values(splitter) => splitter.held(),
        };
        self.log.bytes() + self.log.len() * ResponseLog::EVENT_BYTES + under_way
    }

    fn let_go(&mut self, at: Moment) {
        self.log.keep_beginning(KEPT_OF_TOO_LARGE);
        self.keep_unfinished(at, KEPT_OF_TOO_LARGE);
        self.form = Form::Plain(Vec::new());
        let kept = self.log.keep_beginning(KEPT_OF_TOO_LARGE);
        self.charge.clear();
        // So little that it does no harm where it finds no room.
        let _ = self.charge.grow(kept);
    }

    fn take(&mut self, bytes: &[u8], arrival: Moment) -> Result<(), Failure> {
        match &mut self.form {
            Form::Events(splitter) => {
                let (log, failure) = (&mut self.log, &mut self.failure);
                let (mut fits, line_at) = (true, self.line_at);
                splitter
                    .push(bytes, |event| {
                        let arrival = if event.was_complete { line_at } else { arrival };
                        fits &= keep(log, failure, event, arrival);
                    })
                    .map_err(|EventTooLong| too_large())?;
                if splitter.holds_new_data() {
                    self.line_at = arrival;
                }
                if fits { Ok(()) } else { Err(too_large()) }
            }
            Form::Values(splitter) => {
                let (log, mut fits) = (&mut self.log, true);
                splitter
                    .push(bytes, |value| {
                        // One value alone may be a plain answer.
                        if !log.is_empty() {
                            log.set_streamed();
                        }
                        fits &= log.push(value, arrival);
                    })
                    .map_err(|json_stream::ValueTooLong| too_large())?;
                if splitter.is_open_array() {
                    log.set_streamed();
                }
                if fits { Ok(()) } else { Err(too_large()) }
            }
            Form::Plain(body) => {
                if body.len() + bytes.len() > ResponseLog::LIMIT_BYTES {
                    return Err(too_large());
                }
                body.extend_from_slice(bytes);
                Ok(())
            }
            Form::Unknown(start) => {
                start.extend_from_slice(bytes);
                let told = if self.is_labelled_stream {
                    is_labelled_rightly(start)
                } else {
                    looks_like_events(start).or((start.len() > MOST_BLANKS).then_some(false))
                };
                let Some(is_stream) = told else {
                    return Ok(());
                };
                let start = std::mem::take(start);
                self.form = match self.framing {
                    _ if is_stream => {
                        self.log.set_streamed();
                        Form::Events(EventSplitter::new(ResponseLog::LIMIT_BYTES))
                    }
                    Framing::JsonLines => {
                        Form::Values(JsonSplitter::lines(ResponseLog::LIMIT_BYTES))
                    }
                    Framing::JsonArray => {
                        Form::Values(JsonSplitter::array(ResponseLog::LIMIT_BYTES))
                    }
                    _ => Form::Plain(Vec::new()),
                };
                // No event can end within the bytes that were held back, so the stamp of this read is
                // right for all of them.
                self.take(&start, arrival)
            }
        }
    }

    /// Whether the stream has said `[DONE]`.
    pub fn is_done(&self) -> bool {
        self.log.done().is_some()
    }

    /// When the stream was over by its own word, where it has said `[DONE]`: with that, or with an event behind it.
    pub fn done(&self) -> Option<Moment> {
        let done = self.log.done()?;
        let last = self.log.len().checked_sub(1);
        Some(done.max(last.and_then(|last| self.log.arrival(last)).unwrap_or(done)))
    }

    /// The body ended well at `end`, with its last bytes at `last_arrival`.
    pub fn finish(&mut self, last_arrival: Moment) {
        match &mut self.form {
            Form::Events(splitter) => {
                let (log, failure) = (&mut self.log, &mut self.failure);
                splitter.finish(|event| {
                    keep(log, failure, event, last_arrival);
                });
            }
            Form::Unknown(_) if self.is_labelled_stream => self.log.set_streamed(),
            Form::Values(splitter) => {
                let rest = splitter.unfinished();
                if !rest.is_empty() {
                    // A number, a word, or a value that was cut off, which the plugin will say.
                    let _ = self.log.push(rest, last_arrival);
                }
            }
            Form::Plain(body) | Form::Unknown(body) => {
                // Taken out: what is in the log is not to be abandoned once more.
                let body = std::mem::take(body);
                if !body.is_empty() {
                    // Its size was checked as it grew.
                    let _ = self.log.push(&body, last_arrival);
                }
            }
        }
    }

    /// Keeps what arrived of a body that did not end well: an unfinished event or plain body too, since
    /// it often says why.
    pub fn abandon(&mut self, at: Moment) {
        self.keep_unfinished(at, usize::MAX);
    }

    /// Keeps up to `most` bytes of an unfinished event or plain body.
    fn keep_unfinished(&mut self, at: Moment, most: usize) {
        let rest = match &self.form {
            Form::Unknown(_) if self.is_labelled_stream => return self.log.set_streamed(),
            Form::Plain(body) | Form::Unknown(body) => body,
            Form::Events(splitter) => &splitter.unfinished(most),
            Form::Values(splitter) => splitter.unfinished(),
        };
        if !rest.is_empty() {
            // What does not fit is what was too large.
            let _ = self.log.push(&rest[..rest.len().min(most)], at);
        }
    }

    /// The events, and the failure that the server reported among them.
    pub fn into_parts(self) -> (ResponseLog, Option<Failure>) {
        (self.log, self.failure)
    }
}

/// The names under which servers send JSON values, one a line.
const JSON_STREAMS: [&str; 7] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
    "application/json-seq",
];

/// What is kept of a response that is too large, or that there was no memory for, in bytes.
const KEPT_OF_TOO_LARGE: usize = 64 << 10;

/// No body is taken for anything but what its label says behind more line ends than this.
const MOST_BLANKS: usize = 1024;

/// Whether a body that is labelled as a stream is one, by its beginning: error pages and JSON bodies come
/// under that label too. `None`: too few bytes to tell.
fn is_labelled_rightly(start: &[u8]) -> Option<bool> {
    match start.trim_ascii_start().first() {
        Some(byte) => Some(!matches!(byte, b'{' | b'[' | b'<')),
        None => (start.len() > MOST_BLANKS).then_some(true),
    }
}

/// Puts an event into the log. Gives back whether it fitted.
fn keep(
    log: &mut ResponseLog,
    failure: &mut Option<Failure>,
    event: Event<'_>,
    arrival: Moment,
) -> bool {
    if event.data.trim_ascii() == b"[DONE]" {
        log.set_done(arrival);
        return true;
    }
    if event.name == b"error" && failure.is_none() {
        // There are fewer events than 2^32 (`ResponseLog::LIMIT_EVENTS`).
        let place = log.len() as u32;
        *failure = Some(
            Failure::new(FailureKind::StreamError, "the server sent an error event").quoting(place),
        );
    }
    log.push(event.data, arrival)
}

fn used_up(error: UsedUp) -> Failure {
    Failure::new(
        FailureKind::ClientResource,
        format!(
            "{error}; the first {} KiB of it are kept",
            KEPT_OF_TOO_LARGE >> 10
        ),
    )
}

fn too_large() -> Failure {
    Failure::new(
        FailureKind::Protocol,
        format!(
            "the response has more than {} MiB or {} events, the most that is taken for one answer; the first {} KiB \
             of it are kept",
            ResponseLog::LIMIT_BYTES >> 20,
            ResponseLog::LIMIT_EVENTS,
            KEPT_OF_TOO_LARGE >> 10
        ),
    )
}

#[cfg(test)]
mod tests;
