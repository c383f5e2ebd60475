//! Good answers in unusual forms: every one has to come out as the same row as the usual form does.

use crate::misbehaving::{
    LAST_CHUNK, Misbehaving, Run, Step, TRANSPORTS, chunk, delta, event, head, none, note,
    response, stream_head, streamed, text, usage,
};
use serde_json::json;

/// One form of an answer, and what the row is to hold.
struct Form {
    name: String,
    script: Vec<Step>,
    messages: Vec<String>,
    outputs: usize,
    tokens: Option<(u64, u64)>,
}

/// The events of the usual answer: a role, two with output, token counts.
fn usual() -> Vec<String> {
    vec![
        json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
            .to_string(),
        delta("Hé"),
        delta("llo"),
        usage(7, 2),
    ]
}

/// The usual answer as the body of a stream.
fn usual_body() -> String {
    let events: String = usual().iter().map(event).collect();
    events + &event("[DONE]")
}

/// The usual answer as this script serves it.
fn form(name: impl Into<String>, script: Vec<Step>) -> Form {
    Form {
        name: name.into(),
        script,
        messages: usual(),
        outputs: 2,
        tokens: Some((7, 2)),
    }
}

/// A request, then these bytes; the connection stays open.
fn answer(bytes: impl Into<Vec<u8>>) -> Vec<Step> {
    vec![Step::Request, Step::Write(bytes.into()), Step::Hang]
}

/// The usual answer with a body like this one, in HTTP chunks of a usual size.
fn body(name: impl Into<String>, body: impl AsRef<[u8]>) -> Form {
    form(name, answer(streamed(body, 100)))
}

/// Another answer: these events, of which so many have output.
fn events(name: &str, messages: &[String], outputs: usize, tokens: Option<(u64, u64)>) -> Form {
    let stream: String = messages.iter().map(event).collect();
    Form {
        name: name.to_owned(),
        script: answer(streamed(stream + &event("[DONE]"), 100)),
        messages: messages.to_vec(),
        outputs,
        tokens,
    }
}

/// Another answer: this one message, which has output.
fn one(
    name: &str,
    script: Vec<Step>,
    message: impl Into<String>,
    tokens: Option<(u64, u64)>,
) -> Form {
    Form {
        name: name.to_owned(),
        script,
        messages: vec![message.into()],
        outputs: 1,
        tokens,
    }
}

/// Runs each form over each transport.
fn check(forms: Vec<Form>) {
    let mut found = Vec::new();
    for form in forms {
        for transport in TRANSPORTS {
            let server = Misbehaving::start(form.script.clone());
            let run = Run::of(&server.chat(), &["--transport", transport]);
            found.push((
                format!("{} over {transport}", form.name),
                problems(&run, &form),
            ));
        }
    }
    none(found);
}

/// What is wrong with a run of one request that was to succeed.
fn problems(run: &Run, form: &Form) -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |holds, what| note(&mut problems, holds, what);
    check(
        run.ended.code == Some(0),
        format!("code {:?}: {}", run.ended.code, run.ended.stderr),
    );
    for (label, figure) in [("Succeed requests", 1), ("Failed requests", 0)] {
        let said = run.count(label);
        check(said == Some(figure), format!("{label}: {said:?}"));
    }
    let rows = run.rows();
    check(rows.len() == 1, format!("{} rows", rows.len()));
    for row in &rows {
        check(
            row.success && row.kind.is_empty(),
            format!("{}: {}", row.kind, row.error),
        );
        check(
            row.messages == form.messages,
            format!("messages {:?}", row.messages),
        );
        check(
            row.chunk_times.len() == form.messages.len(),
            format!("{} chunk times", row.chunk_times.len()),
        );
        check(
            row.output_times.len() == form.outputs,
            format!("{} outputs", row.output_times.len()),
        );
        let tokens = row.prompt_tokens.zip(row.completion_tokens);
        check(tokens == form.tokens, format!("tokens {tokens:?}"));
    }
    problems
}

