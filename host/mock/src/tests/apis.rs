//! Each API besides chat: how it streams, answers plainly, counts, reasons, cuts and refuses.

use super::*;

const EVENTS: &str = "content-type: text/event-stream";

pub(super) fn server() -> RunningMock {
    start(MockConfig {
        tokens: 4,
        ..quick()
    })
}

fn thinking() -> RunningMock {
    start(MockConfig {
        tokens: 4,
        reasoning_tokens: 2,
        ..quick()
    })
}

/// The text that these values add up to.
pub(super) fn joined<'a>(values: impl IntoIterator<Item = Option<&'a Value>>) -> String {
    let texts = values.into_iter().flatten().filter_map(Value::as_str);
    texts.collect()
}

/// The names of a stream's events, those that follow each other once.
fn names(answer: &Answer) -> Vec<&str> {
    let lines = answer.body.lines();
    let mut names: Vec<_> = lines
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    names.dedup();
    names
}

/// A text of so many words.
pub(super) fn words(count: usize) -> String {
    vec!["word"; count].join(" ")
}

#[test]
fn responses_stream_their_events() {
    let mock = server();
    let body = json!({"model": "m", "stream": true, "instructions": "be brief",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "one two"}]}]});
    let answer = post(&mock, "/v1/responses", &body);
    assert!(answer.head.contains(EVENTS));
    assert_eq!(
        names(&answer),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let events = answer.events();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let deltas = events
        .iter()
        .filter(|event| event["type"] == "response.output_text.delta");
    let text = joined(deltas.map(|event| event.get("delta")));
    let response = &events.last().expect("an end")["response"];
    assert_eq!(response["output"][0]["content"][0]["text"], text);
    assert_eq!(response["status"], "completed");
    assert_eq!(response["usage"]["input_tokens"], 4);
    assert_eq!(response["usage"]["output_tokens"], 4);
    assert_eq!(response["usage"]["total_tokens"], 8);

    let plain = json!({"input": "one two", "max_output_tokens": 3});
    let response = post(&mock, "/v1/responses", &plain).json();
    assert_eq!(response["object"], "response");
    assert_eq!(response["status"], "incomplete");
    let details = json!({"reason": "max_output_tokens"});
    assert_eq!(response["incomplete_details"], details);
    assert_eq!(response["usage"]["input_tokens"], 2);
    let refused = post(&mock, "/v1/responses", &json!({"input": []}));
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"]["type"], "invalid_request_error");
}

#[test]
fn responses_reason_in_an_item_of_its_own() {
    let mock = thinking();
    let body = json!({"stream": true, "input": "hi"});
    let answer = post(&mock, "/v1/responses", &body);
    let events = answer.events();
    let of = |kind: &str| -> Vec<&Value> {
        let events = events.iter();
        events.filter(|event| event["type"] == kind).collect()
    };
    assert_eq!(of("response.reasoning_text.delta").len(), 2);
    assert_eq!(of("response.output_text.delta")[0]["output_index"], 1);
    let response = &of("response.completed")[0]["response"];
    assert_eq!(response["output"][0]["type"], "reasoning");
    let details = &response["usage"]["output_tokens_details"];
    assert_eq!(details["reasoning_tokens"], 2);
    let cut = json!({"stream": true, "input": "hi", "max_output_tokens": 2});
    let events = post(&mock, "/v1/responses", &cut).events();
    let end = events.last().expect("an end");
    assert_eq!(end["type"], "response.incomplete");
    assert_eq!(end["response"]["output"].as_array().map(Vec::len), Some(1));
}

