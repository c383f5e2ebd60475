//! Arrival processes. Given the seed, every due time is fixed before the first request is sent.

use llmuses_core::plan::{Arrivals, Gaps, Load, Split, Stages};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma};
use std::time::Duration;

/// Due times after the start of the run, ascending: without an end, but for stages.
#[derive(Debug)]
pub enum DueTimes {
    /// So many requests per second.
    Rate {
        /// Mean gap in seconds.
        mean_gap: f64,
        /// Where the gaps come from, in units of their mean.
        gaps: Box<GapSource>,
    },
    /// A rate that changes. Its requests are those of a process of rate 1 whose time is the integral of the rate, so that
    /// gaps are spread around the mean that belongs to their time.
    Stages {
        /// The rate.
        stages: Stages,
        /// Where the gaps come from, in units of their mean.
        gaps: Box<GapSource>,
    },
    /// Everything at the start.
    AtOnce,
}

/// The due times of an open loop; `None` for a closed one, which has no schedule, and for a trace, whose entries have it.
pub fn due_times(load: &Load) -> Option<DueTimes> {
    let seed = load.seed;
    match load.arrivals {
        Arrivals::Closed { .. } | Arrivals::Trace(_) => None,
        Arrivals::AllAtOnce => Some(DueTimes::AtOnce),
        Arrivals::Open { rate, gaps } => {
            let gaps = Box::new(GapSource::new(gaps, seed));
            Some(match load.stages.clone() {
                Some(stages) => DueTimes::Stages { stages, gaps },
                None => DueTimes::Rate {
                    mean_gap: 1.0 / rate,
                    gaps,
                },
            })
        }
    }
}

/// The requests that this process sends, by number, and when each is due. `requests`: how many there are, those of other
/// processes among them, where that is known.
pub fn own_due_times(
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
            Self::Stages { stages, gaps } => stages.time_of(gaps.next_event()),
            Self::Rate { mean_gap, gaps } => {
                // A rate so small that a due time is beyond what a Duration can hold is never due.
                let due = Duration::try_from_secs_f64(gaps.next_event() * *mean_gap);
                Some(due.unwrap_or(Duration::MAX))
            }
        }
    }
}

/// The events of a renewal process with gaps of mean 1.
#[derive(Debug)]
pub struct GapSource {
    gaps: UnitGaps,
    /// The sum of the gaps so far; of constant ones, their number.
    elapsed: f64,
    /// A generator whose numbers are the same in every version of this program.
    random: ChaCha8Rng,
}

#[derive(Debug)]
enum UnitGaps {
    Exponential,
    Constant,
    Gamma(Gamma<f64>),
}

