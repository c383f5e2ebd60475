//! Each API besides chat: how it streams, answers plainly, counts, reasons, cuts and refuses.

use super::*;
use crate::tokens::count;

const EVENTS: &str = "content-type: text/event-stream";

fn server() -> RunningMock {
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
fn joined<'a>(values: impl IntoIterator<Item = Option<&'a Value>>) -> String {
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
fn words(count: usize) -> String {
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

#[test]
fn ollama_answers_in_lines() {
    let mock = start(MockConfig {
        ttft: Duration::from_millis(30),
        tokens: 4,
        reasoning_tokens: 2,
        ..quick()
    });
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "one two"}],
        "options": {"num_predict": 5}});
    let generate = json!({"model": "m", "prompt": "one two", "options": {"num_predict": 5}});
    for (path, body, text, thinking) in [
        ("/api/chat", chat, "/message/content", "/message/thinking"),
        ("/api/generate", generate, "/response", "/thinking"),
    ] {
        // It streams unless it is told not to.
        let answer = post(&mock, path, &body);
        assert!(answer.head.contains("content-type: application/x-ndjson"));
        let lines: Vec<Value> = answer
            .body
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON in a line"))
            .collect();
        assert_eq!(lines.len(), 6);
        let streamed = joined(lines.iter().map(|line| line.pointer(text)));
        let thoughts = joined(lines.iter().map(|line| line.pointer(thinking)));
        assert_eq!((count(&streamed), count(&thoughts)), (3, 2));
        let mut plain = body.clone();
        plain["stream"] = json!(false);
        for end in [lines[5].clone(), post(&mock, path, &plain).json()] {
            assert_eq!(end["done"], true);
            assert_eq!(end["done_reason"], "length");
            assert_eq!(end["prompt_eval_count"], 2);
            assert_eq!(end["eval_count"], 5);
            assert!(
                end["prompt_eval_duration"].as_u64() >= Some(29_000_000),
                "{end}"
            );
            assert!(end["total_duration"].as_u64() >= end["prompt_eval_duration"].as_u64());
            assert!(end.pointer(text).is_some_and(Value::is_string));
        }
        let unlimited = json!({"model": "m", "prompt": "a", "messages": "a", "stream": false,
            "options": {"num_predict": -1}});
        let answer = post(&mock, path, &unlimited).json();
        assert_eq!(answer["done_reason"], "stop");
        let refused = post(&mock, path, &json!({"model": "m"}));
        assert_eq!(refused.status, 400);
        assert!(refused.json()["error"].is_string());
    }
}

#[test]
fn tgi_ends_with_its_last_token() {
    let mock = server();
    let body = json!({"inputs": "one two", "parameters": {"max_new_tokens": 3, "details": true}});
    let events = post(&mock, "/generate_stream", &body).events();
    assert_eq!(events.len(), 3);
    assert_eq!(events[0]["generated_text"], Value::Null);
    let text = joined(events.iter().map(|event| event.pointer("/token/text")));
    assert_eq!(events[2]["generated_text"], text);
    let details = json!({"finish_reason": "length", "generated_tokens": 3, "seed": null,
        "input_length": 2});
    assert_eq!(events[2]["details"], details);
    let plain = post(&mock, "/generate", &body).json();
    assert_eq!(plain["details"]["generated_tokens"], 3);
    assert!(plain["generated_text"].is_string());
    let truth = get(&mock, "/truth");
    assert_eq!(
        (&truth["tokens"], &truth["completed"]),
        (&json!(6), &json!(2))
    );
    for wrong in [
        json!({}),
        json!({"inputs": "a", "parameters": {"max_new_tokens": 0}}),
    ] {
        let refused = post(&mock, "/generate_stream", &wrong);
        assert_eq!(refused.status, 422);
        assert_eq!(refused.json()["error_type"], "validation");
    }
}

