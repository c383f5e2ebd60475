//! Responses of the APIs that the built-in plugins know.

/// Responses as servers give them, one event a line.
pub(super) const SAMPLES: [(&str, &str); 2] = [
    (
        "OpenAI, streamed",
        concat!(
            r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            "\n",
            r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}"#,
            "\n",
            r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"."},"finish_reason":null}]}"#,
            "\n",
            r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            "\n",
            r#"{"id":"c","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#,
        ),
    ),
    (
        "DashScope, streamed",
        concat!(
            r#"{"output":{"choices":[{"message":{"role":"assistant","content":"Hello"},"finish_reason":"null"}]},"usage":{"input_tokens":9,"output_tokens":1,"total_tokens":10},"request_id":"r"}"#,
            "\n",
            r#"{"output":{"choices":[{"message":{"role":"assistant","content":"."},"finish_reason":"stop"}]},"usage":{"input_tokens":9,"output_tokens":2,"total_tokens":11},"request_id":"r"}"#,
        ),
    ),
];
