//! The figures that a parser reports beside tokens: their names are its own, their units unknown, and
//! their number not to be trusted.

use llmuses_core::document::Percentile;
use llmuses_core::exchange::MAX_METRIC_NAMES;
use std::collections::BTreeMap;

/// Each bucket is this many times as wide as the one before it: percentiles are within 1 %.
const GROWTH: f64 = 1.01 / 0.99;
/// Magnitudes below count as zero in percentiles.
const SMALLEST: f64 = 1e-9;
/// Magnitudes above count as this in percentiles.
const LARGEST: f64 = 1e15;

/// The most different values that are kept as they are.
const MOST_VALUES: usize = 16 << 10;

/// The spread of one figure: exact count, mean and extremes. Percentiles are exact for up to 16,384 different
/// values, which whole numbers such as tokens rarely pass, and within 1 % of more.
///
/// Buckets grow by a constant factor, and a bucket stands for the value with the same relative error to
/// both of its ends (the DDSketch of Masson, Rim and Lee, VLDB 2019, with signs). At most 5,600 buckets.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    samples: u64,
    sum: f64,
    min: f64,
    max: f64,
    /// Sign × (index + an offset that keeps indices positive), so that keys sort as values do.
    buckets: BTreeMap<i32, u64>,
    /// The values themselves, by a key that sorts as they do. Empty once there are too many of them.
    values: BTreeMap<i64, u64>,
    too_many: bool,
}

impl Figures {
    fn record(&mut self, value: f64) {
        if self.samples == 0 {
            (self.min, self.max) = (value, value);
        }
        self.samples += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        *self.buckets.entry(key(value)).or_default() += 1;
        if !self.too_many {
            *self.values.entry(sortable(value)).or_default() += 1;
            if self.values.len() > MOST_VALUES {
                self.too_many = true;
                self.values = BTreeMap::new();
            }
        }
    }

    /// The number of samples.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.sum / self.samples as f64
    }

    /// The smallest sample.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The largest sample.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// The sum of all samples.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// A nearest-rank percentile: exact, or within 1 % of very many different values.
    pub fn percentile(&self, percentile: Percentile) -> f64 {
        let rank = percentile.rank(self.samples);
        let mut seen = 0;
        for (key, count) in &self.values {
            seen += count;
            if seen >= rank {
                return from_sortable(*key);
            }
        }
        let mut seen = 0;
        for (key, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                return representative(*key).clamp(self.min, self.max);
            }
        }
        self.max
    }
}

/// A whole number for each number, in the same order (as of [`f64::total_cmp`]); both zeros are one.
fn sortable(value: f64) -> i64 {
    flip((value + 0.0).to_bits().cast_signed())
}

fn from_sortable(key: i64) -> f64 {
    f64::from_bits(flip(key).cast_unsigned())
}

/// Turns the order of the negative ones round: their bits grow with their magnitude.
fn flip(bits: i64) -> i64 {
    bits ^ (((bits >> 63).cast_unsigned()) >> 1).cast_signed()
}

/// The index of the bucket of [`SMALLEST`], moved to 1.
fn offset() -> i32 {
    1 - (SMALLEST.ln() / GROWTH.ln()).ceil() as i32
}

fn key(value: f64) -> i32 {
    let magnitude = value.abs();
    if magnitude < SMALLEST {
        return 0;
    }
    let index = (magnitude.min(LARGEST).ln() / GROWTH.ln()).ceil() as i32 + offset();
    if value < 0.0 { -index } else { index }
}

fn representative(key: i32) -> f64 {
    if key == 0 {
        return 0.0;
    }
    let upper = GROWTH.powi(key.abs() - offset());
    f64::from(key.signum()) * 2.0 * upper / (GROWTH + 1.0)
}

/// All figures of a parser, by name, in the order of their first appearance.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    named: Vec<(String, Figures)>,
    unnamed: u64,
    not_finite: u64,
}

