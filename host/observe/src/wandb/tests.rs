//! Tests of the room against small servers on loopback and against a reader of its file format.

use super::config::Config;
use super::datastore::{BLOCK, Datastore, FRAGMENT_HEAD, FULL, HEAD, LAST};
use super::protocol::{Bucket, answer};
use super::trouble::Trouble;
use super::*;
use llmuses_core::wandb::{ApiKey, WandbSettings, WandbTarget};
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use url::Url;

const KEY: &str = "0123456789abcdef0123456789abcdef01234567";

/// Takes a file of records apart again.
fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!(bytes[..HEAD.len()], HEAD);
    let (mut at, mut records, mut record) = (HEAD.len(), Vec::new(), Vec::new());
    while at < bytes.len() {
        let left = BLOCK - at % BLOCK;
        if left < FRAGMENT_HEAD {
            assert!(bytes[at..at + left].iter().all(|byte| *byte == 0));
            at += left;
            continue;
        }
        let length = usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        assert!(FRAGMENT_HEAD + length <= left, "it crosses a block");
        let end = at + FRAGMENT_HEAD + length;
        let crc = crc32fast::hash(&bytes[at + 6..end]);
        assert_eq!(bytes[at..at + 4], crc.to_le_bytes());
        record.extend_from_slice(&bytes[at + FRAGMENT_HEAD..end]);
        if matches!(bytes[at + 6], FULL | LAST) {
            records.push(std::mem::take(&mut record));
        }
        at = end;
    }
    assert!(record.is_empty(), "a record has no end");
    records
}

#[test]
fn records_of_any_size_can_be_read_back() {
    let near_the_end = BLOCK - HEAD.len() - FRAGMENT_HEAD;
    for first in near_the_end - 16..=near_the_end + 2 {
        let written: Vec<Vec<u8>> = [first, 0, 3, 5 * BLOCK, 1]
            .iter()
            .map(|size| (0..*size).map(|index| index as u8).collect())
            .collect();
        let mut file = Vec::new();
        let mut datastore = Datastore::begin(&mut file).unwrap();
        for record in &written {
            datastore.append(record).unwrap();
        }
        assert!(records(&file) == written, "{first}");
    }
}

#[test]
fn pages_are_where_the_service_has_them() {
    let answer = json!({"data": {"upsertBucket": {"bucket": {
        "name": "abc", "project": {"name": "p q", "entity": {"name": "me"}},
    }}}});
    let bucket = Bucket::of_answer(&answer).unwrap();
    for (base, page) in [
        ("https://api.wandb.ai", "https://wandb.ai/me/p%20q/runs/abc"),
        (
            "https://api.firm.example/",
            "https://app.firm.example/me/p%20q/runs/abc",
        ),
        (
            "http://localhost:8080/sub/",
            "http://localhost:8080/sub/me/p%20q/runs/abc",
        ),
    ] {
        assert_eq!(bucket.page(&Url::parse(base).unwrap()), page);
    }
    assert_eq!(
        bucket
            .file_stream(&Url::parse("http://localhost/sub").unwrap())
            .path(),
        "/sub/files/me/p%20q/abc/file_stream"
    );
}

#[test]
fn answers_that_are_none_are_told_apart() {
    assert!(answer(200, b"{}").is_ok());
    for (status, body, said, may_pass) in [
        (200, "<html>", "not one of Weights & Biases", false),
        (200, "[]", "not one of Weights & Biases", false),
        (302, "", "redirects", false),
        (
            401,
            r#"{"errors":[{"message":"no such user"}]}"#,
            "refused the key (status 401): no such user",
            false,
        ),
        (403, "", "refused the key (status 403)", false),
        (404, r#"{"error":"none"}"#, "status 404: none", false),
        (500, "oops", "status 500", true),
        (429, "", "status 429", true),
    ] {
        let trouble = answer(status, body.as_bytes()).unwrap_err();
        assert!(trouble.to_string().contains(said), "{trouble}");
        assert_eq!(trouble.may_pass(), may_pass, "{trouble}");
    }
    for body in [
        json!({}),
        json!({"data": null}),
        json!({"data": {"upsertBucket": {"bucket": {
            "name": "..", "project": {"name": "p", "entity": {"name": "e"}},
        }}}}),
    ] {
        assert!(matches!(Bucket::of_answer(&body), Err(Trouble::Garbage(_))));
    }
    assert!(matches!(
        Bucket::of_answer(&json!({"data": null, "errors": [{"message": "permission denied"}]})),
        Err(Trouble::NotTaken { .. })
    ));
}

#[test]
fn long_texts_of_the_configuration_are_cut() {
    let config = Config::new(json!({"prompt": "é".repeat(5000), "list": ["x".repeat(5000)]}));
    let config: Value = serde_json::from_str(&config.to_text()).unwrap();
    let length = |value: &Value| value.as_str().unwrap().chars().count();
    assert_eq!(length(&config["prompt"]["value"]), 2001);
    assert_eq!(length(&config["list"]["value"][0]), 2001);
}

/// A server that gives these answers, one after the other, the last one again and again.
struct Server {
    base_url: Url,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    fn start(answers: &'static [(u16, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&bodies);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer_one(stream.unwrap(), answers, &seen);
            }
        });
        Self { base_url, bodies }
    }

    fn log_to(&self) -> Wandb {
        log_to(self.base_url.clone())
    }
}

