//! Processor time of the calling thread, and how long it waited for a processor.

use std::time::Duration;

/// Processor time of the calling thread so far; zero where the system does not tell.
pub fn of_thread() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live, writable `timespec`, which is all that the call needs.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    if result != 0 {
        return Duration::ZERO;
    }
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// How a thread waited for a processor while it could have run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThreadWaits {
    /// For how long in all.
    pub time: Duration,
    /// How often it got a processor.
    pub turns: u64,
}

impl ThreadWaits {
    /// What was added since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            time: self.time.saturating_sub(earlier.time),
            turns: self.turns.saturating_sub(earlier.turns),
        }
    }
}

/// How the calling thread waited for a processor so far. `None`: the system does not tell, as only Linux does, where it
/// was built to.
pub fn waits_of_thread() -> Option<ThreadWaits> {
    waits_in(&std::fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

/// Of a `schedstat`: time on a processor and time that a processor was waited for, both in nanoseconds, and how
/// often one was got. A kernel that does not count says zeros.
fn waits_in(schedstat: &str) -> Option<ThreadWaits> {
    let mut numbers = schedstat.split_whitespace().map(str::parse::<u64>);
    let (_, waited, turns) = (
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
        numbers.next()?.ok()?,
    );
    (turns > 0).then_some(ThreadWaits {
        time: Duration::from_nanos(waited),
        turns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_the_second_number_and_a_kernel_that_does_not_count_is_known() {
        let waits = ThreadWaits {
            time: Duration::from_nanos(1_500_000_000),
            turns: 30,
        };
        assert_eq!(waits_in("20 1500000000 30\n"), Some(waits));
        assert_eq!(waits_in("0 0 0\n"), None);
        assert_eq!(waits_in("20 5\n"), None);
        assert_eq!(waits_in(""), None);
        let earlier = ThreadWaits {
            time: Duration::from_secs(1),
            turns: 10,
        };
        let since = waits.since(earlier);
        assert_eq!((since.time.as_millis(), since.turns), (500, 20));
    }
}
