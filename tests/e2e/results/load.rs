//! What of a run counts, how long it goes on, and which requests were good.

use super::{json, runs};
use crate::helpers::{good, quick_mock, refused};
use crate::support::{Bench, Mock, run};
use serde_json::Value;
use std::time::{Duration, Instant};

#[test]
fn a_warmup_is_in_no_figure() {
    let (bench, mock) = (Bench::new(), quick_mock());
    good(
        &bench,
        &mock,
        &[
            "--prompt",
            "x",
            "-n",
            "30",
            "--parallel",
            "2",
            "--warmup",
            "10",
            "--json",
            "run.json",
        ],
    );
    let totals = runs(&json(&bench, "run.json"))[0]["totals"].clone();
    assert_eq!(totals["requests"]["warmup"], 10);
    assert_eq!(totals["requests"]["completed"], 20);
    assert_eq!(totals["requests"]["issued"], 30);
    assert_eq!(totals["latency"]["samples"], 20);
    let numbers = bench.rows("SELECT max(number), count(*) FROM result WHERE warmup = 1");
    assert_eq!(numbers, [[Value::from(9), Value::from(10)]]);
}

#[test]
fn a_warmup_by_time_goes_by_intention() {
    let (bench, mock) = (Bench::new(), quick_mock());
    good(
        &bench,
        &mock,
        &[
            "--prompt", "x", "-n", "200", "--rate", "200", "--warmup", "500ms", "--json",
            "run.json",
        ],
    );
    let totals = runs(&json(&bench, "run.json"))[0]["totals"].clone();
    let warmup = totals["requests"]["warmup"].as_u64().expect("a number");
    assert!((60..150).contains(&warmup), "{warmup}");
    let edge = bench.rows(
        "SELECT (SELECT max(intended_time) FROM result WHERE warmup = 1) < \
                (SELECT min(intended_time) FROM result WHERE warmup = 0)",
    );
    assert_eq!(edge, [[Value::from(1)]]);
}

#[test]
fn a_duration_ends_a_run_and_what_is_in_flight_may_finish() {
    let (bench, mock) = (
        Bench::new(),
        Mock::start(&["--ttft", "300ms", "--tokens", "2"]),
    );
    let start = Instant::now();
    good(
        &bench,
        &mock,
        &[
            "--prompt",
            "x",
            "--duration",
            "1",
            "--parallel",
            "3",
            "--json",
            "run.json",
        ],
    );
    assert!(start.elapsed() < Duration::from_secs(20));
    let totals = runs(&json(&bench, "run.json"))[0]["totals"].clone();
    let succeeded = totals["requests"]["succeeded"].as_u64().expect("a number");
    // Three slots, and in each no more than four requests of 300 ms begin within a second.
    assert!((6..=12).contains(&succeeded), "{succeeded}");
    assert_eq!(totals["requests"]["failed"], 0);
    let late = "SELECT count(*) FROM result, run WHERE intended_time >= started_time + 1.5";
    assert_eq!(bench.value(late), 0);
    let doubts = runs(&json(&bench, "run.json"))[0]["verdict"].to_string();
    assert!(!doubts.contains("stopped-early"), "{doubts}");
}

/// So many requests end in every millisecond that clients which wait to be told would begin further ones.
#[test]
fn a_closed_loop_keeps_to_its_duration() {
    let mock = Mock::start(&["--ttft", "2ms", "--tokens", "1"]);
    // Most of the times, not every time.
    for _ in 0..6 {
        let bench = Bench::new();
        good(
            &bench,
            &mock,
            &["--prompt", "x", "--duration", "0.3", "--parallel", "100"],
        );
        let span = "SELECT max(intended_time) - min(intended_time) FROM result";
        let span = bench.value(span).as_f64().expect("a time");
        // Both times are rounded to a microsecond.
        assert!((0.1..0.300_002).contains(&span), "{span}");
    }
}

#[test]
fn an_open_loop_keeps_to_its_duration() {
    let (bench, mock) = (Bench::new(), quick_mock());
    good(
        &bench,
        &mock,
        &["--prompt", "x", "--duration", "1", "--rate", "100"],
    );
    let sent = bench
        .value("SELECT count(*) FROM result")
        .as_u64()
        .expect("a number");
    assert!((60..150).contains(&sent), "{sent}");
    let span = "SELECT max(intended_time) - min(intended_time) FROM result";
    assert!(bench.value(span).as_f64().expect("a time") < 1.0);
}

#[test]
fn what_is_in_flight_for_too_long_is_cancelled_and_counted() {
    let (bench, mock) = (
        Bench::new(),
        Mock::start(&["--ttft", "60s", "--tokens", "2"]),
    );
    let url = mock.chat();
    let start = Instant::now();
    let ended = run(&mut bench.perf(&[
        "--url",
        &url,
        "--prompt",
        "x",
        "--duration",
        "0.3",
        "--drain-timeout",
        "0.5",
        "--parallel",
        "3",
    ]));
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(ended.code, Some(1), "nothing succeeded: {}", ended.stderr);
    let kinds = bench.rows("SELECT error_kind, count(*) FROM result GROUP BY error_kind");
    assert_eq!(kinds, [[Value::from("cancelled"), Value::from(3)]]);
}

#[test]
fn goodput_counts_requests_that_met_all_objectives() {
    let (bench, mock) = (
        Bench::new(),
        Mock::start(&["--ttft", "60ms", "--itl", "5ms", "--tokens", "4"]),
    );
    for (name, objectives, met) in [
        ("kept", "ttft:10s,tpot:5s,latency:30s", 6),
        ("one", "ttft:1ms,tpot:5s", 0),
        ("long", "latency:10ms", 0),
    ] {
        let file = format!("{name}.json");
        let ended = good(
            &bench,
            &mock,
            &[
                "--prompt",
                "x",
                "-n",
                "6",
                "--goodput",
                objectives,
                "--json",
                &file,
                "--save",
                "none",
            ],
        );
        let goodput = runs(&json(&bench, &file))[0]["totals"]["goodput"].clone();
        assert_eq!(goodput["requests_that_met_all"], met, "{name}");
        assert_eq!(
            goodput["share_of_completed"],
            f64::from(met) / 6.0,
            "{name}"
        );
        assert!(
            ended.stdout.contains(&format!("{met} of 6 completed")),
            "{}",
            ended.stdout
        );
    }
}

#[test]
fn a_time_for_draining_wants_a_duration() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let said = refused(&bench, &mock, &["--prompt", "x", "--drain-timeout", "5"], 2);
    assert!(said.contains("--duration"), "{said}");
}
