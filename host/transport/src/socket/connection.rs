//! One HTTP/1.1 connection, driven together with the request on it.
//!
//! A read is one `recvmsg` into room that all connections of a thread share, and everything that it brought is
//! taken out before the next: so each piece of a response is tied to the read that completed it, and a
//! stream that waits for its next token holds no buffer.

use super::body::Body;
use super::error::HttpError;
use super::head::{Head, RequestHead};
use super::incoming::Incoming;
use super::io::Stream;
use crate::failure::{RequestPhase, broken_rules, classify_error, not_taken, truncated};
use crate::transport::Marks;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use llmuses_core::exchange::{Failure, StampQuality};
use llmuses_kernel_io::Stamp;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Where the connections of a thread read into, one at a time.
#[derive(Debug, Clone)]
pub(super) struct Room(Rc<RefCell<Box<[u8]>>>);

impl Room {
    /// More than any packet has: a read that ends within a packet is not stamped by every kernel.
    const BYTES: usize = 128 << 10;

    pub(super) fn new() -> Self {
        Self(Rc::new(RefCell::new(vec![0; Self::BYTES].into())))
    }
}

/// After so many bytes of one body the other streams of the thread, its timers and the end of the run have their turn:
/// there may always be more to read, and bytes in tiny chunks take long.
const MOST_IN_A_TURN: usize = 256 << 10;

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    room: Room,
    /// What of the request the kernel has not taken. Boxed, since it is there for a moment only, and what is looked at
    /// with every read should lie close together.
    unsent: Option<Box<Unsent>>,
    /// What came behind the head of a response in the same read.
    rest: Vec<u8>,
    /// Whether another request may go out on it.
    usable: bool,
    /// How many requests it has carried to the end of their response.
    carried: u32,
    /// How many it may carry, where the server has said so.
    most: u32,
    /// How many it is to carry.
    limit: u32,
    /// How long it may be idle, where the server has said so.
    longest_idle: Option<Duration>,
}

/// A request on its way out.
#[derive(Debug)]
struct Unsent {
    head: Vec<u8>,
    body: Bytes,
    written: usize,
}

/// A request was not answered.
#[derive(Debug)]
pub(super) enum SendError {
    /// The connection had ended before a byte of the request was taken.
    NothingTaken(Failure),
    /// The connection ended before a byte of an answer came.
    Unanswered(Failure),
    /// The request failed.
    Failed(Failure),
}

impl SendError {
    /// The failure, where another try is not for the taking.
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) | Self::NothingTaken(failure) | Self::Unanswered(failure) => {
                failure
            }
        }
    }
}

/// Why there is no head.
#[derive(Debug)]
enum Unanswered {
    Write(io::Error),
    Read(io::Error),
    Closed,
    Http(HttpError),
}

impl Unanswered {
    /// Whether the connection ended, rather than that something else than an answer came over it.
    fn is_of_connection(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Http(_) => false,
            Self::Write(error) | Self::Read(error) => matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::NotConnected
            ),
        }
    }
}

impl Connection {
    /// Begins HTTP on an open stream.
    pub(super) fn new(stream: Stream, room: Room) -> Self {
        Self {
            stream,
            room,
            unsent: None,
            rest: Vec::new(),
            usable: true,
            carried: 0,
            most: u32::MAX,
            limit: u32::MAX,
            longest_idle: None,
        }
    }

    /// Has it carry so many requests at most.
    pub(super) fn limit(&mut self, requests: u32) {
        self.limit = requests;
    }

