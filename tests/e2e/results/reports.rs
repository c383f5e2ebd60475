//! Reports out of databases, of runs that ended and of one that was killed.

use super::runs;
use crate::helpers::{good, mock, quick_mock, typed};
use crate::support::{Bench, Mock};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};

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
            "--goodput",
            "latency:30s",
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
    let goodput = &found["totals"]["goodput"];
    assert_eq!(goodput["requests_that_met_all"], rows, "{goodput}");
    // Its timeline begins with the first request, however long the program took to get there.
    let begun = bench.value("SELECT first_due_time >= started_time FROM run");
    assert_eq!(begun, 1);
    let first = &found["totals"]["timeline"]["requests_sent"][0];
    assert!(first.as_u64() > Some(0), "{first}");
    let text = typed(&bench, &["report", "run.db"]);
    let said = text.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("made of the rows"), "{}", text.stdout);
    assert!(said.contains("The run did not end"), "{}", text.stdout);
    assert!(said.contains("SIGKILL"), "{}", text.stdout);
    for wrong in ["prompts", "data set"] {
        let doubts = found["verdict"]["doubts"].as_array().expect("a list");
        let doubt = doubts
            .iter()
            .find(|doubt| doubt["reason"] == "stopped-early");
        let doubt = doubt.expect("it is told").to_string();
        assert!(!doubt.contains(wrong), "{doubt}");
    }
}

#[test]
fn a_database_is_hardly_larger_than_what_was_received() {
    let (bench, mock) = (
        Bench::new(),
        Mock::start(&["--ttft", "1ms", "--itl", "0ms", "--tokens", "60"]),
    );
    good(&bench, &mock, &["--prompt", "x", "-n", "200"]);
    let size = std::fs::metadata(bench.path("run.db"))
        .expect("a database")
        .len();
    let received = &bench.value("SELECT totals FROM run");
    let totals: Value = serde_json::from_str(received.as_str().expect("totals")).expect("JSON");
    let received = totals["bytes_received"].as_u64().expect("a number");
    // Totals and the tables themselves have their size too.
    assert!(size * 10 < received * 12, "{size} bytes for {received}");
}

#[test]
fn a_device_where_a_file_is_needed_is_refused_at_once() {
    let bench = Bench::new();
    let perf = ["perf", "--model", "m", "--url", "http://127.0.0.1:9/"];
    for arguments in [
        [&perf[..], &["--prompt", "@/dev/zero"]].concat(),
        [&perf[..], &["--dataset", "/dev/zero"]].concat(),
        [
            &perf[..],
            &["--prompt", "x", "--tokenizer-path", "/dev/zero"],
        ]
        .concat(),
        vec!["compare", "/dev/zero", "/dev/zero"],
        vec!["report", "/dev/zero"],
    ] {
        let ended = typed(&bench, &arguments);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("/dev/zero"), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("pipe or a device"),
            "{}",
            ended.stderr
        );
    }
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

#[test]
fn all_files_of_a_report_are_written_or_none() {
    let (bench, mock) = (Bench::new(), quick_mock());
    good(&bench, &mock, &["--prompt", "x"]);
    bench.file("there.html", "mine");
    for (arguments, said) in [
        (["--json", "new.json", "--html", "there.html"], "there.html"),
        (["--json", "-", "--html", "-"], "standard output"),
    ] {
        for command in [&["report", "run.db"][..], &["compare", "run.db", "run.db"]] {
            let ended = typed(&bench, &[command, &arguments].concat());
            assert_eq!(ended.code, Some(2), "{}", ended.stderr);
            assert_eq!(ended.stdout, "");
            assert!(ended.stderr.contains(said), "{}", ended.stderr);
            assert!(!bench.path("new.json").exists());
        }
    }
}

#[test]
fn the_time_to_response_head_is_in_every_output() {
    // Long enough between the tokens for the end never to come together with the head.
    let (bench, mock) = (
        Bench::new(),
        mock(&["--ttft", "5ms", "--itl", "20ms", "--tokens", "3"]),
    );
    let arguments = [
        "--prompt",
        "x",
        "-n",
        "20",
        "--goodput",
        "head:30s",
        "--json",
        "a.json",
        "--csv",
        "a.csv",
        "--html",
        "a.html",
    ];
    let ended = good(&bench, &mock, &arguments);
    assert!(
        ended.stdout.contains("Time to response head"),
        "{}",
        ended.stdout
    );
    // Where lines are wrapped depends on how long the figures are.
    let words: Vec<&str> = ended.stdout.split_whitespace().collect();
    let said = words.join(" ");
    assert!(said.contains("met head up to 30s: 20 of 20"), "{said}");
    let text = |name: &str| std::fs::read_to_string(bench.path(name)).expect("it is there");
    let document: Value = serde_json::from_str(&text("a.json")).expect("JSON");
    let head = &runs(&document)[0]["totals"]["time_to_response_head"];
    assert_eq!(head["samples"], 20);
    let mean = head["mean_seconds"].as_f64().expect("a number");
    // The first chunk comes with the head or after it, and both have the kernel's time.
    let ttft = &runs(&document)[0]["totals"]["time_to_first_token"]["mean_seconds"];
    let ttft = ttft.as_f64().expect("a number");
    assert!(0.0 < mean && mean <= ttft, "{mean} and {ttft}");
    assert!(text("a.html").contains("/runs/0/totals/time_to_response_head/p50_seconds"));
    let header = text("a.csv").lines().next().map(ToOwned::to_owned);
    let added = ",time_to_response_head_seconds,held_up_seconds";
    assert!(header.is_some_and(|header| header.contains(added)));
    let stored = bench
        .value("SELECT count(*) FROM result WHERE head_latency > 0 AND head_latency < latency");
    assert_eq!(stored, 20);
    let compared = typed(
        &bench,
        &["compare", "a.json", "run.db", "--fail-if", "head_p50>1us"],
    );
    assert_eq!(compared.code, Some(1), "{}", compared.stdout);
    assert!(
        compared.stdout.contains("Time to response head p50"),
        "{}",
        compared.stdout
    );
}

#[test]
fn markdown_is_the_same_from_a_run_and_from_its_database() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let arguments = [
        "--prompt",
        "x",
        "-n",
        "20",
        "--parallel",
        "1,2",
        "--markdown",
        "a.md",
    ];
    good(&bench, &mock, &arguments);
    let written = std::fs::read_to_string(bench.path("a.md")).expect("it is there");
    let reported = typed(&bench, &["report", "run.db", "--markdown", "-"]);
    assert_eq!(reported.stdout, written);
    for line in [
        "| Load | verdict | requests/s |",
        "| parallel 2 | ",
        "- 20 succeeded requests, but",
        "| Time to response head |",
    ] {
        assert!(written.contains(line), "`{line}` is not in {written}");
    }
}

#[test]
fn documents_of_a_sweep_are_there_after_each_load() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let url = mock.chat();
    let mut child = bench
        .perf(&[
            "--url",
            &url,
            "--prompt",
            "x",
            "--duration",
            "1.5",
            "--parallel",
            "1,2,4",
        ])
        .args(["--json", "a.json", "--html", "a.html"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let deadline = Instant::now() + Duration::from_secs(30);
    let text = |name: &str| std::fs::read_to_string(bench.path(name)).unwrap_or_default();
    while text("a.html").is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it has ended");
    let document: Value = serde_json::from_str(&text("a.json")).expect("whole JSON");
    assert_eq!(runs(&document).len(), 1);
    assert_eq!(runs(&document)[0]["state"], "finished");
    assert!(text("a.html").ends_with("</html>"), "a whole page");
}
