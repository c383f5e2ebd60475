//! How certain a figure is, and how certain the difference of two figures is.

use crate::document::{Distribution, Percentile};

/// A figure with its 95 % confidence interval. A bound is `None` where there were too few samples for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// The lower bound.
    pub low: Option<f64>,
    /// The upper bound.
    pub high: Option<f64>,
}

/// The quantile of the normal distribution at 97.5 %.
const Z: f64 = 1.959_963_984_540_054;

/// Batches into which a run is cut for the spread of its rates.
const BATCHES: usize = 20;

/// Fewer say nothing about their spread.
const FEWEST_BATCHES: usize = 5;

impl Estimate {
    /// A mean, with the interval of Student's t.
    pub fn of_mean(mean: f64, deviation: Option<f64>, samples: u64) -> Self {
        let half = deviation
            .filter(|_| samples > 1)
            .map(|deviation| student(samples - 1) * deviation / (samples as f64).sqrt());
        Self {
            value: mean,
            low: half.map(|half| mean - half),
            high: half.map(|half| mean + half),
        }
    }

    /// A share of `all`, with Wilson's interval (JASA 22, 1927).
    pub fn of_share(part: f64, all: f64) -> Option<Self> {
        if all <= 0.0 {
            return None;
        }
        let p = part / all;
        let denominator = 1.0 + Z * Z / all;
        let centre = (p + Z * Z / (2.0 * all)) / denominator;
        let half = Z * (p * (1.0 - p) / all + Z * Z / (4.0 * all * all)).sqrt() / denominator;
        // At the ends, rounding must not put the share itself outside.
        Some(Self {
            value: p,
            low: Some((centre - half).clamp(0.0, p)),
            high: Some((centre + half).clamp(p, 1.0)),
        })
    }

    /// A rate of the whole run, with the interval of batch means: the run is cut into 20 parts of equal
    /// length, and the rates of the parts are samples (Law, *Simulation Modeling and Analysis*, 9.5.3). The
    /// parts are five requests long at least, for what is shorter sees the steps in which slots become free
    /// together; a short run has fewer of them, down to five. Beginning and end belong to the run, and make
    /// the interval wider.
    ///
    /// `slots`: what there was in each slot of the timeline, each `slot_seconds` long. `latency_seconds`: the
    /// mean of the run.
    pub fn of_rate(rate: f64, slots: &[f64], slot_seconds: f64, latency_seconds: f64) -> Self {
        let unknown = Self {
            value: rate,
            low: None,
            high: None,
        };
        let five_requests = (5.0 * latency_seconds / slot_seconds).ceil() as usize;
        let per_batch = slots
            .len()
            .div_ceil(BATCHES)
            .max(five_requests)
            .min(slots.len() / FEWEST_BATCHES)
            .max(1);
        // A last batch that is not full would be a sample of another kind.
        let rates: Vec<f64> = slots
            .chunks_exact(per_batch)
            .map(|batch| batch.iter().sum::<f64>() / (per_batch as f64 * slot_seconds))
            .collect();
        let n = rates.len();
        if n < FEWEST_BATCHES {
            return unknown;
        }
        let mean = rates.iter().sum::<f64>() / n as f64;
        let squares: f64 = rates.iter().map(|rate| (rate - mean).powi(2)).sum();
        let deviation = (squares / (n - 1) as f64).sqrt();
        Self::of_mean(rate, Some(deviation), n as u64)
    }

    /// A percentile and its interval.
    pub fn of_percentile(spread: &Distribution, percentile: Percentile) -> Option<Self> {
        let [low, high] = spread.interval(percentile);
        Some(Self {
            value: spread.percentile(percentile)?,
            low,
            high,
        })
    }

    /// By how much `other` is above this, as a share of this, with the interval of the difference of two
    /// independent estimates (MOVER: Zou and Donner, *Statistics in Medicine* 27, 2008). `None` where this
    /// is zero.
    pub fn change_to(&self, other: &Self) -> Option<Self> {
        if self.value == 0.0 {
            return None;
        }
        let base = self.value.abs();
        let difference = other.value - self.value;
        let distance = |a: f64, b: f64| (a * a + b * b).sqrt();
        let low = other
            .low
            .zip(self.high)
            .map(|(low, high)| difference - distance(other.value - low, high - self.value));
        let high = other
            .high
            .zip(self.low)
            .map(|(high, low)| difference + distance(high - other.value, self.value - low));
        Some(Self {
            value: difference / base,
            low: low.map(|low| low / base),
            high: high.map(|high| high / base),
        })
    }

    /// Whether zero lies within the interval. An open side reaches as far as it may.
    pub fn holds_zero(&self) -> bool {
        self.low.is_none_or(|low| low <= 0.0) && self.high.is_none_or(|high| high >= 0.0)
    }
}

/// The 97.5 % quantile of Student's t: Cornish and Fisher's expansion, within 0.5 % for four degrees of
/// freedom and more (Abramowitz and Stegun, 26.7.5); below from the table.
fn student(degrees: u64) -> f64 {
    match degrees {
        0 => f64::INFINITY,
        1 => 12.706,
        2 => 4.303,
        3 => 3.182,
        degrees => {
            let n = degrees as f64;
            let z = Z;
            let g1 = (z.powi(3) + z) / 4.0;
            let g2 = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
            let g3 = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
            z + g1 / n + g2 / n.powi(2) + g3 / n.powi(3)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 5e-3 * b.abs().max(1.0), "{a} is not {b}");
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        near(student(4), 2.776);
        near(student(19), 2.093);
        near(student(1_000_000), 1.960);
        let share = Estimate::of_share(10.0, 100.0).unwrap();
        near(share.low.unwrap(), 0.0552);
        near(share.high.unwrap(), 0.1744);
        assert_eq!(Estimate::of_share(0.0, 50.0).unwrap().low, Some(0.0));
        let mean = Estimate::of_mean(10.0, Some(2.0), 20);
        near(mean.high.unwrap() - 10.0, 2.093 * 2.0 / 20.0_f64.sqrt());
        assert_eq!(Estimate::of_mean(1.0, None, 1).low, None);
    }

    #[test]
    fn a_steady_rate_is_certain_and_a_short_run_is_not() {
        let steady = Estimate::of_rate(100.0, &[5.0; 200], 0.05, 0.01);
        assert_eq!((steady.low, steady.high), (Some(100.0), Some(100.0)));
        assert_eq!(Estimate::of_rate(1.0, &[1.0; 4], 0.05, 0.01).low, None);
        // Eight at once, all ending in one slot of four: parts of a request each would see nothing or all.
        let steps: Vec<f64> = (0..100)
            .map(|slot| if slot % 4 == 3 { 8.0 } else { 0.0 })
            .collect();
        let rate = Estimate::of_rate(40.0, &steps, 0.05, 0.2);
        assert_eq!((rate.low, rate.high), (Some(40.0), Some(40.0)));
    }

    #[test]
    fn the_interval_of_a_difference_holds_both() {
        let estimate = |value: f64, half: f64| Estimate {
            value,
            low: Some(value - half),
            high: Some(value + half),
        };
        let change = estimate(100.0, 3.0)
            .change_to(&estimate(110.0, 4.0))
            .unwrap();
        near(change.value, 0.10);
        near(change.low.unwrap(), 0.05);
        near(change.high.unwrap(), 0.15);
        assert!(!change.holds_zero());
        let open = Estimate {
            high: None,
            ..estimate(110.0, 4.0)
        };
        assert_eq!(estimate(100.0, 3.0).change_to(&open).unwrap().high, None);
        assert!(estimate(0.0, 0.0).change_to(&open).is_none());
    }
}
