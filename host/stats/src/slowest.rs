//! The slowest requests of a run, for someone who wants to look into them.

use super::measure::Measurement;
use super::texts;
use llmuses_core::clock::Moment;
use llmuses_core::exchange::Outcome;
use llmuses_core::metric::{LATENCY, TPOT, TTFT};
use std::time::Duration;

/// How many are kept.
const KEPT: usize = 20;

/// One of the slowest requests.
#[derive(Debug, Clone, PartialEq)]
pub struct SlowRequest {
    /// Its place in the order of issue, from 0: the column `number` of the database.
    pub number: u64,
    /// When it was sent.
    pub sent: Option<Moment>,
    /// How long it took.
    pub latency: Duration,
    /// Its time to first token.
    pub ttft: Option<Duration>,
    /// Its time per output token.
    pub tpot: Option<Duration>,
    /// Its prompt, in tokens.
    pub prompt_tokens: Option<u64>,
    /// Its completion, in tokens.
    pub completion_tokens: Option<u64>,
    /// The beginning of its prompt, where texts are kept.
    pub prompt: Option<String>,
    /// The beginning of its answer, where texts are kept.
    pub answer: Option<String>,
}

/// The succeeded requests with the longest latencies, the longest first; of equal ones the earlier.
#[derive(Debug, Clone, Default)]
pub struct Slowest(Vec<SlowRequest>);

impl Slowest {
    /// Looks at a succeeded request. `texts`: whether the beginnings of prompt and answer are kept.
    pub fn record(&mut self, outcome: &Outcome, measured: &Measurement, texts: bool) {
        let exchange = &outcome.exchange;
        let key = |latency: Duration, number: u64| (std::cmp::Reverse(latency), number);
        let Some(latency) = measured.times[LATENCY] else {
            return;
        };
        let this = key(latency, exchange.number);
        let place = self
            .0
            .partition_point(|kept| key(kept.latency, kept.number) < this);
        if place >= KEPT {
            return;
        }
        self.0.truncate(KEPT - 1);
        let request = SlowRequest {
            number: exchange.number,
            sent: exchange.sent,
            latency,
            ttft: measured.times[TTFT],
            tpot: measured.times[TPOT],
            prompt_tokens: measured.prompt_tokens.map(|count| count.tokens),
            completion_tokens: measured.completion_tokens.map(|count| count.tokens),
            prompt: texts.then(|| texts::prompt(outcome)),
            answer: texts.then(|| texts::answer(outcome)).flatten(),
        };
        self.0.insert(place, request);
    }

    /// The requests, the slowest first.
    pub fn requests(&self) -> &[SlowRequest] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Origin;
    use llmuses_samples::{OutcomeBuilder, millis};

    #[test]
    fn the_longest_are_kept_in_order() {
        let mut slowest = Slowest::default();
        for number in 0..100_u64 {
            // 0, 37, 74, 11, …: every latency below 100 once, out of order.
            let latency = number * 37 % 100;
            let outcome = OutcomeBuilder::at(0)
                .number(number)
                .sent(0)
                .end(latency)
                .build();
            let measured = Measurement::of(&outcome, Origin::Sent);
            slowest.record(&outcome, &measured, latency == 99);
        }
        let latencies: Vec<_> = slowest.requests().iter().map(|slow| slow.latency).collect();
        let expected: Vec<_> = (80..100).rev().map(millis).collect();
        assert_eq!(latencies, expected);
        let prompts = slowest
            .requests()
            .iter()
            .filter_map(|slow| slow.prompt.as_deref());
        assert_eq!(prompts.collect::<Vec<&str>>(), [r#"{"model":"qwen"}"#]);
    }
}
