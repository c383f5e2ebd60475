//! The part of a stamped stream that talks to the kernel.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::mem::{size_of, size_of_val, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll, ready};

use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;

/// Room for the control messages of one read, in words. The stamps take eight.
const CONTROL_WORDS: usize = 16;

/// Switches receive stamps on, by the kernel's own clock and not the network card's. Stamps of what is sent come
/// without the bytes, and only for the writes that ask for one ([`send_stamped`]).
pub(super) fn ask(socket: BorrowedFd<'_>) -> bool {
    let flags = libc::SOF_TIMESTAMPING_RX_SOFTWARE
        | libc::SOF_TIMESTAMPING_SOFTWARE
        | libc::SOF_TIMESTAMPING_OPT_TSONLY;
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

/// Reads once. `Ready(Ok(None))` is the end of the stream; otherwise bytes came, with their arrival in
/// nanoseconds of the monotonic clock where the kernel gave one.
pub(super) fn poll_read(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<Option<Option<u64>>>> {
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

/// One `recvmsg`: how many bytes were put into `buf`, and the wall-clock time of their arrival in nanoseconds
/// since 1970.
fn receive(socket: RawFd, buf: &mut ReadBuf<'_>) -> io::Result<(usize, Option<u64>)> {
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
    // SAFETY: the socket is open, since the caller holds its stream. Every pointer in `message` is to a local value
    // that outlives the call, with its true length.
    let bytes = uninterrupted(|| unsafe { libc::recvmsg(socket, &raw mut message, 0) })?;
    // SAFETY: the kernel said that it wrote this many bytes to the front of the room.
    unsafe { buf.assume_init(bytes) };
    buf.advance(bytes);
    let words = (message.msg_controllen as usize / size_of::<u64>()).min(CONTROL_WORDS);
    Ok((bytes, find_stamp(&control[..words])))
}

/// Calls the system, again for as long as a signal interrupts it: the count that it answers, or its error.
fn uninterrupted(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        let Ok(count) = usize::try_from(call()) else {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        };
        return Ok(count);
    }
}

/// Writes once, and asks the kernel when the bytes left: how many it took, and that time in nanoseconds of the
/// monotonic clock. There is none where they could not leave at once.
///
/// A stamp that comes after that looks to the runtime like a connection whose writing side is closed, to which one
/// could write at any time. A write that has to wait is then tried again and again, here as in the runtime's own
/// `poll_write`, but within the share of its task: others have their turn.
pub(super) fn poll_write(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<(usize, Option<u64>)>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        match stream.try_io(Interest::WRITABLE, || {
            send_stamped(stream.as_raw_fd(), bufs)
        }) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => {
                return Poll::Ready(done.map(|bytes| {
                    let left = take_departures(stream.as_raw_fd());
                    (bytes, left.and_then(to_monotonic))
                }));
            }
        }
    }
}

/// One `sendmsg` of which the kernel is to keep the time at which its last bytes left: how many it took.
fn send_stamped(socket: RawFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    // A control message: its length in bytes, its level and type in one word, and the flags.
    let [a, b, c, d] = libc::SOL_SOCKET.to_ne_bytes();
    let [e, f, g, h] = libc::SO_TIMESTAMPING.to_ne_bytes();
    let flags = u64::from(libc::SOF_TIMESTAMPING_TX_SOFTWARE);
    let content = match cfg!(target_endian = "little") {
        true => flags,
        false => flags << 32,
    };
    let length = 2 * size_of::<u64>() + size_of::<u32>();
    let kind = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
    let mut control = [length as u64, kind, content];
    // SAFETY: a `msghdr` is made of integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { zeroed() };
    // An `IoSlice` has the layout of an `iovec`, which the kernel does not write to here.
    message.msg_iov = bufs.as_ptr().cast_mut().cast();
    message.msg_iovlen = bufs.len() as _;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: the socket is open, since the caller holds its stream. Every pointer in `message` is to a value that
    // outlives the call, with its true length.
    uninterrupted(|| unsafe { libc::sendmsg(socket, &raw const message, libc::MSG_NOSIGNAL) })
}

