//! The APIs of servers that one runs oneself: Ollama, TGI, SGLang and Triton.

use super::apis::{joined, server, words};
use super::*;
use crate::tokens::count;

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
