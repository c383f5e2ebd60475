//! Runs that are logged at Weights & Biases: what is sent is compared with what the Python client was seen
//! to send (`recordings/`), what lies in a folder against a reader, and no service, however it behaves,
//! does anything to the run.

mod folder;
mod service;

use crate::helpers::quick_mock;
use crate::support::{Bench, Ended, Mock, repository, run, signal, start, wait};
use serde_json::{Map, Value, json};
use service::{Recorder, Service};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// In the longer of the two forms in use.
const KEY: &str =
    "wandb_v1_0123456789abcdefABCDEFghij_0123456789abcdefghijklmnopqrstuvwxyz0123456789AB";

/// `perf` of `requests` requests, logged at `address`.
fn logged(bench: &Bench, mock: &Mock, address: &str, requests: u32, more: &[&str]) -> Command {
    let mut command = bench.perf(&["--url", &mock.chat(), "--prompt", "hello"]);
    command
        .args(["-n", &requests.to_string()])
        .args(more)
        .env("WANDB_BASE_URL", format!("http://{address}"));
    command
}

fn with_key(mut command: Command) -> Ended {
    run(command.env("WANDB_API_KEY", KEY))
}

fn recording() -> Vec<Value> {
    let path = repository().join("tests/e2e/recordings/wandb-0.31.0.json");
    let text = std::fs::read_to_string(path).expect("the recording is there");
    let recording: Value = serde_json::from_str(&text).expect("it is JSON");
    recording["requests"].as_array().expect("a list").clone()
}

fn names(object: &Value) -> BTreeSet<String> {
    let object = object.as_object().expect("an object");
    object.keys().cloned().collect()
}

fn object_in(text: &Value) -> Value {
    serde_json::from_str(text.as_str().expect("a text")).expect("with JSON in it")
}

