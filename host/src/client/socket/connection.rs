//! One HTTP/1.1 connection, driven together with the request on it.
//!
//! The loop, for whatever is waited for (a head, a piece, an idle connection): poll the connection,
//! which reads at most once; take out what that read completed; when nothing more comes out, open the
//! gate and go round again. The task rests only with the gate open, so its waker is where the next
//! bytes will find it.

use super::io::{Backlog, Gate, GatedStream};
use crate::client::failure::{Stage, classify_error, not_taken};
use crate::client::transport::Marks;
use crate::exchange::{Failure, FailureKind, StampQuality};
use crate::kernel_io::StampHandle;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

type Driver = http1::Connection<TokioIo<GatedStream>, Full<Bytes>>;

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    requests: http1::SendRequest<Full<Bytes>>,
    /// Absent once the connection has ended.
    driver: Option<Driver>,
    /// What ended the connection, where it did not end well.
    broken: Option<hyper::Error>,
    gate: Gate,
    backlog: Backlog,
    stamps: StampHandle,
}

/// The head of a response, and its body to come.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The worst of all stamps so far.
    pub(super) quality: StampQuality,
    body: Incoming,
}

/// A request was not answered.
#[derive(Debug)]
pub(super) enum SendError {
    /// The connection had ended before a byte of the request was taken.
    NothingTaken,
    /// The request failed.
    Failed(Failure),
}

impl SendError {
    /// The failure, where another try is not for the taking.
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::NothingTaken => Failure::new(
                FailureKind::Send,
                "the server closed the connection before the request could be written",
            ),
        }
    }
}

impl Connection {
    /// Begins HTTP on an open stream.
    pub(super) async fn begin(
        stream: GatedStream,
        gate: Gate,
        backlog: Backlog,
        stamps: StampHandle,
    ) -> hyper::Result<Self> {
        let (requests, driver) = http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self {
            requests,
            driver: Some(driver),
            broken: None,
            gate,
            backlog,
            stamps,
        })
    }

    /// Sends a request and waits for the head of its response. Notes in `marks` when it was sent: at the
    /// last write before the head arrives.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        marks: &Marks,
    ) -> Result<Head, SendError> {
        let written_before = self.stamps.last_write();
        let mut response = pin!(self.requests.try_send_request(request));
        // Field by field: the future of the response borrows nothing of the connection.
        let (driver, broken) = (&mut self.driver, &mut self.broken);
        let (gate, stamps) = (&self.gate, &self.stamps);
        let result = poll_fn(|context| {
            drive(driver, broken, gate, context, |context| {
                if let Some(written) = stamps.last_write()
                    && Some(written) != written_before
                {
                    marks.mark_sent_at(written);
                }
                response.as_mut().poll(context)
            })
        })
        .await;
        match result {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                Ok(Head {
                    status: parts.status,
                    headers: parts.headers,
                    quality: StampQuality::Kernel,
                    body,
                })
            }
            Err(mut error) => {
                if error.take_message().is_some() && self.stamps.last_write() == written_before {
                    return Err(SendError::NothingTaken);
                }
                let failure = self.failure(&error.into_error(), Stage::Head);
                Err(SendError::Failed(if self.backlog.is_there() {
                    marks.forget_sent();
                    not_taken(failure)
                } else {
                    failure
                }))
            }
        }
    }

    /// The next piece of the body with the arrival of the read that completed it; `None` at its end.
    pub(super) async fn piece(
        &mut self,
        head: &mut Head,
    ) -> Result<Option<(Bytes, Instant)>, Failure> {
        loop {
            let (driver, broken) = (&mut self.driver, &mut self.broken);
            let gate = &self.gate;
            let body = &mut head.body;
            let frame = poll_fn(|context| {
                drive(driver, broken, gate, context, |context| {
                    Pin::new(&mut *body).poll_frame(context)
                })
            })
            .await;
            return match frame {
                None => Ok(None),
                Some(Err(error)) => Err(self.failure(&error, Stage::Body)),
                Some(Ok(frame)) => {
                    // Trailers are no data.
                    let Ok(bytes) = frame.into_data() else {
                        continue;
                    };
                    // Each poll of the connection hands out one frame at most, and reads only when it
                    // holds nothing more to hand out: the last read is the one that completed this frame.
                    let (at, quality) = self.last_arrival();
                    head.quality = head.quality.max(quality);
                    Ok(Some((bytes, at)))
                }
            };
        }
    }

    /// The stamp of the last read, and who took it.
    pub(super) fn last_arrival(&self) -> (Instant, StampQuality) {
        match self.stamps.last_read() {
            Some(stamp) => (stamp.at, stamp.quality),
            None => (Instant::now(), StampQuality::Read),
        }
    }

    /// Whether a kept connection can still carry a request. Finds out whether the server has closed it.
    pub(super) async fn is_alive(&mut self) -> bool {
        self.settle(|requests| requests.is_closed()).await;
        self.driver.is_some() && self.requests.is_ready()
    }

    /// After the end of a response: whether the connection can carry another request.
    pub(super) async fn is_reusable(&mut self) -> bool {
        self.settle(|requests| requests.is_ready() || requests.is_closed())
            .await;
        self.driver.is_some() && self.requests.is_ready()
    }

    /// Drives the connection until `done`, or until it has nothing more to do for now.
    async fn settle(&mut self, done: impl Fn(&http1::SendRequest<Full<Bytes>>) -> bool) {
        let (driver, broken) = (&mut self.driver, &mut self.broken);
        let (gate, requests) = (&self.gate, &self.requests);
        poll_fn(|context| {
            let driven = drive(driver, broken, gate, context, |_| {
                if done(requests) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            });
            // What has not happened by now is not waited for.
            let _ = driven;
            Poll::Ready(())
        })
        .await;
    }

    /// The failure behind an error: where the connection itself broke, its error says more.
    fn failure(&self, error: &hyper::Error, stage: Stage) -> Failure {
        match &self.broken {
            Some(broken) if error.is_canceled() || error.is_closed() => {
                classify_error(broken, stage)
            }
            _ => classify_error(error, stage),
        }
    }
}

/// Polls the connection and what is waited for in turn, one read at a time, until the latter is there or
/// nothing moves.
fn drive<T>(
    driver: &mut Option<Driver>,
    broken: &mut Option<hyper::Error>,
    gate: &Gate,
    context: &mut Context<'_>,
    mut wanted: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    loop {
        if let Some(connection) = driver
            && let Poll::Ready(result) = Pin::new(connection).poll(context)
        {
            *driver = None;
            if let Err(error) = result {
                *broken = Some(error);
            }
        }
        if let Poll::Ready(value) = wanted(context) {
            return Poll::Ready(value);
        }
        if driver.is_none() || gate.is_open() {
            return Poll::Pending;
        }
        gate.open();
    }
}
