//! What the endpoints answer: streams, plain answers, errors, and what they tell of past requests.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

/// The text that the chunks of a stream add up to.
fn text(events: &[Value], pointer: &str) -> String {
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
fn a_request_can_want_fewer_tokens_but_not_more() {
    let mock = start(quick());
    for (limit, field, tokens, finish) in [
        (2, "max_tokens", 2, "length"),
        (3, "max_completion_tokens", 3, "length"),
        (5, "max_tokens", 5, "stop"),
        (50, "max_tokens", 5, "stop"),
        (0, "max_tokens", 0, "length"),
    ] {
        let mut body = chat();
        body[field] = json!(limit);
        let events = post(&mock, CHAT, &body).events();
        assert_eq!(events.len(), tokens + 1);
        assert_eq!(events[tokens]["choices"][0]["finish_reason"], finish);
        assert_eq!(get(&mock, "/truth")["tokens"], tokens);
    }
}

#[test]
fn usage_comes_as_the_mode_says() {
    let usage = |tokens: u64| json!({"prompt_tokens": 3, "total_tokens": 3 + tokens, "completion_tokens": tokens});
    let events = |mode, include: bool| {
        let mock = start(MockConfig {
            usage: mode,
            tokens: 2,
            ..quick()
        });
        let mut body = chat();
        body["stream_options"] = json!({"include_usage": include});
        post(&mock, CHAT, &body).events()
    };
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
fn completions_have_their_own_shape() {
    let mock = start(MockConfig {
        role_chunk: true,
        ..quick()
    });
    let path = "/v1/completions";
    let plain = post(&mock, path, &json!({"prompt": "one two"})).json();
    assert_eq!(plain["object"], "text_completion");
    assert!(plain["choices"][0]["text"].is_string());
    assert_eq!(plain["usage"]["prompt_tokens"], 2);
    let stream = post(&mock, path, &json!({"prompt": ["a", "b"], "stream": true}));
    assert_eq!(stream.data().last(), Some(&"[DONE]"));
    let events = stream.events();
    // Both prompts are answered.
    assert_eq!(events.len(), 12);
    let indices: Vec<_> = events
        .iter()
        .map(|event| &event["choices"][0]["index"])
        .collect();
    assert_eq!(indices[..4], [0, 1, 0, 1]);
    assert_eq!(events[11]["choices"][0]["finish_reason"], "stop");
    assert!(!text(&events, "/choices/0/text").is_empty());
    assert_eq!(get(&mock, "/truth")["tokens"], 15);
    let refused = post(&mock, path, &json!({"messages": [{"content": "hi"}]}));
    assert_eq!(refused.status, 400);
}

#[test]
fn completions_read_token_numbers_and_repeat_the_prompt() {
    let mock = start(MockConfig {
        tokens: 2,
        ..quick()
    });
    let path = "/v1/completions";
    let body = json!({"prompt": [7, 8, 9], "echo": true});
    let plain = post(&mock, path, &body).json();
    assert_eq!(plain["usage"]["prompt_tokens"], 3);
    let answer = plain["choices"][0]["text"].as_str().unwrap_or_default();
    assert!(answer.starts_with("7 8 9"), "{answer}");
    let body = json!({"prompt": ["say \"a\"\n", "b"], "echo": true, "stream": true, "n": 2,
        "stream_options": {"include_usage": true}});
    let events = post(&mock, path, &body).events();
    let first = |choice: usize| events[choice]["choices"][0]["text"].as_str();
    assert!(first(1).is_some_and(|text| text.starts_with("say \"a\"\n")));
    assert!(first(2).is_some_and(|text| text.starts_with('b')));
    // Two prompts, two answers to each, of two tokens.
    let usage = json!({"prompt_tokens": 5, "total_tokens": 13, "completion_tokens": 8});
    assert_eq!(events.last().map(|event| &event["usage"]), Some(&usage));
    let refused = post(&mock, path, &json!({"prompt": "a", "n": 2_000}));
    assert_eq!(refused.status, 400);
}

#[test]
fn an_answer_is_as_long_as_the_request_says() {
    let mock = start(quick());
    for (parameters, tokens, finish) in [
        (json!({"max_tokens": 9, "ignore_eos": true}), 9, "length"),
        (json!({"max_tokens": 3, "ignore_eos": true}), 3, "length"),
        (json!({"ignore_eos": true}), 5, "stop"),
        (json!({"min_tokens": 8}), 8, "stop"),
        (json!({"min_tokens": 8, "max_tokens": 8}), 8, "stop"),
        (json!({"min_tokens": 2, "max_tokens": 4}), 4, "length"),
    ] {
        let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
        for (name, value) in parameters.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let answer = post(&mock, CHAT, &body).json();
        assert_eq!(answer["usage"]["completion_tokens"], tokens, "{parameters}");
        assert_eq!(
            answer["choices"][0]["finish_reason"], finish,
            "{parameters}"
        );
    }
    for (parameters, part) in [
        (json!({"min_tokens": 3, "max_tokens": 2}), "at least 3"),
        (
            json!({"max_tokens": 2_000_000, "ignore_eos": true}),
            "at most 1000000",
        ),
    ] {
        let mut body = parameters;
        body["messages"] = json!("hi");
        let answer = post(&mock, CHAT, &body);
        assert_eq!(answer.status, 400);
        let message = answer.json()["error"]["message"].to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn some_answers_end_early_where_that_is_asked_for() {
    let lengths = |early_stop| -> Vec<u64> {
        let mock = start(MockConfig {
            tokens: 20,
            early_stop,
            ..quick()
        });
        let body = json!({"messages": "hi"});
        let answers = (0..30).map(|_| post(&mock, CHAT, &body).json());
        answers
            .filter(|answer| answer["choices"][0]["finish_reason"] == "stop")
            .filter_map(|answer| answer["usage"]["completion_tokens"].as_u64())
            .collect()
    };
    assert_eq!(lengths(0.0), [20; 30]);
    let some = lengths(0.5);
    assert!(some.contains(&20));
    let early = some
        .iter()
        .filter(|tokens| (1..20).contains(*tokens))
        .count();
    assert!((5..=25).contains(&early), "{some:?}");
    assert_eq!(some.len(), 30);
}

#[test]
fn reasoning_comes_first_and_is_counted() {
    let mock = start(MockConfig {
        reasoning_tokens: 3,
        itl: Duration::from_millis(20),
        ..quick()
    });
    let mut body = chat();
    body["stream_options"] = json!({"include_usage": true});
    let events = post(&mock, CHAT, &body).events();
    assert_eq!(
        crate::tokens::count(&text(&events[..3], "/choices/0/delta/reasoning_content")),
        3
    );
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(text(&events[..3], "/choices/0/delta/content").is_empty());
    assert!(!text(&events[3..], "/choices/0/delta/content").starts_with(' '));
    let usage = &events.last().expect("an event")["usage"];
    assert_eq!(usage["completion_tokens"], 8);
    assert_eq!(
        usage["completion_tokens_details"],
        json!({"reasoning_tokens": 3})
    );
    let truth = get(&mock, "/truth");
    let after = time(&truth["first_answer_seconds"]["p50"]) - time(&truth["ttft_seconds"]["p50"]);
    assert!(after > Duration::from_millis(40), "{after:?}");

    body["stream"] = json!(false);
    let answer = post(&mock, CHAT, &body).json();
    let message = &answer["choices"][0]["message"];
    assert!(message["reasoning_content"].is_string());
    assert_eq!(
        answer["usage"]["completion_tokens_details"]["reasoning_tokens"],
        3
    );
    // A limit counts both.
    body["max_tokens"] = json!(2);
    let answer = post(&mock, CHAT, &body).json();
    assert_eq!(answer["choices"][0]["message"]["content"], "");
    assert_eq!(
        answer["usage"]["completion_tokens_details"]["reasoning_tokens"],
        2
    );
}

#[test]
fn a_tool_is_called_where_it_has_to_be() {
    let mock = start(quick());
    let mut body = chat();
    body["tools"] =
        json!([{"type": "function", "function": {"name": "look_up", "parameters": {}}}]);
    let answered = post(&mock, CHAT, &body).events();
    assert!(!text(&answered, "/choices/0/delta/content").is_empty());
    for choice in [
        json!("required"),
        json!({"type": "function", "function": {"name": "look_up"}}),
    ] {
        body["tool_choice"] = choice;
        let events = post(&mock, CHAT, &body).events();
        let call = &events[0]["choices"][0]["delta"]["tool_calls"][0];
        assert_eq!(call["function"]["name"], "look_up");
        let pointer = "/choices/0/delta/tool_calls/0/function/arguments";
        let arguments: Value = serde_json::from_str(&text(&events, pointer)).expect("JSON");
        assert!(arguments["text"].is_string());
        assert_eq!(events[5]["choices"][0]["finish_reason"], "tool_calls");
        let mut plain = body.clone();
        plain["stream"] = json!(false);
        let answer = post(&mock, CHAT, &plain).json();
        let call = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
        assert_eq!(call["name"], "look_up");
        assert!(
            call["arguments"]
                .as_str()
                .is_some_and(|text| text.starts_with('{'))
        );
    }
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
