//! What a run leaves, and what is made of it: JSON, CSV, reports out of databases, sweeps, comparisons.

use crate::helpers::{good, mock, quick_mock, refused, seen, typed};
use crate::support::{Bench, Mock, program, run, wait};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A JSON file of the bench.
fn json(bench: &Bench, name: &str) -> Value {
    let text = std::fs::read_to_string(bench.path(name)).expect("the file is there");
    serde_json::from_str(&text).expect("it is JSON")
}

/// The runs of a document.
fn runs(document: &Value) -> &Vec<Value> {
    document["runs"].as_array().expect("a document has runs")
}

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
    assert!(ended.stderr.contains("Load 2 of 3: "), "{}", ended.stderr);
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
    good(
        &bench,
        &mock,
        &["--prompt", "x", "-n", "20", "--rate", "200,400"],
    );
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
    let child = bench
        .perf(&[
            "--url",
            &url,
            "--prompt",
            "x",
            "-n",
            "100000",
            "--parallel",
            "2,4",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let deadline = Instant::now() + Duration::from_secs(30);
    while seen(&mock) == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    // SAFETY: a signal to the child that was just started and has not been waited for.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) };
    let ended = wait(child);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(bench.value("SELECT count(*) FROM run"), 1);
    assert!(
        ended.stdout.contains("Not run: parallel 4."),
        "{}",
        ended.stdout
    );
}

#[test]
fn json_on_standard_output_is_alone_there() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let ended = good(&bench, &mock, &["--prompt", "x", "--json", "-"]);
    let document: Value = serde_json::from_str(&ended.stdout).expect("nothing but JSON");
    assert_eq!(document["format"], "llmuses.results");
    assert!(
        ended.stderr.contains("Benchmarking summary"),
        "{}",
        ended.stderr
    );
}

#[test]
fn files_in_the_way_are_refused_before_the_run() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("there.json", "mine");
    for arguments in [
        ["--json", "there.json"],
        ["--csv", "there.json"],
        ["--json", "no/folder.json"],
    ] {
        let mut all = vec!["--prompt", "x"];
        all.extend(arguments);
        let said = refused(&bench, &mock, &all, 2);
        assert!(said.contains(arguments[0]), "{said}");
        assert!(!bench.path("run.db").exists());
    }
    assert_eq!(
        std::fs::read(bench.path("there.json")).expect("it is there"),
        b"mine"
    );
    // What was made before the error is taken away again.
    refused(
        &bench,
        &mock,
        &["--prompt", "x", "--json", "new.json", "--csv", "there.json"],
        2,
    );
    assert!(!bench.path("new.json").exists());
}

#[test]
fn a_warmup_is_in_no_figure() {
    let (bench, mock) = (Bench::new(), quick_mock());
    good(
        &bench,
        &mock,
        &[
            "--prompt",
            "x",
            "-n",
            "30",
            "--parallel",
            "2",
            "--warmup",
            "10",
            "--json",
            "run.json",
        ],
    );
    let totals = runs(&json(&bench, "run.json"))[0]["totals"].clone();
    assert_eq!(totals["requests"]["warmup"], 10);
    assert_eq!(totals["requests"]["completed"], 20);
    assert_eq!(totals["requests"]["issued"], 30);
    assert_eq!(totals["latency"]["samples"], 20);
    let numbers = bench.rows("SELECT max(number), count(*) FROM result WHERE warmup = 1");
    assert_eq!(numbers, [[Value::from(9), Value::from(10)]]);
}

#[test]
fn a_warmup_by_time_goes_by_intention() {
    let (bench, mock) = (Bench::new(), quick_mock());
    good(
        &bench,
        &mock,
        &[
            "--prompt", "x", "-n", "200", "--rate", "200", "--warmup", "500ms", "--json",
            "run.json",
        ],
    );
    let totals = runs(&json(&bench, "run.json"))[0]["totals"].clone();
    let warmup = totals["requests"]["warmup"].as_u64().expect("a number");
    assert!((60..150).contains(&warmup), "{warmup}");
    let edge = bench.rows(
        "SELECT (SELECT max(intended_time) FROM result WHERE warmup = 1) < \
                (SELECT min(intended_time) FROM result WHERE warmup = 0)",
    );
    assert_eq!(edge, [[Value::from(1)]]);
}

