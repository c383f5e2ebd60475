//! How a time is spread over many requests: exact count, sum and extremes, and for the percentiles the
//! samples themselves while they are few, then a histogram.

use hdrhistogram::Histogram;
use llmuses_core::document::Percentile;
use std::time::Duration;

/// The longest time that a histogram tells apart from longer ones: one day.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Significant decimal digits of the histograms.
const DIGITS: u8 = 5;

/// The lower and the upper bound of a percentile, where there are enough samples for it.
pub type Interval = (Option<Duration>, Option<Duration>);

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
    /// The sum of squared distances from the first sample, in square seconds: the variance loses no digits to
    /// a large mean.
    squares: f64,
    first: Duration,
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
    /// Adds a sample that is no longer than [`LONGEST`], `times` times.
    fn add(&mut self, nanos: u64, times: u64) {
        match self {
            Self::Few(samples) if FEW.saturating_sub(samples.len()) as u64 >= times => {
                samples.extend((0..times).map(|_| nanos));
            }
            Self::Few(samples) => {
                // It is refused only where more than five digits are asked for.
                let Ok(mut histogram) = Histogram::new(DIGITS) else {
                    return;
                };
                for nanos in samples {
                    count(&mut histogram, *nanos, 1);
                }
                count(&mut histogram, nanos, times);
                *self = Self::Many(histogram);
            }
            Self::Many(histogram) => count(histogram, nanos, times),
        }
    }
}

fn count(histogram: &mut Histogram<u32>, nanos: u64, times: u64) {
    let times = u32::try_from(times).unwrap_or(u32::MAX);
    // It resizes itself, and a day of microseconds fits by far: this cannot fail.
    let _ = histogram.record_n((nanos + 500) / 1000, times);
}

impl Spread {
    /// Adds a sample.
    pub fn record(&mut self, time: Duration) {
        self.record_times(time, 1);
    }

