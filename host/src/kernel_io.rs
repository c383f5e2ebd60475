//! A TCP stream that knows when its bytes arrived.
//!
//! A program that takes the time after its `read` returned measures how long it waited for a
//! processor as well. The kernel noted the arrival long before, when the packet came in, and hands
//! that time over beside the bytes where it is asked to. [`StampedStream`] asks, so that whoever reads
//! from it late still learns the right time; and it takes the time of each write just before the
//! system call, for the other direction.
//!
//! Kernel stamps are wall-clock times. Each is made a monotonic [`Instant`] with the difference
//! of the two clocks as it is right after the read, so a step of the wall clock spoils only the stamps of
//! bytes that were waiting at that moment.
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

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Who took the time of a [`Stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StampQuality {
    /// The kernel, when the packet with the bytes came in.
    Kernel,
    /// This program, after the read that brought the bytes had returned.
    Read,
}

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
    /// How many bytes the caller wanted written.
    pub offered: usize,
    /// How many of them, from the front, the kernel took.
    pub accepted: usize,
}

/// What wants to know of the writes of a [`StampedStream`].
///
/// It is called on the path of every write, so it should do little.
pub trait WriteHook {
    /// The kernel took bytes. Not called for writes that failed or have to wait.
    fn wrote(&mut self, write: Write);
}

/// The hook of a stream whose writes nobody listens to.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHook;

impl WriteHook for NoHook {
    fn wrote(&mut self, _write: Write) {}
}

/// What a stream and its handles have in common. Only the stream writes to it.
#[derive(Debug, Default)]
struct Shared {
    /// The last read: see [`pack`]. Zero before the first.
    last_read: AtomicU64,
    /// The last write: [`to_nanos`]. Zero before the first.
    last_write: AtomicU64,
    /// Reads that brought bytes.
    reads: AtomicU64,
}

/// Tells the times of a [`StampedStream`] after that has been moved into a connection.
///
/// Clones tell the same. Reading costs an atomic load. It is exact for whoever runs in the
/// same task as the stream; another thread may see one of the values before the next.
#[derive(Debug, Clone)]
pub struct StampHandle(Arc<Shared>);

impl StampHandle {
    /// When the bytes of the last read that brought any arrived; nothing before the first.
    pub fn last_read(&self) -> Option<Stamp> {
        unpack(self.0.last_read.load(Ordering::Relaxed))
    }

    /// The time just before the last write of which the kernel took bytes; nothing before the first.
    pub fn last_write(&self) -> Option<Instant> {
        match self.0.last_write.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(from_nanos(nanos)),
        }
    }

    /// How many reads have brought bytes. It tells a new stamp from an old one.
    pub fn reads(&self) -> u64 {
        self.0.reads.load(Ordering::Relaxed)
    }
}

/// A connected TCP stream with the times of its reads and writes.
///
/// It is a plain [`AsyncRead`] and [`AsyncWrite`], to be wrapped by TLS or by an HTTP library; the
/// times come out of the [`StampHandle`] taken before that.
#[derive(Debug)]
pub struct StampedStream<H = NoHook> {
    stream: TcpStream,
    kernel: bool,
    shared: Arc<Shared>,
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
            stream,
            shared: Arc::default(),
            hook,
        }
    }
}

impl<H> StampedStream<H> {
    /// A handle that tells the times of this stream.
    pub fn handle(&self) -> StampHandle {
        StampHandle(Arc::clone(&self.shared))
    }

    /// Whether the kernel agreed to stamp what this stream receives.
    pub fn has_kernel_stamps(&self) -> bool {
        self.kernel
    }

    /// The stream below, for its options and addresses. Reads past this type are not stamped.
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    fn note_read(&self, arrived: Option<Instant>) {
        let stamp = match arrived {
            Some(at) => Stamp {
                at,
                quality: StampQuality::Kernel,
            },
            None => Stamp {
                at: Instant::now(),
                quality: StampQuality::Read,
            },
        };
        self.shared.last_read.store(pack(stamp), Ordering::Relaxed);
        self.shared.reads.fetch_add(1, Ordering::Relaxed);
    }
}

impl<H: WriteHook> StampedStream<H> {
    fn note_write(
        &mut self,
        at: Instant,
        offered: usize,
        done: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(accepted)) = done {
            self.shared
                .last_write
                .store(to_nanos(at), Ordering::Relaxed);
            self.hook.wrote(Write {
                at,
                offered,
                accepted,
            });
        }
        done
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
        let this = self.get_mut();
        let at = Instant::now();
        let done = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.note_write(at, buf.len(), done)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let at = Instant::now();
        let done = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        let offered = bufs.iter().map(|buf| buf.len()).sum();
        this.note_write(at, offered, done)
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

/// The instant from which this process counts the nanoseconds in its atomics. It lies an hour back, so
/// that bytes that came before the first stamp have a positive number too.
fn anchor() -> Instant {
    static ANCHOR: OnceLock<Instant> = OnceLock::new();
    *ANCHOR.get_or_init(|| {
        let now = Instant::now();
        now.checked_sub(Duration::from_secs(3600)).unwrap_or(now)
    })
}

/// An instant as nanoseconds since the anchor, never zero.
fn to_nanos(at: Instant) -> u64 {
    let nanos = at.saturating_duration_since(anchor()).as_nanos();
    u64::try_from(nanos).unwrap_or(u64::MAX).max(1)
}

fn from_nanos(nanos: u64) -> Instant {
    anchor() + Duration::from_nanos(nanos)
}

/// A stamp in one word, so that its two halves cannot be of different reads: the nanoseconds above, the
/// quality in the lowest bit. 63 bits of nanoseconds are 292 years.
fn pack(stamp: Stamp) -> u64 {
    to_nanos(stamp.at) << 1 | u64::from(stamp.quality == StampQuality::Kernel)
}

fn unpack(word: u64) -> Option<Stamp> {
    (word != 0).then(|| Stamp {
        at: from_nanos(word >> 1),
        quality: match word & 1 {
            1 => StampQuality::Kernel,
            _ => StampQuality::Read,
        },
    })
}

/// The part that talks to the kernel.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod kernel {
    use std::io;
    use std::mem::{size_of, size_of_val, zeroed};
    use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
    use std::task::{Context, Poll, ready};
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use tokio::io::{Interest, ReadBuf};
    use tokio::net::TcpStream;

    /// Room for the control messages of one read, in words. The stamps take eight.
    const CONTROL_WORDS: usize = 16;

    /// Switches receive stamps on, by the kernel's own clock and not the network card's.
    pub(super) fn ask(socket: BorrowedFd<'_>) -> bool {
        let flags = libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
        // SAFETY: the descriptor is open for as long as it is borrowed, and the kernel reads as many
        // bytes of `flags` as it is told that there are.
        let answer = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_TIMESTAMPING,
                (&raw const flags).cast(),
                size_of_val(&flags) as libc::socklen_t,
            )
        };
        answer == 0
    }

    /// Reads once. `Ready(Ok(None))` is the end of the stream; otherwise bytes came, with the instant
    /// of their arrival where the kernel gave one.
    pub(super) fn poll_read(
        stream: &TcpStream,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<Option<Instant>>>> {
        loop {
            ready!(stream.poll_read_ready(cx))?;
            let room = buf.remaining();
            let mut short = None;
            let full = stream.try_io(Interest::READABLE, || {
                let read = receive(stream.as_raw_fd(), buf)?;
                if 0 < read.0 && read.0 < room {
                    // The socket is drained. To say "would block" makes the runtime wait for the
                    // next packet, which saves the read that would only learn the same.
                    short = Some(read);
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(read)
            });
            let (bytes, arrived) = match (short, full) {
                (Some(read), _) | (None, Ok(read)) => read,
                (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => continue,
                (None, Err(error)) => return Poll::Ready(Err(error)),
            };
            return Poll::Ready(Ok((bytes > 0).then(|| arrived.and_then(to_monotonic))));
        }
    }

    /// One `recvmsg`: how many bytes were put into `buf`, and the wall-clock time of their arrival.
    fn receive(socket: RawFd, buf: &mut ReadBuf<'_>) -> io::Result<(usize, Option<Duration>)> {
        let mut control = [0_u64; CONTROL_WORDS];
        // SAFETY: a `msghdr` is made of integers and pointers, for which zero is a value.
        let mut message: libc::msghdr = unsafe { zeroed() };
        // SAFETY: nothing but the kernel writes to these bytes, and that never makes one uninitialised.
        let room = unsafe { buf.unfilled_mut() };
        let mut piece = libc::iovec {
            iov_base: room.as_mut_ptr().cast(),
            iov_len: room.len(),
        };
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        let bytes = loop {
            // SAFETY: the socket is open, since the caller holds its stream. Every pointer in `message` is
            // to a local value that outlives the call, with its true length.
            let answer = unsafe { libc::recvmsg(socket, &raw mut message, 0) };
            match usize::try_from(answer) {
                Ok(bytes) => break bytes,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        };
        // SAFETY: the kernel said that it wrote this many bytes to the front of the room.
        unsafe { buf.assume_init(bytes) };
        buf.advance(bytes);
        let words = (message.msg_controllen as usize / size_of::<u64>()).min(CONTROL_WORDS);
        Ok((bytes, find_stamp(&control[..words])))
    }

    /// Finds the software stamp among control messages: the time since 1970, if there is one.
    ///
    /// A message is its length in bytes, its level and type in one word, and its content; the next
    /// one starts at the next whole word. Of the three times in the content the first is the software's.
    pub(super) fn find_stamp(mut words: &[u64]) -> Option<Duration> {
        const WANTED: [i32; 2] = [libc::SOL_SOCKET, libc::SCM_TIMESTAMPING];
        while let [length, kind, content @ ..] = words {
            let [a, b, c, d, e, f, g, h] = kind.to_ne_bytes();
            let kind = [
                i32::from_ne_bytes([a, b, c, d]),
                i32::from_ne_bytes([e, f, g, h]),
            ];
            if let ([seconds, nanos, ..], WANTED) = (content, kind)
                && let Ok(nanos @ 0..1_000_000_000) = u32::try_from(*nanos)
                && (*seconds, nanos) != (0, 0)
            {
                return Some(Duration::new(*seconds, nanos));
            }
            let step = usize::try_from(*length).ok()?.div_ceil(size_of::<u64>());
            words = words.get(step.max(2)..)?;
        }
        None
    }

    /// Makes a wall-clock time of the recent past a monotonic one. Nothing comes of one that lies in
    /// the future, since then the wall clock was set back in between.
    fn to_monotonic(wall: Duration) -> Option<Instant> {
        let (monotonic, now) = both_clocks();
        monotonic.checked_sub(now.checked_sub(wall)?)
    }

    /// Reads both clocks as near to the same moment as may be: again where the thread seems to have been
    /// interrupted between the two, since all of that would go into the difference.
    fn both_clocks() -> (Instant, Duration) {
        let mut before = Instant::now();
        let mut tries = 0;
        loop {
            let wall = SystemTime::now();
            let after = Instant::now();
            let apart = after - before;
            tries += 1;
            if apart < Duration::from_micros(2) || tries == 4 {
                let wall = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
                return (before + apart / 2, wall);
            }
            before = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A stream under test and its peer, after the kernel has begun to stamp (or a second has passed:
    /// then this system does not).
    async fn pair() -> io::Result<(StampedStream, TcpStream)> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let mut peer = TcpStream::connect(listener.local_addr()?).await?;
        peer.set_nodelay(true)?;
        let mut stream = StampedStream::new(listener.accept().await?.0);
        let handle = stream.handle();
        assert!(handle.last_read().is_none());
        for _ in 0..100 {
            peer.write_all(b"x").await?;
            stream.read_exact(&mut [0]).await?;
            let stamp = handle.last_read();
            if stamp.is_some_and(|stamp| stamp.quality == StampQuality::Kernel) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok((stream, peer))
    }

    #[tokio::test]
    async fn a_stamp_lies_between_the_write_and_the_end_of_the_read() -> io::Result<()> {
        let (mut stream, mut peer) = pair().await?;
        let handle = stream.handle();
        for _ in 0..50 {
            let reads = handle.reads();
            let before = Instant::now();
            peer.write_all(b"hello").await?;
            stream.read_exact(&mut [0; 5]).await?;
            let after = Instant::now();
            let stamp = handle.last_read().ok_or(io::ErrorKind::NotFound)?;
            // The two clocks are compared to within a few microseconds.
            assert!(stamp.at + Duration::from_micros(100) >= before);
            assert!(stamp.at <= after + Duration::from_micros(100));
            assert!(handle.reads() > reads);
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_late_reader_gets_the_early_stamp() -> io::Result<()> {
        let (mut stream, mut peer) = pair().await?;
        let handle = stream.handle();
        let stamped = |stamp: Stamp| stamp.quality == StampQuality::Kernel;
        if !handle.last_read().is_some_and(stamped) {
            println!("not checked: no kernel stamps on this system");
            return Ok(());
        }
        peer.write_all(b"hello").await?;
        let written = Instant::now();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut buf = vec![0; 4096];
        assert_eq!(stream.read(&mut buf).await?, 5);
        let stamp = handle.last_read().ok_or(io::ErrorKind::NotFound)?;
        assert_eq!(stamp.quality, StampQuality::Kernel);
        assert!(stamp.at < written + Duration::from_millis(20));
        Ok(())
    }

    #[tokio::test]
    async fn drained_and_undrained_reads_bring_every_byte_and_the_end() -> io::Result<()> {
        let (mut stream, mut peer) = pair().await?;
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        let expected = sent.clone();
        let writer = async move {
            for piece in sent.chunks(7_777) {
                peer.write_all(piece).await?;
                tokio::task::yield_now().await;
            }
            peer.shutdown().await
        };
        let reader = async {
            let (mut got, mut buf) = (Vec::new(), vec![0; 1_000]);
            loop {
                match stream.read(&mut buf).await? {
                    0 => return io::Result::Ok(got),
                    n => got.extend_from_slice(&buf[..n]),
                }
            }
        };
        let (wrote, got) = tokio::join!(writer, reader);
        wrote?;
        assert_eq!(got?, expected);
        // The end of the stream is not a read that brought bytes.
        let reads = stream.handle().reads();
        assert_eq!(stream.read(&mut [0]).await?, 0);
        assert_eq!(stream.handle().reads(), reads);
        Ok(())
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Write>>>);

    impl WriteHook for Kept {
        fn wrote(&mut self, write: Write) {
            self.0.lock().map(|mut kept| kept.push(write)).ok();
        }
    }

    #[tokio::test]
    async fn writes_are_told_to_the_hook_with_what_the_kernel_took() -> io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let stream = TcpStream::connect(listener.local_addr()?).await?;
        let _peer = listener.accept().await?;
        let kept = Kept::default();
        let mut stream = StampedStream::with_hook(stream, kept.clone());
        let before = Instant::now();
        stream.write_all(b"hello").await?;
        let pieces = [io::IoSlice::new(b"ab"), io::IoSlice::new(b"cde")];
        assert_eq!(stream.write_vectored(&pieces).await?, 5);
        // The peer does not read: sooner or later a write is taken in part, and the next has to wait.
        let block = vec![0; 8 << 20];
        let wait = Duration::from_millis(100);
        let stuck = tokio::time::timeout(wait, stream.write_all(&block)).await;
        assert!(stuck.is_err());
        let writes = kept
            .0
            .lock()
            .map_or_else(|_| Vec::new(), |kept| kept.clone());
        let sizes = |write: &Write| (write.offered, write.accepted);
        assert_eq!(
            writes.iter().take(2).map(sizes).collect::<Vec<_>>(),
            [(5, 5), (5, 5)]
        );
        assert!(writes.iter().any(|write| write.accepted < write.offered));
        assert!(writes.iter().all(|write| write.at >= before));
        assert_eq!(
            stream.handle().last_write().map(to_nanos),
            writes.last().map(|write| to_nanos(write.at))
        );
        Ok(())
    }

    #[test]
    fn a_stamp_survives_its_packing() {
        for quality in [StampQuality::Kernel, StampQuality::Read] {
            let at = from_nanos(to_nanos(Instant::now()));
            let stamp = Stamp { at, quality };
            assert_eq!(unpack(pack(stamp)), Some(stamp));
        }
        assert_eq!(unpack(0), None);
    }

    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    #[test]
    fn the_stamp_is_found_among_other_messages_and_nonsense_is_harmless() {
        let kind = |level: i32, kind: i32| {
            let ([a, b, c, d], [e, f, g, h]) = (level.to_ne_bytes(), kind.to_ne_bytes());
            u64::from_ne_bytes([a, b, c, d, e, f, g, h])
        };
        let ours = kind(libc::SOL_SOCKET, libc::SCM_TIMESTAMPING);
        let other = kind(libc::SOL_IP, 8);
        let found = Some(Duration::new(7, 9));
        let find = kernel::find_stamp;
        assert_eq!(find(&[64, ours, 7, 9, 0, 0, 0, 0]), found);
        assert_eq!(find(&[20, other, 1, 64, ours, 7, 9, 0, 0, 0, 0]), found);
        for nothing in [
            &[][..],
            &[64],
            &[64, ours, 7],
            &[64, ours, 0, 0, 5, 5, 0, 0],
            &[64, ours, 7, 1_000_000_000],
            &[0, other, 0, other],
            &[u64::MAX, other, 1],
            &[16, other],
        ] {
            assert_eq!(find(nothing), None);
        }
    }
}
