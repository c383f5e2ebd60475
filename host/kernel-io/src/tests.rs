//! Tests of stamped streams, on loopback.

use super::times::{from_nanos, unpack};
use super::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

/// Whether stamps of the kernel can be tested. A kernel that gives none is a fault, unless somebody says that it is so
/// here.
fn kernel_stamps(are_given: bool) -> bool {
    assert!(
        are_given || std::env::var_os("LLMUSES_NO_KERNEL_STAMPS").is_some(),
        "this kernel stamps nothing; set LLMUSES_NO_KERNEL_STAMPS=1 where that is to be expected"
    );
    are_given
}

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
        assert_eq!(stream.last_read(), Some(stamp));
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
    if !kernel_stamps(handle.last_read().is_some_and(stamped)) {
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
        stream.last_write().map(to_nanos),
        writes.last().map(|write| to_nanos(write.at))
    );
    Ok(())
}

/// A hook that wants to know when the bytes of writes left, while its switch is on.
#[derive(Clone, Default)]
struct Wanting {
    on: Arc<AtomicBool>,
    kept: Kept,
}

impl Wanting {
    fn turn(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    fn last(&self) -> io::Result<Write> {
        let last = self.kept.0.lock().map_or(None, |kept| kept.last().copied());
        last.ok_or(io::ErrorKind::NotFound.into())
    }
}

impl WriteHook for Wanting {
    fn wants_departure(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    fn wrote(&mut self, write: Write) {
        self.kept.wrote(write);
    }
}

/// Whether a write left between its beginning and this moment.
fn has_left(write: Write) -> bool {
    // The two clocks are compared to within a few microseconds.
    let near = Duration::from_micros(100);
    write
        .left
        .is_some_and(|left| left + near >= write.at && left <= Instant::now() + near)
}

#[tokio::test]
async fn bytes_leave_after_the_write_began_and_before_it_is_over() -> io::Result<()> {
    // As long as it is there the kernel stamps.
    let (_stamping, _peer) = pair().await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let stream = TcpStream::connect(listener.local_addr()?).await?;
    let (mut peer, _) = listener.accept().await?;
    let hook = Wanting::default();
    hook.turn(true);
    let mut stream = StampedStream::with_hook(stream, hook.clone());
    if !kernel_stamps(stream.has_kernel_stamps()) {
        return Ok(());
    }
    for _ in 0..50 {
        stream.write_all(b"hello").await?;
        let write = hook.last()?;
        assert!(has_left(write), "{write:?}");
        assert_eq!((write.offered, write.accepted), (5, 5));
        peer.read_exact(&mut [0; 5]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_departure_that_comes_late_keeps_no_write_from_its_end() -> io::Result<()> {
    // As long as it is there the kernel stamps.
    let (_stamping, _peer) = pair().await?;
    // A peer that takes little before it reads, and a stream that may hold back much.
    let listener = TcpSocket::new_v4()?;
    listener.set_recv_buffer_size(4 << 10)?;
    listener.bind(([127, 0, 0, 1], 0).into())?;
    let listener = listener.listen(1)?;
    let stream = TcpSocket::new_v4()?;
    stream.set_send_buffer_size(1 << 20)?;
    let stream = stream.connect(listener.local_addr()?).await?;
    let (mut peer, _) = listener.accept().await?;
    let hook = Wanting::default();
    let mut stream = StampedStream::with_hook(stream, hook.clone());
    if !kernel_stamps(stream.has_kernel_stamps()) {
        return Ok(());
    }

    let before = vec![0; 64 << 10];
    // The second time a stamp that came late is there, and is not taken for that of a later write.
    for _ in 0..2 {
        hook.turn(false);
        stream.write_all(&before).await?;
        hook.turn(true);
        stream.write_all(b"hello").await?;
        assert_eq!(hook.last()?.left, None);
        // Now it leaves, and the runtime hears of its stamp.
        peer.read_exact(&mut vec![0; before.len() + 5]).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    hook.turn(false);
    // A write that has to wait does not keep the thread from other work, and loses nothing.
    let sent: Vec<u8> = (0..8_u32 << 20).map(|n| n as u8).collect();
    let expected = sent.clone();
    let mut writer = tokio::spawn(async move { stream.write_all(&sent).await.map(|()| stream) });
    let wait = Duration::from_millis(100);
    assert!(tokio::time::timeout(wait, &mut writer).await.is_err());
    let mut got = vec![0; expected.len()];
    peer.read_exact(&mut got).await?;
    assert!(got == expected);

    let mut stream = writer.await??;
    hook.turn(true);
    stream.write_all(b"again").await?;
    let write = hook.last()?;
    assert!(has_left(write), "{write:?}");
    Ok(())
}

#[test]
fn a_stamp_survives_its_packing() {
    for quality in [StampQuality::Kernel, StampQuality::Read] {
        let at = from_nanos(to_nanos(Instant::now()));
        let stamp = Stamp { at, quality };
        assert_eq!(unpack(pack(to_nanos(at), quality)), Some(stamp));
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
    let found = Some(7_000_000_009);
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
        &[64, ours, u64::MAX, 9, 0, 0, 0, 0],
        &[u64::MAX, other, 1],
        &[16, other],
    ] {
        assert_eq!(find(nothing), None);
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn a_wall_clock_time_becomes_a_monotonic_one_unless_it_has_not_come() {
    use kernel::{SECOND, nanos_of, to_monotonic};
    for ago in [0, SECOND / 100, SECOND] {
        let before = nanos_of(libc::CLOCK_MONOTONIC);
        let wall = nanos_of(libc::CLOCK_REALTIME) - ago;
        let after = nanos_of(libc::CLOCK_MONOTONIC);
        let found = to_monotonic(wall).map(|found| found + ago);
        // The difference of the clocks is known to a few microseconds.
        let near = before - 50_000..=after + 50_000;
        assert!(found.is_some_and(|found| near.contains(&found)), "{ago}");
    }
    assert_eq!(to_monotonic(nanos_of(libc::CLOCK_REALTIME) + SECOND), None);
    assert_eq!(to_monotonic(0), None);
    // It goes on to work after that.
    assert!(to_monotonic(nanos_of(libc::CLOCK_REALTIME)).is_some());
}
