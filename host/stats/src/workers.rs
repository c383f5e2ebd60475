//! What each of several workers measured, and whether one measured something else than the others.

use super::sample::Sample;
use super::spread::Spread;
use llmuses_core::clock::Moment;
use llmuses_core::document::{Percentile, WorkerFigures};
use llmuses_core::metric::{DISPATCH_LAG, TTFT};
use llmuses_core::student::student;
use std::collections::BTreeMap;
use std::time::Duration;

/// The run is compared in parts of equal length, this many at most: what slows down all workers for a while is in the
/// same part for each.
const PARTS: usize = 20;

/// The fewest parts in which a worker can be compared with the others.
const FEWEST_PARTS: usize = 5;

/// A difference below this share of the mean does no harm.
const LEAST_SHARE: f64 = 0.05;

/// A difference below this time does no harm either.
const LEAST_SECONDS: f64 = 0.000_5;

/// A worker whose times to first token are other than those of the others, by more than chance.
#[derive(Debug, Clone, PartialEq)]
pub struct UnlikeWorker {
    /// How it is called.
    pub name: String,
    /// The mean of its times to first token, in seconds.
    pub mean_seconds: f64,
    /// By how many seconds that is more than the mean of the others.
    pub difference_seconds: f64,
    /// By how much that may be more or less by chance, in seconds.
    pub half_width_seconds: f64,
}

/// Times to first token within a second.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    seconds: f64,
    count: f64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.count += other.count;
    }
}

/// What the requests of one worker measured.
#[derive(Debug, Clone, Default)]
struct OfWorker {
    ttft: Spread,
    lag: Spread,
    /// By the second of the run in which they were due.
    seconds: BTreeMap<u64, Sum>,
}

/// What the requests of each worker measured.
#[derive(Debug, Clone)]
pub struct ByWorker {
    start: Moment,
    workers: BTreeMap<u32, OfWorker>,
}

impl ByWorker {
    /// Of a run that begins at `start`.
    pub fn new(start: Moment) -> Self {
        Self {
            start,
            workers: BTreeMap::new(),
        }
    }

    /// Adds a request, where one of several workers sent it and it counts.
    pub fn add(&mut self, sample: &Sample) {
        let Some(worker) = sample.worker.filter(|_| !sample.warmup) else {
            return;
        };
        let own = self.workers.entry(worker).or_default();
        let times = &sample.measured.times;
        if let Some(lag) = times[DISPATCH_LAG] {
            own.lag.record(lag);
        }
        if let Some(ttft) = times[TTFT].filter(|_| sample.outcome.succeeded()) {
            own.ttft.record(ttft);
            let due = sample.outcome.exchange.intended.since(self.start);
            own.seconds.entry(due.as_secs()).or_default().add(Sum {
                seconds: ttft.as_secs_f64(),
                count: 1.0,
            });
        }
    }

    /// Fills in what was measured.
    pub fn fill(&self, workers: &mut [WorkerFigures]) {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        for worker in workers {
            if let Some(own) = self.workers.get(&worker.worker) {
                worker.time_to_first_token_p50_seconds =
                    seconds(own.ttft.percentile(Percentile::P50));
                worker.dispatch_lag_p99_seconds = seconds(own.lag.percentile(Percentile::P99));
            }
        }
    }

    /// The workers that measured something else than the others together. In each part of the run the mean of a worker is
    /// compared with the mean of the others; the mean of these differences is tested with Student's t, at 5 % over all
    /// workers (Bonferroni: the interval is wider by the number of workers).
    pub fn unlike(&self, workers: &[WorkerFigures]) -> Vec<UnlikeWorker> {
        let seconds = self.workers.values().flat_map(|own| own.seconds.keys());
        let Some(last) = seconds.max() else {
            return Vec::new();
        };
        let length = (last + 1).div_ceil(PARTS as u64).max(1);
        let parts: BTreeMap<u32, BTreeMap<u64, Sum>> = self
            .workers
            .iter()
            .map(|(worker, own)| {
                let mut parts: BTreeMap<u64, Sum> = BTreeMap::new();
                for (second, sum) in &own.seconds {
                    parts.entry(second / length).or_default().add(*sum);
                }
                (*worker, parts)
            })
            .collect();
        let named = workers.iter();
        named
            .filter_map(|worker| unlike(worker, &parts, workers.len()))
            .collect()
    }
}

