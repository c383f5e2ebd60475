//! The last seconds of a run: what a person wants to see while it goes on.

use hdrhistogram::Histogram;
use llmuses_core::document::Percentile;
use std::collections::VecDeque;
use std::time::Duration;

/// How many whole seconds the figures cover.
const SECONDS: u64 = 10;

/// Significant decimal digits of the percentiles.
const DIGITS: u8 = 2;

/// Figures over the last seconds. `None`: nothing to compute it from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecentFigures {
    /// The time that they cover, in seconds: ten, or less at the start.
    pub seconds: f64,
    /// Requests begun per second.
    pub begun_per_second: Option<f64>,
    /// Requests completed per second.
    pub completed_per_second: Option<f64>,
    /// Output tokens of succeeded requests per second, counted when a request is over.
    pub output_tokens_per_second: Option<f64>,
    /// The median and the 99th percentile of the time to first token.
    pub ttft: Option<[Duration; 2]>,
    /// The median and the 99th percentile of the time per output token.
    pub tpot: Option<[Duration; 2]>,
}

/// One second.
#[derive(Debug)]
struct Second {
    index: u64,
    /// Requests begun before this second.
    begun_before: u64,
    completed: u64,
    output_tokens: u64,
    ttft: Histogram<u32>,
    tpot: Histogram<u32>,
}

/// Counts the last seconds, one by one; older ones are forgotten.
#[derive(Debug, Default)]
pub struct Recent {
    seconds: VecDeque<Second>,
}

impl Recent {
    /// Adds a request that is over. `elapsed`: since the start of the run; never goes back. `begun`:
    /// requests begun so far.
    pub fn record(
        &mut self,
        elapsed: Duration,
        begun: u64,
        output_tokens: u64,
        ttft: Option<Duration>,
        tpot: Option<Duration>,
    ) {
        let Some(second) = self.at(elapsed, begun) else {
            return;
        };
        second.completed += 1;
        second.output_tokens += output_tokens;
        for (histogram, time) in [(&mut second.ttft, ttft), (&mut second.tpot, tpot)] {
            if let Some(time) = time {
                // It resizes itself, and any time in microseconds fits.
                let _ = histogram.record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
            }
        }
    }

    /// The figures at a moment.
    pub fn figures(&mut self, elapsed: Duration, begun: u64) -> RecentFigures {
        // Makes the present second, so that a server that has fallen silent shows as silent.
        let _ = self.at(elapsed, begun);
        let Some(first) = self.seconds.front() else {
            return RecentFigures::default();
        };
        let span = elapsed.as_secs_f64() - first.index as f64;
        let per_second = |count: u64| (span > 0.0).then(|| count as f64 / span);
        let sum = |of: fn(&Second) -> u64| self.seconds.iter().map(of).sum::<u64>();
        RecentFigures {
            seconds: span,
            begun_per_second: per_second(begun.saturating_sub(first.begun_before)),
            completed_per_second: per_second(sum(|second| second.completed)),
            output_tokens_per_second: per_second(sum(|second| second.output_tokens)),
            ttft: percentiles(self.seconds.iter().map(|second| &second.ttft)),
            tpot: percentiles(self.seconds.iter().map(|second| &second.tpot)),
        }
    }

    fn at(&mut self, elapsed: Duration, begun: u64) -> Option<&mut Second> {
        let index = elapsed.as_secs();
        if self.seconds.back().is_none_or(|last| last.index < index) {
            // It refuses more than five digits only, and resizes itself.
            let histogram = || Histogram::new(DIGITS).ok();
            self.seconds.push_back(Second {
                index,
                begun_before: if index == 0 { 0 } else { begun },
                completed: 0,
                output_tokens: 0,
                ttft: histogram()?,
                tpot: histogram()?,
            });
        }
        while self
            .seconds
            .front()
            .is_some_and(|first| first.index + SECONDS <= index)
        {
            self.seconds.pop_front();
        }
        self.seconds.back_mut()
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

    const fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn figures_are_of_the_last_seconds() {
        let mut recent = Recent::default();
        assert_eq!(recent.figures(millis(0), 0).ttft, None);
        for tenth in 0..300 {
            let ttft = if tenth < 150 { 1000 } else { 50 };
            let at = millis(tenth * 100);
            recent.record(at, tenth + 1, 10, Some(millis(ttft)), Some(millis(10)));
        }
        let figures = recent.figures(millis(29_900), 300);
        assert!((figures.seconds - 9.9).abs() < 1e-9);
        let near = |figure: Option<f64>, expected: f64| {
            assert!(
                (figure.unwrap() / expected - 1.0).abs() < 0.02,
                "{figure:?}"
            );
        };
        near(figures.completed_per_second, 10.1);
        near(figures.begun_per_second, 10.0);
        near(figures.output_tokens_per_second, 101.0);
        near(figures.ttft.map(|ttft| ttft[1].as_secs_f64()), 0.050);
        near(figures.tpot.map(|tpot| tpot[0].as_secs_f64()), 0.010);
    }

    #[test]
    fn silence_shows() {
        let mut recent = Recent::default();
        recent.record(millis(500), 1, 10, Some(millis(50)), None);
        let figures = recent.figures(millis(60_000), 1);
        assert_eq!(figures.ttft, None);
        assert_eq!(figures.completed_per_second, None);
        let figures = recent.figures(millis(60_500), 1);
        assert_eq!(figures.completed_per_second, Some(0.0));
    }
}
