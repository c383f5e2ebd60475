//! Arrival processes. Given the seed, every due time is fixed before the first request is sent.

use llmuses_core::plan::{Arrivals, Split};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// An endless sequence of due times after the start of the run, ascending.
#[derive(Debug)]
pub enum DueTimes {
    /// A Poisson process of this many requests per second.
    Poisson {
        /// Mean gap in seconds.
        mean_gap: f64,
        /// Seconds up to the last due time.
        elapsed: f64,
        /// A generator whose numbers are the same in every version of this program.
        random: Box<ChaCha8Rng>,
    },
    /// Everything at the start.
    AtOnce,
}

/// The due times of an open loop; `None` for a closed one, which has no schedule.
pub fn due_times(arrivals: Arrivals, seed: u64) -> Option<DueTimes> {
    match arrivals {
        Arrivals::Closed { .. } => None,
        Arrivals::AllAtOnce => Some(DueTimes::AtOnce),
        Arrivals::Poisson { rate } => Some(DueTimes::Poisson {
            mean_gap: 1.0 / rate,
            elapsed: 0.0,
            random: Box::new(ChaCha8Rng::seed_from_u64(seed)),
        }),
    }
}

/// The requests that this process sends, by number, and when each is due. `requests`: how many there are, those of other
/// processes among them, where that is known.
pub(super) fn own(
    due_times: DueTimes,
    split: Split,
    requests: Option<u64>,
) -> impl Iterator<Item = (u64, Duration)> {
    (0..requests.unwrap_or(u64::MAX))
        .zip(due_times)
        .filter(move |(number, _)| split.takes(*number))
}

impl Iterator for DueTimes {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        match self {
            Self::AtOnce => Some(Duration::ZERO),
            Self::Poisson {
                mean_gap,
                elapsed,
                random,
            } => {
                // The gaps of a Poisson process are exponential; -ln(1 - u) turns a uniform u of
                // [0, 1) into one of mean 1 (inverse of the distribution function).
                let uniform: f64 = random.random();
                *elapsed += -(1.0 - uniform).ln() * *mean_gap;
                // A rate so small that a due time is beyond what a Duration can hold is never due.
                Some(Duration::try_from_secs_f64(*elapsed).unwrap_or(Duration::MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::plan::{Load, Shard};

    #[test]
    fn parts_of_a_schedule_are_the_whole_schedule() {
        let load = |shard| Load {
            arrivals: Arrivals::Poisson { rate: 50.0 },
            shard,
            ..Load::default()
        };
        let part = |shard| {
            let load = load(shard);
            own(
                due_times(load.arrivals, load.seed).unwrap(),
                load.split(),
                Some(500),
            )
        };
        let whole: Vec<(u64, Duration)> = part(Shard::default()).collect();
        assert_eq!(whole.len(), 500);
        for parts in 1..=17 {
            let mut sum: Vec<(u64, Duration)> = (0..parts)
                .flat_map(|number| part(Shard::new(number, parts).unwrap()))
                .collect();
            sum.sort();
            assert_eq!(sum, whole, "{parts} parts");
        }
    }

    #[test]
    fn a_part_of_a_poisson_process_is_one() {
        let load = Load {
            arrivals: Arrivals::Poisson { rate: 100.0 },
            shard: Shard::new(2, 4).unwrap(),
            ..Load::default()
        };
        let times = own(
            due_times(load.arrivals, load.seed).unwrap(),
            load.split(),
            None,
        );
        let times: Vec<f64> = times
            .take(20_000)
            .map(|(_, due)| due.as_secs_f64())
            .collect();
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean * 25.0 - 1.0).abs() < 0.03, "{mean}");
        // One is that of a Poisson process; requests dealt in turn would have one half.
        let variation = variance.sqrt() / mean;
        assert!((0.97..=1.03).contains(&variation), "{variation}");
    }

    #[test]
    fn the_seed_fixes_the_schedule() {
        let times = |seed| -> Vec<Duration> {
            due_times(Arrivals::Poisson { rate: 10.0 }, seed)
                .unwrap()
                .take(100)
                .collect()
        };
        assert_eq!(times(1), times(1));
        assert_ne!(times(1), times(2));
        assert!(times(1).is_sorted());
    }

    #[test]
    fn gaps_are_exponential() {
        let times: Vec<f64> = due_times(Arrivals::Poisson { rate: 200.0 }, 7)
            .unwrap()
            .take(100_000)
            .map(|due| due.as_secs_f64())
            .collect();
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean * 200.0 - 1.0).abs() < 0.01, "{mean}");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "{variance}");
        // The share of gaps above the mean is 1/e for an exponential distribution.
        let above = gaps.iter().filter(|gap| **gap > mean).count() as f64 / gaps.len() as f64;
        assert!((above - (-1.0f64).exp()).abs() < 0.01, "{above}");
    }

    #[test]
    fn all_at_once_is_all_at_zero() {
        let mut times = due_times(Arrivals::AllAtOnce, 1).unwrap();
        assert!(times.by_ref().take(10).all(|due| due.is_zero()));
        assert!(due_times(Arrivals::Closed { parallel: 3 }, 1).is_none());
    }
}
