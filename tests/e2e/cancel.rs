//! Requests that the client cancels, and connections that carry a number of requests.

use crate::helpers::{good, mock, of_run, paragraph, quick_mock, typed};
use crate::misbehaving::{TRANSPORTS, delta, event};
use crate::support::{Bench, run};
use crate::tls_server::{Identity, TlsServer, configuration};
use bytes::Bytes;
use serde_json::Value;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[test]
fn a_share_of_the_requests_is_broken_off_and_is_a_class_of_its_own() {
    let mut numbers = Vec::new();
    for transport in TRANSPORTS {
        let bench = Bench::new();
        // An answer takes 1.2 s, of which a broken-off request sees a part.
        let mock = mock(&["--ttft", "50ms", "--itl", "50ms", "--tokens", "24"]);
        let arguments = ["--prompt", "x", "-n", "60", "--parallel", "20"];
        let files = [
            "--json", "run.json", "--csv", "run.csv", "--html", "run.html",
        ];
        let cancel = ["--cancel", "30%:300ms", "--transport", transport];
        let ended = good(&bench, &mock, &[&arguments[..], &files, &cancel].concat());
        let rows = bench.rows(
            "SELECT number, success, completed_time - sent_time FROM result WHERE error_kind = 'disconnected' ORDER BY number",
        );
        let disconnected = rows.len() as u64;
        assert!(
            (6..=30).contains(&disconnected),
            "{transport}: {disconnected}"
        );
        for row in &rows {
            let after = row[2].as_f64().expect("it was sent");
            assert!((0.3..0.8).contains(&after), "{transport}: {after} s");
            assert_eq!(row[1], 0, "{transport}");
        }
        let totals = of_run(&bench, "totals");
        let requests = &totals["requests"];
        assert_eq!(requests["disconnected"], disconnected, "{transport}");
        assert_eq!(requests["failed"], 0, "{transport}");
        assert_eq!(requests["succeeded"], 60 - disconnected, "{transport}");
        assert_eq!(requests["completed"], 60 - disconnected, "{transport}");
        assert_eq!(requests["issued"], 60, "{transport}");
        assert_eq!(totals["figures"]["failed_share"], 0.0, "{transport}");
        let share = totals["figures"]["disconnected_share"]
            .as_f64()
            .expect("a share");
        assert!((share - disconnected as f64 / 60.0).abs() < 1e-9, "{share}");
        let latency = &totals["latency"];
        assert_eq!(latency["samples"], 60 - disconnected, "{transport}");
        assert!(
            latency["min_seconds"].as_f64().expect("a time") > 1.0,
            "{latency}"
        );
        assert_eq!(totals["failures"], serde_json::json!({}), "{transport}");
        let said = paragraph(&ended.stdout, "Disconnected");
        assert!(
            said.contains(&format!("{disconnected} of 60 requests")),
            "{said}"
        );
        // The server sees a client that left, as soon as it did. It tells of those since it was asked last, and a request may
        // be over a moment before it is counted.
        let (began, mut aborted) = (Instant::now(), 0);
        while aborted < disconnected && began.elapsed() < Duration::from_secs(20) {
            aborted += mock.truth()["aborted"].as_u64().expect("a count");
            std::thread::sleep(Duration::from_millis(20));
        }
        aborted += mock.truth()["aborted"].as_u64().expect("a count");
        assert_eq!(aborted, disconnected, "{transport}");
        numbers.push(
            rows.iter()
                .map(|row| row[0].clone())
                .collect::<Vec<Value>>(),
        );
        let read = |name: &str| std::fs::read_to_string(bench.path(name)).expect("it was written");
        assert!(read("run.csv").contains(",disconnected,"));
        assert!(read("run.html").contains("cancelled by the client"));
        let again = typed(&bench, &["compare", "run.db", "run.db"]);
        assert!(
            again.stdout.contains("Disconnected by the client"),
            "{}",
            again.stdout
        );
    }
    assert_eq!(numbers[0], numbers[1], "the seed and the number say which");
}

#[test]
fn the_server_sees_clients_that_left() {
    for transport in TRANSPORTS {
        let (bench, mock) = (Bench::new(), mock(&["--ttft", "10s"]));
        let url = mock.chat();
        let ended = run(bench
            .perf(&["--url", &url, "--prompt", "x", "-n", "8", "--parallel", "8"])
            .args([
                "--cancel",
                "99%:uniform:100ms..200ms",
                "--transport",
                transport,
            ])
            .args(["--total-timeout", "1s"]));
        let disconnected = of_run(&bench, "totals")["requests"]["disconnected"].clone();
        assert!(
            disconnected.as_u64() >= Some(5),
            "{transport}: {}",
            ended.stdout
        );
        // The others fail by the total time-out, and leave as well.
        let truth = mock.truth();
        assert_eq!(truth["requests"], 8, "{transport}: {truth}");
        assert_eq!(truth["aborted"], 8, "{transport}: {truth}");
    }
}

#[test]
fn a_turn_that_is_broken_off_ends_its_session() {
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "300ms"]));
    let sessions = [
        "--prompt",
        "why?",
        "--turns",
        "4",
        "--sessions",
        "10",
        "--parallel",
        "10",
    ];
    let ended = good(
        &bench,
        &mock,
        &[&sessions[..], &["--cancel", "30%:50ms"]].concat(),
    );
    let totals = of_run(&bench, "totals");
    let (sessions, requests) = (&totals["sessions"], &totals["requests"]);
    assert!(sessions["disconnected"].as_u64() > Some(0), "{sessions}");
    assert_eq!(sessions["disconnected"], requests["disconnected"]);
    assert_eq!(sessions["ended_by_failure"], 0);
    let said = paragraph(&ended.stdout, "Sessions");
    assert!(said.contains("that the client cancelled"), "{said}");
}

