//! The JSON lists of a row, written straight into buffers that are used again for every row: a stream of
//! 1,000 chunks has up to 2,000 numbers, and a tree of JSON values would be most of the writer's work.

use crate::clock::{Clock, Moment};
use std::fmt::Write;

/// Turns moments into Unix time with whole microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnixTime {
    /// Moment zero in nanoseconds since 1970.
    zero_nanos: u64,
}

impl UnixTime {
    /// The Unix time of a clock. Taken once, so that the differences between all times of a run stay
    /// exact.
    pub(super) fn of(clock: &Clock) -> Self {
        let seconds = clock.unix_seconds(Moment::default());
        Self {
            zero_nanos: (seconds * 1e9) as u64,
        }
    }

    fn micros(self, moment: Moment) -> u64 {
        self.zero_nanos
            .saturating_add(moment.nanos())
            .saturating_add(500)
            / 1000
    }

    /// Unix seconds, rounded to the same microsecond as in the lists.
    pub(super) fn seconds(self, moment: Moment) -> f64 {
        self.micros(moment) as f64 / 1e6
    }
}

/// A moment in Unix seconds with whole microseconds, as it stands in a database.
pub fn unix_seconds(clock: &Clock, moment: Moment) -> f64 {
    UnixTime::of(clock).seconds(moment)
}

/// Replaces `list` by a JSON list of Unix seconds with six decimals.
pub(super) fn write_times(
    list: &mut String,
    unix: UnixTime,
    moments: impl Iterator<Item = Moment>,
) {
    list.clear();
    list.push('[');
    for (index, moment) in moments.enumerate() {
        if index > 0 {
            list.push(',');
        }
        let micros = unix.micros(moment);
        // Writing to a string does not fail.
        let _ = write!(list, "{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    }
    list.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_decimals_and_exact_differences() {
        let unix = UnixTime {
            zero_nanos: 1_714_274_496_000_000_000,
        };
        let moments = [0, 1_499, 1_500, 61_000_042_000].map(Moment::from_nanos);
        let mut list = "old".to_owned();
        write_times(&mut list, unix, moments.into_iter());
        assert_eq!(
            list,
            "[1714274496.000000,1714274496.000001,1714274496.000002,1714274557.000042]"
        );
        assert_eq!(unix.seconds(moments[3]), 1_714_274_557.000042);
        write_times(&mut list, unix, std::iter::empty());
        assert_eq!(list, "[]");
    }
}
