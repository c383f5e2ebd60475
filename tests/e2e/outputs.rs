//! Standard output and error that are closed or full, names of files, and bounds that end a build.

use crate::helpers::{ends, good, last_headers, of_run, quick_mock, refused, said, seen, typed};
use crate::support::{Bench, program, run, signal, start, wait};
use std::fs::File;
use std::process::{Command, Stdio};

/// Runs that write all they can, with these outputs.
fn with_outputs(stdout: Stdio, stderr: Stdio) -> (Bench, Option<i32>) {
    let (bench, mock) = (Bench::new(), quick_mock());
    let url = mock.chat();
    let mut child = bench
        .perf(&[
            "--url",
            &url,
            "--prompt",
            "x",
            "-n",
            "6",
            "--parallel",
            "1,2,3",
        ])
        .args([
            "--log-every-n-query",
            "1",
            "--json",
            "o.json",
            "--html",
            "o.html",
        ])
        .args(["--csv", "o.csv"])
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .expect("the program starts");
    // A pipe is closed at once: its reader wants nothing.
    drop((child.stdout.take(), child.stderr.take()));
    let status = child.wait().expect("it ends");
    (bench, status.code())
}

#[test]
fn closed_and_full_outputs_cost_no_results() {
    let full = || Stdio::from(File::create("/dev/full").expect("the system has it"));
    for (stdout, stderr, code) in [
        (Stdio::piped(), Stdio::null(), 0),
        (Stdio::null(), Stdio::piped(), 0),
        (Stdio::piped(), Stdio::piped(), 0),
        (full(), Stdio::null(), 1),
        (Stdio::null(), full(), 0),
    ] {
        let (bench, ended) = with_outputs(stdout, stderr);
        assert_eq!(ended, Some(code));
        assert_eq!(bench.value("SELECT count(*) FROM result"), 18);
        assert_eq!(
            bench.value("SELECT count(*) FROM run WHERE state = 'finished'"),
            3
        );
        let json = std::fs::read(bench.path("o.json")).expect("it is there");
        let json: serde_json::Value = serde_json::from_slice(&json).expect("it is JSON");
        assert_eq!(json["runs"].as_array().map(Vec::len), Some(3));
        let page = std::fs::metadata(bench.path("o.html")).expect("it is there");
        assert!(page.len() > 1000);
        let rows = std::fs::read_to_string(bench.path("o.csv")).expect("it is there");
        assert_eq!(rows.lines().count(), 19);
    }
}

#[test]
fn a_reader_of_a_document_may_stop() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let url = mock.chat();
    let code_of = |command: &mut Command| {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        drop(child.stdout.take());
        child.wait().expect("it ends").code()
    };
    // More rows than a buffer takes, so that they are written before the last one has come.
    let mut command = bench.perf(&[
        "--url", &url, "--prompt", "x", "-n", "500", "--csv", "-", "--json", "o.json",
    ]);
    assert_eq!(code_of(command.args(["--parallel", "4,8"])), Some(0));
    let json = std::fs::read(bench.path("o.json")).expect("it is there");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("it is JSON");
    assert_eq!(json["runs"].as_array().map(Vec::len), Some(2));
    let mut command = program();
    let command = command.current_dir(bench.path(""));
    assert_eq!(
        code_of(command.args(["report", "run.db", "--csv", "-"])),
        Some(0)
    );
}

#[test]
fn default_names_never_collide_and_are_never_too_long() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let url = mock.chat();
    let model = "\u{6a21}".repeat(90);
    let children: Vec<_> = (0..4)
        .map(|_| {
            start(
                program()
                    .current_dir(bench.path(""))
                    .args(["perf", "--model", &model, "--url", &url, "--prompt", "x"]),
            )
        })
        .collect();
    for child in children {
        let ended = wait(child);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    let names = std::fs::read_dir(bench.path("")).expect("it can be listed");
    assert_eq!(names.count(), 4);
}

#[test]
fn the_folder_of_a_name_is_made() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let url = mock.chat();
    let arguments = [
        "perf", "--model", "m", "--url", &url, "--prompt", "x", "--name", "a/b/run",
    ];
    let ended = typed(&bench, &arguments);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(bench.path("a/b/run.db").exists());
}