#[test]
fn sglang_repeats_the_text_so_far() {
    let mock = start(MockConfig {
        tokens: 300,
        prefix_cache: Some(100),
        ..quick()
    });
    let body = json!({"text": words(20), "stream": true, "sampling_params": {"max_new_tokens": 3}});
    for cached in [0, 16] {
        let answer = post(&mock, "/generate", &body);
        assert_eq!(answer.data().last(), Some(&"[DONE]"));
        let events = answer.events();
        assert_eq!(events.len(), 3);
        let text = |event: usize| events[event]["text"].as_str().unwrap_or_default();
        assert!(text(2).starts_with(text(1)) && text(1).len() < text(2).len());
        let info = |event: usize| &events[event]["meta_info"];
        assert_eq!(info(0)["finish_reason"], Value::Null);
        assert_eq!(
            info(2)["finish_reason"],
            json!({"type": "length", "length": 3})
        );
        assert_eq!(info(2)["prompt_tokens"], 20);
        assert_eq!(info(2)["cached_tokens"], cached);
        assert_eq!(info(2)["completion_tokens"], 3);
    }
    let two = json!({"input_ids": [[1, 2, 3], [4]]});
    let answers = post(&mock, "/generate", &two).json();
    // 128 is the limit of a request that names none.
    assert_eq!(answers[0]["meta_info"]["completion_tokens"], 128);
    assert_eq!(answers[0]["meta_info"]["prompt_tokens"], 3);
    assert_eq!(answers[1]["meta_info"]["prompt_tokens"], 1);
    let mut streamed = two;
    streamed["stream"] = json!(true);
    streamed["sampling_params"] = json!({"max_new_tokens": 2});
    let events = post(&mock, "/generate", &streamed).events();
    let indices: Vec<_> = events.iter().map(|event| &event["index"]).collect();
    assert_eq!(indices, [0, 1, 0, 1]);
    assert_eq!(events[2]["text"], events[3]["text"]);
    let refused = post(&mock, "/generate", &json!({"sampling_params": {}}));
    assert_eq!(refused.status, 400);
    assert!(refused.json()["error"]["message"].is_string());
}

#[test]
fn triton_generates_in_both_of_its_ways() {
    let mock = server();
    let vllm = json!({"text_input": "one two", "parameters": {"max_tokens": 3},
        "return_num_input_tokens": true, "return_num_output_tokens": true,
        "return_finish_reason": true});
    let tensorrt = json!({"text_input": "one two", "max_tokens": 3});
    let stream = "/v2/models/ensemble/generate_stream";
    let events = post(&mock, stream, &vllm).events();
    assert_eq!(events.len(), 3);
    assert_eq!(events[0]["model_name"], "ensemble");
    assert_eq!(events[0]["finish_reason"], Value::Null);
    assert_eq!(events[2]["finish_reason"], "length");
    assert_eq!(events[2]["num_input_tokens"], 2);
    let tokens = events
        .iter()
        .filter_map(|event| event["num_output_tokens"].as_u64());
    assert_eq!(tokens.sum::<u64>(), 3);
    let text = joined(events.iter().map(|event| event.get("text_output")));
    assert_eq!(count(&text), 3);
    let events = post(&mock, stream, &tensorrt).events();
    assert_eq!(events.len(), 3);
    assert_eq!(events[2].get("num_output_tokens"), None);
    let plain = post(&mock, "/v2/models/ensemble/generate", &vllm).json();
    assert_eq!(plain["num_output_tokens"], 3);
    assert!(plain["text_output"].is_string());
    let refused = post(&mock, stream, &json!({"text": "a"}));
    assert_eq!(refused.status, 400);
    assert!(refused.json()["error"].is_string());
}