#[test]
fn events_framed_in_other_ways() {
    let usual_body = usual_body();
    let pretty: Vec<String> = usual()
        .iter()
        .map(|data| {
            let value: serde_json::Value = serde_json::from_str(data).expect("it is JSON");
            serde_json::to_string_pretty(&value).expect("it is JSON again")
        })
        .collect();
    let lines: String = pretty
        .iter()
        .map(|data| event(data.replace('\n', "\ndata: ")))
        .collect();
    let without_done = usual_body.replace("data: [DONE]\n\n", "");
    let keep_alive = usual_body.replace("data: {", ": still here\n\n:\n\ndata: {");
    check(vec![
        body("usual", &usual_body),
        body("CRLF", usual_body.replace('\n', "\r\n")),
        body("CR", usual_body.replace('\n', "\r")),
        body("mixed line ends", usual_body.replace("\n\n", "\r\n\r")),
        body("a byte-order mark", format!("\u{feff}{usual_body}")),
        body("no space", usual_body.replace("data: ", "data:")),
        body("comments", keep_alive),
        body(
            "other fields",
            usual_body.replace("data: {", "id: 1\nretry: 10\nevent: message\nx\ndata: {"),
        ),
        Form {
            messages: pretty,
            ..body("several data lines", lines + &event("[DONE]"))
        },
        body("no [DONE]", &without_done),
        body("no blank line at the end", without_done.trim_end()),
        body("more after [DONE]", format!("{usual_body}: bye\n\n\n\n")),
        body("a blank line first", format!("\n\n{usual_body}")),
    ]);
}

#[test]
fn bodies_carried_in_other_ways() {
    let usual_body = usual_body();
    let bytewise = streamed(&usual_body, 1);
    let typed = |content_type: &str| answer(response("200 OK", content_type, &usual_body));
    let lines_then = |status_line: &str, lines: &str, end: Step| {
        vec![
            Step::Request,
            text(format!("{status_line}\r\n{lines}\r\n")),
            text(&usual_body),
            end,
        ]
    };
    let mut extended = stream_head().into_bytes();
    for piece in usual_body.as_bytes().chunks(30) {
        extended.extend(format!("{:X};name=value;x=\"y\"\r\n", piece.len()).bytes());
        extended.extend(piece);
        extended.extend(b"\r\n");
    }
    extended.extend(b"0;last\r\nx-took: 1\r\nx-more: 2\r\n\r\n");
    let mut interim = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
    interim.extend(streamed(&usual_body, 50));
    check(vec![
        form("labelled as JSON", typed("application/json")),
        form("labelled as text", typed("text/plain; charset=utf-8")),
        form(
            "labelled in capitals",
            typed("Text/Event-Stream; charset=UTF-8"),
        ),
        form(
            "not labelled",
            lines_then(
                "HTTP/1.1 200 OK",
                &format!("content-length: {}\r\n", usual_body.len()),
                Step::Hang,
            ),
        ),
        form("of known length", typed("text/event-stream")),
        form("HTTP chunks of one byte", answer(bytewise.clone())),
        form(
            "packets of one byte",
            vec![Step::Request, Step::WriteInPieces(bytewise, 1), Step::Hang],
        ),
        form(
            "packets of three bytes",
            vec![
                Step::Request,
                Step::WriteInPieces(streamed(&usual_body, 7), 3),
                Step::Hang,
            ],
        ),
        form("chunk extensions and trailers", answer(extended)),
        form("an interim answer", answer(interim)),
        form(
            "HTTP/1.0 until the end of the connection",
            lines_then(
                "HTTP/1.0 200 OK",
                "content-type: text/event-stream\r\n",
                Step::Close,
            ),
        ),
        form(
            "HTTP/1.1 until the end of the connection",
            lines_then(
                "HTTP/1.1 200 OK",
                "content-type: text/event-stream\r\n",
                Step::Close,
            ),
        ),
        form(
            "another success",
            answer(response("201 Created", "text/event-stream", &usual_body)),
        ),
    ]);
}

