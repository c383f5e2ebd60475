//! The built-in parsers: what each sends, for a prompt and for each entry of a data set, and what
//! becomes of `--parameters` in it.

use crate::helpers::{good, last_headers, numbers, quick_mock, refused};
use crate::support::{Bench, Ended, Mock, run};
use serde_json::{Value, json};

/// DashScope's endpoint on the mock server.
const DASHSCOPE: &str = "/api/v1/services/aigc/text-generation/generation";

/// A built-in parser and what it adds to a request.
struct Case {
    name: &'static str,
    /// A data set of two entries, the prompts `one` and `two`.
    dataset: Option<&'static str>,
    /// Members beyond those of every OpenAI request.
    adds: fn() -> Value,
}

fn nothing() -> Value {
    json!({})
}

fn qwen() -> Value {
    json!({"skip_special_tokens": false, "stop": ["<|im_end|>"]})
}

fn llama3() -> Value {
    json!({"stop_token_ids": [128001, 128009]})
}

const LINES: &str = "one\ntwo\n";
const JSON_LINES: &str =
    "{\"question\": \"one\", \"human_answers\": [\"x\"]}\n{\"question\": \"two\"}\n";
const ARRAY: &str =
    "[{\"instruction\": \"one\", \"output\": \"x\"},\n {\"instruction\": \"two\"}]\n";

const OPENAI: [Case; 6] = [
    Case {
        name: "openai_prompt",
        dataset: None,
        adds: nothing,
    },
    Case {
        name: "openai_line_by_line",
        dataset: Some(LINES),
        adds: nothing,
    },
    Case {
        name: "openai_openqa_qwen",
        dataset: Some(JSON_LINES),
        adds: qwen,
    },
    Case {
        name: "openai_openqa_llama3",
        dataset: Some(JSON_LINES),
        adds: llama3,
    },
    Case {
        name: "openai_longalpaca_12k_qwen",
        dataset: Some(ARRAY),
        adds: qwen,
    },
    Case {
        name: "openai_longalpaca_12k_llama3",
        dataset: Some(ARRAY),
        adds: llama3,
    },
];

/// The body of a request, with `more` over what every OpenAI parser sends; null takes a member away.
fn openai_body(prompt: &str, adds: Value, more: Value) -> Value {
    let mut body = json!({
        "model": "m",
        "messages": [{"role": "user", "content": prompt}],
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    for members in [adds, more] {
        for (key, value) in members.as_object().expect("an object") {
            let body = body.as_object_mut().expect("an object");
            match value {
                Value::Null => body.remove(key),
                value => body.insert(key.clone(), value.clone()),
            };
        }
    }
    body
}

/// The bodies of one run of a parser, with these arguments.
fn bodies(mock_path: &str, parser: &str, arguments: &[&str]) -> Vec<Value> {
    let mock = quick_mock();
    let bench = Bench::new();
    for (name, content) in [("lines", LINES), ("jsonl", JSON_LINES), ("array", ARRAY)] {
        bench.file(name, content);
    }
    let url = mock.url(mock_path);
    let ended = run(bench
        .perf(&["--url", &url, "--parser", parser])
        .args(arguments));
    assert_eq!(ended.code, Some(0), "{parser}: {}", ended.stderr);
    mock.bodies()
}

/// The name under which [`bodies`] writes a data set.
fn file_of(dataset: &str) -> &'static str {
    match dataset {
        LINES => "lines",
        JSON_LINES => "jsonl",
        _ => "array",
    }
}

#[test]
fn bodies_of_a_prompt() {
    for Case { name, adds, .. } in OPENAI {
        let sent = bodies("/v1/chat/completions", name, &["--prompt", "why \"ü\" 😀?"]);
        let expected = openai_body("why \"ü\" 😀?", adds(), json!({}));
        assert_eq!(sent, [expected], "{name}");
    }
}

#[test]
fn bodies_of_a_data_set() {
    for Case {
        name,
        adds,
        dataset,
    } in OPENAI
    {
        let Some(dataset) = dataset else { continue };
        let sent = bodies(
            "/v1/chat/completions",
            name,
            &["--dataset", file_of(dataset)],
        );
        let expected = ["one", "two"].map(|prompt| openai_body(prompt, adds(), json!({})));
        assert_eq!(sent, expected, "{name}");
    }
}

#[test]
fn parameters_are_merged_over_the_defaults() {
    for Case { name, adds, .. } in OPENAI {
        let sent = bodies(
            "/v1/chat/completions",
            name,
            &[
                "--prompt",
                "x",
                "--parameters",
                "stop=[\"a\"]",
                "top_p=0.5",
                "skip_special_tokens=null",
                "stop_token_ids=null",
                "stream_options=null",
            ],
        );
        let expected = openai_body(
            "x",
            adds(),
            json!({
                "stop": ["a"],
                "top_p": 0.5,
                "skip_special_tokens": null,
                "stop_token_ids": null,
                "stream_options": null,
            }),
        );
        assert_eq!(sent, [expected], "{name}");
    }
}

#[test]
fn parameters_of_chat_completions() {
    let usage = json!({"include_usage": true});
    for (parameters, more) in [
        (
            &["temperature=0.5", "max_tokens=3"][..],
            json!({"temperature": 0.5, "max_tokens": 3}),
        ),
        (
            &["stream=bool_false"],
            json!({"stream": false, "stream_options": null}),
        ),
        (
            &["stream_options=null", "model=null"],
            json!({"stream_options": null, "model": null}),
        ),
        // Usage is asked for beside what the user asks for, unless the user says otherwise.
        (
            &["stream_options={\"continuous_usage_stats\": true}"],
            json!({"stream_options": {"continuous_usage_stats": true, "include_usage": true}}),
        ),
        (
            &["stream_options={\"include_usage\": false}"],
            json!({"stream_options": {"include_usage": false}}),
        ),
        (
            &["stream_options={}", "stream=bool_true"],
            json!({"stream_options": usage}),
        ),
        (
            &["stream_options={\"x\": 1}", "stream=bool_false"],
            json!({"stream": false, "stream_options": {"x": 1}}),
        ),
    ] {
        for parser in ["openai_chat", "openai_prompt"] {
            let arguments = [&["--prompt", "why?", "--parameters"], parameters].concat();
            let sent = bodies("/v1/chat/completions", parser, &arguments);
            let expected = openai_body("why?", json!({}), more.clone());
            assert_eq!(sent, [expected], "{parser} {parameters:?}");
        }
    }
}

#[test]
fn the_prompt_parser_reads_no_data_set() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("lines", LINES);
    let arguments = ["--dataset", "lines", "--parser", "openai_prompt"];
    let text = refused(&bench, &mock, &arguments, 1);
    assert!(text.contains("--prompt only"), "{text}");
    assert!(text.contains("openai_line_by_line"), "{text}");
}

