//! A service on loopback that behaves well or badly, and keeps what it gets.

use super::KEY;
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a service behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Good,
    Refuses,
    Hangs,
    Garbage,
    Fails,
    Redirects,
}

/// A request that came.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: Map<String, Value>,
    pub(super) body: Value,
}

/// A service on loopback that keeps what it gets.
pub(super) struct Recorder {
    pub(super) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Recorder {
    pub(super) fn start(service: Service) -> Self {
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

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test thread failed").clone()
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
