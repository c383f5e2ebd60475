//! Parts of a load, sent by processes that do not know of each other, and the run that is made of them.

use crate::support::{Bench, Mock, program, run, start, wait};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A data set whose prompts tell their place in it.
fn data_set(bench: &Bench) -> String {
    let lines: Vec<String> = (0..40).map(|line| format!("prompt {line}")).collect();
    let path = bench.file("prompts.txt", lines.join("\n"));
    path.to_string_lossy().into_owned()
}

fn load<'a>(url: &'a str, data: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "--url",
        url,
        "--dataset",
        data,
        "--parser",
        "openai_chat",
        "--dataset-parser",
        "lines",
    ];
    arguments.extend(more);
    arguments
}

/// What each request of a database is: its number, and the prompt that was sent.
fn requests(bench: &Bench, database: &str) -> Vec<(u64, String)> {
    let database = rusqlite::Connection::open(bench.path(database)).unwrap();
    let mut statement = database
        .prepare("SELECT number, request FROM result ORDER BY number")
        .unwrap();
    let rows = statement.query_map([], |row| {
        let body: Value = serde_json::from_str(&row.get::<_, String>(1)?).unwrap();
        let prompt = body["messages"][0]["content"].as_str().unwrap().to_owned();
        Ok((row.get::<_, i64>(0)?.unsigned_abs(), prompt))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn summary_line(text: &str, begin: &str) -> String {
    let found = text
        .lines()
        .find(|line| line.trim_start().starts_with(begin));
    found
        .unwrap_or_else(|| panic!("no {begin} in {text}"))
        .to_owned()
}

#[test]
fn merged_parts_are_the_run_that_is_not_split() {
    for more in [
        &["--rate", "200", "-n", "90"][..],
        &["--parallel", "4", "-n", "90"],
    ] {
        let bench = Bench::new();
        let mock = Mock::start(&["--ttft", "5ms", "--itl", "1ms", "--tokens", "4"]);
        let (url, data) = (mock.chat(), data_set(&bench));
        let whole = run(&mut bench.perf(&load(&url, &data, more)));
        assert_eq!(whole.code, Some(0), "{}", whole.stderr);
        let expected = requests(&bench, "run.db");
        assert_eq!(expected.len(), 90);

        let parts: Vec<_> = (0..3)
            .map(|part| {
                let mut arguments = load(&url, &data, more);
                arguments.extend(["--shard", "auto"]);
                let mut command = bench.perf(&arguments);
                command
                    .env("SLURM_PROCID", part.to_string())
                    .env("SLURM_NTASKS", "3");
                start(&mut command)
            })
            .collect();
        for part in parts {
            let ended = wait(part);
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        }
        let merge = |out: &str, parts: &[&str]| {
            let mut command = program();
            command
                .current_dir(bench.path(""))
                .args(["merge", out])
                .args(parts);
            run(&mut command)
        };
        let merged = merge("all.db", &["run.0.db", "run.2.db", "run.1.db"]);
        assert_eq!(merged.code, Some(0), "{}", merged.stderr);
        assert_eq!(requests(&bench, "all.db"), expected);
        let report = run(program()
            .current_dir(bench.path(""))
            .args(["report", "all.db"]));
        assert_eq!(report.stdout, merged.stdout);
        assert_eq!(
            summary_line(&report.stdout, "Succeed requests"),
            summary_line(&whole.stdout, "Succeed requests")
        );

        let two = merge("two.db", &["run.0.db", "run.1.db"]);
        assert_eq!(two.code, Some(1));
        assert!(
            two.stderr.contains("parts 2/3 are missing"),
            "{}",
            two.stderr
        );
        let again = merge("all.db", &["run.0.db"]);
        assert_eq!(again.code, Some(2), "{}", again.stderr);
        let other = merge("other.db", &["run.0.db", "run.db"]);
        assert_eq!(other.code, Some(2));
        assert!(
            other.stderr.contains("holds a whole run"),
            "{}",
            other.stderr
        );
    }
}

fn unix_now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

#[test]
fn parts_begin_at_the_given_instant() {
    let bench = Bench::new();
    let mock = Mock::start(&[]);
    let url = mock.chat();
    let at = unix_now() + 4.0;
    let at_text = format!("{at:.6}");
    let arguments = [
        "--url",
        &url,
        "--prompt",
        "x",
        "--rate",
        "50",
        "-n",
        "20",
        "--start-at",
        &at_text,
    ];
    let ended = run(&mut bench.perf(&arguments));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // The first request is due as the schedule says, counted from that instant.
    let first_due = bench
        .value("SELECT first_due_time FROM run")
        .as_f64()
        .unwrap();
    assert!((first_due - at).abs() < 1e-3, "{first_due} {at}");
    let sent = bench
        .value("SELECT min(sent_time) FROM result")
        .as_f64()
        .unwrap();
    assert!(sent >= at, "{sent} {at}");
}

#[test]
fn a_run_that_is_late_sends_nothing() {
    let bench = Bench::new();
    let mock = Mock::start(&[]);
    let url = mock.chat();
    // Over before connections are open, and not yet as the arguments are read.
    let at = format!("{:.3}", unix_now() + 0.4);
    std::thread::sleep(Duration::from_millis(100));
    let arguments = ["--url", &url, "--prompt", "x", "--start-at", &at];
    let mut command = bench.perf(&arguments);
    let child = start(&mut command);
    crate::support::signal(&child, libc::SIGSTOP);
    std::thread::sleep(Duration::from_millis(600));
    crate::support::signal(&child, libc::SIGCONT);
    let ended = wait(child);
    assert!(matches!(ended.code, Some(1 | 2)), "{}", ended.stderr);
    assert!(ended.stderr.contains("--start-at: "), "{}", ended.stderr);
    assert!(mock.bodies().is_empty());
    assert!(!bench.path("run.db").exists());
}

#[test]
fn a_part_that_stands_still_until_after_the_instant_sends_nothing() {
    let bench = Bench::new();
    let mock = Mock::start(&[]);
    let url = mock.chat();
    let at = unix_now() + 3.0;
    let at_text = format!("{at:.3}");
    let arguments = ["--url", &url, "--prompt", "x", "--rate", "100", "-n", "500"];
    let part = ["--shard", "0/2", "--start-at", &at_text];
    let child = start(&mut bench.perf(&[&arguments[..], &part].concat()));
    let sleep_until = |instant: f64| {
        let left = instant - unix_now();
        std::thread::sleep(Duration::from_secs_f64(left.max(0.0)));
    };
    sleep_until(at - 0.5);
    crate::support::signal(&child, libc::SIGSTOP);
    sleep_until(at + 2.0);
    crate::support::signal(&child, libc::SIGCONT);
    let ended = wait(child);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("--start-at: "), "{}", ended.stderr);
    assert!(mock.bodies().is_empty());
    assert!(!bench.path("run.0.db").exists());
}

#[test]
fn parts_whose_requests_are_made_from_other_files_are_not_merged() {
    let (bench, mock) = (Bench::new(), Mock::start(&[]));
    let path = std::path::PathBuf::from(crate::replay::tokenizer()).join("tokenizer.json");
    let tokenizer = std::fs::read_to_string(path).unwrap();
    let url = mock.chat();
    // The same to whoever reads it, at the same path.
    for (part, content) in [("0/2", tokenizer.clone()), ("1/2", format!("{tokenizer} "))] {
        bench.file("tokenizer.json", content);
        let arguments = ["--url", &url, "--input-tokens", "20", "--parallel", "2"];
        let of_part = [
            "-n",
            "8",
            "--shard",
            part,
            "--tokenizer-path",
            "tokenizer.json",
        ];
        let ended = run(&mut bench.perf(&[&arguments[..], &of_part].concat()));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    let mut command = program();
    let merge = ["merge", "all.db", "run.0.db", "run.1.db"];
    let merged = run(command.current_dir(bench.path("")).args(merge));
    assert_eq!(merged.code, Some(2), "{}", merged.stderr);
    let said = "SHA-256 of the tokenizer: ";
    assert!(merged.stderr.contains(said), "{}", merged.stderr);
}
