//! Bodies as the API's reference has them, and the responses that servers send.

use super::*;
use llmuses_plugin::Tokens;

fn body(item: Item) -> Value {
    let settings = Settings {
        model: "m".to_owned(),
        ..Settings::default()
    };
    OpenaiResponses::request(item, &settings)
        .expect("a request")
        .to_json()
}

fn read(events: &[Value]) -> Result<Summary, String> {
    let events = Response::events_of(events);
    OpenaiResponses::response(&Response {
        wants_reply: true,
        ..Response::of(&events)
    })
}

fn usage() -> Value {
    json!({
        "input_tokens": 20, "input_tokens_details": {"cached_tokens": 16},
        "output_tokens": 6, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 26,
    })
}

fn summary() -> Summary {
    Summary::new(Tokens::Usage(20), Tokens::Usage(6))
        .metric("cached_tokens", 16.0)
        .metric("reasoning_tokens", 2.0)
}

#[test]
fn a_prompt_is_the_input() {
    let mut item = Item::of_prompt("hi");
    (item.output.max, item.output.exact) = (Some(9), true);
    assert_eq!(
        body(item),
        json!({"model": "m", "input": "hi", "stream": true, "max_output_tokens": 9, "min_tokens": 9, "ignore_eos": true})
    );
}

#[test]
fn a_response_that_was_cancelled_is_an_error() {
    let text = json!({"type": "response.output_text.delta", "delta": "a"});
    let over = json!({"type": "response.cancelled", "response": {"status": "cancelled"}});
    let error = read(&[text, over]).unwrap_err();
    assert_eq!(error, "the response ended with status \"cancelled\"");
}

#[test]
fn messages_tools_and_images_become_what_the_api_has() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let item = Item {
        messages: vec![
            json!({"role": "system", "content": "s"}),
            json!({"role": "user", "content": [
                {"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:x"}},
            ]}),
            json!({"role": "assistant", "content": null, "tool_calls": [call]}),
            json!({"role": "tool", "tool_call_id": "c", "content": "4"}),
        ],
        tools: vec![
            json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}),
        ],
        ..Item::default()
    };
    assert_eq!(
        body(item),
        json!({
            "model": "m",
            "input": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": [
                    {"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "data:x"},
                ]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "4"},
            ],
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
            "stream": true,
        })
    );
}

#[test]
fn a_stream_has_reasoning_an_answer_and_calls() {
    let events = [
        json!({"type": "response.created", "response": {"object": "response", "status": "in_progress", "error": null, "usage": null, "output": []}}),
        json!({"type": "response.output_item.added", "item": {"type": "reasoning"}}),
        json!({"type": "response.reasoning_text.delta", "delta": "hm"}),
        json!({"type": "response.output_text.delta", "delta": "a"}),
        json!({"type": "response.output_text.delta", "delta": "b"}),
        json!({"type": "response.output_text.done", "text": "ab"}),
        json!({"type": "response.output_item.added", "item": {"type": "function_call", "name": "f"}}),
        json!({"type": "response.function_call_arguments.delta", "delta": "{"}),
        json!({"type": "response.completed", "response": {
            "status": "completed", "incomplete_details": null, "usage": usage(),
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "ab"}]}],
        }}),
    ];
    let expected = summary()
        .outputs([2, 3, 4, 6, 7])
        .answers([3, 4])
        .finish_reason("completed")
        .reply(json!({"role": "assistant", "content": "ab"}));
    assert_eq!(read(&events), Ok(expected));
}

#[test]
fn a_summary_of_the_reasoning_is_output_and_not_the_reasoning() {
    let events = [
        json!({"type": "response.reasoning_summary_text.delta", "delta": "hm"}),
        json!({"type": "response.output_text.delta", "delta": "a"}),
        json!({"type": "response.completed", "response": {"status": "completed", "usage": usage()}}),
    ];
    let expected = summary()
        .metric("hidden_reasoning_tokens", 2.0)
        .outputs([0, 1])
        .answers([1])
        .finish_reason("completed")
        .reply(json!({"role": "assistant", "content": "a"}));
    assert_eq!(read(&events), Ok(expected));
}

#[test]
fn a_plain_answer_and_one_that_comes_with_the_last_event_are_read() {
    let plain = json!({
        "object": "response", "status": "incomplete", "error": null,
        "incomplete_details": {"reason": "max_output_tokens"}, "usage": usage(),
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "message", "content": [{"type": "output_text", "text": "ab"}]},
        ],
    });
    let expected = summary()
        .output(0)
        .answers([0])
        .finish_reason("max_output_tokens")
        .reply(json!({"role": "assistant", "content": "ab"}));
    assert_eq!(read(std::slice::from_ref(&plain)), Ok(expected.clone()));
    let event = json!({"type": "response.incomplete", "response": plain});
    assert_eq!(read(&[event]), Ok(expected));
}

#[test]
fn hidden_reasoning_is_told() {
    let events = [
        json!({"type": "response.output_text.delta", "delta": "a"}),
        json!({"type": "response.completed", "response": {"status": "completed", "usage": {
            "input_tokens": 3, "output_tokens": 41, "output_tokens_details": {"reasoning_tokens": 40},
        }}}),
    ];
    let expected = Summary::new(Tokens::Usage(3), Tokens::Usage(41))
        .output(0)
        .answers([0])
        .metric("reasoning_tokens", 40.0)
        .metric("hidden_reasoning_tokens", 40.0)
        .finish_reason("completed")
        .reply(json!({"role": "assistant", "content": "a"}));
    assert_eq!(read(&events), Ok(expected));
}

#[test]
fn errors_are_told_with_their_code() {
    let error = |event: Value| read(&[event]).unwrap_err();
    for (event, told) in [
        (
            json!({"type": "error", "code": "server_error", "message": "busy", "param": null}),
            "busy (server_error)",
        ),
        (
            json!({"type": "error", "error": {"type": "overloaded", "message": "busy"}}),
            "busy (overloaded)",
        ),
        (
            json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}}}),
            "slow (rate_limit_exceeded)",
        ),
    ] {
        assert_eq!(
            error(event),
            format!("the server reported an error: {told}")
        );
    }
}
