//! The facts of one request and its response: the value that flows from the client to parse,
//! statistics and sinks. Nothing here computes a metric; `stats::measure` does.

use crate::budget::Charge;
use crate::clean::printable;
use crate::clock::Moment;
use crate::turn::TurnPlace;
use crate::wording::{cut, excerpt};
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// Who took the time of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StampQuality {
    /// The kernel, when the packet with the bytes came in: right however busy this process is.
    Kernel,
    /// This program, after the read that brought the bytes had returned: late by as long as it was kept
    /// waiting.
    Read,
}

impl StampQuality {
    /// A few words for reports and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel receive time",
            Self::Read => "return of the read",
        }
    }

    /// The quality as a word of data.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Read => "read",
        }
    }

    /// The quality of a [`Self::key`].
    pub fn of_key(key: &str) -> Option<Self> {
        [Self::Kernel, Self::Read]
            .into_iter()
            .find(|quality| quality.key() == key)
    }
}

/// Everything that is known of one request once it is over, well or badly.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The place of the request in the order of issue, from 0; turns of one session have places one after another.
    pub number: u64,
    /// Which turn of which session it is.
    pub place: TurnPlace,
    /// The model that it asks for, where the run has several.
    pub model: Option<Arc<str>>,
    /// The URL that it went to, without credentials, where the run has several.
    pub url: Option<Arc<str>>,
    /// Its id, where one was sent with it.
    pub request_id: Option<Box<str>>,
    /// The body that was sent (or was to be sent).
    pub request: Bytes,
    /// When the schedule wanted it sent; in a closed loop, when its slot became free.
    pub intended: Moment,
    /// How long after that its body was there: the plugin, or the data set, is slower than what sends.
    pub body_wait: Duration,
    /// How long it waited since as many requests as may be were in flight.
    pub held_up: Duration,
    /// Just before the last bytes of the request were written. `None`: it never came to that.
    pub sent: Option<Moment>,
    /// The opening of the connection. `None`: a kept connection carried the request, or none was opened.
    pub connection: Option<ConnectionOpening>,
    /// The head of the response.
    pub head: Option<ResponseHead>,
    /// What arrived of the body.
    pub response: ResponseLog,
    /// The end of the body, or the moment at which the request failed.
    pub end: Moment,
    /// Whether the kernel or the reading thread stamped the arrivals.
    pub stamps: StampQuality,
    /// Why the request failed. `None`: the response arrived whole.
    pub failure: Option<Failure>,
    /// The memory of request and response.
    pub held: [Charge; 2],
}

/// A request body, ready to go.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// As in [`Exchange::number`].
    pub number: u64,
    /// Which turn of which session it is.
    pub place: TurnPlace,
    /// As in [`Exchange::model`].
    pub model: Option<Arc<str>>,
    /// How long after it was sent the client breaks it off. `None`: it does not.
    pub cancel_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
    /// The memory of the body.
    pub held: Charge,
    /// What its head has that differs from the heads of the others. `None`: nothing.
    pub own_head: Option<Arc<OwnHead>>,
    /// Where the later turns of its session come from when they are due, of the first turn in a closed loop: whoever sends
    /// it sends them too, until no more can come.
    pub later: Option<flume::Receiver<Job>>,
}

impl Prepared {
    /// The request when it is due.
    pub fn due(self, intended: Moment, body_wait: Duration, held_up: Duration) -> Job {
        Job {
            number: self.number,
            place: self.place,
            model: self.model,
            cancel_after: self.cancel_after,
            body: self.body,
            own_head: self.own_head,
            intended,
            body_wait,
            held: self.held,
            held_up,
            sending: Sending::default(),
        }
    }
}

/// What the head of one request has in place of what the heads of all others have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnHead {
    /// The path of its URL, with the query where there is one.
    pub path: Option<String>,
    /// The value of its `content-type`.
    pub content_type: Option<http::HeaderValue>,
}

/// How the body of a response is split into events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Framing {
    /// As its `content-type` says; server-sent events also by how it begins.
    #[default]
    ByContentType,
    /// Server-sent events.
    Sse,
    /// JSON values, one a line.
    JsonLines,
    /// One JSON array, each element of which is an event.
    JsonArray,
    /// One body.
    Plain,
}