impl Metrics {
    /// Adds one figure.
    pub fn record(&mut self, name: &str, value: f64) {
        if !value.is_finite() {
            self.not_finite += 1;
        } else if let Some((_, figures)) = self.named.iter_mut().find(|(known, _)| known == name) {
            figures.record(value);
        } else if self.named.len() < MAX_METRIC_NAMES {
            let mut figures = Figures::default();
            figures.record(value);
            self.named.push((name.to_owned(), figures));
        } else {
            self.unnamed += 1;
        }
    }

    /// Counts figures that were left out before they came here.
    pub fn leave_out(&mut self, values: u64) {
        self.unnamed = self.unnamed.saturating_add(values);
    }

    /// The figures by name.
    pub fn named(&self) -> &[(String, Figures)] {
        &self.named
    }

    /// How many values were left out because [`MAX_METRIC_NAMES`] other names were there before.
    pub fn unnamed(&self) -> u64 {
        self.unnamed
    }

    /// How many values were left out because they were infinite or not a number.
    pub fn not_finite(&self) -> u64 {
        self.not_finite
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_both_signs_keep_their_order() {
        let mut metrics = Metrics::default();
        for value in [-200.0, -1.0, 0.0, 3.0, 5000.0] {
            metrics.record("x", value);
        }
        let figures = &metrics.named()[0].1;
        assert_eq!(figures.samples(), 5);
        assert!((figures.mean() - 960.4).abs() < 1e-9);
        assert_eq!((figures.min(), figures.max()), (-200.0, 5000.0));
        assert_eq!(figures.percentile(Percentile::P50), 0.0);
        assert!((figures.percentile(Percentile::P99) / 5000.0 - 1.0).abs() <= 0.01);
    }

    #[test]
    fn percentiles_are_within_one_percent() {
        for scale in [1e-8, 1e-3, 1.0, 1e6, 1e12, -1e3] {
            let mut figures = Figures::default();
            for step in 1..=100 {
                figures.record(f64::from(step) * scale);
            }
            let exact = if scale > 0.0 { 90.0 } else { 11.0 } * scale;
            let p90 = figures.percentile(Percentile::P90);
            assert!((p90 / exact - 1.0).abs() <= 0.0101, "{p90} of {exact}");
        }
    }

    #[test]
    fn percentiles_of_whole_numbers_are_those_numbers() {
        let mut figures = Figures::default();
        for tokens in [64.0, 64.0, 64.0, 0.0, -3.0, 128.5] {
            figures.record(tokens);
        }
        assert_eq!(figures.percentile(Percentile::P50), 64.0);
        assert_eq!(figures.percentile(Percentile::P99), 128.5);
        // Of too many to keep, they are near.
        for number in 0..=MOST_VALUES {
            figures.record(1e6 + number as f64);
        }
        assert!(figures.values.is_empty());
        let p50 = figures.percentile(Percentile::P50);
        assert!((p50 / 1_008_190.0 - 1.0).abs() <= 0.01, "{p50}");
    }

    #[test]
    fn buckets_are_bounded() {
        let most = 2 * i64::from(key(f64::MAX)) + 1;
        assert!(most <= 5_600, "{most}");
        assert_eq!(key(f64::MIN_POSITIVE), 0);
        assert_eq!(key(SMALLEST), 1);
    }

    #[test]
    fn what_has_no_place_is_counted() {
        let mut metrics = Metrics::default();
        metrics.record("a", f64::NAN);
        metrics.record("a", f64::INFINITY);
        assert!(metrics.named().is_empty());
        assert_eq!(metrics.not_finite(), 2);
        for name in 0..MAX_METRIC_NAMES + 3 {
            metrics.record(&name.to_string(), 1.0);
        }
        metrics.record("0", 2.0);
        assert_eq!(metrics.named().len(), MAX_METRIC_NAMES);
        assert_eq!(metrics.unnamed(), 3);
        assert_eq!(metrics.named()[0].1.samples(), 2);
    }
}
