//! Whether a share of requests is above or below a bound, looked at as often as one likes while requests come in.
//!
//! Requests are counted as a binomial share, and the bound is tested by the beta-binomial mixture martingale: with `s` of
//! `n` requests and a prior Beta(a, b),
//!
//! M(p) = B(a + s, b + n − s) / B(a, b) / (pˢ (1 − p)ⁿ⁻ˢ)
//!
//! is a martingale with mean 1 where p is the true share, so that the chance that it ever reaches 1/α is α at most (Ville).
//! The shares with M(p) < 1/α are an interval that holds the true one at all times together with a chance of 1 − α: a
//! confidence sequence (Robbins, *Annals of Mathematical Statistics* 41, 1970; Howard, Ramdas, McAuliffe and Sekhon,
//! *Annals of Statistics* 49, 2021). That a percentile is below a bound is the same as that fewer requests than the rest of
//! the share are longer (Howard and Ramdas, *Bernoulli* 28, 2022).
//!
//! Requests that wait in the same queue are not independent: long ones come together. As usual for correlated samples, both
//! numbers are divided by the design effect before they are tested: how many times the variance of the number of long
//! requests in a batch of successive ones is that of independent ones, the most over batches of 1, 2, 4, ... requests of
//! which there are 16 at least (batch means: Law, *Simulation Modeling and Analysis*, 9.5.3). It is measured at the bound, and
//! at the times that five times the share of the bound reaches, and the half of that, the quarter, ... down to 32 requests;
//! the largest counts, for requests as long as the bound may be too few to show how they come together. A queue that changes slowly shows in no
//! batches of few requests, so that a search decides nothing before 1000.

use llmuses_core::document::ObjectiveOutcome;

/// The tail in which groups of long requests are measured, in shares of the bound.
const TAIL: f64 = 5.0;

/// Groups of long requests are measured on so many of them at least.
const LONG: usize = 32;

/// Requests before which nothing is decided, for a share that is to be known well.
pub const FEWEST_REQUESTS: u64 = 1000;

/// The batches of one size, at least.
const FEWEST_BATCHES: usize = 16;

/// The test of one share.
#[derive(Debug, Clone)]
pub(super) struct ShareTest {
    /// A request with this value or a higher one is counted.
    level: f64,
    share: f64,
    below: bool,
    /// Requests before which nothing is decided.
    fewest: u64,
    values: Vec<f64>,
}

/// What a share is, after some requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShareFound {
    /// Requests.
    pub requests: u64,
    /// Of these, the counted ones.
    pub counted: u64,
    /// The lower bound of the share.
    pub low: f64,
    /// The upper bound of the share.
    pub high: f64,
    /// How many requests say as much as one independent request.
    pub design_effect: f64,
    /// Whether the share keeps its bound.
    pub outcome: ObjectiveOutcome,
    /// Requests that would decide it, if the share stays as it is. `None`: it is decided, or lies on the bound.
    pub needed: Option<u64>,
}

impl ShareTest {
    /// A test of whether the share of values of `level` and more is below `share`, or above it. `share`: above 0 and below 1.
    /// `fewest`: requests before which nothing is decided.
    pub(super) fn new(level: f64, share: f64, below: bool, fewest: u64) -> Self {
        Self {
            level,
            share,
            below,
            fewest,
            values: Vec::new(),
        }
    }

    /// Adds the next request, in the order in which requests were due.
    pub(super) fn add(&mut self, value: f64) {
        self.values.push(value);
    }

    #[cfg(test)]
    pub(super) fn requests(&self) -> usize {
        self.values.len()
    }

