//! A worker whose clocks are wrong: its monotonic clock by a time namespace, its wall clock by libfaketime.

use super::{PROGRAM, data_set, load, turn_of};
use crate::helpers::{arrivals, numbers, of_run, percentile, quick_mock};
use crate::support::{Bench, program, run};

const PROGRAMS: [(&str, &str); 3] = [
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    // A library. Debian has no program of it without another package.
    (LIBRARY, "libfaketime"),
];

#[cfg(target_arch = "x86_64")]
const LIBRARY: &str = "../lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
#[cfg(not(target_arch = "x86_64"))]
const LIBRARY: &str = "../lib/aarch64-linux-gnu/faketime/libfaketime.so.1";

#[test]
#[ignore = "needs root and libfaketime"]
fn a_worker_whose_clocks_are_ahead_sends_when_requests_are_due() {
    let name = "a_worker_whose_clocks_are_ahead_sends_when_requests_are_due";
    let Some(_turn) = turn_of(name, &PROGRAMS) else {
        return;
    };
    let bench = Bench::new();
    data_set(&bench);
    let mock = quick_mock();
    let library = format!("/usr/bin/{LIBRARY}");
    let start = bench.file(
        "start",
        format!(
            "case $1 in right) shift; exec \"$@\";; esac\nshift\n\
             exec unshare -T --monotonic 1000 env LD_PRELOAD={library} FAKETIME=+0.25 FAKETIME_DONT_FAKE_MONOTONIC=1 \"$@\"\n"
        ),
    );
    let on = format!("sh {} {{}}", start.to_string_lossy());
    let more = ["--rate", "100", "-n", "400", "--worker-program", PROGRAM];
    let workers = ["--on", &on, "--hosts", "right,ahead"];
    mock.get("/truth");
    let ended = run(program()
        .current_dir(bench.path(""))
        .args(load(&mock, &[&more[..], &workers].concat())));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let workers = of_run(&bench, "totals")["workers"].clone();
    for (worker, ahead) in [(0, 0.0), (1, 0.25)] {
        let clock = &workers[worker]["clock_offset_seconds"];
        let error = clock.as_f64().unwrap() - ahead;
        let bound = workers[worker]["clock_bound_seconds"].as_f64().unwrap();
        assert!(bound < 0.005 && error.abs() < 0.005 + bound, "{workers}");
        assert!(workers[worker]["requests"].as_u64().unwrap() > 100);
    }

    // Rows stand in the time of this machine: each was due before its request arrived here, not 250 ms later.
    let mut due = numbers(&bench, "SELECT intended_time FROM result");
    due.sort_by(f64::total_cmp);
    let mut arrived = arrivals(&mock.get("/truth"));
    arrived.sort_by(f64::total_cmp);
    assert_eq!((due.len(), arrived.len()), (400, 400));
    let late: Vec<f64> = due.iter().zip(&arrived).map(|(due, at)| at - due).collect();
    let errors: Vec<f64> = late.iter().map(|late| late.abs()).collect();
    assert!(percentile(&errors, 50) < 0.01, "{errors:?}");
    assert!(percentile(&errors, 90) < 0.05, "{errors:?}");
}
