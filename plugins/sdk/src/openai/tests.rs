//! Bodies, and the responses that servers really send, odd ones included.

use super::*;
use crate::{Item, Map, Options, Prompt, Request, Settings, Tokens, Value, json};

const REQUEST: &str = r#"{"model":"m","messages":[{"role":"system","content":"a b"},{"role":"user","content":[{"type":"text","text":"c"}]}]}"#;

fn options(parameters: Value) -> Options {
    let parameters = parameters.as_object().cloned().unwrap_or_else(Map::new);
    Options {
        model: "m".to_owned(),
        parameters,
        ..Options::default()
    }
}

fn body_with(parameters: Value) -> String {
    let body = body(&options(parameters), "hi".into(), json!({"stop": ["x"]})).to_string();
    body.replace(
        r#""model":"m","messages":[{"role":"user","content":"hi"}],"#,
        "..,",
    )
}

/// The result with a tokenizer of which each word is a token.
fn parsed(chunks: &[&str]) -> Result<Summary, String> {
    parsed_both_ways(&bytes(chunks), REQUEST).0
}

/// The texts that a tokenizer is asked to count.
fn counted(chunks: &[&str]) -> Vec<String> {
    let (result, texts) = parsed_both_ways(&bytes(chunks), "{}");
    assert!(result.is_ok(), "{result:?}");
    texts
}

/// The result and the texts that were counted: the same whether or not every chunk is read as JSON.
fn parsed_both_ways(
    responses: &[Vec<u8>],
    request: &str,
) -> (Result<Summary, String>, Vec<String>) {
    let texts = std::cell::RefCell::new(Vec::new());
    let count = |text: &str| {
        texts.borrow_mut().push(text.to_owned());
        Some(text.split_whitespace().count() as u64)
    };
    let plainly = leniently(responses, |responses| {
        texts.take();
        read_chunks(responses, request, &count, Shapes::none())
    })
    .map(|(summary, _)| summary);
    let texts_of_plain = texts.take();
    let result = parse(responses, request, count);
    let shown = || {
        responses
            .iter()
            .map(|data| String::from_utf8_lossy(data))
            .collect::<Vec<_>>()
    };
    assert_eq!(result, plainly, "{:?}", shown());
    assert_eq!(*texts.borrow(), texts_of_plain, "{:?}", shown());
    (result, texts_of_plain)
}

fn bytes(chunks: &[&str]) -> Vec<Vec<u8>> {
    chunks
        .iter()
        .map(|chunk| chunk.as_bytes().to_vec())
        .collect()
}

fn delta(delta: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion.chunk","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}],"usage":null}}"#
    )
}