#[test]
fn a_duration_ends_a_run_and_what_is_in_flight_may_finish() {
    let (bench, mock) = (
        Bench::new(),
        Mock::start(&["--ttft", "300ms", "--tokens", "2"]),
    );
    let start = Instant::now();
    good(
        &bench,
        &mock,
        &[
            "--prompt",
            "x",
            "--duration",
            "1",
            "--parallel",
            "3",
            "--json",
            "run.json",
        ],
    );
    assert!(start.elapsed() < Duration::from_secs(20));
    let totals = runs(&json(&bench, "run.json"))[0]["totals"].clone();
    let succeeded = totals["requests"]["succeeded"].as_u64().expect("a number");
    // Three slots, and in each no more than four requests of 300 ms begin within a second.
    assert!((6..=12).contains(&succeeded), "{succeeded}");
    assert_eq!(totals["requests"]["failed"], 0);
    let late = "SELECT count(*) FROM result, run WHERE intended_time >= started_time + 1.5";
    assert_eq!(bench.value(late), 0);
    let doubts = runs(&json(&bench, "run.json"))[0]["verdict"].to_string();
    assert!(!doubts.contains("stopped"), "{doubts}");
}

#[test]
fn an_open_loop_keeps_to_its_duration() {
    let (bench, mock) = (Bench::new(), quick_mock());
    good(
        &bench,
        &mock,
        &["--prompt", "x", "--duration", "1", "--rate", "100"],
    );
    let sent = bench
        .value("SELECT count(*) FROM result")
        .as_u64()
        .expect("a number");
    assert!((60..150).contains(&sent), "{sent}");
    let span = "SELECT max(intended_time) - min(intended_time) FROM result";
    assert!(bench.value(span).as_f64().expect("a time") < 1.0);
}

#[test]
fn what_is_in_flight_for_too_long_is_cancelled_and_counted() {
    let (bench, mock) = (
        Bench::new(),
        Mock::start(&["--ttft", "60s", "--tokens", "2"]),
    );
    let url = mock.chat();
    let start = Instant::now();
    let ended = run(&mut bench.perf(&[
        "--url",
        &url,
        "--prompt",
        "x",
        "--duration",
        "0.3",
        "--drain-timeout",
        "0.5",
        "--parallel",
        "3",
    ]));
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(ended.code, Some(1), "nothing succeeded: {}", ended.stderr);
    let kinds = bench.rows("SELECT error_kind, count(*) FROM result GROUP BY error_kind");
    assert_eq!(kinds, [[Value::from("cancelled"), Value::from(3)]]);
}

#[test]
fn goodput_counts_requests_that_met_all_objectives() {
    let (bench, mock) = (
        Bench::new(),
        Mock::start(&["--ttft", "60ms", "--itl", "5ms", "--tokens", "4"]),
    );
    for (name, objectives, met) in [
        ("kept", "ttft:10s,tpot:5s,latency:30s", 6),
        ("one", "ttft:1ms,tpot:5s", 0),
        ("long", "latency:10ms", 0),
    ] {
        let file = format!("{name}.json");
        let ended = good(
            &bench,
            &mock,
            &[
                "--prompt",
                "x",
                "-n",
                "6",
                "--goodput",
                objectives,
                "--json",
                &file,
                "--save",
                "none",
            ],
        );
        let goodput = runs(&json(&bench, &file))[0]["totals"]["goodput"].clone();
        assert_eq!(goodput["requests_that_met_all"], met, "{name}");
        assert_eq!(
            goodput["share_of_completed"],
            f64::from(met) / 6.0,
            "{name}"
        );
        assert!(
            ended.stdout.contains(&format!("{met} of 6 completed")),
            "{}",
            ended.stdout
        );
    }
}

