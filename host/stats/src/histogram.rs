//! The histogram of a time.

use super::spread::Spread;
use llmuses_core::document::{Histogram, Percentile};

/// The most bins.
const MOST_BINS: u64 = 40;

/// The fewest.
const FEWEST_BINS: u64 = 5;

/// The histogram of a time: bins of equal width from the shortest time on, 2 ∛n of them (the rule of Rice). Where the
/// longest times are so long that the other 99 % would lie in a third of the width or less, the bins end a little behind
/// those, and what is longer is counted. `None` without samples.
pub(super) fn histogram(spread: &Spread) -> Option<Histogram> {
    let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let (min, max) = (nanos(spread.min()?), nanos(spread.max()?));
    let usual = nanos(spread.percentile(Percentile::P99)?).saturating_sub(min);
    let all = max - min;
    let span = if all > usual.saturating_mul(3) {
        usual + usual / 4
    } else {
        all
    };
    let bins = (2.0 * (spread.samples() as f64).cbrt()).ceil() as u64;
    let bins = bins.clamp(FEWEST_BINS, MOST_BINS);
    // Up to the longest time and with it.
    let width = span / bins + 1;
    let mut samples = vec![0; (span / width + 1) as usize];
    let mut longer = 0;
    spread.each(|nanos, count| {
        let bin = usize::try_from(nanos.clamp(min, max).saturating_sub(min) / width);
        match bin.ok().and_then(|bin| samples.get_mut(bin)) {
            Some(bin) => *bin += count,
            None => longer += count,
        }
    });
    Some(Histogram {
        from_seconds: min as f64 / 1e9,
        bin_seconds: width as f64 / 1e9,
        samples,
        longer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn of(millis: impl Iterator<Item = u64>) -> Histogram {
        let mut spread = Spread::default();
        millis.for_each(|time| spread.record(Duration::from_millis(time)));
        histogram(&spread).unwrap()
    }

    #[test]
    fn every_time_is_in_one_bin() {
        for samples in [1, 2, 10, 1_000, 40_000] {
            let found = of(100..100 + samples);
            assert_eq!(found.samples.iter().sum::<u64>(), samples);
            assert!(found.samples.len() <= 40);
            assert_eq!((found.from_seconds, found.longer), (0.1, 0));
        }
        let even = of(0..8_000);
        assert_eq!(even.samples.len(), 40);
        assert!(even.samples.iter().all(|count| count.abs_diff(200) <= 1));
    }

    #[test]
    fn a_few_very_long_times_are_counted_beyond_the_bins() {
        let found = of((100..1_100).chain([60_000, 90_000]));
        assert_eq!(
            (found.samples.iter().sum::<u64>(), found.longer),
            (1_000, 2)
        );
        assert!(histogram(&Spread::default()).is_none());
    }
}
