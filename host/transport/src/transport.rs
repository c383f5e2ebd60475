//! What a transport is: something that carries one request, says when it was sent, and hands back the
//! bytes of the response as they come, with the moment at which they arrived.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::exchange::{ConnectionOpening, Failure, OwnHead, StampQuality};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Carries requests to one endpoint. Connections are kept between requests, and a request on a kept one that the
/// server has closed without a byte of an answer goes out once more on a new one.
pub trait Transport {
    /// A response under way.
    type Response: ResponseBody;

    /// Of how many connections with something to read a thread hears at once.
    const READY_AT_ONCE: usize;

    /// Opens `connections` connections beforehand, and gives back how long each took that could be
    /// opened. What could not be opened is not told here: the first request that needs one will say why.
    fn warm(&self, connections: usize) -> impl Future<Output = Vec<ConnectionOpening>>;

    /// Sends one request, and gives back the response once its head has arrived. While it runs it
    /// writes what happens into `marks`, which is true even where the future is dropped.
    ///
    /// # Errors
    /// A failure of any kind that can come before the head of a response.
    fn send(
        &self,
        request: Outgoing,
        marks: Arc<Marks>,
    ) -> impl Future<Output = Result<Self::Response, Failure>>;
}

/// The response to one request, from the moment at which its head was there.
pub trait ResponseBody: Unpin {
    /// The HTTP status.
    fn status(&self) -> u16;

    /// The version of HTTP that the server answered in.
    fn version(&self) -> http::Version;

    /// The value of a header as text; `None` where it is absent or not text.
    fn header(&self, name: &str) -> Option<&str>;

    /// When the bytes that completed the head arrived, asked before the body is read. `None`: the transport cannot tell.
    fn head_arrival(&self) -> Option<Moment> {
        None
    }

    /// Reads on, and hands what comes of the body to `take`, transfer coding undone, with the arrival of the read
    /// that brought it. Ready once all of it has come: with the arrival of the end itself, which may be later than the
    /// last bytes, for the end of a body in chunks is a chunk of its own. Not to be called after that.
    ///
    /// A function to poll and no future, since this is where a stream waits: each future around another one is one
    /// more piece of memory to wait for with every chunk that comes alone.
    ///
    /// # Errors
    /// A failure where the body does not end well, or that of `take`.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        take: &mut impl Take,
    ) -> Poll<Result<Arrival, Failure>>;

    /// After the end of the body: gives the connection back for the next request, if it can carry one.
    fn release(self) -> impl Future<Output = ()>;
}

/// What takes the bytes of a response body. An error of it ends the reading.
pub trait Take: FnMut(&[u8], Arrival) -> Result<(), Failure> {}

impl<F: FnMut(&[u8], Arrival) -> Result<(), Failure>> Take for F {}

/// When bytes arrived, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The moment.
    pub at: Moment,
    /// Who stamped it.
    pub stamped_by: StampQuality,
}

/// A request on its way out.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The body, shared with the exchange.
    pub body: Bytes,
    /// What its head has that differs from the heads of the others.
    pub own_head: Option<Arc<OwnHead>>,
    /// Headers of this request alone, none of which the others have.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// A mark that has not been set.
const UNSET: u64 = u64::MAX;

/// What a transport notes while it carries a request. Shared, since connection and request may be
/// driven by different tasks.
#[derive(Debug)]
pub struct Marks {
    clock: Clock,
    sent: AtomicU64,
    /// Whether a part of the request was taken, and not all of it.
    is_partly_taken: AtomicBool,
    connected: AtomicU64,
    connecting_nanos: AtomicU64,
    dns_nanos: AtomicU64,
    tls_nanos: AtomicU64,
}

impl Marks {
    /// Marks on this clock, none of them set.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            sent: AtomicU64::new(UNSET),
            is_partly_taken: AtomicBool::new(false),
            connected: AtomicU64::new(UNSET),
            connecting_nanos: AtomicU64::new(UNSET),
            dns_nanos: AtomicU64::new(UNSET),
            tls_nanos: AtomicU64::new(UNSET),
        }
    }

    /// The clock of the run.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The last bytes of the request are about to be written.
    pub fn mark_sent(&self) {
        self.sent.store(self.clock.now().nanos(), Ordering::Relaxed);
    }

    /// The last bytes of the request so far were written at `instant`.
    pub fn mark_sent_at(&self, instant: Instant) {
        self.sent
            .store(self.clock.at(instant).nanos(), Ordering::Relaxed);
    }

    /// The request was not sent after all; it goes out on another connection.
    pub fn forget_sent(&self) {
        self.sent.store(UNSET, Ordering::Relaxed);
        self.mark_partly_taken(false);
    }

    /// Whether a part of the request was taken so far, and not all of it.
    pub fn mark_partly_taken(&self, is_partly: bool) {
        self.is_partly_taken.store(is_partly, Ordering::Relaxed);
    }

    /// Whether only a part of the request was taken so far.
    pub fn is_partly_taken(&self) -> bool {
        self.is_partly_taken.load(Ordering::Relaxed)
    }

    /// A name has been resolved, which took `time`.
    pub fn mark_resolved(&self, time: Duration) {
        self.dns_nanos.store(nanos(time), Ordering::Relaxed);
    }

    /// The TLS handshake is done, which took `time`.
    pub fn mark_tls(&self, time: Duration) {
        self.tls_nanos.store(nanos(time), Ordering::Relaxed);
    }

    /// A connection for this request is open now, which took `time` in all.
    pub fn mark_connected(&self, time: Duration) {
        self.connecting_nanos.store(nanos(time), Ordering::Relaxed);
        self.connected
            .store(self.clock.now().nanos(), Ordering::Relaxed);
    }

    /// When the request was sent.
    pub fn sent(&self) -> Option<Moment> {
        get(&self.sent).map(Moment::from_nanos)
    }

    /// The connection that was opened for this request. `None` where a kept one carried it: one that
    /// became ready only after the request was sent was opened in vain.
    pub fn connection(&self) -> Option<ConnectionOpening> {
        let connected = get(&self.connected)?;
        if get(&self.sent).is_some_and(|sent| sent < connected) {
            return None;
        }
        Some(ConnectionOpening {
            dns: get(&self.dns_nanos).map(Duration::from_nanos),
            tls: get(&self.tls_nanos).map(Duration::from_nanos),
            total: Duration::from_nanos(get(&self.connecting_nanos)?),
        })
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(UNSET - 1)
}

fn get(mark: &AtomicU64) -> Option<u64> {
    // The tasks that set and read a request's marks run on one thread; order between them is given.
    match mark.load(Ordering::Relaxed) {
        UNSET => None,
        value => Some(value),
    }
}
