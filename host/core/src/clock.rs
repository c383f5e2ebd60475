//! The one clock of a run: monotonic moments, and what they are in wall-clock time.
//!
//! Every stamp that a run keeps is a [`Moment`] of one [`Clock`], so that any two of them can be
//! subtracted. Wall-clock time is only made from a moment when a row or a line is written.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A monotonic instant, in nanoseconds since the [`Clock`] was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The moment `nanos` nanoseconds after the clock was started.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock was started.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero where `earlier` is the later of the two.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment `time` after this one.
    pub fn after(self, time: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

/// A started clock. Copies tell the same time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    origin_unix: Duration,
    /// The wall clock of this machine at the origin, whatever times of day are told.
    origin_here: Duration,
}

impl Clock {
    /// Starts a clock: its moment zero is now.
    pub fn start() -> Self {
        let origin_unix = unix_now();
        Self {
            origin: Instant::now(),
            origin_unix,
            origin_here: origin_unix,
        }
    }

    /// The same, whose moment zero is told as this wall-clock time since 1970: that of another machine.
    #[must_use]
    pub fn told_from(self, origin_unix: Duration) -> Self {
        Self {
            origin_unix,
            ..self
        }
    }

    /// Wall-clock time of a moment in nanoseconds since 1970.
    pub fn unix_nanos(&self, moment: Moment) -> u64 {
        let unix = self.origin_unix + Duration::from_nanos(moment.0);
        u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX)
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        self.at(Instant::now())
    }

    /// The moment of an instant; moment zero for one before the clock was started.
    pub fn at(&self, instant: Instant) -> Moment {
        Moment(
            u64::try_from(instant.saturating_duration_since(self.origin).as_nanos())
                .unwrap_or(u64::MAX),
        )
    }

    /// The instant of a moment, for timers.
    pub fn instant(&self, moment: Moment) -> Instant {
        self.origin + Duration::from_nanos(moment.0)
    }

    /// Wall-clock time of a moment in seconds since 1970, as the wall clock stood when the clock was
    /// started: a later step of the wall clock does not move it.
    pub fn unix_seconds(&self, moment: Moment) -> f64 {
        (self.origin_unix + Duration::from_nanos(moment.0)).as_secs_f64()
    }

    /// The moment of this wall-clock time since 1970. `None`: it was before the clock was started.
    pub fn of_unix(&self, unix: Duration) -> Option<Moment> {
        let since = unix.checked_sub(self.origin_unix)?;
        Some(Moment(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// By how many seconds the wall clock has moved against the monotonic one since the start.
    pub fn wall_step_seconds(&self) -> f64 {
        let expected = self.origin_here + self.origin.elapsed();
        unix_now().as_secs_f64() - expected.as_secs_f64()
    }
}

fn unix_now() -> Duration {
    // A wall clock before 1970 is one that was never set; zero is as good a date for it as any.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_instants_convert_both_ways() {
        let clock = Clock::start();
        let moment = Moment::from_nanos(1_500_000_000);
        assert_eq!(clock.at(clock.instant(moment)), moment);
        let later = clock.unix_seconds(moment) - clock.unix_seconds(Moment::default());
        assert!((later - 1.5).abs() < 1e-6);
        let unix = clock.origin_unix + Duration::from_nanos(moment.nanos());
        assert_eq!(clock.of_unix(unix), Some(moment));
        assert_eq!(clock.of_unix(Duration::ZERO), None);
    }

    #[test]
    fn a_clock_can_tell_the_time_of_another_machine() {
        let clock = Clock::start();
        let other = clock.told_from(Duration::from_secs(1_000));
        let moment = Moment::from_nanos(5);
        assert_eq!(other.unix_nanos(moment), 1_000_000_000_005);
        assert_eq!(other.instant(moment), clock.instant(moment));
        // The wall clock of this machine has not moved.
        assert!(other.wall_step_seconds().abs() < 0.5);
    }

    #[test]
    fn a_difference_never_goes_below_zero() {
        let early = Moment::from_nanos(5);
        let late = Moment::from_nanos(9);
        assert_eq!(late.since(early), Duration::from_nanos(4));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.after(Duration::from_nanos(4)), late);
    }
}
