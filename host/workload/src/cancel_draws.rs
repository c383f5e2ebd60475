//! Which requests the client cancels, and when.

use super::draw::{length, random_of};
use llmuses_core::plan::Cancellation;
use rand::RngExt;
use std::time::Duration;

/// Makes these draws differ from those of prompts.
const CANCEL: u64 = 0x63_61_6e_63_65_6c;

/// Draws the requests that the client cancels: a function of seed and number alone.
#[derive(Debug, Clone, Default)]
pub struct CancelDraws {
    plan: Option<Cancellation>,
    seed: u64,
}

impl CancelDraws {
    /// Draws for such requests; for none without a plan.
    pub fn new(plan: Option<Cancellation>, seed: u64) -> Self {
        Self {
            plan,
            seed: seed ^ CANCEL,
        }
    }

    /// How long after it was sent the request with this number is cancelled. `None`: it is not.
    pub fn of(&self, number: u64) -> Option<Duration> {
        let plan = self.plan.as_ref()?;
        let mut random = random_of(self.seed, number);
        if random.random::<f64>() >= plan.share() {
            return None;
        }
        let milliseconds = length(plan.milliseconds(), &mut random);
        Some(Duration::from_millis(milliseconds.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(plan: &str, seed: u64) -> Vec<Option<Duration>> {
        let draws = CancelDraws::new(Some(plan.parse().unwrap()), seed);
        (0..20_000).map(|number| draws.of(number)).collect()
    }

    #[test]
    fn a_share_of_the_requests_is_drawn_and_the_same_each_time() {
        let drawn = times("10%:uniform:100ms..300ms", 42);
        let some: Vec<&Duration> = drawn.iter().flatten().collect();
        assert!((1_900..2_100).contains(&some.len()), "{}", some.len());
        let mean = some.iter().map(|time| time.as_secs_f64()).sum::<f64>() / some.len() as f64;
        assert!((0.195..0.205).contains(&mean), "{mean}");
        assert_eq!(drawn, times("10%:uniform:100ms..300ms", 42));
        assert_ne!(drawn, times("10%:uniform:100ms..300ms", 43));
    }

    #[test]
    fn without_a_plan_none_is() {
        assert_eq!(CancelDraws::default().of(3), None);
    }
}