fn outputs_of(deltas: &[&str]) -> Result<Summary, String> {
    let mut chunks: Vec<String> = deltas.iter().map(|d| delta(d)).collect();
    chunks.push(r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#.to_owned());
    parsed(&chunks.iter().map(String::as_str).collect::<Vec<_>>())
}

fn usage() -> Summary {
    Summary::new(Tokens::Usage(1), Tokens::Usage(2))
}

#[test]
fn parameters_go_over_the_defaults_and_null_takes_them_away() {
    assert_eq!(
        body_with(json!({"stop": null, "top_p": 0.5, "stream_options": {"x": 1}})),
        r#"{..,"stream":true,"stream_options":{"x":1},"top_p":0.5}"#
    );
    assert_eq!(
        body_with(json!({"stream_options": null})),
        r#"{..,"stream":true,"stop":["x"]}"#
    );
}

#[test]
fn stream_options_go_with_the_stream() {
    assert_eq!(
        body_with(json!({"stream": false})),
        r#"{..,"stream":false,"stop":["x"]}"#
    );
    assert_eq!(body_with(json!({"stream": null})), r#"{..,"stop":["x"]}"#);
    assert_eq!(
        body_with(json!({"stream": false, "stream_options": {"x": 1}})),
        r#"{..,"stream":false,"stream_options":{"x":1},"stop":["x"]}"#
    );
}

#[test]
fn a_conversation_is_sent_as_given() {
    let messages = vec![
        json!({"role": "user", "content": "a"}),
        json!({"role": "assistant", "content": "b"}),
    ];
    let body = body(
        &options(json!({})),
        Prompt::Messages(messages.clone()),
        json!(null),
    );
    assert_eq!(body["messages"], Value::Array(messages));
}

#[test]
fn a_stream_with_usage_at_its_end() {
    let result = outputs_of(&[
        r#"{"role":"assistant","content":""}"#,
        r#"{"content":"a"}"#,
        r#"{"content":" b"}"#,
        "{}",
    ]);
    assert_eq!(result, Ok(usage().outputs([1, 2])));
}

#[test]
fn what_is_no_output() {
    let result = outputs_of(&[
        "null",
        r#"{"content":null,"tool_calls":null,"function_call":null,"reasoning":null,"refusal":null}"#,
        r#"{"content":[],"tool_calls":[]}"#,
        r#"{"tool_calls":[{"index":0,"id":"1","function":{"name":"","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":null}]}"#,
    ]);
    assert_eq!(result, Ok(usage().outputs([])));
}

#[test]
fn what_is_output() {
    let deltas = [
        r#"{"content":"\n"}"#,
        r#"{"content":[{"type":"text","text":"a"}]}"#,
        r#"{"reasoning_content":"a"}"#,
        r#"{"content":"","reasoning":"a"}"#,
        r#"{"refusal":"no"}"#,
        r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}"#,
        r#"{"function_call":{"name":"f"}}"#,
        r#"{"function_call":{"arguments":"{"}}"#,
    ];
    assert_eq!(outputs_of(&deltas), Ok(usage().outputs(0..9)));
}

#[test]
fn a_plain_response_and_one_of_the_older_api() {
    let chat = r#" {"object":"chat.completion","choices":[{"message":{"role":"assistant","content":"x y"}}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    assert_eq!(
        parsed(&[chat]),
        Ok(Summary::new(Tokens::Usage(7), Tokens::Usage(2)).output(0))
    );
    let older = [
        r#"{"choices":[{"text":""}]}"#,
        r#"{"choices":[{"text":"x y z"}]}"#,
    ];
    assert_eq!(
        parsed(&older),
        Ok(Summary::new(Tokens::Tokenizer(3), Tokens::Tokenizer(3)).output(1))
    );
}

#[test]
fn the_last_report_of_each_figure_counts() {
    let chunks = [
        r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#,
        r#"{"choices":[{"delta":{"content":"b"}}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#,
        r#"{"choices":[],"usage":{"completion_tokens":3,"prompt_tokens":null}}"#,
        r#"{"choices":null,"usage":null,"error":null}"#,
    ];
    assert_eq!(
        parsed(&chunks),
        Ok(Summary::new(Tokens::Usage(5), Tokens::Usage(3)).outputs([0, 1]))
    );
}

