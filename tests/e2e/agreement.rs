//! Both transports against the same misbehaving server have to tell the same: whatever a server does, the
//! choice of a transport decides how well arrivals are stamped, and nothing else.

use crate::misbehaving::{LAST_CHUNK, chunk, head};
use crate::timing::{TRIES, turn};
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::exchange::Job;
use llmuses_core::plan::{Plan, Timeouts};
use llmuses_transport::ConnectionNotes;
use llmuses_transport::ReqwestTransport;
use llmuses_transport::attempt::{InCommon, attempt};
use llmuses_transport::socket::{SocketSettings, SocketTransport};
use llmuses_transport::transport::Transport;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::LocalSet;

/// How long a server may be silent that never is: only a client that misses what came waits for so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one may be silent that is. A busy machine may keep others waiting for longer, too: such a case
/// is tried again, and not beside others.
const SHORT_PATIENCE: Duration = Duration::from_millis(500);

/// No part of HTTP.
const GARBAGE: &[u8] = b"\0\xff?\r\n\r\n";

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length,
    Chunks,
    End,
}

/// What goes wrong, behind so many bytes of head and body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Close(usize),
    Reset(usize),
    Silence(usize),
    Garbage(usize),
}

/// One answer of the server.
#[derive(Debug, Clone)]
struct Answer {
    status: &'static str,
    content_type: Option<&'static str>,
    framing: Framing,
    /// HTTP chunks, and packets, of this size.
    piece: usize,
    interim: bool,
    closes: bool,
    compressed: bool,
    body: String,
    fault: Option<Fault>,
}

impl Answer {
    /// The bytes that go out, and whether the connection is over then.
    fn bytes(&self) -> (Vec<u8>, bool) {
        let mut lines = Vec::new();
        let length = format!("content-length: {}", self.body.len());
        match self.framing {
            Framing::Length => lines.push(length.as_str()),
            Framing::Chunks => lines.push("transfer-encoding: chunked"),
            Framing::End => {}
        }
        let label = self
            .content_type
            .map(|kind| format!("content-type: {kind}"));
        lines.extend(label.as_deref());
        // A body that is not read leaves no connection to keep, unless it was over with its head: then one
        // transport would go on with the connection, and one not.
        if self.closes || self.compressed {
            lines.push("connection: close");
        }
        if self.compressed {
            lines.push("content-encoding: gzip");
        }
        let mut bytes = Vec::new();
        if self.interim {
            bytes.extend(head("100 Continue", &[]).bytes());
        }
        bytes.extend(head(self.status, &lines).bytes());
        if self.framing == Framing::Chunks {
            for piece in self.body.as_bytes().chunks(self.piece) {
                bytes.extend(chunk(piece));
            }
            bytes.extend(LAST_CHUNK.bytes());
        } else {
            bytes.extend(self.body.bytes());
        }
        let ends = self.closes || self.compressed || self.framing == Framing::End;
        let Some(fault) = self.fault else {
            return (bytes, ends);
        };
        let (Fault::Close(at) | Fault::Reset(at) | Fault::Silence(at) | Fault::Garbage(at)) = fault;
        // In every case something is missing at the end: bytes behind a whole answer would be another question.
        bytes.truncate(at.min(bytes.len() - GARBAGE.len() - 1));
        if matches!(fault, Fault::Garbage(_)) {
            bytes.extend(GARBAGE);
        }
        (bytes, true)
    }
}