    /// What the share is now. `error`: the chance that the test, looked at as often as one likes, ever decides wrongly.
    pub(super) fn look(&self, error: f64) -> ShareFound {
        let requests = self.values.len();
        let counted = self
            .values
            .iter()
            .filter(|value| **value >= self.level)
            .count();
        let design_effect = self.design_effect();
        let (n, s) = (
            requests as f64 / design_effect,
            counted as f64 / design_effect,
        );
        let mixture = Mixture::about(self.share);
        let limit = (1.0 / error).ln();
        let reached = requests as u64 >= self.fewest && mixture.log(n, s, self.share) >= limit;
        let is_below = s < n * self.share;
        let outcome = match (reached, is_below == self.below) {
            (false, _) => ObjectiveOutcome::NotDecided,
            (true, true) => ObjectiveOutcome::Met,
            (true, false) => ObjectiveOutcome::Missed,
        };
        let (low, high) = mixture.interval(n, s, limit);
        ShareFound {
            requests: requests as u64,
            counted: counted as u64,
            low,
            high,
            design_effect,
            outcome,
            needed: match outcome {
                ObjectiveOutcome::NotDecided => self.needed(n, s, design_effect, limit),
                _ => None,
            },
        }
    }

    /// The martingale grows by the divergence of the share from its bound with each request, less about half the logarithm
    /// of their number.
    fn needed(&self, n: f64, s: f64, design_effect: f64, limit: f64) -> Option<u64> {
        let found = if n > 0.0 { s / n } else { return None };
        let part = |p: f64, q: f64| if p > 0.0 { p * (p / q).ln() } else { 0.0 };
        let divergence = part(found, self.share) + part(1.0 - found, 1.0 - self.share);
        let mut needed = limit / divergence;
        for _ in 0..8 {
            needed = (limit + 0.5 * (1.0 + needed * self.share).ln() + 1.0) / divergence;
        }
        let all = needed * design_effect;
        (all.is_finite() && all < 1e9).then(|| (all.ceil() as u64).max(self.fewest))
    }

    /// How many requests say as much as one independent one.
    fn design_effect(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let mut largest = self.design_effect_at(self.level);
        let tail = (TAIL * self.share.min(1.0 - self.share)).min(0.5);
        let mut longer = (sorted.len() as f64 * tail) as usize;
        while longer >= LONG {
            largest = largest.max(self.design_effect_at(sorted[sorted.len() - longer]));
            longer /= 2;
        }
        largest
    }

    /// The same of the requests of this value or a higher one.
    fn design_effect_at(&self, level: f64) -> f64 {
        let is_long = |value: &f64| f64::from(u8::from(*value >= level));
        let mut sums: Vec<f64> = self.values.iter().map(is_long).collect();
        let share = sums.iter().sum::<f64>() / sums.len() as f64;
        let variance = share * (1.0 - share);
        let (mut size, mut largest) = (1.0, 1.0_f64);
        while variance > 0.0 && sums.len() / 2 >= FEWEST_BATCHES {
            sums = sums.chunks_exact(2).map(|pair| pair[0] + pair[1]).collect();
            size *= 2.0;
            let mean = share * size;
            let squares: f64 = sums.iter().map(|sum| (sum - mean).powi(2)).sum();
            largest = largest.max(squares / sums.len() as f64 / (size * variance));
        }
        largest
    }
}

/// The prior of the mixture.
#[derive(Debug, Clone, Copy)]
struct Mixture {
    a: f64,
    b: f64,
}

impl Mixture {
    /// With the bound as its mean, and worth half of the rarer event: Beta(1/2, 1/2) for a bound of one half.
    fn about(share: f64) -> Self {
        let all = 0.5 / share.min(1.0 - share);
        Self {
            a: all * share,
            b: all * (1.0 - share),
        }
    }

    /// The logarithm of the martingale for the share `p`.
    fn log(self, n: f64, s: f64, p: f64) -> f64 {
        let Self { a, b } = self;
        log_beta(a + s, b + n - s) - log_beta(a, b) - s * p.ln() - (n - s) * (1.0 - p).ln()
    }

    /// The shares whose martingale is below its limit.
    fn interval(self, n: f64, s: f64, limit: f64) -> (f64, f64) {
        if n <= 0.0 {
            return (0.0, 1.0);
        }
        let found = s / n;
        // It falls up to the share that was found, and rises from there.
        let edge = |mut inside: f64, mut outside: f64| {
            for _ in 0..60 {
                let middle = (inside + outside) / 2.0;
                if self.log(n, s, middle) < limit {
                    inside = middle;
                } else {
                    outside = middle;
                }
            }
            inside
        };
        let low = if s > 0.0 { edge(found, 0.0) } else { 0.0 };
        let high = if s < n { edge(found, 1.0) } else { 1.0 };
        (low, high)
    }
}

