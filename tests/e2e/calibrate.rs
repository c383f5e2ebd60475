//! `calibrate`: real runs against a server that knows the truth, as a table and as JSON, plain and TLS.

use crate::support::{program, run};
use serde_json::Value;

const QUICK: [&str; 6] = ["--ttft", "20ms", "--itl", "2ms", "--tokens", "6"];

#[test]
fn levels_are_measured_against_the_truth() {
    let _turn = crate::timing::turn();
    let bench = crate::support::Bench::new();
    for more in [&[][..], &["--tls"], &["--transport", "reqwest"]] {
        let ended = run(program()
            .env("XDG_STATE_HOME", bench.path("state"))
            .args([
                "calibrate",
                "--parallel",
                "1,4",
                "--rate",
                "20,-1",
                "--json",
            ])
            .args(QUICK)
            .args(more));
        assert_eq!(ended.code, Some(0), "{more:?}: {}", ended.stderr);
        let json: Value = serde_json::from_str(&ended.stdout).expect("JSON on standard output");
        let levels = json["levels"].as_array().expect("a list of levels");
        let loads: Vec<(&str, &Value, &Value)> = levels
            .iter()
            .map(|level| {
                let arrivals = level["arrivals"].as_str().expect("a name");
                (arrivals, &level["parallel"], &level["rate"])
            })
            .collect();
        assert_eq!(
            loads,
            [
                ("closed", &Value::from(1), &Value::Null),
                ("closed", &Value::from(4), &Value::Null),
                ("poisson", &Value::Null, &Value::from(20.0)),
                ("all-at-once", &Value::Null, &Value::Null),
            ]
        );
        // A hundred requests at once keep a small machine busy, and the server late.
        for level in levels
            .iter()
            .filter(|level| level["arrivals"] != "all-at-once")
        {
            let measured = &level["runs"][0];
            assert_eq!(measured["failed"], 0, "{more:?}: {level}");
            let error = measured["ttft_error"]["p50_seconds"].as_f64();
            // Far more than it is, and far less than the 20 ms that a clock of nobody would be off.
            assert!(
                error.is_some_and(|error| error.abs() < 0.010),
                "{more:?}: {level}"
            );
            let truth = measured["true_ttft_p50_seconds"].as_f64();
            assert!(
                truth.is_some_and(|truth| truth >= 0.020),
                "{more:?}: {level}"
            );
        }
    }
}

#[test]
fn the_table_says_up_to_which_load_this_machine_measures() {
    let _turn = crate::timing::turn();
    let bench = crate::support::Bench::new();
    let ended = run(program()
        .env("XDG_STATE_HOME", bench.path("state"))
        .args(["calibrate", "--parallel", "2"])
        .args(QUICK));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for part in ["2 streams", "Within 1 ms:", "Within 5 %:"] {
        assert!(ended.stdout.contains(part), "{}", ended.stdout);
    }
}

#[test]
fn a_load_beyond_what_was_calibrated_is_warned_of() {
    let _turn = crate::timing::turn();
    let bench = crate::support::Bench::new();
    let state = bench.path("state");
    let calibrate = |more: &[&str]| {
        run(program()
            .env("XDG_STATE_HOME", &state)
            .args(["calibrate", "--parallel", "2"])
            .args(QUICK)
            .args(more))
    };
    let found = bench.path("found.json");
    let ended = calibrate(&["--out", found.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!state.exists(), "{}", ended.stderr);
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&found).unwrap()).unwrap();
    assert_eq!(kept["format"], "llmuses.calibration");
    assert_eq!(kept["most_streams_tried"], 2);
    let again = calibrate(&["--out", found.to_str().unwrap()]);
    assert_eq!(again.code, Some(2), "{}", again.stderr);

    let ended = calibrate(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        state.join("llmuses/calibration.json").exists(),
        "{}",
        ended.stderr
    );
    let mock = crate::helpers::quick_mock();
    let perf = |parallel: &str| {
        let load = [
            "--url",
            &mock.chat(),
            "--prompt",
            "x",
            "-n",
            "4",
            "--save",
            "none",
        ];
        let ended = run(bench
            .perf(&load)
            .env("XDG_STATE_HOME", &state)
            .args(["--parallel", parallel]));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stderr
    };
    let said = perf("3");
    assert!(
        said.contains("warning: parallel 3 is 3 streams at once"),
        "{said}"
    );
    if !kept["streams_within_1_ms"].is_null() {
        let said = perf("2");
        assert!(!said.contains("streams at once"), "{said}");
    }
    let ended = run(bench
        .perf(&["--url", &mock.chat(), "--prompt", "x", "-n", "4"])
        .env("XDG_STATE_HOME", &state)
        .args(["--save", "none", "--rate", "-1"]));
    let said = "warning: all at once is 4 streams at once";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    let mut search = program();
    search
        .env("XDG_STATE_HOME", &state)
        .args([
            "search",
            "--url",
            &mock.chat(),
            "--model",
            "m",
            "--prompt",
            "x",
        ])
        .args([
            "--save", "none", "--vary", "parallel", "--from", "3", "--to", "4",
        ])
        .args(["--objective", "failed<50%", "--time-limit", "1s"]);
    let ended = run(&mut search);
    let said = "is 3 streams at once";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    // It was found without TLS, and says nothing of a load with it. Nobody listens there.
    let load = ["--url", "https://127.0.0.1:1/", "--prompt", "x", "-n", "4"];
    let ended = run(bench.perf(&load).env("XDG_STATE_HOME", &state).args([
        "--parallel",
        "3",
        "--save",
        "none",
    ]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        !ended.stderr.contains("streams at once"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_level_that_cannot_be_held_is_refused_before_any_is_measured() {
    let ended = run(program().args(["calibrate", "--parallel", "1,4000000"]));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("can be held"), "{}", ended.stderr);
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
}
