//! The part of a stamped stream that talks to the kernel.

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
