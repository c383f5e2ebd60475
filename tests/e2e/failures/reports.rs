//! Answers that arrive whole and are failures: the server reports an error in them, or no parser can read
//! them.

use super::{case, check, stream_begun, then};
use crate::misbehaving::{Failing, Step, chunk, delta, event, head, response, streamed, text};

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
    let nothing = |status| Failing {
        kind: "no-output",
        says: vec!["the response is empty"],
        status: Some(status),
        messages: Vec::new(),
        at_least: 0.0,
    };
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
            nothing(200),
        ),
        case(
            "no content",
            vec![Step::Request, text(head("204 No Content", &[])), Step::Hang],
            nothing(204),
        ),
        case(
            "only [DONE]",
            whole("200 OK", "text/event-stream", "data: [DONE]\n\n"),
            nothing(200),
        ),
        case(
            "only comments",
            whole("200 OK", "text/event-stream", ": hello\n\n"),
            nothing(200),
        ),
        case(
            "nothing but empty choices",
            whole(
                "200 OK",
                "text/event-stream",
                &format!("{}data: [DONE]\n\n", event(r#"{"choices":[]}"#)),
            ),
            Failing {
                says: vec!["nothing in the response is output of the model"],
                messages: vec![r#"{"choices":[]}"#.to_owned()],
                ..nothing(200)
            },
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