impl GapSource {
    fn new(gaps: Gaps, seed: u64) -> Self {
        let gaps = match gaps {
            Gaps::Poisson => UnitGaps::Exponential,
            Gaps::Constant => UnitGaps::Constant,
            // The shape of a gamma distribution is 1 / CV², and the mean is shape × scale.
            Gaps::Gamma { cv } => Gamma::new(1.0 / (cv * cv), cv * cv)
                // A CV that no distribution has any more (it is 0, or infinite in effect).
                .map_or(UnitGaps::Constant, UnitGaps::Gamma),
        };
        Self {
            gaps,
            elapsed: 0.0,
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// When the next event is.
    fn next_event(&mut self) -> f64 {
        self.elapsed += match &self.gaps {
            // The gaps of a Poisson process are exponential; -ln(1 - u) turns a uniform u of [0, 1) into one of mean
            // 1 (inverse of the distribution function).
            UnitGaps::Exponential => -(1.0 - self.random.random::<f64>()).ln(),
            UnitGaps::Constant => 1.0,
            UnitGaps::Gamma(gamma) => gamma.sample(&mut self.random),
        };
        self.elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::plan::Shard;

    #[test]
    fn parts_of_a_schedule_are_the_whole_schedule() {
        let load = |shard| Load {
            arrivals: Arrivals::poisson(50.0),
            shard,
            ..Load::default()
        };
        let part = |shard| {
            let load = load(shard);
            own_due_times(due_times(&load).unwrap(), load.split(), Some(500))
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
            arrivals: Arrivals::poisson(100.0),
            shard: Shard::new(2, 4).unwrap(),
            ..Load::default()
        };
        let times = own_due_times(due_times(&load).unwrap(), load.split(), None);
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

    fn load(arrivals: Arrivals, seed: u64) -> Load {
        Load {
            arrivals,
            seed,
            ..Load::default()
        }
    }

    fn times(arrivals: Arrivals, seed: u64, number: usize) -> Vec<f64> {
        let times = due_times(&load(arrivals, seed)).unwrap().take(number);
        times.map(|due| due.as_secs_f64()).collect()
    }

    /// Mean and coefficient of variation of the gaps.
    fn gaps_of(times: &[f64]) -> (Vec<f64>, f64, f64) {
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        let cv = variance.sqrt() / mean;
        (gaps, mean, cv)
    }

    fn open(rate: f64, gaps: Gaps) -> Arrivals {
        Arrivals::Open { rate, gaps }
    }

    #[test]
    fn the_seed_fixes_the_schedule() {
        for gaps in [Gaps::Poisson, Gaps::Gamma { cv: 2.0 }] {
            let times = |seed| times(open(10.0, gaps), seed, 100);
            assert_eq!(times(1), times(1));
            assert_ne!(times(1), times(2));
            assert!(times(1).is_sorted());
        }
    }

    #[test]
    fn gaps_are_exponential() {
        let (gaps, mean, cv) = gaps_of(&times(Arrivals::poisson(200.0), 7, 100_000));
        assert!((mean * 200.0 - 1.0).abs() < 0.01, "{mean}");
        assert!((cv - 1.0).abs() < 0.02, "{cv}");
        // The share of gaps above the mean is 1/e for an exponential distribution.
        let above = gaps.iter().filter(|gap| **gap > mean).count() as f64 / gaps.len() as f64;
        assert!((above - (-1.0f64).exp()).abs() < 0.01, "{above}");
    }

    #[test]
    fn constant_gaps_are_equal_and_do_not_drift() {
        let times = times(open(500.0, Gaps::Constant), 7, 100_000);
        let (_, mean, cv) = gaps_of(&times);
        assert!((mean * 500.0 - 1.0).abs() < 1e-9, "{mean}");
        assert!(cv < 1e-5, "{cv}");
        assert!((times[99_999] - 200.0).abs() < 1e-8, "{}", times[99_999]);
    }

    #[test]
    fn gamma_gaps_vary_as_asked() {
        for cv in [0.3, 1.0, 2.0] {
            let gaps = Gaps::Gamma { cv };
            let (_, mean, found) = gaps_of(&times(open(200.0, gaps), 7, 400_000));
            assert!((mean * 200.0 - 1.0).abs() < 0.01, "{mean}");
            assert!((found / cv - 1.0).abs() < 0.01, "{cv}: {found}");
        }
    }

    #[test]
    fn stages_have_as_many_requests_as_their_rate_says() {
        let counts = |gaps| {
            let staged = Load {
                arrivals: open(400.0, gaps),
                stages: Some(
                    "rate:100@100s,100..400@100s,400..25exp@100s"
                        .parse()
                        .unwrap(),
                ),
                ..Load::default()
            };
            let mut counts = [0_u32; 3];
            let times: Vec<Duration> = due_times(&staged).unwrap().collect();
            assert!(times.is_sorted());
            for due in times {
                counts[(due.as_secs_f64() / 100.0).min(2.0) as usize] += 1;
            }
            counts.map(f64::from)
        };
        let exact = [10_000.0, 25_000.0, 37_500.0 / 16.0f64.ln()];
        for (found, exact) in counts(Gaps::Constant).into_iter().zip(exact) {
            assert!((found - exact).abs() <= 1.0, "{found} and {exact}");
        }
        for (found, exact) in counts(Gaps::Poisson).into_iter().zip(exact) {
            // Three standard deviations.
            assert!(
                (found - exact).abs() <= 3.0 * exact.sqrt(),
                "{found} and {exact}"
            );
        }
    }

    #[test]
    fn all_at_once_is_all_at_zero() {
        let mut times = due_times(&load(Arrivals::AllAtOnce, 1)).unwrap();
        assert!(times.by_ref().take(10).all(|due| due.is_zero()));
        assert!(due_times(&load(Arrivals::Closed { parallel: 3 }, 1)).is_none());
    }
}
