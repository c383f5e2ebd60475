//! What is done before a run: flags from a file, a server that is waited for, a run that only tells its plan.

use crate::helpers::{quick_mock, seen, typed};
use crate::support::{Bench, run};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

#[test]
fn flags_come_from_a_file() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file(
        "run.toml",
        format!(
            "url = \"{}\"\nprompt = \"from the file\"\nnumber = 9\nparallel = 3\n[parameters]\nmax_tokens = 7\n",
            mock.chat()
        ),
    );
    let ended = run(&mut bench.perf(&["--config", "run.toml", "-n", "4"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let bodies = mock.bodies();
    assert_eq!(bodies.len(), 4);
    let text = format!("{:?}", bodies[0]);
    assert!(
        text.contains("from the file") && text.contains("max_tokens"),
        "{text}"
    );
    bench.file("wrong.toml", "paralel = 3\n");
    let ended = run(&mut bench.perf(&["--config", "wrong.toml", "--prompt", "x"]));
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains(
            "--config wrong.toml: `paralel`: there is no flag --paralel; --parallel is one"
        ),
        "{}",
        ended.stderr
    );
}

#[test]
fn the_flags_of_a_run_are_a_file_that_repeats_it() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let url = mock.chat();
    let plan = |name: &str| -> Value {
        let text = std::fs::read_to_string(bench.path(name)).expect("it was written");
        let document: Value = serde_json::from_str(&text).expect("it is JSON");
        let mut plan = document["runs"][0]["plan"].clone();
        let members = plan.as_object_mut().expect("a plan");
        // The name and the arguments are other ones.
        for other in ["command", "name", "settings"] {
            members.remove(other);
        }
        plan
    };
    let ended = run(bench
        .perf(&["--url", &url, "--prompt", "a \"b\"\n'c'", "-n", "6"])
        .args(["--parallel", "2", "--warmup", "1", "--goodput", "ttft:5s"])
        .args(["--parameters", "max_tokens=7", "stop=[\"a\"]"])
        .args(["--headers", "Authorization=Bearer very-secret"])
        .args(["--objective", "failed<50%", "--no-warm-connections"])
        .args(["--cancel", "1%:10s", "--seed", "7", "--details"])
        .args(["--session-header", "x-session", "--model", "other=2"])
        .args(["--json", "first.json", "--save-config", "run.toml"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let saved = std::fs::read_to_string(bench.path("run.toml")).expect("it was written");
    assert!(!saved.contains("very-secret"), "{saved}");
    assert!(saved.contains("#   --headers Authorization=***"), "{saved}");
    let arguments = ["perf", "--config", "run.toml", "--json", "second.json"];
    let key = ["--headers", "Authorization=Bearer very-secret"];
    let repeated = typed(
        &bench,
        &[&arguments[..], &key, &["--name", "again"]].concat(),
    );
    assert_eq!(repeated.code, Some(0), "{}", repeated.stderr);
    assert_eq!(plan("first.json"), plan("second.json"));
    let reported = typed(&bench, &["report", "run.db", "--save-config", "-"]);
    assert_eq!(reported.stdout, saved, "{}", reported.stderr);
    let there = typed(&bench, &["report", "run.db", "--save-config", "run.toml"]);
    assert_eq!(there.code, Some(2), "{}", there.stderr);
}

/// What a dry run prints, which sends nothing and leaves nothing.
fn dry_run(arguments: &[&str]) -> String {
    let (bench, mock) = (Bench::new(), quick_mock());
    let url = mock.chat();
    let always = ["--url", &url, "--prompt", "hello", "-n", "20", "--dry-run"];
    let ended = run(&mut bench.perf(&[&always[..], arguments].concat()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(seen(&mock), 0);
    assert!(!bench.path("run.db").exists());
    ended.stdout
}

#[test]
fn a_dry_run_sends_nothing() {
    let printed = dry_run(&["--rate", "5,9"]);
    for said in [
        "20 requests to ",
        "Headers: ",
        "Schedule: the first requests are due after 0.",
        "Body of request 3 (",
        "hello",
    ] {
        assert!(printed.matches(said).count() >= 2, "{said}: {printed}");
    }
}

#[test]
fn a_dry_run_tells_the_rules_of_the_run() {
    let printed = dry_run(&[
        "--repeat",
        "2",
        "--cool-down",
        "3s",
        "--session-header",
        "x-session",
        "--request-id-header",
        "x-request-id",
        "--label-header",
        "x-replica",
        "--cancel",
        "10%:500ms",
        "--goodput",
        "ttft:200ms",
        "--objective",
        "ttft_p99<200ms",
        "--stop-if",
        "failed>5%",
    ]);
    for said in [
        "Header with the session of each request: x-session",
        "Header with an id for each request: x-request-id",
        "Header of responses that tells who answered: x-replica",
        "Cancelled by the client: 10%:500ms",
        "Objectives of each request: ttft within 200",
        "Objectives of the run: ttft_p99<200ms",
        "Ends early if: failed>5%",
        "Repeats: run 2 of 2 of this load",
        "nothing is sent for 3s",
    ] {
        assert!(printed.contains(said), "{said}: {printed}");
    }
}

/// A server that answers 503 to the first questions, and 200 from then on.
fn loading(refusals: usize) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for (number, client) in listener.incoming().flatten().enumerate() {
            let mut client = client;
            let mut room = [0; 4096];
            let _ = client.read(&mut room);
            let status = if number < refusals {
                "503 Loading"
            } else {
                "200 OK"
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n{{}}"
            );
            client.write_all(answer.as_bytes()).ok();
        }
    });
    format!("http://{address}/v1/chat/completions")
}

#[test]
fn a_server_is_waited_for() {
    let bench = Bench::new();
    let url = loading(2);
    let ended = run(&mut bench.perf(&["--url", &url, "--prompt", "x", "--wait-ready", "20s"]));
    assert!(
        ended.stderr.contains("status 503 of /health"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("is ready after"), "{}", ended.stderr);
    // The server is no model: it is the answer that fails, and not the waiting.
    assert_eq!(
        bench.rows("SELECT count(*) FROM result"),
        [[Value::from(1)]]
    );
}

#[test]
fn a_server_that_never_comes_ends_the_waiting() {
    let bench = Bench::new();
    let begun = Instant::now();
    let url = loading(usize::MAX);
    let ended = run(&mut bench.perf(&["--url", &url, "--prompt", "x", "--wait-ready", "1500ms"]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("was not ready within 1.5 s (--wait-ready): status 503"),
        "{}",
        ended.stderr
    );
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(!bench.path("run.db").exists());
}