#[test]
fn events_with_unusual_content() {
    let choices = |delta: serde_json::Value| json!({"choices": [{"delta": delta}]}).to_string();
    let long = delta(&"ö".repeat(32 << 10));
    let with_usage = |content: &str, completion: u64| {
        json!({
            "choices": [{"delta": {"content": content}}],
            "usage": {"prompt_tokens": 7, "completion_tokens": completion},
        })
        .to_string()
    };
    let with_error = |error: serde_json::Value| {
        json!({"choices": [{"delta": {"content": "x"}}], "error": error}).to_string()
    };
    let call = |arguments: &str| {
        choices(json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}))
    };
    let plain = json!({
        "choices": [{"message": {"role": "assistant", "content": "Hello"}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2},
    })
    .to_string();
    check(vec![
        one(
            "an event of 64 KB",
            answer(streamed(event(&long), 5000)),
            long.clone(),
            None,
        ),
        one(
            "an event of 64 KB in one chunk",
            answer(streamed(event(&long), 1 << 20)),
            long.clone(),
            None,
        ),
        events(
            "token counts in every chunk",
            &[with_usage("a", 1), with_usage("b", 2), with_usage("c", 3)],
            3,
            Some((7, 3)),
        ),
        events(
            "a delta of null",
            &[choices(json!(null)), delta("x"), usage(7, 1)],
            1,
            Some((7, 1)),
        ),
        events(
            "no choices in between",
            &[
                json!({"choices": []}).to_string(),
                delta("x"),
                json!({"choices": null}).to_string(),
                json!({"id": "x"}).to_string(),
                usage(7, 1),
            ],
            1,
            Some((7, 1)),
        ),
        events(
            "reasoning",
            &[
                choices(json!({"reasoning_content": "hm", "content": null})),
                choices(json!({"reasoning": "hm"})),
                delta("x"),
            ],
            3,
            None,
        ),
        events(
            "tool calls",
            &[call(""), call("{\"a\""), call(": 1}"), usage(7, 5)],
            2,
            Some((7, 5)),
        ),
        events(
            "errors that are none",
            &[
                with_error(json!(null)),
                with_error(json!("")),
                with_error(json!({})),
            ],
            3,
            None,
        ),
        events("an empty event", &[String::new(), delta("x")], 1, None),
        one(
            "a plain body",
            answer(response("200 OK", "application/json", &plain)),
            plain.clone(),
            Some((7, 2)),
        ),
        one(
            "a plain body in HTTP chunks",
            answer(
                [
                    head("200 OK", &["transfer-encoding: chunked"]).into_bytes(),
                    chunk(&plain[..20]),
                    chunk(&plain[20..]),
                    LAST_CHUNK.into(),
                ]
                .concat(),
            ),
            plain.clone(),
            Some((7, 2)),
        ),
        one(
            "a plain body labelled as events",
            answer(response("200 OK", "text/event-stream", &plain)),
            plain.clone(),
            Some((7, 2)),
        ),
    ]);
}

#[test]
fn bytes_that_are_no_character() {
    let broken = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\xff\xc3b\"}}]}\n\n";
    let replaced = "{\"choices\":[{\"delta\":{\"content\":\"a\u{fffd}\u{fffd}b\"}}]}";
    check(vec![one(
        "invalid UTF-8",
        answer(streamed(broken, 100)),
        replaced,
        None,
    )]);
}

/// The end of a body in chunks is a chunk of its own. What comes after the last event is waited for, and is
/// part of the latency, but of no event.
#[test]
fn a_body_that_ends_later_than_its_last_event() {
    let pause = 0.4;
    for transport in TRANSPORTS {
        let server = Misbehaving::start(vec![
            Step::Request,
            text(stream_head()),
            Step::Write(chunk(event(delta("x")))),
            Step::Pause(std::time::Duration::from_secs_f64(pause)),
            text(LAST_CHUNK),
            Step::Close,
        ]);
        let run = Run::of(&server.chat(), &["--transport", transport]);
        assert_eq!(run.ended.code, Some(0), "{transport}: {}", run.ended.stderr);
        let rows = run
            .bench
            .rows("select latency, first_chunk_latency from result");
        let seconds = |column: usize| rows[0][column].as_f64().expect("a time");
        assert!(seconds(0) >= pause, "{transport}: latency {}", seconds(0));
        assert!(
            seconds(1) < pause / 2.0,
            "{transport}: first event after {}",
            seconds(1)
        );
    }
}
