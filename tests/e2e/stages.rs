//! A load that changes while the run goes on: --stages.

use crate::helpers::{good, in_every_report, mock, of_run, typed};
use crate::support::Bench;
use serde_json::Value;

fn completed(groups: &Value) -> Vec<(&str, u64)> {
    let groups = groups.as_array().unwrap().iter();
    groups
        .map(|group| {
            assert_eq!(group["by"], "stage");
            (
                group["name"].as_str().unwrap(),
                group["completed"].as_u64().unwrap(),
            )
        })
        .collect()
}

const STAGES: &str = "rate:20@1s,20..100@1s,50@1s";

#[test]
fn each_stage_has_its_rate_and_its_figures() {
    let (bench, mock) = (Bench::new(), mock(&["--tokens", "2"]));
    let load = ["--prompt", "x", "--stages", STAGES, "--arrival", "constant"];
    let files = ["--html", "page.html", "--markdown", "out.md"];
    let ended = good(&bench, &mock, &[&load[..], &files].concat());
    let totals = of_run(&bench, "totals");
    let found = completed(&totals["groups"]);
    let expected = [("20@1s", 20), ("20..100@1s", 60), ("50@1s", 50)];
    for ((name, requests), (expected_name, expected)) in found.iter().zip(expected) {
        assert_eq!(*name, expected_name);
        // The last one of a stage is due at its end, where it may be either's.
        assert!(requests.abs_diff(expected) <= 1, "{found:?}");
    }
    let group = &totals["groups"][1];
    assert!(
        group["time_to_first_token"]["p50_seconds"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    let rate = group["due_per_second"].as_f64().unwrap();
    assert!((59.0..=61.0).contains(&rate), "{rate}");
    assert_eq!(of_run(&bench, "plan")["stages"], STAGES);
    in_every_report(&bench, &ended, "20..100@1s");
    let compared = typed(&bench, &["compare", "run.db", "run.db"]);
    assert!(
        compared.stdout.contains("stage 20..100@1s"),
        "{}",
        compared.stdout
    );
}

#[test]
fn a_closed_loop_ramps_up_its_users() {
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "100ms", "--tokens", "1"]));
    let stages = "parallel:1@1s,1..8@1s,8@1s";
    good(&bench, &mock, &["--prompt", "x", "--stages", stages]);
    let totals = of_run(&bench, "totals");
    let found = completed(&totals["groups"]);
    // 100 ms each: 10 for each slot and second at most.
    assert!((5..=11).contains(&found[0].1), "{found:?}");
    assert!((20..=53).contains(&found[1].1), "{found:?}");
    assert!((45..=88).contains(&found[2].1), "{found:?}");
    assert_eq!(totals["requests"]["peak_in_flight"], 8);
}
