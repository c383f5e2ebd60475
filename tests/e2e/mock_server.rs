//! `llmuses mock-server` as a process: its flags do what they say, and `perf` measures what it does.

use crate::helpers::{good, mock, numbers, percentile};
use crate::support::{Bench, program, run};
use serde_json::{Value, json};
use std::fs;

/// A prompt of so many tokens.
fn prompt(words: usize) -> String {
    vec!["word"; words].join(" ")
}

#[test]
fn queue_and_prefill_are_in_the_time_to_first_token() {
    let bench = Bench::new();
    let log = bench.path("log.jsonl");
    let log = log.to_str().expect("a path of text");
    let mock = mock(&[
        "--ttft",
        "20ms",
        "--prefill",
        "200us",
        "--itl",
        "5ms",
        "--slots",
        "2",
        "--log",
        log,
    ]);
    let text = prompt(100);
    let arguments = ["--prompt", &text, "--parallel", "4", "-n", "12"];
    good(&bench, &mock, &arguments);
    let truth = mock.truth();
    assert_eq!(truth["prompt_tokens"], 1_200);
    // In a slot: 20 ms and 100 times 0.2 ms to the first token, four times 5 ms after it. Two more wait at all times.
    let own = 0.04;
    let median = percentile(&numbers(&bench, "SELECT ttft FROM result"), 50);
    assert!(median > own + 0.04, "{median}");
    let told = truth["ttft_seconds"]["p50"].as_f64().expect("it is told");
    assert!((median - told).abs() < 0.005, "{median} {told}");
    let lines = fs::read_to_string(log).expect("a log");
    let waits: Vec<f64> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON in a line"))
        .filter_map(|line| line["queue_seconds"].as_f64())
        .collect();
    assert!(waits.len() >= 11, "{lines}");
    assert!(
        waits.iter().filter(|wait| **wait > 0.03).count() >= 6,
        "{waits:?}"
    );
}

#[test]
fn cache_template_reasoning_and_early_ends_can_be_asked_for() {
    let mock = mock(&[
        "--prefix-cache",
        "--template-tokens",
        "5",
        "--reasoning-tokens",
        "3",
        "--early-stop",
        "1",
        "--decode-slowdown",
        "0.5",
    ]);
    let bench = Bench::new();
    let text = prompt(75);
    good(&bench, &mock, &["--prompt", &text, "-n", "3"]);
    let truth = mock.truth();
    assert_eq!(truth["prompt_tokens"], 3 * 80);
    // Five blocks fill the prompt, of which the last is never taken.
    assert_eq!(truth["cached_tokens"], 2 * 64);
    let lengths = numbers(&bench, "SELECT completion_tokens FROM result");
    assert!(
        lengths.iter().all(|tokens| (1.0..8.0).contains(tokens)),
        "{lengths:?}"
    );
    assert_eq!(mock.bodies().len(), 3);
}

#[test]
fn a_full_queue_is_a_failure_of_the_request() {
    let mock = mock(&["--ttft", "100ms", "--slots", "1", "--queue-limit", "1"]);
    let bench = Bench::new();
    let url = mock.chat();
    let arguments = ["--url", &url, "--prompt", "x", "--parallel", "6", "-n", "6"];
    run(bench.perf(&arguments).args(["--no-warm-connections"]));
    let statuses = bench.rows("SELECT DISTINCT status FROM result ORDER BY 1");
    assert_eq!(json!(statuses), json!([[200], [429]]));
}

#[test]
fn wrong_numbers_are_turned_down() {
    for (arguments, part) in [
        (&["--slots", "0"][..], "slots must lie between 1 and"),
        (&["--queue-limit", "1"], "--slots"),
        (
            &["--prefix-cache", "0"],
            "blocks of the prefix cache must lie",
        ),
        (&["--template-tokens", "100001"], "template tokens must lie"),
        (&["--decode-slowdown", "2000"], "decode slowdown must lie"),
        (&["--early-stop", "1.5"], "between 0 and 1"),
        (
            &["--reasoning-tokens", "1000000"],
            "more than the mock server",
        ),
    ] {
        let ended = run(program().arg("mock-server").args(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(part),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    let log = ["mock-server", "--log", "/no such folder/log"];
    let ended = run(program().args(log));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("/no such folder/log"),
        "{}",
        ended.stderr
    );
}
