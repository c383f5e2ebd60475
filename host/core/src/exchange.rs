//! The facts of one request and its response: the value that flows from the client to parse,
//! statistics and sinks. Nothing here computes a metric; `stats::measure` does.

mod failure;
mod reading;
mod request;
mod response_log;

pub use failure::{Failure, FailureKind};
pub use reading::{CHOICES, HIDDEN_REASONING, MAX_METRIC_NAMES, Reading, TokenCount, TokenSource};
pub use request::{Job, OwnHead, Prepared, Sending};
pub use response_log::ResponseLog;

use crate::budget::Charge;
use crate::clock::Moment;
use crate::turn::TurnPlace;
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

    /// The same without the text of the response, and of that of the request only what [`Self::asked_to_stream`] wants to
    /// know: all times and counts stay.
    pub fn without_texts(&self) -> Self {
        let response = self.response.to_times();
        // Of a stream nobody asks.
        let asked_to_stream = !response.is_streamed() && self.asked_to_stream();
        Self {
            number: self.number,
            place: self.place,
            model: self.model.clone(),
            url: self.url.clone(),
            request_id: self.request_id.clone(),
            request: Self::request_without_text(asked_to_stream),
            intended: self.intended,
            body_wait: self.body_wait,
            held_up: self.held_up,
            sent: self.sent,
            connection: self.connection,
            head: self.head.clone(),
            response,
            end: self.end,
            stamps: self.stamps,
            failure: self.failure.clone(),
            held: Default::default(),
        }
    }

    /// What stands for the body of a request whose text is not kept.
    pub fn request_without_text(asked_to_stream: bool) -> Bytes {
        match asked_to_stream {
            true => Bytes::from_static(br#"{"stream":true}"#),
            false => Bytes::new(),
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

        // Most requests that do not stream say so, and this is asked of each: only where something may say yes is all of the
        // body worth a look.
        const MEMBER: &[u8] = b"\"stream\"";
        let may_stream = memchr::memmem::find_iter(&self.request, MEMBER).any(|at| {
            let value = self.request[at + MEMBER.len()..].trim_ascii_start();
            let value = value.strip_prefix(b":").unwrap_or_default();
            value.trim_ascii_start().starts_with(b"true")
        });
        if !may_stream {
            return false;
        }
        let body: Body = serde_json::from_slice(&self.request).unwrap_or_default();
        body.stream == true
            || body
                .parameters
                .is_some_and(|parameters| parameters.stream == true)
    }
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

    /// The same without the texts of request, response and answer.
    pub fn without_texts(&self) -> Self {
        Self {
            exchange: self.exchange.without_texts(),
            reading: self.reading.as_ref().map(|reading| Reading {
                prompt: reading.prompt,
                completion: reading.completion,
                outputs: reading.outputs.clone(),
                answers: reading.answers.clone(),
                tokens_so_far: reading.tokens_so_far.clone(),
                finish_reason: reading.finish_reason.clone(),
                reply: None,
                metrics: reading.metrics.clone(),
                metrics_cut: reading.metrics_cut,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_asks_to_stream_where_its_body_or_its_parameters_say_so() {
        let exchange = |body: &str| Exchange {
            number: 0,
            place: TurnPlace::alone(0),
            model: None,
            url: None,
            request_id: None,
            request: body.to_owned().into(),
            intended: Moment::default(),
            body_wait: Duration::ZERO,
            held_up: Duration::ZERO,
            sent: None,
            connection: None,
            head: None,
            response: ResponseLog::default(),
            end: Moment::default(),
            stamps: StampQuality::Read,
            failure: None,
            held: Default::default(),
        };
        for body in [
            r#"{"stream":true}"#,
            r#"{"stream" : true, "n": 1}"#,
            r#"{"parameters":{"stream":true}}"#,
            r#"{"text":{"stream":false},"stream":true}"#,
        ] {
            assert!(exchange(body).asked_to_stream(), "{body}");
            assert!(exchange(body).without_texts().asked_to_stream(), "{body}");
        }
        for body in [
            r#"{"stream":false}"#,
            r#"{"stream":"true"}"#,
            r#"{"stream_options":true}"#,
            r#"{"text":{"stream":true}}"#,
            r#"{"text":"\"stream\":true"}"#,
            r#"{"stream":true"#,
            "",
        ] {
            assert!(!exchange(body).asked_to_stream(), "{body}");
        }
    }
}