#[test]
fn dashscope_bodies_have_their_own_shape() {
    let body = |prompt: &str, parameters: Value| {
        json!({
            "model": "m",
            "input": {"messages": [{"role": "user", "content": prompt}]},
            "parameters": parameters,
        })
    };
    let defaults = || json!({"stream": true, "incremental_output": true});
    let parser = "dashscope_line_by_line";
    assert_eq!(
        bodies(DASHSCOPE, parser, &["--prompt", "why?"]),
        [body("why?", defaults())]
    );
    assert_eq!(
        bodies(DASHSCOPE, parser, &["--dataset", "lines"]),
        [body("one", defaults()), body("two", defaults())]
    );
    let merged = [
        "--prompt",
        "why?",
        "--parameters",
        "top_k=5",
        "stream=null",
        "incremental_output=bool_false",
    ];
    assert_eq!(
        bodies(DASHSCOPE, parser, &merged),
        [body(
            "why?",
            json!({"incremental_output": false, "top_k": 5})
        )]
    );
}

/// A run of the DashScope parser against the mock server's DashScope endpoint.
fn dashscope(bench: &Bench, mock: &Mock, arguments: &[&str]) -> Ended {
    bench.file("lines", "one two three\n");
    let url = mock.url(DASHSCOPE);
    let all = [
        "--url",
        &url,
        "--parser",
        "dashscope_line_by_line",
        "--dataset",
        "lines",
    ];
    let ended = run(bench.perf(&all).args(arguments));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

#[test]
fn dashscope_streams_and_its_usage_is_read() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let ended = dashscope(&bench, &mock, &[]);
    assert_eq!(last_headers(&mock)["x-dashscope-sse"], "enable");
    let adds = "which adds to every request x-dashscope-sse: enable";
    assert!(ended.stderr.contains(adds), "{}", ended.stderr);
    let chunks = numbers(&bench, "SELECT n_chunks FROM result");
    assert!(chunks[0] >= 5.0, "it did not stream: {chunks:?}");
    assert_eq!(numbers(&bench, "SELECT prompt_tokens FROM result"), [3.0]);
    assert_eq!(
        numbers(&bench, "SELECT completion_tokens FROM result"),
        [5.0]
    );
}

#[test]
fn the_users_headers_win_over_those_of_the_parser() {
    let (bench, mock) = (Bench::new(), quick_mock());
    dashscope(&bench, &mock, &["--headers", "x-dashscope-sse=disable"]);
    assert_eq!(last_headers(&mock)["x-dashscope-sse"], "disable");
    // The server took it at its word, and the one piece is read as well.
    assert_eq!(numbers(&bench, "SELECT n_chunks FROM result"), [1.0]);
    assert_eq!(
        numbers(&bench, "SELECT completion_tokens FROM result"),
        [5.0]
    );
}

#[test]
fn a_plain_response_is_read_whatever_usage_says() {
    for usage in ["final", "every"] {
        let (bench, mock) = (Bench::new(), crate::helpers::mock(&["--usage", usage]));
        let arguments = ["--prompt", "a b c", "--parameters", "stream=bool_false"];
        good(&bench, &mock, &arguments);
        let rows = bench.rows("SELECT n_chunks, prompt_tokens, completion_tokens FROM result");
        assert_eq!(json!(rows), json!([[1, 3, 5]]), "{usage}");
        // Servers turn a request down that asks for usage in a stream without asking for a stream.
        assert_eq!(mock.bodies()[0].get("stream_options"), None, "{usage}");
    }
}

#[test]
fn usage_in_every_chunk_is_not_added_up() {
    let (bench, mock) = (Bench::new(), crate::helpers::mock(&["--usage", "every"]));
    good(&bench, &mock, &["--prompt", "a b c"]);
    let rows = bench.rows("SELECT prompt_tokens, completion_tokens FROM result");
    assert_eq!(json!(rows), json!([[3, 5]]));
}
