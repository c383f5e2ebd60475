//! When the tokens of a request are due, and the chance that decides it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::config::{MAX_TIME, MockConfig};

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

/// By how much the requests that are being answered slow each other down.
#[derive(Debug, Clone)]
struct Load {
    busy: Arc<AtomicU64>,
    slowdown: f64,
}

/// The due times of a request's tokens, one after the other.
///
/// They are counted from its beginning on: a token that went out late does not move the next.
#[derive(Debug)]
pub(super) struct Schedule {
    dice: Dice,
    due: Instant,
    itl: Duration,
    jitter: Duration,
    load: Option<Load>,
}

impl Schedule {
    /// Begins at the first token of a request that is worked on from `begin` on, of whose prompt so many tokens have
    /// to be read; `busy` is how many requests are being answered.
    pub(super) fn new(
        config: &MockConfig,
        mut dice: Dice,
        begin: Instant,
        uncached: u64,
        busy: &Arc<AtomicU64>,
    ) -> Self {
        // At most the longest body's bytes times a day: far below what a duration holds.
        let prefill = config
            .prefill
            .saturating_mul(u32::try_from(uncached).unwrap_or(u32::MAX));
        let ttft = dice.around(config.ttft, config.ttft_jitter);
        Self {
            due: begin + ttft + prefill.min(MAX_TIME),
            dice,
            itl: config.itl,
            jitter: config.itl_jitter,
            load: (config.decode_slowdown > 0.0).then(|| Load {
                busy: Arc::clone(busy),
                slowdown: config.decode_slowdown,
            }),
        }
    }

    /// When the present token is due.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Goes on to the next token.
    pub(super) fn advance(&mut self) {
        let mut gap = self.dice.around(self.itl, self.jitter);
        if let Some(load) = &self.load {
            let others = load.busy.load(Ordering::Relaxed).saturating_sub(1);
            gap = gap
                .mul_f64(1.0 + load.slowdown * others as f64)
                .min(MAX_TIME);
        }
        self.due += gap;
    }

    /// Whether the time to the next token depends on how many requests are being answered by then.
    pub(super) fn depends_on_load(&self) -> bool {
        self.load.is_some()
    }

    /// Goes on by several tokens.
    pub(super) fn advance_by(&mut self, tokens: u64) {
        if self.jitter.is_zero() && self.load.is_none() {
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
        let busy = Arc::new(AtomicU64::new(5));
        let mut schedule = Schedule::new(&config(), Dice::new(1, 0), arrival, 100, &busy);
        assert_eq!(schedule.due(), arrival + Duration::from_millis(50));
        schedule.advance();
        schedule.advance_by(9);
        assert_eq!(schedule.due(), arrival + Duration::from_millis(150));
    }

    #[test]
    fn each_token_of_the_prompt_takes_its_time() {
        let begin = Instant::now();
        let config = MockConfig {
            prefill: Duration::from_micros(30),
            ..config()
        };
        let schedule = Schedule::new(&config, Dice::new(1, 0), begin, 1_000, &Arc::default());
        assert_eq!(schedule.due(), begin + Duration::from_millis(80));
    }

    #[test]
    fn each_further_request_slows_the_others_down() {
        let begin = Instant::now();
        let config = MockConfig {
            ttft: Duration::ZERO,
            decode_slowdown: 0.5,
            ..config()
        };
        let busy = Arc::new(AtomicU64::new(1));
        let mut schedule = Schedule::new(&config, Dice::new(1, 0), begin, 0, &busy);
        assert!(schedule.depends_on_load());
        schedule.advance();
        assert_eq!(schedule.due(), begin + Duration::from_millis(10));
        busy.store(5, Ordering::Relaxed);
        schedule.advance_by(2);
        assert_eq!(schedule.due(), begin + Duration::from_millis(70));
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
