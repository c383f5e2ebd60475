//! Totals and verdict as JSON for the database. Every name says its unit; what a run does not know is
//! null.

use super::counts::TokenTotals;
use super::figures::Figures;
use super::judge::Circumstances;
use super::percentile::Percentile;
use super::running::RunStatistics;
use super::slowest::Slowest;
use super::spread::Spread;
use super::timeline::{Slot, Timeline};
use super::tokens::TokenSpread;
use super::verdict::Doubt;
use llmuses_core::backlog::Stage;
use llmuses_core::clock::Moment;
use llmuses_core::cost::CallCost;
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
            let by_status: Vec<Value> = statistics
                .failures_by_status()
                .into_iter()
                .filter(|part| part.kind == failure.kind && part.status.is_some())
                .map(|part| {
                    json!({
                        "status": part.status,
                        "requests": part.count,
                        "first_message": part.example,
                    })
                })
                .collect();
            let entry = json!({
                "requests": failure.count,
                "first_message": failure.example,
                "by_status": by_status,
            });
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
            "empty_answers": counts.empty_answers,
            "not_streamed": counts.plain,
            "not_streamed_though_asked": counts.plain_though_asked,
            "own_connection": counts.own_connections,
            "warm_connections": counts.warm_connections,
            "warmup": counts.warmup,
            "warmup_failed": counts.warmup_failed,
            "peak_in_flight": circumstances.peak_in_flight,
        },
        "connections": {
            "http_versions": circumstances.connections.http_versions,
            "requests_sent_again": circumstances.connections.resent,
            "one_request_each": circumstances.connections.one_request_each,
            "streams_ended_at_done": circumstances.connections.ended_at_done,
        },
        "failures": failures,
        "rates": {
            "succeeded_per_second": statistics.qps(),
            "scheduled_per_second": statistics.scheduled_rate(),
            "sent_per_second": statistics.sent_rate(),
            "output_tokens_per_second": statistics.throughput(),
        },
        "goodput": statistics.objectives().map(|objectives| json!({
            "objectives": objectives.to_json(),
            "requests_that_met_all": counts.met_objectives,
            "share_of_completed": statistics.good_share(),
            "per_second": statistics.goodput(),
        })),
        "tokens": {
            "input": tokens(&counts.prompt, &statistics.lengths().input),
            "output": tokens(&counts.completion, &statistics.lengths().output),
            "output_counted_but_not_sent": counts.hidden_tokens,
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
        "latency": with_curve(&times.latency, counts.succeeded),
        "time_to_first_token": with_curve(&times.ttft, counts.succeeded),
        "time_to_first_package": with_curve(&times.first_package, counts.succeeded),
        "time_per_output_token": with_curve(&times.tpot, counts.succeeded),
        "inter_token_latency": with_curve(&times.itl, counts.succeeded),
        "connect": spread(&times.connect),
        "dns": spread(&times.dns),
        "tls": spread(&times.tls),
        "dispatch_lag": spread(&times.dispatch_lag),
        "dispatch_lag_without_connect": spread(&times.client_lag),
        "body_wait": spread(&times.body_wait),
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
            "parser_backlog_waits": circumstances.backlog_waits.of(Stage::Plugin),
            "other_backlog_waits": Stage::ALL
                .into_iter()
                .filter(|stage| *stage != Stage::Plugin)
                .map(|stage| {
                    let waits = circumstances.backlog_waits.of(stage);
                    (stage.key().to_owned(), json!(waits))
                })
                .collect::<Map<String, Value>>(),
            "requests_that_waited_for_their_body": counts.waited_for_body,
            "stood_still_seconds": circumstances.pauses.total.as_secs_f64(),
            "throttled_seconds": circumstances.pauses.throttled.map(|time| time.as_secs_f64()),
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
        "timeline": timeline(statistics.timeline(), statistics.objectives().is_some()),
        "slowest_requests": slowest(statistics.slowest(), statistics.timeline().start()),
    })
}

