//! Every way in which a request fails, each against a socket that misbehaves in that way: the kind is told
//! apart, the message says what happened, and nothing is lost on the way to the database and the summary.

use crate::misbehaving::{
    Failing, Misbehaving, Run, Step, TRANSPORTS, chunk, delta, event, head, none, perf, problems,
    response, rows, stream_head, streamed, text,
};
use crate::support::{self, Bench, Ended, Mock};
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One way to fail: what the server does, and what is to come of it.
struct Case {
    name: &'static str,
    script: Vec<Step>,
    arguments: Vec<&'static str>,
    expected: Failing,
}

/// A case without arguments of its own.
fn case(name: &'static str, script: Vec<Step>, expected: Failing) -> Case {
    Case {
        name,
        script,
        arguments: Vec::new(),
        expected,
    }
}

/// Runs each case over each transport.
fn check(cases: Vec<Case>) {
    let mut found = Vec::new();
    for case in cases {
        for transport in TRANSPORTS {
            let server = Misbehaving::start(case.script.clone());
            let mut arguments = vec!["--transport", transport];
            arguments.extend(&case.arguments);
            let run = Run::of(&server.chat(), &arguments);
            let mut problems = problems(&run, 1, &case.expected);
            if server.heads().len() > 1 {
                problems.push(format!("{} requests were sent", server.heads().len()));
            }
            found.push((format!("{} over {transport}", case.name), problems));
        }
    }
    none(found);
}

/// Runs `perf` against a URL over each transport; its one request is to fail.
fn check_url(name: &str, url: &str, arguments: &[&str], expected: &Failing) {
    let found = TRANSPORTS.into_iter().map(|transport| {
        let mut all = vec!["--transport", transport];
        all.extend(arguments);
        let run = Run::of(url, &all);
        (
            format!("{name} over {transport}"),
            problems(&run, 1, expected),
        )
    });
    none(found.collect());
}

/// The head of a stream and one event of it, after a request.
fn stream_begun() -> Vec<Step> {
    vec![
        Step::Request,
        text(stream_head()),
        Step::Write(chunk(event(delta("one")))),
    ]
}

/// The event with which a stream began, and what had arrived of the next one.
fn message_and(unfinished: &str) -> Vec<String> {
    let mut messages = one_message();
    messages.push(unfinished.to_owned());
    messages
}

/// What the row has of such a stream.
fn one_message() -> Vec<String> {
    vec![delta("one")]
}

/// These steps, then those.
fn then(mut first: Vec<Step>, more: impl IntoIterator<Item = Step>) -> Vec<Step> {
    first.extend(more);
    first
}

/// A port on which nobody listens.
fn refused_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

#[test]
fn a_name_that_does_not_resolve() {
    check_url(
        "dns",
        "http://no-such-host.invalid/v1",
        &[],
        &Failing {
            kind: "dns",
            says: vec!["no address for the host", "no-such-host.invalid"],
            ..Failing::default()
        },
    );
}

#[test]
fn a_refused_connection() {
    check_url(
        "connect",
        &format!("http://127.0.0.1:{}/v1", refused_port()),
        &[],
        &Failing {
            kind: "connect",
            says: vec!["no connection", "Connection refused"],
            ..Failing::default()
        },
    );
}

#[test]
fn a_connection_that_nobody_accepts() {
    // The kernel completes handshakes for the queue of a listener that accepts nothing; once the queue is
    // full, it answers no further one.
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    listener
        .bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .expect("a free port");
    listener.listen(0).expect("it listens");
    let address = listener
        .local_addr()
        .ok()
        .and_then(|address| address.as_socket())
        .expect("it is bound");
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queue.push(stream);
    }
    check_url(
        "full queue",
        &format!("http://{address}/v1"),
        &["--connect-timeout", "0.3", "--no-warm-connections"],
        &Failing {
            kind: "timeout-connect",
            says: vec!["no connection", "--connect-timeout"],
            at_least: 0.3,
            ..Failing::default()
        },
    );
}

#[test]
fn a_handshake_that_is_not_answered() {
    let server = Misbehaving::start(vec![Step::Hang]);
    check_url(
        "silent handshake",
        &format!("https://127.0.0.1:{}/v1", server.port()),
        &["--connect-timeout", "0.3", "--no-warm-connections"],
        &Failing {
            kind: "timeout-connect",
            says: vec!["no connection", "--connect-timeout"],
            at_least: 0.3,
            ..Failing::default()
        },
    );
}

#[test]
fn a_server_that_speaks_no_tls() {
    for (name, script) in [
        (
            "plain HTTP",
            vec![
                Step::Take(5),
                text(head("400 Bad Request", &[])),
                Step::Hang,
            ],
        ),
        ("closes on the hello", vec![Step::Take(5), Step::Close]),
        ("resets on the hello", vec![Step::Take(5), Step::Reset]),
    ] {
        let server = Misbehaving::start(script);
        check_url(
            name,
            &format!("https://127.0.0.1:{}/v1", server.port()),
            &[],
            &Failing {
                kind: "tls",
                says: vec!["the TLS handshake failed"],
                ..Failing::default()
            },
        );
    }
}