/// A request that is due.
#[derive(Debug, Clone)]
pub struct Job {
    /// As in [`Exchange::number`].
    pub number: u64,
    /// Which turn of which session it is.
    pub place: TurnPlace,
    /// As in [`Exchange::model`].
    pub model: Option<Arc<str>>,
    /// How long after it was sent the client breaks it off. `None`: it does not.
    pub cancel_after: Option<Duration>,
    /// Its body.
    pub body: Bytes,
    /// As in [`Prepared::own_head`].
    pub own_head: Option<Arc<OwnHead>>,
    /// When it should be sent.
    pub intended: Moment,
    /// How long after that its body was there.
    pub body_wait: Duration,
    /// The memory of the body.
    pub held: Charge,
    /// How long it waited since as many requests as may be were in flight.
    pub held_up: Duration,
    /// What is only known of it once its client thread has it.
    pub sending: Sending,
}

/// What a client thread adds to a request as it sends it.
#[derive(Debug, Clone, Default)]
pub struct Sending {
    /// Headers of this request alone.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// As in [`Exchange::request_id`].
    pub request_id: Option<Box<str>>,
}

impl Exchange {
    /// Of a request whose connection was closed after the run was interrupted: the signal may have ended the server as
    /// well, where it was started in the same terminal, so that it counts as one that the end of the run cancelled.
    pub fn excuse_closed_connection(&mut self) {
        if let Some(failure) = &mut self.failure
            && failure.kind.is_closed_connection()
        {
            *failure = Failure::new(
                FailureKind::Cancelled,
                format!("after the run was interrupted: {}", failure.message),
            );
        }
    }

    /// The body that was sent as text; of one that is no text, how long it is.
    pub fn request_text(&self) -> Cow<'_, str> {
        match std::str::from_utf8(&self.request) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(format!("({} bytes that are no text)", self.request.len())),
        }
    }

    /// Whether the request asks for a stream of events, as the APIs in use have it said in the body.
    pub fn asked_to_stream(&self) -> bool {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Body {
            stream: serde_json::Value,
            parameters: Option<Parameters>,
        }

        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Parameters {
            stream: serde_json::Value,
        }

        let body: Body = serde_json::from_slice(&self.request).unwrap_or_default();
        body.stream == true
            || body
                .parameters
                .is_some_and(|parameters| parameters.stream == true)
    }
}

/// How long the opening of a connection took. Each part is counted on its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionOpening {
    /// Name resolution. `None`: the transport could not tell it apart, or the host is an address.
    pub dns: Option<Duration>,
    /// The TLS handshake. `None`: there was none, or the transport could not tell it apart.
    pub tls: Option<Duration>,
    /// All of it: name resolution, TCP and TLS.
    pub total: Duration,
}

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// The HTTP status.
    pub status: u16,
    /// When the head was complete.
    pub at: Moment,
    /// Its `content-type`, where that is not the one of a stream of events.
    pub content_type: Option<Box<str>>,
    /// The value of the header that names who answered. `None`: none was asked for, or this response has none.
    pub label: Option<Box<str>>,
}

/// One response event: where its data lies, and when it was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ResponseEvent {
    /// The segment that holds its data.
    segment: u32,
    /// Where its data ends in the segment. It begins where that of the event before it ends, or with the
    /// segment.
    end: u32,
    arrival: Moment,
}

/// The data of a response, event by event.
///
/// For a stream: the data of each server-sent event without `[DONE]`. For a plain response: its one
/// body. The data lie one after the other in a few segments: a vector for every chunk of every stream would
/// cost more memory than the chunks, and one that grows would be copied over and over and leave holes behind
/// that thousands of streams at once do not fill.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseLog {
    /// The segment that is being filled. Not in the list below: an event that comes alone finds nothing of its
    /// response in the processor's cache, and would wait for one more piece of memory.
    open: Vec<u8>,
    /// The segments before that.
    full: Vec<Vec<u8>>,
    /// Bytes in all segments.
    bytes: usize,
    events: Vec<ResponseEvent>,
    /// Bytes of data that another process has.
    elsewhere: usize,
    streamed: bool,
    done: Option<Moment>,
}

/// The room of a segment, where no larger event needs more: the first ones have less, since many responses
/// are short. The largest is of some pages, since the allocator asks the system for each one anew.
const SEGMENT: std::ops::RangeInclusive<usize> = 256..=16 << 10;

impl ResponseLog {
    /// The most bytes that a response may have: offsets are 32 bits wide, and a server that sends more
    /// than this for one answer is broken. More is a failure of the request, with this figure in it.
    pub const LIMIT_BYTES: usize = 256 << 20;

    /// The most events that a response may have: empty ones take no bytes, but each is noted.
    pub const LIMIT_EVENTS: usize = 4 << 20;

    /// What an event takes beside its data, in bytes.
    pub const EVENT_BYTES: usize = size_of::<ResponseEvent>();

