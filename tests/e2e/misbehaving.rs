//! A server on bare sockets that does what no good server does: each connection follows a script, byte
//! by byte. It runs on threads of the test, listens on a free port, and counts what it sees. With it, runs
//! of `perf` against it, read back from the database.

use crate::support::{self, Bench, Ended};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a test waits for something that is bound to happen.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// One thing that the server does on a connection.
#[derive(Debug, Clone)]
pub enum Step {
    /// Reads a whole request. If the client ends the connection instead, the script is over.
    Request,
    /// Reads as many bytes as these, and no more.
    Take(usize),
    /// Writes these bytes at once.
    Write(Vec<u8>),
    /// Writes these bytes in pieces of this size, each in a packet of its own where that can be had.
    WriteInPieces(Vec<u8>, usize),
    /// Writes the head of the last request as it came, as the content of a JSON body with this status.
    EchoHead(u16),
    /// Writes these bytes again and again, this long apart, until the client is gone.
    Dribble(Vec<u8>, Duration),
    /// Does nothing for this long: the time is what is tested.
    Pause(Duration),
    /// Does nothing until the client is gone.
    Hang,
    /// Ends the connection with a reset.
    Reset,
    /// Ends the connection in good order, whatever is unread.
    Close,
    /// Begins again at the first step.
    Again,
}

/// Writes text.
pub fn text(text: impl AsRef<str>) -> Step {
    Step::Write(text.as_ref().as_bytes().to_vec())
}

/// The head of a response of this status, with these header lines (each without its end).
pub fn head(status: &str, lines: &[&str]) -> String {
    let mut head = format!("HTTP/1.1 {status}\r\n");
    for line in lines {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head
}

/// A whole response with a body of known length.
pub fn response(status: &str, content_type: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = head(
        status,
        &[
            &format!("content-type: {content_type}"),
            &format!("content-length: {}", body.len()),
        ],
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The head of a stream in HTTP chunks.
pub fn stream_head() -> String {
    head(
        "200 OK",
        &[
            "content-type: text/event-stream",
            "transfer-encoding: chunked",
        ],
    )
}

/// One HTTP chunk.
pub fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// The end of a body in HTTP chunks.
pub const LAST_CHUNK: &str = "0\r\n\r\n";

/// A whole streamed response: this body in HTTP chunks of `size` bytes.
pub fn streamed(body: impl AsRef<[u8]>, size: usize) -> Vec<u8> {
    let mut bytes = stream_head().into_bytes();
    for piece in body.as_ref().chunks(size) {
        bytes.extend(chunk(piece));
    }
    bytes.extend_from_slice(LAST_CHUNK.as_bytes());
    bytes
}

/// The data of a chat chunk with this content.
pub fn delta(content: &str) -> String {
    serde_json::json!({"choices": [{"index": 0, "delta": {"content": content}}]}).to_string()
}

/// The data of a chat chunk that only tells token counts.
pub fn usage(prompt: u64, completion: u64) -> String {
    serde_json::json!({
        "choices": [],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion},
    })
    .to_string()
}

/// An event with this data.
pub fn event(data: impl AsRef<str>) -> String {
    format!("data: {}\n\n", data.as_ref())
}

/// The server.
pub struct Misbehaving {
    address: SocketAddr,
    shared: Arc<Shared>,
    seen: mpsc::Receiver<()>,
    acceptor: Option<JoinHandle<()>>,
}

/// What the threads of a server share.
struct Shared {
    over: AtomicBool,
    connections: AtomicUsize,
    heads: Mutex<Vec<String>>,
    open: Mutex<Vec<TcpStream>>,
}

impl Misbehaving {
    /// A server whose connections all follow this script.
    pub fn start(script: Vec<Step>) -> Self {
        Self::with(move |_| script.clone())
    }

    /// A server whose connections follow the script that `script` gives for their number, from 0.
    pub fn with(script: impl Fn(usize) -> Vec<Step> + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            over: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            heads: Mutex::new(Vec::new()),
            open: Mutex::new(Vec::new()),
        });
        let (sees, seen) = mpsc::channel();
        let acceptor = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept(&listener, &shared, &sees, script))
        };
        Self {
            address,
            shared,
            seen,
            acceptor: Some(acceptor),
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of its chat endpoint.
    pub fn chat(&self) -> String {
        format!("http://{}/v1/chat/completions", self.address)
    }

    /// Waits until it has seen `count` further requests, all of each.
    pub fn await_requests(&self, count: usize) {
        for number in 0..count {
            self.seen
                .recv_timeout(LONGEST_WAIT)
                .unwrap_or_else(|_| panic!("only {number} of {count} requests came"));
        }
    }

    /// Connections that were made to it.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The heads of the requests that it read.
    pub fn heads(&self) -> Vec<String> {
        lock(&self.shared.heads).clone()
    }
}

impl Drop for Misbehaving {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        for stream in lock(&self.shared.open).iter() {
            stream.shutdown(Shutdown::Both).ok();
        }
        // Wakes the acceptor, which then sees that it is over.
        TcpStream::connect(self.address).ok();
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().ok();
        }
    }
}

