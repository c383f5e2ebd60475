//! The server through a real socket, with a client that knows as little as possible.
//!
//! Here are the client, and the tests of what the truth says; the modules hold those of what is answered.

mod answers;
mod apis;
mod load;
mod other_tasks;
mod records;
mod servers;
mod shapes;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{MockConfig, MockError, RunningMock, UsageMode, spawn};

const CHAT: &str = "/v1/chat/completions";
const DASHSCOPE: &str = "/api/v1/services/aigc/text-generation/generation";

/// How late a busy machine may make things before a test calls it wrong.
const LATE: Duration = Duration::from_millis(100);

/// A server that answers at once.
fn quick() -> MockConfig {
    MockConfig {
        ttft: Duration::ZERO,
        itl: Duration::ZERO,
        tokens: 5,
        ..MockConfig::default()
    }
}

fn start(config: MockConfig) -> RunningMock {
    spawn(config).expect("a mock server on a free port")
}

fn connect(mock: &RunningMock) -> TcpStream {
    let stream = TcpStream::connect(mock.address()).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a read timeout");
    stream
}

fn head(method: &str, path: &str, headers: &str, length: usize) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: mock\r\n{headers}Content-Length: {length}\r\n\r\n")
}

struct Answer {
    status: u16,
    head: String,
    body: String,
    /// From just before the request was written to the first byte of the answer.
    first_byte: Duration,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// What follows `data:` in each event.
    fn data(&self) -> Vec<&str> {
        let lines = self.body.lines();
        lines
            .filter_map(|line| line.strip_prefix("data:"))
            .map(str::trim_start)
            .collect()
    }

    /// The same as JSON, without the closing mark.
    fn events(&self) -> Vec<Value> {
        let data = self.data().into_iter().filter(|data| *data != "[DONE]");
        data.map(|data| serde_json::from_str(data).expect("JSON in an event"))
            .collect()
    }
}

/// One request over a connection of its own.
fn ask(mock: &RunningMock, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut stream = connect(mock);
    let headers = format!("Connection: close\r\n{headers}");
    let request = head(method, path, &headers, body.len()) + body;
    let sent = Instant::now();
    stream.write_all(request.as_bytes()).expect("a write");
    let mut bytes = vec![0; 1];
    stream.read_exact(&mut bytes).expect("an answer");
    let first_byte = sent.elapsed();
    stream.read_to_end(&mut bytes).expect("the whole answer");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let head = head.to_ascii_lowercase();
    let body = match head.contains("transfer-encoding: chunked") {
        true => unchunk(body),
        false => body.to_owned(),
    };
    Answer {
        status: head
            .get(9..12)
            .and_then(|status| status.parse().ok())
            .expect("a status"),
        head,
        body,
        first_byte,
    }
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").expect("the size of a chunk");
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return whole;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].strip_prefix("\r\n").expect("a chunk's end");
    }
}

fn post(mock: &RunningMock, path: &str, body: &Value) -> Answer {
    ask(mock, "POST", path, "", &body.to_string())
}

fn get(mock: &RunningMock, path: &str) -> Value {
    let answer = ask(mock, "GET", path, "", "");
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

fn chat() -> Value {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "one two three"}]})
}

/// A time of the truth.
fn time(value: &Value) -> Duration {
    Duration::from_secs_f64(value.as_f64().expect("a time"))
}

