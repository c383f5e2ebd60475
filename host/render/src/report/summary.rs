//! The summary: the specified block first, then what this program adds, then the verdict.

use super::details;
use super::look::Look;
use super::paint::Painted;
use crate::digits::{UNKNOWN, fixed};
use llmuses_core::document::{Distribution, Percentile, Run, Totals};
use llmuses_core::metric::{
    Figure, INPUT_TOKENS, LATENCY, OUTPUT_TOKENS, PACKAGES, QPS, THROUGHPUT, TIME_PER_TOKEN, TTFT,
};
use std::fmt::Write;

/// The summary of a run, several lines with a line end each.
///
/// Labels, order and digits of the first block are fixed: other programs read it. For that reason a
/// percentile with too few samples has its mark in the second block only.
pub fn summary(run: &Run, look: Look) -> Painted {
    let mut out = Painted::default();
    let Some(totals) = &run.totals else {
        out.text = format!("There is no summary: the run is {}.\n", run.state.as_str());
        return out;
    };
    specified(&mut out.text, run, totals);
    out.text.push('\n');
    details::details(&mut out, run, totals, look);
    if let Some(verdict) = &run.verdict {
        details::verdict(&mut out, verdict, look);
    }
    details::more(&mut out, look);
    out
}

/// The summary with all that is known, without colour, for where no terminal shows it.
pub fn whole_summary(run: &Run) -> String {
    summary(run, Look::of(None, true)).text
}

/// The specified block. Times are seconds.
fn specified(out: &mut String, run: &Run, totals: &Totals) {
    let requests = &totals.requests;
    let sums = totals.sums();
    let figure = |figure: Figure| figure.of(&sums);
    // A run without a request took no time.
    let wall = totals.wall_seconds.unwrap_or_default();
    let concurrency = match run.plan.load.parallel {
        Some(parallel) => parallel.to_string(),
        None => format!("open loop (peak {} in flight)", requests.peak_in_flight),
    };
    // Without a number asked for, the data set decided, and each request that it gave was issued.
    // Those of the warm-up are none of these: they are told further down, and are not missing here.
    let expected = requests
        .asked
        .unwrap_or(requests.issued)
        .saturating_sub(requests.warmup);
    out.push_str("Benchmarking summary: \n");
    for (label, value) in [
        (
            "Time taken for tests",
            format!("{} seconds", fixed(Some(wall), 3)),
        ),
        ("Expected number of requests", expected.to_string()),
        ("Number of concurrency", concurrency),
        ("Total requests", requests.over().to_string()),
        ("Succeed requests", requests.succeeded.to_string()),
        ("Failed requests", requests.failed.to_string()),
        ("Average QPS", fixed(figure(QPS), 3)),
        (
            "Average latency",
            fixed(totals.times[LATENCY].mean_seconds, 3),
        ),
        (
            "Throughput(average output tokens per second)",
            fixed(figure(THROUGHPUT), 3),
        ),
        (
            "Average time to first token",
            fixed(totals.times[TTFT].mean_seconds, 3),
        ),
        (
            "Average input tokens per request",
            fixed(figure(INPUT_TOKENS), 3),
        ),
        (
            "Average output tokens per request",
            fixed(figure(OUTPUT_TOKENS), 3),
        ),
        (
            "Average time per output token",
            fixed(figure(TIME_PER_TOKEN), 5),
        ),
        ("Average package per request", fixed(figure(PACKAGES), 3)),
        (
            "Average package latency",
            fixed(totals.packages.average_latency_seconds, 3),
        ),
    ] {
        if value == UNKNOWN && !totals.task.has_output_tokens() {
            continue;
        }
        // Writing to a string does not fail.
        let _ = writeln!(out, " {label}: {value}");
    }
    if totals.times[TTFT].samples > 0 || totals.task.has_output_tokens() {
        percentiles(out, "time to first token", &totals.times[TTFT]);
    }
    percentiles(out, "request latency", &totals.times[LATENCY]);
}

fn percentiles(out: &mut String, of: &str, spread: &Distribution) {
    let _ = writeln!(out, " Percentile of {of}: ");
    for percentile in Percentile::LISTED {
        let value = match spread.percentile(percentile) {
            Some(time) => format!("{time:.4}"),
            None => UNKNOWN.to_owned(),
        };
        let _ = writeln!(out, "     {}: {value}", percentile.label());
    }
}
