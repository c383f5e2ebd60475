//! Runs that are logged at Weights & Biases: what is sent is held against what the Python client was seen
//! to send (`recordings/`), what lies in a folder against a reader, and no service, however it behaves,
//! does anything to the run.

use crate::helpers::quick_mock;
use crate::support::{Bench, Ended, Mock, repository, run};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// In the longer of the two forms in use.
const KEY: &str =
    "wandb_v1_0123456789abcdefABCDEFghij_0123456789abcdefghijklmnopqrstuvwxyz0123456789AB";

/// How a service behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    Good,
    Refuses,
    Hangs,
    Garbage,
    Fails,
    Redirects,
}

/// A request that came.
#[derive(Clone)]
struct Seen {
    path: String,
    headers: Map<String, Value>,
    body: Value,
}

/// A service on loopback that keeps what it gets.
struct Recorder {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Recorder {
    fn start(service: Service) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it has one").to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let all = Arc::clone(&all);
                std::thread::spawn(move || while serve(&stream, service, &all).is_some() {});
            }
        });
        Self { address, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test thread broke off").clone()
    }
}

/// Takes one request and answers it. `None`: the connection is over.
fn serve(stream: &TcpStream, service: Service, all: &Mutex<Vec<Seen>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Map::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().into());
    }
    let length = headers.get("content-length").and_then(Value::as_str);
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    // Null where it is a file, which only the Python client sends.
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (variables, operation) = (body["variables"].clone(), body["operationName"].clone());
    let host = headers.get("host").cloned().unwrap_or_default();
    all.lock().ok()?.push(Seen {
        path,
        headers,
        body,
    });
    let (status, answer) = match service {
        Service::Good if operation == "UpsertBucket" => (
            "200 OK",
            json!({"data": {"upsertBucket": {"bucket": {
                "name": variables["name"],
                "project": {"name": variables["project"], "entity": {"name": "me"}},
            }}}})
            .to_string(),
        ),
        Service::Good if operation == "CreateRunFiles" => {
            let files: Vec<Value> = variables["files"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|name| {
                    let url = format!("http://{}/upload", host.as_str()?);
                    Some(json!({"name": name, "uploadUrl": url}))
                })
                .collect();
            let created = json!({"runID": "x", "uploadHeaders": [], "files": files});
            (
                "200 OK",
                json!({"data": {"createRunFiles": created}}).to_string(),
            )
        }
        Service::Good if !operation.is_null() => ("200 OK", json!({"data": {}}).to_string()),
        Service::Good => (
            "200 OK",
            json!({"exitcode": null, "limits": {}}).to_string(),
        ),
        Service::Refuses => (
            "401 Unauthorized",
            json!({"errors": [{"message": format!("{KEY} is not known")}]}).to_string(),
        ),
        Service::Garbage => ("200 OK", "<html>\n<p>Welcome".to_owned()),
        Service::Fails => ("500 Internal Server Error", String::new()),
        Service::Redirects => ("302 Found\r\nlocation: /elsewhere", String::new()),
        Service::Hangs => {
            std::thread::sleep(Duration::from_secs(60));
            return None;
        }
    };
    let length = answer.len();
    write!(
        &*stream,
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{answer}"
    )
    .ok()
}

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

/// The fields of a protocol buffer: number and bytes, those of numbers as eight bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let (first, rest) = bytes.split_first().expect("a number has an end");
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return value;
            }
        }
        panic!("a number is too long");
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => varint(&mut bytes).to_le_bytes().to_vec(),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                value.to_vec()
            }
            kind => panic!("no field of ours is of kind {kind}"),
        };
        fields.push((tag >> 3, value));
    }
    fields
}

fn field(bytes: &[u8], number: u64) -> Vec<u8> {
    let all = fields(bytes);
    let found = all.into_iter().find(|(known, _)| *known == number);
    found.unwrap_or_else(|| panic!("no field {number}")).1
}

/// Names and values of items: history, summary and configuration have them alike.
fn items(bytes: &[u8]) -> Map<String, Value> {
    fields(bytes)
        .into_iter()
        .filter(|(number, _)| *number == 1)
        .map(|(_, item)| {
            let name: Vec<String> = fields(&item)
                .into_iter()
                .filter(|(number, _)| matches!(number, 1 | 2))
                .map(|(_, part)| String::from_utf8(part).expect("a name is text"))
                .collect();
            let value = serde_json::from_slice(&field(&item, 16)).expect("a value is JSON");
            (name.join("."), value)
        })
        .collect()
}

/// The records of a file, as field number and content.
fn records(path: &Path) -> Vec<(u64, Vec<u8>)> {
    let bytes = std::fs::read(path).expect("the file is there");
    assert_eq!(&bytes[..7], b":W&B\xe1\xbe\x00");
    let (mut at, mut records, mut record) = (7, Vec::new(), Vec::new());
    while at < bytes.len() {
        let left = 0x8000 - at % 0x8000;
        if left < 7 {
            at += left;
            continue;
        }
        let length = usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        let kind = bytes[at + 6];
        let end = at + 7 + length;
        assert!(
            end <= bytes.len() && 7 + length <= left,
            "a fragment is cut"
        );
        let crc = crc32fast::hash(&bytes[at + 6..end]);
        assert_eq!(bytes[at..at + 4], crc.to_le_bytes(), "at {at}");
        record.extend_from_slice(&bytes[at + 7..end]);
        at = end;
        if matches!(kind, 1 | 4) {
            let whole = std::mem::take(&mut record);
            let number = u64::from_le_bytes(field(&whole, 1).try_into().expect("a number"));
            records.push(whole);
            assert_eq!(number as usize, records.len(), "records are counted");
        }
    }
    records
        .iter()
        .map(|record| {
            fields(record)
                .into_iter()
                .find(|(number, _)| !matches!(number, 1 | 200))
                .expect("every record says something")
        })
        .collect()
}