fn answer() -> impl Strategy<Value = Answer> {
    let event = prop::sample::select(vec![
        "data: {\"a\":1}\n\n",
        "data: x\r\n\r\n",
        "data:y\r\r",
        ": note\n\n",
        "event: error\ndata: bad\n\n",
        "data: [DONE]\n\n",
        "data: ö",
        "\n",
        "{\"error\":{\"message\":\"m\"}}",
    ]);
    let status = prop::sample::select(vec![
        "200 OK",
        "200 OK",
        "200 OK",
        "201 Created",
        "302 Found",
        "404 Not Found",
        "429 Slow",
        "503 No",
    ]);
    let content_type = prop::sample::select(vec![
        Some("text/event-stream"),
        Some("text/event-stream"),
        Some("application/json"),
        Some("text/html"),
        None,
    ]);
    let framing = prop::sample::select(vec![Framing::Length, Framing::Chunks, Framing::End]);
    let at = 0_usize..400;
    let fault = prop_oneof![
        6 => Just(None),
        2 => at.clone().prop_map(|at| Some(Fault::Close(at))),
        2 => at.clone().prop_map(|at| Some(Fault::Reset(at))),
        1 => at.clone().prop_map(|at| Some(Fault::Silence(at))),
        2 => at.prop_map(|at| Some(Fault::Garbage(at))),
    ];
    let flags = (
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.05),
    );
    let body = prop::collection::vec(event, 0..8).prop_map(|events| events.concat());
    (
        status,
        content_type,
        framing,
        1_usize..60,
        flags,
        body,
        fault,
    )
        .prop_map(
            |(status, content_type, framing, piece, (interim, closes, compressed), body, fault)| {
                Answer {
                    status,
                    content_type,
                    framing,
                    piece,
                    interim,
                    closes,
                    compressed,
                    body,
                    fault,
                }
            },
        )
}

/// What a server counts.
#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    /// Connections that it broke in the middle of an answer, when they had carried a whole one before.
    broken: AtomicU64,
    /// Those of them that were closed without one byte of the answer.
    closed: AtomicU64,
}

/// A server that gives each request the answer of its number, on whichever connection it comes, and whether it
/// comes for the first time or not.
struct Server {
    address: SocketAddr,
    counts: Arc<Counts>,
    over: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (counts, over) = (Arc::<Counts>::default(), Arc::<AtomicBool>::default());
        let acceptor = {
            let (counts, over) = (Arc::clone(&counts), Arc::clone(&over));
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    let (answers, counts) = (answers.clone(), Arc::clone(&counts));
                    // An error is the client going away, which is its right.
                    std::thread::spawn(move || serve(stream, &answers, &counts).ok());
                }
            })
        };
        Self {
            address,
            counts,
            over,
            acceptor: Some(acceptor),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which then sees that it is over.
        TcpStream::connect(self.address).ok();
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().ok();
        }
    }
}

fn serve(mut stream: TcpStream, answers: &[Answer], counts: &Counts) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    for earlier in 0.. {
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            request.push(byte[0]);
        }
        // The body of a request is its number, of one digit.
        stream.read_exact(&mut byte)?;
        counts.requests.fetch_add(1, Ordering::SeqCst);
        let answer = &answers[usize::from(byte[0] - b'0')];
        let (bytes, ends) = answer.bytes();
        if earlier > 0 && matches!(answer.fault, Some(Fault::Close(_) | Fault::Reset(_))) {
            counts.broken.fetch_add(1, Ordering::SeqCst);
            let is_silent = u64::from(bytes.is_empty());
            counts.closed.fetch_add(is_silent, Ordering::SeqCst);
        }
        // A few packets: more would only take time.
        for packet in bytes.chunks(bytes.len().div_ceil(4).max(answer.piece)) {
            stream.write_all(packet)?;
        }
        match answer.fault {
            Some(Fault::Silence(_)) => {
                return std::io::copy(&mut stream, &mut std::io::sink()).map(drop);
            }
            Some(Fault::Reset(_)) => {
                // What was written has to be read before.
                std::thread::sleep(Duration::from_millis(30));
                return socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            }
            Some(Fault::Close(_) | Fault::Garbage(_)) => return stream.shutdown(Shutdown::Write),
            None if ends => return stream.shutdown(Shutdown::Write),
            None => {}
        }
    }
    Ok(())
}

/// What is known of a request in the end, but for its times.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    failure: Option<(&'static str, String)>,
    status: Option<u16>,
    is_streamed: bool,
    events: Vec<String>,
    is_done: bool,
}