#[test]
fn messages_stream_as_anthropic_does() {
    let mock = start(MockConfig {
        tokens: 4,
        reasoning_tokens: 2,
        prefix_cache: Some(100),
        ..quick()
    });
    let body = json!({"model": "m", "max_tokens": 100, "stream": true,
        "system": [{"type": "text", "text": "be brief"}],
        "messages": [{"role": "user", "content": words(30)}]});
    let headers = "x-api-key: k\r\nanthropic-version: 2023-06-01\r\n";
    for cached in [0, 16] {
        let answer = ask(&mock, "POST", "/v1/messages", headers, &body.to_string());
        assert!(answer.head.contains(EVENTS));
        assert_eq!(
            names(&answer),
            [
                "message_start",
                "ping",
                "content_block_start",
                "content_block_delta",
                "content_block_stop",
                "content_block_start",
                "content_block_delta",
                "content_block_stop",
                "message_delta",
                "message_stop",
            ]
        );
        let events = answer.events();
        let usage = &events[0]["message"]["usage"];
        assert_eq!(usage["input_tokens"], 32 - cached);
        assert_eq!(usage["cache_read_input_tokens"], cached);
        let delta = &events[events.len() - 2];
        assert_eq!(delta["delta"]["stop_reason"], "end_turn");
        assert_eq!(delta["usage"]["output_tokens"], 6);
        let of = |kind: &str| {
            let deltas = events.iter().filter(|event| event["delta"]["type"] == kind);
            deltas.count()
        };
        let counts = (
            of("thinking_delta"),
            of("signature_delta"),
            of("text_delta"),
        );
        assert_eq!(counts, (2, 1, 4));
    }
    let mut plain = body;
    plain["stream"] = json!(false);
    plain["max_tokens"] = json!(3);
    let message = post(&mock, "/v1/messages", &plain).json();
    assert_eq!(message["content"][0]["type"], "thinking");
    assert_eq!(message["content"][1]["type"], "text");
    assert_eq!(message["stop_reason"], "max_tokens");
    assert_eq!(message["usage"]["output_tokens"], 3);
    let refused = post(&mock, "/v1/messages", &json!({"messages": "hi"}));
    assert_eq!(refused.status, 400);
    let refused = refused.json();
    assert_eq!(refused["type"], "error");
    assert_eq!(refused["error"]["message"], "max_tokens: Field required");
}

#[test]
fn what_opens_a_stream_goes_out_at_once_where_it_is_asked_for() {
    let ttft = Duration::from_millis(150);
    let mock = start(MockConfig {
        ttft,
        role_chunk: true,
        ..quick()
    });
    let messages = json!({"max_tokens": 5, "stream": true, "messages": "hi"});
    let responses = json!({"stream": true, "input": "hi"});
    let completions = json!({"stream": true, "prompt": "hi"});
    for (path, body, early) in [
        ("/v1/messages", messages, true),
        ("/v1/responses", responses, true),
        ("/v1/completions", completions, false),
    ] {
        let answer = post(&mock, path, &body);
        assert_eq!(answer.first_byte < ttft, early, "{path}");
        let truth = get(&mock, "/truth");
        assert!(time(&truth["ttft_seconds"]["p50"]) >= ttft - Duration::from_millis(1));
        assert_eq!(truth["tokens"], 5);
    }
}

#[test]
fn gemini_streams_events_or_an_array() {
    let mock = thinking();
    let base = "/v1beta/models/gemini-x";
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "one two"}]}],
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "generationConfig": {"maxOutputTokens": 5}});
    let stream = format!("{base}:streamGenerateContent");
    let sse = post(&mock, &format!("{stream}?alt=sse"), &body);
    assert!(sse.head.contains(EVENTS));
    let array = post(&mock, &stream, &body);
    assert!(array.head.contains("content-type: application/json"));
    let array: Vec<Value> = serde_json::from_str(&array.body).expect("an array");
    for chunks in [sse.events(), array] {
        assert_eq!(chunks.len(), 6);
        let part = |chunk: usize| &chunks[chunk]["candidates"][0]["content"]["parts"][0];
        assert_eq!(
            (&part(1)["thought"], part(2).get("thought")),
            (&json!(true), None)
        );
        let last = &chunks[5];
        assert_eq!(last["candidates"][0]["finishReason"], "MAX_TOKENS");
        assert_eq!(last["modelVersion"], "gemini-x");
        let usage = json!({"promptTokenCount": 4, "candidatesTokenCount": 3, "totalTokenCount": 9,
            "thoughtsTokenCount": 2});
        assert_eq!(last["usageMetadata"], usage);
    }
    let plain = post(&mock, &format!("{base}:generateContent"), &body).json();
    let parts = &plain["candidates"][0]["content"]["parts"];
    assert_eq!(parts.as_array().map(Vec::len), Some(2));
    assert_eq!(plain["usageMetadata"]["totalTokenCount"], 9);
    let refused = post(&mock, &format!("{base}:generateContent"), &json!({}));
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"]["status"], "INVALID_ARGUMENT");
    let refused = post(&mock, &stream, &json!({})).json();
    assert_eq!(refused[0]["error"]["code"], 400);
}