#[test]
fn a_folder_has_the_whole_run() {
    let (bench, mock) = (Bench::new(), quick_mock());
    // No key, and a service that would be noticed.
    let service = Recorder::start(Service::Good);
    let ended = run(&mut logged(
        &bench,
        &mock,
        &service.address,
        30,
        &["--wandb-offline", "--rate", "10"],
    ));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(service.seen().len(), 0);
    let folders: Vec<_> = std::fs::read_dir(bench.path("wandb"))
        .expect("the folder was made")
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    let [folder] = folders.as_slice() else {
        panic!("{folders:?}");
    };
    let name = folder.file_name().and_then(|name| name.to_str());
    let name = name.expect("a name").to_owned();
    let parts: Vec<&str> = name.split('-').collect();
    assert_eq!(parts[..2], ["offline", "run"]);
    let id = parts[3];
    assert!(folder.join("files").is_dir());
    let told = ended
        .stderr
        .lines()
        .find(|line| line.contains("wandb sync "));
    assert!(told.is_some_and(|line| line.ends_with(&name)), "{told:?}");

    let records = records(&folder.join(format!("run-{id}.wandb")));
    assert_eq!(records[0].0, 21, "the header comes first");
    assert_eq!(records[1].0, 17, "then the run");
    let run = &records[1].1;
    let text = |number| String::from_utf8(field(run, number)).expect("it is text");
    assert_eq!(
        (text(1), text(3), text(8)),
        (id.into(), "perf_benchmark".into(), "run".into())
    );
    let config = items(&field(run, 4));
    assert_eq!(config["model"], "m");
    assert_eq!(config["parser_name"], "openai_prompt");
    let rows: Vec<_> = records
        .iter()
        .filter(|(number, _)| *number == 2)
        .map(|(_, row)| items(row))
        .collect();
    assert!(rows.len() >= 2, "{} rows", rows.len());
    for (step, row) in rows.iter().enumerate() {
        assert_eq!(row["_step"], step);
    }
    assert_eq!(rows[rows.len() - 1]["completed"], 30);
    let summary: Map<String, Value> = records
        .iter()
        .filter(|(number, _)| *number == 3)
        .flat_map(|(_, update)| items(update))
        .collect();
    assert_eq!(summary["completed"], 30);
    assert_eq!(summary["requests/succeeded"], 30);
    assert!(summary["_wandb.runtime"].is_number());
    let (number, exit) = records.last().expect("there are records");
    assert_eq!(*number, 18, "the end comes last");
    // An exit code of zero is left out, as all that is zero.
    assert!(fields(exit).iter().all(|(number, _)| *number == 2));
}

/// The reader of the Python client itself. Needs the program `wandb` (`pip install wandb`), or the path of
/// one in `WANDB_PROGRAM`; run it with `cargo test -- --ignored wandb::`.
#[test]
#[ignore = "needs the Python package wandb"]
fn wandb_sync_takes_the_folder() {
    let (bench, mock, service) = (Bench::new(), quick_mock(), Recorder::start(Service::Good));
    let offline = ["--wandb-offline", "--rate", "10"];
    let ended = run(&mut logged(&bench, &mock, &service.address, 30, &offline));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let program = std::env::var("WANDB_PROGRAM").unwrap_or_else(|_| "wandb".to_owned());
    let folder = std::fs::read_dir(bench.path("wandb"))
        .expect("the folder was made")
        .next()
        .expect("with a run in it")
        .expect("it can be listed")
        .path();
    let synced = run(Command::new(program)
        .arg("sync")
        .arg(&folder)
        .current_dir(bench.path(""))
        .env("HOME", bench.path(""))
        .env("WANDB_API_KEY", KEY)
        .env("WANDB_BASE_URL", format!("http://{}", service.address)));
    assert_eq!(synced.code, Some(0), "{}{}", synced.stdout, synced.stderr);
    let seen = service.seen();
    let made = seen
        .iter()
        .find(|request| request.body["operationName"] == "UpsertBucket")
        .expect("it makes the run");
    assert_eq!(made.body["variables"]["displayName"], "run");
    let config = object_in(&made.body["variables"]["config"]);
    assert_eq!(config["parser_name"]["value"], "openai_prompt");
    let last = seen
        .iter()
        .rfind(|request| request.path.ends_with("/file_stream"))
        .expect("it sends lines");
    assert_eq!(last.body["complete"], true);
    let summary = object_in(&last.body["files"]["wandb-summary.json"]["content"][0]);
    assert_eq!(summary["completed"], 30);
    assert_eq!(summary["requests/succeeded"], 30);
}
