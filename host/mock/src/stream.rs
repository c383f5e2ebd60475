//! The body of an answer: all of it at once, or token by token as they come due.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame as BodyFrame, SizeHint};
use tokio::time::Sleep;

use super::api::{Facts, Form, Piece};
use super::connection::{Label, Outbox};
use super::exchange::{Frame, Kind};
use super::pace::Schedule;
use super::words::Words;
use super::work::Work;

/// A timer that is only set where there is something to wait for.
#[derive(Debug)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Timer {
    pub(super) fn new() -> Self {
        Self {
            sleep: None,
            armed: false,
        }
    }

    /// Waits for a moment. It must be the same one until it has come.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        if !self.armed {
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            let due = due.into();
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(due),
                None => self.sleep = Some(Box::pin(tokio::time::sleep_until(due))),
            }
            self.armed = true;
        }
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(cx));
        }
        self.armed = false;
        Poll::Ready(())
    }

    pub(super) async fn until(&mut self, due: Instant) {
        std::future::poll_fn(|cx| self.poll(cx, due)).await;
    }
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// What comes before the first token goes out by itself.
    Open,
    Tokens,
    Over,
}

/// What a stream is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) form: Box<dyn Form>,
    pub(super) facts: Facts,
    /// Whether what comes before the first token goes out at once.
    pub(super) opens_early: bool,
    pub(super) schedule: Schedule,
    pub(super) timer: Timer,
    pub(super) outbox: Arc<Outbox>,
    pub(super) work: Work,
}

/// The stream of one answer.
#[derive(Debug)]
pub(super) struct TokenStream {
    of: Parts,
    step: Step,
    sent: u64,
    answer: Words,
    /// Where frames are written. Once the last has been copied away its room is used again.
    out: BytesMut,
}

impl TokenStream {
    pub(super) fn new(mut parts: Parts) -> Self {
        parts.form.begin(&parts.facts);
        Self {
            out: BytesMut::with_capacity(parts.form.room()),
            step: match parts.opens_early {
                true => Step::Open,
                false => Step::Tokens,
            },
            sent: 0,
            answer: parts.facts.answer_words(),
            of: parts,
        }
    }

    /// Writes the next frame; none is left when it is empty.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, fmt::Error>> {
        let Self { of, out, .. } = self;
        out.reserve(of.form.room());
        if self.step == Step::Open {
            self.step = Step::Tokens;
            of.form.open(out, &of.facts, true)?;
            if !out.is_empty() {
                return Poll::Ready(Ok(Frame::OTHER));
            }
        }
        if self.step == Step::Over {
            return Poll::Ready(Ok(Frame::OTHER));
        }
        let is_first = self.sent == 0;
        if is_first || self.sent < of.facts.tokens {
            ready!(of.timer.poll(cx, of.schedule.due()));
        }
        if is_first && !of.opens_early {
            of.form.open(out, &of.facts, false)?;
        }
        if self.sent == of.facts.tokens {
            // What closes the stream comes with the last token, or in place of the first if there is none.
            self.step = Step::Over;
            of.form.end(out, &of.facts)?;
            of.work.complete(&of.facts, true);
            return Poll::Ready(Ok(Frame::OTHER));
        }
        let thought = self.sent < of.facts.reasoning;
        let text = match thought {
            true => of.facts.words.at(self.sent),
            false => self.answer.at(self.sent - of.facts.reasoning),
        };
        let answer = self.sent == of.facts.reasoning;
        self.sent += 1;
        for choice in 0..of.facts.choices {
            let piece = Piece {
                text,
                choice,
                sent: self.sent,
                thought,
            };
            of.form.piece(out, &of.facts, &piece)?;
        }
        of.schedule.advance();
        Poll::Ready(Ok(Frame {
            kind: match is_first {
                true => Kind::FirstToken,
                false => Kind::Token,
            },
            tokens: of.facts.choices,
            answer,
        }))
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        // Writing to memory does not fail. If it did, the stream would end here and count as left.
        let Ok(frame) = ready!(self.poll_next(cx)) else {
            return Poll::Ready(None);
        };
        if self.out.is_empty() {
            return Poll::Ready(None);
        }
        let bytes = self.out.split().freeze();
        self.of.outbox.push(Label {
            frame,
            bytes: wire_size(bytes.len(), self.step == Step::Over),
            exchange: Arc::clone(self.of.work.exchange()),
        });
        Poll::Ready(Some(bytes))
    }
}

/// What a frame of a stream takes on HTTP/1.1: its size in hexadecimal digits, two line ends, itself, and after
/// the last one the empty chunk.
fn wire_size(frame: usize, last: bool) -> usize {
    let digits = (usize::BITS - frame.leading_zeros()).div_ceil(4) as usize;
    let end = if last { 5 } else { 0 };
    digits + 4 + frame + end
}

/// A response with a body that is sent in one piece.
pub(super) fn whole(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Reply> {
    let mut response = Response::new(Reply::Whole(Some(body.into())));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Reply {
    /// All of it; nothing once it has been taken.
    Whole(Option<Bytes>),
    /// Token by token.
    Stream(Box<TokenStream>),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        let bytes = match self.get_mut() {
            Self::Whole(bytes) => bytes.take(),
            Self::Stream(stream) => ready!(stream.poll_frame(cx)),
        };
        Poll::Ready(bytes.map(|bytes| Ok(BodyFrame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(stream) => stream.step == Step::Over,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_on_the_wire_has_the_framing_in_it() {
        assert_eq!(wire_size(15, false), "f\r\n\r\n".len() + 15);
        assert_eq!(wire_size(16, false), "10\r\n\r\n".len() + 16);
        assert_eq!(wire_size(256, true), "100\r\n\r\n0\r\n\r\n".len() + 256);
    }
}
