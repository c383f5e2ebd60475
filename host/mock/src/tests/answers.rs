//! What is in an answer of OpenAI's APIs: how long it is, reasoning, calls of tools, several answers.

use super::shapes::text;
use super::*;

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
