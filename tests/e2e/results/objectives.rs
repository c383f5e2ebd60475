//! Objectives of a run as a whole.

use super::{json, runs};
use crate::support::{Bench, Mock, program, run};

const SERVER: [&str; 6] = ["--ttft", "20ms", "--itl", "1ms", "--tokens", "3"];

/// The outcomes of the objectives of the only run of a document.
fn outcomes(document: &serde_json::Value) -> Vec<(String, String)> {
    let objectives = runs(document)[0]["totals"]["objectives"].as_array();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    objectives
        .expect("there are objectives")
        .iter()
        .map(|one| (text(&one["objective"]), text(&one["outcome"])))
        .collect()
}

#[test]
fn objectives_are_met_missed_or_not_decided_in_every_output() {
    let server = Mock::start(&SERVER);
    let bench = Bench::new();
    let arguments = [
        "--url",
        &server.chat(),
        "--prompt",
        "x",
        "-n",
        "100",
        "--parallel",
        "10",
        "--json",
        "o.json",
        "--html",
        "o.html",
        "--markdown",
        "o.md",
        "--objective",
        "ttft_p50<5s",
        "--objective",
        "ttft_p50<10ms",
        "--objective",
        "ttft_p99<5s",
    ];
    let ended = run(&mut bench.perf(&arguments));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("--objective ttft_p50<10ms: missed"),
        "{}",
        ended.stderr
    );
    let expected = [
        ("ttft_p50<5s", "met"),
        ("ttft_p50<10ms", "missed"),
        ("ttft_p99<5s", "not-decided"),
    ]
    .map(|(objective, outcome)| (objective.to_owned(), outcome.to_owned()));
    let document = json(&bench, "o.json");
    assert_eq!(outcomes(&document), expected);
    // 0.99^368 is below 2.5 %.
    let needed = "not decided: takes some 368 requests";
    let page = std::fs::read_to_string(bench.path("o.html")).expect("it is there");
    let markdown = std::fs::read_to_string(bench.path("o.md")).expect("it is there");
    let report = run(program()
        .args(["report", "run.db"])
        .current_dir(bench.path(".")));
    for text in [&ended.stdout, &page, &markdown, &report.stdout] {
        assert!(text.contains(needed), "{text}");
    }
    let again = run(program()
        .args(["report", "run.db", "--json", "again.json"])
        .current_dir(bench.path(".")));
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(outcomes(&json(&bench, "again.json")), expected);
}

#[test]
fn a_run_that_meets_its_objectives_ends_well() {
    let server = Mock::start(&SERVER);
    let ended = |objective| {
        let (url, bench) = (server.chat(), Bench::new());
        let load = ["--prompt", "x", "-n", "50", "--parallel", "10"];
        let arguments = [&["--url", &url], &load[..], &["--objective", objective]].concat();
        run(&mut bench.perf(&arguments))
    };
    assert_eq!(ended("latency_mean<5s").code, Some(0));
    let usage = ended("speed<5s");
    assert_eq!(usage.code, Some(2));
    assert!(
        usage.stderr.contains("no figure `speed`"),
        "{}",
        usage.stderr
    );
}
