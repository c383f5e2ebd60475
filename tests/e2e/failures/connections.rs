//! Connections that are not made, do not speak TLS, do not take a request, or are gone when the next one
//! is due.

use super::{check_url, then};
use crate::misbehaving::{
    Failing, Misbehaving, Run, Step, TRANSPORTS, chunk, delta, event, head, none, note, problems,
    response, stream_head, streamed, text,
};
use crate::support::Bench;
use crate::timing::TRIES;
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A port on which nobody listens. It stays taken for as long as the tests run: a port that is let go may be that of the
/// server of another test a moment later, or of the client itself, which then gets a connection.
pub(super) fn refused_port() -> u16 {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    std::mem::forget(socket);
    address.as_socket().expect("it has a port").port()
}

/// What `--connect-timeout 0.3` has come out.
fn no_connection_in_time() -> Failing {
    Failing {
        kind: "timeout-connect",
        says: vec!["no connection", "--connect-timeout"],
        at_least: 0.3,
        ..Failing::default()
    }
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
        &no_connection_in_time(),
    );
}

#[test]
fn a_handshake_that_is_not_answered() {
    let server = Misbehaving::start(vec![Step::Hang]);
    check_url(
        "silent handshake",
        &format!("https://127.0.0.1:{}/v1", server.port()),
        &["--connect-timeout", "0.3", "--no-warm-connections"],
        &no_connection_in_time(),
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
    for transport in TRANSPORTS {
        let pause = Step::Pause(Duration::from_secs(4));
        let server = Misbehaving::start(vec![Step::Take(1000), pause]);
        let flags = ["--connect-timeout", "1", "--read-timeout", "0.5"];
        let mut all = vec!["--transport", transport, "--prompt", &prompt];
        all.extend(flags);
        let expected = Failing {
            kind: "timeout-read",
            says: vec!["the server", "of the request", "--read-timeout"],
            at_least: 0.5,
            ..Failing::default()
        };
        let run = Run::of(&server.chat(), &all);
        found.push((
            format!("left over {transport}"),
            problems(&run, 1, &expected),
        ));
    }
    none(found);
}

#[test]
fn a_prompt_of_50_mb_fits_the_plugins_of_other_apis() {
    let bench = Bench::new();
    let prompt = bench.file("prompt", "x".repeat(50 << 20));
    let prompt = format!("@{}", prompt.display());
    let mut found = Vec::new();
    for parser in ["openai_chat", "dashscope_line_by_line"] {
        let server = Misbehaving::start(vec![Step::Take(1000), Step::Close]);
        let flags = ["--parser", parser, "--prompt", &prompt];
        // The body was made, and the server did not take it.
        let expected = Failing {
            kind: "send",
            says: vec!["the request could not be written"],
            ..Failing::default()
        };
        let run = Run::of(&server.chat(), &flags);
        found.push((parser.to_owned(), problems(&run, 1, &expected)));
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
fn a_connection_that_closes_between_requests() {
    let answer = streamed(event(delta("one")), 1000);
    let answered = || [Step::Request, Step::Write(answer.clone())];
    let mut found = Vec::new();
    for transport in TRANSPORTS {
        for (name, end) in [
            ("closed while idle", vec![Step::Close]),
            ("reset while idle", vec![Step::Reset]),
            ("closed on a request", vec![Step::Request, Step::Close]),
            ("reset on a request", vec![Step::Request, Step::Reset]),
            ("reset on half a request", vec![Step::Take(20), Step::Reset]),
        ] {
            let check = || {
                let script = then(answered().to_vec(), end.clone());
                let server = Misbehaving::start(script);
                let run = Run::of(&server.chat(), &["--transport", transport, "-n", "6"]);
                let rows = run.rows();
                let mut problems = Vec::new();
                for row in rows.iter().filter(|row| !row.success) {
                    note(&mut problems, false, format!("{}: {}", row.kind, row.error));
                }
                note(
                    &mut problems,
                    rows.len() == 6,
                    format!("{} rows", rows.len()),
                );
                let said = run.ended.stdout.split_whitespace().collect::<Vec<_>>();
                let said = said.join(" ");
                // While it is idle the client may notice the end in time.
                if end.len() == 2 {
                    for part in [
                        "3 requests sent once more on a new one",
                        "the server closes each behind its first answer",
                    ] {
                        note(
                            &mut problems,
                            said.contains(part),
                            format!("not said: {part}"),
                        );
                    }
                }
                problems
            };
            let mut problems = check();
            // A busy machine may notice an end too late for the request to be sent once more.
            for _ in 1..TRIES {
                if !problems.is_empty() {
                    problems = check();
                }
            }
            found.push((format!("{name} over {transport}"), problems));
        }
    }
    none(found);
}

#[test]
fn a_request_that_the_server_took_and_dropped_later_is_a_failure() {
    let answer = streamed(event(delta("one")), 1000);
    let mut found = Vec::new();
    for transport in TRANSPORTS {
        for end in [Step::Close, Step::Reset] {
            let script = vec![
                Step::Request,
                Step::Write(answer.clone()),
                Step::Request,
                Step::Pause(Duration::from_millis(400)),
                end,
            ];
            let server = Misbehaving::start(script);
            let run = Run::of(&server.chat(), &["--transport", transport, "-n", "4"]);
            let rows = run.rows();
            let failed = rows.iter().filter(|row| !row.success).count();
            let mut problems = Vec::new();
            note(
                &mut problems,
                rows.len() == 4,
                format!("{} rows", rows.len()),
            );
            note(&mut problems, failed == 2, format!("{failed} failed"));
            found.push((transport.to_owned(), problems));
        }
    }
    none(found);
}

#[test]
fn a_connection_that_ends_within_an_answer_is_a_failure() {
    let answer = streamed(event(delta("one")), 1000);
    // The whole head, and the beginning of the body.
    let part = answer[..answer.len() - 10].to_vec();
    let script = vec![
        Step::Request,
        Step::Write(answer),
        Step::Request,
        Step::Write(part),
        Step::Close,
    ];
    for transport in TRANSPORTS {
        let server = Misbehaving::start(script.clone());
        let run = Run::of(&server.chat(), &["--transport", transport, "-n", "2"]);
        let kinds: Vec<String> = run.rows().into_iter().map(|row| row.kind).collect();
        assert_eq!(kinds, ["", "truncated"], "{transport}");
    }
}

#[test]
fn a_connection_is_used_no_longer_than_the_server_keeps_it() {
    let answer = |keep: &str| {
        let body = delta("one");
        let lines = [
            "content-type: application/json",
            &format!("content-length: {}", body.len()),
            &format!("keep-alive: {keep}"),
        ];
        format!("{}{body}", head("200 OK", &lines))
    };
    for (keep, arguments, connections) in [
        ("timeout=60, max=2", &[][..], 3),
        ("max=1", &[][..], 6),
        ("timeout=60", &[][..], 1),
        ("timeout=60", &["--no-keep-alive"][..], 6),
        ("timeout=60", &["--headers", "Connection=close"][..], 6),
    ] {
        let script = vec![Step::Request, text(answer(keep)), Step::Again];
        let server = Misbehaving::start(script);
        let flags = ["--no-warm-connections", "-n", "6"];
        let run = Run::of(&server.chat(), &[&flags, arguments].concat());
        assert!(
            run.rows().iter().all(|row| row.success),
            "{}",
            run.ended.stderr
        );
        assert_eq!(server.connections(), connections, "{keep} {arguments:?}");
    }
}

#[test]
fn a_stream_ends_with_done_whatever_becomes_of_its_connection() {
    let mut answer = stream_head().into_bytes();
    answer.extend(chunk(event(delta("one"))));
    answer.extend(chunk(event("[DONE]")));
    for transport in TRANSPORTS {
        for end in [Step::Hang, Step::Close, Step::Reset] {
            let script = vec![Step::Request, Step::Write(answer.clone()), end.clone()];
            let server = Misbehaving::start(script);
            let flags = ["--transport", transport, "-n", "2", "--read-timeout", "5"];
            let run = Run::of(&server.chat(), &flags);
            for row in run.rows() {
                assert!(row.success, "{end:?} over {transport}: {}", row.error);
                assert!(
                    row.latency < 3.0,
                    "{end:?} over {transport}: {}",
                    row.latency
                );
            }
            assert!(
                run.ended.stdout.contains("2 streams said [DONE]"),
                "{end:?}"
            );
        }
    }
}
