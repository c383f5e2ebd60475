//! How right the measurements of this machine are: what was measured beside what the mock server
//! did, level by level, as a table and as JSON.

mod kept;

pub use kept::{KeepError, Kept, beyond};

use crate::ground_truth::{GroundTruth, TrueSpread};
use crate::run::RunResult;
use llmuses_core::document::Percentile;
use llmuses_core::metric;
use llmuses_core::plan::Arrivals;
use llmuses_stats::Spread;
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// What was measured less what happened, in seconds. Absent where either is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpreadError {
    /// Of the mean.
    pub mean: Option<f64>,
    /// Of the median.
    pub p50: Option<f64>,
    /// Of the 99th percentile.
    pub p99: Option<f64>,
    /// Of the maximum.
    pub max: Option<f64>,
}

impl SpreadError {
    fn of(truth: &TrueSpread, measured: &Spread) -> Self {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let less = |measured: Option<f64>, truth: Option<f64>| Some(measured? - truth?);
        Self {
            mean: less(measured.mean_seconds(), truth.mean),
            p50: less(seconds(measured.percentile(Percentile::P50)), truth.p50),
            p99: less(seconds(measured.percentile(Percentile::P99)), truth.p99),
            max: less(seconds(measured.max()), truth.max),
        }
    }
}

/// One run beside the truth.
#[derive(Debug, Clone, PartialEq)]
pub struct TruthComparison {
    /// Of the time to first token.
    pub ttft: SpreadError,
    /// Of the gaps between tokens.
    pub itl: SpreadError,
    /// The median time to first token that the server gave, in seconds.
    pub true_ttft_p50: Option<f64>,
    /// The 99th percentile of the gaps that the server gave, in seconds.
    pub true_itl_p99: Option<f64>,
    /// The share of a processor that the client threads took together.
    pub client_cpu: f64,
    /// The share of gaps that came in one read, 0 to 1.
    pub coalesced: f64,
    /// Output chunks of all streams together, per second.
    pub chunks_per_second: Option<f64>,
    /// Requests that failed.
    pub failed: u64,
    /// Whether every response was stamped by the kernel.
    pub kernel_stamped: bool,
}

impl TruthComparison {
    /// Holds a run against what the server says it did.
    pub fn of(truth: &GroundTruth, result: &RunResult) -> Self {
        let counts = result.statistics.counts();
        Self {
            ttft: SpreadError::of(&truth.ttft_seconds, result.statistics.time(metric::TTFT)),
            itl: SpreadError::of(&truth.itl_seconds, result.statistics.time(metric::ITL)),
            true_ttft_p50: truth.ttft_seconds.p50,
            true_itl_p99: truth.itl_seconds.p99,
            client_cpu: result.circumstances.client_busy.iter().sum(),
            coalesced: result.statistics.coalesced_share().unwrap_or(0.0),
            chunks_per_second: result
                .statistics
                .wall()
                .filter(|wall| !wall.is_zero())
                .map(|wall| counts.packages as f64 / wall.as_secs_f64()),
            failed: counts.failed,
            kernel_stamped: counts.read_stamped == 0,
        }
    }
}

/// The runs of one level of load.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// The load.
    pub arrivals: Arrivals,
    /// The runs.
    pub runs: Vec<TruthComparison>,
}

impl Level {
    /// The median of a figure over the runs.
    fn median(&self, figure: impl Fn(&TruthComparison) -> Option<f64>) -> Option<f64> {
        let mut values: Vec<f64> = self.runs.iter().filter_map(figure).collect();
        values.sort_by(f64::total_cmp);
        // The upper one of an even number.
        values.get(values.len() / 2).copied()
    }

    /// Whether the time to first token (median and p99) and the gaps (p99) were within `bound` of the
    /// truth: given the truth, it gives the bound in seconds.
    fn is_within(&self, bound: impl Fn(f64) -> f64) -> bool {
        let checks = [
            (
                self.median(|run| run.ttft.p50),
                self.median(|run| run.true_ttft_p50),
            ),
            (
                self.median(|run| run.ttft.p99),
                self.median(|run| run.true_ttft_p50),
            ),
            (
                self.median(|run| run.itl.p99),
                self.median(|run| run.true_itl_p99),
            ),
        ];
        checks
            .into_iter()
            .all(|(error, truth)| match (error, truth) {
                (Some(error), Some(truth)) => error.abs() <= bound(truth),
                _ => true,
            })
    }
}

/// A level in words.
pub fn describe(arrivals: &Arrivals) -> String {
    match arrivals {
        Arrivals::Closed { parallel: 1 } => "1 stream".to_owned(),
        Arrivals::Closed { parallel } => format!("{parallel} streams"),
        Arrivals::Open { rate, .. } => format!("{rate} requests/s"),
        Arrivals::AllAtOnce | Arrivals::Trace(_) => arrivals.name(),
    }
}

