//! Times in a few wide buckets, as dashboards add them up over hosts and over time.

use std::time::Duration;

/// The upper bounds of the buckets, in seconds: from a cached first token to a long answer. One more bucket
/// has what is above.
pub const BOUNDS_SECONDS: [f64; 20] = [
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
    10.0, 30.0, 60.0, 120.0,
];

/// How many times fell into each bucket.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Buckets {
    counts: [u64; BOUNDS_SECONDS.len() + 1],
    sum: Duration,
}

impl Buckets {
    /// Adds a time.
    pub fn record(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let index = BOUNDS_SECONDS.partition_point(|bound| *bound < seconds);
        self.counts[index] += 1;
        self.sum += time;
    }

    /// The number of times.
    pub fn samples(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all times.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// For each bound, how many times are not above it.
    pub fn cumulative(&self) -> [u64; BOUNDS_SECONDS.len()] {
        let mut sum = 0;
        std::array::from_fn(|index| {
            sum += self.counts[index];
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_part_of_its_bucket() {
        let mut buckets = Buckets::default();
        for millis in [1, 2, 50, 51, 500_000] {
            buckets.record(Duration::from_millis(millis));
        }
        let cumulative = buckets.cumulative();
        assert_eq!(cumulative[0], 1);
        assert_eq!(cumulative[1], 2);
        assert_eq!(cumulative[6], 3);
        assert_eq!(cumulative[7], 4);
        assert_eq!(cumulative[19], 4);
        assert_eq!(buckets.samples(), 5);
        assert_eq!(buckets.sum(), Duration::from_millis(500_104));
    }
}