    /// A log of events whose data, of so many bytes in all, is with another process.
    pub fn without_data(arrivals: impl Iterator<Item = Moment>, bytes: usize) -> Self {
        let events = arrivals.map(|arrival| ResponseEvent {
            segment: 0,
            end: 0,
            arrival,
        });
        Self {
            events: events.take(Self::LIMIT_EVENTS).collect(),
            elsewhere: bytes,
            ..Self::default()
        }
    }

    /// The bytes of the data of all events.
    pub fn bytes(&self) -> usize {
        self.bytes.saturating_add(self.elsewhere)
    }

    /// Adds the data of a complete event.
    ///
    /// # Errors
    /// Gives back `false`, with nothing added, where the response would pass [`Self::LIMIT_BYTES`] or
    /// [`Self::LIMIT_EVENTS`].
    #[must_use]
    pub fn push(&mut self, data: &[u8], arrival: Moment) -> bool {
        if self.bytes + data.len() > Self::LIMIT_BYTES || self.events.len() >= Self::LIMIT_EVENTS {
            return false;
        }
        if self.open.capacity() - self.open.len() < data.len() {
            let room = self.bytes.clamp(*SEGMENT.start(), *SEGMENT.end());
            let full = std::mem::replace(&mut self.open, Vec::with_capacity(room.max(data.len())));
            // Before the first event with data there was none.
            if !full.is_empty() {
                self.full.push(full);
            }
        }
        self.bytes += data.len();
        self.open.extend_from_slice(data);
        // The limits above are far below 2^32, and there is an event with data for each segment.
        self.events.push(ResponseEvent {
            segment: self.full.len() as u32,
            end: self.open.len() as u32,
            arrival,
        });
        true
    }

    /// Keeps only the events that end within the first `bytes`, each counted with what is noted of it, and of one that
    /// does not its beginning. Gives back what it takes then.
    pub fn keep_beginning(&mut self, bytes: usize) -> usize {
        let mut kept = Self {
            streamed: self.streamed,
            done: self.done,
            ..Self::default()
        };
        let mut taken = 0;
        for (data, arrival) in self.iter().zip(self.arrivals()) {
            let Some(room) = bytes.checked_sub(taken + Self::EVENT_BYTES) else {
                break;
            };
            // It fits: it did before.
            let _ = kept.push(&data[..data.len().min(room)], arrival);
            taken += data.len().min(room) + Self::EVENT_BYTES;
        }
        *self = kept;
        taken
    }

    /// Gives back the memory that was kept ready for more, once there will be no more: a finished
    /// response may wait a while for the parser and for the database.
    pub fn shrink(&mut self) {
        self.open.shrink_to_fit();
        self.events.shrink_to_fit();
    }

    /// Notes that the response is a stream of events.
    pub fn set_streamed(&mut self) {
        self.streamed = true;
    }

    /// Whether the response was a stream of events rather than one body.
    pub fn is_streamed(&self) -> bool {
        self.streamed
    }

    /// Notes that the stream said `[DONE]`.
    pub fn set_done(&mut self, at: Moment) {
        self.done.get_or_insert(at);
    }

    /// When the stream said `[DONE]`, if it did.
    pub fn done(&self) -> Option<Moment> {
        self.done
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing arrived.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// When event `index` was complete.
    pub fn arrival(&self, index: usize) -> Option<Moment> {
        self.events.get(index).map(|event| event.arrival)
    }

    /// The arrivals of all events, in order.
    pub fn arrivals(&self) -> impl ExactSizeIterator<Item = Moment> + '_ {
        self.events.iter().map(|event| event.arrival)
    }

    /// The data of event `index`.
    pub fn data(&self, index: usize) -> Option<&[u8]> {
        let event = self.events.get(index)?;
        let before = index
            .checked_sub(1)
            .and_then(|before| self.events.get(before));
        self.between(before, event)
    }

    /// The data of all events, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + '_ {
        let mut before = None;
        self.events.iter().map(move |event| {
            let data = self.between(before, event).unwrap_or_default();
            before = Some(event);
            data
        })
    }

    /// The data of an event, by the one before it.
    fn between(&self, before: Option<&ResponseEvent>, event: &ResponseEvent) -> Option<&[u8]> {
        let start = before
            .filter(|before| before.segment == event.segment)
            .map_or(0, |before| before.end);
        // The one that is being filled comes behind the others.
        let segment = self.full.get(event.segment as usize).unwrap_or(&self.open);
        segment.get(start as usize..event.end as usize)
    }
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What sort of failure it is.
    pub kind: FailureKind,
    /// What happened, for a person to read. A terminal acts on nothing in it. As long as the response has not been
    /// read by the plugin, it may hold a credential that the server said back.
    pub message: String,
    /// The event of the response whose beginning ends the message, once credentials are blanked in both.
    pub quoted: Option<u32>,
}