fn answer_one(
    mut stream: TcpStream,
    answers: &[(u16, &str)],
    seen: &Mutex<Vec<Value>>,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok()?,
            None if line.trim().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut seen = seen.lock().unwrap();
    let (status, answer) = answers[seen.len().min(answers.len() - 1)];
    seen.push(serde_json::from_slice(&body).unwrap_or_default());
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    )
    .ok()
}

fn log_to(base_url: Url) -> Wandb {
    let settings = WandbSettings {
        target: WandbTarget::Online {
            base_url,
            api_key: ApiKey::new(KEY).unwrap(),
        },
        entity: None,
        project: "p".to_owned(),
        run_name: "n".to_owned(),
    };
    Wandb::start(settings, json!({"model": "m"}))
}

fn figures(value: i32) -> Map<String, Value> {
    Map::from_iter([("a".to_owned(), json!(value))])
}

const MADE: (u16, &str) = (
    200,
    r#"{"data":{"upsertBucket":{"bucket":{"name":"r","project":{"name":"p","entity":{"name":"me"}}}}}}"#,
);

#[test]
fn what_failed_is_sent_again_at_the_same_place() {
    let server = Server::start(&[(503, "busy"), MADE, (500, ""), (200, "{}")]);
    let wandb = server.log_to();
    wandb.log(figures(1));
    wandb.log(figures(2));
    let report = wandb.finish(figures(3), 1);
    assert_eq!(report.trouble, None);
    assert_eq!((report.logged, report.dropped, report.repeated), (2, 0, 2));
    assert!(report.url.unwrap().ends_with("/me/p/runs/r"));
    let bodies = server.bodies.lock().unwrap();
    assert_eq!(bodies.len(), 4);
    assert_eq!(bodies[0], bodies[1]);
    let last = &bodies[3];
    assert_eq!(last["files"]["wandb-history.jsonl"]["offset"], 0);
    let lines = &last["files"]["wandb-history.jsonl"]["content"];
    assert_eq!(lines, &bodies[2]["files"]["wandb-history.jsonl"]["content"]);
    let line: Value = serde_json::from_str(lines[1].as_str().unwrap()).unwrap();
    assert_eq!((&line["a"], &line["_step"]), (&json!(2), &json!(1)));
    let summary = last["files"]["wandb-summary.json"]["content"][0].as_str();
    let summary: Value = serde_json::from_str(summary.unwrap()).unwrap();
    assert_eq!((&summary["a"], &summary["_step"]), (&json!(3), &json!(1)));
    assert_eq!(
        (&last["complete"], &last["exitcode"]),
        (&json!(true), &json!(1))
    );
}

#[test]
fn a_key_in_an_answer_is_not_passed_on() {
    let server = Server::start(&[(
        401,
        r#"{"errors":[{"message":"0123456789abcdef0123456789abcdef01234567 or YXBpOjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc= is wrong"}]}"#,
    )]);
    let wandb = server.log_to();
    wandb.log(figures(1));
    let report = wandb.finish(Map::new(), 0);
    let trouble = report.trouble.unwrap();
    assert!(
        trouble.contains("status 401): *** or *** is wrong"),
        "{trouble}"
    );
    assert_eq!((report.logged, report.dropped), (0, 1));
    // A refusal is final: nothing was tried again.
    assert_eq!(server.bodies.lock().unwrap().len(), 1);
}

#[test]
fn nobody_waits_for_a_service_that_hangs() {
    // Takes connections, as the system does for everybody who listens, and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let begun = Instant::now();
    let wandb = log_to(base_url);
    for value in 0..5000 {
        wandb.log(figures(value));
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
    let begun = Instant::now();
    let report = wandb.finish(Map::new(), 0);
    assert!(begun.elapsed() < Duration::from_secs(12));
    assert_eq!((report.logged, report.dropped), (0, 5000));
    assert!(report.trouble.is_some());
}

#[test]
fn a_folder_that_cannot_be_made_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let settings = WandbSettings {
        target: WandbTarget::Offline { folder: file },
        entity: None,
        project: "p".to_owned(),
        run_name: "n".to_owned(),
    };
    let wandb = Wandb::start(settings, Value::Null);
    wandb.log(figures(1));
    let report = wandb.finish(Map::new(), 0);
    assert!(report.trouble.unwrap().contains("cannot be written"));
    assert_eq!((report.logged, report.dropped), (0, 1));
}
