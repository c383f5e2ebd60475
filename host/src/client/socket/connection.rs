//! One HTTP/1.1 connection, driven together with the request on it.
//!
//! A read is one `recvmsg` into room that all connections of a thread share, and everything that it brought is
//! taken out before the next: so each piece of a response is tied to the read that completed it, and a
//! stream that waits for its next token holds no buffer.

use super::body::Body;
use super::head::{Head, HttpError, RequestHead};
use super::io::Stream;
use crate::client::failure::{Stage, broken_rules, classify_error, not_taken, truncated};
use crate::client::transport::Marks;
use crate::exchange::{Failure, StampQuality};
use crate::kernel_io::Stamp;
use bytes::Bytes;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

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

/// Up to this size the head of a response is looked at whenever bytes of it come, so that what is no HTTP is
/// noticed at once; beyond, when a line has ended.
const SHORT_HEAD: usize = 1 << 10;

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
    /// The request failed.
    Failed(Failure),
}

impl SendError {
    /// The failure, where another try is not for the taking.
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) | Self::NothingTaken(failure) => failure,
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

impl Connection {
    /// Begins HTTP on an open stream.
    pub(super) fn new(stream: Stream, room: Room) -> Self {
        Self {
            stream,
            room,
            unsent: None,
            rest: Vec::new(),
            usable: true,
        }
    }

    /// Sends a request and waits for the head of its response. Notes in `marks` when it was sent: at the
    /// last write before the head arrives.
    pub(super) async fn send(
        &mut self,
        head: &RequestHead,
        body: Bytes,
        marks: &Marks,
    ) -> Result<Head, SendError> {
        let written_before = self.stream.stamped().last_write();
        self.usable = head.keeps_open;
        self.unsent = Some(Box::new(Unsent {
            head: head.for_length(body.len()),
            body,
            written: 0,
        }));
        let mut text = Vec::new();
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
            }
            match (self.poll_head(context, &mut text), write_error.take()) {
                (Poll::Ready(Ok(head)), _) => Poll::Ready(Ok(head)),
                (_, Some(error)) => Poll::Ready(Err(Unanswered::Write(error))),
                (unanswered, None) => unanswered,
            }
        })
        .await;
        answer.map_err(|unanswered| {
            let is_untaken = self.unsent.is_some();
            let failure = match unanswered {
                Unanswered::Write(error) => not_taken(classify_error(&error, Stage::Head)),
                Unanswered::Http(error) => broken_rules(&error),
                Unanswered::Closed if is_untaken => not_taken(truncated()),
                Unanswered::Closed => truncated(),
                Unanswered::Read(error) if is_untaken => {
                    not_taken(classify_error(&error, Stage::Head))
                }
                Unanswered::Read(error) => classify_error(&error, Stage::Head),
            };
            if is_untaken {
                marks.forget_sent();
            }
            if self.stream.stamped().last_write() == written_before {
                SendError::NothingTaken(failure)
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

    /// Reads until the head of the response is whole. `text` is what there is of it.
    fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        text: &mut Vec<u8>,
    ) -> Poll<Result<Head, Unanswered>> {
        let mut room = self.room.0.borrow_mut();
        loop {
            let bytes = match ready!(self.stream.poll_read(context, &mut room)) {
                Ok(0) => return Poll::Ready(Err(Unanswered::Closed)),
                Ok(bytes) => &room[..bytes],
                Err(error) => return Poll::Ready(Err(Unanswered::Read(error))),
            };
            text.extend_from_slice(bytes);
            if text.len() > SHORT_HEAD && memchr::memchr(b'\n', bytes).is_none() {
                continue;
            }
            if let Some((head, length)) = Head::parse(text).map_err(Unanswered::Http)? {
                self.rest = text.split_off(length);
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
        while !head.body.is_over() {
            match ready!(self.stream.poll_read(context, &mut room)) {
                Ok(0) if head.body == Body::UntilClose => head.body = Body::Over,
                Ok(0) => return Poll::Ready(Err(truncated())),
                Ok(bytes) => self.decode(&room[..bytes], head, take)?,
                Err(error) => return Poll::Ready(Err(classify_error(&error, Stage::Body))),
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

    /// After the end of a response: whether the connection may carry another request.
    pub(super) fn is_reusable(&self, head: &Head) -> bool {
        self.usable && head.keeps_open && self.unsent.is_none()
    }
}
