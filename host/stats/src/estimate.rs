//! How certain a figure is, and how certain the difference of two figures is.

use llmuses_core::document::{Distribution, Percentile};
use llmuses_core::student::student;

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
pub(super) const Z: f64 = 1.959_963_984_540_054;

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

    /// A sum over requests by another, with the interval of Student's t. `error`: the standard error, and of how many
    /// requests. `None`: it is not known, and neither is the interval.
    pub fn of_ratio(ratio: f64, error: Option<(f64, u64)>) -> Self {
        let half = error
            .filter(|(_, requests)| *requests > 1)
            .map(|(error, requests)| student(requests - 1) * error);
        Self {
            value: ratio,
            low: half.map(|half| ratio - half),
            high: half.map(|half| ratio + half),
        }
    }

    /// The same of a figure that is never below `least` nor above `most`.
    pub fn within(self, least: f64, most: f64) -> Self {
        Self {
            low: self.low.map(|low| low.max(least)),
            high: self.high.map(|high| high.min(most)),
            ..self
        }
    }

    /// Of one by the figure. A bound of zero is no bound of that.
    pub fn inverse(self) -> Self {
        let of = |bound: Option<f64>| bound.filter(|bound| *bound > 0.0).map(f64::recip);
        Self {
            value: self.value.recip(),
            low: of(self.high),
            high: of(self.low),
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

    /// By how much `other` is above this, as a share of this, with the interval of the ratio of two independent
    /// estimates: that of the difference of their logarithms (MOVER: Zou and Donner, *Statistics in Medicine*
    /// 27, 2008). No figure here is below zero, and so no change below -100 %. `None` where this is zero.
    pub fn change_to(&self, other: &Self) -> Option<Self> {
        if self.value <= 0.0 {
            return None;
        }
        let ratio = other.value / self.value;
        if ratio <= 0.0 {
            // To zero: there is no logarithm, and nothing is lower.
            let high = other.high.zip(self.low.filter(|low| *low > 0.0));
            return Some(Self {
                value: -1.0,
                low: other.low.map(|_| -1.0),
                high: high.map(|(high, low)| high / low - 1.0),
            });
        }
        let log = |bound: f64, value: f64| (bound.max(0.0) / value).ln();
        let distance = |a: f64, b: f64| (a * a + b * b).sqrt();
        // A bound at zero is infinitely far away: the ratio reaches down to zero, or up without end.
        let low = other.low.zip(self.high).map(|(low, high)| {
            ratio * (-distance(log(low, other.value), log(high, self.value))).exp() - 1.0
        });
        let high = other.high.zip(self.low).map(|(high, low)| {
            ratio * distance(log(high, other.value), log(low, self.value)).exp() - 1.0
        });
        Some(Self {
            value: ratio - 1.0,
            low,
            high: high.filter(|high| high.is_finite()),
        })
    }

    /// How likely chance alone makes a change as large as this one, if in truth it were not above `margin` in its
    /// direction: two-sided, from the interval, on the scale of logarithms. 1 where the interval is open.
    pub fn chance(&self, margin: f64) -> f64 {
        let bound = if self.value > 0.0 {
            self.low
        } else {
            self.high
        };
        let Some(bound) = bound else {
            return 1.0;
        };
        let limit = margin.copysign(self.value);
        let (value, bound, limit) = if self.value > -1.0 {
            (
                (1.0 + self.value).ln(),
                (1.0 + bound).ln(),
                (1.0 + limit).ln(),
            )
        } else {
            (self.value, bound, limit)
        };
        let beyond = (value - limit) * value.signum();
        if beyond <= 0.0 {
            return 1.0;
        }
        let half = (value - bound).abs();
        if half == 0.0 {
            return 0.0;
        }
        two_sided(Z * beyond / half)
    }

    /// Whether zero lies within the interval. An open side reaches as far as it may.
    pub fn holds_zero(&self) -> bool {
        self.low.is_none_or(|low| low <= 0.0) && self.high.is_none_or(|high| high >= 0.0)
    }
}

/// The probability that a normal variable lies further out than `z` (Abramowitz and Stegun, 7.1.26: within
/// 2e-7).
fn two_sided(z: f64) -> f64 {
    const TERMS: [f64; 5] = [
        0.254_829_592,
        -0.284_496_736,
        1.421_413_741,
        -1.453_152_027,
        1.061_405_429,
    ];
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let sum = TERMS.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    sum * (-x * x).exp()
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
        // ln(110/106) = 0.037 and ln(103/100) = 0.030.
        near(change.low.unwrap(), 1.1 * (-0.04739_f64).exp() - 1.0);
        near(change.high.unwrap(), 1.1 * 0.04689_f64.exp() - 1.0);
        assert!(!change.holds_zero());
        let open = Estimate {
            high: None,
            ..estimate(110.0, 4.0)
        };
        assert_eq!(estimate(100.0, 3.0).change_to(&open).unwrap().high, None);
        assert!(estimate(0.0, 0.0).change_to(&open).is_none());
    }

    #[test]
    fn no_interval_of_a_change_is_impossible() {
        let estimate = |value: f64, low: f64, high: f64| Estimate {
            value,
            low: Some(low),
            high: Some(high),
        };
        let wide = estimate(10.0, -15.0, 35.0);
        let change = estimate(8.0, 7.0, 9.0).change_to(&wide).unwrap();
        assert_eq!(change.low, Some(-1.0));
        assert!(change.high.unwrap() > 3.0);
        assert_eq!(wide.change_to(&estimate(8.0, 7.0, 9.0)).unwrap().high, None);
        let to_zero = estimate(0.1, 0.05, 0.2).change_to(&estimate(0.0, 0.0, 0.01));
        assert_eq!(to_zero.unwrap(), estimate(-1.0, -1.0, 0.01 / 0.05 - 1.0));
    }

    #[test]
    fn chance_is_that_of_the_tables() {
        near(two_sided(1.959_964), 0.05);
        near(two_sided(2.575_829), 0.01);
        let change = |value: f64, half: f64| Estimate {
            value: f64::exp(value) - 1.0,
            low: Some(f64::exp(value - half) - 1.0),
            high: Some(f64::exp(value + half) - 1.0),
        };
        for sign in [1.0, -1.0] {
            near(change(sign * 0.10, 0.10).chance(0.0), 0.05);
            assert!(change(sign * 0.10, 0.05).chance(0.0) < 1e-3);
            assert_eq!(change(sign * 0.01, 0.001).chance(0.02), 1.0);
        }
    }
}