/// The levels as a table, errors in milliseconds, and up to which load they are small.
pub fn table(levels: &[Level]) -> String {
    let mut text = String::from(
        "What was measured less what the server did, in milliseconds (medians over the runs):\n\n",
    );
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        " {:<18}|{:^35}|{:^35}|{:>8}{:>10}{:>8}\n {:<18}|{:>8}{:>9}{:>9}{:>9}|{:>8}{:>9}{:>9}{:>9}|{:>8}{:>10}{:>8}",
        "",
        "time to first token",
        "inter-token latency",
        "client",
        "one read",
        "",
        "load",
        "mean",
        "p50",
        "p99",
        "max",
        "mean",
        "p50",
        "p99",
        "max",
        "CPU",
        "for two",
        "failed",
    );
    for level in levels {
        let error = |figure: fn(&TruthComparison) -> Option<f64>| match level.median(figure) {
            Some(seconds) => format!("{:+.3}", seconds * 1e3),
            None => "-".to_owned(),
        };
        let percent = |figure: fn(&TruthComparison) -> f64| {
            format!(
                "{:.1} %",
                100.0 * level.median(|run| Some(figure(run))).unwrap_or_default()
            )
        };
        let _ = writeln!(
            text,
            " {:<18}|{:>8}{:>9}{:>9}{:>9}|{:>8}{:>9}{:>9}{:>9}|{:>8}{:>10}{:>8}",
            describe(&level.arrivals),
            error(|run| run.ttft.mean),
            error(|run| run.ttft.p50),
            error(|run| run.ttft.p99),
            error(|run| run.ttft.max),
            error(|run| run.itl.mean),
            error(|run| run.itl.p50),
            error(|run| run.itl.p99),
            error(|run| run.itl.max),
            percent(|run| run.client_cpu),
            percent(|run| run.coalesced),
            level.runs.iter().map(|run| run.failed).sum::<u64>(),
        );
    }
    text.push('\n');
    for (name, bound) in BOUNDS {
        let _ = writeln!(text, " Within {name}: {}.", up_to(levels, bound));
    }
    if levels
        .iter()
        .flat_map(|level| &level.runs)
        .any(|run| !run.kernel_stamped)
    {
        text.push_str(
            " Arrivals were not all stamped by the kernel: some are of the return of a read.\n",
        );
    }
    text
}

/// The largest error that is still within a bound, for a true value; both in seconds.
type Bound = fn(f64) -> f64;

/// The bounds that a user asks about, with their names.
const BOUNDS: [(&str, Bound); 2] = [("1 ms", |_| 1e-3), ("5 %", |truth| 0.05 * truth)];

/// The highest level up to which every level is within the bound.
fn up_to(levels: &[Level], bound: Bound) -> String {
    let good = levels
        .iter()
        .take_while(|level| level.is_within(bound))
        .count();
    match good.checked_sub(1).map(|last| &levels[last]) {
        None => "at no level that was tried".to_owned(),
        Some(_) if good == levels.len() => "at every level that was tried".to_owned(),
        Some(level) => format!("up to {}", describe(&level.arrivals)),
    }
}

/// The levels as JSON: every run, times in seconds.
pub fn to_json(levels: &[Level]) -> Value {
    let error = |error: &SpreadError| {
        json!({
            "mean_seconds": error.mean,
            "p50_seconds": error.p50,
            "p99_seconds": error.p99,
            "max_seconds": error.max,
        })
    };
    let levels_json: Vec<Value> = levels
        .iter()
        .map(|level| {
            let runs: Vec<Value> = level
                .runs
                .iter()
                .map(|run| {
                    json!({
                        "ttft_error": error(&run.ttft),
                        "itl_error": error(&run.itl),
                        "true_ttft_p50_seconds": run.true_ttft_p50,
                        "true_itl_p99_seconds": run.true_itl_p99,
                        "client_cpu_share": run.client_cpu,
                        "coalesced_share": run.coalesced,
                        "chunks_per_second": run.chunks_per_second,
                        "failed": run.failed,
                        "kernel_stamped": run.kernel_stamped,
                    })
                })
                .collect();
            let (arrivals, parallel, rate) = match level.arrivals {
                Arrivals::Closed { parallel } => ("closed", Some(parallel), None),
                Arrivals::Open { rate, .. } => ("poisson", None, Some(rate)),
                Arrivals::AllAtOnce | Arrivals::Trace(_) => ("all-at-once", None, None),
            };
            json!({"arrivals": arrivals, "parallel": parallel, "rate": rate, "runs": runs})
        })
        .collect();
    json!({
        "levels": levels_json,
        "within_1_ms": up_to(levels, BOUNDS[0].1),
        "within_5_percent": up_to(levels, BOUNDS[1].1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn level(parallel: usize, error: f64) -> Level {
        let spread = SpreadError {
            mean: Some(error),
            p50: Some(error),
            p99: Some(error),
            max: Some(error),
        };
        Level {
            arrivals: Arrivals::Closed { parallel },
            runs: vec![TruthComparison {
                ttft: spread,
                itl: spread,
                true_ttft_p50: Some(0.050),
                true_itl_p99: Some(0.010),
                client_cpu: 0.5,
                coalesced: 0.0,
                chunks_per_second: Some(parallel as f64 * 100.0),
                failed: 0,
                kernel_stamped: true,
            }],
        }
    }

    #[test]
    fn the_bound_ends_at_the_first_level_beyond_it() {
        let levels = [
            level(1, 0.0001),
            level(10, 0.0009),
            level(100, -0.002),
            level(500, 0.0),
        ];
        assert_eq!(up_to(&levels, BOUNDS[0].1), "up to 10 streams");
        // 5 % of a gap of 10 ms are 0.5 ms.
        assert_eq!(up_to(&levels, BOUNDS[1].1), "up to 1 stream");
        assert_eq!(
            up_to(&levels[..1], BOUNDS[0].1),
            "at every level that was tried"
        );
        assert_eq!(
            up_to(&levels[2..], BOUNDS[0].1),
            "at no level that was tried"
        );
    }

    #[test]
    fn figures_are_medians_over_the_runs() {
        let mut several = level(1, 0.001);
        several.runs.extend(level(1, 0.009).runs);
        several.runs.extend(level(1, 0.002).runs);
        assert_eq!(several.median(|run| run.ttft.p50), Some(0.002));
    }
}