/// Takes what the kernel kept of writes that asked for it: the wall-clock time at which the bytes of the last one
/// left, in nanoseconds since 1970.
pub(super) fn take_departures(socket: RawFd) -> Option<u64> {
    let mut last = None;
    loop {
        let mut control = [0_u64; CONTROL_WORDS];
        // SAFETY: a `msghdr` is made of integers and pointers, for which zero is a value.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        // SAFETY: the socket is open, since the caller holds its stream. Every pointer in `message` is to a local
        // value that outlives the call, with its true length, or null beside a length of zero.
        let taken = uninterrupted(|| unsafe { libc::recvmsg(socket, &raw mut message, flags) });
        // There is no more, mostly; a broken connection is found by the next read or write.
        if taken.is_err() {
            return last;
        }
        let words = (message.msg_controllen as usize / size_of::<u64>()).min(CONTROL_WORDS);
        last = find_stamp(&control[..words]).or(last);
    }
}

/// Finds the software stamp among control messages: nanoseconds since 1970, if there is one.
///
/// A message is its length in bytes, its level and type in one word, and its content; the next
/// one starts at the next whole word. Of the three times in the content the first is the software's.
pub(super) fn find_stamp(mut words: &[u64]) -> Option<u64> {
    const WANTED: [i32; 2] = [libc::SOL_SOCKET, libc::SCM_TIMESTAMPING];
    while let [length, kind, content @ ..] = words {
        let [a, b, c, d, e, f, g, h] = kind.to_ne_bytes();
        let kind = [
            i32::from_ne_bytes([a, b, c, d]),
            i32::from_ne_bytes([e, f, g, h]),
        ];
        if let ([seconds, nanos, ..], WANTED) = (content, kind)
            && *nanos < SECOND
            && (*seconds, *nanos) != (0, 0)
        {
            return seconds.checked_mul(SECOND)?.checked_add(*nanos);
        }
        let step = usize::try_from(*length).ok()?.div_ceil(size_of::<u64>());
        words = words.get(step.max(2)..)?;
    }
    None
}

/// Nanoseconds of a second.
pub(super) const SECOND: u64 = 1_000_000_000;

/// How far the wall clock is ahead of the monotonic one, and when that was found.
#[derive(Clone, Copy)]
struct Difference {
    /// Nanoseconds of the monotonic clock; zero where it has to be found anew.
    found: u64,
    nanos: u64,
}

/// For how long a difference is used, in nanoseconds. The system turns its wall clock by at most a two-thousandth,
/// so it is right to half a microsecond for as long.
const FRESH: u64 = SECOND / 1_000;

/// By how much a stamp may seem to lie ahead, in nanoseconds, for it to come of that half microsecond and of
/// the reading of two clocks one after the other.
const AHEAD: u64 = 10_000;

thread_local! {
    static DIFFERENCE: Cell<Difference> = const { Cell::new(Difference { found: 0, nanos: 0 }) };
}

/// Makes a wall-clock time of the recent past a monotonic one. Nothing comes of one that lies in the future,
/// since then the wall clock was set in between.
pub(super) fn to_monotonic(wall: u64) -> Option<u64> {
    let now = nanos_of(libc::CLOCK_MONOTONIC);
    let mut difference = DIFFERENCE.get();
    if difference.found == 0 || now.saturating_sub(difference.found) > FRESH {
        difference = find_difference();
        DIFFERENCE.set(difference);
    }
    let arrived = wall.checked_sub(difference.nanos)?;
    if arrived > now.saturating_add(AHEAD) {
        DIFFERENCE.set(Difference { found: 0, nanos: 0 });
        return None;
    }
    Some(arrived.min(now))
}

/// Reads both clocks as near to the same moment as may be: again where the thread seems to have been
/// interrupted between the two, since all of that would go into the difference.
fn find_difference() -> Difference {
    const NEAR: u64 = 2_000;
    let mut before = nanos_of(libc::CLOCK_MONOTONIC);
    let mut tries = 0;
    loop {
        let wall = nanos_of(libc::CLOCK_REALTIME);
        let after = nanos_of(libc::CLOCK_MONOTONIC);
        let apart = after.saturating_sub(before);
        tries += 1;
        if apart < NEAR || tries == 4 {
            return Difference {
                found: after,
                nanos: wall.saturating_sub(before + apart / 2),
            };
        }
        before = after;
    }
}

/// What a clock of the system shows, in nanoseconds.
pub(super) fn nanos_of(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live, writable `timespec`, which is all that the call needs. It fails only for
    // clocks that the system does not have.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    // Neither part is negative since 1970, nor is their sum too large before 2554.
    (time.tv_sec as u64)
        .wrapping_mul(SECOND)
        .wrapping_add(time.tv_nsec as u64)
}
