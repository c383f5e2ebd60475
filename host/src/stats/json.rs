//! Totals and verdict as JSON for the database. Every name says its unit; what a run does not know is
//! null.

use super::figures::Figures;
use super::judge::Circumstances;
use super::percentile::Percentile;
use super::running::{RunStatistics, TokenTotals};
use super::spread::Spread;
use super::verdict::Doubt;
use crate::exchange::TokenSource;
use crate::plugin::CallCost;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The totals of a run, with the circumstances under which they came about.
pub fn totals_json(statistics: &RunStatistics, circumstances: &Circumstances) -> Value {
    let counts = statistics.counts();
    let times = statistics.times();
    let wall = statistics.wall();
    let failures: Map<String, Value> = statistics
        .failures()
        .into_iter()
        .map(|failure| {
            let entry = json!({ "requests": failure.count, "first_message": failure.example });
            (failure.kind.as_str().to_owned(), entry)
        })
        .collect();
    json!({
        "origin": statistics.origin().as_str(),
        "wall_seconds": wall.map(|wall| wall.as_secs_f64()),
        "requests": {
            "asked": circumstances.asked,
            "issued": circumstances.issued,
            "completed": counts.completed,
            "sent": counts.sent,
            "succeeded": counts.succeeded,
            "failed": counts.failed,
            "not_streamed": counts.plain,
            "own_connection": counts.own_connections,
            "warm_connections": counts.warm_connections,
            "peak_in_flight": circumstances.peak_in_flight,
        },
        "failures": failures,
        "rates": {
            "succeeded_per_second": statistics.qps(),
            "scheduled_per_second": statistics.scheduled_rate(),
            "sent_per_second": statistics.sent_rate(),
            "output_tokens_per_second": statistics.throughput(),
        },
        "tokens": {
            "input": tokens(&counts.prompt),
            "output": tokens(&counts.completion),
            "average_seconds_per_output_token": statistics.average_time_per_output_token(),
        },
        "packages": {
            "count": counts.packages,
            "per_request": statistics.packages_per_request(),
            "average_latency_seconds": statistics.average_package_latency(),
            "output_gaps": counts.output_gaps,
            "coalesced_output_gaps": counts.coalesced_gaps,
        },
        "bytes_received": counts.bytes_received,
        "latency": spread(&times.latency),
        "time_to_first_token": spread(&times.ttft),
        "time_to_first_package": spread(&times.first_package),
        "time_per_output_token": spread(&times.tpot),
        "inter_token_latency": spread(&times.itl),
        "connect": spread(&times.connect),
        "dns": spread(&times.dns),
        "tls": spread(&times.tls),
        "dispatch_lag": spread(&times.dispatch_lag),
        "dispatch_lag_without_connect": spread(&times.client_lag),
        "parser_metrics": {
            "named": statistics
                .metrics()
                .named()
                .iter()
                .map(|(name, metric)| (name.clone(), figures(metric)))
                .collect::<Map<String, Value>>(),
            "values_not_finite": statistics.metrics().not_finite(),
            "values_beyond_the_limit_of_names": statistics.metrics().unnamed(),
        },
        "parser_cost": {
            "requests": call_cost(&circumstances.parser_cost.requests, wall),
            "responses": call_cost(&circumstances.parser_cost.responses, wall),
            "replaced_instances": call_cost(&circumstances.parser_cost.replacements, wall),
        },
        "client": {
            "transport": circumstances.transport,
            "kernel_stamped_responses": counts.kernel_stamped,
            "read_stamped_responses": counts.read_stamped,
            "busy_shares": circumstances.client_busy,
            "parser_backlog_waits": circumstances.backlog_waits,
            "wall_clock_step_seconds": circumstances.wall_clock_step_seconds,
            "interrupted": circumstances.interrupted,
            "stop_reason": circumstances.stop_reason,
        },
        "data_set": circumstances.dataset.as_ref().map(|dataset| json!({
            "passes": dataset.passes,
            "entries_read": dataset.entries_read,
            "entries_skipped": dataset
                .skipped
                .iter()
                .map(|(reason, entries)| (reason.clone(), json!(entries)))
                .collect::<Map<String, Value>>(),
            "bad_entries": dataset.bad_entries,
        })),
    })
}

