//! What the endpoints answer: streams, plain answers, errors, and what they tell of past requests.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

/// The text that the chunks of a stream add up to.
pub(super) fn text(events: &[Value], pointer: &str) -> String {
    let words = events.iter().filter_map(|event| event.pointer(pointer));
    words.filter_map(Value::as_str).collect()
}

#[test]
fn a_chat_stream_looks_like_one_of_vllm() {
    let mock = start(quick());
    let answer = post(&mock, CHAT, &chat());
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .head
            .contains("content-type: text/event-stream; charset=utf-8")
    );
    assert_eq!(answer.data().last(), Some(&"[DONE]"));
    assert_eq!(answer.body.matches("\n\n").count(), 7);
    let events = answer.events();
    assert_eq!(events.len(), 6);
    for event in &events {
        assert_eq!(event["object"], "chat.completion.chunk");
        assert_eq!(event["model"], "m");
        assert_eq!(event["id"], events[0]["id"]);
        assert!(event["created"].as_u64() > Some(1_700_000_000));
        assert_eq!(event.get("usage"), None);
    }
    assert!(
        events[0]["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("chatcmpl-"))
    );
    let second = &events[1]["choices"][0];
    assert_eq!(second["index"], 0);
    assert_eq!(second["finish_reason"], Value::Null);
    assert_eq!(
        second["delta"].as_object().map(|delta| delta.len()),
        Some(1)
    );
    let last = &events[5]["choices"][0];
    assert_eq!(last["delta"], json!({"content": ""}));
    assert_eq!(last["finish_reason"], "stop");
    assert!(!text(&events, "/choices/0/delta/content").is_empty());
}

#[test]
fn usage_comes_as_the_mode_says() {
    let usage = |tokens: u64| json!({"prompt_tokens": 3, "total_tokens": 3 + tokens, "completion_tokens": tokens});
    let asks = |mode, stream_options: Value| {
        let mock = start(MockConfig {
            usage: mode,
            tokens: 2,
            ..quick()
        });
        let mut body = chat();
        body["stream_options"] = stream_options;
        post(&mock, CHAT, &body).events()
    };
    let events = |mode, include: bool| asks(mode, json!({"include_usage": include}));
    let told = |events: &[Value]| {
        let told = events
            .iter()
            .filter_map(|event| event.get("usage").cloned());
        told.collect::<Vec<_>>()
    };
    assert!(told(&events(UsageMode::Off, true)).is_empty());
    assert!(told(&events(UsageMode::Final, false)).is_empty());
    let last = events(UsageMode::Final, true);
    assert_eq!(told(&last), [usage(2)]);
    assert_eq!(last.len(), 4);
    assert_eq!(last[3]["choices"], json!([]));
    let every = [usage(1), usage(2), usage(2)];
    assert_eq!(told(&events(UsageMode::Every, false)), every);
    assert_eq!(told(&events(UsageMode::Every, true)).len(), 4);
    let asked = json!({"include_usage": true, "continuous_usage_stats": true});
    assert_eq!(told(&asks(UsageMode::Final, asked.clone())).len(), 4);
    assert!(told(&asks(UsageMode::Off, asked)).is_empty());
}

#[test]
fn a_plain_chat_answer_is_one_json() {
    let mock = start(quick());
    let mut body = chat();
    body["stream"] = json!(false);
    body["model"] = json!("a \"quoted\" name");
    let answer = post(&mock, CHAT, &body);
    assert!(answer.head.contains("content-type: application/json"));
    let answer = answer.json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "a \"quoted\" name");
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(choice["message"]["role"], "assistant");
    assert_eq!(answer["usage"]["completion_tokens"], 5);
    assert_eq!(answer["usage"]["prompt_tokens"], 3);
    assert_eq!(answer["usage"]["total_tokens"], 8);

    body["stream"] = json!(true);
    assert_eq!(post(&mock, CHAT, &body).events()[0]["model"], body["model"]);
}

#[test]
fn dashscope_streams_where_a_header_asks_for_it() {
    let mock = start(MockConfig {
        tokens: 3,
        ..quick()
    });
    let body = |incremental: bool| {
        json!({"model": "qwen", "input": {"messages": [{"role": "user", "content": "one two"}]},
            "parameters": {"incremental_output": incremental}})
        .to_string()
    };
    let sse = "X-DashScope-SSE: enable\r\n";
    let answer = ask(&mock, "POST", DASHSCOPE, sse, &body(true));
    assert!(
        answer
            .body
            .starts_with("id:1\nevent:result\n:HTTP_STATUS/200\ndata:{\"output\":{\"text\":\"")
    );
    assert!(answer.body.ends_with("}\n\n"));
    let events = answer.events();
    assert_eq!(events.len(), 4);
    let finish = events.iter().map(|event| &event["output"]["finish_reason"]);
    assert!(finish.eq(["null", "null", "null", "stop"].iter()));
    for (event, tokens) in events.iter().zip([1, 2, 3, 3]) {
        assert_eq!(event["usage"]["input_tokens"], 2);
        assert_eq!(event["usage"]["output_tokens"], tokens);
        assert_eq!(event["request_id"], events[0]["request_id"]);
    }
    assert_eq!(events[3]["output"]["text"], "");

    let accept = "Accept: text/event-stream; q=0.9, */*\r\n";
    let whole = ask(&mock, "POST", DASHSCOPE, accept, &body(false)).events();
    let texts: Vec<_> = whole
        .iter()
        .filter_map(|event| event["output"]["text"].as_str())
        .collect();
    assert_eq!(texts.len(), 4);
    assert!(texts.windows(2).all(|pair| pair[1].starts_with(pair[0])));
    assert_eq!(texts[2], texts[3]);
    let truth = get(&mock, "/truth");
    assert_eq!(truth["tokens"], 6);
    assert_eq!(truth["ttft_seconds"]["count"], 2);
}

