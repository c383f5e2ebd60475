//! A server that stalls must not be flattered: in an open loop the stall shows in the latency of every
//! request that was due in it, though most of them had not even been connected when it began.

use crate::misbehaving::{Misbehaving, Run, Step, delta, event, head, text};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const BEGINS: Duration = Duration::from_millis(500);
const ENDS: Duration = Duration::from_millis(1500);

#[test]
fn a_stall_shows_in_all_that_was_due_in_it() {
    let _turn = crate::timing::turn();
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let server = Misbehaving::with(|_| {
        let since = FIRST.get_or_init(Instant::now).elapsed();
        let pause = if (BEGINS..ENDS).contains(&since) {
            ENDS - since
        } else {
            Duration::ZERO
        };
        let body = event(delta("x"));
        let fields = [
            "connection: close",
            "content-type: text/event-stream",
            &format!("content-length: {}", body.len()),
        ];
        vec![
            Step::Request,
            Step::Pause(pause),
            text(head("200 OK", &fields) + &body),
            Step::Close,
        ]
    });
    let run = Run::of(&server.chat(), &["-n", "200", "--rate", "100"]);
    assert_eq!(run.ended.code, Some(0), "{}", run.ended.stderr);
    let times: Vec<(f64, f64)> = run
        .bench
        .rows("select intended_time, latency from result order by number")
        .iter()
        .map(|row| (row[0].as_f64().unwrap(), row[1].as_f64().unwrap()))
        .collect();
    let start = times[0].0;
    // A margin at both ends, for the two clocks did not start at the same moment.
    let due_in_it = times.iter().filter_map(|(intended, latency)| {
        let since = intended - start;
        (0.6..1.3).contains(&since).then_some((since, *latency))
    });
    let mut count = 0;
    for (since, latency) in due_in_it {
        count += 1;
        assert!(
            latency > 1.5 - since - 0.1,
            "due after {since} s and answered within {latency} s"
        );
    }
    assert!(count > 35, "{count} requests were due in the stall");
    let quick = times
        .iter()
        .filter(|(intended, latency)| intended - start < 0.4 && *latency < 0.2)
        .count();
    assert!(quick > 10, "{quick} requests before it were quick");
}
