//! The transport on sockets of our own: HTTP/1.1, with or without TLS, over reads that bring the kernel's
//! receive times. What it reports as the arrival of bytes does not depend on how busy this process is.
//!
//! Connection, request and response are driven by one task, and the HTTP is our own: everything that a read
//! brought is taken out before the next, so each piece of a response is tied to the read that completed
//! it; no other task comes in between; and a stream that waits for its next token takes a few hundred bytes,
//! where a library for any use of HTTP keeps buffers and queues of 25 KB.

mod body;
mod connect;
mod connection;
mod error;
#[cfg(any(test, feature = "fuzzed"))]
pub(crate) mod fuzzed;
mod head;
mod incoming;
mod io;
mod proxy;
mod tls;

use super::connection_notes::{CLOSED_BEFORE, ConnectionNotes, Reuse};
use super::transport::{Arrival, Marks, Outgoing, ResponseBody, Take, Transport};
use connect::Endpoint;
use connection::{Connection, Room, SendError};
use head::{Head, RequestHead};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue};
use llmuses_core::clock::Clock;
use llmuses_core::clock::Moment;
use llmuses_core::exchange::{ConnectionOpening, Failure, OwnHead};
use llmuses_core::plan::{Target, Timeouts};
use llmuses_core::redact::basic_credentials;
use llmuses_kernel_io::Stamp;
use std::cell::RefCell;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

pub use error::ConnectError;
pub(super) use head::KeepAlive;
pub(super) use tls::Credentials;
pub use tls::TlsError;

/// Connections that are opened at the same time before a run begins.
const WARMED_AT_ONCE: usize = 64;

/// A connection that the server closes within this time of an answer was closed because of that answer, and not
/// since it was idle.
const RIGHT_BEHIND: Duration = Duration::from_secs(1);

/// What is needed to make a [`SocketTransport`] on each client thread.
#[derive(Debug, Clone)]
pub struct SocketSettings {
    endpoint: Arc<Endpoint>,
    head: Arc<RequestHead>,
    path: String,
    /// What request lines have before the path: scheme and host for a proxy.
    origin: String,
    headers: HeaderMap,
    notes: Arc<ConnectionNotes>,
    /// How many requests a connection carries.
    limit: u32,
    /// Keeps the kernel stamping while no other socket asks for it.
    _stamping: Arc<Option<std::net::UdpSocket>>,
}

impl SocketSettings {
    /// Settings for the endpoint of `target`, with these headers on every request.
    ///
    /// # Errors
    /// Where the TLS side cannot be set up.
    pub fn new(
        target: &Target,
        timeouts: &Timeouts,
        mut headers: HeaderMap,
        notes: Arc<ConnectionNotes>,
    ) -> Result<Self, TlsError> {
        // A file that is named is read also where no TLS is spoken: one that is not there is a mistake all the same.
        Credentials::of(&target.route)?;
        let endpoint = Endpoint::of(target, timeouts)?;
        if !headers.contains_key(HOST)
            && let Ok(host) = HeaderValue::from_str(&endpoint.authority())
        {
            headers.insert(HOST, host);
        }
        if !headers.contains_key(AUTHORIZATION)
            && let Some(pair) = basic_credentials(&target.url)
            && let Ok(mut value) = HeaderValue::from_str(&format!("Basic {pair}"))
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut path = match target.url.query() {
            Some(query) => format!("{}?{query}", target.url.path()),
            None => target.url.path().to_owned(),
        };
        let mut origin = String::new();
        if let Some(proxy) = endpoint.forwarding_proxy() {
            origin = format!("http://{}", endpoint.authority());
            path.insert_str(0, &origin);
            if let Some(authorization) = &proxy.authorization
                && let Ok(mut value) = HeaderValue::from_str(authorization)
            {
                value.set_sensitive(true);
                headers.insert(PROXY_AUTHORIZATION, value);
            }
        }
        Ok(Self {
            endpoint: Arc::new(endpoint),
            // The parser of URLs has encoded whatever a request line could not hold.
            head: Arc::new(RequestHead::new(&path, &headers)),
            path,
            origin,
            headers,
            notes,
            limit: u32::MAX,
            _stamping: Arc::new(keep_stamping()),
        })
    }
}

impl SocketSettings {
    /// The same, with connections that carry so many requests each.
    #[must_use]
    pub fn with_limit(mut self, requests: Option<NonZeroU32>) -> Self {
        self.limit = requests.map_or(u32::MAX, NonZeroU32::get);
        self
    }

    /// The head of a request: the one that all have, or one of its own.
    fn head_of(&self, own: Option<&OwnHead>) -> Arc<RequestHead> {
        let Some(own) = own else {
            return Arc::clone(&self.head);
        };
        let path = match &own.path {
            Some(path) => format!("{}{path}", self.origin),
            None => self.path.clone(),
        };
        let mut headers = self.headers.clone();
        if let Some(content_type) = &own.content_type {
            headers.insert(CONTENT_TYPE, content_type.clone());
        }
        Arc::new(RequestHead::new(&path, &headers))
    }
}

/// A socket that has asked for stamps. The kernel begins to stamp a moment after the first such socket
/// and stops with the last one.
fn keep_stamping() -> Option<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).ok()?;
    llmuses_kernel_io::ask_for_stamps(&socket);
    Some(socket)
}

