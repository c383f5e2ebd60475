//! How a time is spread over many requests: exact count, sum and extremes, and for the percentiles the
//! samples themselves while they are few, then a histogram.

use super::percentile::Percentile;
use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest time that a histogram tells apart from longer ones: one day.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Significant decimal digits of the histograms.
const DIGITS: u8 = 5;

/// The most samples that are kept as they are. A histogram that is as exact takes 1 to 11 MiB however few
/// samples it has; so many samples take 128 KiB.
const FEW: usize = 16 << 10;

/// The spread of a time.
///
/// Count, mean, minimum and maximum are exact. A percentile is nearest-rank. Of up to 16,384 samples it is
/// exact. Of more it is over samples that were rounded to whole microseconds: up to 262 ms it is off by that
/// rounding alone (0.5 µs), beyond by at most 1 part in 260,000 as well (0.03 ms at 7.7 s). A time above
/// [`LONGEST`] counts as that in percentiles, and is counted by [`Self::beyond`].
///
/// Memory: 8 bytes for each of the first 16,384 samples. From then on 1 MiB, and half of one more each time
/// the longest sample doubles beyond 262 ms; 11 MiB at most. Counters of 32 bits: four thousand million equal
/// samples are more than a run has.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    kept: Kept,
    samples: u64,
    sum_nanos: u128,
    min: Option<Duration>,
    max: Option<Duration>,
    beyond: u64,
}

/// What percentiles come from.
#[derive(Debug, Clone)]
enum Kept {
    /// The samples in nanoseconds, in the order in which they came.
    Few(Vec<u64>),
    /// Microseconds.
    Many(Histogram<u32>),
}

impl Default for Kept {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Kept {
    /// Adds a sample that is no longer than [`LONGEST`].
    fn add(&mut self, nanos: u64) {
        match self {
            Self::Few(samples) if samples.len() < FEW => samples.push(nanos),
            Self::Few(samples) => {
                // It is refused only where more than five digits are asked for.
                let Ok(mut histogram) = Histogram::new(DIGITS) else {
                    return;
                };
                for nanos in samples.iter().chain([&nanos]) {
                    count(&mut histogram, *nanos);
                }
                *self = Self::Many(histogram);
            }
            Self::Many(histogram) => count(histogram, nanos),
        }
    }
}

fn count(histogram: &mut Histogram<u32>, nanos: u64) {
    // It resizes itself, and a day of microseconds fits by far: this cannot fail.
    let _ = histogram.record((nanos + 500) / 1000);
}

impl Spread {
    /// Adds a sample.
    pub fn record(&mut self, time: Duration) {
        self.samples += 1;
        self.sum_nanos += time.as_nanos();
        self.min = Some(self.min.map_or(time, |min| min.min(time)));
        self.max = Some(self.max.map_or(time, |max| max.max(time)));
        if time > LONGEST {
            self.beyond += 1;
        }
        // A day of nanoseconds fits into 64 bits.
        self.kept.add(time.min(LONGEST).as_nanos() as u64);
    }

    /// The number of samples.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// How many samples were longer than [`LONGEST`].
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// The mean in seconds; exact but for the last rounding.
    pub fn mean_seconds(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.sum_nanos as f64 / 1e9 / self.samples as f64)
    }

    /// The shortest sample.
    pub fn min(&self) -> Option<Duration> {
        self.min
    }

    /// The longest sample.
    pub fn max(&self) -> Option<Duration> {
        self.max
    }

    /// One percentile. Use [`Self::percentiles`] for several: each call goes through all that is kept.
    pub fn percentile(&self, percentile: Percentile) -> Option<Duration> {
        self.percentiles([percentile]).map(|[time]| time)
    }

    /// Percentiles in ascending order of rank, in one pass. `None` without samples.
    pub fn percentiles<const N: usize>(&self, wanted: [Percentile; N]) -> Option<[Duration; N]> {
        let (min, max) = (self.min?, self.max?);
        let ranks = wanted.map(|percentile| percentile.rank(self.samples));
        Some(match &self.kept {
            Kept::Few(samples) => {
                let mut sorted = samples.clone();
                sorted.sort_unstable();
                ranks.map(|rank| {
                    // A rank is between 1 and the number of samples.
                    let index = usize::try_from(rank.saturating_sub(1)).unwrap_or(usize::MAX);
                    sorted
                        .get(index)
                        .map_or(max, |nanos| Duration::from_nanos(*nanos))
                })
            }
            Kept::Many(histogram) => by_rank(histogram, ranks, min, max),
        })
    }
}