/// A request of two words for a stream of each API that has streams.
fn generating() -> Vec<(&'static str, Value)> {
    let messages = json!([{"role": "user", "content": "one two"}]);
    vec![
        (CHAT, json!({"messages": messages, "stream": true})),
        (
            "/v1/completions",
            json!({"prompt": "one two", "stream": true}),
        ),
        ("/v1/responses", json!({"input": "one two", "stream": true})),
        (
            "/v1/messages",
            json!({"messages": messages, "max_tokens": 99, "stream": true}),
        ),
        (
            "/v1beta/models/m:streamGenerateContent",
            json!({"contents": [{"parts": [{"text": "one two"}]}]}),
        ),
        ("/api/chat", json!({"model": "m", "messages": messages})),
        ("/api/generate", json!({"model": "m", "prompt": "one two"})),
        ("/generate_stream", json!({"inputs": "one two"})),
        ("/generate", json!({"text": "one two", "stream": true})),
        (
            "/v2/models/m/generate_stream",
            json!({"text_input": "one two"}),
        ),
    ]
}

#[test]
fn every_stream_counts_alike_and_keeps_to_its_times() {
    let (ttft, itl) = (Duration::from_millis(20), Duration::from_millis(5));
    let mock = start(MockConfig {
        ttft,
        itl,
        tokens: 4,
        ..quick()
    });
    for (path, body) in generating() {
        let answer = post(&mock, path, &body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let truth = get(&mock, "/truth");
        assert_eq!(truth["prompt_tokens"], 2, "{path}");
        assert_eq!(truth["tokens"], 4, "{path}");
        assert_eq!(truth["completed"], 1, "{path}");
        assert_eq!(truth["ttft_seconds"]["count"], 1, "{path}");
        assert_eq!(truth["itl_seconds"]["count"], 3, "{path}");
        let first = time(&truth["ttft_seconds"]["p50"]);
        assert!(
            first + Duration::from_micros(100) >= ttft && first < ttft + LATE,
            "{path}"
        );
        assert!(
            answer.first_byte + Duration::from_micros(100) >= first,
            "{path}"
        );
    }
}

#[test]
fn an_answer_of_no_tokens_is_one_too() {
    let mock = start(MockConfig {
        tokens: 0,
        ..quick()
    });
    for (path, body) in generating() {
        let answer = post(&mock, path, &body);
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.is_empty(), "{path}");
        let truth = get(&mock, "/truth");
        assert_eq!(
            (&truth["completed"], &truth["tokens"]),
            (&json!(1), &json!(0)),
            "{path}"
        );
    }
}

#[test]
fn every_api_fails_in_its_own_words() {
    let failing = start(MockConfig {
        error_rate: 1.0,
        ..quick()
    });
    for (path, body) in generating() {
        let answer = post(&failing, path, &body);
        let expected = if path == "/generate_stream" { 424 } else { 500 };
        assert_eq!(answer.status, expected, "{path}");
        assert!(answer.json().to_string().contains("error"), "{path}");
    }
}

#[test]
fn without_usage_nothing_is_counted_for_the_client() {
    let mock = start(MockConfig {
        usage: UsageMode::Off,
        ..quick()
    });
    let members = [
        "\"usage\":{",
        "usageMetadata",
        "eval_count",
        "input_length",
        "prompt_tokens",
    ];
    for (path, body) in generating() {
        let answer = post(&mock, path, &body);
        for member in members {
            assert!(!answer.body.contains(member), "{path}: {}", answer.body);
        }
    }
}
