//! The steady state of a closed loop: the requests that ended while all its users were at work.

use super::running::RunStatistics;
use super::sample::Sample;
use llmuses_core::clock::Moment;
use std::collections::BTreeMap;
use std::time::Duration;

/// Collects them. The order of samples does not matter, but where a request of the warm-up comes in behind others that
/// ended after it: those are left out.
///
/// The window begins when all users are at work (after a ramp, and after the warm-up) and ends with the last request that
/// was sent: from then on users leave. A request belongs to it by its end, so that rates are those of the window.
#[derive(Debug)]
pub(super) struct Steady {
    /// When all users are at work.
    from: Moment,
    /// The first and the last request sent, of those that count; one that was not sent has the time at which it was due.
    first_sent: Option<Moment>,
    last_sent: Moment,
    /// Those that ended after the last request that is known to have been sent, by their ends, without their texts.
    waiting: BTreeMap<(Moment, u64), Sample>,
    /// Statistics without a request.
    empty: RunStatistics,
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
            statistics: empty.clone(),
            empty,
        }
    }

    pub(super) fn add(&mut self, sample: &Sample) {
        let exchange = &sample.outcome.exchange;
        if sample.warmup {
            if exchange.end > self.from {
                self.from = exchange.end;
                if self.statistics.counts().over() > 0 {
                    self.statistics = self.empty.clone();
                }
            }
            return;
        }
        // Where nothing can be sent any more, what waits would grow without end.
        let sent = exchange.sent.unwrap_or(exchange.intended);
        self.last_sent = self.last_sent.max(sent);
        self.first_sent = Some(self.first_sent.map_or(sent, |first| first.min(sent)));
        let key = (exchange.end, exchange.number);
        self.waiting.insert(key, sample.without_texts());
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
        (self.statistics.counts().over() > 0 && !length.is_zero()).then_some((
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

    #[test]
    fn a_long_request_of_the_warm_up_moves_the_window() {
        let samples = [
            sample(2, 100, 200, false),
            sample(3, 200, 300, false),
            sample(4, 300, 400, false),
            sample(0, 0, 350, true),
            sample(5, 400, 500, false),
            sample(6, 500, 600, false),
        ];
        // Those that end at 400 and 500.
        assert_eq!(counted(&samples, 0), Some((2, 150)));
    }

    #[test]
    fn requests_that_were_never_sent_do_not_pile_up() {
        let mut steady = Steady::new(Moment::default(), RunStatistics::new(Origin::Sent));
        for number in 0..100 {
            let refused = llmuses_samples::OutcomeBuilder::at(number * 10)
                .number(number)
                .end(number * 10 + 5)
                .fails(llmuses_core::exchange::FailureKind::Connect, "refused")
                .build();
            steady.add(&Sample::of(refused, Origin::Sent, false));
        }
        assert_eq!(steady.waiting.len(), 1);
        assert_eq!(steady.statistics.counts().failed, 99);
    }

    #[test]
    fn what_waits_has_no_texts_and_the_same_figures() {
        let mut steady = Steady::new(Moment::default(), RunStatistics::new(Origin::Sent));
        let mut given = sample(0, 0, 100, false);
        given.outcome.exchange.request = r#"{"stream":true,"prompt":"a"}"#.into();
        steady.add(&given);
        let waiting = steady.waiting.values().next().unwrap();
        let (kept, exchange) = (&waiting.outcome.exchange, &given.outcome.exchange);
        assert!(kept.request.is_empty());
        assert!(kept.response.iter().all(<[u8]>::is_empty));
        assert_eq!(kept.response.bytes(), exchange.response.bytes());
        assert!(kept.response.arrivals().eq(exchange.response.arrivals()));
        assert_eq!(waiting.measured, given.measured);
    }
}
