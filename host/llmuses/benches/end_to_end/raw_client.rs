//! The floor: what a client of raw sockets takes that does nothing but send, read and keep a stamp of each
//! read. One thread, connections opened beforehand, an event queue, `recvmsg` with the kernel's receive time.
//! It parses no more than it must to know where a response ends.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// What a run of the raw client took.
pub struct RawRun {
    /// Processor time of its thread, without the opening of connections.
    pub cpu: Duration,
    /// Reads that brought bytes.
    pub reads: usize,
}

/// Sends `requests` copies of `request` over `connections` connections, each of which takes the next one when it
/// is done with one, and reads the responses.
pub fn run(
    server: SocketAddr,
    connections: usize,
    requests: usize,
    request: &[u8],
) -> io::Result<RawRun> {
    let queue = Queue::new()?;
    let mut open = Vec::with_capacity(connections);
    for index in 0..connections {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        ask_for_stamps(&stream)?;
        queue.watch(&stream, index as u64)?;
        open.push(Connection {
            stream,
            end: End::Unknown,
        });
    }
    let mut stamps: Vec<(i64, i64)> = Vec::with_capacity(requests * 8);
    let mut room = vec![0_u8; 64 << 10];
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 256];
    let before = thread_cpu_time();
    let mut unsent = requests;
    for connection in open.iter_mut().take(requests) {
        connection.stream.write_all(request)?;
        unsent -= 1;
    }
    let mut unanswered = requests;
    while unanswered > 0 {
        for index in queue.wait(&mut events)? {
            let connection = &mut open[index];
            let (bytes, stamp) = receive(&connection.stream, &mut room)?;
            if bytes == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            stamps.push(stamp);
            if connection.end.is_reached(&room[..bytes])? {
                connection.end = End::Unknown;
                unanswered -= 1;
                if unsent > 0 {
                    unsent -= 1;
                    connection.stream.write_all(request)?;
                }
            }
        }
    }
    Ok(RawRun {
        cpu: thread_cpu_time() - before,
        reads: stamps.len(),
    })
}

struct Connection {
    stream: TcpStream,
    end: End,
}

/// How a response ends.
enum End {
    /// The head has not come.
    Unknown,
    /// After so many more bytes.
    After(usize),
    /// With the empty chunk; the last bytes so far.
    EmptyChunk([u8; 5]),
}

impl End {
    /// Takes the bytes of a read. The head must come in one.
    fn is_reached(&mut self, mut bytes: &[u8]) -> io::Result<bool> {
        if matches!(self, Self::Unknown) {
            let head =
                memchr::memmem::find(bytes, b"\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
            let length = std::str::from_utf8(&bytes[..head])
                .map_err(|_| io::ErrorKind::InvalidData)?
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, value)| value.trim().parse().ok());
            *self = match length {
                Some(length) => Self::After(length),
                None => Self::EmptyChunk([0; 5]),
            };
            bytes = &bytes[head + 4..];
        }
        match self {
            Self::Unknown => Ok(false),
            Self::After(left) => {
                *left = left.saturating_sub(bytes.len());
                Ok(*left == 0)
            }
            Self::EmptyChunk(last) => {
                match bytes.last_chunk() {
                    Some(end) => *last = *end,
                    None => {
                        last.rotate_left(bytes.len());
                        last[5 - bytes.len()..].copy_from_slice(bytes);
                    }
                }
                Ok(last == b"0\r\n\r\n")
            }
        }
    }
}

/// The kernel's queue of sockets with bytes.
struct Queue(OwnedFd);

impl Queue {
    fn new() -> io::Result<Self> {
        // SAFETY: the call takes a plain number.
        let queue = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if queue < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made above, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(queue) }))
    }

    fn watch(&self, stream: &TcpStream, index: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: index,
        };
        // SAFETY: both descriptors are open, and the pointer is to a live value of the right type.
        let answer = unsafe {
            libc::epoll_ctl(
                self.0.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                stream.as_raw_fd(),
                &raw mut event,
            )
        };
        succeeded(answer as isize).map(drop)
    }

    fn wait<'a>(
        &self,
        events: &'a mut [libc::epoll_event],
    ) -> io::Result<impl Iterator<Item = usize> + 'a> {
        // SAFETY: the kernel writes at most as many events as it is told that there is room for.
        let answer = unsafe {
            libc::epoll_wait(
                self.0.as_raw_fd(),
                events.as_mut_ptr(),
                events.len() as i32,
                -1,
            )
        };
        let count = match succeeded(answer as isize) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            count => count?,
        };
        Ok(events[..count].iter().map(|event| event.u64 as usize))
    }
}

/// One read: how many bytes, and when they arrived by the kernel's clock in seconds and nanoseconds; zero
/// where it gave no stamp.
fn receive(stream: &TcpStream, room: &mut [u8]) -> io::Result<(usize, (i64, i64))> {
    let mut control = [0_u64; 16];
    let mut piece = libc::iovec {
        iov_base: room.as_mut_ptr().cast(),
        iov_len: room.len(),
    };
    // SAFETY: a `msghdr` is made of integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: every pointer in `message` is to a live value, with its true length.
    let answer = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut message, 0) };
    let bytes = succeeded(answer)?;
    // Nothing else was asked for: the first message, behind two words of header, is the stamp.
    let stamp = if message.msg_controllen as usize > 32 {
        (control[2] as i64, control[3] as i64)
    } else {
        (0, 0)
    };
    Ok((bytes, stamp))
}

fn ask_for_stamps(stream: &TcpStream) -> io::Result<()> {
    let flags = libc::SOF_TIMESTAMPING_RX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
    // SAFETY: the descriptor is open, and the kernel reads as many bytes as it is told that there are.
    let answer = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPING,
            (&raw const flags).cast(),
            size_of_val(&flags) as libc::socklen_t,
        )
    };
    succeeded(answer as isize).map(drop)
}

/// The answer of a system call, or the error that it left.
fn succeeded(answer: isize) -> io::Result<usize> {
    usize::try_from(answer).map_err(|_| io::Error::last_os_error())
}

/// Processor time of the calling thread so far.
fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live, writable `timespec`, which is all that the call needs.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(answer, 0, "Linux has this clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