#[test]
fn a_request_that_is_not_taken() {
    let bench = Bench::new();
    // More than all buffers between two sockets hold.
    let prompt = bench.file("prompt", "x".repeat(50 << 20));
    let prompt = format!("@{}", prompt.display());
    let mut found = Vec::new();
    for (name, script) in [
        ("closed", vec![Step::Take(1000), Step::Close]),
        ("reset", vec![Step::Take(1000), Step::Reset]),
    ] {
        for transport in TRANSPORTS {
            let server = Misbehaving::start(script.clone());
            let run = Run::of(
                &server.chat(),
                &["--transport", transport, "--prompt", &prompt],
            );
            let expected = Failing {
                kind: "send",
                says: vec!["the request could not be written"],
                ..Failing::default()
            };
            let mut problems = problems(&run, 1, &expected);
            // The one that is opened before the run, and nothing after the request failed.
            if server.connections() > 1 {
                problems.push(format!("{} connections", server.connections()));
            }
            found.push((format!("{name} over {transport}"), problems));
        }
    }
    none(found);
}

#[test]
fn an_answer_before_the_request_was_taken() {
    let bench = Bench::new();
    let prompt = bench.file("prompt", "x".repeat(20 << 20));
    let prompt = format!("@{}", prompt.display());
    let body = r#"{"error":{"message":"too large"}}"#;
    let answer = response("413 Payload Too Large", "application/json", body);
    let mut found = Vec::new();
    for transport in TRANSPORTS {
        let script = vec![Step::Take(1000), Step::Write(answer.clone()), Step::Hang];
        let server = Misbehaving::start(script);
        let run = Run::of(
            &server.chat(),
            &["--transport", transport, "--prompt", &prompt],
        );
        let expected = Failing {
            kind: "http-status",
            says: vec!["HTTP 413 Payload Too Large", "too large"],
            status: Some(413),
            messages: vec![body.to_owned()],
            ..Failing::default()
        };
        found.push((transport.to_owned(), problems(&run, 1, &expected)));
    }
    none(found);
}

#[test]
fn statuses_that_are_no_success() {
    let json = r#"{"error":{"message":"no\nsuch thing","code":7}}"#;
    let html = "<html>\r\n<h1>Bad day</h1>\r\n</html>";
    let mut cases: Vec<Case> = [
        ("400 Bad Request", "HTTP 400 Bad Request: "),
        ("401 Unauthorized", "HTTP 401 Unauthorized: "),
        ("404 Not Found", "HTTP 404 Not Found: "),
        ("413 Payload Too Large", "HTTP 413 Payload Too Large: "),
        ("500 Whatever", "HTTP 500 Internal Server Error: "),
        ("503 Service Unavailable", "HTTP 503 Service Unavailable: "),
        ("529 Overloaded", "HTTP 529: "),
    ]
    .into_iter()
    .map(|(status, says)| {
        let script = vec![
            Step::Request,
            Step::Write(response(status, "application/json", json)),
            Step::Hang,
        ];
        let expected = refusal(status, vec![says, "such thing"], &[json]);
        case(status, script, expected)
    })
    .collect();
    let answer = |bytes: Vec<u8>| vec![Step::Request, Step::Write(bytes), Step::Hang];
    let with_head = |status: &str, lines: &[&str], body: &str| {
        let mut bytes = head(status, lines).into_bytes();
        bytes.extend_from_slice(body.as_bytes());
        answer(bytes)
    };
    cases.extend([
        case(
            "retry-after",
            with_head(
                "429 Too Many Requests",
                &["retry-after: 17", "content-length: 4"],
                "slow",
            ),
            refusal(
                "429",
                vec!["HTTP 429 Too Many Requests (retry-after: 17): slow"],
                &["slow"],
            ),
        ),
        case(
            "HTML",
            answer(response("500 Oops", "text/html", html)),
            refusal("500", vec!["<html> <h1>Bad day</h1> </html>"], &[html]),
        ),
        case(
            "binary",
            answer(response(
                "500 Oops",
                "image/png",
                b"\x89PNG\r\n\x1a\n\0\xff",
            )),
            refusal(
                "500",
                vec!["HTTP 500"],
                &["\u{fffd}PNG\r\n\u{1a}\n\0\u{fffd}"],
            ),
        ),
        case(
            "no body",
            answer(response("500 Oops", "text/plain", "")),
            refusal("500", vec!["HTTP 500 Internal Server Error"], &[]),
        ),
        case(
            "redirect",
            with_head(
                "302 Found",
                &["location: /elsewhere", "content-length: 0"],
                "",
            ),
            refusal("302", vec!["HTTP 302 Found"], &[]),
        ),
        case(
            "events",
            answer(response(
                "500 Oops",
                "text/event-stream",
                "event: error\ndata: {\"message\":\"bad\"}\n\n",
            )),
            refusal("500", vec!["HTTP 500", "bad"], &["{\"message\":\"bad\"}"]),
        ),
        case(
            "labelled as events",
            answer(response("500 Oops", "text/event-stream", json)),
            refusal("500", vec!["HTTP 500", "such thing"], &[json]),
        ),
        case(
            "cut off",
            vec![
                Step::Request,
                text(head("503 Oops", &["content-length: 1000"])),
                text("half"),
                Step::Close,
            ],
            refusal("503", vec!["HTTP 503", "half"], &["half"]),
        ),
        case(
            "compressed",
            with_head(
                "502 Bad Gateway",
                &["content-encoding: gzip", "content-length: 4"],
                "zzzz",
            ),
            refusal("502", vec!["HTTP 502"], &[]),
        ),
    ]);
    check(cases);
}

