//! The times of a stream's reads and writes, each in one word that another task can read.

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
use super::kernel;
use super::{Stamp, StampQuality};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The times of a stream. Only the stream writes to them.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// The last read: see [`pack`]. Zero before the first.
    last_read: AtomicU64,
    /// The last write: [`to_nanos`]. Zero before the first.
    last_write: AtomicU64,
    /// Reads that brought bytes.
    reads: AtomicU64,
}

impl Times {
    pub(super) fn last_read(&self) -> Option<Stamp> {
        unpack(self.last_read.load(Ordering::Relaxed))
    }

    pub(super) fn last_write(&self) -> Option<Instant> {
        match self.last_write.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(from_nanos(nanos)),
        }
    }

    pub(super) fn note_read(&self, stamp: u64) {
        self.last_read.store(stamp, Ordering::Relaxed);
        // Nobody else writes to it.
        let reads = self.reads.load(Ordering::Relaxed);
        self.reads.store(reads + 1, Ordering::Relaxed);
    }

    pub(super) fn note_write(&self, at: Instant) {
        self.last_write.store(to_nanos(at), Ordering::Relaxed);
    }
}

/// Tells the times of a [`StampedStream`](super::StampedStream) after that has been moved into a connection.
///
/// Clones tell the same. Reading costs an atomic load. It is exact for whoever runs in the
/// same task as the stream; another thread may see one of the values before the next.
#[derive(Debug, Clone)]
pub struct StampHandle(pub(super) Arc<Times>);

impl StampHandle {
    /// When the bytes of the last read that brought any arrived; nothing before the first.
    pub fn last_read(&self) -> Option<Stamp> {
        self.0.last_read()
    }

    /// The time just before the last write of which the kernel took bytes; nothing before the first.
    pub fn last_write(&self) -> Option<Instant> {
        self.0.last_write()
    }

    /// How many reads have brought bytes. It tells a new stamp from an old one.
    pub fn reads(&self) -> u64 {
        self.0.reads.load(Ordering::Relaxed)
    }
}

/// The instant from which this process counts the nanoseconds in its atomics: zero of the system's monotonic
/// clock where kernel stamps are made times of that, and far enough back anywhere that bytes which came
/// before the first stamp have a positive number too.
pub(super) fn anchor() -> Instant {
    static ANCHOR: OnceLock<Instant> = OnceLock::new();
    *ANCHOR.get_or_init(|| {
        // On Linux an `Instant` is a time of that clock. It lies between the two readings.
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        let (now, since) = {
            let before = kernel::nanos_of(libc::CLOCK_MONOTONIC);
            let now = Instant::now();
            let after = kernel::nanos_of(libc::CLOCK_MONOTONIC);
            (now, Duration::from_nanos(before + (after - before) / 2))
        };
        #[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
        let (now, since) = (Instant::now(), Duration::from_secs(3600));
        now.checked_sub(since).unwrap_or(now)
    })
}

/// An instant as nanoseconds since the anchor, never zero.
pub(super) fn to_nanos(at: Instant) -> u64 {
    let nanos = at.saturating_duration_since(anchor()).as_nanos();
    u64::try_from(nanos).unwrap_or(u64::MAX).max(1)
}

pub(super) fn from_nanos(nanos: u64) -> Instant {
    anchor() + Duration::from_nanos(nanos)
}

/// A stamp in one word, so that its two halves cannot be of different reads: the nanoseconds above, the
/// quality in the lowest bit. 63 bits of nanoseconds are 292 years.
pub(super) fn pack(nanos: u64, quality: StampQuality) -> u64 {
    nanos.max(1) << 1 | u64::from(quality == StampQuality::Kernel)
}

pub(super) fn unpack(word: u64) -> Option<Stamp> {
    (word != 0).then(|| Stamp {
        at: from_nanos(word >> 1),
        quality: match word & 1 {
            1 => StampQuality::Kernel,
            _ => StampQuality::Read,
        },
    })
}
