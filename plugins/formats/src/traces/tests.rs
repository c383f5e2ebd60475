use super::*;
use crate::record::tests::head;
use llmuses_plugin::json;

const MOONCAKE: &str = r#"{"timestamp": 0, "input_length": 513, "output_length": 3, "hash_ids": [1, 2]}
{"timestamp": 250, "input_length": 1024, "output_length": 4, "hash_ids": [1, 3]}
"#;
const TIMED: &str =
    r#"{"timestamp": 0.5, "input_length": 33, "output_length": 3, "hash_ids": [1, 2, 3]}"#;
const BAILIAN: &str = r#"{"chat_id": 1, "parent_chat_id": -1, "timestamp": 61.114, "input_length": 33, "output_length": 3, "type": "text", "turn": 1, "hash_ids": [1, 2, 3]}"#;
const GUIDELLM: &str = r#"{"timestamp": 0.5, "input_length": 33, "output_length": 3}"#;
const WORKLOAD: &str = r#"{"timestamp": "2025-01-01T00:00:00Z", "body": {"messages": []}}"#;
const AZURE: &str =
    "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n";
const BURST: &str = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n";

/// The names of the formats that recognise a file, in their order.
fn recognised(text: &str) -> Vec<&'static str> {
    let head = head(text);
    let all: [(&str, bool); 7] = [
        (Mooncake::NAME, Mooncake::recognises(&head)),
        (Bailian::NAME, Bailian::recognises(&head)),
        (TimedTrace::NAME, TimedTrace::recognises(&head)),
        (GuidellmTrace::NAME, GuidellmTrace::recognises(&head)),
        (WorkloadTrace::NAME, WorkloadTrace::recognises(&head)),
        (Azure::NAME, Azure::recognises(&head)),
        (BurstGpt::NAME, BurstGpt::recognises(&head)),
    ];
    let found = all.into_iter().filter(|(_, is_it)| *is_it);
    found.map(|(name, _)| name).collect()
}

#[test]
fn each_trace_is_recognised() {
    for (text, name) in [
        (MOONCAKE, "mooncake"),
        (TIMED, "timed_trace"),
        (BAILIAN, "bailian"),
        (GUIDELLM, "guidellm_trace"),
        (WORKLOAD, "workload_trace"),
        (AZURE, "azure"),
        (BURST, "burstgpt"),
    ] {
        assert_eq!(recognised(text).first(), Some(&name), "{text}");
    }
    for text in ["{\"prompt\": \"a\"}", "a,b\n", "", "[]"] {
        assert_eq!(recognised(text), [""; 0], "{text}");
    }
}

#[test]
fn members_of_the_body_are_added_to_those_of_the_line() {
    let line = r#"{"timestamp": 0, "text_input": "a", "output_length": 3, "temperature": 0.7, "extra": {"top_p": 0.5, "model": "x"}}"#;
    let mut members: Members = line.parse::<Value>().unwrap().as_object().unwrap().clone();
    let text = text_of(&mut members).unwrap().unwrap();
    let conversation = with_extra(with_the_rest(text, &mut members).unwrap(), &mut members);
    assert_eq!(
        conversation.to_json()["parameters"],
        json!({"temperature": 0.7, "top_p": 0.5})
    );
}