#[test]
fn a_time_zone_may_have_a_name() {
    // Without the system's table of zones, a name says nothing.
    if !std::path::Path::new("/usr/share/zoneinfo/Asia/Kathmandu").exists() {
        return;
    }
    let (bench, mock) = (Bench::new(), quick_mock());
    let url = mock.chat();
    let minutes = |zone: &str| {
        std::fs::remove_file(bench.path("run.db")).ok();
        let ended = run(bench
            .perf(&["--url", &url, "--prompt", "x", "--log-every-n-query", "1"])
            .env("TZ", zone));
        let line = ended
            .stderr
            .lines()
            .find(|line| line.contains(" - INFO - "))
            .expect("a progress line")
            .to_owned();
        let time = line.split(' ').nth(1).expect("a time").to_owned();
        let mut parts = time.split(':').map(|part| part.parse::<i64>().ok());
        let mut next = || parts.next().flatten().expect("HH:MM");
        next() * 60 + next()
    };
    let apart = (minutes("Asia/Kathmandu") - minutes("UTC")).rem_euclid(1440);
    // 5:45, and the minute may have changed between the two.
    assert!((344..=345).contains(&apart), "{apart} minutes");
}

#[test]
fn a_bound_ends_with_code_1_and_says_why() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let ended = ends(
        &bench,
        &mock,
        &[
            "--prompt",
            "x",
            "-n",
            "3",
            "--fail-if",
            "ttft_p50>1us",
            "--fail-if",
            "failed_share>1%",
        ],
        1,
    );
    let told: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("fails: "))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("fails: --fail-if ttft_p50>1us: it is "),
        "{told:?}"
    );
    std::fs::remove_file(bench.path("run.db")).expect("a run was before this");
    good(
        &bench,
        &mock,
        &["--prompt", "x", "-n", "3", "--fail-if", "latency_p50>100s"],
    );
    let bench = Bench::new();
    let fresh = quick_mock();
    let error = refused(
        &bench,
        &fresh,
        &["--prompt", "x", "--fail-if", "speed>1"],
        2,
    );
    assert!(error.contains("ttft_p99"), "{error}");
}

#[test]
fn a_verdict_that_was_required_is_said() {
    let (bench, mock) = (Bench::new(), quick_mock());
    // One request says little.
    let ended = ends(
        &bench,
        &mock,
        &["--prompt", "x", "-n", "1", "--require-valid"],
        1,
    );
    assert!(
        ended.stderr.contains("fails: --require-valid: "),
        "{}",
        ended.stderr
    );
}

#[test]
fn headers_as_curl_has_them_and_a_key_of_the_environment() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let url = mock.url("");
    let ended = run(bench
        .perf(&["--url", &url, "--prompt", "x", "--header", "X-One: a=b: c"])
        .args([
            "--headers",
            "X-Two: 2",
            "X-Three=3",
            "--api-key-env",
            "MY_KEY",
        ])
        .env("MY_KEY", "sk-secret"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let headers = last_headers(&mock);
    assert_eq!(headers["x-one"], "a=b: c");
    assert_eq!(headers["x-two"], "2");
    assert_eq!(headers["x-three"], "3");
    assert_eq!(headers["authorization"], "Bearer sk-secret");
    assert!(!of_run(&bench, "plan").to_string().contains("secret"));
    assert_eq!(mock.get("/last")["path"], "/v1/chat/completions");
}

#[test]
fn names_and_units_of_other_load_testers() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let ended = good(
        &bench,
        &mock,
        &[
            "--prompt",
            "x",
            "--num-prompts",
            "4",
            "--max-concurrency",
            "2",
            "--duration",
            "2m",
        ],
    );
    assert_eq!(said(&ended.stdout, "Succeed requests"), "4");
    let fresh = quick_mock();
    let bench = Bench::new();
    let error = refused(&bench, &fresh, &["--prompt", "x", "-n", "-5"], 2);
    assert!(error.contains("above 0"), "{error}");
    let error = refused(
        &bench,
        &fresh,
        &["--prompt", "x", "--goodput", "ttft:500"],
        2,
    );
    assert!(error.contains("ttft:500ms"), "{error}");
    assert_eq!(seen(&fresh), 0);
}

#[test]
fn a_closed_terminal_ends_a_run_in_order() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let url = mock.chat();
    let child = start(&mut bench.perf(&[
        "--url", &url, "--prompt", "x", "-n", "100000", "--json", "o.json",
    ]));
    while seen(&mock) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // The kernel and the shell both send one.
    signal(&child, libc::SIGHUP);
    signal(&child, libc::SIGHUP);
    let ended = wait(child);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(bench.value("SELECT state FROM run"), "interrupted");
    assert!(
        std::fs::metadata(bench.path("o.json"))
            .expect("it is there")
            .len()
            > 100
    );
}
