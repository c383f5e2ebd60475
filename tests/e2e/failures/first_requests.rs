//! A server that fails every request: the run ends before it has asked a hundred thousand times.

use super::connections::refused_port;
use crate::helpers::{mock, seen};
use crate::misbehaving::{Run, TRANSPORTS, perf};
use crate::results::{json, runs};
use crate::support::{self, Bench};

#[test]
fn a_server_that_refuses_from_the_start() {
    for transport in TRANSPORTS {
        let url = format!("http://127.0.0.1:{}/v1", refused_port());
        let arguments = ["-n", "100000", "--parallel", "4", "--transport", transport];
        let run = Run::of(&url, &[&arguments[..], &["--json", "run.json"]].concat());
        assert_eq!(run.ended.code, Some(1), "{}", run.ended.stderr);
        let said = "error: the run is stopped: none of the first 10 requests got a connection, the last of them with \
                    connect: no connection";
        assert!(run.ended.stderr.contains(said), "{}", run.ended.stderr);
        assert!(run.ended.stderr.contains("--keep-going"));
        // What was under way by then has its row too.
        let rows = run.rows().len();
        assert!((10..5_000).contains(&rows), "{rows}");
        let document = json(&run.bench, "run.json");
        let of_run = &runs(&document)[0];
        assert_eq!(of_run["state"], "failed");
        assert_eq!(of_run["totals"]["requests"]["completed"], rows);
        let doubts = of_run["verdict"]["doubts"].as_array().expect("a list");
        let stopped = doubts
            .iter()
            .find(|doubt| doubt["reason"] == "stopped-early");
        let figure = stopped.expect("it is a doubt")["figure"]
            .as_str()
            .expect("a text");
        let said = format!("issuing stopped after {rows} of 100000 requests: none of the first 10");
        assert!(figure.starts_with(&said), "{figure}");
    }
}

#[test]
fn a_server_that_answers_with_errors_alone() {
    let server = mock(&["--error-rate", "1"]);
    let run = Run::of(&server.chat(), &["-n", "5000", "--rate", "2000"]);
    assert_eq!(run.ended.code, Some(1), "{}", run.ended.stderr);
    let said = "the first 100 requests all failed, the last of them with http-status: HTTP 500";
    assert!(run.ended.stderr.contains(said), "{}", run.ended.stderr);
    let all = seen(&server);
    assert!((100..5_000).contains(&all), "{all}");
    assert_eq!(run.rows().len() as u64, all);
}

#[test]
fn all_requests_are_sent_if_that_is_asked_for() {
    let url = format!("http://127.0.0.1:{}/v1", refused_port());
    let run = Run::of(&url, &["-n", "300", "--parallel", "4", "--keep-going"]);
    assert_eq!(run.ended.code, Some(1));
    assert_eq!(run.rows().len(), 300);
    assert!(
        !run.ended.stderr.contains("is stopped"),
        "{}",
        run.ended.stderr
    );
}

#[test]
fn the_further_loads_of_a_sweep_are_not_run() {
    let url = format!("http://127.0.0.1:{}/v1", refused_port());
    let bench = Bench::new();
    let arguments = ["-n", "1000", "--parallel", "1,2,4"];
    let ended = support::run(&mut perf(&bench, &url, &arguments));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let said = "Not run: parallel 2, parallel 4, since every request before failed (--keep-going";
    assert!(ended.stdout.contains(said), "{}", ended.stdout);
    assert_eq!(bench.value("SELECT count(*) FROM run"), 1);
}

/// A run that has no more to send has nothing to stop.
#[test]
fn a_short_run_is_no_other_than_before() {
    let url = format!("http://127.0.0.1:{}/v1", refused_port());
    let run = Run::of(&url, &["-n", "10"]);
    assert_eq!(run.rows().len(), 10);
    assert!(
        !run.ended.stderr.contains("is stopped"),
        "{}",
        run.ended.stderr
    );
    let verdict = crate::helpers::of_run(&run.bench, "verdict");
    let doubts = verdict["doubts"].as_array().expect("a list");
    assert!(
        doubts
            .iter()
            .all(|doubt| doubt["reason"] != "stopped-early"),
        "{verdict}"
    );
}
