//! The instant at which a run begins.

use super::RunError;
use llmuses_core::clock::{Clock, Moment};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long before the instant the sleep ends and the spinning begins.
const SPIN: Duration = Duration::from_micros(80);

/// The longest single sleep, so that an interrupt is noticed soon.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// Who wakes later than this behind the instant stood still: requests that are due would go in a burst.
const MOST_LATE: Duration = Duration::from_millis(200);

/// Waits for the instant at which the run is to begin, and gives it back; the present one where there is none.
///
/// # Errors
/// Where it is over already: requests that are due would go in a burst.
pub(super) fn await_start(
    clock: Clock,
    start_at: Option<Duration>,
    interrupted: &AtomicBool,
) -> Result<Moment, RunError> {
    let Some(unix) = start_at else {
        return Ok(clock.now());
    };
    let start = clock.of_unix(unix);
    let now = clock.now();
    match start {
        Some(start) if now < start => {
            wait(clock.instant(start), interrupted, |late| {
                RunError::LateStart { late }
            })?;
            Ok(start)
        }
        _ => Err(RunError::LateStart {
            late: Duration::try_from_secs_f64(clock.unix_seconds(now) - unix.as_secs_f64())
                .unwrap_or_default(),
        }),
    }
}

/// Waits for an instant.
///
/// # Errors
/// Where it was interrupted; and the error of `late` where this process stood still meanwhile, so that the instant has
/// passed by more than a busy machine is late.
pub(super) fn wait(
    until: Instant,
    interrupted: &AtomicBool,
    late: impl FnOnce(Duration) -> RunError,
) -> Result<(), RunError> {
    loop {
        if interrupted.load(Ordering::Relaxed) {
            return Err(RunError::Interrupted);
        }
        let now = Instant::now();
        let left = until.saturating_duration_since(now);
        if left.is_zero() {
            return match now.saturating_duration_since(until) {
                passed if passed > MOST_LATE => Err(late(passed)),
                _ => Ok(()),
            };
        }
        if left > SPIN {
            std::thread::sleep((left - SPIN).min(LONGEST_SLEEP));
        } else {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(clock: Clock, after: Duration) -> Duration {
        Duration::from_secs_f64(clock.unix_seconds(clock.now())) + after
    }

    #[test]
    fn a_run_begins_at_the_instant_and_not_before() {
        let clock = Clock::start();
        let asked = Duration::from_millis(30);
        let before = clock.now();
        let start = await_start(clock, Some(unix(clock, asked)), &AtomicBool::new(false)).unwrap();
        assert!(start.since(before) + Duration::from_millis(1) >= asked);
        assert!(clock.now() >= start);
    }

    #[test]
    fn an_instant_that_is_over_is_an_error() {
        let clock = Clock::start();
        std::thread::sleep(Duration::from_millis(5));
        for early in [Duration::from_secs(5), Duration::from_millis(2)] {
            let at = unix(clock, Duration::ZERO) - early;
            let error = await_start(clock, Some(at), &AtomicBool::new(false)).unwrap_err();
            assert!(matches!(error, RunError::LateStart { late } if late >= early));
        }
    }

    #[test]
    fn an_instant_that_passed_while_the_process_stood_still_is_an_error() {
        let of = |passed| {
            let until = Instant::now().checked_sub(passed).unwrap();
            let late = |late| RunError::LateStart { late };
            wait(until, &AtomicBool::new(false), late)
        };
        assert!(of(Duration::from_millis(1)).is_ok());
        let passed = MOST_LATE * 2;
        let error = of(passed).unwrap_err();
        assert!(matches!(error, RunError::LateStart { late } if late >= passed));
    }
}