#[test]
fn the_truth_is_what_was_asked_and_what_the_client_saw() {
    let (ttft, itl) = (Duration::from_millis(40), Duration::from_millis(5));
    let mock = start(MockConfig {
        ttft,
        itl,
        tokens: 20,
        ..quick()
    });
    let answers: Vec<_> = (0..3).map(|_| post(&mock, CHAT, &chat())).collect();
    let truth = get(&mock, "/truth");
    for (field, expected) in [
        ("requests", 3),
        ("completed", 3),
        ("errors", 0),
        ("aborted", 0),
        ("in_flight", 0),
        ("tokens", 60),
        ("prompt_tokens", 9),
        ("connections", 4),
        ("samples_dropped", 0),
    ] {
        assert_eq!(truth[field], expected, "{field}");
    }
    let told = &truth["ttft_seconds"];
    assert_eq!(told["count"], 3);
    // Counted from the kernel's stamp, nothing can come early. (Two clocks are compared: a hair is let go.)
    assert!(time(&told["p50"]) + Duration::from_micros(100) >= ttft);
    assert!(time(&told["p50"]) < ttft + LATE);
    assert_eq!(truth["first_write_seconds"], *told);
    // The client's view has the way to and from the server in it, and no less than that.
    let seen = answers.iter().map(|answer| answer.first_byte);
    let seen = seen.sum::<Duration>() / 3;
    assert!(seen + Duration::from_micros(100) >= time(&told["mean"]));
    assert!(seen < time(&told["mean"]) + LATE);

    let told = &truth["itl_seconds"];
    assert_eq!(told["count"], 57);
    assert!(time(&told["mean"]).abs_diff(itl) < Duration::from_millis(3));
    let arrivals = &truth["arrivals"];
    assert_eq!(arrivals["count"], 3);
    assert_eq!(arrivals["unix_times"].as_array().map(Vec::len), Some(3));
    assert_eq!(arrivals["unix_times"][0], arrivals["first_unix"]);
    let whole = ttft + 19 * itl;
    assert!(time(&arrivals["gap_mean"]) >= whole);
    assert!(time(&arrivals["gap_mean"]) < whole + LATE);
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn on_linux_arrivals_and_first_tokens_are_timed_by_the_kernel() {
    let mock = start(quick());
    for _ in 0..5 {
        post(&mock, CHAT, &chat());
    }
    // The kernel begins to stamp a moment after it was asked to by the first socket of the machine.
    std::thread::sleep(Duration::from_millis(200));
    get(&mock, "/truth");
    post(&mock, CHAT, &chat());
    let truth = get(&mock, "/truth");
    assert_eq!(truth["arrival_clock"], "kernel");
    assert_eq!(truth["arrivals_read"], 0);
    assert_eq!(truth["departures_read"], 0);
}

#[test]
fn the_truth_begins_anew_when_it_is_told() {
    let mock = start(quick());
    post(&mock, CHAT, &chat());
    assert_eq!(
        get(&mock, "/truth?times=false")["arrivals"]["unix_times"],
        json!([])
    );
    let truth = get(&mock, "/truth");
    assert_eq!(truth["requests"], 0);
    assert_eq!(truth["connections"], 1);
    assert_eq!(truth["tokens"], 0);
    assert_eq!(truth["arrivals"]["first_unix"], Value::Null);
    let nothing = json!({"count": 0, "mean": null, "p50": null, "p99": null, "max": null});
    assert_eq!(truth["ttft_seconds"], nothing);
}

#[test]
fn a_role_goes_out_at_once_where_it_is_asked_for() {
    let ttft = Duration::from_millis(200);
    let mock = start(MockConfig {
        ttft,
        role_chunk: true,
        ..quick()
    });
    let answer = post(&mock, CHAT, &chat());
    assert!(answer.first_byte < ttft);
    let events = answer.events();
    let choice = |n: usize| events[n]["choices"][0].clone();
    assert_eq!(
        choice(0)["delta"],
        json!({"role": "assistant", "content": ""})
    );
    assert_eq!(choice(1)["delta"].get("role"), None);
    assert_eq!(events.len(), 7);
    let truth = get(&mock, "/truth");
    assert!(time(&truth["first_write_seconds"]["max"]) < ttft);
    assert!(time(&truth["ttft_seconds"]["max"]) >= ttft);
    assert_eq!(truth["tokens"], 5);
}

#[test]
fn without_a_role_chunk_not_even_the_head_goes_before_the_token() {
    let ttft = Duration::from_millis(60);
    let mock = start(MockConfig { ttft, ..quick() });
    let answer = post(&mock, CHAT, &chat());
    assert!(answer.first_byte >= ttft);
    let delta = &answer.events()[0]["choices"][0]["delta"];
    assert_eq!(delta["role"], "assistant");
    assert_ne!(delta["content"], "");
}

#[test]
fn a_plain_answer_takes_as_long_as_its_tokens() {
    let mock = start(MockConfig {
        ttft: Duration::from_millis(40),
        itl: Duration::from_millis(10),
        ..quick()
    });
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let answer = post(&mock, CHAT, &body);
    assert!(answer.first_byte >= Duration::from_millis(80));
    let truth = get(&mock, "/truth");
    assert_eq!(
        (&truth["completed"], &truth["tokens"]),
        (&json!(1), &json!(5))
    );
    assert_eq!(truth["ttft_seconds"]["count"], 0);
    assert!(time(&truth["first_write_seconds"]["max"]) >= Duration::from_millis(79));
}

#[test]
fn errors_are_counted_and_never_carry_tokens() {
    let mock = start(MockConfig {
        error_rate: 1.0,
        ..quick()
    });
    let answer = post(&mock, CHAT, &chat());
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["error"]["type"], "server_error");
    let answer = post(&mock, DASHSCOPE, &json!({"input": {"prompt": "hi"}}));
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["code"], "InternalError");
    let truth = get(&mock, "/truth");
    assert_eq!(
        (&truth["requests"], &truth["errors"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(
        (&truth["completed"], &truth["tokens"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn the_seed_decides_which_requests_fail() {
    let statuses = |seed| {
        let mock = start(MockConfig {
            error_rate: 0.5,
            seed,
            ..quick()
        });
        let statuses = (0..16).map(|_| post(&mock, CHAT, &chat()).status);
        statuses.collect::<Vec<_>>()
    };
    assert_eq!(statuses(1), statuses(1));
    assert_ne!(statuses(1), statuses(2));
}

#[test]
fn a_client_that_leaves_is_noticed() {
    let mock = start(MockConfig {
        itl: Duration::from_millis(20),
        tokens: 1_000,
        ..quick()
    });
    let mut stream = connect(&mock);
    let body = chat().to_string();
    let request = head("POST", CHAT, "", body.len()) + &body;
    stream.write_all(request.as_bytes()).expect("a write");
    stream.read_exact(&mut [0; 100]).expect("a beginning");
    assert_eq!(get(&mock, "/truth")["in_flight"], 1);
    drop(stream);
    let mut aborted = 0;
    for _ in 0..100 {
        let truth = get(&mock, "/truth");
        aborted += truth["aborted"].as_u64().unwrap_or(0);
        if aborted > 0 {
            assert_eq!(truth["in_flight"], 0);
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(aborted, 1);
}

#[test]
fn a_client_that_does_not_read_shows_in_the_truth() {
    let tokens = 60_000;
    let mock = start(MockConfig { tokens, ..quick() });
    let mut stream = connect(&mock);
    let body = chat().to_string();
    let request = head("POST", CHAT, "Connection: close\r\n", body.len()) + &body;
    stream.write_all(request.as_bytes()).expect("a write");
    // Until long after the buffers of both ends are full.
    std::thread::sleep(Duration::from_millis(400));
    let sent = stream.read_to_end(&mut Vec::new()).expect("the answer");
    assert!(sent > 8_000_000);
    let truth = get(&mock, "/truth");
    assert_eq!(truth["tokens"], tokens);
    assert_eq!(truth["itl_seconds"]["count"], tokens - 1);
    assert!(time(&truth["itl_seconds"]["max"]) > Duration::from_millis(150));
}

#[test]
fn a_kept_connection_serves_one_request_after_the_other() {
    let mock = start(quick());
    let mut stream = connect(&mock);
    let body = chat().to_string();
    let request = head("POST", CHAT, "", body.len()) + &body;
    for _ in 0..3 {
        stream.write_all(request.as_bytes()).expect("a write");
        let mut answer = Vec::new();
        while !answer.ends_with(b"0\r\n\r\n") {
            let mut piece = [0; 4096];
            let size = stream.read(&mut piece).expect("a read");
            assert_ne!(size, 0);
            answer.extend_from_slice(&piece[..size]);
        }
    }
    let truth = get(&mock, "/truth");
    assert_eq!(truth["connections"], 2);
    assert_eq!(truth["completed"], 3);
    assert_eq!(truth["tokens"], 15);
}

#[test]
fn nonsense_is_refused_before_the_start() {
    let refused = |config: MockConfig| spawn(config).map(|mock| mock.address());
    let error_rate = f64::NAN;
    assert!(matches!(
        refused(MockConfig {
            error_rate,
            ..quick()
        }),
        Err(MockError::Share("error rate", _))
    ));
    let queue_limit = Some(3);
    assert!(matches!(
        refused(MockConfig {
            queue_limit,
            ..quick()
        }),
        Err(MockError::QueueWithoutSlots)
    ));
    for (slots, prefix_cache, template_tokens) in [
        (Some(0), None, 0),
        (None, Some(0), 0),
        (None, None, 1_000_000),
    ] {
        assert!(matches!(
            refused(MockConfig {
                slots,
                prefix_cache,
                template_tokens,
                ..quick()
            }),
            Err(MockError::Number { .. })
        ));
    }
    let decode_slowdown = -1.0;
    assert!(matches!(
        refused(MockConfig {
            decode_slowdown,
            ..quick()
        }),
        Err(MockError::Slowdown(_))
    ));
    let tokens = u64::MAX;
    assert!(matches!(
        refused(MockConfig { tokens, ..quick() }),
        Err(MockError::Tokens(_))
    ));
    let itl = Duration::MAX;
    assert!(matches!(
        refused(MockConfig { itl, ..quick() }),
        Err(MockError::Time)
    ));
    let mock = start(quick());
    let listen = mock.address();
    assert!(matches!(
        refused(MockConfig { listen, ..quick() }),
        Err(MockError::Listen { address, .. }) if address == listen
    ));
    // When it stops, the port is free again.
    drop(mock);
    assert_eq!(refused(MockConfig { listen, ..quick() }).ok(), Some(listen));
}
