//! Several loads in one database and one document.

use super::{json, runs};
use crate::helpers::{good, quick_mock, seen, typed};
use crate::support::{Bench, Mock, signal, start, wait};
use serde_json::Value;
use std::time::{Duration, Instant};

#[test]
fn a_sweep_is_one_database_and_one_document() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let ended = good(
        &bench,
        &mock,
        &[
            "--prompt",
            "x",
            "-n",
            "12",
            "--parallel",
            "1,3,2",
            "--json",
            "run.json",
            "--csv",
            "run.csv",
        ],
    );
    let rows = bench.rows("SELECT run, count(*) FROM result GROUP BY run ORDER BY run");
    assert_eq!(
        rows,
        [[1, 12], [2, 12], [3, 12]].map(|row| row.map(Value::from).to_vec())
    );
    let document = json(&bench, "run.json");
    let loads: Vec<u64> = runs(&document)
        .iter()
        .map(|run| run["plan"]["parallel"].as_u64().expect("a closed loop"))
        .collect();
    assert_eq!(loads, [1, 3, 2]);
    assert!(
        ended.stdout.contains("Sweep of 3 loads:"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains(" parallel 3 "), "{}", ended.stdout);
    assert!(
        ended
            .stderr
            .contains("\nLoad 2 of 3, parallel 3: 12 requests in "),
        "{}",
        ended.stderr
    );
    assert_eq!(
        ended.stderr.matches("are in run.db").count(),
        1,
        "{}",
        ended.stderr
    );
    let csv = std::fs::read_to_string(bench.path("run.csv")).expect("a table");
    assert_eq!(csv.lines().count(), 1 + 36);

    let out = typed(
        &bench,
        &[
            "report",
            "run.db",
            "--json",
            "again.json",
            "--csv",
            "again.csv",
        ],
    );
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    assert_eq!(json(&bench, "again.json"), document);
    let again = std::fs::read_to_string(bench.path("again.csv")).expect("a table");
    assert_eq!(again, csv);
}

#[test]
fn rates_make_a_sweep_too() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let ended = good(
        &bench,
        &mock,
        &["--prompt", "x", "-n", "20", "--rate", "200,400"],
    );
    let said = "40 requests are in run.db";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    let rates = bench.rows("SELECT json_extract(plan, '$.rate') FROM run ORDER BY id");
    assert_eq!(rates, [[Value::from(200.0)], [Value::from(400.0)]]);
}

#[test]
fn a_sweep_ends_with_an_interrupt() {
    let (bench, mock) = (
        Bench::new(),
        Mock::start(&["--ttft", "20ms", "--tokens", "3"]),
    );
    let url = mock.chat();
    let arguments = ["--prompt", "x", "-n", "100000", "--parallel", "2,4"];
    let child = start(bench.perf(&["--url", &url]).args(arguments));
    let deadline = Instant::now() + Duration::from_secs(30);
    while seen(&mock) == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, libc::SIGINT);
    let ended = wait(child);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(bench.value("SELECT count(*) FROM run"), 1);
    assert!(
        ended.stdout.contains("Not run: parallel 4."),
        "{}",
        ended.stdout
    );
}
