//! What failed is in no percentile.

use crate::misbehaving::{Misbehaving, Run, Step, delta, event, head, text};
use crate::support::{Ended, Mock};
use std::time::Duration;

#[test]
fn failures_stay_out_of_the_percentiles() {
    // The failures are quick: with them in it, the median would be too.
    let mock = Mock::start(&[
        "--error-rate",
        "0.5",
        "--ttft",
        "100ms",
        "--itl",
        "10ms",
        "--tokens",
        "6",
    ]);
    let quick = Run::of(&mock.chat(), &["-n", "40", "--parallel", "10"]);
    check_mixture("quick failures", &quick, 40, |p50, _| p50 >= 0.15);

    // The failures are slow: with them in it, the highest percentile would be too. Each answer says that
    // its connection closes, so that a request which comes late is not put on one that is closing.
    let closing = |status: &str, content_type: &str, body: &str| {
        let fields = [
            "connection: close",
            &format!("content-type: {content_type}"),
            &format!("content-length: {}", body.len()),
        ];
        text(head(status, &fields) + body)
    };
    let server = Misbehaving::with(move |number| {
        let answer = match number % 2 {
            0 => closing("200 OK", "text/event-stream", &event(delta("x"))),
            _ => closing("500 Oops", "text/plain", "no"),
        };
        let pause = Duration::from_millis(if number % 2 == 0 { 0 } else { 1500 });
        vec![Step::Request, Step::Pause(pause), answer, Step::Close]
    });
    let slow = Run::of(&server.chat(), &["-n", "8", "--rate", "-1"]);
    check_mixture("slow failures", &slow, 8, |_, p99| p99 < 1.5);
}

/// Checks a run of which some requests failed with a status, and the first and last percentile of its
/// latency.
fn check_mixture(name: &str, run: &Run, count: usize, holds: impl Fn(f64, f64) -> bool) {
    assert_eq!(run.ended.code, Some(0), "{name}: {}", run.ended.stderr);
    let rows = run.rows();
    assert_eq!(rows.len(), count, "{name}");
    let failed = rows.iter().filter(|row| !row.success).count();
    assert!((1..count).contains(&failed), "{name}: {failed} failed");
    assert!(run.tells(failed, "http-status"), "{name}");
    assert_eq!(run.count("Failed requests"), Some(failed as u64), "{name}");
    let (p50, p99) = latency(&run.ended);
    assert!(holds(p50, p99), "{name}: p50 {p50}, p99 {p99}");
}

/// The first and the last percentile of the latency on standard output.
fn latency(ended: &Ended) -> (f64, f64) {
    let (_, table) = ended
        .stdout
        .split_once("Percentile of request latency: \n")
        .expect("the summary has the percentiles");
    let value = |label: &str| {
        table
            .lines()
            .find_map(|line| line.trim().strip_prefix(label))
            .and_then(|value| value.parse().ok())
            .expect("a percentile is a number")
    };
    (value("p50: "), value("p99: "))
}
