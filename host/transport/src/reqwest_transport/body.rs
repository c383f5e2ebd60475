//! The body of a request, which tells when it is taken.

use crate::transport::Marks;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// Whether a connection takes a request as soon as it can be asked to. One of HTTP/2 that is there already does so within
/// a few turns of the runtime, however long these take, unless all of its streams are in use.
#[derive(Debug, Default)]
pub(super) struct Uptake {
    is_taken: AtomicBool,
    is_late: AtomicBool,
}

impl Uptake {
    /// The task of the request, that of the connection, and that of the body, with a good margin.
    const TURNS: usize = 16;

    /// Lets the runtime get to everything that is ready, again and again, until the request is taken or would have been.
    pub(super) async fn turns(&self) {
        for _ in 0..Self::TURNS {
            if self.is_taken.load(Ordering::Relaxed) {
                return;
            }
            tokio::task::yield_now().await;
        }
        let is_taken = self.is_taken.load(Ordering::Relaxed);
        self.is_late.store(!is_taken, Ordering::Relaxed);
    }

    /// Whether it was taken, and not within these turns.
    pub(super) fn came_late(&self) -> bool {
        self.is_taken.load(Ordering::Relaxed) && self.is_late.load(Ordering::Relaxed)
    }
}

/// A request body that notes when the connection takes the last of it.
pub(super) struct StampedBody {
    pub(super) rest: Bytes,
    pub(super) marks: Arc<Marks>,
    pub(super) uptake: Arc<Uptake>,
}

/// The connection takes a long body in pieces of this size, as it can write them.
const PIECE: usize = 64 << 10;

impl http_body::Body for StampedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        self.uptake.is_taken.store(true, Ordering::Relaxed);
        let size = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(size);
        self.marks.mark_partly_taken(!self.rest.is_empty());
        if self.rest.is_empty() {
            self.marks.mark_sent();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        // Exact, so that the request carries a content length and is not sent in chunks.
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
