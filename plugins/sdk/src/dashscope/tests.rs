//! Bodies, and responses in both shapes and both manners of streaming.

use super::*;
use crate::Tokens;

const INCREMENTAL: &str = r#"{"input":{"messages":[{"role":"user","content":"a b"}]},"parameters":{"incremental_output":true}}"#;
const CUMULATIVE: &str = r#"{"input":{"prompt":"a b"},"parameters":{"incremental_output":false}}"#;

/// The result with a tokenizer of which each word is a token, and the texts that it was asked to count.
fn parsed(request: &str, events: &[&str]) -> (Result<Summary, String>, Vec<String>) {
    let events: Vec<Vec<u8>> = events
        .iter()
        .map(|event| event.as_bytes().to_vec())
        .collect();
    let texts = std::cell::RefCell::new(Vec::new());
    let result = parse(&events, request, |text| {
        texts.borrow_mut().push(text.to_owned());
        Some(text.split_whitespace().count() as u64)
    });
    (result, texts.into_inner())
}

#[test]
fn an_item_brings_its_length_and_its_tools_and_parameters_go_over_them() {
    let mut item = Item::of_prompt("hi");
    item.output.max = Some(9);
    item.tools = vec![json!({"type": "function"})];
    let given = json!({"incremental_output": null, "max_tokens": 5});
    let settings = Settings {
        model: "m".to_owned(),
        parameters: given.as_object().cloned().unwrap_or_default(),
    };
    let request = request(item, &settings, json!({})).expect("a request");
    assert_eq!(
        request.to_json().to_string(),
        r#"{"model":"m","input":{"messages":[{"role":"user","content":"hi"}]},"parameters":{"stream":true,"tools":[{"type":"function"}],"max_tokens":5}}"#
    );
}

#[test]
fn parameters_go_into_a_whole_body_too() {
    let sent = |whole: Value, given: Value| {
        let item = Item {
            body: Some(whole),
            ..Item::default()
        };
        let settings = Settings {
            model: "m".to_owned(),
            parameters: given.as_object().cloned().unwrap_or_default(),
        };
        let request = request(item, &settings, json!({"never": 1})).expect("a request");
        request.to_json()
    };
    let whole = |parameters: Value| json!({"model": "m", "input": {}, "parameters": parameters});
    let bare = || json!({"model": "recorded", "input": {}});
    let given = || json!({"incremental_output": null, "max_tokens": 5});
    assert_eq!(sent(bare(), given()), whole(json!({"max_tokens": 5})));
    assert_eq!(
        sent(
            whole(json!({"incremental_output": true, "top_k": 1})),
            given()
        ),
        whole(json!({"top_k": 1, "max_tokens": 5}))
    );
    assert_eq!(
        sent(whole(Value::Null), given()),
        whole(json!({"max_tokens": 5}))
    );
    for recorded in [Value::Null, json!({})] {
        assert_eq!(sent(whole(recorded.clone()), json!({})), whole(recorded));
    }
    let odd = Item {
        body: Some(whole(json!([1]))),
        ..Item::default()
    };
    let error = request(odd, &Settings::default(), json!({})).unwrap_err();
    assert!(error.contains("no JSON object"), "{error}");
    for nothing in [json!({}), json!({"incremental_output": null})] {
        assert_eq!(sent(bare(), nothing), json!({"model": "m", "input": {}}));
    }
}

#[test]
fn the_reply_is_the_text_of_both_manners_of_streaming() {
    let event =
        |text: &str, reason: &str| json!({"output": {"text": text, "finish_reason": reason}});
    for (request, texts) in [
        (INCREMENTAL, ["a", " b", ""]),
        (CUMULATIVE, ["a", "a b", "a b"]),
    ] {
        let events = Response::events_of(&[
            event(texts[0], "null"),
            event(texts[1], "null"),
            event(texts[2], "stop"),
        ]);
        let read = Response {
            request: request.as_bytes(),
            wants_reply: true,
            ..Response::of(&events)
        };
        let summary = response(&read, |_| None).expect("a response");
        let expected = parse(&events, request, |_| None)
            .expect("a response")
            .finish_reason("stop")
            .reply(json!({"role": "assistant", "content": "a b"}));
        assert_eq!(summary, expected);
    }
}

#[test]
fn parameters_go_into_the_parameters() {
    let given = json!({"incremental_output": null, "top_p": 0.5});
    let options = Options {
        model: "m".to_owned(),
        parameters: given.as_object().cloned().unwrap_or_default(),
        ..Options::default()
    };
    let body = body(
        &options,
        Prompt::Messages(vec![json!({"role": "user"})]),
        json!({"top_k": 1, "top_p": 1}),
    );
    assert_eq!(
        body.to_string(),
        r#"{"model":"m","input":{"messages":[{"role":"user"}]},"parameters":{"stream":true,"top_k":1,"top_p":0.5}}"#
    );
}

