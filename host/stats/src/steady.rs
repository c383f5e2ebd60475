//! The steady state of a closed loop: the requests that ended while all its users were at work.

use super::running::RunStatistics;
use super::sample::Sample;
use llmuses_core::clock::Moment;
use std::collections::BTreeMap;
use std::time::Duration;

/// Collects them. The order of samples does not matter.
///
/// The window begins when all users are at work (after a ramp, and after the warm-up) and ends with the last request that
/// was sent: from then on users leave. A request belongs to it by its end, so that rates are those of the window.
#[derive(Debug)]
pub(super) struct Steady {
    /// When all users are at work.
    from: Moment,
    /// The first and the last request sent, of those that count.
    first_sent: Option<Moment>,
    last_sent: Moment,
    /// Those that ended after the last request that is known to have been sent, by their ends.
    waiting: BTreeMap<(Moment, u64), Sample>,
    statistics: RunStatistics,
}

impl Steady {
    /// None so far. `from`: when all users are at work; `empty`: statistics without a request.
    pub(super) fn new(from: Moment, empty: RunStatistics) -> Self {
        Self {
            from,
            first_sent: None,
            last_sent: Moment::default(),
            waiting: BTreeMap::new(),
            statistics: empty,
        }
    }

    pub(super) fn add(&mut self, sample: &Sample) {
        let exchange = &sample.outcome.exchange;
        if sample.warmup {
            if self.statistics.counts().completed == 0 {
                self.from = self.from.max(exchange.end);
            }
            return;
        }
        if let Some(sent) = exchange.sent {
            self.last_sent = self.last_sent.max(sent);
            self.first_sent = Some(self.first_sent.map_or(sent, |first| first.min(sent)));
        }
        let key = (exchange.end, exchange.number);
        self.waiting.insert(key, sample.clone());
        while let Some(first) = self.waiting.first_entry() {
            if first.key().0 > self.last_sent {
                break;
            }
            let sample = first.remove();
            if sample.outcome.exchange.end >= self.from {
                self.statistics.add(&sample);
            }
        }
    }

    /// The statistics of the window, where it begins and how long it is. `None`: no request ended in it.
    pub(super) fn window(&self) -> Option<(&RunStatistics, Moment, Duration)> {
        let begins = self.from.max(self.first_sent?);
        let length = self.last_sent.since(begins);
        (self.statistics.counts().completed > 0 && !length.is_zero()).then_some((
            &self.statistics,
            begins,
            length,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Origin;
    use llmuses_core::clock::Moment;

    fn sample(number: u64, sent: u64, end: u64, warmup: bool) -> Sample {
        let outcome = llmuses_samples::OutcomeBuilder::at(sent)
            .number(number)
            .sent(sent)
            .events(&[sent + 1, end])
            .end(end)
            .outputs(&[0, 1])
            .build();
        Sample::of(outcome, Origin::Sent, warmup)
    }

    fn counted(samples: &[Sample], from_millis: u64) -> Option<(u64, u64)> {
        let from = Moment::from_nanos(from_millis * 1_000_000);
        let mut steady = Steady::new(from, RunStatistics::new(Origin::Sent));
        samples.iter().for_each(|sample| steady.add(sample));
        let (statistics, _, length) = steady.window()?;
        let millis = u64::try_from(length.as_millis()).unwrap();
        Some((statistics.counts().completed, millis))
    }

    #[test]
    fn the_window_ends_with_the_last_request_sent() {
        // Two users with requests of 100 ms each; the last ones are sent at 300 and 350.
        let mut samples = Vec::new();
        for (number, sent) in [0, 50, 100, 150, 200, 250, 300, 350]
            .into_iter()
            .enumerate()
        {
            samples.push(sample(number as u64, sent, sent + 100, false));
        }
        // Those that end at 100, 150, 200, 250, 300 and 350.
        assert_eq!(counted(&samples, 0), Some((6, 350)));
        samples.reverse();
        assert_eq!(counted(&samples, 0), Some((6, 350)));
        // After a ramp of 200 ms.
        assert_eq!(counted(&samples, 200), Some((4, 150)));
        assert_eq!(counted(&samples[..1], 0), None);
    }

    #[test]
    fn the_window_begins_after_the_warm_up() {
        let samples = [
            sample(0, 0, 100, true),
            sample(1, 100, 200, false),
            sample(2, 200, 300, false),
            sample(3, 300, 400, false),
        ];
        assert_eq!(counted(&samples, 0), Some((2, 200)));
    }
}