/// Calls into the parser. `share_of_run` is of one processor: parsers run on several threads.
fn call_cost(cost: &CallCost, wall: Option<Duration>) -> Value {
    json!({
        "calls": cost.calls,
        "seconds": cost.time.as_secs_f64(),
        "seconds_per_call": cost.mean().map(|mean| mean.as_secs_f64()),
        "share_of_run": wall
            .filter(|wall| !wall.is_zero())
            .map(|wall| cost.time.as_secs_f64() / wall.as_secs_f64()),
    })
}

/// The verdict: whether anything speaks against the figures, and what.
pub fn verdict_json(doubts: &[Doubt]) -> Value {
    let reasons: Vec<Value> = doubts
        .iter()
        .map(|doubt| {
            json!({
                "reason": doubt.code(),
                "figure": doubt.figure(),
                "likely_cause": doubt.likely_cause(),
                "what_to_do": doubt.remedy(),
            })
        })
        .collect();
    json!({ "trusted": doubts.is_empty(), "doubts": reasons })
}

fn spread(spread: &Spread) -> Value {
    let seconds = |time: Duration| time.as_secs_f64();
    let mut json = json!({
        "samples": spread.samples(),
        "mean_seconds": spread.mean_seconds(),
        "min_seconds": spread.min().map(seconds),
        "max_seconds": spread.max().map(seconds),
    });
    let times = spread.percentiles(Percentile::ALL);
    for (index, percentile) in Percentile::ALL.into_iter().enumerate() {
        let time = times.map(|times| seconds(times[index]));
        json[format!("{}_seconds", percentile.label())] = json!(time);
    }
    if spread.beyond() > 0 {
        json["samples_beyond_the_scale"] = json!(spread.beyond());
    }
    json
}

fn tokens(totals: &TokenTotals) -> Value {
    let known = totals.requests();
    let by: Map<String, Value> = totals
        .sources()
        .into_iter()
        .map(|(source, requests)| (source_key(source).to_owned(), json!(requests)))
        .collect();
    json!({
        "tokens": (known > 0).then_some(totals.tokens),
        "per_request": totals.mean(),
        "requests_known": known,
        "requests_by_source": by,
    })
}

/// A source as a key: lower case and without spaces.
fn source_key(source: TokenSource) -> &'static str {
    match source {
        TokenSource::Server => "server",
        TokenSource::Tokenizer => "tokenizer",
        TokenSource::Parser => "parser",
    }
}

fn figures(figures: &Figures) -> Value {
    json!({
        "samples": figures.samples(),
        "mean": figures.mean(),
        "min": figures.min(),
        "max": figures.max(),
        "p50": figures.percentile(Percentile::P50),
        "p90": figures.percentile(Percentile::P90),
        "p99": figures.percentile(Percentile::P99),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::measure::Origin;
    use crate::stats::samples::Sample;

    #[test]
    fn what_is_unknown_is_null() {
        let statistics = RunStatistics::new(Origin::Intended);
        let json = totals_json(&statistics, &Circumstances::default());
        assert_eq!(json["origin"], "intended");
        for path in [
            "/wall_seconds",
            "/rates/output_tokens_per_second",
            "/tokens/output/tokens",
            "/latency/p50_seconds",
            "/latency/mean_seconds",
            "/data_set",
        ] {
            assert_eq!(json.pointer(path), Some(&Value::Null), "{path}");
        }
    }

    #[test]
    fn figures_carry_their_units() {
        let mut statistics = RunStatistics::new(Origin::Sent);
        let outcome = Sample::at(0)
            .sent(0)
            .events(&[10, 20, 30])
            .end(500)
            .outputs(&[0, 1, 2])
            .tokens(4, 3, TokenSource::Server)
            .metric("cached", 2.0)
            .build();
        statistics.record(&outcome);
        let json = totals_json(&statistics, &Circumstances::default());
        let at = |path: &str| json.pointer(path).cloned().unwrap_or_default();
        assert_eq!(at("/wall_seconds"), 0.5);
        assert_eq!(at("/rates/output_tokens_per_second"), 6.0);
        assert_eq!(at("/tokens/output/requests_by_source/server"), 1);
        assert_eq!(at("/time_to_first_token/p99.9_seconds"), 0.01);
        assert_eq!(at("/parser_metrics/named/cached/mean"), 2.0);
    }
}
