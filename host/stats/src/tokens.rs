//! How the lengths of prompts and completions are spread, in tokens.

use hdrhistogram::Histogram;
use llmuses_core::document::Percentile;

/// Significant decimal digits: lengths are exact below 2,000 tokens, and within 1 in 1,000 above.
const DIGITS: u8 = 3;

/// Bars of a chart at most.
const MOST_BARS: u64 = 40;

/// The spread of a length in tokens. Count, mean and extremes are exact.
#[derive(Debug, Clone, Default)]
pub struct TokenSpread {
    /// Made at the first sample.
    histogram: Option<Histogram<u32>>,
    samples: u64,
    sum: u128,
    min: u64,
    max: u64,
}

/// A bar of a chart: how many requests had `from` to `to` tokens, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// The fewest tokens.
    pub from: u64,
    /// The most tokens.
    pub to: u64,
    /// Requests.
    pub requests: u64,
}

impl TokenSpread {
    /// Adds a length.
    pub fn record(&mut self, tokens: u64) {
        if self.samples == 0 {
            (self.min, self.max) = (tokens, tokens);
            // It refuses more than five digits only, and resizes itself.
            self.histogram = Histogram::new(DIGITS).ok();
        }
        self.samples += 1;
        self.sum += u128::from(tokens);
        self.min = self.min.min(tokens);
        self.max = self.max.max(tokens);
        if let Some(histogram) = &mut self.histogram {
            // It resizes itself, and its scale has every number that a parser may claim.
            let _ = histogram.record(tokens);
        }
    }

    /// The number of samples.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The mean. `None` without samples.
    pub fn mean(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.sum as f64 / self.samples as f64)
    }

    /// The smallest and the largest length. `None` without samples.
    pub fn extremes(&self) -> Option<(u64, u64)> {
        (self.samples > 0).then_some((self.min, self.max))
    }

    /// A nearest-rank percentile. `None` without samples.
    pub fn percentile(&self, percentile: Percentile) -> Option<u64> {
        let histogram = self.histogram.as_ref()?;
        let rank = percentile.rank(self.samples);
        let mut seen = 0;
        for step in histogram.iter_recorded() {
            seen += u64::from(step.count_at_value());
            if seen >= rank {
                let middle = histogram.median_equivalent(step.value_iterated_to());
                return Some(middle.clamp(self.min, self.max));
            }
        }
        Some(self.max)
    }

    /// The lengths as bars of equal width from the smallest to the largest one, 40 at most; bars of no
    /// request are among them.
    pub fn bars(&self) -> Vec<Bar> {
        let Some(histogram) = &self.histogram else {
            return Vec::new();
        };
        let width = (self.max - self.min) / MOST_BARS + 1;
        let count = (self.max - self.min) / width + 1;
        let mut bars: Vec<Bar> = (0..count)
            .map(|index| {
                let from = self.min + index * width;
                Bar {
                    from,
                    to: from + (width - 1).min(u64::MAX - from),
                    requests: 0,
                }
            })
            .collect();
        for step in histogram.iter_recorded() {
            let middle = histogram
                .median_equivalent(step.value_iterated_to())
                .clamp(self.min, self.max);
            // Within the extremes, and so within the bars.
            if let Some(bar) = bars.get_mut(((middle - self.min) / width) as usize) {
                bar.requests += u64::from(step.count_at_value());
            }
        }
        bars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_bar_by_bar() {
        let mut spread = TokenSpread::default();
        assert_eq!((spread.mean(), spread.bars().len()), (None, 0));
        for tokens in 0..=99 {
            spread.record(tokens);
        }
        assert_eq!(spread.mean(), Some(49.5));
        assert_eq!(spread.extremes(), Some((0, 99)));
        assert_eq!(spread.percentile(Percentile::P90), Some(89));
        let bars = spread.bars();
        assert!(bars.len() <= 40);
        assert_eq!(bars.iter().map(|bar| bar.requests).sum::<u64>(), 100);
        assert_eq!((bars[0].from, bars[0].to, bars[0].requests), (0, 2, 3));
    }

    #[test]
    fn one_length_is_one_bar_and_any_number_has_a_place() {
        let mut spread = TokenSpread::default();
        spread.record(7);
        assert_eq!(
            spread.bars(),
            [Bar {
                from: 7,
                to: 7,
                requests: 1
            }]
        );
        spread.record(u64::MAX);
        assert_eq!(spread.bars().iter().map(|bar| bar.requests).sum::<u64>(), 2);
        assert_eq!(spread.extremes(), Some((7, u64::MAX)));
        let mut long = TokenSpread::default();
        for tokens in [100_000, 200_000, 300_000] {
            long.record(tokens);
        }
        let median = long.percentile(Percentile::P50).unwrap();
        assert!(median.abs_diff(200_000) <= 200, "{median}");
    }
}