    /// Sends a request and waits for the head of its response. `more`: headers of this request alone. Notes in `marks`
    /// when it was sent: at the last write before the head arrives.
    pub(super) async fn send(
        &mut self,
        head: &RequestHead,
        more: &[(HeaderName, HeaderValue)],
        body: Bytes,
        marks: &Marks,
    ) -> Result<Head, SendError> {
        let written_before = self.stream.stamped().last_write();
        let is_last = self.carried.saturating_add(1) >= self.limit;
        self.usable = head.keeps_open && !is_last;
        self.unsent = Some(Box::new(Unsent {
            head: head.for_body(more, is_last, body.len()),
            body,
            written: 0,
        }));
        let mut incoming = Incoming::default();
        let mut write_error = None;
        let answer = poll_fn(|context| {
            if let Poll::Ready(Err(error)) = self.poll_unsent(context) {
                // The server may have said why before it hung up: what there is to read is read.
                write_error = Some(error);
            }
            if let Some(written) = self.stream.stamped().last_write()
                && Some(written) != written_before
            {
                marks.mark_sent_at(written);
                marks.mark_partly_taken(self.unsent.is_some());
            }
            match (self.poll_head(context, &mut incoming), write_error.take()) {
                (Poll::Ready(Ok(head)), _) => Poll::Ready(Ok(head)),
                (_, Some(error)) => Poll::Ready(Err(Unanswered::Write(error))),
                (unanswered, None) => unanswered,
            }
        })
        .await;
        answer.map_err(|unanswered| {
            let is_silent = incoming.taken == 0 && unanswered.is_of_connection();
            let is_untaken = self.unsent.is_some();
            let failure = match unanswered {
                Unanswered::Write(error) => not_taken(classify_error(&error, RequestPhase::Head)),
                Unanswered::Http(error) => broken_rules(&error),
                Unanswered::Closed if is_untaken => not_taken(truncated()),
                Unanswered::Closed => truncated(),
                Unanswered::Read(error) if is_untaken => {
                    not_taken(classify_error(&error, RequestPhase::Head))
                }
                Unanswered::Read(error) => classify_error(&error, RequestPhase::Head),
            };
            if is_untaken {
                marks.forget_sent();
            }
            if self.stream.stamped().last_write() == written_before {
                SendError::NothingTaken(failure)
            } else if is_silent {
                SendError::Unanswered(failure)
            } else {
                SendError::Failed(failure)
            }
        })
    }

