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

/// One length, in tokens.
pub(crate) fn length(distribution: &NumberDistribution, random: &mut impl Rng) -> u32 {
    match *distribution {
        NumberDistribution::Fixed(length) => length,
        NumberDistribution::Uniform { min, max } => random.random_range(min..=max),
        NumberDistribution::Normal { mean, deviation } => {
            within(random, Normal::new(mean, deviation))
        }
        NumberDistribution::LogNormal { mean, deviation } => {
            within(random, LogNormal::from_mean_cv(mean, deviation / mean))
        }
        NumberDistribution::Exponential { mean } => within(random, Exp::new(1.0 / mean)),
        NumberDistribution::Poisson { mean } => within(random, Poisson::new(mean)),
        NumberDistribution::Zipf { exponent, max } => {
            within(random, Zipf::new(f64::from(max), exponent))
        }
    }
}

/// Draws until a length is possible. The mean is at least 1 and at most [`MOST_TOKENS`], so few draws are not.
fn within<D, E>(random: &mut impl Rng, distribution: Result<D, E>) -> u32
where
    D: rand_distr::Distribution<f64>,
{
    // The numbers were checked when the text was read.
    let Ok(distribution) = distribution else {
        return 1;
    };
    loop {
        let length = distribution.sample(random).round();
        if (1.0..=f64::from(MOST_TOKENS)).contains(&length) {
            return length as u32;
        }
    }
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
    fn parts_of_a_mix_come_by_their_shares() {
        let lengths: Lengths = "70%:200,30%:8000".parse().unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let long = (0..20_000)
            .filter(|_| part(&lengths, &mut random).weight == 30.0)
            .count();
        assert!((5_700..6_300).contains(&long), "{long}");
    }
}