/// Columns, one value for each slot: as rows the names would be most of it.
fn timeline(timeline: &Timeline, has_objectives: bool) -> Value {
    let slots = timeline.slots();
    let column = |value: fn(&Slot) -> Value| slots.iter().map(value).collect::<Vec<Value>>();
    let mut in_flight = 0_u64;
    let at_the_end: Vec<u64> = slots
        .iter()
        .map(|slot| {
            in_flight = (in_flight + slot.sent).saturating_sub(slot.left);
            in_flight
        })
        .collect();
    json!({
        "slot_seconds": timeline.slot_length().as_secs_f64(),
        "requests_sent": column(|slot| json!(slot.sent)),
        "requests_succeeded": column(|slot| json!(slot.succeeded)),
        "requests_that_met_all": has_objectives.then(|| column(|slot| json!(slot.good))),
        "requests_failed": column(|slot| json!(slot.failed)),
        "requests_in_flight_at_the_end": at_the_end,
        // Shares of a token mean nothing beyond a thousandth.
        "output_tokens": column(|slot| json!((slot.output_tokens * 1e3).round() / 1e3)),
        "time_to_first_token_mean_seconds": column(|slot| {
            let mean = slot.ttft_sum.as_secs_f64() / slot.ttft_samples as f64;
            json!((slot.ttft_samples > 0).then_some(mean))
        }),
        "time_to_first_token_max_seconds": column(|slot| {
            json!((slot.ttft_samples > 0).then_some(slot.ttft_max.as_secs_f64()))
        }),
    })
}

fn slowest(slowest: &Slowest, start: Moment) -> Vec<Value> {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    slowest
        .requests()
        .iter()
        .map(|request| {
            json!({
                "number": request.number,
                "sent_seconds_after_start":
                    request.sent.map(|sent| sent.since(start).as_secs_f64()),
                "latency_seconds": request.latency.as_secs_f64(),
                "time_to_first_token_seconds": seconds(request.ttft),
                "time_per_output_token_seconds": seconds(request.tpot),
                "input_tokens": request.prompt_tokens,
                "output_tokens": request.completion_tokens,
            })
        })
        .collect()
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
        "standard_deviation_seconds": spread.standard_deviation_seconds(),
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

/// A spread with what charts and comparisons need: the curve of its percentiles, and how certain each
/// percentile is. `requests`: what is independent of one another.
fn with_curve(of: &Spread, requests: u64) -> Value {
    let seconds = |time: Duration| time.as_secs_f64();
    let mut json = spread(of);
    let intervals: Map<String, Value> = Percentile::ALL
        .into_iter()
        .zip(of.intervals(Percentile::ALL, requests))
        .map(|(percentile, (lower, upper))| {
            let bounds = json!([lower.map(seconds), upper.map(seconds)]);
            (format!("{}_seconds", percentile.label()), bounds)
        })
        .collect();
    json["intervals_of_95_percent"] = Value::Object(intervals);
    let percents = curve_percents();
    let times: Vec<f64> = of.curve(&percents).into_iter().map(seconds).collect();
    json["curve"] = json!({ "percents": percents, "seconds": times });
    json
}

/// Where a curve has its points: at every percent, and closer where the slow requests are.
fn curve_percents() -> Vec<f64> {
    let whole = (0..=99).map(f64::from);
    let tenths = (991..=999).map(|tenth| f64::from(tenth) / 10.0);
    whole
        .chain(tenths)
        .chain([99.95, 99.99, 99.999, 100.0])
        .collect()
}

fn tokens(totals: &TokenTotals, lengths: &TokenSpread) -> Value {
    let known = totals.requests();
    let by: Map<String, Value> = totals
        .sources()
        .into_iter()
        .map(|(source, requests)| (source.key().to_owned(), json!(requests)))
        .collect();
    json!({
        "tokens": (known > 0).then_some(totals.tokens),
        "per_request": totals.mean(),
        "requests_known": known,
        "requests_by_source": by,
        "min": lengths.extremes().map(|(min, _)| min),
        "max": lengths.extremes().map(|(_, max)| max),
        "p50": lengths.percentile(Percentile::P50),
        "p90": lengths.percentile(Percentile::P90),
        "p99": lengths.percentile(Percentile::P99),
        "bars": lengths
            .bars()
            .iter()
            .map(|bar| json!({ "from": bar.from, "to": bar.to, "requests": bar.requests }))
            .collect::<Vec<Value>>(),
    })
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
    use crate::measure::Origin;
    use llmuses_core::exchange::TokenSource;
    use llmuses_samples::Sample;

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