    /// Writes what is left of the request.
    fn poll_unsent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(unsent) = &mut self.unsent else {
            return Poll::Ready(Ok(()));
        };
        loop {
            let head = unsent.head.get(unsent.written..).unwrap_or_default();
            let of_body = unsent.written.saturating_sub(unsent.head.len());
            let body = unsent.body.get(of_body..).unwrap_or_default();
            if head.is_empty() && body.is_empty() {
                break;
            }
            let slices = [io::IoSlice::new(head), io::IoSlice::new(body)];
            match ready!(self.stream.poll_write(context, &slices))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => unsent.written += written,
            }
        }
        ready!(self.stream.poll_flush(context))?;
        self.unsent = None;
        Poll::Ready(Ok(()))
    }

    /// Reads until the head of the response is whole.
    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        incoming: &mut Incoming,
    ) -> Poll<Result<Head, Unanswered>> {
        let mut room = self.room.0.borrow_mut();
        loop {
            let bytes = match ready!(self.stream.poll_read(context, &mut room)) {
                Ok(0) => return Poll::Ready(Err(Unanswered::Closed)),
                Ok(bytes) => &room[..bytes],
                Err(error) => return Poll::Ready(Err(Unanswered::Read(error))),
            };
            if let Some((head, rest)) = incoming.push(bytes).map_err(Unanswered::Http)? {
                self.rest = rest;
                return Poll::Ready(Ok(head));
            }
        }
    }

    /// Reads what is there of the body and hands its bytes to `take`, with the stamp of the read that brought them.
    /// Ready at the end of the body, with the stamp of that.
    pub(super) fn poll_body(
        &mut self,
        context: &mut Context<'_>,
        head: &mut Head,
        take: &mut impl FnMut(&[u8], Stamp) -> Result<(), Failure>,
    ) -> Poll<Result<Stamp, Failure>> {
        if let Poll::Ready(Err(_)) = self.poll_unsent(context) {
            // The server answers without having read all of the request, which is its right.
            self.unsent = None;
            self.usable = false;
        }
        if !self.rest.is_empty() {
            // Came with the head, and is as old as that.
            let rest = std::mem::take(&mut self.rest);
            self.decode(&rest, head, take)?;
        }
        let room = self.room.clone();
        let mut room = room.0.borrow_mut();
        let mut in_turn = 0;
        while !head.body.is_over() {
            if in_turn >= MOST_IN_A_TURN {
                // Asks to be polled again, once the others were.
                let _ = pin!(tokio::task::yield_now()).poll(context);
                return Poll::Pending;
            }
            match ready!(self.stream.poll_read(context, &mut room)) {
                Ok(0) if head.body == Body::UntilClose => head.body = Body::Over,
                Ok(0) => return Poll::Ready(Err(truncated())),
                Ok(bytes) => {
                    in_turn += bytes;
                    self.decode(&room[..bytes], head, take)?;
                }
                Err(error) => return Poll::Ready(Err(classify_error(&error, RequestPhase::Body))),
            }
        }
        Poll::Ready(Ok(self.last_arrival()))
    }

    /// Takes the bytes of the last read and hands on what is of the body, also before a fault in them.
    fn decode(
        &mut self,
        bytes: &[u8],
        head: &mut Head,
        take: &mut impl FnMut(&[u8], Stamp) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let stamp = self.last_arrival();
        let mut handed_on = Ok(());
        let decoded = head.body.decode(bytes, |bytes| {
            if handed_on.is_ok() {
                handed_on = take(bytes, stamp);
            }
        });
        handed_on?;
        let taken = decoded.map_err(|error| broken_rules(&error))?;
        // Nobody asked for what follows.
        self.usable &= taken == bytes.len();
        Ok(())
    }

    /// The stamp of the last read.
    pub(super) fn last_arrival(&self) -> Stamp {
        self.stream.stamped().last_read().unwrap_or_else(|| Stamp {
            at: Instant::now(),
            quality: StampQuality::Read,
        })
    }

    /// Whether a kept connection can still carry a request. Finds out whether the server has closed it.
    pub(super) async fn is_alive(&mut self) -> bool {
        let room = self.room.clone();
        poll_fn(|context| {
            let mut room = room.0.borrow_mut();
            // Bytes that nobody asked for are no good sign either.
            Poll::Ready(self.stream.poll_read(context, &mut room).is_pending())
        })
        .await
    }

    /// Whether it has carried a request before.
    pub(super) fn has_carried(&self) -> bool {
        self.carried > 0
    }

    /// How long it has been idle.
    pub(super) fn idle(&self) -> Duration {
        self.last_arrival().at.elapsed()
    }

    /// Whether it has been idle for longer than the server said that it keeps it.
    pub(super) fn is_expired(&self) -> bool {
        self.longest_idle
            .is_some_and(|longest| self.idle() >= longest)
    }

    /// After the end of a response: whether the connection may carry another request.
    pub(super) fn is_reusable(&mut self, head: &Head) -> bool {
        self.carried = self.carried.saturating_add(1);
        let keep_alive = head.keep_alive();
        if let Some(more) = keep_alive.max {
            // Some servers count down, others say the same each time: this suits both.
            self.most = self.most.min(more.saturating_add(self.carried - 1));
        }
        self.longest_idle = keep_alive.longest_idle().or(self.longest_idle);
        self.usable
            && head.keeps_open
            && self.unsent.is_none()
            && self.carried < self.most
            && self.longest_idle.is_none_or(|longest| !longest.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::clock::Clock;
    use llmuses_kernel_io::StampedStream;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    /// How many bytes of a body in chunks of one byte are taken in each turn, of which there is always more to read.
    async fn turns(server: &TcpListener) -> Vec<usize> {
        const CHUNKS: usize = 1 << 20;
        let address = server.local_addr().unwrap();
        let server = server.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            let (mut client, _): (TcpStream, _) = server.accept().unwrap();
            let _ = client.read(&mut [0; 1000]).unwrap();
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            client.write_all(head).unwrap();
            client.write_all(&b"1\r\nx\r\n".repeat(CHUNKS)).unwrap();
            client.write_all(b"0\r\n\r\n").unwrap();
        });
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let stream = Stream::Plain(StampedStream::new(stream));
        let mut connection = Connection::new(stream, Room::new());
        let request = RequestHead::new("/", &http::HeaderMap::new());
        let marks = Marks::new(Clock::start());
        let sent = connection.send(&request, &[], Bytes::new(), &marks);
        let mut head = sent.await.unwrap();
        let mut turns = Vec::new();
        poll_fn(|context| {
            let mut taken = 0;
            let polled = connection.poll_body(context, &mut head, &mut |bytes, _| {
                taken += bytes.len();
                Ok(())
            });
            turns.push(taken);
            polled
        })
        .await
        .unwrap();
        sender.join().unwrap();
        assert_eq!(turns.iter().sum::<usize>(), CHUNKS);
        turns
    }

    #[test]
    fn a_body_of_which_there_is_always_more_leaves_turns_to_others() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let turns = runtime.block_on(turns(&server));
        let longest = turns.into_iter().max().unwrap();
        // A chunk of one byte is six on the wire.
        let most = (MOST_IN_A_TURN + Room::BYTES) / 6;
        assert!(longest <= most, "{longest} of {most}");
    }
}