/// A lock that a failed test left behind is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    sees: &mpsc::Sender<()>,
    script: impl Fn(usize) -> Vec<Step>,
) {
    for stream in listener.incoming() {
        if shared.over.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { continue };
        let number = shared.connections.fetch_add(1, Ordering::SeqCst);
        stream.set_nodelay(true).ok();
        if let Ok(other) = stream.try_clone() {
            lock(&shared.open).push(other);
        }
        let steps = script(number);
        let (shared, sees) = (Arc::clone(shared), sees.clone());
        std::thread::spawn(move || {
            // An error is the client going away, which is its right.
            Connection {
                stream,
                shared,
                sees,
            }
            .follow(&steps)
            .ok();
        });
    }
}

/// One connection under way.
struct Connection {
    stream: TcpStream,
    shared: Arc<Shared>,
    sees: mpsc::Sender<()>,
}

impl Connection {
    fn follow(&mut self, steps: &[Step]) -> std::io::Result<()> {
        let mut last_head = String::new();
        let mut index = 0;
        while let Some(step) = steps.get(index) {
            index += 1;
            match step {
                Step::Request => match self.request()? {
                    Some(head) => last_head = head,
                    None => break,
                },
                Step::Take(bytes) => self.stream.read_exact(&mut vec![0; *bytes])?,
                Step::Write(bytes) => self.stream.write_all(bytes)?,
                Step::WriteInPieces(bytes, size) => {
                    for piece in bytes.chunks(*size) {
                        self.stream.write_all(piece)?;
                    }
                }
                Step::EchoHead(status) => {
                    let body = serde_json::json!({"error": {"message": last_head}}).to_string();
                    let bytes = response(&format!("{status} Echo"), "application/json", body);
                    self.stream.write_all(&bytes)?;
                }
                Step::Dribble(bytes, apart) => loop {
                    self.stream.write_all(bytes)?;
                    std::thread::sleep(*apart);
                },
                Step::Pause(time) => std::thread::sleep(*time),
                Step::Hang => {
                    let mut ignored = [0; 4096];
                    while self.stream.read(&mut ignored)? > 0 {}
                }
                Step::Reset => {
                    socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
                    self.forget();
                    return Ok(());
                }
                Step::Close => break,
                Step::Again => index = 0,
            }
        }
        self.stream.shutdown(Shutdown::Write)?;
        self.forget();
        Ok(())
    }

    /// Lets go of the server's own handle on the connection, so that it closes with this one.
    fn forget(&self) {
        let own = self.stream.peer_addr().ok();
        lock(&self.shared.open).retain(|stream| stream.peer_addr().ok() != own);
    }

    /// Reads a request and gives back its head; `None` where the client ended the connection.
    fn request(&mut self) -> std::io::Result<Option<String>> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match self.stream.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => head.push(byte[0]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse().ok())
            .unwrap_or(0);
        std::io::copy(&mut (&mut self.stream).take(length), &mut std::io::sink())?;
        lock(&self.shared.heads).push(head.clone());
        // Nobody may be listening.
        self.sees.send(()).ok();
        Ok(Some(head))
    }
}

/// What carries requests: each way has to tell failures apart.
pub const TRANSPORTS: [&str; 2] = ["socket", "reqwest"];

/// A run of `perf` that has ended, and what it left.
pub struct Run {
    /// Its folder.
    pub bench: Bench,
    /// How it ended.
    pub ended: Ended,
}

/// A row of the table `result`.
#[derive(Debug)]
pub struct Row {
    /// 0 or 1.
    pub success: bool,
    /// The kind of failure; empty where there is none.
    pub kind: String,
    /// Its message.
    pub error: String,
    /// The HTTP status.
    pub status: Option<u64>,
    /// The data of each event.
    pub messages: Vec<String>,
    /// The arrival of each event.
    pub chunk_times: Vec<f64>,
    /// The arrival of each event with output.
    pub output_times: Vec<f64>,
    /// Tokens of the prompt.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer.
    pub completion_tokens: Option<u64>,
    /// Seconds.
    pub latency: f64,
}

impl Run {
    /// Runs `perf` against `url`. Prompt and time-outs are given to it where `arguments` has none.
    pub fn of(url: &str, arguments: &[&str]) -> Self {
        let bench = Bench::new();
        let ended = support::run(&mut perf(&bench, url, arguments));
        Self { bench, ended }
    }

    /// All rows, in order of issue.
    pub fn rows(&self) -> Vec<Row> {
        rows(&self.bench)
    }

    /// A count of the summary on standard output.
    pub fn count(&self, label: &str) -> Option<u64> {
        let mut lines = self.ended.stdout.lines();
        lines.find_map(|line| {
            let (found, value) = line.trim().split_once(": ")?;
            (found == label).then(|| value.parse().ok())?
        })
    }

    /// Whether the summary says that `count` requests failed in this way.
    pub fn tells(&self, count: usize, kind: &str) -> bool {
        let count = count.to_string();
        self.ended.stdout.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(&count) && words.next() == Some(kind)
        })
    }
}