/// Sends requests one after the other.
async fn send_all<T: Transport>(transport: T, count: u64, patience: Duration) -> Vec<Told> {
    let timeouts = Timeouts {
        connect: PATIENCE,
        read: patience,
        total: None,
    };
    let (_run, mut cancelled) = watch::channel(false);
    let mut all = Vec::new();
    for number in 0..count {
        let job = Job {
            place: llmuses_core::turn::TurnPlace::alone(0),
            number,
            body: number.to_string().into(),
            own_head: None,
            model: None,
            cancel_after: None,
            sending: Default::default(),
            intended: Moment::default(),
            body_wait: std::time::Duration::ZERO,
            held: Default::default(),
            held_up: std::time::Duration::ZERO,
        };
        let in_common = InCommon {
            clock: &Clock::start(),
            timeouts: &timeouts,
            body: &Default::default(),
            notes: &Default::default(),
            late_reads: &Default::default(),
        };
        let exchange = attempt(&transport, in_common, &mut cancelled, job).await;
        all.push(Told {
            failure: exchange
                .failure
                // What comes behind our own words are those of the library that met the fault.
                .map(|failure| {
                    let own = failure.message.split(": ").next().unwrap_or_default();
                    (failure.kind.as_str(), own.trim_end_matches(')').to_owned())
                }),
            status: exchange.head.map(|head| head.status),
            is_streamed: exchange.response.is_streamed(),
            events: exchange
                .response
                .iter()
                .map(|data| String::from_utf8_lossy(data).into_owned())
                .collect(),
            is_done: exchange.response.done().is_some(),
        });
    }
    all
}

/// What became of one server, and of the transport that went to it.
#[derive(Debug)]
struct Outcome {
    told: Vec<Told>,
    resent: u64,
    counts: Arc<Counts>,
}

impl Outcome {
    /// Requests that the server saw, without those that went out once more.
    fn first_sent(&self) -> u64 {
        self.counts.requests.load(Ordering::SeqCst) - self.resent
    }

    fn broken(&self) -> u64 {
        self.counts.broken.load(Ordering::SeqCst)
    }

    fn closed(&self) -> u64 {
        self.counts.closed.load(Ordering::SeqCst)
    }
}

fn outcome(transport: &str, answers: &[Answer], patience: Duration) -> Outcome {
    let server = Server::start(answers.to_vec());
    let url = format!("http://{}/v1", server.address);
    let plan = Plan::new("m".to_owned(), url.parse().expect("a URL"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let count = answers.len() as u64;
    let headers = http::HeaderMap::new();
    let notes = Arc::<ConnectionNotes>::default();
    let noted = Arc::clone(&notes);
    let told = LocalSet::new().block_on(&runtime, async move {
        if transport == "socket" {
            let settings =
                SocketSettings::new(&plan.target, &plan.transport.timeouts, headers, noted)
                    .expect("no TLS");
            send_all(SocketTransport::new(settings), count, patience).await
        } else {
            let transport =
                ReqwestTransport::new(&plan.target, &plan.transport.timeouts, headers, noted)
                    .expect("a client");
            send_all(transport, count, patience).await
        }
    });
    Outcome {
        told,
        resent: notes.resent(),
        counts: Arc::clone(&server.counts),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn both_transports_tell_the_same(answers in prop::collection::vec(answer(), 1..5)) {
        let is_silent = |answer: &Answer| matches!(answer.fault, Some(Fault::Silence(_)));
        let has_silence = answers.iter().any(is_silent);
        let patience = if has_silence { SHORT_PATIENCE } else { PATIENCE };
        let _turn = has_silence.then(turn);
        let mut told = None;
        for _ in 0..TRIES {
            let by_socket = outcome("socket", &answers, patience);
            let by_reqwest = outcome("reqwest", &answers, patience);
            // One request is one request: none is forgotten, and what is sent once more is counted.
            let all = answers.len() as u64;
            let are_counted = by_socket.first_sent() == all && by_reqwest.first_sent() == all;
            // It is sent once more where a kept connection was closed without an answer. reqwest does not tell
            // whether a part of a head had come.
            let may_be_resent = by_socket.resent == by_socket.closed()
                && (by_reqwest.closed()..=by_reqwest.broken()).contains(&by_reqwest.resent);
            let agreed = by_socket.told == by_reqwest.told && are_counted && may_be_resent;
            // A busy machine may notice an end too late to send once more.
            let may_be_late = has_silence || by_socket.broken() > 0 || by_reqwest.broken() > 0;
            told = Some((by_socket, by_reqwest));
            if agreed {
                return Ok(());
            }
            if !may_be_late {
                break;
            }
        }
        prop_assert!(false, "{told:#?}");
    }
}