#[test]
fn embeddings_have_a_vector_for_each_input() {
    let mock = start(MockConfig {
        ttft: Duration::from_millis(20),
        ..quick()
    });
    let path = "/v1/embeddings";
    let answer = post(
        &mock,
        path,
        &json!({"model": "e", "input": ["one two", "three"]}),
    );
    assert!(answer.first_byte >= Duration::from_millis(19));
    let answer = answer.json();
    assert_eq!(answer["object"], "list");
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(2));
    let vector = |input: usize| answer["data"][input]["embedding"].as_array();
    assert_eq!(vector(0).map(Vec::len), Some(32));
    assert_ne!(vector(0), vector(1));
    assert_eq!(answer["usage"]["prompt_tokens"], 3);
    let body = json!({"input": [1, 2], "dimensions": 3, "encoding_format": "base64"});
    let answer = post(&mock, path, &body).json();
    // Twelve bytes.
    let text = answer["data"][0]["embedding"].as_str();
    assert_eq!(text.map(str::len), Some(16));
    assert_eq!(answer["usage"]["total_tokens"], 2);
    for wrong in [json!({}), json!({"input": "a", "dimensions": 0})] {
        assert_eq!(post(&mock, path, &wrong).status, 400);
    }
    let truth = get(&mock, "/truth");
    assert_eq!(
        (&truth["tokens"], &truth["completed"]),
        (&json!(0), &json!(2))
    );
}

#[test]
fn reranking_knows_both_spellings() {
    let mock = server();
    let body = json!({"model": "r", "query": "one two", "documents": ["a b", {"text": "c"}, "d"],
        "top_n": 2});
    for (path, returns) in [
        ("/rerank", true),
        ("/v1/rerank", true),
        ("/v2/rerank", false),
    ] {
        let answer = post(&mock, path, &body).json();
        let results = answer["results"].as_array().expect("a list");
        assert_eq!(results.len(), 2);
        assert!(results[0]["relevance_score"].as_f64() > results[1]["relevance_score"].as_f64());
        assert_eq!(results[0].get("document").is_some(), returns);
        // The query three times.
        assert_eq!(answer["usage"]["total_tokens"], 10);
    }
    let tei = json!({"query": "one two", "texts": ["a b", "c"], "return_text": true});
    let answer = post(&mock, "/rerank", &tei).json();
    assert_eq!(answer.as_array().map(Vec::len), Some(2));
    assert!(answer[0]["score"].is_f64() && answer[0]["text"].is_string());
    let refused = post(&mock, "/rerank", &json!({"query": "a"}));
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error_type"], "Validation");
    assert_eq!(
        post(&mock, "/v1/rerank", &json!({"texts": ["a"]})).status,
        400
    );
}

/// A form with a file of so many bytes and these fields.
fn form(bytes: usize, fields: &[(&str, &str)]) -> String {
    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = "x".repeat(bytes);
    let mut form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
         Content-Type: audio/wav\r\n\r\n{file}\r\n"
    );
    for (name, value) in fields {
        form += &part(name, value);
    }
    form + "--b--\r\n"
}

#[test]
fn transcriptions_take_a_form() {
    let mock = server();
    let path = "/v1/audio/transcriptions";
    let send = |body: &str| {
        let kind = "Content-Type: multipart/form-data; boundary=b\r\n";
        ask(&mock, "POST", path, kind, body)
    };
    let model = ("model", "whisper");
    let answer = send(&form(6_401, &[model, ("prompt", "one two")])).json();
    assert!(answer["text"].is_string());
    assert_eq!(answer["usage"]["input_tokens"], 5);
    assert_eq!(answer["usage"]["input_token_details"]["audio_tokens"], 3);
    assert_eq!(answer["usage"]["output_tokens"], 4);
    let events = send(&form(10, &[model, ("stream", "true")])).events();
    assert_eq!(events.len(), 5);
    let text = joined(events[..4].iter().map(|event| event.get("delta")));
    assert_eq!(events[4]["type"], "transcript.text.done");
    assert_eq!(events[4]["text"], text);
    assert_eq!(events[4]["usage"]["total_tokens"], 5);
    let text = send(&form(10, &[model, ("response_format", "text")]));
    assert!(text.head.contains("content-type: text/plain"));
    assert_eq!(count(&text.body), 4);
    for wrong in [form(10, &[]), form(0, &[model]), "--b--\r\n".to_owned()] {
        let refused = send(&wrong);
        assert_eq!(refused.status, 400, "{wrong}");
        assert!(refused.json()["error"]["message"].is_string());
    }
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
