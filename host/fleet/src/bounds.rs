//! How far the clock of a worker is from that of the coordinator. A ping bounds it: the worker reads its clock after the
//! ping was sent and before its answer came, so that worker time − coordinator time lies between what the two instants
//! give. Many pings bound it more tightly (Cristian: Probabilistic clock synchronization, Distributed Computing 3, 1989).

use llmuses_core::clock::Moment;

/// What a worker's clock shows more than that of the coordinator, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// The middle of what it may be.
    pub nanos: i64,
    /// By how much it may be more or less.
    pub bound_nanos: u64,
}

impl ClockOffset {
    fn of(low: i64, high: i64) -> Self {
        let width = high.abs_diff(low);
        Self {
            nanos: low.saturating_add_unsigned(width / 2),
            bound_nanos: width.div_ceil(2),
        }
    }

    /// The moment of the coordinator's clock at a reading of the worker's, in nanoseconds; zero where that is before it
    /// was started.
    pub fn to_coordinator(&self, worker_nanos: u64) -> Moment {
        Moment::from_nanos(
            worker_nanos
                .checked_add_signed(self.nanos.saturating_neg())
                .unwrap_or_default(),
        )
    }

    /// The reading of the worker's clock at a moment of the coordinator's, in nanoseconds.
    pub fn to_worker(&self, moment: Moment) -> u64 {
        moment.nanos().saturating_add_signed(self.nanos)
    }

    /// The most by which the clocks may have moved against each other until `later`, in nanoseconds.
    pub fn drift_nanos(&self, later: &Self) -> u64 {
        later
            .nanos
            .abs_diff(self.nanos)
            .saturating_add(self.bound_nanos)
            .saturating_add(later.bound_nanos)
    }
}

/// The pings of a worker.
#[derive(Debug, Clone, Default)]
pub struct OffsetBounds {
    /// Of all pings so far: the highest lower and the lowest upper bound.
    common: Option<(i64, i64)>,
    /// Of the ping with the shortest way there and back among the last ones.
    recent: Vec<(i64, i64)>,
    /// The longest way there and back, in nanoseconds.
    slowest: u64,
    pings: u64,
}

/// So many of the last pings are looked at for the offset of the moment.
const RECENT: usize = 8;

impl OffsetBounds {
    /// Takes in a ping: when it was sent and its answer had come by the coordinator's clock, and what the worker's clock
    /// showed in between, in nanoseconds.
    pub fn add(&mut self, sent: Moment, worker_nanos: u64, received: Moment) {
        let less = |moment: Moment| {
            i64::try_from(i128::from(worker_nanos) - i128::from(moment.nanos())).unwrap_or(i64::MAX)
        };
        let (low, high) = (less(received), less(sent));
        if low > high {
            return;
        }
        self.pings += 1;
        self.slowest = self.slowest.max(high.abs_diff(low));
        self.common = Some(match self.common {
            None => (low, high),
            Some((lowest, highest)) => (lowest.max(low), highest.min(high)),
        });
        if self.recent.len() == RECENT {
            self.recent.remove(0);
        }
        self.recent.push((low, high));
    }

    /// How many pings were answered.
    pub fn pings(&self) -> u64 {
        self.pings
    }

    /// The longest way there and back, in nanoseconds.
    pub fn slowest_nanos(&self) -> u64 {
        self.slowest
    }

    /// The offset by all pings together, which is right where they came one soon after the other. `None`: there was none.
    pub fn of_all(&self) -> Option<ClockOffset> {
        match self.common {
            Some((low, high)) if low <= high => Some(ClockOffset::of(low, high)),
            // One of the clocks moved meanwhile.
            Some(_) => self.of_last(),
            None => None,
        }
    }

    /// The offset by the best of the last pings. `None`: there was none.
    pub fn of_last(&self) -> Option<ClockOffset> {
        let best = self
            .recent
            .iter()
            .min_by_key(|(low, high)| high.abs_diff(*low));
        best.map(|(low, high)| ClockOffset::of(*low, *high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Moment {
        Moment::from_nanos(micros * 1000)
    }

    /// A worker whose clock shows 250 ms more; the way there and the way back take so many microseconds.
    fn ping(bounds: &mut OffsetBounds, sent: u64, there: u64, back: u64) {
        let worker = (sent + there + 250_000) * 1000;
        bounds.add(at(sent), worker, at(sent + there + back));
    }

    #[test]
    fn the_offset_lies_within_its_bound() {
        let mut bounds = OffsetBounds::default();
        assert_eq!(bounds.of_all(), None);
        for (number, (there, back)) in [(90, 900), (700, 60), (300, 300)].into_iter().enumerate() {
            ping(&mut bounds, 1_000 * number as u64, there, back);
            let offset = bounds.of_all().unwrap();
            let error = offset.nanos.abs_diff(250_000_000);
            assert!(error <= offset.bound_nanos, "{offset:?}");
        }
        // The shortest ways of all: 90 there and 60 back.
        let offset = bounds.of_all().unwrap();
        assert_eq!(offset.bound_nanos, 75_000);
        assert_eq!(bounds.slowest_nanos(), 990_000);
        assert_eq!(bounds.of_last().unwrap().bound_nanos, 300_000);
        assert_eq!(bounds.pings(), 3);
    }

    #[test]
    fn moments_convert_both_ways() {
        let mut bounds = OffsetBounds::default();
        ping(&mut bounds, 500, 50, 50);
        let offset = bounds.of_all().unwrap();
        assert_eq!(offset.to_worker(at(7)), 250_007_000);
        assert_eq!(offset.to_coordinator(250_007_000), at(7));
        assert_eq!(offset.to_coordinator(5), Moment::default());
    }

    #[test]
    fn a_clock_that_drifts_leaves_no_common_offset() {
        let mut bounds = OffsetBounds::default();
        for second in 0..20_u64 {
            let sent = second * 1_000_000;
            // 100 parts in a million, and 50 µs each way.
            let worker = (sent + 50) * 1000 + second * 100_000;
            bounds.add(at(sent), worker, at(sent + 100));
        }
        let last = bounds.of_last().unwrap();
        assert!(bounds.of_all().is_some());
        let drift = ClockOffset {
            nanos: 0,
            bound_nanos: 50_000,
        }
        .drift_nanos(&last);
        assert!((1_200_000..2_100_000).contains(&drift), "{drift}");
    }

    #[test]
    fn a_ping_that_came_back_before_it_was_sent_is_none() {
        let mut bounds = OffsetBounds::default();
        bounds.add(at(9), 5, at(8));
        assert_eq!(bounds.of_all(), None);
    }
}
