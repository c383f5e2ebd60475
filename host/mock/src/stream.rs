//! The body of an answer: all of it at once, or token by token as they come due.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::connection::{Label, Outbox};
use super::pace::Schedule;
use super::truth::{Kind, Pending};
use super::{dashscope, openai};

/// What the answers are made of, one word to a token. None of it needs escapes in JSON. Some words are not
/// ASCII, so that a client meets characters of several bytes.
const WORDS: [&str; 48] = [
    "The",
    " old",
    " lighthouse",
    " stood",
    " at",
    " the",
    " edge",
    " of",
    " a",
    " quiet",
    " bay",
    ",",
    " and",
    " every",
    " evening",
    " its",
    " keeper",
    " climbed",
    " the",
    " narrow",
    " stairs",
    " to",
    " light",
    " the",
    " lamp",
    ".",
    " From",
    " up",
    " there",
    " he",
    " saw",
    " ships",
    " bound",
    " for",
    " Málaga",
    ",",
    " for",
    " 横浜",
    ",",
    " for",
    " ports",
    " he",
    " would",
    " never",
    " visit",
    " himself",
    " –",
    " naïve?",
];

/// The words of an answer, beginning anywhere on the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words(u64);

impl Words {
    pub(super) fn new(begin: u64) -> Self {
        Self(begin % WORDS.len() as u64)
    }

    /// The word of a token. An answer does not begin with a space.
    fn at(self, token: u64) -> &'static str {
        // The remainder is below 48, whatever the size of a pointer.
        let word = WORDS[((self.0 + token) % WORDS.len() as u64) as usize];
        match token {
            0 => word.trim_start(),
            _ => word,
        }
    }

    /// The first so many words in one.
    pub(super) fn text(self, tokens: u64) -> String {
        (0..tokens).map(|token| self.at(token)).collect()
    }
}

/// The shape that a stream is written in.
#[derive(Debug)]
pub(super) enum Shape {
    OpenAi(openai::Chunks),
    DashScope(dashscope::Events),
}

impl Shape {
    fn room(&self) -> usize {
        match self {
            Self::OpenAi(chunks) => chunks.room(),
            Self::DashScope(events) => events.room(),
        }
    }

    fn role(&mut self, out: &mut BytesMut) -> Result<bool, fmt::Error> {
        match self {
            Self::OpenAi(chunks) => chunks.role(out),
            Self::DashScope(_) => Ok(false),
        }
    }

    fn token(&mut self, out: &mut BytesMut, word: &str, sent: u64) -> fmt::Result {
        match self {
            Self::OpenAi(chunks) => chunks.token(out, word, sent),
            Self::DashScope(events) => events.token(out, word, sent),
        }
    }

    fn end(&mut self, out: &mut BytesMut) -> fmt::Result {
        match self {
            Self::OpenAi(chunks) => chunks.end(out),
            Self::DashScope(events) => events.end(out),
        }
    }
}

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
    Role,
    Tokens,
    Over,
}

/// What a stream is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) shape: Shape,
    pub(super) words: Words,
    /// How many tokens it has.
    pub(super) tokens: u64,
    /// Whether it opens with a chunk that only names the role.
    pub(super) role_chunk: bool,
    pub(super) schedule: Schedule,
    pub(super) timer: Timer,
    pub(super) outbox: Arc<Outbox>,
    pub(super) pending: Pending,
}

/// The stream of one answer.
#[derive(Debug)]
pub(super) struct TokenStream {
    of: Parts,
    step: Step,
    sent: u64,
    /// Where frames are written. Once the last has been copied away its room is used again.
    out: BytesMut,
}

impl TokenStream {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            out: BytesMut::with_capacity(parts.shape.room()),
            step: match parts.role_chunk {
                true => Step::Role,
                false => Step::Tokens,
            },
            sent: 0,
            of: parts,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Kind>, fmt::Error>> {
        self.out.reserve(self.of.shape.room());
        if self.step == Step::Role {
            self.step = Step::Tokens;
            if self.of.shape.role(&mut self.out)? {
                return Poll::Ready(Ok(Some(Kind::Other)));
            }
        }
        if self.step == Step::Over {
            return Poll::Ready(Ok(None));
        }
        if self.sent == self.of.tokens {
            // What closes the stream comes with the last token, or in place of the first if there is none.
            if self.of.tokens == 0 {
                ready!(self.of.timer.poll(cx, self.of.schedule.due()));
            }
            self.step = Step::Over;
            self.of.shape.end(&mut self.out)?;
            self.of.pending.complete(0);
            return Poll::Ready(Ok(Some(Kind::Other)));
        }
        ready!(self.of.timer.poll(cx, self.of.schedule.due()));
        let word = self.of.words.at(self.sent);
        self.of.shape.token(&mut self.out, word, self.sent)?;
        self.of.schedule.advance();
        self.sent += 1;
        Poll::Ready(Ok(Some(match self.sent {
            1 => Kind::FirstToken,
            _ => Kind::Token,
        })))
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        // Writing to memory does not fail. If it did, the stream would end here and count as left.
        let Ok(Some(kind)) = ready!(self.poll_next(cx)) else {
            return Poll::Ready(None);
        };
        let frame = self.out.split().freeze();
        self.of.outbox.push(Label {
            kind,
            bytes: wire_size(frame.len(), self.step == Step::Over),
            exchange: Arc::clone(self.of.pending.exchange()),
        });
        Poll::Ready(Some(frame))
    }
}

/// What a frame of a stream takes on HTTP/1.1: its size in hexadecimal digits, two line ends, itself, and after
/// the last one the empty chunk.
fn wire_size(frame: usize, last: bool) -> usize {
    let digits = (usize::BITS - frame.leading_zeros()).div_ceil(4) as usize;
    let end = if last { 5 } else { 0 };
    digits + 4 + frame + end
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
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match self.get_mut() {
            Self::Whole(bytes) => bytes.take(),
            Self::Stream(stream) => ready!(stream.poll_frame(cx)),
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
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
    fn no_word_needs_escapes_and_each_is_seen() {
        for (index, word) in WORDS.iter().enumerate() {
            assert_eq!(serde_json::json!(word).to_string(), format!("\"{word}\""));
            assert_eq!(Words::new(index as u64 + 48).at(48), *word);
        }
    }

    #[test]
    fn the_size_on_the_wire_has_the_framing_in_it() {
        assert_eq!(wire_size(15, false), "f\r\n\r\n".len() + 15);
        assert_eq!(wire_size(16, false), "10\r\n\r\n".len() + 16);
        assert_eq!(wire_size(256, true), "100\r\n\r\n0\r\n\r\n".len() + 256);
    }

    #[test]
    fn a_text_begins_without_a_space() {
        assert_eq!(Words::new(1).text(3), "old lighthouse stood");
        assert_eq!(Words::new(0).text(2), "The old");
        assert_eq!(Words::new(5).text(0), "");
    }
}