/// What is to come of a response with this status.
fn refusal(status: &str, says: Vec<&'static str>, messages: &[&str]) -> Failing {
    Failing {
        kind: "http-status",
        says,
        status: status[..3].parse().ok(),
        messages: messages.iter().map(|text| (*text).to_owned()).collect(),
        at_least: 0.0,
    }
}

#[test]
fn silence_and_dribbling() {
    let silent = |status, messages| Failing {
        kind: "timeout-read",
        says: vec!["0.3 s", "--read-timeout"],
        status,
        messages,
        at_least: 0.3,
    };
    let read = vec!["--read-timeout", "0.3"];
    let total = vec!["--total-timeout", "0.4"];
    let apart = Duration::from_millis(20);
    let slow = |status, messages| Failing {
        kind: "timeout-total",
        says: vec!["0.4 s", "--total-timeout"],
        status,
        messages,
        at_least: 0.4,
    };
    let mut cases = vec![
        case(
            "no answer",
            vec![Step::Request, Step::Hang],
            silent(None, vec![]),
        ),
        case(
            "half a head",
            vec![Step::Request, text("HTTP/1.1 200 OK\r\n"), Step::Hang],
            silent(None, vec![]),
        ),
        case(
            "only a head",
            vec![Step::Request, text(stream_head()), Step::Hang],
            silent(Some(200), vec![]),
        ),
        case(
            "silent in a stream",
            then(stream_begun(), [Step::Hang]),
            silent(Some(200), one_message()),
        ),
        case(
            "silent in a plain body",
            vec![
                Step::Request,
                text(head("200 OK", &["content-length: 100"])),
                text("{\"half\":"),
                Step::Hang,
            ],
            silent(Some(200), vec!["{\"half\":".to_owned()]),
        ),
    ];
    for case in &mut cases {
        case.arguments.clone_from(&read);
    }
    cases.extend([
        Case {
            name: "comments for ever",
            script: then(
                stream_begun(),
                [Step::Dribble(chunk(": still here\n\n"), apart)],
            ),
            arguments: total.clone(),
            expected: slow(Some(200), one_message()),
        },
        Case {
            name: "a head for ever",
            script: vec![
                Step::Request,
                text("HTTP/1.1 200 OK\r\nx: "),
                Step::Dribble(b"x".to_vec(), apart),
            ],
            arguments: total.clone(),
            expected: slow(None, vec![]),
        },
        Case {
            name: "no answer within the total",
            script: vec![Step::Request, Step::Hang],
            arguments: total,
            expected: slow(None, vec![]),
        },
    ]);
    check(cases);
}

