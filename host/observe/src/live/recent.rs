//! The last seconds of a run: what a person wants to see while it goes on.

use hdrhistogram::Histogram;
use llmuses_core::document::Percentile;
use llmuses_core::metric::{ByTime, Sums, Time};
use llmuses_stats::Sample;
use std::collections::VecDeque;
use std::time::Duration;

/// How many whole seconds the figures cover.
const SECONDS: u64 = 10;

/// Significant decimal digits of the percentiles.
const DIGITS: u8 = 2;

/// Figures over the last seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecentFigures {
    /// Requests begun.
    pub begun: u64,
    /// What the figures of the table are made of; the wall is the time that they cover: ten seconds, or less at the start.
    pub sums: Sums,
    /// The median and the 99th percentile of each time of [`Time::recent`]. `None`: no request had one.
    pub times: ByTime<Option<[Duration; 2]>>,
}

impl RecentFigures {
    /// The time that they cover, in seconds.
    pub fn seconds(&self) -> f64 {
        self.sums.wall_seconds.unwrap_or_default()
    }

    /// So many per second. `None` at the very start.
    fn per_second(&self, count: u64) -> Option<f64> {
        let seconds = self.seconds();
        (seconds > 0.0).then(|| count as f64 / seconds)
    }

    /// Requests begun per second.
    pub fn begun_per_second(&self) -> Option<f64> {
        self.per_second(self.begun)
    }

    /// Requests per second that are over, those that the client cancelled because of `--cancel` among them.
    pub fn over_per_second(&self) -> Option<f64> {
        self.per_second(self.sums.completed + self.sums.disconnected)
    }
}

/// One second.
#[derive(Debug)]
struct Second {
    index: u64,
    /// Requests begun before this second.
    begun_before: u64,
    succeeded: u64,
    failed: u64,
    disconnected: u64,
    output_tokens: u64,
    times: ByTime<Option<Histogram<u32>>>,
}

/// Counts the last seconds, one by one; older ones are forgotten.
#[derive(Debug, Default)]
pub struct Recent {
    seconds: VecDeque<Second>,
}

impl Recent {
    /// Adds a request that is over. `elapsed`: since the start of the run; never goes back. `begun`:
    /// requests begun so far. Of one that did not succeed nothing else is counted.
    pub fn record(&mut self, elapsed: Duration, begun: u64, sample: &Sample) {
        let second = self.at(elapsed, begun);
        if sample.outcome.is_disconnected() {
            second.disconnected += 1;
            return;
        }
        if sample.outcome.failed() {
            second.failed += 1;
            return;
        }
        second.succeeded += 1;
        let tokens = sample.measured.completion_tokens;
        second.output_tokens += tokens.map_or(0, |count| count.tokens);
        for (time, _) in Time::recent() {
            if let Some(histogram) = &mut second.times[time]
                && let Some(time) = sample.measured.times[time]
            {
                // It resizes itself, and any time in microseconds fits.
                let _ = histogram.record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
            }
        }
    }

    /// The figures at a moment.
    pub fn figures(&mut self, elapsed: Duration, begun: u64) -> RecentFigures {
        // Makes the present second, so that a server that has fallen silent shows as silent.
        self.at(elapsed, begun);
        let Some(first) = self.seconds.front() else {
            return RecentFigures::default();
        };
        let sum = |of: fn(&Second) -> u64| self.seconds.iter().map(of).sum::<u64>();
        let (succeeded, failed) = (sum(|second| second.succeeded), sum(|second| second.failed));
        let mut times = ByTime::default();
        for (time, _) in Time::recent() {
            let seconds = self.seconds.iter();
            times[time] = percentiles(seconds.filter_map(|second| second.times[time].as_ref()));
        }
        RecentFigures {
            begun: begun.saturating_sub(first.begun_before),
            sums: Sums {
                wall_seconds: Some(elapsed.as_secs_f64() - first.index as f64),
                completed: succeeded + failed,
                succeeded,
                failed,
                disconnected: sum(|second| second.disconnected),
                output_tokens: Some(sum(|second| second.output_tokens) as f64),
                ..Sums::default()
            },
            times,
        }
    }