/// The samples of these ranks, which ascend.
fn by_rank<const N: usize>(
    histogram: &Histogram<u32>,
    ranks: [u64; N],
    min: Duration,
    max: Duration,
) -> [Duration; N] {
    let mut times = [max; N];
    let mut next = 0;
    let mut seen: u64 = 0;
    for step in histogram.iter_recorded() {
        seen = seen.saturating_add(u64::from(step.count_at_value()));
        while next < N && ranks[next] <= seen {
            // The middle of a bucket halves the error; no percentile lies outside of the extremes.
            let micros = histogram.median_equivalent(step.value_iterated_to());
            times[next] = Duration::from_micros(micros).clamp(min, max);
            next += 1;
        }
        if next == N {
            break;
        }
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spread_of(times: impl IntoIterator<Item = Duration>) -> Spread {
        let mut spread = Spread::default();
        for time in times {
            spread.record(time);
        }
        spread
    }

    #[test]
    fn an_empty_spread_has_no_figures() {
        let spread = Spread::default();
        assert_eq!(spread.samples(), 0);
        assert_eq!(spread.mean_seconds(), None);
        assert_eq!(spread.max(), None);
        assert_eq!(spread.percentile(Percentile::P50), None);
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let spread = spread_of((1..=10).rev().map(Duration::from_millis));
        let [p50, p90, p99] = spread
            .percentiles([Percentile::P50, Percentile::P90, Percentile::P99])
            .unwrap();
        assert_eq!(p50, Duration::from_millis(5));
        assert_eq!(p90, Duration::from_millis(9));
        assert_eq!(p99, Duration::from_millis(10));
        assert_eq!(spread.mean_seconds(), Some(0.0055));
        assert_eq!(spread.min(), Some(Duration::from_millis(1)));
    }

    #[test]
    fn zeros_and_nanoseconds_are_kept() {
        let spread = spread_of([0, 0, 1].map(Duration::from_nanos));
        assert_eq!(spread.percentile(Percentile::P50), Some(Duration::ZERO));
        assert_eq!(spread.max(), Some(Duration::from_nanos(1)));
        assert_eq!(spread.sum_nanos, 1);
    }

    #[test]
    fn a_time_beyond_the_scale_is_counted_and_its_sum_is_exact() {
        let spread = spread_of([Duration::from_secs(1), LONGEST * 3]);
        assert_eq!(spread.beyond(), 1);
        assert_eq!(spread.max(), Some(LONGEST * 3));
        assert_eq!(
            spread.mean_seconds(),
            Some((1.0 + 3.0 * LONGEST.as_secs_f64()) / 2.0)
        );
        let p99 = spread.percentile(Percentile::P99).unwrap().as_secs_f64();
        assert!((p99 / LONGEST.as_secs_f64() - 1.0).abs() < 4e-6);
    }

    #[test]
    fn memory_does_not_grow_with_the_samples() {
        let spread = spread_of((0..200_000).map(Duration::from_micros));
        assert!(matches!(spread.kept, Kept::Many(_)));
        assert_eq!(
            spread.percentile(Percentile::P90),
            Some(Duration::from_micros(179_999))
        );
    }

    /// Holds the percentiles of a spread against those of its samples, with a bound on the error in
    /// nanoseconds for an exact value.
    fn check(nanos: &[u64], bound: impl Fn(f64) -> f64) -> Result<(), TestCaseError> {
        let spread = spread_of(nanos.iter().copied().map(Duration::from_nanos));
        let mut sorted = nanos.to_vec();
        sorted.sort_unstable();
        let times = spread.percentiles(Percentile::ALL).unwrap();
        for (percentile, time) in Percentile::ALL.into_iter().zip(times) {
            let exact = sorted[percentile.rank(sorted.len() as u64) as usize - 1];
            let error = (time.as_nanos() as f64 - exact as f64).abs();
            prop_assert!(error <= bound(exact as f64), "{error} of {exact}");
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn percentiles_of_few_samples_are_exact(
            nanos in proptest::collection::vec(0_u64..100_000_000_000, 1..200)
        ) {
            check(&nanos, |_| 0.0)?;
        }

        #[test]
        fn percentiles_of_many_samples_keep_the_stated_error(
            nanos in proptest::collection::vec(0_u64..100_000_000_000, 1..200)
        ) {
            // Each sample so often that all together are many.
            let times = FEW / nanos.len() + 1;
            let many: Vec<u64> = nanos.iter().flat_map(|nanos| std::iter::repeat_n(*nanos, times)).collect();
            check(&many, |exact| 501.0 + exact / 260_000.0)?;
        }
    }
}