#[test]
fn answers_that_are_not_http() {
    let protocol = |status, says: Vec<&'static str>, messages| Failing {
        kind: "protocol",
        says,
        status,
        messages,
        at_least: 0.0,
    };
    let garbage = |bytes: &[u8]| vec![Step::Request, Step::Write(bytes.to_vec()), Step::Hang];
    let rules = "the answer breaks the rules of HTTP";
    check(vec![
        case(
            "another protocol",
            garbage(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
            protocol(None, vec![rules], vec![]),
        ),
        case(
            "binary",
            garbage(b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n"),
            protocol(None, vec![rules], vec![]),
        ),
        case(
            "a status that is no number",
            garbage(b"HTTP/1.1 OK\r\n\r\n"),
            protocol(None, vec![rules], vec![]),
        ),
        case(
            "two lengths",
            garbage(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
            protocol(None, vec![rules], vec![]),
        ),
        case(
            "a chunk size that is no number",
            then(stream_begun(), [text("zz\r\n"), Step::Hang]),
            protocol(Some(200), vec![rules], one_message()),
        ),
        case(
            "a chunk longer than its size",
            then(stream_begun(), [text("1\r\nabc\r\n"), Step::Hang]),
            protocol(Some(200), vec![rules], message_and("a")),
        ),
        case(
            "compressed",
            vec![
                Step::Request,
                text(head(
                    "200 OK",
                    &["content-encoding: gzip", "content-length: 4"],
                )),
                text("zzzz"),
                Step::Hang,
            ],
            protocol(Some(200), vec!["compressed (gzip)"], vec![]),
        ),
    ]);
}

#[test]
fn answers_that_break_off() {
    let truncated = |status, messages| Failing {
        kind: "truncated",
        says: vec!["the connection ended before the response did"],
        status,
        messages,
        at_least: 0.0,
    };
    let partial = |end| {
        vec![
            Step::Request,
            text(head("200 OK", &["content-length: 100"])),
            text("{\"half\":"),
            // What was written has to be read before a reset, which throws away what was not.
            Step::Pause(Duration::from_millis(100)),
            end,
        ]
    };
    let half = || vec!["{\"half\":".to_owned()];
    let paused = || then(stream_begun(), [Step::Pause(Duration::from_millis(100))]);
    check(vec![
        case(
            "before the head",
            vec![Step::Request, Step::Close],
            truncated(None, vec![]),
        ),
        case(
            "reset before the head",
            vec![Step::Request, Step::Reset],
            truncated(None, vec![]),
        ),
        case(
            "in the head",
            vec![Step::Request, text("HTTP/1.1 200 OK\r\ncont"), Step::Close],
            truncated(None, vec![]),
        ),
        case(
            "after the head",
            vec![Step::Request, text(stream_head()), Step::Close],
            truncated(Some(200), vec![]),
        ),
        case(
            "in a body of known length",
            partial(Step::Close),
            truncated(Some(200), half()),
        ),
        case(
            "reset in a body of known length",
            partial(Step::Reset),
            truncated(Some(200), half()),
        ),
        case(
            "without the last chunk",
            then(stream_begun(), [Step::Close]),
            truncated(Some(200), one_message()),
        ),
        case(
            "after [DONE], without the last chunk",
            then(
                stream_begun(),
                [Step::Write(chunk(event("[DONE]"))), Step::Close],
            ),
            truncated(Some(200), one_message()),
        ),
        case(
            "in a chunk",
            then(stream_begun(), [text("100\r\ndata: {\"ch"), Step::Close]),
            truncated(Some(200), message_and("data: {\"ch")),
        ),
        case(
            "reset in a stream",
            then(paused(), [Step::Reset]),
            truncated(Some(200), one_message()),
        ),
        case(
            "events of known length",
            vec![
                Step::Request,
                text(head(
                    "200 OK",
                    &["content-type: text/event-stream", "content-length: 1000"],
                )),
                text(event(delta("one"))),
                Step::Close,
            ],
            truncated(Some(200), one_message()),
        ),
    ]);
}

#[test]
fn errors_that_a_server_reports_in_its_answer() {
    let error = r#"{"error":{"message":"out of memory","code":500}}"#;
    let reported = |messages: &[&str]| Failing {
        kind: "stream-error",
        says: vec!["out of memory"],
        status: Some(200),
        messages: messages.iter().map(|text| (*text).to_owned()).collect(),
        at_least: 0.0,
    };
    let one = delta("one");
    let stream = |body: String| vec![Step::Request, Step::Write(streamed(body, 1000)), Step::Hang];
    check(vec![
        case(
            "an error event",
            stream(format!(
                "{}event: error\ndata: out of memory\n\n",
                event(&one)
            )),
            reported(&[&one, "out of memory"]),
        ),
        case(
            "an error object",
            stream(format!("{}{}", event(&one), event(error))),
            reported(&[&one, error]),
        ),
        case(
            "an error object, then [DONE]",
            stream(format!(
                "{}{}{}",
                event(&one),
                event(error),
                event("[DONE]")
            )),
            reported(&[&one, error]),
        ),
        case(
            "an error that is a text",
            stream(event(r#"{"error":"out of memory"}"#)),
            reported(&[r#"{"error":"out of memory"}"#]),
        ),
        case(
            "a plain body",
            vec![
                Step::Request,
                Step::Write(response("200 OK", "application/json", error)),
                Step::Hang,
            ],
            reported(&[error]),
        ),
        case(
            "an error event, then the end of the connection",
            then(
                stream_begun(),
                [
                    Step::Write(chunk("event: error\ndata: out of memory\n\n")),
                    Step::Close,
                ],
            ),
            reported(&[&one, "out of memory"]),
        ),
        case(
            "an error object, then the end of the connection",
            then(
                stream_begun(),
                [Step::Write(chunk(event(error))), Step::Close],
            ),
            reported(&[&one, error]),
        ),
    ]);
}

#[test]
fn answers_that_the_parser_cannot_read() {
    let unread = |says: Vec<&'static str>, status, messages: &[&str]| Failing {
        kind: "parse",
        says,
        status: Some(status),
        messages: messages.iter().map(|text| (*text).to_owned()).collect(),
        at_least: 0.0,
    };
    let whole = |status: &str, kind: &str, body: &str| {
        vec![
            Step::Request,
            Step::Write(response(status, kind, body)),
            Step::Hang,
        ]
    };
    let parser = "parser `openai_prompt`";
    let one = delta("one");
    check(vec![
        case(
            "no JSON",
            whole("200 OK", "application/json", "{\"choices\": [oops"),
            unread(vec![parser, "column"], 200, &["{\"choices\": [oops"]),
        ),
        case(
            "HTML",
            whole("200 OK", "text/html", "<html>login</html>"),
            unread(vec![parser], 200, &["<html>login</html>"]),
        ),
        case(
            "a JSON list",
            whole("200 OK", "application/json", "[1]"),
            unread(vec![parser, "not a JSON object"], 200, &["[1]"]),
        ),
        case(
            "an empty body",
            whole("200 OK", "application/json", ""),
            unread(vec![parser, "empty"], 200, &[]),
        ),
        case(
            "no content",
            vec![Step::Request, text(head("204 No Content", &[])), Step::Hang],
            unread(vec![parser, "empty"], 204, &[]),
        ),
        case(
            "only [DONE]",
            whole("200 OK", "text/event-stream", "data: [DONE]\n\n"),
            unread(vec![parser, "empty"], 200, &[]),
        ),
        case(
            "only comments",
            whole("200 OK", "text/event-stream", ": hello\n\n"),
            unread(vec![parser, "empty"], 200, &[]),
        ),
        case(
            "an event that is no JSON",
            whole(
                "200 OK",
                "text/event-stream",
                &format!("{}data: oops\n\n", event(&one)),
            ),
            unread(vec![parser, "chunk 2"], 200, &[&one, "oops"]),
        ),
    ]);
}

#[test]
fn a_connection_that_closes_between_requests() {
    let answer = streamed(event(delta("one")), 1000);
    let answered = || [Step::Request, Step::Write(answer.clone())];
    let mut found = Vec::new();
    for transport in TRANSPORTS {
        for (name, end, least) in [
            // The client may notice the end in time, or not.
            ("closed while idle", vec![Step::Close], 1),
            ("reset while idle", vec![Step::Reset], 1),
            ("closed on a request", vec![Step::Request, Step::Close], 2),
            ("reset on a request", vec![Step::Request, Step::Reset], 2),
            (
                "reset on half a request",
                vec![Step::Take(20), Step::Reset],
                2,
            ),
        ] {
            let script = then(answered().to_vec(), end.clone());
            let server = Misbehaving::start(script);
            let run = Run::of(&server.chat(), &["--transport", transport, "-n", "4"]);
            let rows = run.rows();
            let seen = server.heads().len();
            // A request that was taken in part is none that the server has read.
            let partly = if matches!(end[0], Step::Take(_)) {
                2
            } else {
                0
            };
            let succeeded = rows.iter().filter(|row| row.success).count();
            let mut problems = Vec::new();
            let mut check = |holds: bool, what: String| {
                if !holds {
                    problems.push(what);
                }
            };
            check(
                run.ended.code == Some(0),
                format!("code {:?}", run.ended.code),
            );
            check(rows.len() == 4, format!("{} rows", rows.len()));
            check(
                run.count("Succeed requests") == Some(succeeded as u64)
                    && run.count("Failed requests") == Some(4 - succeeded as u64),
                "the summary counts otherwise".to_owned(),
            );
            if least == 2 {
                check(seen + partly == 4, format!("{seen} requests were read"));
                let successes: Vec<bool> = rows.iter().map(|row| row.success).collect();
                check(
                    successes == [true, false, true, false],
                    format!("successes {successes:?}"),
                );
            } else {
                check(
                    (succeeded..=4).contains(&seen),
                    format!("{seen} requests were read, {succeeded} succeeded"),
                );
            }
            for row in rows.iter().filter(|row| !row.success) {
                check(
                    matches!(row.kind.as_str(), "truncated" | "send"),
                    format!("{}: {}", row.kind, row.error),
                );
            }
            found.push((format!("{name} over {transport}"), problems));
        }
    }
    none(found);
}

#[test]
fn failures_stay_out_of_the_percentiles() {
    // The failures are quick: with them in it, the median would be too.
    let mock = Mock::start(&[
        "--error-rate",
        "0.5",
        "--ttft",
        "100ms",
        "--itl",
        "10ms",
        "--tokens",
        "6",
    ]);
    let quick = Run::of(&mock.chat(), &["-n", "40", "--parallel", "10"]);
    check_mixture("quick failures", &quick, 40, |p50, _| p50 >= 0.15);

    // The failures are slow: with them in it, the highest percentile would be too. Each answer says that
    // its connection closes, so that a request which comes late is not put on one that is closing.
    let closing = |status: &str, content_type: &str, body: &str| {
        let fields = [
            "connection: close",
            &format!("content-type: {content_type}"),
            &format!("content-length: {}", body.len()),
        ];
        text(head(status, &fields) + body)
    };
    let server = Misbehaving::with(move |number| {
        let answer = match number % 2 {
            0 => closing("200 OK", "text/event-stream", &event(delta("x"))),
            _ => closing("500 Oops", "text/plain", "no"),
        };
        let pause = Duration::from_millis(if number % 2 == 0 { 0 } else { 1500 });
        vec![Step::Request, Step::Pause(pause), answer, Step::Close]
    });
    let slow = Run::of(&server.chat(), &["-n", "8", "--rate", "-1"]);
    check_mixture("slow failures", &slow, 8, |_, p99| p99 < 1.5);
}

/// Checks a run of which some requests failed with a status, and the first and last percentile of its
/// latency.
fn check_mixture(name: &str, run: &Run, count: usize, holds: impl Fn(f64, f64) -> bool) {
    assert_eq!(run.ended.code, Some(0), "{name}: {}", run.ended.stderr);
    let rows = run.rows();
    assert_eq!(rows.len(), count, "{name}");
    let failed = rows.iter().filter(|row| !row.success).count();
    assert!((1..count).contains(&failed), "{name}: {failed} failed");
    assert!(run.tells(failed, "http-status"), "{name}");
    assert_eq!(run.count("Failed requests"), Some(failed as u64), "{name}");
    let (p50, p99) = latency(&run.ended);
    assert!(holds(p50, p99), "{name}: p50 {p50}, p99 {p99}");
}

/// The first and the last percentile of the latency on standard output.
fn latency(ended: &Ended) -> (f64, f64) {
    let (_, table) = ended
        .stdout
        .split_once("Percentile of request latency: \n")
        .expect("the summary has the percentiles");
    let value = |label: &str| {
        table
            .lines()
            .find_map(|line| line.trim().strip_prefix(label))
            .and_then(|value| value.parse().ok())
            .expect("a percentile is a number")
    };
    (value("p50: "), value("p99: "))
}

/// Sends a signal to a child.
fn signal(child: &Child, signal: i32) {
    let process = i32::try_from(child.id()).expect("a process id");
    // SAFETY: the call takes two numbers, and the child has not been waited for, so its id is its own.
    assert_eq!(unsafe { libc::kill(process, signal) }, 0);
}

/// Starts a command with its outputs in pipes.
fn start(mut command: Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// Reads lines from standard error of a child until one holds `wanted`, and gives the pipe back with the
/// rest.
fn await_line(child: &mut Child, wanted: &str) {
    let mut lines = BufReader::with_capacity(1, child.stderr.take().expect("it is a pipe"));
    let mut line = String::new();
    while !line.contains(wanted) {
        line.clear();
        let read = lines.read_line(&mut line).expect("its lines can be read");
        assert!(read > 0, "no line says {wanted:?}");
    }
    child.stderr = Some(lines.into_inner());
}

/// A stream that stops after two events.
fn hanging() -> Vec<Step> {
    then(
        stream_begun(),
        [Step::Write(chunk(event(delta("two")))), Step::Hang],
    )
}

#[test]
fn an_interrupt_ends_a_run_and_keeps_what_there_is() {
    let server = Misbehaving::start(hanging());
    let bench = Bench::new();
    let child = start(perf(
        &bench,
        &server.chat(),
        &["-n", "100", "--parallel", "3"],
    ));
    server.await_requests(3);
    let begun = Instant::now();
    signal(&child, libc::SIGINT);
    let run = Run {
        ended: support::wait(child),
        bench,
    };
    assert!(begun.elapsed() < Duration::from_secs(15));
    let expected = Failing {
        kind: "cancelled",
        says: vec!["in flight when the run was ended"],
        status: Some(200),
        messages: vec![delta("one"), delta("two")],
        at_least: 0.0,
    };
    none(vec![("interrupt".to_owned(), problems(&run, 3, &expected))]);
    assert_eq!(run.bench.value("SELECT state FROM run"), "interrupted");
    assert_eq!(server.heads().len(), 3, "a request was issued afterwards");
}

#[test]
fn an_interrupt_before_the_first_request_leaves_nothing_behind() {
    // The handshake of the connection that is opened beforehand is never answered.
    let server = Misbehaving::start(vec![Step::Hang]);
    let bench = Bench::new();
    let url = format!("https://127.0.0.1:{}/v1", server.port());
    let child = start(perf(&bench, &url, &["--connect-timeout", "60"]));
    let begun = Instant::now();
    while server.connections() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody connects");
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, libc::SIGINT);
    let ended = support::wait(child);
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("interrupted before the first request"),
        "{}",
        ended.stderr
    );
    assert!(!bench.path("run.db").exists(), "an empty database was left");
}

#[test]
fn a_second_interrupt_ends_at_once() {
    // The first two are answered, so that there are rows to keep.
    let server = Misbehaving::with(|number| match number {
        0 => vec![
            Step::Request,
            Step::Write(streamed(event(delta("x")), 1000)),
            Step::Request,
            Step::Write(streamed(event(delta("x")), 1000)),
            Step::Close,
        ],
        _ => hanging(),
    });
    let bench = Bench::new();
    let arguments = ["-n", "100", "--log-every-n-query", "1"];
    let mut child = start(perf(&bench, &server.chat(), &arguments));
    server.await_requests(3);
    signal(&child, libc::SIGINT);
    await_line(&mut child, "interrupted");
    let begun = Instant::now();
    signal(&child, libc::SIGINT);
    let ended = support::wait(child);
    assert!(begun.elapsed() < Duration::from_secs(3), "not at once");
    assert_eq!(ended.code, Some(130));
    assert_eq!(bench.value("PRAGMA integrity_check"), "ok");
    assert_eq!(bench.value("SELECT state FROM run"), "running");
    assert!(rows(&bench).len() <= 2);
}

#[test]
fn a_killed_run_leaves_its_rows() {
    let mock = Mock::start(&["--ttft", "20ms", "--itl", "20ms", "--tokens", "10"]);
    let bench = Bench::new();
    let mut child = start(perf(
        &bench,
        &mock.chat(),
        &[
            "-n",
            "1000000",
            "--parallel",
            "20",
            "--log-every-n-query",
            "100",
        ],
    ));
    // The line comes as the hundredth request is handed to the database.
    await_line(&mut child, "completed: 100,");
    std::thread::sleep(Duration::from_secs(1));
    signal(&child, libc::SIGKILL);
    assert_eq!(support::wait(child).code, None);
    assert_eq!(bench.value("PRAGMA integrity_check"), "ok");
    assert_eq!(bench.value("SELECT state FROM run"), "running");
    let rows = rows(&bench);
    assert!(rows.len() >= 100, "{} rows", rows.len());
    assert!(
        rows.iter()
            .all(|row| row.success && row.chunk_times.len() >= 10)
    );
}

/// A command that may open no more files than `limit`.
fn under_limit(command: &Command, limit: u32) -> Command {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("ulimit -n {limit}; exec \"$0\" \"$@\""))
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null());
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

#[test]
fn a_machine_without_files_left() {
    let mut found = Vec::new();
    for transport in TRANSPORTS {
        let server = Misbehaving::start(vec![
            Step::Request,
            Step::Pause(Duration::from_millis(1500)),
            Step::Write(streamed(event(delta("x")), 1000)),
            Step::Close,
        ]);
        let bench = Bench::new();
        let arguments = ["--transport", transport, "-n", "200", "--rate", "1000"];
        let command = under_limit(&perf(&bench, &server.chat(), &arguments), 80);
        let run = Run {
            ended: support::run(&mut { command }),
            bench,
        };
        let rows = run.rows();
        let failed: Vec<_> = rows.iter().filter(|row| !row.success).collect();
        let mut problems = Vec::new();
        if run.ended.code != Some(0) || rows.len() != 200 || failed.is_empty() {
            problems.push(format!(
                "code {:?}, {} rows, {} failed: {}",
                run.ended.code,
                rows.len(),
                failed.len(),
                run.ended.stderr
            ));
        }
        if !run.tells(failed.len(), "client-resource") {
            problems.push(format!(
                "the summary does not count {} client-resource",
                failed.len()
            ));
        }
        for row in failed {
            if row.kind != "client-resource"
                || !row.error.contains("this machine ran out of a resource")
                || !row.error.contains("Too many open files")
            {
                problems.push(format!("{}: {}", row.kind, row.error));
            }
        }
        found.push((transport.to_owned(), problems));
    }
    none(found);
}

#[test]
fn a_concurrency_that_cannot_be_held() {
    let server = Misbehaving::start(vec![Step::Request, Step::Hang]);
    for arguments in [
        ["--parallel", "5000", "-n", "5000"],
        ["--rate", "-1", "-n", "5000"],
    ] {
        let bench = Bench::new();
        let mut command = under_limit(&perf(&bench, &server.chat(), &arguments), 200);
        let ended = support::run(&mut command);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("at most 136 can be held"),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert!(ended.stdout.is_empty(), "{arguments:?}");
        assert!(!bench.path("run.db").exists(), "{arguments:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn results_that_cannot_be_kept() {
    let server = Misbehaving::start(vec![Step::Request, Step::Hang]);
    let bench = Bench::new();
    bench.file("file", "");
    for (name, says) in [
        ("missing/run", "folder does not exist"),
        ("/proc/run", "cannot be made"),
        ("file/run", "cannot be made"),
    ] {
        let mut command = support::program();
        command.current_dir(bench.path("")).args([
            "perf",
            "--model",
            "m",
            "--prompt",
            "hi",
            "--url",
            &server.chat(),
            "--name",
            name,
        ]);
        let ended = support::run(&mut command);
        assert_eq!(ended.code, Some(2), "{name}");
        assert!(ended.stdout.is_empty(), "{name}: {}", ended.stdout);
        let error = ended.stderr.trim();
        assert!(
            error.starts_with("error: ") && error.contains(name) && error.contains(says),
            "{name}: {error}"
        );
        assert_eq!(error.lines().count(), 1, "{name}: {error}");
    }
    assert_eq!(server.connections(), 0, "it was found out too late");
}

/// Where a credential is given, and in which forms it must not be found anywhere.
struct Credential {
    name: &'static str,
    /// Goes before the host in the URL.
    user: &'static str,
    /// Goes behind the path in the URL.
    query: &'static str,
    header: &'static str,
    hidden: &'static [&'static str],
}

#[test]
fn credentials_are_kept_nowhere() {
    check_credentials(&[
        Credential {
            name: "a bearer token",
            header: "Authorization=Bearer sk-verysecret-0123456789",
            ..PLAIN
        },
        Credential {
            name: "a key in another header",
            header: "X-Api-Key=verysecret-0123456789",
            ..PLAIN
        },
        Credential {
            name: "a key in the query",
            query: "?api_key=verysecret-0123456789&x=1",
            ..PLAIN
        },
    ]);
}

#[test]
fn credentials_in_other_forms_are_kept_nowhere() {
    check_credentials(&[
        Credential {
            name: "an encoded key in the query",
            query: "?api_key=verysecret%2F0123456789&x=1",
            ..PLAIN
        },
        Credential {
            name: "user and password",
            user: "somebody:verysecret-0123456789@",
            // The second is the beginning of `somebody:verysecret-0`, as a header carries it.
            hidden: &["verysecret", "c29tZWJvZHk6dmVyeXNlY3JldC0w"],
            ..PLAIN
        },
        Credential {
            name: "a token as the user",
            user: "verysecret-0123456789@",
            hidden: &["verysecret", "dmVyeXNlY3JldC0wMTIzNDU2Nzg5"],
            ..PLAIN
        },
        Credential {
            name: "a key that JSON writes in another way",
            header: "X-Api-Key=\"verysecret\\0123456789",
            hidden: &["verysecret"],
            ..PLAIN
        },
    ]);
}

/// Without any credential.
const PLAIN: Credential = Credential {
    name: "",
    user: "",
    query: "",
    header: "X-Other=1",
    hidden: &["verysecret"],
};

/// Gives each credential to a server that says it back.
fn check_credentials(credentials: &[Credential]) {
    let mut found = Vec::new();
    for credential in credentials {
        for transport in TRANSPORTS {
            // Both as a refusal and as an error within an answer.
            for status in [401, 200] {
                let name = format!("{}, status {status}, over {transport}", credential.name);
                found.push((name, check_credential(credential, transport, status)));
            }
        }
    }
    none(found);
}

fn check_credential(credential: &Credential, transport: &str, status: u16) -> Vec<String> {
    let server = Misbehaving::start(vec![Step::Request, Step::EchoHead(status), Step::Hang]);
    let url = format!(
        "http://{}127.0.0.1:{}/v1{}",
        credential.user,
        server.port(),
        credential.query
    );
    let run = Run::of(
        &url,
        &[
            "--debug",
            "--transport",
            transport,
            "--headers",
            credential.header,
        ],
    );
    let mut problems = leaks(&run, credential.hidden);
    let sent = server.heads().concat();
    if !credential.hidden.iter().any(|part| sent.contains(part)) {
        problems.push("the server was not given it".to_owned());
    }
    for row in run.rows() {
        if row.messages.len() != 1 || !row.messages[0].contains("***") {
            problems.push(format!("not blanked, but: {:?}", row.messages));
        }
    }
    problems
}

/// Where any of these texts is found among what a run left.
fn leaks(run: &Run, hidden: &[&str]) -> Vec<String> {
    let mut places = vec![
        (
            "standard output".to_owned(),
            run.ended.stdout.clone().into_bytes(),
        ),
        (
            "standard error".to_owned(),
            run.ended.stderr.clone().into_bytes(),
        ),
    ];
    for file in std::fs::read_dir(run.bench.path("")).expect("the folder is there") {
        let path = file.expect("its files can be listed").path();
        let mut bytes = Vec::new();
        std::fs::File::open(&path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .expect("its files can be read");
        places.push((path.display().to_string(), bytes));
    }
    let mut leaks = Vec::new();
    for (place, bytes) in places {
        for part in hidden {
            if let Some(at) = memchr::memmem::find(&bytes, part.as_bytes()) {
                let around = &bytes[at.saturating_sub(60)..(at + 40).min(bytes.len())];
                leaks.push(format!(
                    "{part} in {place}: …{}…",
                    String::from_utf8_lossy(around)
                ));
            }
        }
    }
    leaks
}
