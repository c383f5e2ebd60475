//! Answers whose status is no success, with every kind of body.

use super::{Case, case, check};
use crate::misbehaving::{Failing, Step, head, response, text};

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