    fn at(&mut self, elapsed: Duration, begun: u64) -> &mut Second {
        let index = elapsed.as_secs();
        let last = self.seconds.pop_back();
        let second = match last {
            Some(last) if last.index >= index => last,
            last => {
                self.seconds.extend(last);
                let mut times = ByTime::default();
                for (time, _) in Time::recent() {
                    // It refuses more than five digits only, and resizes itself.
                    times[time] = Histogram::new(DIGITS).ok();
                }
                Second {
                    index,
                    begun_before: if index == 0 { 0 } else { begun },
                    succeeded: 0,
                    failed: 0,
                    disconnected: 0,
                    output_tokens: 0,
                    times,
                }
            }
        };
        while self
            .seconds
            .front()
            .is_some_and(|first| first.index + SECONDS <= index)
        {
            self.seconds.pop_front();
        }
        self.seconds.push_back_mut(second)
    }
}

fn percentiles<'a>(seconds: impl Iterator<Item = &'a Histogram<u32>>) -> Option<[Duration; 2]> {
    let mut all = Histogram::<u32>::new(DIGITS).ok()?;
    for second in seconds {
        // Fails only where the values do not fit, and `all` resizes itself.
        let _ = all.add(second);
    }
    if all.is_empty() {
        return None;
    }
    let at = |percentile: Percentile| {
        let micros = all.value_at_quantile(percentile.share());
        Duration::from_micros(micros)
    };
    Some([at(Percentile::P50), at(Percentile::P99)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::exchange::{FailureKind, TokenSource};
    use llmuses_core::metric::{QPS, THROUGHPUT, TPOT, TTFT};
    use llmuses_samples::OutcomeBuilder;
    use llmuses_stats::Origin;

    const fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// A request that took so long to its first token, with ten output tokens 10 ms apart.
    fn request(ttft: u64) -> Sample {
        let outcome = OutcomeBuilder::at(0)
            .sent(0)
            .events(&[ttft, ttft + 90])
            .end(ttft + 90)
            .outputs(&[0, 1])
            .tokens(1, 10, TokenSource::Server)
            .build();
        Sample::of(outcome, Origin::Sent, false)
    }

    #[test]
    fn figures_are_of_the_last_seconds() {
        let mut recent = Recent::default();
        assert_eq!(recent.figures(millis(0), 0).times[TTFT], None);
        for tenth in 0..300 {
            let ttft = if tenth < 150 { 1000 } else { 50 };
            recent.record(millis(tenth * 100), tenth + 1, &request(ttft));
        }
        let figures = recent.figures(millis(29_900), 300);
        assert!((figures.seconds() - 9.9).abs() < 1e-9);
        let near = |figure: Option<f64>, expected: f64| {
            assert!(
                (figure.unwrap() / expected - 1.0).abs() < 0.02,
                "{figure:?}"
            );
        };
        near(figures.over_per_second(), 10.1);
        near(figures.begun_per_second(), 10.0);
        near(QPS.of(&figures.sums), 10.1);
        near(THROUGHPUT.of(&figures.sums), 101.0);
        near(figures.times[TTFT].map(|ttft| ttft[1].as_secs_f64()), 0.050);
        near(figures.times[TPOT].map(|tpot| tpot[0].as_secs_f64()), 0.010);
    }

    #[test]
    fn failed_and_disconnected_requests_are_told_apart() {
        let mut recent = Recent::default();
        for kind in [FailureKind::HttpStatus, FailureKind::Disconnected] {
            let outcome = OutcomeBuilder::at(0).sent(0).end(10).fails(kind, "why");
            let sample = Sample::of(outcome.build(), Origin::Sent, false);
            recent.record(millis(100), 3, &sample);
        }
        recent.record(millis(200), 3, &request(50));
        let figures = recent.figures(millis(1_000), 3);
        let sums = figures.sums;
        assert_eq!((sums.completed, sums.succeeded), (2, 1));
        assert_eq!((sums.failed, sums.disconnected), (1, 1));
        assert_eq!(figures.over_per_second(), Some(3.0));
    }

    #[test]
    fn silence_shows() {
        let mut recent = Recent::default();
        recent.record(millis(500), 1, &request(50));
        let figures = recent.figures(millis(60_000), 1);
        assert_eq!(figures.times[TTFT], None);
        assert_eq!(figures.over_per_second(), None);
        let figures = recent.figures(millis(60_500), 1);
        assert_eq!(figures.over_per_second(), Some(0.0));
    }
}