#[test]
fn the_run_is_made_as_the_python_client_makes_it() {
    let (bench, mock, service) = (Bench::new(), quick_mock(), Recorder::start(Service::Good));
    let ended = with_key(logged(&bench, &mock, &service.address, 3, &["--seed", "7"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let ours = service.seen().remove(0);
    let theirs = recording()
        .into_iter()
        .find(|request| request["operation"] == "UpsertBucket")
        .expect("it makes a run");

    assert_eq!(ours.path, theirs["path"]);
    assert_eq!(
        ours.headers["content-type"],
        theirs["headers"]["content-type"]
    );
    assert_eq!(theirs["headers"]["authorization"], "Basic api:KEY");
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("api:{KEY}"));
    assert_eq!(ours.headers["authorization"], format!("Basic {pair}"));

    assert_eq!(ours.body["operationName"], theirs["operation"]);
    let variables = &ours.body["variables"];
    assert!(names(variables).is_subset(&names(&theirs["variables"])));
    // Which variable is which member of the input, and what is asked for in return.
    let query = ours.body["query"].as_str().expect("a text");
    let (_, rest) = query.split_once("input: {").expect("it has an input");
    let (input, selected) = rest.split_once('}').expect("the input has an end");
    for member in input.split(", ") {
        let (name, variable) = member.split_once(": $").expect("NAME: $VARIABLE");
        assert_eq!(theirs["input"][name], variable, "{member}");
    }
    for word in selected.split(|letter: char| !letter.is_alphanumeric()) {
        let known = theirs["selected"].as_array().expect("a list");
        assert!(word.is_empty() || known.contains(&word.into()), "{word}");
    }

    assert_eq!(variables["project"], "perf_benchmark");
    assert_eq!(variables["displayName"], "run");
    assert_eq!(variables["entity"], theirs["variables"]["entity"]);
    let id = variables["name"].as_str().expect("a text");
    assert_eq!(
        id.len(),
        theirs["variables"]["name"].as_str().unwrap_or("").len()
    );
    let config = object_in(&variables["config"]);
    let their_config = object_in(&theirs["variables"]["config"]);
    assert_eq!(names(&config["model"]), names(&their_config["model"]));
    for (name, value) in [
        ("model", json!("m")),
        ("seed", json!(7)),
        ("schedule_seed", json!(7)),
        ("parser_name", json!("openai_prompt")),
        ("parallel", json!(1)),
        (
            "wandb",
            json!({"mode": "online", "project": "perf_benchmark"}),
        ),
    ] {
        assert_eq!(config[name]["value"], value, "{name}");
    }
    for name in ["llmuses_version", "wasmtime_version", "parser_sha256"] {
        assert!(config[name]["value"].is_string(), "{name}");
    }
}

#[test]
fn rows_and_summary_go_as_the_python_client_sends_them() {
    let mock = Mock::start(&["--ttft", "5ms", "--itl", "1ms", "--tokens", "5"]);
    let (bench, service) = (Bench::new(), Recorder::start(Service::Good));
    // Some four seconds: rows are sent during the run, and once more at its end.
    let ended = with_key(logged(
        &bench,
        &mock,
        &service.address,
        40,
        &["--rate", "10"],
    ));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let theirs: Vec<Value> = recording()
        .into_iter()
        .filter(|request| request["body"]["files"]["wandb-history.jsonl"].is_object())
        .collect();
    let their_end = recording().pop().expect("it has an end");
    let seen = service.seen();
    let id = seen[0].body["variables"]["name"].as_str().expect("a text");
    let ours = &seen[1..];
    assert!(ours.len() >= 2, "{} posts", ours.len());

    let (mut rows, mut last_summary) = (Vec::new(), Value::Null);
    for (index, post) in ours.iter().enumerate() {
        assert_eq!(
            post.path,
            format!("/files/me/perf_benchmark/{id}/file_stream")
        );
        assert_eq!(
            post.headers["authorization"],
            seen[0].headers["authorization"]
        );
        let is_last = index + 1 == ours.len();
        let known = if is_last {
            names(&their_end["body"])
        } else {
            names(&theirs[0]["body"])
        };
        assert!(names(&post.body).is_subset(&known), "{}", post.body);
        let files = &post.body["files"];
        assert!(names(files).is_subset(&names(&theirs[0]["body"]["files"])));
        for file in ["wandb-history.jsonl", "wandb-summary.json"] {
            if files[file].is_object() {
                let known = names(&theirs[0]["body"]["files"][file]);
                assert_eq!(names(&files[file]), known);
            }
        }
        if let Some(lines) = files["wandb-history.jsonl"]["content"].as_array() {
            assert_eq!(files["wandb-history.jsonl"]["offset"], rows.len());
            rows.extend(lines.iter().map(object_in));
        }
        assert_eq!(files["wandb-summary.json"]["offset"], 0);
        last_summary = object_in(&files["wandb-summary.json"]["content"][0]);
        assert_eq!(post.body.get("complete").is_some(), is_last);
    }
    let end = &ours[ours.len() - 1].body;
    assert_eq!(end["complete"], their_end["body"]["complete"]);
    assert_eq!(end["exitcode"], 0);

    // What the client adds to each row of its own accord.
    let their_row = object_in(&theirs[0]["body"]["files"]["wandb-history.jsonl"]["content"][0]);
    let own: Vec<String> = names(&their_row)
        .into_iter()
        .filter(|name| name.starts_with('_'))
        .collect();
    assert_eq!(own, ["_runtime", "_step", "_timestamp"]);
    for (step, row) in rows.iter().enumerate() {
        assert_eq!(row["_step"], step);
        assert!(own.iter().all(|name| row[name].is_number()), "{row}");
    }
    assert!(rows.len() >= 3, "{} rows", rows.len());
    let last = &rows[rows.len() - 1];
    assert_eq!(
        (&last["completed"], &last["succeed"]),
        (&json!(40), &json!(40))
    );
    for name in [
        "Time",
        "qps",
        "latency",
        "time to first token",
        "throughput(output tokens per second)",
        "input tokens per request",
    ] {
        assert!(last[name].is_number(), "{name}");
        assert_eq!(last_summary[name], last[name], "{name}");
    }
    assert_eq!(last_summary["requests/succeeded"], 40);
    assert!(last_summary["latency/p50_seconds"].is_number());
    let their_summary = object_in(&their_end["body"]["files"]["wandb-summary.json"]["content"][0]);
    assert_eq!(
        names(&last_summary["_wandb"]),
        names(&their_summary["_wandb"])
    );
    let page = format!("http://{}/me/perf_benchmark/runs/{id}", service.address);
    assert!(ended.stderr.contains(&page), "{}", ended.stderr);
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
}

#[test]
fn no_service_harms_a_run() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("it has one").to_string()
    };
    let mock = quick_mock();
    std::thread::scope(|scope| {
        for (service, said, most_requests) in [
            (
                Some(Service::Refuses),
                "refused the key (status 401): *** is not known",
                1,
            ),
            (Some(Service::Garbage), "not one of Weights & Biases", 1),
            (Some(Service::Redirects), "redirects", 1),
            (Some(Service::Fails), "status 500", 5),
            (Some(Service::Hangs), "no answer in time", 5),
            (None, "no connection", 0),
        ] {
            let (mock, closed) = (&mock, closed.clone());
            scope.spawn(move || {
                let recorder = service.map(Recorder::start);
                let address = recorder.as_ref().map_or(closed, |it| it.address.clone());
                let bench = Bench::new();
                let begun = Instant::now();
                let ended = with_key(logged(&bench, mock, &address, 20, &["--debug"]));
                assert_eq!(ended.code, Some(0), "{said}: {}", ended.stderr);
                assert!(begun.elapsed() < Duration::from_secs(40), "{said}");
                let warnings: Vec<&str> = ended
                    .stderr
                    .lines()
                    .filter(|line| line.contains("warning"))
                    .collect();
                assert_eq!(warnings.len(), 1, "{said}: {warnings:?}");
                for part in [said, address.as_str(), "What to do: "] {
                    assert!(warnings[0].contains(part), "{part}: {}", warnings[0]);
                }
                assert_eq!(bench.value("SELECT count(*) FROM result"), 20, "{said}");
                assert_eq!(bench.value("SELECT state FROM run"), "finished", "{said}");
                assert!(ended.stdout.contains("Succeed requests: 20"), "{said}");
                if let Some(recorder) = recorder {
                    assert!(recorder.seen().len() <= most_requests, "{said}");
                }
                no_key_is_in(&bench.path(""));
                no_key_in_words(&ended);
            });
        }
    });
}

