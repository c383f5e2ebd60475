//! The transport on reqwest: HTTP/1.1 and HTTP/2, with or without TLS, on every system. It stamps when
//! its own code gets to run, which is the second best there is.
//!
//! `sent` is not the call of `send()`: that comes before the wait for a connection. It is the moment at
//! which the connection asks the body for its bytes, to write them.

mod body;
mod connecting;
mod settings;

pub(super) use settings::plain_client;
pub use settings::{ClientBuildError, check_files};

use super::connection_notes::{CLOSED_BEFORE, ConnectionNotes, Reuse};
use super::failure::{RequestPhase, classify, is_stream_reset, not_taken};
use super::lanes::{Lanes, Taken};
use super::socket::{Credentials, KeepAlive};
use super::transport::{Arrival, Marks, Outgoing, ResponseBody, Take, Transport};
use body::{StampedBody, Uptake};
use connecting::MARKS;
use llmuses_core::clock::Clock;
use llmuses_core::exchange::FailureKind;
use llmuses_core::exchange::{ConnectionOpening, Failure, StampQuality};
use llmuses_core::plan::{Target, Timeouts};
use settings::Settings;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// A reqwest client for one endpoint. One for each thread: its connections stay on that thread.
#[derive(Debug)]
pub struct ReqwestTransport {
    /// Keeps connections.
    client: RefCell<reqwest::Client>,
    /// Opens a connection for each request.
    unpooled: reqwest::Client,
    reuse: Reuse,
    /// Where a connection carries so many requests, two at least, and no more.
    lanes: Option<Lanes>,
    /// Where it carries one.
    one_request_each: bool,
    /// How long a connection may be idle, where the server has said so.
    longest_idle: Cell<Option<Duration>>,
    settings: Settings,
    url: url::Url,
    headers: http::HeaderMap,
    notes: Arc<ConnectionNotes>,
}

impl ReqwestTransport {
    /// A transport for the endpoint of `target`, with these headers on every request.
    ///
    /// # Errors
    /// Where the TLS side cannot be set up, for want of root certificates for instance.
    pub fn new(
        target: &Target,
        timeouts: &Timeouts,
        headers: http::HeaderMap,
        notes: Arc<ConnectionNotes>,
    ) -> Result<Self, ClientBuildError> {
        super::provide_cryptography();
        let closes = headers
            .get_all(http::header::CONNECTION)
            .iter()
            .any(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let settings = Settings {
            connect_timeout: timeouts.connect,
            route: target.route.clone(),
            credentials: Arc::new(Credentials::of(&target.route)?),
            keep_alive: !closes,
            notes: Arc::clone(&notes),
        };
        Ok(Self {
            client: RefCell::new(settings.client(!closes, None)?),
            unpooled: settings.client(false, None)?,
            reuse: Reuse::default(),
            lanes: None,
            one_request_each: false,
            longest_idle: Cell::new(None),
            settings,
            url: target.url.clone(),
            headers,
            notes,
        })
    }

    /// The same, with connections that carry so many requests each.
    #[must_use]
    pub fn with_limit(mut self, requests: Option<NonZeroU32>) -> Self {
        self.one_request_each = requests == Some(NonZeroU32::MIN);
        // One that opens a connection for each request is there.
        let several = requests.filter(|_| !self.one_request_each);
        self.lanes = several.map(Lanes::new);
        self
    }

    /// The same, ready for so many requests at a time.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn prepared_for(self, requests: usize) -> Result<Self, ClientBuildError> {
        if let Some(lanes) = &self.lanes {
            lanes.prepare(requests, || self.lane_client())?;
        }
        Ok(self)
    }

    /// A client that keeps its connection.
    fn lane_client(&self) -> Result<reqwest::Client, ClientBuildError> {
        self.settings.client(true, self.longest_idle.get())
    }

    /// The client that carries the next request.
    fn client_for_next(&self) -> Result<(reqwest::Client, Option<Taken>), ClientBuildError> {
        if self.one_request_each || self.reuse.is_useless() {
            return Ok((self.unpooled.clone(), None));
        }
        let Some(lanes) = &self.lanes else {
            return Ok((self.client.borrow().clone(), None));
        };
        let make = || self.lane_client();
        if self.notes.speaks_http_2() {
            return Ok((lanes.share(make)?, None));
        }
        let taken = lanes.take(make)?;
        let client = taken.client().unwrap_or_else(|| self.unpooled.clone());
        Ok((client, Some(taken)))
    }

    async fn send_by(
        &self,
        client: &reqwest::Client,
        request: Outgoing,
        marks: &Arc<Marks>,
    ) -> Result<reqwest::Response, Unanswered> {
        let uptake = Arc::new(Uptake::default());
        let body = reqwest::Body::wrap(StampedBody {
            rest: request.body,
            marks: Arc::clone(marks),
            uptake: Arc::clone(&uptake),
        });
        let own_head = request.own_head.as_deref();
        let mut url = self.url.clone();
        if let Some(path) = own_head.and_then(|own| own.path.as_deref()) {
            set_path_and_query(&mut url, path);
        }
        let mut headers = self.headers.clone();
        if let Some(content_type) = own_head.and_then(|own| own.content_type.as_ref()) {
            headers.insert(http::header::CONTENT_TYPE, content_type.clone());
        }
        headers.extend(request.headers);
        let request = client.post(url).headers(headers).body(body);
        let mut sending = pin!(MARKS.scope(Arc::clone(marks), request.send()));
        let answered = if self.notes.speaks_http_2() {
            tokio::select! {
                biased;
                answered = sending.as_mut() => answered,
                () = uptake.turns() => {
                    let answered = sending.await;
                    if uptake.came_late() && marks.connection().is_none() {
                        self.notes.note_waited_for_stream();
                    }
                    answered
                }
            }
        } else {
            sending.await
        };
        answered.map_err(|error| {
            let is_stream_reset = is_stream_reset(&error);
            let failure = classify(error, RequestPhase::Head);
            Unanswered {
                failure: match marks.sent() {
                    Some(_) => failure,
                    None => not_taken(failure),
                },
                is_stream_reset,
            }
        })
    }

