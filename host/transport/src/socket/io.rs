//! The I/O of a connection: a plain or a TLS stream.

use llmuses_kernel_io::StampedStream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

/// The stream below HTTP.
#[derive(Debug)]
pub(super) enum Stream {
    /// TCP.
    Plain(StampedStream),
    /// TLS over TCP. Boxed: its state is a few hundred bytes larger.
    Tls(Box<TlsStream<StampedStream>>),
}

impl Stream {
    /// The TCP stream, which knows when bytes arrived and were written.
    pub(super) fn stamped(&self) -> &StampedStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Reads once into `room`; gives back how many bytes came, 0 at the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(room);
        let read = match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, &mut room),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, &mut room),
        };
        read.map_ok(|()| room.filled().len())
    }

    /// Writes what it can of these bytes; gives back how many.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    /// Has everything that was written leave this program.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }
}