#[test]
fn each_side_is_counted_where_the_server_is_silent() {
    let half = |usage: &str| {
        parsed(&[
            &delta(r#"{"content":"x y"}"#),
            &format!(r#"{{"usage":{usage}}}"#),
        ])
    };
    let expected = |prompt, completion| Ok(Summary::new(prompt, completion).output(0));
    assert_eq!(
        half(r#"{"prompt_tokens":9}"#),
        expected(Tokens::Usage(9), Tokens::Tokenizer(2))
    );
    assert_eq!(
        half(r#"{"completion_tokens":9}"#),
        expected(Tokens::Tokenizer(3), Tokens::Usage(9))
    );
    assert_eq!(
        half("{}"),
        expected(Tokens::Tokenizer(3), Tokens::Tokenizer(2))
    );
}

#[test]
fn without_a_tokenizer_what_is_silent_is_unknown() {
    let chunks =
        bytes(&[r#"{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":4}}"#]);
    let summary = parse(&chunks, REQUEST, |_| None);
    assert_eq!(
        summary,
        Ok(Summary::new(Tokens::Usage(4), Tokens::Unknown).output(0))
    );
}

#[test]
fn nothing_is_counted_that_the_server_reported() {
    let chunks =
        bytes(&[r#"{"choices":[{"text":"x"}],"usage":{"prompt_tokens":4,"completion_tokens":1}}"#]);
    let asked = std::cell::Cell::new(false);
    let summary = parse(&chunks, REQUEST, |_| {
        asked.set(true);
        None
    });
    assert!(summary.is_ok() && !asked.get());
}

#[test]
fn the_counted_text_is_reasoning_text_and_arguments() {
    let deltas = [
        r#"{"reasoning_content":"think ","reasoning":"think "}"#,
        r#"{"reasoning_content":"more","reasoning":" and on"}"#,
        r#"{"content":" say"}"#,
        r#"{"tool_calls":[{"function":{"name":"f","arguments":"{\"a\""}}]}"#,
        r#"{"tool_calls":[{"function":{"arguments":":1}"}}]}"#,
    ];
    let chunks: Vec<String> = deltas.iter().map(|d| delta(d)).collect();
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    assert_eq!(counted(&chunks), [r#"think more and on say{"a":1}"#]);
}

#[test]
fn choices_are_counted_apart() {
    let chunks = [
        r#"{"choices":[{"index":1,"delta":{"content":"b1"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a1"}},{"index":1,"delta":{"content":"b2"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a2"}}]}"#,
    ];
    assert_eq!(counted(&chunks), ["b1b2", "a1a2"]);
    assert_eq!(
        counted(&[r#"{"choices":[{"text":"a"},{"text":"b"}]}"#]),
        ["a", "b"]
    );
    assert_eq!(counted(&[r#"{"choices":[]}"#]), [""]);
}

#[test]
fn the_number_of_answers_in_one_stream_is_told_where_there_are_several() {
    let has_choices = |chunks: &[&str]| format!("{:?}", parsed(chunks)).contains("choices");
    let chunk = |index: u32, text: &str| {
        format!(r#"{{"choices":[{{"index":{index},"delta":{{"content":"{text}"}}}}]}}"#)
    };
    let (first, second) = (chunk(0, "a"), chunk(1, "b"));
    assert!(has_choices(&[&first, &second, &first]));
    assert!(!has_choices(&[&second, &second, &second]));
    // A plain answer has no times between its parts.
    assert!(!has_choices(&[
        r#"{"choices":[{"text":"a"},{"text":"b"}]}"#
    ]));
}

#[test]
fn details_become_metrics() {
    let usage = r#"{"prompt_tokens":4,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":2,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":1}}"#;
    let expected = Summary::new(Tokens::Usage(4), Tokens::Usage(3))
        .outputs([])
        .metric("cached_tokens", 2.0)
        .metric("reasoning_tokens", 1.0);
    assert_eq!(
        parsed(&[&format!(r#"{{"choices":[],"usage":{usage}}}"#)]),
        Ok(expected)
    );
    let silent = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"prompt_tokens_details":null,"completion_tokens_details":{"reasoning_tokens":null}}}"#;
    assert_eq!(parsed(&[silent]), Ok(self::usage().outputs([])));
}

#[test]
fn values_of_other_types_say_nothing() {
    for nothing in ["null", "[]", "{}", "\"\"", "0", "false"] {
        for chunk in [
            format!(r#"{{"choices":[{{"index":0,"delta":{nothing},"finish_reason":"stop"}}]}}"#),
            format!(r#"{{"choices":{nothing}}}"#),
            format!(r#"{{"choices":[],"usage":{nothing},"error":{nothing},"x_groq":{nothing}}}"#),
            format!(
                r#"{{"choices":[{{"delta":{{"content":{nothing},"tool_calls":{nothing},"function_call":{nothing}}},"message":{nothing},"usage":{nothing}}}]}}"#
            ),
            format!(r#"{{"usage":{{"prompt_tokens_details":{nothing},"models":{nothing}}}}}"#),
        ] {
            let text = delta(r#"{"content":"a"}"#);
            let usage = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
            let summary = parsed(&[&text, &chunk, usage]);
            assert_eq!(summary, Ok(self::usage().outputs([0])), "{chunk}");
        }
    }
}

#[test]
fn half_a_surrogate_pair_loses_only_itself() {
    let chunks = [
        delta(r#"{"content":"a\ud83d"}"#),
        delta(r#"{"content":"\ude00b\\\ud83d\ude00"}"#),
    ];
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    assert_eq!(counted(&chunks), ["a\u{fffd}\u{fffd}b\\\u{1f600}"]);
}

#[test]
fn usage_is_read_wherever_it_stands() {
    let last = |chunk: &str| parsed(&[&delta(r#"{"content":"a"}"#), chunk]);
    for chunk in [
        r#"{"choices":[{"delta":{},"usage":{"prompt_tokens":1,"completion_tokens":2}}]}"#,
        r#"{"choices":[],"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2}}}"#,
        r#"{"usage":{"models":[{"input_tokens":1,"output_tokens":2}]}}"#,
        r#"{"usage":{"prompt_tokens":0,"input_tokens":1,"output_tokens":2}}"#,
    ] {
        assert_eq!(last(chunk), Ok(usage().output(0)), "{chunk}");
    }
    let zero =
        r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#;
    let real = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let text = delta(r#"{"content":"a"}"#);
    assert_eq!(parsed(&[&text, real, zero]), Ok(usage().output(0)));
    let none = Summary::new(Tokens::Usage(0), Tokens::Usage(0));
    assert_eq!(parsed(&[zero]), Ok(none.outputs([])));
}

#[test]
fn reasoning_is_read_under_all_its_names() {
    let deltas = [
        r#"{"reasoning":"a ","reasoning_details":[{"type":"reasoning.text","text":"a "}]}"#,
        r#"{"reasoning_details":[{"type":"reasoning.summary","summary":"b "}]}"#,
        r#"{"thinking":"c "}"#,
        r#"{"reasoning_content":"d ","thinking":"d "}"#,
        r#"{"content":"e"}"#,
    ];
    assert_eq!(outputs_of(&deltas), Ok(usage().outputs(0..5)));
    let chunks: Vec<String> = deltas.iter().map(|d| delta(d)).collect();
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    assert_eq!(counted(&chunks), ["a b c d e"]);
}

#[test]
fn the_whole_message_once_more_is_no_output() {
    let parts = ["one", " two", " three"].map(|text| delta(&format!(r#"{{"content":"{text}"}}"#)));
    for tail in [
        r#"{"choices":[{"message":{"role":"assistant","content":"one two three"}}]}"#,
        r#"{"choices":[{"delta":{},"message":{"content":"one two three"},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"delta":{"content":"one two three"},"finish_reason":"stop"}]}"#,
    ] {
        let mut chunks: Vec<&str> = parts.iter().map(String::as_str).collect();
        chunks.push(tail);
        assert_eq!(counted(&chunks), ["one two three"], "{tail}");
        chunks.push(r#"{"usage":{"prompt_tokens":1,"completion_tokens":2}}"#);
        assert_eq!(parsed(&chunks), Ok(usage().outputs(0..3)), "{tail}");
    }
    let shape = delta(r#"{"content":"one two three"}"#);
    let mut chunks: Vec<&str> = parts.iter().map(String::as_str).collect();
    chunks.push(&shape);
    assert_eq!(counted(&chunks), ["one two three"]);
    let longer = delta(r#"{"content":" one two fours"}"#);
    chunks[3] = &longer;
    assert_eq!(counted(&chunks), ["one two three one two fours"]);
    let whole = [r#"{"choices":[{"message":{"content":"a"}}]}"#; 2];
    assert_eq!(counted(&whole), ["aa"]);
}

#[test]
fn text_that_is_repeated_in_each_chunk_is_counted_once() {
    let texts = ["a", "a b", "a b", "a b c", "a b c"];
    let chunks: Vec<String> = texts
        .iter()
        .map(|text| delta(&format!(r#"{{"content":"{text}"}}"#)))
        .collect();
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    assert_eq!(counted(&chunks), ["a b c"]);
    let expected = Summary::new(Tokens::Tokenizer(3), Tokens::Tokenizer(3));
    assert_eq!(parsed(&chunks), Ok(expected.outputs([0, 1, 3])));
}

#[test]
fn reasoning_that_is_counted_and_does_not_come_is_told() {
    let hidden = |delta_: &str, usage: &str| {
        let usage = format!(r#"{{"choices":[],"usage":{usage}}}"#);
        let summary = parsed(&[&delta(delta_), &delta(r#"{"content":" b"}"#), &usage]).unwrap();
        format!("{summary:?}").contains(crate::usage::HIDDEN_REASONING)
    };
    let counted = r#"{"prompt_tokens":1,"completion_tokens":102,"completion_tokens_details":{"reasoning_tokens":100}}"#;
    assert!(hidden(r#"{"content":"a"}"#, counted));
    for came in [
        r#"{"reasoning":"a"}"#,
        r#"{"reasoning_details":[{"text":"a"}]}"#,
        r#"{"thinking":"a"}"#,
        r#"{"content":"<think>a"}"#,
    ] {
        assert!(!hidden(came, counted), "{came}");
    }
    let apart = r#"{"prompt_tokens":1,"completion_tokens":200,"total_tokens":301,"completion_tokens_details":{"reasoning_tokens":100}}"#;
    assert!(hidden(r#"{"content":"a"}"#, apart));
    assert!(!hidden(r#"{"reasoning":"a"}"#, apart));
    let none = r#"{"prompt_tokens":1,"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":0}}"#;
    assert!(!hidden(r#"{"content":"a"}"#, none));
}

#[test]
fn reasoning_that_is_counted_beside_the_answer_is_a_part_of_the_output() {
    // As xAI counts.
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":38,"completion_tokens_details":{"reasoning_tokens":30}}}"#;
    let summary = parsed(&[
        &delta(r#"{"reasoning_content":"hm"}"#),
        &delta(r#"{"content":"a"}"#),
        usage,
    ]);
    let expected = Summary::new(Tokens::Usage(5), Tokens::Usage(33))
        .outputs([0, 1])
        .metric("reasoning_tokens", 30.0);
    assert_eq!(summary, Ok(expected));
}

#[test]
fn of_a_member_that_comes_twice_the_last_one_counts() {
    let twice = r#"{"reasoning_content":"x","content":null,"reasoning_content":"hm"}"#;
    assert_eq!(
        counted(&[&delta(twice), &delta(r#"{"content":"a"}"#)]),
        ["hma"]
    );
}

#[test]
fn an_error_in_the_stream_fails_the_request() {
    let error = |chunk: &str| {
        parsed(&[&delta(r#"{"content":"a"}"#), chunk])
            .err()
            .unwrap_or_default()
    };
    assert_eq!(
        error(r#"{"error":{"message":"KV cache is full","type":"internal","code":500}}"#),
        "the server reported an error: KV cache is full (internal, 500)"
    );
    assert_eq!(
        error(r#"{"error":"aborted"}"#),
        "the server reported an error: aborted"
    );
    assert_eq!(
        error(r#"{"object":"error","message":"too long","code":400}"#),
        "the server reported an error: too long"
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let error = |chunk: &str| parsed(&[&delta("{}"), chunk]).err().unwrap_or_default();
    assert_eq!(
        error(r#"{"a":x}"#),
        "chunk 2, column 6: not valid JSON: expected value"
    );
    assert_eq!(
        error("<html>"),
        "chunk 2, column 1: not valid JSON: expected value"
    );
    assert_eq!(
        error(r#"[{"choices":[1]}]"#),
        "chunk 2 is not a JSON object"
    );
    assert_eq!(
        parsed(&["x"]),
        Err("the response, column 1: not valid JSON: expected value".to_owned())
    );
    // Bytes that are no character are the model's or the server's doing, and no reason to lose the counts.
    let bytes = b"{\"choices\":[{\"text\":\"\xff\"}]}".to_vec();
    assert!(parse(&[bytes], "", |_| None).is_ok());
}

#[test]
fn what_says_nothing_is_no_output() {
    let nothing = |chunks: &[&str]| {
        let counted = Summary::new(Tokens::Tokenizer(3), Tokens::Tokenizer(0));
        assert_eq!(parsed(chunks), Ok(counted.outputs([])), "{chunks:?}");
    };
    nothing(&[]);
    nothing(&["", " ", "null", "[]", "0", "\"\""]);
    nothing(&["{}", r#"{"choices":7}"#, r#"{"choices":[null,0,"",[]]}"#]);
    let last = r#"{"choices":[{"text":"a"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    assert_eq!(parsed(&["", last]), Ok(usage().output(1)));
}

#[test]
fn the_prompt_of_the_older_api_is_counted_too() {
    let texts = |request| prompt_texts(request).unwrap_or_default();
    assert_eq!(texts(r#"{"prompt":"a b"}"#), ["a b"]);
    assert_eq!(texts(r#"{"prompt":["a","b"]}"#), ["ab"]);
    assert_eq!(prompt_texts(r#"{"prompt":[1,2]}"#), None);
    assert_eq!(prompt_texts("x"), None);
}

/// What servers send, one chunk each, with a text that is easy to find.
const CHUNKS: [&str; 9] = [
    r#"{"id":"c","choices":[{"index":0,"delta":{"content":"Text"},"finish_reason":null}],"usage":null}"#,
    r#"{"choices":[{"index":1,"delta":{"role":"Text","content":"Text"}}],"error":null}"#,
    r#"{"choices":[{"delta":{"content":"","reasoning_content":"Text"}}],"error":{}}"#,
    r#"{"choices":[{"delta":{"reasoning_content":"Text","reasoning":"Text"}}]}"#,
    r#"{"choices":[{"delta":{"content":"Text","tool_calls":[{"function":{"name":"Text"}}]}}]}"#,
    r#"{"choices":[{"text":"Text","delta":{}}],"usage":{"prompt_tokens":1}}"#,
    r#"{"choices":[{"text":"Text","message":null}],"object":"x","message":"Text"}"#,
    r#"{"choices":[{"delta":{"content":[{"text":"Text"}]}},{"delta":{"content":"Text"}}]}"#,
    r#"{"choices":[{"delta":{"content":{"text":"Text","refusal":""}},"text":""}]}"#,
];

#[test]
fn a_known_shape_changes_no_result() {
    let texts = [
        "Text",
        "x",
        "",
        "\\n",
        "\\",
        "\"",
        "\n",
        "é",
        r#"","content":""#,
        r#""}},{"text":""#,
    ];
    for chunk in CHUNKS {
        let mut stream: Vec<String> = texts
            .iter()
            .map(|text| chunk.replace("Text", text))
            .collect();
        for (number, text) in texts.iter().enumerate() {
            stream.push(chunk.replacen("Text", text, number % 2 + 1));
        }
        for odd in &stream {
            let _ = parsed(&[chunk, odd, chunk]);
        }
        stream.retain(|chunk| parsed(&[chunk]).is_ok());
        let stream: Vec<&str> = stream.iter().map(String::as_str).collect();
        assert!(parsed(&stream).is_ok());
    }
    let mixed: Vec<&str> = CHUNKS.iter().chain(&CHUNKS).copied().collect();
    assert!(parsed(&mixed).is_ok());
}

#[test]
fn a_chunk_that_is_damaged_anywhere_gives_what_it_gave_when_read() {
    let bytes_for: &[u8] = b"\"\\{}[],:0xT \n\x00\xff\xc3\xa9";
    for chunk in CHUNKS {
        let whole = chunk.as_bytes().to_vec();
        let check = |damaged: Vec<u8>| {
            let _ = parsed_both_ways(&[whole.clone(), damaged, whole.clone()], REQUEST);
        };
        for place in 0..whole.len() {
            check(whole[..place].to_vec());
            check([&whole[..place], &whole[place + 1..]].concat());
            for &byte in bytes_for {
                check([&whole[..place], &[byte], &whole[place + 1..]].concat());
                check([&whole[..place], &[byte], &whole[place..]].concat());
            }
        }
    }
}

#[test]
fn most_chunks_of_a_stream_are_not_read_as_json() {
    let mut shapes = Shapes::new();
    let chunk = delta(r#"{"content":"a"}"#).into_bytes();
    let stream = [chunk.clone(), delta(r#"{"content":"bc"}"#).into_bytes()];
    assert!(shapes.recognize(&chunk).is_none());
    let first = read::<Chunk<'_>>(&stream, 0).unwrap().unwrap();
    let (choice, kind, text) = first.only_text().expect("it brings one text");
    shapes.learn(&stream[0], choice, kind, text);
    let piece = shapes.recognize(&stream[1]).expect("the shape is known");
    assert_eq!(&*piece.text(), "bc");
}

/// All that is read of a response, with what of it is wanted in a conversation.
fn read_of(chunks: &[&str]) -> Summary {
    let events = bytes(chunks);
    let response = Response {
        wants_reply: true,
        ..Response::of(&events)
    };
    super::response(&response, |_| None).expect("a response")
}

#[test]
fn reasoning_and_calls_of_tools_are_no_answer() {
    let summary = read_of(&[
        r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_content":"hm"},"finish_reason":null}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f"}}]}}]}"#,
        r#"{"choices":[{"delta":{"content":"a"},"finish_reason":null}]}"#,
        r#"{"choices":[{"delta":{"content":"b"},"finish_reason":null}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#,
    ]);
    let expected = Summary::default()
        .outputs([1, 2, 3, 4])
        .answers([3, 4])
        .finish_reason("length")
        .reply(json!({
            "role": "assistant",
            "content": "ab",
            "tool_calls": [{"id": "", "type": "function", "function": {"name": "f", "arguments": ""}}],
        }));
    assert_eq!(summary, expected);
}

#[test]
fn tokens_so_far_are_those_of_every_chunk_or_none() {
    let chunk = |text: &str, tokens: &str| {
        format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}],"usage":{tokens}}}"#)
    };
    let usage = |tokens: u64| format!(r#"{{"prompt_tokens":3,"completion_tokens":{tokens}}}"#);
    let read_with = |usages: [String; 3]| {
        let chunks: Vec<String> = usages.iter().map(|usage| chunk("a", usage)).collect();
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        read_of(&chunks)
    };
    let told = Summary::new(Tokens::Usage(3), Tokens::Usage(6))
        .outputs([0, 1, 2])
        .answers([0, 1, 2])
        .reply(json!({"role": "assistant", "content": "aaa"}));
    let all = [usage(1), usage(4), usage(6)];
    assert_eq!(read_with(all), told.clone().tokens_so_far([1, 4, 6]));
    assert_eq!(read_with([usage(1), "null".to_owned(), usage(6)]), told);
    assert_eq!(read_with([usage(6), usage(4), usage(6)]), told);
}

#[test]
fn a_request_is_the_body_of_today_and_knows_the_length_of_the_answer() {
    let settings = |parameters: Value| Settings {
        model: "m".to_owned(),
        parameters: parameters.as_object().cloned().unwrap_or_default(),
    };
    for parameters in [
        json!({}),
        json!({"stream": false}),
        json!({"stream": false, "stream_options": {"a": 1}}),
        json!({"temperature": 0.5, "model": null, "stop": null}),
    ] {
        let made = request(
            Item::of_prompt("hi"),
            &settings(parameters.clone()),
            json!({"stop": ["x"]}),
        );
        let today = body(&options(parameters), "hi".into(), json!({"stop": ["x"]}));
        assert_eq!(made, Ok(Request::json(&today)));
    }
    let streams_with = |stream_options: Value| {
        let settings = settings(json!({"stream_options": stream_options}));
        let made = request(Item::of_prompt("hi"), &settings, json!({})).expect("a request");
        made.to_json()["stream_options"].clone()
    };
    assert_eq!(
        streams_with(json!({"continuous_usage_stats": true})),
        json!({"continuous_usage_stats": true, "include_usage": true})
    );
    let refused = json!({"include_usage": false});
    assert_eq!(streams_with(refused.clone()), refused);
    let with = |item: Value, parameters: Value| {
        let item = serde_json::from_value(item).expect("an item");
        let made = request(item, &settings(parameters), json!({})).expect("a request");
        let mut body = made.to_json();
        for common in ["model", "messages", "stream", "stream_options"] {
            body.as_object_mut()
                .expect("an object")
                .shift_remove(common);
        }
        body.to_string()
    };
    let item = json!({"prompt": "x", "tools": [{"type": "function"}], "output": {"max": 9}});
    assert_eq!(
        with(item, json!({})),
        r#"{"tools":[{"type":"function"}],"max_completion_tokens":9}"#
    );
    let exact = json!({"prompt": "x", "output": {"max": 9, "exact": true}});
    assert_eq!(
        with(exact.clone(), json!({})),
        r#"{"max_completion_tokens":9,"min_tokens":9,"ignore_eos":true}"#
    );
    assert_eq!(
        with(exact, json!({"max_tokens": 5, "ignore_eos": null})),
        r#"{"min_tokens":9,"max_tokens":5}"#
    );
    assert!(request(Item::default(), &settings(json!({})), json!({})).is_err());
}
