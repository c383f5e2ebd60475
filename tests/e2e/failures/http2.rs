//! HTTP/2 and TLS that end in the middle: a stream that is reset, a client that is sent away, a connection
//! that is gone.

use super::one_message;
use crate::helpers::of_run;
use crate::misbehaving::{
    Failing, Run, TRANSPORTS, delta, event, head, none, problems, stream_head, usage,
};
use crate::tls_server::{Identity, TlsServer, configuration};
use bytes::Bytes;
use h2::Reason;
use http::Response;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Where in an answer something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeTheHead,
    InTheBody,
}

/// What a server does there.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Reset(Reason),
    GoAway(Reason),
    Close,
}

/// What was written has to be read before something else happens to the connection.
const A_MOMENT: Duration = Duration::from_millis(100);

/// Answers requests until it comes to the place of its fault.
async fn serve(stream: TlsStream<TcpStream>, place: Place, fault: Fault, seen: Arc<AtomicUsize>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        seen.fetch_add(1, Ordering::SeqCst);
        let mut body = None;
        if place == Place::InTheBody {
            let head = Response::builder()
                .header("content-type", "text/event-stream")
                .body(())
                .expect("a good head");
            let mut stream = respond.send_response(head, false).expect("it can be sent");
            stream
                .send_data(Bytes::from(event(delta("one"))), false)
                .expect("it can be sent");
            body = Some(stream);
            // The connection works only while it is polled. No further request comes before this one is over.
            tokio::time::timeout(A_MOMENT, connection.accept())
                .await
                .ok();
        }
        match fault {
            Fault::Reset(reason) => respond.send_reset(reason),
            Fault::GoAway(reason) => connection.abrupt_shutdown(reason),
            Fault::Close => return,
        }
        drop((request, body));
    }
}

#[test]
fn http_2_that_ends_in_the_middle() {
    let reset = Fault::Reset;
    let mut found = Vec::new();
    for (name, fault, says) in [
        (
            "reset",
            reset(Reason::INTERNAL_ERROR),
            "unexpected internal error",
        ),
        // What a client may send again elsewhere is not sent again: one request is one request.
        ("refused", reset(Reason::REFUSED_STREAM), "refused stream"),
        ("cancelled", reset(Reason::CANCEL), "no longer needed"),
        // It is the end of the connection that ends a request which the server had begun to answer.
        ("sent away", Fault::GoAway(Reason::ENHANCE_YOUR_CALM), ""),
        ("gone", Fault::Close, ""),
    ] {
        for place in [Place::BeforeTheHead, Place::InTheBody] {
            let seen = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&seen);
            let server = TlsServer::start(
                configuration(Identity::self_signed(), &["h2"]),
                move |stream| serve(stream, place, fault, Arc::clone(&counter)),
            );
            let arguments = ["--insecure", "--transport", "reqwest", "-n", "3"];
            let run = Run::of(&server.url(), &arguments);
            let begun = place == Place::InTheBody;
            let expected = Failing {
                kind: "truncated",
                says: vec!["the connection ended before the response did", says],
                status: begun.then_some(200),
                messages: if begun { one_message() } else { Vec::new() },
                at_least: 0.0,
            };
            let mut problems = problems(&run, 3, &expected);
            let seen = seen.load(Ordering::SeqCst);
            if seen != 3 {
                problems.push(format!("{seen} requests were seen"));
            }
            found.push((format!("{name} {place:?}"), problems));
        }
    }
    none(found);
}

/// Takes a connection and tells the client that none of its requests will be seen to.
async fn turn_away(mut stream: TlsStream<TcpStream>, seen: Arc<AtomicUsize>) {
    seen.fetch_add(1, Ordering::SeqCst);
    // Length, type, flags and stream of each frame; that of the second is the last stream seen to, 0, and the
    // reason.
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let go_away = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
    let _ = stream.write_all(&settings).await;
    let _ = stream.flush().await;
    // The request comes with the beginning of the connection, or right after it.
    tokio::time::sleep(A_MOMENT).await;
    let _ = stream.write_all(&go_away).await;
    let _ = stream.flush().await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

#[test]
fn http_2_that_sees_to_no_request() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let config = configuration(Identity::self_signed(), &["h2"]);
    let server = TlsServer::start(config, move |stream| {
        turn_away(stream, Arc::clone(&counter))
    });
    let arguments = ["--insecure", "--transport", "reqwest", "-n", "3"];
    let run = Run::of(&server.url(), &arguments);
    let expected = Failing {
        kind: "truncated",
        says: vec![
            "the connection ended before the response did",
            "detected excessive load",
        ],
        ..Failing::default()
    };
    none(vec![(
        "turned away".to_owned(),
        problems(&run, 3, &expected),
    )]);
    // None is sent again.
    assert_eq!(seen.load(Ordering::SeqCst), 3);
}