#[test]
fn a_payload_beside_a_prompt_is_no_request() {
    assert_eq!(
        recognised(r#"{"timestamp": 1, "payload": {"messages": []}}"#),
        ["mooncake"]
    );
    let log = r#"{"timestamp": 1, "prompt": "hi", "payload": {"user": "x"}}"#;
    assert_eq!(recognised(log), [""; 0]);
}

#[test]
fn later_turns_of_a_session_need_no_time() {
    let trace = r#"{"timestamp": 0, "session_id": "s", "text_input": "a", "output_length": 3}
{"session_id": "s", "delay": 50, "text_input": "b", "output_length": 3}"#;
    assert_eq!(recognised(trace), ["mooncake"]);
    let trace = r#"{"timestamp": 0, "session_id": "s", "input_length": 513, "output_length": 3, "hash_ids": [1, 2]}
{"session_id": "s", "delay": 50, "input_length": 513, "output_length": 3, "hash_ids": [1, 3]}"#;
    assert_eq!(recognised(trace), ["mooncake"]);
}

#[test]
fn a_trace_of_short_prompts_is_recognised_by_what_else_it_has() {
    let bailian = r#"{"chat_id": 0, "parent_chat_id": -1, "timestamp": 0.0, "input_length": 1, "output_length": 9, "type": "text", "turn": 1, "hash_ids": [7]}
{"chat_id": 1, "parent_chat_id": 0, "timestamp": 0.25, "input_length": 16, "output_length": 9, "type": "text", "turn": 2, "hash_ids": [7]}"#;
    let timed = r#"{"timestamp": 0.0, "input_length": 1, "output_length": 9, "hash_ids": [7]}
{"timestamp": 0.25, "input_length": 16, "output_length": 9, "hash_ids": [7]}"#;
    let mooncake = r#"{"timestamp": 0, "input_length": 1, "output_length": 9, "hash_ids": [7]}
{"timestamp": 250, "input_length": 16, "output_length": 9, "hash_ids": [7]}"#;
    for (text, name) in [
        (bailian, "bailian"),
        (timed, "timed_trace"),
        (mooncake, "mooncake"),
    ] {
        assert_eq!(recognised(text).first(), Some(&name), "{text}");
    }
}

fn lengths(record: Value, block: Option<u64>) -> Result<Value, String> {
    let mut record = record;
    let members = record.as_object_mut().unwrap();
    lengths_of(members, block).map(|conversation| conversation.to_json())
}

#[test]
fn lengths_and_blocks_become_a_turn() {
    let record = json!({"input_length": 33, "output_length": 3, "hash_ids": [1, 2, 3]});
    assert_eq!(
        lengths(record.clone(), Some(16)),
        Ok(json!({"turns": [{
            "input_tokens": 33, "output_tokens": 3, "hash_ids": [1, 2, 3], "block_tokens": 16,
        }]}))
    );
    assert_eq!(
        lengths(record, Some(512)).unwrap_err(),
        "3 \"hash_ids\", and a prompt of 33 tokens has 1 blocks of 512 tokens"
    );
}

#[test]
fn a_length_that_is_none_is_said() {
    for (record, said) in [
        (json!({"output_length": 1}), "no field \"input_length\""),
        (
            json!({"input_length": 0, "output_length": 1}),
            "\"input_length\" is 0",
        ),
        (
            json!({"input_length": "x", "output_length": 1}),
            "\"input_length\" is not a number of tokens",
        ),
        (
            json!({"input_length": 9, "output_length": 1, "hash_ids": [-1]}),
            "\"hash_ids\" has -1, which is no whole number of 64 bits from 0 on",
        ),
    ] {
        assert_eq!(lengths(record, Some(16)), Err(said.to_owned()));
    }
}

#[test]
fn a_trace_may_have_texts() {
    let text = r#"{"timestamp": 0, "text_input": "a", "output_length": 3}"#;
    assert_eq!(recognised(text), ["mooncake"]);
    let mut record = json!({"input_text": "a"});
    let text = text_of(record.as_object_mut().unwrap());
    assert_eq!(text, Ok(Some(Conversation::of_prompt("a"))));
}

#[test]
fn requests_with_only_the_new_messages_have_those_of_their_session_before_them() {
    let said = |role: &str, content: &str| json!({"role": role, "content": content});
    let mut state = State::default();
    let mut joined = |mut record: Value| {
        let members = record.as_object_mut().unwrap();
        state.join_delta(members)?;
        Ok::<Value, String>(members.get("messages").cloned().unwrap_or_default())
    };
    let delta = |session: &str, messages: Value| json!({"session_id": session, "message_mode": "delta", "messages": messages});
    let (first, other) = (said("user", "a"), said("user", "other"));
    assert_eq!(joined(delta("s", json!([first]))), Ok(json!([first])));
    assert_eq!(joined(delta("t", json!([other]))), Ok(json!([other])));
    let new = json!([said("assistant", "b"), said("user", "c")]);
    assert_eq!(
        joined(delta("s", new.clone())),
        Ok(json!([first, new[0], new[1]]))
    );
    let text = json!({"session_id": "t", "message_mode": "delta", "text_input": "d"});
    assert_eq!(joined(text), Ok(json!([other, said("user", "d")])));
    let whole = json!({"session_id": "s", "message_mode": "history", "messages": [other]});
    assert_eq!(joined(whole), Ok(json!([other])));
    for wrong in [
        json!({"message_mode": "delta", "messages": [first]}),
        json!({"session_id": "s", "message_mode": "delta", "payload": {}}),
    ] {
        assert_eq!(joined(wrong), Err(ONLY_WHAT_IS_NEW.to_owned()));
    }
}

#[test]
fn what_stands_beside_a_recorded_body_is_named() {
    let record =
        json!({"timestamp": 1, "request_id": "a", "headers": {"x": "y"}, "completion_tokens": 7});
    let names = ["completion_tokens", "headers", "request_id"];
    assert_eq!(beside_the_body(record.as_object().unwrap()), names);
    assert!(beside_the_body(json!({"timestamp": 1}).as_object().unwrap()).is_empty());
}