#[test]
fn each_load_of_a_sweep_is_a_run() {
    let (bench, mock, service) = (Bench::new(), quick_mock(), Recorder::start(Service::Good));
    let sweep = ["--parallel", "1,2"];
    let ended = with_key(logged(&bench, &mock, &service.address, 4, &sweep));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let made: Vec<Value> = service
        .seen()
        .iter()
        .filter(|request| request.body["operationName"] == "UpsertBucket")
        .map(|request| request.body["variables"].clone())
        .collect();
    let names: Vec<&Value> = made.iter().map(|run| &run["displayName"]).collect();
    assert_eq!(names, ["run parallel 1", "run parallel 2"]);
    assert_ne!(made[0]["name"], made[1]["name"]);
    assert_eq!(object_in(&made[1]["config"])["parallel"]["value"], 2);
}

#[test]
fn a_sweep_is_warned_once() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let service = Recorder::start(Service::Refuses);
    let sweep = ["--parallel", "1,2,3"];
    let ended = with_key(logged(&bench, &mock, &service.address, 4, &sweep));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(
        ended.stderr.matches("warning").count(),
        1,
        "{}",
        ended.stderr
    );
    assert_eq!(service.seen().len(), 1);
    assert_eq!(bench.value("SELECT count(*) FROM run"), 3);
}

/// The other results do not wait for a service that says nothing: who ends the program in that wait has them.
#[test]
fn all_else_is_written_before_the_wait() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let recorder = Recorder::start(Service::Hangs);
    let mut command = logged(&bench, &mock, &recorder.address, 3, &["--json", "run.json"]);
    let child = start(command.env("WANDB_API_KEY", KEY));
    let whole = || {
        let text = std::fs::read(bench.path("run.json")).unwrap_or_default();
        serde_json::from_slice::<Value>(&text).is_ok()
    };
    let deadline = Instant::now() + Duration::from_secs(8);
    while !whole() {
        assert!(Instant::now() < deadline, "the document is not there");
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(&child, libc::SIGINT);
    signal(&child, libc::SIGTERM);
    let ended = wait(child);
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert!(whole());
}

fn no_key_in_words(ended: &Ended) {
    for (words, name) in [(&ended.stdout, "stdout"), (&ended.stderr, "stderr")] {
        assert!(!has_key(words.as_bytes()), "the key is on {name}");
    }
}

fn no_key_is_in(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            no_key_is_in(&path);
        } else {
            let bytes = std::fs::read(&path).expect("it can be read");
            assert!(!has_key(&bytes), "the key is in {}", path.display());
        }
    }
}

/// Whether the key is there, as it is or as it goes over the wire.
fn has_key(bytes: &[u8]) -> bool {
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("api:{KEY}"));
    [KEY.as_bytes(), &pair.as_bytes()[..40]]
        .iter()
        .any(|secret| bytes.windows(secret.len()).any(|window| window == *secret))
}

#[test]
fn the_key_stays_where_it_was_given() {
    let (bench, mock, service) = (Bench::new(), quick_mock(), Recorder::start(Service::Good));
    let ended = run(&mut logged(
        &bench,
        &mock,
        &service.address,
        3,
        &["--debug", "--wandb-api-key", KEY],
    ));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(service.seen().len() >= 2);
    no_key_is_in(&bench.path(""));
    no_key_in_words(&ended);
    for seen in service.seen() {
        assert!(!has_key(seen.body.to_string().as_bytes()));
    }
}

#[test]
fn a_key_that_is_none_is_refused_without_being_shown() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let wrong = format!("{KEY} {KEY}");
    let ended = run(&mut logged(
        &bench,
        &mock,
        "127.0.0.1:9",
        1,
        &["--wandb-api-key", &wrong],
    ));
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--wandb-api-key"), "{}", ended.stderr);
    no_key_in_words(&ended);
}

#[test]
fn nothing_is_sent_where_nothing_was_asked_for() {
    let (mock, service) = (quick_mock(), Recorder::start(Service::Good));
    let bench = Bench::new();
    let ended = run(&mut logged(&bench, &mock, &service.address, 1, &[]));
    assert!(!ended.stderr.contains("Weights"), "{}", ended.stderr);
    let bench = Bench::new();
    let ended = with_key(logged(&bench, &mock, &service.address, 1, &["--no-wandb"]));
    assert!(!ended.stderr.contains("Weights"), "{}", ended.stderr);
    assert_eq!(service.seen().len(), 0);
}
