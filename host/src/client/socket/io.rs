//! The I/O of a connection: a plain or a TLS stream with a gate before its reads.

use crate::kernel_io::StampedStream;
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

/// Lets one read through, then stays shut until it is opened again.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate(Rc<Cell<bool>>);

impl Gate {
    /// Lets the next read through.
    pub(super) fn open(&self) {
        self.0.set(true);
    }

    /// Whether the next read would be let through.
    pub(super) fn is_open(&self) -> bool {
        self.0.get()
    }
}

/// Whether there are bytes that were to be written and have not been.
#[derive(Debug, Clone, Default)]
pub(super) struct Backlog(Rc<Cell<bool>>);

impl Backlog {
    /// Whether there are.
    pub(super) fn is_there(&self) -> bool {
        self.0.get()
    }
}

/// The stream below HTTP.
#[derive(Debug)]
pub(super) enum Stream {
    /// TCP.
    Plain(StampedStream),
    /// TLS over TCP. Boxed: its state is a few hundred bytes larger.
    Tls(Box<TlsStream<StampedStream>>),
}

/// A stream behind a gate.
#[derive(Debug)]
pub(super) struct GatedStream {
    stream: Stream,
    gate: Gate,
    backlog: Backlog,
}

impl GatedStream {
    pub(super) fn new(stream: Stream) -> (Self, Gate, Backlog) {
        let gate = Gate::default();
        gate.open();
        let backlog = Backlog::default();
        let stream = Self {
            stream,
            gate: gate.clone(),
            backlog: backlog.clone(),
        };
        (stream, gate, backlog)
    }
}

impl AsyncRead for GatedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.gate.is_open() {
            // No waker: whoever drives the connection opens the gate and polls again before it rests.
            return Poll::Pending;
        }
        let result = match &mut this.stream {
            Stream::Plain(stream) => ready!(Pin::new(stream).poll_read(context, buffer)),
            Stream::Tls(stream) => ready!(Pin::new(stream).poll_read(context, buffer)),
        };
        this.gate.0.set(false);
        Poll::Ready(result)
    }
}

impl AsyncWrite for GatedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.backlog.0.set(true);
        match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.backlog.0.set(true);
        match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        })?;
        // HTTP flushes once it has handed over all that it had.
        this.backlog.0.set(false);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