    /// Heeds what the server says of how long it keeps a connection. The pool has one time for all, which is that of
    /// its making.
    fn heed(&self, response: &reqwest::Response) {
        let Some(value) = response.headers().get("keep-alive") else {
            return;
        };
        let told = KeepAlive::parse(value.to_str().unwrap_or_default()).longest_idle();
        if !self.settings.keep_alive || told.is_none() || told == self.longest_idle.get() {
            return;
        }
        self.longest_idle.set(told);
        if let Some(lanes) = &self.lanes {
            lanes.clear();
        }
        // Without a new client the old one goes on, and a request that meets a closed connection is sent once more.
        if let Ok(client) = self.settings.client(true, told) {
            self.client.replace(client);
        }
    }
}

/// Puts a path, and a query where it has one, into a URL.
fn set_path_and_query(url: &mut url::Url, text: &str) {
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    url.set_path(path);
    url.set_query(query);
}

/// A request for which no head of a response came.
struct Unanswered {
    failure: Failure,
    is_stream_reset: bool,
}

impl Unanswered {
    /// Whether it was the end of the connection.
    fn is_closed(&self) -> bool {
        let kind = self.failure.kind;
        matches!(kind, FailureKind::Truncated | FailureKind::Send) && !self.is_stream_reset
    }
}

impl Transport for ReqwestTransport {
    type Response = ReqwestResponse;

    // A connection is read by a task of its own, and the task of the request, which takes the time, runs after all
    // that are ready by then: the fewer those are, the less late is the stamp.
    const READY_AT_ONCE: usize = 16;

    async fn warm(&self, _connections: usize) -> Vec<ConnectionOpening> {
        // The pool belongs to reqwest, which opens connections for requests only.
        Vec::new()
    }

    async fn send(&self, request: Outgoing, marks: Arc<Marks>) -> Result<ReqwestResponse, Failure> {
        let (client, lane) = self.client_for_next().map_err(|error| {
            let message = format!("no further connection can be opened: {error}");
            Failure::new(FailureKind::ClientResource, message)
        })?;
        let mut request = request;
        let is_alone = self.one_request_each && !self.notes.speaks_http_2();
        if is_alone || lane.as_ref().is_some_and(|lane| lane.is_last) {
            let close = http::HeaderValue::from_static("close");
            request.headers.push((http::header::CONNECTION, close));
        }
        let begun = Instant::now();
        let response = match self.send_by(&client, request.clone(), &marks).await {
            Ok(response) => {
                if marks.connection().is_none() {
                    self.reuse.note_works();
                }
                response
            }
            // The server closed a kept connection between two requests, and has most likely not seen this one.
            // Whether a part of a head had come is not told.
            Err(unanswered)
                if unanswered.is_closed()
                    && marks.connection().is_none()
                    && begun.elapsed() <= CLOSED_BEFORE =>
            {
                marks.forget_sent();
                self.notes.note_resent();
                self.reuse.note_closed(&self.notes);
                self.send_by(&self.unpooled, request, &marks)
                    .await
                    .map_err(|unanswered| unanswered.failure)?
            }
            Err(unanswered) => return Err(unanswered.failure),
        };
        self.heed(&response);
        Ok(ReqwestResponse {
            response,
            lane: lane.map(|lane| (lane, marks.connection().is_some())),
            clock: *marks.clock(),
        })
    }
}

/// A response on its way through reqwest.
#[derive(Debug)]
pub struct ReqwestResponse {
    response: reqwest::Response,
    /// The client that it goes over, and whether its connection was opened for it.
    lane: Option<(Taken, bool)>,
    clock: Clock,
}

impl ResponseBody for ReqwestResponse {
    fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    fn version(&self) -> http::Version {
        self.response.version()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        take: &mut impl Take,
    ) -> Poll<Result<Arrival, Failure>> {
        loop {
            // It keeps nothing from one poll to the next.
            let result = ready!(pin!(self.response.chunk()).poll(context));
            // Before anything else is done with the bytes.
            let arrival = Arrival {
                at: self.clock.now(),
                stamped_by: StampQuality::Read,
            };
            match result {
                Ok(Some(bytes)) => take(&bytes, arrival)?,
                Ok(None) => return Poll::Ready(Ok(arrival)),
                Err(error) => {
                    return Poll::Ready(Err(classify(error, RequestPhase::Body)));
                }
            }
        }
    }

    async fn release(self) {
        // The connection goes back to the pool in a task of its own, which shares this thread: the next request
        // must not look for one before that has run.
        tokio::task::yield_now().await;
        if let Some((lane, is_new)) = self.lane {
            lane.give_back(is_new);
        }
    }
}