/// The longest message of a failure, in characters.
const LONGEST_MESSAGE: usize = 600;

impl Failure {
    /// A failure of `kind` with its message.
    pub fn new(kind: FailureKind, message: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: printable(message.as_ref()),
            quoted: None,
        }
    }

    /// The same, whose message ends with the beginning of an event.
    #[must_use]
    pub fn quoting(mut self, event: u32) -> Self {
        self.quoted = Some(event);
        self
    }

    /// Cuts a message that is too long and ends it with what is quoted of the response. Not before credentials are
    /// blanked in both: a part of one would not be known.
    pub fn cut_and_quote(&mut self, response: &ResponseLog) {
        self.message = cut(&self.message, LONGEST_MESSAGE);
        let quoted = self.quoted.take();
        if let Some(data) = quoted.and_then(|event| response.data(event as usize))
            && !data.is_empty()
        {
            self.message.push_str(": ");
            self.message.push_str(&excerpt(data));
        }
    }
}

/// The sorts of failure, each one told apart from the others wherever it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// The name of the host did not resolve.
    Dns,
    /// The TCP connection was not made: refused, unreachable, reset.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The request could not be written.
    Send,
    /// The server answered with a status other than 2xx.
    HttpStatus,
    /// No connection within `--connect-timeout`.
    TimeoutConnect,
    /// Silence of the server for longer than `--read-timeout`.
    TimeoutRead,
    /// The request as a whole took longer than `--total-timeout`.
    TimeoutTotal,
    /// What arrived is not HTTP, or breaks a rule of it.
    Protocol,
    /// The connection ended before the response did.
    Truncated,
    /// The server reported an error inside a response that had begun well.
    StreamError,
    /// The response came whole and holds nothing that the model produced.
    NoOutput,
    /// The parser could not make sense of the response.
    Parse,
    /// It was in flight when the run was ended.
    Cancelled,
    /// This machine ran out of something: open files, ports, memory.
    ClientResource,
    /// The client broke it off, as the plan has it. No failure: such requests are a class of their own.
    Disconnected,
}

impl FailureKind {
    /// Every kind, in the order in which reports list them.
    pub const ALL: [Self; 16] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Send,
        Self::HttpStatus,
        Self::TimeoutConnect,
        Self::TimeoutRead,
        Self::TimeoutTotal,
        Self::Protocol,
        Self::Truncated,
        Self::StreamError,
        Self::NoOutput,
        Self::Parse,
        Self::Cancelled,
        Self::ClientResource,
        Self::Disconnected,
    ];

    /// The name of the kind, as in the database and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::HttpStatus => "http-status",
            Self::TimeoutConnect => "timeout-connect",
            Self::TimeoutRead => "timeout-read",
            Self::TimeoutTotal => "timeout-total",
            Self::Protocol => "protocol",
            Self::Truncated => "truncated",
            Self::StreamError => "stream-error",
            Self::NoOutput => "no-output",
            Self::Parse => "parse",
            Self::Cancelled => "cancelled",
            Self::ClientResource => "client-resource",
            Self::Disconnected => "disconnected",
        }
    }
}

impl FailureKind {
    /// Whether a request that ended so has failed.
    pub fn is_failure(self) -> bool {
        self != Self::Disconnected
    }

    /// Whether it is that the connection was closed, or not taken.
    pub const fn is_closed_connection(self) -> bool {
        matches!(self, Self::Connect | Self::Send | Self::Truncated)
    }

    /// The kind of a name, as of [`Self::as_str`].
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl std::fmt::Display for FailureKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who counted the tokens of one side of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenSource {
    /// The `usage` of the server.
    Server,
    /// The tokenizer of `--tokenizer-path`.
    Tokenizer,
    /// The parser, which did not say how.
    Parser,
}

impl TokenSource {
    /// A few words for reports and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "usage of the server",
            Self::Tokenizer => "tokenizer",
            Self::Parser => "parser",
        }
    }
}

impl TokenSource {
    /// The source as a word of data: lower case and without spaces.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Tokenizer => "tokenizer",
            Self::Parser => "parser",
        }
    }

    /// The source of a [`Self::key`].
    pub fn of_key(key: &str) -> Option<Self> {
        [Self::Server, Self::Tokenizer, Self::Parser]
            .into_iter()
            .find(|source| source.key() == key)
    }
}

/// A token count and who counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenCount {
    /// Tokens.
    pub tokens: u64,
    /// Who counted them.
    pub source: TokenSource,
}

/// How many names are kept. More would let a parser that makes up names fill the memory.
pub const MAX_METRIC_NAMES: usize = 64;

