//! The most requests that may be in flight in an open loop: what is due beyond that waits, is counted from when it was due,
//! and is told.

use crate::misbehaving::{Misbehaving, Run, Step, delta, event, streamed, usage};
use crate::results::{json, runs};
use crate::support::{Bench, run};
use serde_json::Value;
use std::time::Duration;

/// A server that answers after this time.
fn slow(time: Duration) -> Misbehaving {
    let body = event(delta("x")) + &event(usage(1, 1));
    Misbehaving::start(vec![
        Step::Request,
        Step::Pause(time),
        Step::Write(streamed(body, 1000)),
        Step::Again,
    ])
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

fn doubt<'a>(verdict: &'a Value, reason: &str) -> &'a str {
    let mut doubts = verdict["doubts"].as_array().expect("a list").iter();
    doubts
        .find(|doubt| doubt["reason"] == reason)
        .unwrap_or_else(|| panic!("no {reason} in {verdict}"))["figure"]
        .as_str()
        .expect("a text")
}

#[test]
fn a_stalled_server_takes_no_more_than_may_be_in_flight() {
    let server = Misbehaving::start(vec![Step::Request, Step::Hang]);
    let run = Run::of(
        &server.chat(),
        &[
            "--rate",
            "2000",
            "--duration",
            "3",
            "--drain-timeout",
            "100ms",
            "--max-in-flight",
            "50",
            "--json",
            "run.json",
        ],
    );
    assert_eq!(run.ended.code, Some(1), "{}", run.ended.stderr);
    assert!(
        run.ended.stderr.contains("50 in flight at most"),
        "{}",
        run.ended.stderr
    );
    assert_eq!(server.connections(), 50);
    let document = json(&run.bench, "run.json");
    let of_run = &runs(&document)[0];
    let requests = &of_run["totals"]["requests"];
    assert_eq!(requests["peak_in_flight"], 50);
    assert_eq!(requests["max_in_flight"], 50);
    assert_eq!(requests["issued"], 50);
    let unsent = number(&requests["due_and_not_sent"]);
    assert!((5_000.0..7_000.0).contains(&unsent), "{unsent}");
    let waited_for = &requests["due_and_not_sent_waited_for"];
    assert_eq!(number(&waited_for["place_in_flight"]), unsent);
    assert_eq!(waited_for["body"], 0);
    assert_eq!(waited_for["processor"], 0);
    // Fifty in three seconds, though they went within the first moments.
    let rate = number(&of_run["totals"]["rates"]["sent_per_second"]);
    assert!((10.0..20.0).contains(&rate), "{rate}");
    let figure = doubt(&of_run["verdict"], "due-and-not-sent");
    let said = format!("{unsent} of {} requests that were due", unsent + 50.0);
    assert!(figure.starts_with(&said), "{figure}");
    let said = format!("{unsent} requests due and not sent when the run ended");
    let summary = run.ended.stdout.split_whitespace();
    let summary = summary.collect::<Vec<_>>().join(" ");
    assert!(summary.contains(&said), "{summary}");
}

#[test]
fn what_waits_is_counted_from_when_it_was_due_and_told_everywhere() {
    let _turn = crate::timing::turn();
    let server = slow(Duration::from_millis(50));
    let bench = Bench::new();
    let url = server.chat();
    let arguments = |most: &'static str| {
        [
            "--url",
            &url,
            "--prompt",
            "x",
            "-n",
            "100",
            "--rate",
            "500",
            "--client-threads",
            "1",
            "--max-in-flight",
            most,
        ]
    };
    let mut command = bench.perf(&arguments("5"));
    command.args([
        "--details",
        "--json",
        "run.json",
        "--html",
        "run.html",
        "--csv",
        "run.csv",
    ]);
    let ended = run(&mut command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(server.connections() <= 5, "{}", server.connections());
    let document = json(&bench, "run.json");
    let of_run = &runs(&document)[0];
    let totals = &of_run["totals"];
    assert_eq!(totals["requests"]["peak_in_flight"], 5);
    let held_up = &totals["held_up"];
    let requests = number(&held_up["samples"]);
    assert!((80.0..=95.0).contains(&requests), "{requests}");
    // Twenty rounds of 50 ms, in place of the 200 ms of the schedule.
    let longest = number(&held_up["max_seconds"]);
    assert!((0.6..10.0).contains(&longest), "{longest}");
    let longest_latency = number(&totals["latency"]["max_seconds"]);
    assert!(longest_latency > longest, "{longest_latency} and {longest}");

    let figure = doubt(&of_run["verdict"], "held-up");
    let said = format!(
        "{requests} of 100 requests were held up by --max-in-flight 5, {longest:.3} s at the longest"
    );
    assert!(figure.starts_with(&said), "{figure}");
    // It is the server that was slow, and not this client.
    let doubts = of_run["verdict"]["doubts"].as_array().expect("a list");
    assert!(doubts.iter().all(|doubt| doubt["reason"] != "bodies-late"));

    let said =
        format!("5 requests at the peak of 5 that may be; {requests} requests held up by that");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&ended.stdout).contains(&said), "{}", ended.stdout);
    let text = |name: &str| std::fs::read_to_string(bench.path(name)).expect("it is there");
    assert!(text("run.html").contains("/runs/0/totals/held_up/max_seconds"));
    assert!(
        text("run.csv")
            .lines()
            .next()
            .is_some_and(|head| head.contains(",held_up_seconds"))
    );
    let rows = "FROM result WHERE held_up_time > 0 AND latency >= held_up_time + 0.049";
    let rows = bench.value(&format!("SELECT count(*) {rows}"));
    assert_eq!(rows.as_f64(), Some(requests));

    // Another limit is another load.
    let again = Bench::new();
    let ended = run(&mut again.perf(&arguments("100")));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let compared = run(crate::support::program()
        .arg("compare")
        .args([bench.path("run.db"), again.path("run.db")]));
    let said = "--max-in-flight: 5 and 100";
    assert!(compared.stdout.contains(said), "{}", compared.stdout);
}

#[test]
fn all_at_once_keeps_to_it_too() {
    let server = slow(Duration::from_millis(20));
    let arguments = ["-n", "40", "--rate", "-1", "--client-threads", "1"];
    let run = Run::of(
        &server.chat(),
        &[&arguments[..], &["--max-in-flight", "4"]].concat(),
    );
    assert_eq!(
        run.count("Succeed requests"),
        Some(40),
        "{}",
        run.ended.stderr
    );
    assert!(server.connections() <= 4, "{}", server.connections());
    let held_up = run
        .bench
        .value("SELECT count(*) FROM result WHERE held_up_time > 0");
    assert_eq!(held_up, 36);
}

#[test]
fn it_is_for_open_loops_and_no_more_than_the_machine_holds() {
    let bench = Bench::new();
    for (arguments, said) in [
        (
            &["--parallel", "2", "--max-in-flight", "2"][..],
            "--parallel",
        ),
        (&["--max-in-flight", "2"], "--rate"),
        (&["--rate", "5", "--max-in-flight", "0"], "--max-in-flight"),
        (
            &["--rate", "5", "--max-in-flight", "4000000000"],
            "can be held",
        ),
    ] {
        let ended = run(bench
            .perf(&["--prompt", "x", "-n", "4000000000"])
            .args(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(said),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
}
