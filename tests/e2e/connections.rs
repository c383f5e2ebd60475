//! Connections that are kept, that are not, and that are gone when they are needed again.

use crate::helpers::paragraph;
use crate::misbehaving::{
    Misbehaving, Run, Step, TRANSPORTS, delta, event, head, none, note, streamed, text,
};
use std::time::Duration;

/// The events of an answer.
fn messages() -> Vec<String> {
    vec![delta("Hé"), delta("llo")]
}

/// The body of a stream of them.
fn body() -> String {
    let events: String = messages().iter().map(event).collect();
    events + &event("[DONE]")
}

#[test]
fn a_connection_for_every_request() {
    let mut bytes = head(
        "200 OK",
        &["content-type: text/event-stream", "connection: close"],
    )
    .into_bytes();
    bytes.extend(body().bytes());
    for transport in TRANSPORTS {
        let server =
            Misbehaving::start(vec![Step::Request, Step::Write(bytes.clone()), Step::Close]);
        let run = Run::of(&server.chat(), &["--transport", transport, "-n", "5"]);
        let rows = run.rows();
        assert_eq!(rows.len(), 5, "{transport}");
        for row in rows {
            assert!(row.success, "{transport}: {}: {}", row.kind, row.error);
            assert_eq!(row.messages, messages(), "{transport}");
        }
        assert_eq!(server.heads().len(), 5, "{transport}");
        assert_eq!(server.connections(), 5, "{transport}");
    }
}

#[test]
fn one_connection_for_all_requests() {
    for transport in TRANSPORTS {
        let server = Misbehaving::start(vec![
            Step::Request,
            Step::Write(streamed(body(), 40)),
            Step::Again,
        ]);
        let run = Run::of(&server.chat(), &["--transport", transport, "-n", "20"]);
        assert_eq!(run.ended.code, Some(0), "{transport}: {}", run.ended.stderr);
        assert_eq!(run.count("Succeed requests"), Some(20), "{transport}");
        assert_eq!(server.heads().len(), 20, "{transport}");
        assert_eq!(server.connections(), 1, "{transport}");
    }
}

/// A kept connection that the server closed while it was idle costs a new connection, which is told, and no
/// request.
#[test]
fn a_kept_connection_that_died_while_it_was_idle() {
    let mut found = Vec::new();
    for transport in TRANSPORTS {
        // What some servers say before they close a connection that was idle for too long.
        let unasked = head("408 Request Timeout", &["connection: close"]);
        for (name, end) in [
            ("closed", vec![Step::Close]),
            ("reset", vec![Step::Reset]),
            ("closed with a word", vec![text(unasked), Step::Close]),
        ] {
            let pause = Step::Pause(Duration::from_millis(20));
            let mut script = vec![Step::Request, Step::Write(streamed(body(), 40)), pause];
            script.extend(end);
            let server = Misbehaving::start(script);
            let arguments = ["--transport", transport, "-n", "4", "--rate", "3"];
            let run = Run::of(&server.chat(), &arguments);
            let mut problems = Vec::new();
            let mut check = |holds, what| note(&mut problems, holds, what);
            let times = run
                .bench
                .rows("select intended_time from result order by number");
            let times: Vec<f64> = times.iter().filter_map(|row| row[0].as_f64()).collect();
            // The schedule is the same each time, and leaves each connection idle for long enough.
            check(
                times.windows(2).all(|pair| pair[1] - pair[0] > 0.1),
                format!("due at {times:?}"),
            );
            check(
                run.count("Succeed requests") == Some(4),
                run.ended.stdout.clone(),
            );
            check(
                server.connections() == 4 && server.heads().len() == 4,
                format!(
                    "{} connections, {} requests",
                    server.connections(),
                    server.heads().len()
                ),
            );
            let opened = run
                .bench
                .value("select count(*) from result where connect_time > 0");
            check(
                opened == 4,
                format!("{opened} with the time of a connection"),
            );
            let said = paragraph(&run.ended.stdout, "Connections");
            check(
                said.contains("4 of 4 succeeded requests opened one"),
                said.clone(),
            );
            found.push((format!("{name} over {transport}"), problems));
        }
    }
    none(found);
}

/// The client does not wait for it, and a server may say it all the same.
#[test]
fn a_server_that_says_100_continue() {
    for transport in TRANSPORTS {
        let server = Misbehaving::start(vec![
            Step::Request,
            text(head("100 Continue", &[])),
            Step::Pause(Duration::from_millis(50)),
            text(head("103 Early Hints", &["link: </x>; rel=preload"])),
            Step::Write(streamed(body(), 40)),
            Step::Again,
        ]);
        let run = Run::of(&server.chat(), &["--transport", transport, "-n", "3"]);
        assert_eq!(run.ended.code, Some(0), "{transport}: {}", run.ended.stderr);
        for row in run.rows() {
            assert_eq!(row.messages, messages(), "{transport}");
            assert_eq!(row.status, Some(200), "{transport}");
        }
        assert_eq!(server.connections(), 1, "{transport}");
    }
}