#[test]
fn the_usage_of_the_last_event_counts() {
    let events = [
        r#"{"output":{"text":"","finish_reason":"null"},"usage":{"input_tokens":1,"output_tokens":0},"request_id":"r"}"#,
        r#"{"output":{"text":"x ","finish_reason":"null"},"usage":{"input_tokens":1,"output_tokens":1},"request_id":"r"}"#,
        r#"{"output":{"text":"y","finish_reason":"null"},"usage":{"input_tokens":1,"output_tokens":2},"request_id":"r"}"#,
        r#"{"output":{"text":"","finish_reason":"stop"},"usage":{"input_tokens":1,"output_tokens":3,"prompt_tokens_details":{"cached_tokens":1},"output_tokens_details":{"reasoning_tokens":2}}}"#,
    ];
    let expected = Summary::new(Tokens::Usage(1), Tokens::Usage(3))
        .outputs([1, 2])
        .metric("cached_tokens", 1.0)
        .metric("reasoning_tokens", 2.0)
        .metric("hidden_reasoning_tokens", 2.0);
    assert_eq!(parsed(INCREMENTAL, &events), (Ok(expected), vec![]));
}

#[test]
fn messages_are_read_like_texts() {
    let events = [
        r#"{"output":{"choices":[{"message":{"role":"assistant","content":"","reasoning_content":"hm "},"finish_reason":"null"}]}}"#,
        r#"{"output":{"choices":[{"message":{"content":"x y","reasoning_content":""}}]}}"#,
        r#"{"output":{"choices":[{"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}}"#,
        r#"{"output":{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}}"#,
        r#"{"output":{"choices":null,"text":null}}"#,
    ];
    let (summary, texts) = parsed(INCREMENTAL, &events);
    assert_eq!(
        summary,
        Ok(Summary::new(Tokens::Tokenizer(2), Tokens::Tokenizer(3)).outputs([0, 1, 2]))
    );
    assert_eq!(texts, ["a b", "hm x y{}"]);
}

#[test]
fn a_text_that_is_repeated_is_counted_once() {
    let events = [
        r#"{"output":{"text":"x"}}"#,
        r#"{"output":{"text":"x y"}}"#,
        r#"{"output":{"text":"x y","finish_reason":"stop"},"usage":{"input_tokens":4}}"#,
    ];
    let (summary, texts) = parsed(CUMULATIVE, &events);
    assert_eq!(
        summary,
        Ok(Summary::new(Tokens::Usage(4), Tokens::Tokenizer(2)).outputs([0, 1]))
    );
    assert_eq!(texts, ["x y"]);

    let messages = [
        r#"{"output":{"choices":[{"message":{"content":"","reasoning_content":"hm "}}]}}"#,
        r#"{"output":{"choices":[{"message":{"content":"","reasoning_content":"hm hm "}}]}}"#,
        r#"{"output":{"choices":[{"message":{"content":"x","reasoning_content":"hm hm "}}]}}"#,
    ];
    let (summary, texts) = parsed(r#"{"input":{"prompt":"a b"}}"#, &messages);
    assert_eq!(
        summary,
        Ok(Summary::new(Tokens::Tokenizer(2), Tokens::Tokenizer(3)).outputs(0..3))
    );
    assert_eq!(texts, ["a b", "hm hm x"]);
}

#[test]
fn an_error_fails_the_request() {
    let good = r#"{"output":{"text":"x"},"code":"","message":""}"#;
    let error = |event: &str| {
        parsed(INCREMENTAL, &[good, event])
            .0
            .err()
            .unwrap_or_default()
    };
    assert_eq!(
        error(r#"{"code":"InvalidParameter","message":"top_p is too large","request_id":"r"}"#),
        "the server reported an error: top_p is too large (InvalidParameter)"
    );
    assert_eq!(
        error(r#"{"code":500,"message":"m"}"#),
        "the server reported an error: m"
    );
    assert_eq!(
        error("{"),
        "chunk 2, column 1: not valid JSON: EOF while parsing an object"
    );
    assert_eq!(
        error(r#"{"code":"InternalError","message":"m","output":{"text":""}}"#),
        "the server reported an error: m (InternalError)"
    );
    assert!(parsed(INCREMENTAL, &[]).0.is_ok());
    assert!(
        parsed(INCREMENTAL, &[good, r#"{"request_id":"r"}"#])
            .0
            .is_ok()
    );
}

#[test]
fn without_a_readable_request_the_prompt_is_unknown() {
    let usage_free = r#"{"output":{"text":"x"}}"#;
    for request in ["", "{}", r#"{"input":{}}"#] {
        let (summary, _) = parsed(request, &[usage_free]);
        assert_eq!(
            summary,
            Ok(Summary::new(Tokens::Unknown, Tokens::Tokenizer(1)).output(0)),
            "{request}"
        );
    }
}