/// `perf` against `url`, not yet run.
pub fn perf(bench: &Bench, url: &str, arguments: &[&str]) -> Command {
    let mut all = vec!["--details", "--url", url];
    for (flag, value) in [
        ("--prompt", "hi"),
        ("--connect-timeout", "20"),
        ("--read-timeout", "20"),
    ] {
        if !arguments.contains(&flag) {
            all.extend([flag, value]);
        }
    }
    all.extend(arguments);
    bench.perf(&all)
}

/// All rows of the run in a folder, in order of issue.
pub fn rows(bench: &Bench) -> Vec<Row> {
    let numbers = |value: &Value| {
        let text = value.as_str().unwrap_or("[]");
        serde_json::from_str::<Vec<f64>>(text).expect("times are a JSON list of numbers")
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    bench
        .rows(
            "SELECT success, error_kind, error, status, response_messages, chunk_times, \
             output_times, prompt_tokens, completion_tokens, latency FROM result ORDER BY number",
        )
        .into_iter()
        .map(|row| Row {
            success: row[0] == 1,
            kind: text(&row[1]),
            error: text(&row[2]),
            status: row[3].as_u64(),
            messages: serde_json::from_str(&text(&row[4]))
                .expect("messages are a JSON list of strings"),
            chunk_times: numbers(&row[5]),
            output_times: numbers(&row[6]),
            prompt_tokens: row[7].as_u64(),
            completion_tokens: row[8].as_u64(),
            latency: row[9].as_f64().expect("every row has a latency"),
        })
        .collect()
}

/// How requests are to fail.
#[derive(Debug, Clone, Default)]
pub struct Failing {
    /// The kind, as in the database.
    pub kind: &'static str,
    /// What the message holds.
    pub says: Vec<&'static str>,
    /// The HTTP status that the row has.
    pub status: Option<u64>,
    /// What the row has of the response.
    pub messages: Vec<String>,
    /// The least time until it fails, in seconds.
    pub at_least: f64,
}

/// What is wrong with a run of which `count` requests were to fail, and none to succeed.
pub fn problems(run: &Run, count: usize, expected: &Failing) -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |holds, what| note(&mut problems, holds, what);
    check(
        run.ended.code == Some(1),
        format!("code {:?}", run.ended.code),
    );
    for (label, figure) in [
        ("Total requests", count),
        ("Succeed requests", 0),
        ("Failed requests", count),
    ] {
        let said = run.count(label);
        check(said == Some(figure as u64), format!("{label}: {said:?}"));
    }
    check(
        run.tells(count, expected.kind),
        format!("the summary does not count {count} {}", expected.kind),
    );
    let rows = run.rows();
    check(rows.len() == count, format!("{} rows", rows.len()));
    for row in &rows {
        check(!row.success, "a row says success".to_owned());
        check(row.kind == expected.kind, format!("kind {}", row.kind));
        for part in &expected.says {
            check(
                row.error.contains(part),
                format!("no {part:?} in the message"),
            );
        }
        check(is_readable(&row.error), "an unreadable message".to_owned());
        check(
            row.status == expected.status,
            format!("status {:?}", row.status),
        );
        check(
            row.messages == expected.messages,
            format!("messages {:?}", row.messages),
        );
        check(
            row.chunk_times.len() == row.messages.len(),
            format!("{} chunk times", row.chunk_times.len()),
        );
        // A latency begins as the request is sent, a time-out a little earlier.
        let earliest = (expected.at_least - 0.05).max(0.0);
        check(
            (earliest..earliest + 20.0).contains(&row.latency),
            format!("latency {}", row.latency),
        );
    }
    if !problems.is_empty() {
        let said: Vec<&str> = rows.iter().map(|row| row.error.as_str()).collect();
        problems.push(format!("messages were {said:?}"));
        problems.push(format!("standard error was {}", run.ended.stderr));
    }
    if std::env::var_os("SHOW_FAILURES").is_some() {
        for row in &rows {
            eprintln!("{}: {}", row.kind, row.error);
        }
    }
    problems
}

/// A message is short, on one line, and has no debug output of Rust in it.
fn is_readable(message: &str) -> bool {
    !message.is_empty()
        && message.chars().count() < 500
        && !message.contains(char::is_control)
        && !["Kind(", "hyper::", "reqwest::", "Os {", "Error {", "Some("]
            .iter()
            .any(|part| message.contains(part))
}

/// Notes as a problem what does not hold: one run shows all that is wrong with it.
pub fn note(problems: &mut Vec<String>, holds: bool, what: String) {
    if !holds {
        problems.push(what);
    }
}

/// Fails a test with the problems of all of its cases, each under its name.
pub fn none(problems: Vec<(String, Vec<String>)>) {
    let text: String = problems
        .into_iter()
        .filter(|(_, problems)| !problems.is_empty())
        .map(|(name, problems)| format!("\n{name}:\n    {}", problems.join("\n    ")))
        .collect();
    assert!(text.is_empty(), "{text}");
}