#[test]
fn dashscope_answers_plainly_in_both_of_its_formats() {
    let mock = start(quick());
    let mut body = json!({"input": {"prompt": "one two"}, "parameters": {"max_tokens": 2}});
    let answer = post(&mock, DASHSCOPE, &body).json();
    assert!(answer["output"]["text"].is_string());
    assert_eq!(answer["output"]["finish_reason"], "length");
    let usage = json!({"input_tokens": 2, "output_tokens": 2, "total_tokens": 4});
    assert_eq!(answer["usage"], usage);
    body["parameters"]["result_format"] = json!("message");
    let answer = post(&mock, DASHSCOPE, &body).json();
    let choice = &answer["output"]["choices"][0];
    assert_eq!(choice["message"]["role"], "assistant");
    let refused = post(&mock, DASHSCOPE, &json!({"input": {"messages": []}}));
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["code"], "InvalidParameter");
}

#[test]
fn what_cannot_be_answered_is_refused_in_the_right_words() {
    let mock = start(quick());
    for (method, path, body, status) in [
        ("POST", "/v1/nothing", "{}", 404),
        ("GET", "/", "", 404),
        ("GET", CHAT, "", 405),
        ("DELETE", CHAT, "", 405),
        ("POST", "/truth", "", 405),
        ("POST", CHAT, "", 400),
        ("POST", CHAT, "{\"messages\": [", 400),
        ("POST", CHAT, "[]", 400),
        ("POST", CHAT, "{}", 400),
        ("POST", CHAT, "{\"messages\": []}", 400),
        ("POST", CHAT, "{\"messages\": null}", 400),
        ("POST", CHAT, "{\"messages\": [true]}", 400),
        ("GET", "/bodies?limit=x", "", 400),
    ] {
        let answer = ask(&mock, method, path, "", body);
        assert_eq!(answer.status, status, "{method} {path} {body}");
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(error["code"], status);
        assert!(error["message"].is_string());
        assert_eq!(answer.head.contains("allow: "), status == 405);
    }
    let truth = get(&mock, "/truth");
    assert_eq!(
        (&truth["requests"], &truth["errors"]),
        (&json!(7), &json!(7))
    );
}

#[test]
fn the_small_endpoints_answer() {
    let mock = start(MockConfig {
        model: "tiny".to_owned(),
        ..quick()
    });
    assert_eq!(get(&mock, "/health"), json!({"status": "ok"}));
    let models = get(&mock, "/v1/models");
    assert_eq!(models["object"], "list");
    assert_eq!(models["data"][0]["id"], "tiny");
    assert_eq!(
        mock.url("/health"),
        format!("http://{}/health", mock.address())
    );
}

#[test]
fn what_was_sent_can_be_looked_up() {
    let mock = start(quick());
    assert_eq!(get(&mock, "/last"), Value::Null);
    ask(&mock, "POST", CHAT, "X-Trace: A\r\n", &chat().to_string());
    post(&mock, "/elsewhere", &json!([1]));
    let last = get(&mock, "/last");
    assert_eq!(
        (&last["method"], &last["path"]),
        (&json!("POST"), &json!("/elsewhere"))
    );
    assert_eq!(last["body"], json!([1]));
    let bodies = get(&mock, "/bodies");
    assert_eq!(bodies["seen"], 2);
    assert_eq!(bodies["bodies"][0]["body"], chat());
    assert_eq!(
        get(&mock, "/bodies?limit=1")["bodies"][0]["path"],
        "/elsewhere"
    );
    let headers = json!([["host", "mock"], ["connection", "close"], ["x-trace", "A"]]);
    ask(&mock, "POST", CHAT, "X-Trace: A\r\n", &chat().to_string());
    let told = get(&mock, "/last")["headers"].clone();
    assert_eq!(
        told.as_array().map(|told| &told[..3]),
        headers.as_array().map(|all| &all[..])
    );
}

#[tokio::test]
async fn http2_is_spoken_where_the_client_begins_with_it() {
    let mock = start(MockConfig {
        ttft: Duration::from_millis(30),
        itl: Duration::from_millis(5),
        ..quick()
    });
    let stream = tokio::net::TcpStream::connect(mock.address())
        .await
        .expect("a connection");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    tokio::spawn(connection);
    for _ in 0..2 {
        let request = http::Request::post(mock.url(CHAT))
            .body(Full::new(Bytes::from(chat().to_string())))
            .expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        assert!(body.ends_with(b"data: [DONE]\n\n"));
    }
    let truth = tokio::task::spawn_blocking(move || get(&mock, "/truth"))
        .await
        .expect("the truth");
    assert_eq!(
        (&truth["completed"], &truth["tokens"]),
        (&json!(2), &json!(10))
    );
    assert_eq!(truth["ttft_seconds"]["count"], 2);
    assert!(time(&truth["ttft_seconds"]["p50"]) >= Duration::from_millis(29));
    assert!(time(&truth["itl_seconds"]["mean"]) > Duration::from_millis(3));
}