fn unlike(
    worker: &WorkerFigures,
    parts: &BTreeMap<u32, BTreeMap<u64, Sum>>,
    workers: usize,
) -> Option<UnlikeWorker> {
    let own = parts.get(&worker.worker)?;
    let mut differences = Vec::new();
    let mut all = Sum::default();
    for (part, sum) in own {
        let mut others = Sum::default();
        for (_, parts) in parts.iter().filter(|(other, _)| **other != worker.worker) {
            others.add(parts.get(part).copied().unwrap_or_default());
        }
        all.add(*sum);
        if others.count > 0.0 {
            differences.push(sum.seconds / sum.count - others.seconds / others.count);
        }
    }
    if differences.len() < FEWEST_PARTS {
        return None;
    }
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let squares: f64 = differences.iter().map(|one| (one - mean).powi(2)).sum();
    let error = (squares / (count - 1.0) / count).sqrt();
    let half_width = student(differences.len() as u64 - 1) * error * widening(workers);
    let mean_seconds = all.seconds / all.count;
    let limit = LEAST_SECONDS.max(mean_seconds * LEAST_SHARE);
    (mean.abs() - half_width > 0.0 && mean.abs() > limit).then(|| UnlikeWorker {
        name: worker.name.clone(),
        mean_seconds,
        difference_seconds: mean,
        half_width_seconds: half_width,
    })
}

/// By how much wider an interval of 95 % is that holds for so many comparisons together: the quantile of the normal
/// distribution at 1 − 0.025 / n over that at 0.975. √(2 ln (n / 0.025)) is above the former for each n.
fn widening(comparisons: usize) -> f64 {
    let n = comparisons.max(1) as f64;
    (2.0 * (n / 0.025).ln()).sqrt() / 1.959_964
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Origin;
    use llmuses_samples::OutcomeBuilder;

    fn workers(count: u32) -> Vec<WorkerFigures> {
        let named = (0..count).map(|worker| WorkerFigures {
            worker,
            name: format!("n{worker}"),
            ..WorkerFigures::default()
        });
        named.collect()
    }

    /// 30 requests a second for 20 seconds, dealt to three workers; `more` says how much later the first token comes.
    fn measured(more: impl Fn(u32, u64) -> u64) -> ByWorker {
        let mut by_worker = ByWorker::new(Moment::default());
        for number in 0..600_u64 {
            let worker = (number % 3) as u32;
            let due = number * 33;
            // Something that differs from request to request, the same for all workers in the long run.
            let noise = (number * 7919) % 23;
            let first = due + 100 + noise + more(worker, due);
            let outcome = OutcomeBuilder::at(due)
                .number(number)
                .sent(due + 1)
                .events(&[first, first + 10])
                .end(first + 20)
                .outputs(&[0, 1])
                .build();
            by_worker.add(&Sample {
                worker: Some(worker),
                ..Sample::of(outcome, Origin::Intended, false)
            });
        }
        by_worker
    }

    #[test]
    fn equal_workers_are_alike_though_the_server_is_not_the_same_all_the_time() {
        let by_worker = measured(|_, due| if due > 10_000 { 400 } else { 0 });
        let mut workers = workers(3);
        assert_eq!(by_worker.unlike(&workers), []);
        by_worker.fill(&mut workers);
        let lag = workers[2].dispatch_lag_p99_seconds.unwrap();
        assert!((lag - 0.001).abs() < 1e-4, "{lag}");
        assert!(workers[2].time_to_first_token_p50_seconds > Some(0.1));
    }

    #[test]
    fn a_worker_that_is_further_away_is_found() {
        let by_worker = measured(|worker, _| if worker == 1 { 40 } else { 0 });
        let found = by_worker.unlike(&workers(3));
        let names: Vec<&str> = found.iter().map(|worker| worker.name.as_str()).collect();
        // The others differ from a mean that has it in it.
        assert!(names.contains(&"n1"), "{names:?}");
        let far = found.iter().find(|worker| worker.name == "n1").unwrap();
        let error = (far.difference_seconds - 0.040).abs();
        assert!(error <= far.half_width_seconds + 0.001, "{far:?}");
    }

    #[test]
    fn a_difference_that_does_no_harm_is_none() {
        let by_worker = measured(|worker, _| u64::from(worker == 1) * 3);
        assert_eq!(by_worker.unlike(&workers(3)), []);
    }
}
