//! Time in which this program stood still: stopped by a signal, held back by a limit of processor time, or without
//! a processor on a machine that is too busy. Requests and responses have to wait meanwhile, and no stamp of theirs
//! tells why. A thread that only sleeps notices when it wakes late.

use llmuses_kernel_io::{priority, processor_time};
use llmuses_stats::Pauses;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the thread sleeps.
const NAP: Duration = Duration::from_millis(10);

/// It wakes less late than this on a machine that is merely busy, whatever it waited for.
const LATE: Duration = Duration::from_millis(40);

/// It wakes less late than this, apart from what it waited for a processor, where it was not stopped.
const STOPPED: Duration = Duration::from_millis(2);

/// The thread that looks.
pub(super) struct PauseWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Pauses>,
    throttled_before: Option<Duration>,
}

impl PauseWatch {
    pub(super) fn start() -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("pauses".to_owned())
            .spawn(move || {
                priority::be_prompt();
                watch(&stopped)
            })?;
        Ok(Self {
            stop,
            thread,
            throttled_before: throttled(),
        })
    }

    pub(super) fn end(self) -> Pauses {
        self.stop.store(true, Ordering::Relaxed);
        let pauses = self.thread.join().unwrap_or_default();
        Pauses {
            throttled: throttled()
                .zip(self.throttled_before)
                .map(|(now, before)| now.saturating_sub(before)),
            ..pauses
        }
    }
}

fn watch(stop: &AtomicBool) -> Pauses {
    let mut pauses = Pauses::default();
    let mut waited = waited();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        std::thread::sleep(NAP);
        let late = began.elapsed().saturating_sub(NAP);
        let now = self::waited();
        let meanwhile = now
            .zip(waited)
            .map(|(now, before)| now.saturating_sub(before));
        waited = now;
        let pause = pause(late, meanwhile);
        pauses.total += pause;
        pauses.longest = pauses.longest.max(pause);
    }
    pauses
}

/// For how long the calling thread waited for a processor so far. `None`: the system does not tell.
fn waited() -> Option<Duration> {
    processor_time::waits_of_thread().map(|waits| waits.time)
}

/// How much of the time by which the thread woke too late the program stood still, where the thread `waited` so long
/// for a processor. The threads that carry requests tell of short waits themselves: they have them at other times.
fn pause(late: Duration, waited: Option<Duration>) -> Duration {
    if late > LATE {
        return late;
    }
    waited
        .map(|waited| late.saturating_sub(waited))
        .filter(|stopped| *stopped > STOPPED)
        .unwrap_or_default()
}

/// For how long the control group of this process had used up its share of processor time so far. `None`: it has no
/// such limit, or the system does not tell.
fn throttled() -> Option<Duration> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let of_version_1 = controllers.split(',').any(|name| name == "cpu");
        if !controllers.is_empty() && !of_version_1 {
            return None;
        }
        let root = if of_version_1 {
            "/sys/fs/cgroup/cpu"
        } else {
            "/sys/fs/cgroup"
        };
        groups_of(path)
            .filter_map(|group| {
                throttled_in(&std::fs::read_to_string(format!("{root}{group}/cpu.stat")).ok()?)
            })
            .max()
    })
}

/// A control group and those that it is in, up to the root: a share that is used up in one of them stops them all. Within
/// a container the path is that of the host, of which only the root is there, and stands for the group itself.
fn groups_of(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_end_matches('/');
    let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
    parents.chain((!path.is_empty()).then_some(path))
}

/// The throttled time in a `cpu.stat`: microseconds in version 2, nanoseconds in version 1.
fn throttled_in(stat: &str) -> Option<Duration> {
    stat.lines().find_map(|line| {
        let (name, count) = line.split_once(' ')?;
        let count: u64 = count.trim().parse().ok()?;
        match name {
            "throttled_usec" => Some(Duration::from_micros(count)),
            "throttled_time" => Some(Duration::from_nanos(count)),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_stops_are_told_from_waits_for_a_processor() {
        let millis = Duration::from_millis;
        assert_eq!(pause(millis(20), Some(millis(1))), millis(19));
        assert_eq!(pause(millis(20), Some(millis(19))), Duration::ZERO);
        assert_eq!(pause(millis(20), None), Duration::ZERO);
        assert_eq!(pause(millis(41), Some(millis(40))), millis(41));
    }

    #[test]
    fn a_group_is_throttled_with_those_that_it_is_in() {
        let groups = |path| groups_of(path).collect::<Vec<_>>();
        assert_eq!(groups("/a/b"), ["", "/a", "/a/b"]);
        assert_eq!(groups("/a"), ["", "/a"]);
        assert_eq!(groups("/"), [""; 0]);
    }

    #[test]
    fn throttled_time_is_read_in_both_versions() {
        let two = "usage_usec 5\nnr_throttled 3\nthrottled_usec 1500000\n";
        assert_eq!(throttled_in(two), Some(Duration::from_millis(1500)));
        let one = "nr_periods 5\nnr_throttled 3\nthrottled_time 1500000\n";
        assert_eq!(throttled_in(one), Some(Duration::from_micros(1500)));
        assert_eq!(throttled_in("usage_usec 5\n"), None);
    }
}
