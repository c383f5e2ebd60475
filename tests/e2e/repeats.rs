//! Runs of the same load (--repeat), and the steady state of a run.

use crate::helpers::{good, in_every_report, mock, of_run, quick_mock, refused, typed};
use crate::support::Bench;
use serde_json::Value;

fn document(bench: &Bench) -> Value {
    let text = std::fs::read_to_string(bench.path("out.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_mean_of_repeated_runs_stands_in_every_output() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let load = [
        "--prompt",
        "x",
        "--parallel",
        "2",
        "-n",
        "20",
        "--repeat",
        "3",
    ];
    let files = [
        "--json",
        "out.json",
        "--html",
        "page.html",
        "--markdown",
        "out.md",
    ];
    let began = std::time::Instant::now();
    let ended = good(
        &bench,
        &mock,
        &[&load[..], &files, &["--cool-down", "400ms"]].concat(),
    );
    assert!(began.elapsed().as_secs_f64() > 0.8);
    let document = document(&bench);
    let seeds: Vec<&Value> = (0..3)
        .map(|run| &document["runs"][run]["plan"]["seed"])
        .collect();
    assert_eq!(
        seeds,
        [&Value::from(42), &Value::from(43), &Value::from(44)]
    );
    let repeats = &document["repeats"][0];
    assert_eq!(repeats["runs"], serde_json::json!([1, 2, 3]));
    let of_runs: Vec<f64> = (0..3)
        .map(|run| {
            document["runs"][run]["totals"]["figures"]["qps"]
                .as_f64()
                .unwrap()
        })
        .collect();
    let qps = &repeats["figures"]["qps"];
    let mean = of_runs.iter().sum::<f64>() / 3.0;
    assert!((qps["mean"].as_f64().unwrap() - mean).abs() < 1e-9, "{qps}");
    assert!(
        qps["low"].as_f64() < qps["mean"].as_f64() && qps["mean"].as_f64() < qps["high"].as_f64()
    );
    assert!(
        repeats["figures"]["ttft_p99"]["coefficient_of_variation"]
            .as_f64()
            .unwrap()
            >= 0.0
    );
    in_every_report(&bench, &ended, "3 runs of parallel 2");
    in_every_report(&bench, &ended, "Mean over the runs");
    let compared = typed(&bench, &["compare", "run.db", "out.json"]);
    assert!(
        compared.stdout.contains("After: the mean of 3 runs"),
        "{}",
        compared.stdout
    );
    assert!(compared.stdout.contains("same") || compared.stdout.contains("unclear"));
    assert_eq!(compared.stdout.matches("(after) against").count(), 1);
}

#[test]
fn a_pause_needs_runs_to_part() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let load = ["--prompt", "x"];
    let said = refused(
        &bench,
        &mock,
        &[&load[..], &["--cool-down", "1s"]].concat(),
        2,
    );
    assert!(said.contains("give --repeat"), "{said}");
    let said = refused(&bench, &mock, &[&load[..], &["--repeat", "1"]].concat(), 2);
    assert!(said.contains("--repeat"), "{said}");
}

#[test]
fn the_steady_state_stands_beside_the_whole_run() {
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "50ms", "--tokens", "1"]));
    let load = [
        "--prompt",
        "x",
        "--parallel",
        "4",
        "-n",
        "60",
        "--ramp-up",
        "400ms",
    ];
    let ended = good(&bench, &mock, &load);
    let totals = of_run(&bench, "totals");
    let window = &totals["groups"][0];
    assert_eq!(window["by"], "window", "{totals}");
    assert_eq!(window["begins_seconds"], 0.4);
    let rows = bench.rows(
        "SELECT count(*) FROM result, (SELECT max(sent_time) AS last, min(intended_time) AS first FROM result) \
         WHERE completed_time >= first + 0.4 AND completed_time <= last",
    );
    assert_eq!(window["completed"], rows[0][0]);
    let completed = window["completed"].as_u64().unwrap();
    assert!((35..=58).contains(&completed), "{completed}");
    // Four users of 50 ms each, without the time in which there were fewer.
    let rate = |figures: &Value| figures["figures"]["qps"].as_f64().unwrap();
    assert!(rate(window) > rate(&totals), "{window}");
    assert!(ended.stdout.contains("steady state"), "{}", ended.stdout);
}