/// Connections that carry no request. Boxed, since each stream's task would otherwise have room for one in
/// every place through which a connection passes.
type Idle = Rc<RefCell<Vec<Box<Connection>>>>;

/// Connections of one client thread to one endpoint.
#[derive(Debug)]
pub struct SocketTransport {
    settings: SocketSettings,
    room: Room,
    idle: Idle,
    reuse: Rc<Reuse>,
}

impl SocketTransport {
    /// A transport without connections.
    pub fn new(settings: SocketSettings) -> Self {
        Self {
            settings,
            room: Room::new(),
            idle: Rc::default(),
            reuse: Rc::default(),
        }
    }

    /// Opens a connection. Boxed, since every stream would otherwise have room for a TLS handshake in its
    /// task for as long as it lives.
    async fn open(&self) -> Result<(Box<Connection>, ConnectionOpening), Failure> {
        Box::pin(connect::open(&self.settings.endpoint, &self.room))
            .await
            .map(|(mut connection, opening)| {
                connection.limit(self.settings.limit);
                self.settings.notes.note_opened();
                (Box::new(connection), opening)
            })
            .map_err(ConnectError::into_failure)
    }

    /// A kept connection that is alive, the one used last first: it is the least likely to be closed.
    async fn kept(&self) -> Option<Box<Connection>> {
        loop {
            let mut connection = self.idle.borrow_mut().pop()?;
            if connection.is_expired() {
                continue;
            }
            if connection.is_alive().await {
                return Some(connection);
            }
            if connection.has_carried() && connection.idle() < RIGHT_BEHIND {
                self.reuse.note_closed(&self.settings.notes);
            }
        }
    }

    fn answered(&self, connection: Box<Connection>, head: Head, marks: &Marks) -> SocketResponse {
        SocketResponse {
            connection,
            head,
            idle: Rc::clone(&self.idle),
            reuse: Rc::clone(&self.reuse),
            clock: *marks.clock(),
        }
    }
}

impl Transport for SocketTransport {
    type Response = SocketResponse;

    // What is read late has its stamp all the same, and to hear of many at once costs the least.
    const READY_AT_ONCE: usize = 1024;

    async fn warm(&self, connections: usize) -> Vec<ConnectionOpening> {
        let mut openings = Vec::with_capacity(connections);
        let mut left = connections;
        while left > 0 {
            let batch = left.min(WARMED_AT_ONCE);
            left -= batch;
            let opened = futures_util::future::join_all((0..batch).map(|_| self.open())).await;
            for (connection, opening) in opened.into_iter().flatten() {
                self.idle.borrow_mut().push(connection);
                openings.push(opening);
            }
        }
        openings
    }

    async fn send(&self, request: Outgoing, marks: Arc<Marks>) -> Result<SocketResponse, Failure> {
        let body = request.body;
        let head = self.settings.head_of(request.own_head.as_deref());
        let more = request.headers;
        let notes = &self.settings.notes;
        if let Some(mut connection) = self.kept().await {
            let is_used = connection.has_carried();
            let begun = Instant::now();
            match connection.send(&head, &more, body.clone(), &marks).await {
                Ok(head) => {
                    if is_used {
                        self.reuse.note_works();
                    }
                    return Ok(self.answered(connection, head, &marks));
                }
                // Not a byte of the request was taken: the connection had died, which says nothing about
                // the server. A new one is opened, once, and counted as a connection of this request.
                Err(SendError::NothingTaken(_)) => marks.forget_sent(),
                // The server closed it between two requests, and has most likely not seen this one.
                Err(SendError::Unanswered(_)) if is_used && begun.elapsed() <= CLOSED_BEFORE => {
                    marks.forget_sent();
                }
                Err(error) => return Err(error.into_failure()),
            }
            notes.note_resent();
            if is_used {
                self.reuse.note_closed(notes);
            }
        }
        let begun = Instant::now();
        let (mut connection, opening) = self.open().await?;
        if let Some(dns) = opening.dns {
            marks.mark_resolved(dns);
        }
        if let Some(tls) = opening.tls {
            marks.mark_tls(tls);
        }
        marks.mark_connected(begun.elapsed());
        match connection.send(&head, &more, body, &marks).await {
            Ok(head) => Ok(self.answered(connection, head, &marks)),
            Err(error) => Err(error.into_failure()),
        }
    }
}

/// A response on its way over a connection of ours.
#[derive(Debug)]
pub struct SocketResponse {
    connection: Box<Connection>,
    head: Head,
    idle: Idle,
    reuse: Rc<Reuse>,
    clock: Clock,
}

impl ResponseBody for SocketResponse {
    fn status(&self) -> u16 {
        self.head.status
    }

    fn version(&self) -> http::Version {
        self.head.version
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    fn head_arrival(&self) -> Option<Moment> {
        Some(self.clock.at(self.connection.last_arrival().at))
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        take: &mut impl Take,
    ) -> Poll<Result<Arrival, Failure>> {
        let clock = self.clock;
        let arrival = |stamp: Stamp| Arrival {
            at: clock.at(stamp.at),
            stamped_by: stamp.quality,
        };
        self.connection
            .poll_body(context, &mut self.head, &mut |bytes, stamp| {
                take(bytes, arrival(stamp))
            })
            .map_ok(arrival)
    }

    async fn release(mut self) {
        if !self.reuse.is_useless() && self.connection.is_reusable(&self.head) {
            self.idle.borrow_mut().push(self.connection);
        }
    }
}