#[test]
fn a_killed_run_has_a_report() {
    let (bench, mock) = (
        Bench::new(),
        Mock::start(&["--ttft", "5ms", "--tokens", "3"]),
    );
    let url = mock.chat();
    let mut child = bench
        .perf(&[
            "--url",
            &url,
            "--prompt",
            "x",
            "-n",
            "1000000",
            "--parallel",
            "4",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let deadline = Instant::now() + Duration::from_secs(30);
    let has_rows = || {
        // An ordinary opening would make the file, and be in the way of the program.
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let open = rusqlite::Connection::open_with_flags(bench.path("run.db"), flags);
        let count = open.and_then(|open| {
            open.query_row("SELECT count(*) FROM result", [], |row| {
                row.get::<_, i64>(0)
            })
        });
        count.unwrap_or(0) > 10
    };
    while !has_rows() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it has ended");
    let ended = typed(&bench, &["report", "run.db", "--json", "-"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let found = &runs(&document)[0];
    assert_eq!(found["state"], "running");
    let rows = bench.value("SELECT count(*) FROM result");
    assert_eq!(found["totals"]["requests"]["completed"], rows);
    assert_eq!(found["verdict"]["trusted"], false);
    let text = typed(&bench, &["report", "run.db"]);
    assert!(text.stdout.contains("made of the rows"), "{}", text.stdout);
}

#[test]
fn a_report_is_the_summary_again() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let first = good(&bench, &mock, &["--prompt", "x", "-n", "5"]);
    let again = typed(&bench, &["report", "run.db"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(again.stdout, first.stdout);
}

#[test]
fn what_is_no_database_is_refused() {
    let bench = Bench::new();
    bench.file("text.db", "not a database at all");
    rusqlite::Connection::open(bench.path("other.db"))
        .and_then(|other| other.execute_batch("CREATE TABLE t (x)"))
        .expect("a database");
    for (name, said) in [
        ("missing.db", "cannot be read"),
        ("text.db", "no SQLite database"),
        ("other.db", "another program"),
    ] {
        let ended = typed(&bench, &["report", name]);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

/// A run against a server with this time to first token, kept as `NAME.db` and `NAME.json`.
fn kept(bench: &Bench, name: &str, ttft: &str) {
    let mock = Mock::start(&["--ttft", ttft, "--itl", "2ms", "--tokens", "10"]);
    let file = format!("{name}.json");
    let ended = run(program().current_dir(bench.path("")).args([
        "perf",
        "--model",
        "m",
        "--name",
        name,
        "--url",
        &mock.chat(),
        "--prompt",
        "x",
        "-n",
        "200",
        "--parallel",
        "10",
        "--json",
        &file,
    ]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_slower_server_is_worse_and_fails_the_build() {
    let bench = Bench::new();
    kept(&bench, "fast", "40ms");
    kept(&bench, "slow", "80ms");
    let ended = typed(
        &bench,
        &["compare", "fast.db", "slow.json", "--json", "out.json"],
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let out = json(&bench, "out.json");
    let verdicts: Vec<(&str, &str)> = out["comparisons"][0]["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .map(|change| {
            let text = |key: &str| change[key].as_str().expect("a word");
            (text("metric"), text("verdict"))
        })
        .collect();
    for expected in [
        ("ttft_p50", "worse"),
        ("latency_mean", "worse"),
        ("output_tokens", "same"),
        ("failed_share", "same"),
    ] {
        assert!(verdicts.contains(&expected), "{expected:?} in {verdicts:?}");
    }
    assert!(ended.stdout.contains("--url: "), "{}", ended.stdout);
    // The other way round everything is the better.
    for (files, bound, code) in [
        (["fast.db", "slow.db"], "ttft_p50>+50%", 1),
        (["fast.db", "slow.db"], "ttft_p50>+500%", 0),
        (["fast.db", "slow.db"], "ttft_p50>60ms", 1),
        (["slow.db", "fast.db"], "ttft_p50>+5%", 0),
        (["fast.db", "slow.db"], "goodput<-5%", 1),
    ] {
        let ended = typed(&bench, &["compare", files[0], files[1], "--fail-if", bound]);
        assert_eq!(ended.code, Some(code), "{bound}: {}", ended.stderr);
        assert_eq!(
            ended.stderr.contains("fails: "),
            code == 1,
            "{}",
            ended.stderr
        );
    }
    for (arguments, said) in [
        (&["compare", "fast.db"][..], "FILE"),
        (
            &["compare", "fast.db", "slow.db", "--fail-if", "speed>1%"],
            "no metric",
        ),
        (
            &["compare", "fast.db", "slow.db", "--fail-if", "ttft_p50"],
            "ttft_p99>+5%",
        ),
        (&["compare", "fast.db", "missing.json"], "missing.json"),
    ] {
        let ended = typed(&bench, arguments);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

#[test]
fn other_work_is_not_comparable() {
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "1ms"]));
    let one = |name: &str, parallel: &str| {
        let url = mock.chat();
        let arguments = [
            "perf",
            "--model",
            "m",
            "--name",
            name,
            "--url",
            &url,
            "--prompt",
            "x",
            "-n",
            "20",
            "--parallel",
            parallel,
        ];
        assert_eq!(typed(&bench, &arguments).code, Some(0));
    };
    one("a", "1");
    one("b", "2");
    one("sweep", "1,2");
    let ended = typed(
        &bench,
        &["compare", "a.db", "b.db", "--fail-if", "qps<-99%"],
    );
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("--parallel: 1 and 2"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("not comparable"), "{}", ended.stdout);
    let ended = typed(&bench, &["compare", "sweep.db", "b.db"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("Not compared: parallel 1"),
        "{}",
        ended.stdout
    );
}
