//! When the tokens of a request are due, and the chance that decides it.

use std::time::{Duration, Instant};

use super::MockConfig;

/// The draws of one request: SplitMix64, begun from the seed and the request's number.
///
/// Requests with numbers of their own draw the same whatever else the server is doing.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64, request: u64) -> Self {
        // The request's number is mixed before it meets the seed: neighbouring seeds must not share requests.
        Self(seed ^ Self(request).draw())
    }

    /// The next draw, every value equally likely.
    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// True with this probability.
    pub(super) fn hits(&mut self, probability: f64) -> bool {
        // 53 bits are what the mantissa holds: from 0 up to, but never, 1.
        let share = (self.draw() >> 11) as f64 / (1_u64 << 53) as f64;
        share < probability
    }

    /// A time around `base`, up to `jitter` to either side, never below zero.
    fn around(&mut self, base: Duration, jitter: Duration) -> Duration {
        let reach = nanos(jitter);
        if reach == 0 {
            return base;
        }
        // The remainder favours small values by less than one in a hundred thousand even for a day of jitter.
        let shifted = nanos(base) + self.draw() % (2 * reach + 1);
        Duration::from_nanos(shifted.saturating_sub(reach))
    }
}

/// Nanoseconds of a time that is at most a day, as the configuration's check saw to.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4)
}

/// The due times of a request's tokens, one after the other.
///
/// They are counted from the arrival on: a token that went out late does not move the next.
#[derive(Debug)]
pub(super) struct Schedule {
    dice: Dice,
    due: Instant,
    itl: Duration,
    jitter: Duration,
}

impl Schedule {
    /// Begins at the first token of a request that arrived at `arrival`.
    pub(super) fn new(config: &MockConfig, mut dice: Dice, arrival: Instant) -> Self {
        Self {
            due: arrival + dice.around(config.ttft, config.ttft_jitter),
            dice,
            itl: config.itl,
            jitter: config.itl_jitter,
        }
    }

    /// When the present token is due.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Goes on to the next token.
    pub(super) fn advance(&mut self) {
        self.due += self.dice.around(self.itl, self.jitter);
    }

    /// Goes on by several tokens.
    pub(super) fn advance_by(&mut self, tokens: u64) {
        if self.jitter.is_zero() {
            self.due += self
                .itl
                .saturating_mul(u32::try_from(tokens).unwrap_or(u32::MAX));
        } else {
            (0..tokens).for_each(|_| self.advance());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> MockConfig {
        MockConfig {
            ttft: Duration::from_millis(50),
            itl: Duration::from_millis(10),
            ..MockConfig::default()
        }
    }

    #[test]
    fn without_jitter_tokens_are_due_at_fixed_distances() {
        let arrival = Instant::now();
        let mut schedule = Schedule::new(&config(), Dice::new(1, 0), arrival);
        assert_eq!(schedule.due(), arrival + Duration::from_millis(50));
        schedule.advance();
        schedule.advance_by(9);
        assert_eq!(schedule.due(), arrival + Duration::from_millis(150));
    }

    #[test]
    fn jitter_stays_within_its_reach_and_goes_both_ways() {
        let mut dice = Dice::new(7, 3);
        let (base, jitter) = (Duration::from_millis(10), Duration::from_millis(4));
        let times: Vec<_> = (0..10_000).map(|_| dice.around(base, jitter)).collect();
        assert!(
            times
                .iter()
                .all(|time| (base - jitter..=base + jitter).contains(time))
        );
        let mean = times.iter().sum::<Duration>() / 10_000;
        assert!(mean.abs_diff(base) < Duration::from_micros(100));
        assert!(times.iter().any(|time| *time < base - jitter / 2));
    }

    #[test]
    fn a_jitter_beyond_the_base_stops_at_zero() {
        let mut dice = Dice::new(7, 3);
        let (base, jitter) = (Duration::from_millis(1), Duration::from_millis(10));
        let times: Vec<_> = (0..1_000).map(|_| dice.around(base, jitter)).collect();
        assert!(times.contains(&Duration::ZERO));
        assert!(times.iter().all(|time| *time <= base + jitter));
    }

    #[test]
    fn draws_follow_from_seed_and_number_alone() {
        let draws = |seed, request| {
            let mut dice = Dice::new(seed, request);
            [dice.draw(), dice.draw()]
        };
        assert_eq!(draws(1, 2), draws(1, 2));
        assert_ne!(draws(1, 2), draws(2, 1));
        assert_ne!(draws(1, 2), draws(1, 3));
    }

    #[test]
    fn errors_come_as_often_as_asked() {
        let hits = |probability| {
            (0..10_000)
                .filter(|request| Dice::new(5, *request).hits(probability))
                .count()
        };
        assert_eq!(hits(0.0), 0);
        assert_eq!(hits(1.0), 10_000);
        assert!((2_000..3_000).contains(&hits(0.25)));
    }
}
