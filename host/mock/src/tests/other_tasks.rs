//! APIs that do something else than go on with a text: embeddings, reranking, transcriptions.

use super::apis::{joined, server};
use super::*;
use crate::tokens::count;

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