    /// Adds the same sample `times` times; zero times adds nothing.
    pub fn record_times(&mut self, time: Duration, times: u64) {
        if times == 0 {
            return;
        }
        if self.samples == 0 {
            self.first = time;
        }
        self.samples = self.samples.saturating_add(times);
        self.sum_nanos += time.as_nanos().saturating_mul(times.into());
        let distance = time.as_secs_f64() - self.first.as_secs_f64();
        self.squares += distance * distance * times as f64;
        self.min = Some(self.min.map_or(time, |min| min.min(time)));
        self.max = Some(self.max.map_or(time, |max| max.max(time)));
        if time > LONGEST {
            self.beyond = self.beyond.saturating_add(times);
        }
        // A day of nanoseconds fits into 64 bits.
        self.kept.add(time.min(LONGEST).as_nanos() as u64, times);
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

    /// The standard deviation of the samples (divisor n − 1) in seconds. `None` for fewer than two.
    pub fn standard_deviation_seconds(&self) -> Option<f64> {
        let from_first = self.mean_seconds()? - self.first.as_secs_f64();
        let n = self.samples as f64;
        (self.samples > 1)
            .then(|| ((self.squares - n * from_first * from_first).max(0.0) / (n - 1.0)).sqrt())
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
        let mut times = [Duration::ZERO; N];
        let ranks = wanted.map(|percentile| percentile.rank(self.samples));
        self.at_ranks(&ranks, &mut times).then_some(times)
    }

    /// The 95 % confidence intervals of percentiles in ascending order; see
    /// [`Percentile::interval_ranks`]. A bound is `None` where there are too few samples for it.
    ///
    /// `independent`: how many of the samples are independent of one another. The gaps within one stream
    /// are alike, so that a thousand gaps of ten streams say no more than ten samples would; the ranks for
    /// that many are taken at the same places among all samples.
    pub fn intervals<const N: usize>(
        &self,
        of: [Percentile; N],
        independent: u64,
    ) -> [Interval; N] {
        let independent = independent.min(self.samples);
        let of_all = |rank: u64| {
            let rank = u128::from(rank) * u128::from(self.samples);
            // At most as many as there are samples.
            rank.div_ceil(u128::from(independent.max(1))) as u64
        };
        let ranks = of.map(|percentile| {
            let (lower, upper) = percentile.interval_ranks(independent);
            (lower.map(of_all), upper.map(of_all))
        });
        let bounds = |side: [Option<u64>; N]| {
            // Ranks that there are ascend with the percentile; one that is missing stands for either end.
            let known: Vec<u64> = side.iter().flatten().copied().collect();
            let mut times = vec![Duration::ZERO; known.len()];
            let found = self.at_ranks(&known, &mut times);
            let mut times = times.into_iter();
            side.map(|rank| rank.and_then(|_| times.next()).filter(|_| found))
        };
        let lower = bounds(ranks.map(|(lower, _)| lower));
        let upper = bounds(ranks.map(|(_, upper)| upper));
        std::array::from_fn(|index| (lower[index], upper[index]))
    }

    /// The curve of the percentiles: for each of `percents`, ascending from 0 to 100, the nearest-rank
    /// time. Empty without samples.
    pub fn curve(&self, percents: &[f64]) -> Vec<Duration> {
        let ranks: Vec<u64> = percents
            .iter()
            .map(|percent| {
                let rank = (self.samples as f64 * percent / 100.0).ceil() as u64;
                rank.clamp(1, self.samples.max(1))
            })
            .collect();
        let mut times = vec![Duration::ZERO; ranks.len()];
        if self.at_ranks(&ranks, &mut times) {
            times
        } else {
            Vec::new()
        }
    }

    /// Hands over every time in nanoseconds, as it is kept, with how often it came.
    pub(super) fn each(&self, mut take: impl FnMut(u64, u64)) {
        match &self.kept {
            Kept::Few(samples) => samples.iter().for_each(|nanos| take(*nanos, 1)),
            Kept::Many(histogram) => histogram.iter_recorded().for_each(|step| {
                let micros = histogram.median_equivalent(step.value_iterated_to());
                take(
                    micros.saturating_mul(1000),
                    u64::from(step.count_at_value()),
                );
            }),
        }
    }

    /// Puts the time of each rank, ascending from 1, into its place. False without samples.
    fn at_ranks(&self, ranks: &[u64], times: &mut [Duration]) -> bool {
        let (Some(min), Some(max)) = (self.min, self.max) else {
            return false;
        };
        match &self.kept {
            Kept::Few(samples) => {
                let mut sorted = samples.clone();
                sorted.sort_unstable();
                for (time, rank) in times.iter_mut().zip(ranks) {
                    // A rank is between 1 and the number of samples.
                    let index = usize::try_from(rank.saturating_sub(1)).unwrap_or(usize::MAX);
                    *time = sorted
                        .get(index)
                        .map_or(max, |nanos| Duration::from_nanos(*nanos));
                }
            }
            Kept::Many(histogram) => by_rank(histogram, ranks, times, min, max),
        }
        true
    }
}

/// Puts the sample of each rank, which ascend, into its place.
fn by_rank(
    histogram: &Histogram<u32>,
    ranks: &[u64],
    times: &mut [Duration],
    min: Duration,
    max: Duration,
) {
    times.fill(max);
    let mut next = 0;
    let mut seen: u64 = 0;
    for step in histogram.iter_recorded() {
        seen = seen.saturating_add(u64::from(step.count_at_value()));
        while next < ranks.len() && ranks[next] <= seen {
            // The middle of a bucket halves the error; no percentile lies outside of the extremes.
            let micros = histogram.median_equivalent(step.value_iterated_to());
            times[next] = Duration::from_micros(micros).clamp(min, max);
            next += 1;
        }
        if next == ranks.len() {
            break;
        }
    }
}

#[cfg(test)]
mod tests;
