//! The totals against the requests that they are made of.

use super::Run;
use crate::helpers::{assert_close, gaps, mean, percentile};
use serde_json::{Value, json};

/// How far a percentile may be from the time that it stands for: the run keeps a histogram of whole
/// microseconds, of three digits beyond 262 ms.
fn rounding(seconds: f64) -> f64 {
    1e-6 + if seconds > 0.262 {
        seconds * 0.001
    } else {
        0.0
    }
}

pub(super) fn the_totals_follow_from_the_table(run: &Run) {
    let succeeded = run.rows.iter().filter(|row| row.succeeded()).count() as f64;
    assert_eq!(run.at("/requests/completed"), run.rows.len() as f64);
    assert_eq!(run.at("/requests/completed"), 240.0);
    assert_eq!(run.at("/requests/warmup"), 20.0);
    assert_eq!(run.at("/requests/succeeded"), succeeded);
    assert_eq!(
        run.at("/requests/failed"),
        run.rows.len() as f64 - succeeded
    );
    assert!(
        run.at("/requests/failed") > 0.0,
        "the server should have failed some"
    );
    for (side, column) in [("input", "input_tokens"), ("output", "output_tokens")] {
        let tokens = run.column(column);
        assert_eq!(
            run.at(&format!("/tokens/{side}/tokens")),
            tokens.iter().sum::<f64>()
        );
        assert_eq!(
            run.at(&format!("/tokens/{side}/requests_known")),
            tokens.len() as f64
        );
        for (key, percent) in [("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)] {
            let expected = percentile(&tokens, percent);
            assert_eq!(
                run.at(&format!("/tokens/{side}/{key}")),
                expected,
                "{side} {key}"
            );
        }
    }
    for (key, column) in [
        ("latency", "latency_seconds"),
        ("time_to_first_token", "time_to_first_token_seconds"),
        ("time_to_first_package", "time_to_first_package_seconds"),
        ("time_per_output_token", "time_per_output_token_seconds"),
    ] {
        let values = run.column(column);
        let figure = |name: &str| run.at(&format!("/{key}/{name}"));
        assert_eq!(figure("samples"), values.len() as f64, "{key}");
        assert_close(key, figure("mean_seconds"), mean(&values), 1e-9);
        let ends = [percentile(&values, 0), percentile(&values, 100)];
        assert_close(key, figure("min_seconds"), ends[0], 1e-9);
        assert_close(key, figure("max_seconds"), ends[1], 1e-9);
        for percent in [50, 66, 75, 80, 90, 95, 98, 99] {
            let expected = percentile(&values, percent);
            let name = format!("p{percent}_seconds");
            assert_close(&name, figure(&name), expected, rounding(expected));
        }
        let curve = &run.totals()[key]["curve"];
        let seconds = curve["seconds"].as_array().expect("a list");
        let percents = curve["percents"].as_array().expect("a list");
        for (percent, seconds) in percents.iter().zip(seconds).take(100) {
            let percent = percent.as_f64().expect("a number") as usize;
            let expected = percentile(&values, percent);
            let found = seconds.as_f64().expect("a number");
            assert_close("the curve", found, expected, rounding(expected));
        }
    }
    let sent = run
        .rows
        .iter()
        .filter_map(|row| row.number("sent_unix_seconds"));
    let completed = run
        .rows
        .iter()
        .filter_map(|row| row.number("completed_unix_seconds"));
    let wall = completed.fold(f64::MIN, f64::max) - sent.fold(f64::MAX, f64::min);
    // Times of day are whole microseconds.
    assert_close("wall", run.at("/wall_seconds"), wall, 2e-6);
    let wall = run.at("/wall_seconds");
    assert_close(
        "qps",
        run.at("/rates/succeeded_per_second"),
        succeeded / wall,
        1e-9,
    );
    let throughput = run.at("/tokens/output/tokens") / wall;
    assert_close(
        "throughput",
        run.at("/rates/output_tokens_per_second"),
        throughput,
        1e-9,
    );
    let met = run.rows.iter().filter(|row| {
        row.succeeded()
            && row
                .number("time_to_first_token_seconds")
                .is_some_and(|ttft| ttft <= 0.012)
            && row
                .number("latency_seconds")
                .is_some_and(|latency| latency <= 0.080)
    });
    assert_eq!(run.at("/goodput/requests_that_met_all"), met.count() as f64);
    let packages: f64 = run.column("packages").iter().sum();
    assert_eq!(run.at("/packages/count"), packages);
    for (kind, failure) in run.totals()["failures"].as_object().expect("an object") {
        let of_it = run.rows.iter().filter(|row| row.text("error_kind") == kind);
        assert_eq!(failure["requests"], of_it.count() as u64, "{kind}");
    }
    let mut slowest = run.column("latency_seconds");
    slowest.sort_by(|a, b| b.total_cmp(a));
    let kept = run.totals()["slowest_requests"].as_array().expect("a list");
    assert_eq!(kept.len(), 20);
    for (kept, latency) in kept.iter().zip(slowest) {
        let found = kept["latency_seconds"].as_f64().expect("a number");
        assert_close("a slow request", found, latency, 1e-9);
    }
}

pub(super) fn the_table_is_that_of_the_database(run: &Run) {
    const PAIRS: [(&str, &str); 14] = [
        ("number", "number"),
        ("intended_unix_seconds", "intended_time"),
        ("sent_unix_seconds", "sent_time"),
        ("completed_unix_seconds", "completed_time"),
        ("latency_seconds", "latency"),
        ("time_to_first_token_seconds", "ttft"),
        ("time_to_first_package_seconds", "first_chunk_latency"),
        ("time_per_output_token_seconds", "tpot"),
        ("package_latency_seconds", "chunk_time"),
        ("packages", "n_chunks"),
        ("connect_seconds", "connect_time"),
        ("input_tokens", "prompt_tokens"),
        ("output_tokens", "completion_tokens"),
        ("status", "status"),
    ];
    let columns: Vec<&str> = PAIRS.iter().map(|(_, column)| *column).collect();
    let stored = run.bench.rows(&format!(
        "SELECT {} FROM result WHERE warmup = 0 ORDER BY rowid",
        columns.join(", ")
    ));
    assert_eq!(stored.len(), run.rows.len());
    for (row, stored) in run.rows.iter().zip(stored) {
        for ((name, _), stored) in PAIRS.iter().zip(stored) {
            assert_eq!(row.number(name), stored.as_f64(), "{name}");
        }
    }
    let responses = run
        .bench
        .rows("SELECT output_times FROM result WHERE warmup = 0 AND success = 1");
    let between: Vec<f64> = responses
        .iter()
        .flat_map(|row| {
            let times = row[0].as_str().expect("a list as text");
            let times: Vec<f64> = serde_json::from_str(times).expect("a list of numbers");
            gaps(&times)
        })
        .collect();
    assert_eq!(run.at("/inter_token_latency/samples"), between.len() as f64);
    let found = run.at("/inter_token_latency/mean_seconds");
    assert_close("inter-token latency", found, mean(&between), 2e-6);
    for (name, percent) in [("p50_seconds", 50), ("p99_seconds", 99)] {
        let found = run.at(&format!("/inter_token_latency/{name}"));
        let expected = percentile(&between, percent);
        assert_close(name, found, expected, rounding(expected) + 2e-6);
    }
}

pub(super) fn the_parts_add_up(run: &Run) {
    let sum = |path: &str| -> f64 {
        let values = run.totals().pointer(path).and_then(Value::as_array);
        let values = values.unwrap_or_else(|| panic!("no {path}"));
        values.iter().filter_map(Value::as_f64).sum()
    };
    for (column, total) in [
        ("requests_sent", "/requests/sent"),
        ("requests_succeeded", "/requests/succeeded"),
        ("requests_failed", "/requests/failed"),
        ("requests_that_met_all", "/goodput/requests_that_met_all"),
    ] {
        assert_eq!(
            sum(&format!("/timeline/{column}")),
            run.at(total),
            "{column}"
        );
    }
    let tokens = sum("/timeline/output_tokens");
    assert_close(
        "tokens over time",
        tokens,
        run.at("/tokens/output/tokens"),
        1.0,
    );
    for side in ["input", "output"] {
        let bars = run.totals()["tokens"][side]["bars"]
            .as_array()
            .expect("bars");
        let requests: u64 = bars.iter().filter_map(|bar| bar["requests"].as_u64()).sum();
        assert_eq!(
            json!(requests),
            run.totals()["tokens"][side]["requests_known"]
        );
    }
    for key in [
        "latency",
        "time_to_first_token",
        "time_per_output_token",
        "inter_token_latency",
    ] {
        let spread = &run.totals()[key];
        let intervals = spread["intervals_of_95_percent"]
            .as_object()
            .expect("an object");
        for (name, bounds) in intervals {
            let value = spread[name].as_f64().expect("a number");
            assert!(
                bounds[0].as_f64().is_none_or(|low| low <= value),
                "{key} {name}"
            );
            assert!(
                bounds[1].as_f64().is_none_or(|high| value <= high),
                "{key} {name}"
            );
        }
    }
}