#[test]
fn a_share_that_is_none_is_refused() {
    let (bench, mock) = (Bench::new(), quick_mock());
    for (text, said) in [
        ("10%", "no time"),
        ("100%:1s", "below 100%"),
        ("5%:0", "1ms"),
    ] {
        let url = mock.chat();
        let arguments = ["--url", &url, "--prompt", "x", "--cancel", text];
        let ended = run(&mut bench.perf(&arguments));
        assert_eq!(ended.code, Some(2), "{text}");
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

#[test]
fn a_connection_carries_so_many_requests() {
    for transport in TRANSPORTS {
        for (limit, connections) in [("1", 12), ("3", 4), ("5", 3)] {
            let (bench, mock) = (Bench::new(), quick_mock());
            let arguments = ["--prompt", "x", "-n", "12", "--no-warm-connections"];
            let limited = ["--requests-per-connection", limit, "--transport", transport];
            good(&bench, &mock, &[&arguments[..], &limited].concat());
            let totals = of_run(&bench, "totals");
            let what = format!("{transport}, {limit}");
            assert_eq!(totals["connections"]["opened"], connections, "{what}");
            assert_eq!(totals["connections"]["requests_sent_again"], 0, "{what}");
            assert_eq!(totals["requests"]["own_connection"], connections, "{what}");
            let opened = bench.value("SELECT count(connect_time) FROM result");
            assert_eq!(opened, connections, "{what}");
        }
        let (bench, mock) = (Bench::new(), quick_mock());
        let many = ["--prompt", "x", "-n", "64", "--parallel", "8"];
        let limited = ["--requests-per-connection", "4", "--transport", transport];
        let ended = good(&bench, &mock, &[&many[..], &limited].concat());
        let opened = of_run(&bench, "totals")["connections"]["opened"].as_u64();
        assert!(
            (Some(16)..=Some(24)).contains(&opened),
            "{transport}: {opened:?}"
        );
        let said = paragraph(&ended.stdout, "Connections");
        assert!(said.contains("connections opened"), "{said}");
    }
}

/// What a server of HTTP/2 saw.
#[derive(Debug, Default)]
struct Seen {
    connections: u32,
    requests: u32,
    /// Streams that the client reset, by the reason.
    resets: Vec<h2::Reason>,
}

/// A server of HTTP/2 that answers with one event, and then, if `hangs`, goes on for ever.
fn server(hangs: bool) -> (TlsServer, Arc<Mutex<Seen>>) {
    let seen = Arc::<Mutex<Seen>>::default();
    let noted = Arc::clone(&seen);
    let config = configuration(Identity::self_signed(), &["h2"]);
    let server = TlsServer::start(config, move |stream| {
        let seen = Arc::clone(&noted);
        async move {
            seen.lock().unwrap().connections += 1;
            let Ok(mut connection) = h2::server::handshake(stream).await else {
                return;
            };
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                seen.lock().unwrap().requests += 1;
                let seen = Arc::clone(&seen);
                tokio::task::spawn_local(async move {
                    let response = http::Response::builder()
                        .header("content-type", "text/event-stream")
                        .body(())
                        .unwrap();
                    let Ok(mut body) = respond.send_response(response, false) else {
                        return;
                    };
                    let text = event(delta("x"));
                    body.send_data(Bytes::from(text), false).ok();
                    if hangs {
                        if let Ok(reason) = poll_fn(|context| body.poll_reset(context)).await {
                            seen.lock().unwrap().resets.push(reason);
                        }
                    } else {
                        body.send_data(Bytes::from(event("[DONE]")), true).ok();
                    }
                });
            }
        }
    });
    (server, seen)
}

#[test]
fn a_stream_of_http_2_is_reset() {
    let (server, seen) = server(true);
    let bench = Bench::new();
    run(bench
        .perf(&["--url", &server.url(), "--prompt", "x", "--insecure"])
        .args(["-n", "6", "--parallel", "1", "--transport", "reqwest"])
        .args(["--cancel", "99%:100ms", "--total-timeout", "2s"]));
    let disconnected = of_run(&bench, "totals")["requests"]["disconnected"].as_u64();
    assert!(disconnected >= Some(4), "{disconnected:?}");
    let seen = seen.lock().unwrap();
    assert_eq!((seen.requests, seen.connections), (6, 1), "{seen:?}");
    // That of the last one may still be on its way.
    assert!(seen.resets.len() >= 5, "{seen:?}");
    assert!(
        seen.resets
            .iter()
            .all(|reason| *reason == h2::Reason::CANCEL),
        "{seen:?}"
    );
}

#[test]
fn a_connection_of_http_2_carries_so_many_requests() {
    let (server, seen) = server(false);
    let bench = Bench::new();
    let ended = run(bench
        .perf(&["--url", &server.url(), "--prompt", "x", "--insecure"])
        .args(["-n", "13", "--parallel", "1", "--transport", "reqwest"])
        .args(["--requests-per-connection", "4"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let seen = seen.lock().unwrap();
    // The first one went before it was known that the server speaks HTTP/2.
    assert_eq!((seen.requests, seen.connections), (13, 4), "{seen:?}");
    assert_eq!(of_run(&bench, "totals")["connections"]["opened"], 4);
}
