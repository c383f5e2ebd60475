//! The summary: the specified block first, then what this program adds, then the verdict.

use super::details;
use super::text::{UNKNOWN, fixed};
use llmuses_core::plan::Arrivals;
use llmuses_stats::{Circumstances, Doubt, Percentile, RunStatistics, Spread};
use llmuses_store::results::StoredRun;
use std::fmt::Write;

/// The summary of a run out of a database: as it was printed, or made of the rows that there are.
pub fn stored_summary(run: &StoredRun) -> Option<String> {
    let rebuilt = || {
        let run = run.rebuilt.as_ref()?;
        Some(summary(
            &run.statistics,
            &run.circumstances,
            &run.arrivals,
            &run.doubts,
        ))
    };
    run.summary.clone().or_else(rebuilt)
}

/// The summary of a run, several lines with a line end each. `doubts`: as of [`llmuses_stats::judge`].
///
/// Labels, order and digits of the first block are fixed: other programs read it. For that reason a
/// percentile with too few samples has its mark in the second block only.
pub fn summary(
    statistics: &RunStatistics,
    circumstances: &Circumstances,
    arrivals: &Arrivals,
    doubts: &[Doubt],
) -> String {
    let mut out = String::new();
    specified(&mut out, statistics, circumstances, arrivals);
    out.push('\n');
    details::details(&mut out, statistics, circumstances, arrivals);
    out.push('\n');
    details::verdict(&mut out, doubts);
    out
}

/// The specified block. Times are seconds.
fn specified(
    out: &mut String,
    statistics: &RunStatistics,
    circumstances: &Circumstances,
    arrivals: &Arrivals,
) {
    let counts = statistics.counts();
    let times = statistics.times();
    // A run without a request took no time.
    let wall = statistics.wall().unwrap_or_default().as_secs_f64();
    let concurrency = match arrivals {
        Arrivals::Closed { parallel } => parallel.to_string(),
        Arrivals::Poisson { .. } | Arrivals::AllAtOnce => {
            format!(
                "open loop (peak {} in flight)",
                circumstances.peak_in_flight
            )
        }
    };
    // Without a number asked for, the data set decided, and each request that it gave was issued.
    // Those of the warm-up are none of these: they are told further down, and are not missing here.
    let expected = circumstances
        .asked
        .unwrap_or(circumstances.issued)
        .saturating_sub(counts.warmup);
    out.push_str("Benchmarking summary: \n");
    for (label, value) in [
        (
            "Time taken for tests",
            format!("{} seconds", fixed(Some(wall), 3)),
        ),
        ("Expected number of requests", expected.to_string()),
        ("Number of concurrency", concurrency),
        ("Total requests", counts.completed.to_string()),
        ("Succeed requests", counts.succeeded.to_string()),
        ("Failed requests", counts.failed.to_string()),
        ("Average QPS", fixed(statistics.qps(), 3)),
        ("Average latency", fixed(times.latency.mean_seconds(), 3)),
        (
            "Throughput(average output tokens per second)",
            fixed(statistics.throughput(), 3),
        ),
        (
            "Average time to first token",
            fixed(times.ttft.mean_seconds(), 3),
        ),
        (
            "Average input tokens per request",
            fixed(counts.prompt.mean(), 3),
        ),
        (
            "Average output tokens per request",
            fixed(counts.completion.mean(), 3),
        ),
        (
            "Average time per output token",
            fixed(statistics.average_time_per_output_token(), 5),
        ),
        (
            "Average package per request",
            fixed(statistics.packages_per_request(), 3),
        ),
        (
            "Average package latency",
            fixed(statistics.average_package_latency(), 3),
        ),
    ] {
        // Writing to a string does not fail.
        let _ = writeln!(out, " {label}: {value}");
    }
    percentiles(out, "time to first token", &times.ttft);
    percentiles(out, "request latency", &times.latency);
}

fn percentiles(out: &mut String, of: &str, spread: &Spread) {
    let _ = writeln!(out, " Percentile of {of}: ");
    let times = spread.percentiles(Percentile::LISTED);
    for (index, percentile) in Percentile::LISTED.into_iter().enumerate() {
        let value = match &times {
            Some(times) => format!("{:.4}", times[index].as_secs_f64()),
            None => UNKNOWN.to_owned(),
        };
        let _ = writeln!(out, "     {}: {value}", percentile.label());
    }
}
