//! Bodies as the API's reference has them, and the responses that it sends.

use super::*;
use llmuses_plugin::Tokens;

fn body(item: Item) -> Value {
    Gemini::request(item, &Settings::default())
        .expect("a request")
        .to_json()
}

fn read(chunks: &[Value]) -> Result<Summary, String> {
    Gemini::response(&Response::of(&Response::events_of(chunks)))
}

#[test]
fn a_prompt_is_a_content_and_a_length_is_in_the_configuration() {
    let mut item = Item::of_prompt("hi");
    item.output.max = Some(9);
    item.parameters
        .insert("generationConfig".to_owned(), json!({"temperature": 0}));
    assert_eq!(
        body(item),
        json!({
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"maxOutputTokens": 9, "temperature": 0},
        })
    );
}

#[test]
fn the_format_of_the_answer_is_in_the_configuration() {
    let mut item = Item::of_prompt("hi");
    item.output.max = Some(9);
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}});
    item.parameters.insert("response_format".to_owned(), format);
    let config = json!({
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
        "maxOutputTokens": 9,
    });
    let body = body(item);
    assert_eq!(body["generationConfig"], config);
    assert_eq!(body["response_format"], Value::Null);
}

#[test]
fn messages_tools_and_images_become_what_the_api_has() {
    let call = json!({"id": "c", "function": {"name": "f", "arguments": "{\"x\":1}"}});
    let item = Item {
        messages: vec![
            json!({"role": "system", "content": "s"}),
            json!({"role": "user", "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA="}},
                {"type": "image_url", "image_url": {"url": "https://x/a.png"}},
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
            "contents": [
                {"role": "user", "parts": [
                    {"text": "see"},
                    {"inlineData": {"mimeType": "image/png", "data": "AAA="}},
                    {"fileData": {"fileUri": "https://x/a.png"}},
                ]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"x": 1}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "4"}}}]},
            ],
            "systemInstruction": {"parts": [{"text": "s"}]},
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "object"}}]}],
        })
    );
}

#[test]
fn thoughts_are_reasoning_and_no_part_of_the_candidates_tokens() {
    let chunk = |part: Value, candidates: u64, thoughts: u64| {
        json!({
            "candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}],
            "usageMetadata": {
                "promptTokenCount": 9, "cachedContentTokenCount": 4, "candidatesTokenCount": candidates,
                "thoughtsTokenCount": thoughts, "totalTokenCount": 9 + candidates + thoughts,
            },
        })
    };
    let mut last = chunk(json!({"text": ""}), 4, 3);
    last["candidates"][0]["finishReason"] = "MAX_TOKENS".into();
    let chunks = [
        chunk(json!({"text": "hm", "thought": true}), 0, 3),
        chunk(json!({"text": "a"}), 2, 3),
        chunk(json!({"functionCall": {"name": "f", "args": {}}}), 4, 3),
        last,
    ];
    let expected = Summary::new(Tokens::Usage(9), Tokens::Usage(7))
        .outputs([0, 1, 2])
        .answers([1])
        .tokens_so_far([3, 5, 7])
        .metric("cached_tokens", 4.0)
        .metric("reasoning_tokens", 3.0)
        .finish_reason("MAX_TOKENS");
    assert_eq!(read(&chunks), Ok(expected));
}

#[test]
fn a_blocked_prompt_and_an_error_are_errors() {
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}});
    assert!(
        read(&[blocked])
            .unwrap_err()
            .ends_with("the prompt was blocked (SAFETY)")
    );
    let error = json!({"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}});
    assert!(read(&[error]).unwrap_err().ends_with("slow (429)"));
}