fn log_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Looks at each tenth more requests, and gives back the outcome that is reached within so many requests.
    fn outcome(share: f64, bound: f64, error: f64, most: usize, seed: u64) -> ObjectiveOutcome {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut test = ShareTest::new(1.0, bound, true, FEWEST_REQUESTS);
        let mut next = 50;
        while test.requests() < most {
            test.add(f64::from(u8::from(random.random::<f64>() < share)));
            if test.requests() >= next {
                next += next / 10;
                match test.look(error).outcome {
                    ObjectiveOutcome::NotDecided => {}
                    decided => return decided,
                }
            }
        }
        ObjectiveOutcome::NotDecided
    }

    #[test]
    fn a_share_is_decided_and_one_on_its_bound_is_not() {
        let count = |share: f64, wanted: ObjectiveOutcome| {
            (0..40)
                .filter(|seed| outcome(share, 0.1, 0.05, 4000, *seed) == wanted)
                .count()
        };
        assert_eq!(count(0.05, ObjectiveOutcome::Met), 40);
        assert_eq!(count(0.15, ObjectiveOutcome::Missed), 40);
        // The error is 5 % at most, over all looks together.
        assert!(count(0.1, ObjectiveOutcome::NotDecided) >= 38);
    }

    #[test]
    fn no_long_request_says_something_once_there_are_enough() {
        let mut test = ShareTest::new(0.2, 0.01, true, FEWEST_REQUESTS);
        let mut decided = 0;
        for number in 0..2000 {
            test.add(0.05 + f64::from(number % 7) * 1e-3);
            if decided == 0 && number % 50 == 49 && test.look(0.05).outcome == ObjectiveOutcome::Met
            {
                decided = test.requests();
            }
        }
        assert_eq!(decided, 1000);
        let found = test.look(0.05);
        assert_eq!((found.low, found.counted), (0.0, 0));
        assert!(found.high < 0.01, "{found:?}");
    }

    #[test]
    fn requests_that_come_in_groups_count_for_fewer() {
        let mut alone = ShareTest::new(1.0, 0.05, true, FEWEST_REQUESTS);
        let mut groups = ShareTest::new(1.0, 0.05, true, FEWEST_REQUESTS);
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut in_group = false;
        for _ in 0..8000 {
            alone.add(f64::from(u8::from(random.random::<f64>() < 0.02)));
            if random.random::<f64>() < 0.05 {
                in_group = random.random::<f64>() < 0.02;
            }
            groups.add(f64::from(u8::from(in_group)));
        }
        let (alone, groups) = (alone.look(0.05), groups.look(0.05));
        assert!(alone.design_effect < 2.0, "{alone:?}");
        // Groups of 20 on average, of random length: (1 + 0.95) / (1 − 0.95) = 39.
        assert!((15.0..100.0).contains(&groups.design_effect), "{groups:?}");
        assert!(groups.high - groups.low > 3.0 * (alone.high - alone.low));
    }

    #[test]
    fn what_is_not_decided_says_how_many_requests_it_takes() {
        let mut test = ShareTest::new(1.0, 0.10, true, FEWEST_REQUESTS);
        for number in 0..200 {
            test.add(f64::from(u8::from(number % 20 == 0)));
        }
        let found = test.look(0.001);
        assert_eq!(found.outcome, ObjectiveOutcome::NotDecided);
        let needed = found.needed.unwrap();
        assert!((1000..2000).contains(&needed), "{needed}");
        for number in 200..needed {
            test.add(f64::from(u8::from(number % 20 == 0)));
        }
        assert_eq!(test.look(0.001).outcome, ObjectiveOutcome::Met);
        assert_eq!(
            ShareTest::new(1.0, 0.1, true, FEWEST_REQUESTS)
                .look(0.05)
                .needed,
            None
        );
    }
}
