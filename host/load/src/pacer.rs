//! The pacer: a thread that hands each request over when it is due. Timers of the async runtime have a
//! grain of one millisecond and always round up, so it sleeps to shortly before and spins the rest.

use super::arrivals::DueTimes;
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::exchange::{Job, Prepared};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// How long before a due time the sleep ends and the spinning begins: about what the system is late
/// with waking a thread.
const SPIN: Duration = Duration::from_micros(80);

/// The longest single sleep, so that a stop is noticed soon.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// Hands the bodies of `queue` to the workers in turn, each when it is due. Never skips or holds back a
/// request: one whose body comes late is handed over late, with the time at which it was due. `until`: ends
/// before the first request that is due that long after the start or later.
pub fn pace(
    due_times: DueTimes,
    until: Option<Duration>,
    queue: &flume::Receiver<Prepared>,
    workers: &[UnboundedSender<Job>],
    clock: &Clock,
    start: Moment,
    stop: &AtomicBool,
) {
    let mut targets = workers.iter().cycle();
    let mut bodies_late = false;
    for due in due_times {
        if until.is_some_and(|until| due >= until) {
            return;
        }
        // Taken before the wait, so that a body is at hand when it is due.
        let prepared = match queue.try_recv() {
            Ok(prepared) => prepared,
            Err(_) => {
                let Ok(prepared) = queue.recv() else {
                    return;
                };
                bodies_late = true;
                prepared
            }
        };
        let intended = start.after(due);
        // Those behind a late body are late for the same reason, until one is in time again.
        let late = clock.now().since(intended);
        bodies_late &= !late.is_zero();
        let body_wait = if bodies_late { late } else { Duration::ZERO };
        if !wait_until(clock.instant(intended), stop) {
            return;
        }
        let job = Job {
            number: prepared.number,
            body: prepared.body,
            intended,
            body_wait,
            held: prepared.held,
        };
        // A worker goes away only after its sender; there is at least one.
        if let Some(target) = targets.next() {
            let _ = target.send(job);
        }
    }
}

/// Waits; false where `stop` was set meanwhile.
fn wait_until(due: Instant, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        if left > SPIN {
            std::thread::sleep((left - SPIN).min(LONGEST_SLEEP));
        } else {
            std::hint::spin_loop();
        }
    }
}