/// Reads a request and answers with a head and one event, then is gone without a word of TLS.
async fn break_off(mut stream: TlsStream<TcpStream>) {
    let mut request = vec![0; 64 << 10];
    let _ = stream.read(&mut request).await;
    let _ = stream.write_all(stream_head().as_bytes()).await;
    let one = event(delta("one"));
    let chunk = format!("{:x}\r\n{one}\r\n", one.len());
    let _ = stream.write_all(chunk.as_bytes()).await;
    let _ = stream.flush().await;
    tokio::time::sleep(A_MOMENT).await;
}

/// The same, and what comes next is no TLS.
async fn garble(mut stream: TlsStream<TcpStream>) {
    let mut request = vec![0; 64 << 10];
    let _ = stream.read(&mut request).await;
    let text = head("200 OK", &["content-length: 100"]) + "{\"half\":";
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.flush().await;
    tokio::time::sleep(A_MOMENT).await;
    let (tcp, _) = stream.get_mut();
    let _ = tcp.write_all(&[b'?'; 100]).await;
    tokio::time::sleep(A_MOMENT).await;
}

#[test]
fn tls_that_ends_in_the_middle() {
    let mut found = Vec::new();
    for transport in TRANSPORTS {
        let config = || configuration(Identity::self_signed(), &["http/1.1"]);
        let arguments = ["--insecure", "--transport", transport];
        let server = TlsServer::start(config(), break_off);
        let expected = Failing {
            kind: "truncated",
            says: vec!["the connection ended before the response did"],
            status: Some(200),
            messages: one_message(),
            at_least: 0.0,
        };
        let run = Run::of(&server.url(), &arguments);
        found.push((
            format!("gone over {transport}"),
            problems(&run, 1, &expected),
        ));
        let server = TlsServer::start(config(), garble);
        let expected = Failing {
            kind: "tls",
            says: vec!["the TLS connection broke"],
            status: Some(200),
            messages: vec!["{\"half\":".to_owned()],
            at_least: 0.0,
        };
        let run = Run::of(&server.url(), &arguments);
        found.push((
            format!("garbled over {transport}"),
            problems(&run, 1, &expected),
        ));
    }
    none(found);
}

/// Answers each request after a while, and takes so many at once.
async fn answering(stream: TlsStream<TcpStream>, streams: u32) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(streams);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::task::spawn_local(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            let head = Response::builder()
                .header("content-type", "text/event-stream")
                .body(())
                .expect("a good head");
            let body = event(delta("one")) + &event(usage(1, 1));
            if let Ok(mut stream) = respond.send_response(head, false) {
                let _ = stream.send_data(Bytes::from(body), true);
            }
            drop(request);
        });
    }
}

/// It is not this client that has no processor.
#[test]
fn a_limit_of_streams_is_named_by_the_verdict() {
    let server = TlsServer::start(configuration(Identity::self_signed(), &["h2"]), |stream| {
        answering(stream, 4)
    });
    let arguments = [
        "--insecure",
        "--transport",
        "reqwest",
        "--client-threads",
        "1",
        "--rate",
        "300",
        "-n",
        "150",
    ];
    let run = Run::of(&server.url(), &arguments);
    assert_eq!(
        run.count("Succeed requests"),
        Some(150),
        "{}",
        run.ended.stdout
    );
    let verdict = of_run(&run.bench, "verdict");
    let doubts = verdict["doubts"].as_array().expect("a list");
    let found = doubts.iter().find(|doubt| doubt["reason"] == "few-streams");
    let figure = found.unwrap_or_else(|| panic!("{verdict}"))["figure"].as_str();
    let waited = figure
        .and_then(|figure| figure.split(' ').next()?.parse().ok())
        .unwrap_or_default();
    // All but those that came while the queue was empty.
    assert!((50_u64..150).contains(&waited), "{verdict}");
    assert!(
        doubts.iter().all(|doubt| doubt["reason"] != "dispatch-lag"),
        "{verdict}"
    );
    let totals = of_run(&run.bench, "totals");
    assert_eq!(
        totals["connections"]["requests_that_waited_for_a_stream"],
        waited
    );
}

/// A server with streams enough has nobody wait for one.
#[test]
fn nobody_waits_for_a_stream_where_there_are_enough() {
    let server = TlsServer::start(configuration(Identity::self_signed(), &["h2"]), |stream| {
        answering(stream, 100)
    });
    let arguments = [
        "--insecure",
        "--transport",
        "reqwest",
        "--client-threads",
        "1",
    ];
    let load = ["--rate", "300", "-n", "150"];
    let run = Run::of(&server.url(), &[&arguments[..], &load].concat());
    assert_eq!(
        run.count("Succeed requests"),
        Some(150),
        "{}",
        run.ended.stdout
    );
    let totals = of_run(&run.bench, "totals");
    let waited = &totals["connections"]["requests_that_waited_for_a_stream"];
    assert_eq!(*waited, 0);
}
