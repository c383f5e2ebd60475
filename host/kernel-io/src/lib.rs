//! A TCP stream that knows when its bytes arrived.
//!
//! A program that takes the time after its `read` returned measures how long it waited for a
//! processor as well. The kernel noted the arrival long before, when the packet came in, and hands
//! that time over beside the bytes where it is asked to. [`StampedStream`] asks, so that whoever reads
//! from it late still learns the right time. For the other direction it takes the time of each write just before the
//! system call, and a [`WriteHook`] can have the kernel asked for the time at which the bytes really left.
//!
//! Kernel stamps are wall-clock times. Each is made a monotonic [`Instant`] with the difference
//! of the two clocks as it was at most a millisecond before, so a step of the wall clock spoils only the stamps
//! of bytes that were waiting at that moment or came within that millisecond.
//!
//! What to know about stamps on TCP:
//!
//! * The stamp of a read is that of the last packet whose last byte the read took. A read that ends in
//!   the middle of a packet gets none, and is stamped on its return: give it a buffer of a few kilobytes.
//! * The kernel starts to stamp a moment after the first socket of the machine asks, and stops when
//!   the last one is closed. Whoever needs stamps from the first byte on keeps a socket that has asked
//!   open throughout ([`ask_for_stamps`] on a listener, say); sockets that a listener accepts inherit
//!   the wish.
//! * There are kernel stamps on Linux with 64-bit pointers. Elsewhere every stamp is of the read's return,
//!   and says so.

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod kernel;
pub mod machine;
pub mod memory;
#[cfg(unix)]
pub mod pipe;
pub mod priority;
pub mod private_file;
pub mod processor_time;
pub mod regular_file;
pub mod standard_output;
#[cfg(test)]
mod tests;
mod times;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

pub use llmuses_core::exchange::StampQuality;
pub use times::StampHandle;
use times::{Times, pack, to_nanos};

/// When bytes arrived, and how well that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The monotonic time of the arrival.
    pub at: Instant,
    /// Who took it.
    pub quality: StampQuality,
}

/// One write that the kernel accepted, wholly or in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// The time just before the system call.
    pub at: Instant,
    /// When the kernel handed the last bytes that it took to the network device, by its own clock: only where the
    /// hook asked for that and the kernel told.
    pub left: Option<Instant>,
    /// How many bytes the caller wanted written.
    pub offered: usize,
    /// How many of them, from the front, the kernel took.
    pub accepted: usize,
}

/// What wants to know of the writes of a [`StampedStream`].
///
/// It is called on the path of every write, so it should do little.
pub trait WriteHook {
    /// Whether the kernel should be asked when the bytes of the next write leave. It costs a system call, and
    /// is done only where both ends are on this machine: there a stamp is ready when the write returns.
    fn wants_departure(&self) -> bool {
        false
    }

    /// The kernel took bytes. Not called for writes that failed or have to wait.
    fn wrote(&mut self, write: Write);
}

/// The hook of a stream whose writes nobody listens to.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHook;

impl WriteHook for NoHook {
    fn wrote(&mut self, _write: Write) {}
}

/// A connected TCP stream with the times of its reads and writes.
///
/// It is a plain [`AsyncRead`] and [`AsyncWrite`], to be wrapped by TLS or by an HTTP library. Where that lets nobody
/// see it any more, the times come out of a [`StampHandle`] taken before.
#[derive(Debug)]
pub struct StampedStream<H = NoHook> {
    stream: TcpStream,
    kernel: bool,
    /// Whether the peer is on this machine.
    local: bool,
    /// Whether the stamp of a departure was not there when its write returned, and may still come.
    owed: bool,
    /// Here, where the stream has been looked at anyway, and not only behind a pointer.
    times: Times,
    /// The same for the handles, where there are any.
    handed_out: Option<Arc<Times>>,
    hook: H,
}

impl StampedStream {
    /// Takes over a connected stream and asks the kernel for stamps. Where it has none to give, the
    /// stream works all the same and its stamps are of [`StampQuality::Read`].
    pub fn new(stream: TcpStream) -> Self {
        Self::with_hook(stream, NoHook)
    }
}

