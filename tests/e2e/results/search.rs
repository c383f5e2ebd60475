//! The search of the highest load, and what ends a run early.

use super::{json, runs};
use crate::support::{Bench, Mock, program, run};

#[test]
fn a_search_finds_the_places_of_a_server() {
    // Four places: a fifth request waits for as long as an answer takes.
    let server = Mock::start(&["--ttft", "10ms", "--tokens", "1", "--slots", "4"]);
    let bench = Bench::new();
    let arguments = [
        "search",
        "--vary",
        "parallel",
        "--from",
        "4",
        "--to",
        "64",
        "--probe-limit",
        "20s",
        "--cool-down",
        "0s",
        "--warmup",
        "100",
        "--model",
        "m",
        "--name",
        "run",
        "--prompt",
        "x",
        "--url",
        &server.chat(),
        "--objective",
        // A place is free 10 ms after a request of 16 or 64 began to wait, at the soonest.
        "ttft_p50<35ms",
        "--resolution",
        "60%",
        "--json",
        "run.json",
        "--html",
        "run.html",
    ];
    let ended = run(program().args(arguments).current_dir(bench.path(".")));
    let summary = &ended.stdout;
    assert_eq!(ended.code, Some(0), "{}{summary}", ended.stderr);
    let document = json(&bench, "run.json");
    let search = &document["search"];
    assert_eq!(search["outcome"], "found", "{summary}");
    let (met, missed) = (&search["highest_met"], &search["lowest_missed"]);
    let load = |value: &serde_json::Value| value.as_f64().expect("a load");
    assert!(load(met) >= 4.0 && load(missed) <= 32.0, "{summary}");
    let last = &runs(&document).last().expect("a probe")["totals"]["probe"];
    assert_eq!((&last["repeats"], &last["load"]), (&true.into(), met));
    // Whoever reads the database is told the same.
    let report = run(program()
        .args(["report", "run.db"])
        .current_dir(bench.path(".")));
    let page = std::fs::read_to_string(bench.path("run.html")).expect("it is there");
    let line = format!(
        "The highest load that keeps the objectives is {} in flight",
        load(met)
    );
    for text in [summary, &report.stdout, &page] {
        assert!(text.contains(&line), "{text}");
    }
}

#[test]
fn a_load_that_a_search_cannot_decide_is_not_decided() {
    let server = Mock::start(&["--ttft", "10ms", "--tokens", "1"]);
    let bench = Bench::new();
    let arguments = [
        "search",
        "--vary",
        "parallel",
        "--to",
        "2",
        "--probe-limit",
        "2s",
        "--cool-down",
        "0s",
        "--warmup",
        "1",
        "--save",
        "none",
        "--model",
        "m",
        "--prompt",
        "x",
        "--url",
        &server.chat(),
        "--objective",
        "ttft_p99<5s",
    ];
    let ended = run(program().args(arguments).current_dir(bench.path(".")));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("Not decided"), "{}", ended.stdout);
}

#[test]
fn a_run_stops_once_too_many_requests_fail() {
    let server = Mock::start(&["--ttft", "5ms", "--tokens", "1", "--error-rate", "0.5"]);
    let bench = Bench::new();
    let arguments = [
        "--url",
        &server.chat(),
        "--prompt",
        "x",
        "-n",
        "100000",
        "--parallel",
        "4",
        "--json",
        "run.json",
        "--stop-if",
        "failed>10%",
    ];
    let ended = run(&mut bench.perf(&arguments));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let reason = "--stop-if failed>10%: it holds for ";
    assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    let document = json(&bench, "run.json");
    let totals = &runs(&document)[0]["totals"];
    let completed = totals["requests"]["completed"].as_u64();
    assert!(completed.is_some_and(|all| all < 2000), "{completed:?}");
    let kinds = totals["failures"].as_object().expect("failures");
    assert!(!kinds.contains_key("cancelled"), "{kinds:?}");
    let told = totals["client"]["stop_reason"].as_str();
    assert!(
        told.is_some_and(|told| told.starts_with(reason)),
        "{told:?}"
    );
}