/// What the parser read out of a response.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// Tokens of the prompt. `None`: nobody could count them.
    pub prompt: Option<TokenCount>,
    /// Tokens that the model produced. `None`: nobody could count them.
    pub completion: Option<TokenCount>,
    /// Indices of the response events that carried output, ascending and within range. Empty: the model
    /// produced nothing, which is a success where the server says that it is meant so.
    pub outputs: Vec<u32>,
    /// Which of the outputs carry the answer: neither reasoning nor a tool call. `None`: the plugin does not tell.
    pub answers: Option<Vec<u32>>,
    /// The tokens that the model had produced by the end of each output. `None`: the server does not say.
    pub tokens_so_far: Option<Vec<u32>>,
    /// Why the answer ended, in the word of the API.
    pub finish_reason: Option<String>,
    /// The message of the model as JSON, where it was asked for.
    pub reply: Option<String>,
    /// The parser's own figures, as many as a run keeps names.
    pub metrics: Vec<(String, f64)>,
    /// Further figures of the parser that were left out.
    pub metrics_cut: u64,
}

/// The figure under which a parser tells tokens of reasoning that the server counted and did not send.
pub const HIDDEN_REASONING: &str = "hidden_reasoning_tokens";

impl Reading {
    /// Tokens among those that the model produced that did not come, so that no time between events holds them.
    pub fn hidden_tokens(&self) -> u64 {
        self.metrics
            .iter()
            .find(|(name, _)| name == HIDDEN_REASONING)
            .map_or(0, |(_, tokens)| tokens.max(0.0) as u64)
    }
}

/// An exchange and what the parser read out of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The facts.
    pub exchange: Exchange,
    /// What the parser read. `None` where the exchange failed before the parser saw it.
    pub reading: Option<Reading>,
}

impl Outcome {
    /// Whether the request succeeded.
    pub fn succeeded(&self) -> bool {
        self.exchange.failure.is_none()
    }

    /// Whether the client broke it off, as the plan has it: it neither succeeded nor failed.
    pub fn is_disconnected(&self) -> bool {
        let failure = self.exchange.failure.as_ref();
        failure.is_some_and(|failure| failure.kind == FailureKind::Disconnected)
    }

    /// Whether the request failed.
    pub fn failed(&self) -> bool {
        !self.succeeded() && !self.is_disconnected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gives_back_each_event_with_its_arrival() {
        let mut log = ResponseLog::default();
        assert!(log.push(b"one", Moment::from_nanos(1)));
        assert!(log.push(b"", Moment::from_nanos(2)));
        assert!(log.push(b"three", Moment::from_nanos(2)));
        let all: Vec<&[u8]> = log.iter().collect();
        assert_eq!(all, [b"one".as_slice(), b"", b"three"]);
        assert_eq!(log.data(2), Some(b"three".as_slice()));
        assert_eq!(log.data(3), None);
        assert_eq!(log.arrival(1), Some(Moment::from_nanos(2)));
        assert_eq!(log.len(), 3);
    }

    #[test]
    fn a_log_of_any_sizes_gives_back_what_went_in() {
        let sizes = [0, 0, 1, 255, 1, 4096, 0, 3, 10_000, 1, 4000, 97, 0];
        let mut log = ResponseLog::default();
        let events: Vec<Vec<u8>> = (0..200)
            .map(|index| vec![index as u8; sizes[index % sizes.len()]])
            .collect();
        for event in &events {
            assert!(log.push(event, Moment::default()));
        }
        log.shrink();
        assert!(log.iter().eq(events.iter().map(Vec::as_slice)));
        for (index, event) in events.iter().enumerate() {
            assert_eq!(log.data(index), Some(event.as_slice()));
        }
        assert!(log.push(b"more", Moment::default()));
        assert_eq!(log.data(200), Some(b"more".as_slice()));
    }

    #[test]
    fn a_log_without_data_knows_how_much_there_was() {
        let arrivals = [Moment::from_nanos(3), Moment::from_nanos(9)];
        let log = ResponseLog::without_data(arrivals.into_iter(), 40);
        assert!(log.arrivals().eq(arrivals));
        assert_eq!((log.len(), log.bytes()), (2, 40));
        assert_eq!(log.data(1), Some(&b""[..]));
        let mut whole = ResponseLog::default();
        assert!(whole.push(b"four", arrivals[0]));
        assert_eq!(whole.bytes(), 4);
    }

    #[test]
    fn kinds_have_names_of_their_own() {
        let names: std::collections::HashSet<_> =
            FailureKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), FailureKind::ALL.len());
    }
}