impl<H: WriteHook> StampedStream<H> {
    /// The same as [`StampedStream::new`], with a hook that is told of every write.
    pub fn with_hook(stream: TcpStream, hook: H) -> Self {
        Self {
            kernel: ask_for_stamps(&stream),
            local: is_local(&stream),
            owed: false,
            stream,
            times: Times::default(),
            handed_out: None,
            hook,
        }
    }
}

impl<H> StampedStream<H> {
    /// A handle that tells the times of this stream: those of its reads and writes from now on.
    pub fn handle(&mut self) -> StampHandle {
        StampHandle(Arc::clone(self.handed_out.get_or_insert_default()))
    }

    /// When the bytes of the last read that brought any arrived; nothing before the first.
    pub fn last_read(&self) -> Option<Stamp> {
        self.times.last_read()
    }

    /// The time just before the last write of which the kernel took bytes; nothing before the first.
    pub fn last_write(&self) -> Option<Instant> {
        self.times.last_write()
    }

    /// Whether the kernel agreed to stamp what this stream receives.
    pub fn has_kernel_stamps(&self) -> bool {
        self.kernel
    }

    /// The stream below, for its options and addresses. Reads past this type are not stamped.
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// Notes a read that brought bytes, with the kernel's stamp in nanoseconds since
    /// [`anchor`] if there is one.
    fn note_read(&self, arrived: Option<u64>) {
        let word = match arrived {
            Some(nanos) => pack(nanos, StampQuality::Kernel),
            None => pack(to_nanos(Instant::now()), StampQuality::Read),
        };
        self.all_times().for_each(|times| times.note_read(word));
    }

    /// Where its times are kept.
    fn all_times(&self) -> impl Iterator<Item = &Times> {
        std::iter::once(&self.times).chain(self.handed_out.as_deref())
    }
}

impl<H: WriteHook> StampedStream<H> {
    /// Writes once and notes what the kernel took.
    fn write(&mut self, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let at = Instant::now();
        let (accepted, left) = std::task::ready!(self.poll_accepted(cx, bufs))?;
        self.all_times().for_each(|times| times.note_write(at));
        self.hook.wrote(Write {
            at,
            left,
            offered: bufs.iter().map(|buf| buf.len()).sum(),
            accepted,
        });
        Poll::Ready(Ok(accepted))
    }

    fn poll_accepted(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<(usize, Option<Instant>)>> {
        if self.kernel && self.local && self.hook.wants_departure() {
            // Elsewhere no kernel has agreed.
            #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
            return self.poll_stamped(cx, bufs);
        }
        let stream = Pin::new(&mut self.stream);
        let written = match bufs {
            [one] => stream.poll_write(cx, one),
            several => stream.poll_write_vectored(cx, several),
        };
        written.map_ok(|accepted| (accepted, None))
    }

    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    fn poll_stamped(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<(usize, Option<Instant>)>> {
        use std::os::fd::AsRawFd;
        if self.owed {
            // It must not be taken for that of this write.
            kernel::take_departures(self.stream.as_raw_fd());
        }
        let (accepted, left) = std::task::ready!(kernel::poll_write(&self.stream, cx, bufs))?;
        self.owed = left.is_none();
        Poll::Ready(Ok((accepted, left.map(times::from_nanos))))
    }
}

impl<H: Unpin> AsyncRead for StampedStream<H> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // A read into no room would look like the end of the stream.
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        if this.kernel {
            return kernel::poll_read(&this.stream, cx, buf)
                .map_ok(|arrived| arrived.into_iter().for_each(|at| this.note_read(at)));
        }
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            this.note_read(None);
        }
        Poll::Ready(Ok(()))
    }
}

impl<H: WriteHook + Unpin> AsyncWrite for StampedStream<H> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Whether both ends of a connection are on this machine.
fn is_local(stream: &TcpStream) -> bool {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(own), Ok(peer)) => own.ip() == peer.ip(),
        _ => false,
    }
}

/// Asks the kernel to stamp what a socket receives; false where it will not.
///
/// A [`StampedStream`] does this itself. It is for listeners, whose accepted sockets then have their
/// stamps from the very first byte on, and for a socket that is kept only to keep the stamps coming.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub fn ask_for_stamps(socket: &impl std::os::fd::AsFd) -> bool {
    kernel::ask(socket.as_fd())
}

/// Asks the kernel to stamp what a socket receives; false, since this system cannot.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub fn ask_for_stamps<S>(_socket: &S) -> bool {
    false
}
