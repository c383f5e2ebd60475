//! What is drawn at random: generators, and lengths from their distributions.

use llmuses_core::lengths::{Lengths, MOST_TOKENS, NumberDistribution, Part};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Exp, LogNormal, Normal, Poisson, Zipf};

/// The part of the mix that a request belongs to.
pub(crate) fn part<'a>(lengths: &'a Lengths, random: &mut impl Rng) -> &'a Part {
    let parts = lengths.parts();
    let sum: f64 = parts.iter().map(|part| part.weight).sum();
    let mut left = random.random::<f64>() * sum;
    parts
        .iter()
        .find(|part| {
            left -= part.weight;
            left < 0.0
        })
        .unwrap_or(&parts[parts.len() - 1])
}

/// Draws of one length before the least one is taken. Distributions of which [`share_from`] says that enough of their
/// lengths are possible do not come near.
const MOST_DRAWS: u32 = 10_000;

/// Draws by which [`share_from`] estimates a share.
const ESTIMATING_DRAWS: u32 = 2_000;

/// One length, in tokens.
pub(crate) fn length(distribution: &NumberDistribution, random: &mut impl Rng) -> u32 {
    length_from(0, distribution, random)
}

/// One length of `least` tokens or more: what is shorter is drawn again.
pub(crate) fn length_from(
    least: u32,
    distribution: &NumberDistribution,
    random: &mut impl Rng,
) -> u32 {
    (0..MOST_DRAWS)
        .find_map(|_| try_length(least, distribution, random))
        .unwrap_or(least.max(1))
}

/// About what share of the lengths of a distribution are `least` tokens or more, and possible at all; of a range, 1 where
/// some are. The same each time.
pub(crate) fn share_from(least: u32, distribution: &NumberDistribution) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let possible = (0..ESTIMATING_DRAWS)
        .filter(|_| try_length(least, distribution, &mut random).is_some())
        .count();
    possible as f64 / f64::from(ESTIMATING_DRAWS)
}

/// A draw. `None`: it is below `least`, or no possible length. Of a range, only what is not below is drawn.
fn try_length(least: u32, distribution: &NumberDistribution, random: &mut impl Rng) -> Option<u32> {
    match *distribution {
        NumberDistribution::Fixed(length) => (length >= least).then_some(length),
        NumberDistribution::Uniform { min, max } => {
            (max >= least).then(|| random.random_range(min.max(least)..=max))
        }
        NumberDistribution::Normal { mean, deviation } => {
            sample(least, random, Normal::new(mean, deviation))
        }
        NumberDistribution::LogNormal { mean, deviation } => sample(
            least,
            random,
            LogNormal::from_mean_cv(mean, deviation / mean),
        ),
        NumberDistribution::Exponential { mean } => sample(least, random, Exp::new(1.0 / mean)),
        NumberDistribution::Poisson { mean } => sample(least, random, Poisson::new(mean)),
        NumberDistribution::Zipf { exponent, max } => {
            sample(least, random, Zipf::new(f64::from(max), exponent))
        }
    }
}

fn sample<D, E>(least: u32, random: &mut impl Rng, distribution: Result<D, E>) -> Option<u32>
where
    D: rand_distr::Distribution<f64>,
{
    // An error: its numbers are too large to calculate with.
    let length = distribution.ok()?.sample(random).round();
    let possible = f64::from(least.max(1))..=f64::from(MOST_TOKENS);
    possible.contains(&length).then_some(length as u32)
}

/// The generator of one request: a function of seed and number alone.
pub(crate) fn random_of(seed: u64, number: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(splitmix64(seed ^ splitmix64(number)))
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): neighbouring numbers give unrelated ones.
fn splitmix64(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_deviation(text: &str) -> (f64, f64) {
        let distribution: NumberDistribution = text.parse().unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let lengths: Vec<f64> = (0..50_000)
            .map(|_| f64::from(length(&distribution, &mut random)))
            .collect();
        let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
        let squares: f64 = lengths.iter().map(|length| (length - mean).powi(2)).sum();
        (mean, (squares / lengths.len() as f64).sqrt())
    }

    #[test]
    fn lengths_have_the_mean_and_deviation_asked_for() {
        for (text, mean, deviation) in [
            ("1024", 1024.0, 0.0),
            ("uniform:100..300", 200.0, 58.0),
            ("normal:1000,200", 1000.0, 200.0),
            ("lognormal:1000,500", 1000.0, 500.0),
            ("exponential:500", 500.0, 500.0),
            ("poisson:300", 300.0, 17.3),
        ] {
            let (got_mean, got_deviation) = mean_and_deviation(text);
            assert!((got_mean - mean).abs() <= mean * 0.02, "{text}: {got_mean}");
            assert!(
                (got_deviation - deviation).abs() <= deviation * 0.05,
                "{text}: {got_deviation}"
            );
        }
    }

    #[test]
    fn no_length_is_below_one_or_above_the_longest() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let normal: NumberDistribution = "normal:2,50".parse().unwrap();
        let zipf: NumberDistribution = "zipf:1.1,40".parse().unwrap();
        for _ in 0..10_000 {
            assert!(length(&normal, &mut random) >= 1);
            assert!((1..=40).contains(&length(&zipf, &mut random)));
        }
    }

    #[test]
    fn what_is_too_short_is_drawn_again() {
        for text in [
            "1..60",
            "normal:30,20",
            "lognormal:30,20",
            "exponential:30",
            "poisson:25",
            "zipf:1.2,400",
        ] {
            let distribution: NumberDistribution = text.parse().unwrap();
            assert!(share_from(20, &distribution) > 0.1, "{text}");
            let (mut all, mut enough) = (random_of(1, 2), random_of(1, 2));
            let whole: Vec<u32> = (0..5_000)
                .map(|_| length(&distribution, &mut all))
                .collect();
            let long: Vec<u32> = (0..1_000)
                .map(|_| length_from(20, &distribution, &mut enough))
                .collect();
            assert!(long.iter().all(|length| *length >= 20), "{text}");
            // Those that are long enough are the ones that would have been drawn anyway.
            if !matches!(distribution, NumberDistribution::Uniform { .. }) {
                let kept = whole.iter().filter(|length| **length >= 20);
                assert!(kept.zip(&long).all(|(one, other)| one == other), "{text}");
            }
        }
    }

    #[test]
    fn lengths_that_are_hardly_ever_possible_have_no_share_and_end() {
        for text in [
            "19",
            "1..19",
            "normal:10,1",
            "zipf:1.2,19",
            "lognormal:1,1e200",
            "lognormal:1,1e90",
        ] {
            let distribution: NumberDistribution = text.parse().unwrap();
            assert!(share_from(20, &distribution) < 0.01, "{text}");
            assert_eq!(length_from(20, &distribution, &mut random_of(1, 2)), 20);
        }
        for (text, share) in [("20", 1.0), ("1..20", 1.0), ("normal:20,0", 1.0)] {
            let distribution: NumberDistribution = text.parse().unwrap();
            assert_eq!(share_from(20, &distribution), share, "{text}");
        }
    }

    #[test]
    fn parts_of_a_mix_come_by_their_shares() {
        let lengths: Lengths = "70%:200,30%:8000".parse().unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let long = (0..20_000)
            .filter(|_| part(&lengths, &mut random).weight == 30.0)
            .count();
        assert!((5_700..6_300).contains(&long), "{long}");
    }
}
