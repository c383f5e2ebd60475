//! Answers that fall silent, end early, or are not HTTP.

use super::{Case, case, check, message_and, one_message, stream_begun, then};
use crate::misbehaving::{Failing, Step, chunk, delta, event, head, stream_head, text};
use std::time::Duration;

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
    cases.push(Case {
        name: "a head that is not over in time",
        script: vec![
            Step::Request,
            text("HTTP/1.1 200 OK\r\nx: "),
            Step::Dribble(b"x".to_vec(), apart),
        ],
        arguments: read,
        expected: silent(None, vec![]),
    });
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
            protocol(None, vec![rules, "invalid HTTP version"], vec![]),
        ),
        case(
            "binary",
            garbage(b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n"),
            protocol(None, vec![rules, "invalid HTTP version"], vec![]),
        ),
        case(
            "a status that is no number",
            garbage(b"HTTP/1.1 OK\r\n\r\n"),
            protocol(None, vec![rules, "status"], vec![]),
        ),
        case(
            "two lengths",
            garbage(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
            protocol(None, vec![rules, "content-length"], vec![]),
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

/// What was written has to be read before a reset, which throws away what was not.
fn a_moment() -> Step {
    Step::Pause(Duration::from_millis(100))
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
            a_moment(),
            end,
        ]
    };
    let half = || vec!["{\"half\":".to_owned()];
    let paused = || then(stream_begun(), [a_moment()]);
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
            "reset in the head",
            vec![
                Step::Request,
                text("HTTP/1.1 200 OK\r\ncont"),
                a_moment(),
                Step::Reset,
            ],
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
            "in a chunk",
            then(stream_begun(), [text("100\r\ndata: {\"ch"), Step::Close]),
            truncated(Some(200), message_and("data: {\"ch")),
        ),
        case(
            "reset in a chunk",
            then(
                stream_begun(),
                [text("100\r\ndata: {\"ch"), a_moment(), Step::Reset],
            ),
            truncated(Some(200), message_and("data: {\"ch")),
        ),
        case(
            "reset between two chunks of an event",
            then(
                stream_begun(),
                [Step::Write(chunk("data: {\"ch")), a_moment(), Step::Reset],
            ),
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
