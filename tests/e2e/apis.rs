//! APIs and formats of data sets, apart from each other: `--parser` makes requests of items, `--dataset-parser` reads the
//! file.

use crate::helpers::{good, mock, numbers, older_plugin, paragraph, prompts, quick_mock, refused};
use crate::support::{Bench, program, run};
use serde_json::{Value, json};

const CHAT: &str = "openai_chat";

#[test]
fn a_parser_with_a_format_of_its_own_takes_any_other_workload() {
    let mock = quick_mock();
    let run = |file: &str, content: &str, arguments: &[&str]| {
        let bench = Bench::new();
        bench.file(file, content);
        let parser = ["--parser", "openai_openqa_qwen"];
        let ended = good(&bench, &mock, &[&parser[..], arguments].concat());
        (bench, ended.stderr)
    };
    let data = ["--dataset", "data", "--dataset-parser", "lines"];
    let (_, said) = run("data", "one\n", &data);
    assert!(said.contains("read as lines"), "{said}");
    let tokenizer = crate::support::repository().join("datasets/tokenizer");
    let tokenizer = ["--tokenizer-path", tokenizer.to_str().expect("a text")];
    let made_up = ["--input-tokens", "20", "--output-tokens", "3", "-n", "1"];
    run("none", "", &[&made_up[..], &tokenizer].concat());
    let bodies = mock.bodies();
    assert_eq!(bodies.len(), 2);
    for body in &bodies {
        assert_eq!(body["stop"], json!(["<|im_end|>"]), "{body}");
    }
    assert_eq!(bodies[1]["max_completion_tokens"], 3);
    // Its own format is nothing that was chosen, and no other API's.
    let (bench, said) = run("own", "{\"question\":\"two\"}\n", &["--dataset", "own"]);
    assert!(!said.contains("read as"), "{said}");
    let told = bench.value("select json_extract(plan, '$.dataset_parser') from run");
    assert_eq!(told, Value::Null);
    let other = ["--dataset", "own", "--dataset-parser", "openai_openqa_qwen"];
    let fresh = Bench::new();
    fresh.file("own", "{\"question\":\"two\"}\n");
    let error = refused(
        &fresh,
        &quick_mock(),
        &[&["--parser", CHAT][..], &other].concat(),
        2,
    );
    assert!(error.contains("there is no format"), "{error}");
}

#[test]
fn the_format_of_a_file_is_recognised_and_said() {
    for (content, format, expected) in [
        ("one\ntwo\n", "lines (lines of text", &["one", "two"][..]),
        (
            "\u{feff}one\r\ntwo",
            "lines (lines of text",
            &["one", "two"],
        ),
        (
            "{\"prompt\":\"one\"}\n\n{\"prompt\":\"two\"}\n",
            "json_lines (JSON lines with",
            &["one", "two"],
        ),
        (
            "\u{feff}{\"id\":1,\"question\":\"one\"}\r\n",
            "json_lines (JSON lines with",
            &["one"],
        ),
        (
            "{\"messages\":[{\"role\":\"user\",\"content\":\"one\"}]}\n",
            "json_lines (JSON lines with",
            &["one"],
        ),
    ] {
        let (bench, mock) = (Bench::new(), quick_mock());
        bench.file("data", content);
        let ended = good(&bench, &mock, &["--parser", CHAT, "--dataset", "data"]);
        assert_eq!(prompts(&mock), expected, "{content:?}");
        let said = format!("Data set data read as {format}");
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
        let told = bench.value("select json_extract(plan, '$.dataset_parser') from run");
        assert_eq!(Some(told.as_str().unwrap()), format.split(' ').next());
    }
}

#[test]
fn a_conversation_brings_its_tools_its_system_message_and_its_length() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file(
        "data",
        json!({
            "system": "s",
            "messages": [{"role": "user", "content": "a"}],
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "max_tokens": 2,
        })
        .to_string(),
    );
    good(&bench, &mock, &["--parser", CHAT, "--dataset", "data"]);
    assert_eq!(
        mock.bodies(),
        [json!({
            "model": "m",
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}],
            "tools": [{"type": "function", "function": {"name": "f"}}],
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_completion_tokens": 2,
        })]
    );
    assert_eq!(bench.value("select completion_tokens from result"), 2);
    assert_eq!(bench.value("select finish_reason from result"), "length");
}

#[test]
fn the_format_can_be_chosen() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("data", "{\"prompt\":\"one\"}\n");
    let arguments = [
        "--parser",
        CHAT,
        "--dataset",
        "data",
        "--dataset-parser",
        "lines",
    ];
    let ended = good(&bench, &mock, &arguments);
    assert_eq!(prompts(&mock), ["{\"prompt\":\"one\"}"]);
    assert!(ended.stderr.contains("read as lines"), "{}", ended.stderr);
}

#[test]
fn lengths_bad_lines_and_several_passes_are_as_with_the_older_parsers() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file(
        "data",
        "{\"prompt\":\"one\"}\n{\"other\":1}\n\n{\"prompt\":\"a longer one\"}\n{\"prompt\":\"x\"}\n{\"prompt\":\"two\"}\n",
    );
    let arguments = [
        "--parser",
        CHAT,
        "--dataset",
        "data",
        "--min-prompt-length",
        "1",
    ];
    let arguments = [&arguments[..], &["--max-prompt-length", "5", "-n", "5"]].concat();
    let error = refused(&bench, &mock, &arguments, 1);
    assert!(error.contains("data: line 2: no prompt"), "{error}");
    let arguments = [&arguments[..], &["--skip-bad-lines"]].concat();
    let ended = good(&bench, &mock, &arguments);
    assert_eq!(prompts(&mock), ["one", "two", "one", "two", "one"]);
    let said = paragraph(&ended.stdout, "Data set");
    for part in [
        "6 entries read, used 2.5 times",
        "1 skipped: blank",
        "1 skipped: not longer than the minimum",
        "1 skipped: not shorter than the maximum",
        "passed over, no request could be made of them",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_base_url_is_enough() {
    let mock = quick_mock();
    for base in ["", "/v1", "/v1/chat/completions"] {
        let bench = Bench::new();
        let url = mock.url(base);
        let ended = run(&mut bench.perf(&["--url", &url, "--parser", CHAT, "--prompt", "x"]));
        assert_eq!(ended.code, Some(0), "{url}: {}", ended.stderr);
        let told = bench.value("select json_extract(plan, '$.url') from run");
        assert_eq!(told, mock.chat(), "{url}");
    }
}

#[test]
fn plugins_that_do_not_fit_together_are_refused() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("data", "one\n");
    bench.file("image", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    for (arguments, said) in [
        (
            &[
                "--parser",
                older_plugin(&bench),
                "--dataset-parser",
                "lines",
            ][..],
            "reads data sets in a format of its own",
        ),
        (&["--parser", "lines"], "there is no parser `lines`"),
        (
            &["--parser", CHAT, "--dataset-parser", CHAT],
            "there is no format of data sets `openai_chat`",
        ),
    ] {
        let arguments = [&["--dataset", "data"], arguments].concat();
        let error = refused(&bench, &mock, &arguments, 2);
        assert!(error.contains(said), "{error}");
    }
    let error = refused(&bench, &mock, &["--parser", CHAT, "--dataset", "image"], 2);
    for part in [
        "no format recognises",
        "PNG",
        "\n  json_lines: ",
        "\n  lines: lines of text",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn why_answers_ended_is_counted_everywhere() {
    let bench = Bench::new();
    let mock = mock(&["--tokens", "5", "--ttft", "1ms", "--itl", "1ms"]);
    bench.file(
        "data",
        "{\"prompt\":\"a\",\"max_tokens\":2}\n{\"prompt\":\"b\"}\n{\"prompt\":\"c\"}\n",
    );
    let arguments = [
        "--parser",
        CHAT,
        "--dataset",
        "data",
        "--json",
        "run.json",
        "--csv",
        "run.csv",
    ];
    let ended = good(&bench, &mock, &arguments);
    assert_eq!(
        paragraph(&ended.stdout, "Finish reasons").trim(),
        "Finish reasons stop 2, length 1"
    );
    let document = std::fs::read_to_string(bench.path("run.json")).expect("it was written");
    let document: serde_json::Value = serde_json::from_str(&document).expect("it is JSON");
    assert_eq!(
        document["runs"][0]["totals"]["finish_reasons"],
        json!({"stop": 2, "length": 1})
    );
    let csv = std::fs::read_to_string(bench.path("run.csv")).expect("it was written");
    let has = |part: &str| csv.lines().filter(|line| line.contains(part)).count();
    assert_eq!(
        (has(",finish_reason,"), has(",stop,"), has(",length,")),
        (1, 2, 1)
    );
}

#[test]
fn the_answer_begins_with_the_first_token_that_is_no_reasoning() {
    let bench = Bench::new();
    let mock = mock(&["--tokens", "5", "--ttft", "1ms", "--itl", "1ms"]);
    let ended = good(
        &bench,
        &mock,
        &["--parser", CHAT, "--prompt", "x", "-n", "3"],
    );
    assert!(
        ended.stdout.contains("Time to first answer token"),
        "{}",
        ended.stdout
    );
    let [both] = numbers(
        &bench,
        "select count(*) from result where answer_latency = ttft",
    )[..] else {
        panic!("one number");
    };
    assert_eq!(both, 3.0);
}

#[test]
fn the_plugin_commands_know_apis_and_formats() {
    let bench = Bench::new();
    bench.file("data", "{\"prompt\":\"one\"}\n\n{\"question\":\"two\"}\n");
    let said = |arguments: &[&str]| {
        let ended = run(program()
            .arg("plugin")
            .args(arguments)
            .current_dir(bench.path("")));
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        ended.stdout
    };
    let list = said(&["list"]);
    for part in [
        "openai_chat ",
        "--dataset-parser:\nmooncake",
        "\njson_lines ",
    ] {
        assert!(list.contains(part), "{list}");
    }
    let api = said(&["inspect", CHAT]);
    for part in [
        "llmuses:perf@0.2.0\n",
        "Offers       an API\n",
        "Path         /v1/chat/completions\n",
        "Task         generate\n",
        "Exports      llmuses:perf/perf-plugin@0.2.0\n",
        "--sandbox strict takes it",
    ] {
        assert!(api.contains(part), "{api}");
    }
    let both = said(&["inspect", "openai_openqa_qwen"]);
    for part in [
        "llmuses:perf@0.2.0\n",
        "Offers       an API and a format of data sets\n",
    ] {
        assert!(both.contains(part), "{both}");
    }
    let older = said(&["inspect", older_plugin(&bench)]);
    assert!(
        older.contains("llmuses:perf@0.1.0, an older version"),
        "{older}"
    );
    let format = said(&["check", "json_lines", "--dataset", "data"]);
    for part in [
        "entry 1: {\"turns\":[{\"prompt\":\"one\"}]}",
        "entry 2: {\"turns\":[{\"prompt\":\"two\"}]}",
        "passed over so far: 1 blank",
        "it works",
    ] {
        assert!(format.contains(part), "{format}");
    }
    let api = said(&["check", CHAT, "--dataset", "data"]);
    for part in [
        "\"content\":\"two\"",
        "of these with a part of the answer: 2 (1, 2)",
        "finish reason: stop",
        "reply: {\"role\":\"assistant\",\"content\":\"Hello.\"}",
        "it works",
    ] {
        assert!(api.contains(part), "{api}");
    }
}

#[test]
fn each_api_reads_tokens_and_the_end_of_streamed_and_plain_answers() {
    for (parser, end) in [
        ("openai_chat", "length"),
        ("openai_completions", "length"),
        ("openai_responses", "max_output_tokens"),
        ("anthropic_messages", "max_tokens"),
        ("gemini", "MAX_TOKENS"),
        ("ollama", "length"),
        ("ollama_generate", "length"),
        ("tgi", "length"),
        ("sglang", "length"),
        ("triton", "length"),
    ] {
        for stream in ["bool_true", "bool_false"] {
            let bench = Bench::new();
            let log = bench.path("log");
            let mock = mock(&["--tokens", "9", "--log", &log.display().to_string()]);
            bench.file("data", "{\"prompt\":\"one two three\",\"max_tokens\":4}\n");
            let url = mock.url("");
            let stream_as = format!("stream={stream}");
            let ended = run(bench
                .perf(&["--url", &url, "--parser", parser, "--dataset", "data"])
                .args(["--parameters", &stream_as, "-n", "3"]));
            assert_eq!(ended.code, Some(0), "{parser} {stream}: {}", ended.stderr);
            let rows = bench.rows(
                "SELECT prompt_tokens, completion_tokens, finish_reason, success, ttft IS NULL FROM result",
            );
            let is_plain = i32::from(stream == "bool_false");
            // A plain answer of TGI does not tell the tokens of the prompt.
            let prompt = (parser, is_plain) != ("tgi", 1);
            let row = json!([prompt.then_some(3), 4, end, 1, is_plain]);
            assert_eq!(json!(rows), json!([row, row, row]), "{parser} {stream}");
            let counted = [&json!(3), &json!(4)];
            for line in log_of(&log, 3) {
                assert_eq!(
                    [&line["prompt_tokens"], &line["tokens"]],
                    counted,
                    "{parser}"
                );
            }
        }
    }
}

/// The lines of a log of the mock server, which writes them when a request has ended.
fn log_of(log: &std::path::Path, lines: usize) -> Vec<Value> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let parsed: Vec<Value> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        if parsed.len() >= lines || std::time::Instant::now() > deadline {
            assert_eq!(parsed.len(), lines, "{text}");
            return parsed;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_stream_of_gemini_may_be_one_array() {
    let (bench, mock) = (Bench::new(), mock(&["--tokens", "5", "--itl", "5ms"]));
    let url = mock.url("/v1beta/models/m:streamGenerateContent");
    let ended = run(&mut bench.perf(&[
        "--url", &url, "--parser", "gemini", "--prompt", "x", "-n", "2",
    ]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rows = bench.rows("SELECT completion_tokens, ttft > 0, ttft < latency FROM result");
    assert_eq!(json!(rows), json!([[5, 1, 1], [5, 1, 1]]));
}

/// A data set for an API that takes no prompt, and the figure that it has in place of output tokens.
fn without_output(parser: &str) -> (Value, &'static str) {
    match parser {
        "openai_embeddings" => (json!({"texts": ["one two", "three"]}), "texts per second"),
        _ => (
            json!({"query": "one", "documents": ["two", "three four"]}),
            "documents per second",
        ),
    }
}

#[test]
fn an_api_without_output_tokens_shows_none_and_has_figures_of_its_own() {
    for (parser, task, figure, counted) in [
        ("openai_embeddings", "embed", "text_throughput", Some(3)),
        ("rerank", "rerank", "document_throughput", Some(5)),
        ("rerank_tei", "rerank", "document_throughput", None),
    ] {
        let (bench, mock) = (Bench::new(), quick_mock());
        let (entry, said) = without_output(parser);
        bench.file("data", format!("{entry}\n"));
        let url = mock.url("");
        let ended = run(bench
            .perf(&["--url", &url, "--parser", parser, "--dataset", "data"])
            .args(["-n", "3", "--json", "run.json", "--markdown", "run.md"]));
        assert_eq!(ended.code, Some(0), "{parser}: {}", ended.stderr);
        let rows = bench.rows("SELECT prompt_tokens, completion_tokens, success FROM result");
        let row = json!([counted, null, 1]);
        assert_eq!(json!(rows), json!([row, row, row]), "{parser}");
        let read = |name: &str| std::fs::read_to_string(bench.path(name)).expect("it was written");
        assert!(ended.stdout.contains(said), "{}", ended.stdout);
        for text in [&ended.stdout, &read("run.md")] {
            // Where the server counts no tokens, the table of loads says so.
            let text = text.to_lowercase().replace("| n/a |", "");
            for missing in [
                "n/a",
                "output token",
                "to first token",
                "tpot",
                "tokenizer-path",
            ] {
                assert!(!text.contains(missing), "{parser} {missing}: {text}");
            }
        }
        let document: Value = serde_json::from_str(&read("run.json")).expect("it is JSON");
        let totals = &document["runs"][0]["totals"];
        assert_eq!(totals["task"], task);
        assert!(totals["figures"][figure].as_f64() > Some(0.0), "{totals}");
        let doubts = document["runs"][0]["verdict"].to_string();
        assert!(!doubts.contains("tokens-unknown"), "{doubts}");
    }
}

#[test]
fn a_report_of_a_killed_run_knows_its_task() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("data", format!("{}\n", without_output("rerank").0));
    let ended = run(bench
        .perf(&["--url", &mock.url(""), "--parser", "rerank"])
        .args(["--dataset", "data", "-n", "3"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report = |statement: &str| {
        let database = rusqlite::Connection::open(bench.path("run.db")).expect("it opens");
        database
            .execute_batch(statement)
            .expect("it can be changed");
        let ended = run(program()
            .arg("report")
            .arg(bench.path("run.db"))
            .args(["--json", "-"]));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let document: Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
        document["runs"][0].clone()
    };
    // What a killed program leaves.
    let killed = report("UPDATE run SET state = 'running', totals = NULL, verdict = NULL");
    assert_eq!(killed["totals"]["task"], "rerank");
    let doubts = killed["verdict"].to_string();
    assert!(!doubts.contains("tokens-unknown"), "{doubts}");
    let older = report("ALTER TABLE run DROP COLUMN task");
    assert_eq!(older["totals"]["task"], "generate");
    assert_eq!(older["totals"]["requests"]["succeeded"], 3);
}

#[test]
fn audio_is_sent_in_a_form() {
    for (parameters, tells_length, hint, input) in [
        (&["temperature=0"][..], false, Some("names"), 3),
        (
            &["stream=bool_false", "response_format=verbose_json"],
            true,
            None,
            2,
        ),
    ] {
        let (bench, mock) = (Bench::new(), mock(&["--tokens", "4"]));
        // 4,800 bytes, which the mock server counts as two tokens; the text is a third.
        let audio_part = json!({"data": "AAAA".repeat(1_600), "format": "mp3"});
        let part = json!({"type": "input_audio", "input_audio": audio_part});
        let hint = hint.map(|text| json!({"type": "text", "text": text}));
        let parts: Vec<Value> = [part].into_iter().chain(hint).collect();
        let entry = json!({"messages": [{"role": "user", "content": parts}]});
        bench.file("data", format!("{entry}\n"));
        let url = mock.url("");
        let parser = "openai_transcriptions";
        let ended = run(bench
            .perf(&[
                "--url",
                &url,
                "--parser",
                parser,
                "--dataset",
                "data",
                "-n",
                "2",
            ])
            .arg("--parameters")
            .args(parameters));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let rows = bench.rows("SELECT prompt_tokens, completion_tokens FROM result");
        assert_eq!(json!(rows), json!([[input, 4], [input, 4]]));
        let has_figure = ended.stdout.contains("; audio seconds");
        assert_eq!(has_figure, tells_length, "{}", ended.stdout);
    }
}

#[test]
fn several_answers_in_one_stream_have_no_time_per_token() {
    for (n, is_told) in [("n=1", true), ("n=2", false)] {
        let (bench, mock) = (Bench::new(), mock(&["--tokens", "6", "--itl", "5ms"]));
        let url = mock.url("");
        let flags = ["--url", &url, "--parser", CHAT, "--prompt", "hi"];
        let ended = run(bench.perf(&flags).args(["-n", "4", "--parameters", n]));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let said = ended.stderr.contains("several answers came in one stream");
        assert_eq!(said, !is_told, "{}", ended.stderr);
        let told = bench.value("SELECT count(tpot) FROM result");
        assert_eq!(told, if is_told { 4 } else { 0 });
    }
}

#[test]
fn audio_files_of_a_data_set_are_read_and_sent() {
    let wav = [&b"RIFF\0\0\0\0WAVE"[..], &[7; 5_000]].concat();
    for (parser, entry) in [
        ("openai_transcriptions", json!({"audio": "a.wav"})),
        ("openai_transcriptions", json!({"file": "a.wav"})),
        (
            "openai_chat",
            json!({"prompt": "What is said?", "audio_path": "a.wav"}),
        ),
    ] {
        let (bench, mock) = (Bench::new(), quick_mock());
        bench.file("a.wav", &wav);
        bench.file("data", format!("{entry}\n"));
        let url = mock.url("");
        let flags = ["--url", &url, "--parser", parser, "--dataset", "data"];
        let ended = run(bench.perf(&flags).args(["-n", "2"]));
        assert_eq!(ended.code, Some(0), "{entry}: {}", ended.stderr);
        if parser == "openai_chat" {
            let part = &mock.bodies()[0]["messages"][0]["content"][1];
            assert_eq!(part["type"], "input_audio");
            assert_eq!(part["input_audio"]["format"], "wav");
            let data = part["input_audio"]["data"].as_str().unwrap_or_default();
            // The beginning of the file in base64, and its whole length.
            assert!(data.starts_with("UklGRgAAAABXQVZF"), "{data}");
            assert_eq!(data.len(), wav.len().div_ceil(3) * 4);
        } else {
            // The mock server counts a token for every 3,200 bytes begun.
            let rows = bench.rows("SELECT prompt_tokens FROM result");
            assert_eq!(json!(rows), json!([[2], [2]]), "{entry}");
        }
    }
    for parser in ["anthropic_messages", "ollama", "tgi"] {
        let (bench, mock) = (Bench::new(), quick_mock());
        bench.file("a.wav", &wav);
        bench.file("data", "{\"prompt\": \"a\", \"audio\": \"a.wav\"}\n");
        let url = mock.url("");
        let flags = ["--url", &url, "--parser", parser, "--dataset", "data"];
        let ended = run(bench.perf(&flags).args(["-n", "1"]));
        assert_ne!(ended.code, Some(0), "{parser}: {}", ended.stdout);
        assert!(ended.stderr.contains("this API takes"), "{}", ended.stderr);
    }
}

#[test]
fn the_error_of_each_api_is_the_message_of_the_failure() {
    for parser in [
        "openai_completions",
        "openai_responses",
        "openai_embeddings",
        "anthropic_messages",
        "gemini",
        "ollama",
        "ollama_generate",
        "rerank",
        "rerank_tei",
        "tgi",
        "sglang",
        "triton",
    ] {
        let (bench, mock) = (Bench::new(), mock(&["--error-rate", "1"]));
        let entry = match parser {
            "rerank" | "rerank_tei" => without_output(parser).0,
            _ => json!({"prompt": "x"}),
        };
        bench.file("data", format!("{entry}\n"));
        let url = mock.url("");
        let ended = run(&mut bench.perf(&[
            "--url",
            &url,
            "--parser",
            parser,
            "--dataset",
            "data",
            "-n",
            "2",
        ]));
        assert_eq!(ended.code, Some(1), "{parser}: {}", ended.stderr);
        let failures = bench.rows("SELECT DISTINCT error_kind, status FROM result");
        let status = if parser == "tgi" { 424 } else { 500 };
        assert_eq!(
            json!(failures),
            json!([["http-status", status]]),
            "{parser}"
        );
    }
}

#[test]
fn a_system_message_and_tools_go_where_anthropic_has_them() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let entry = json!({
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "why?"},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    });
    bench.file("data", format!("{entry}\n"));
    let url = mock.url("/v1");
    let arguments = [
        "--url",
        &url,
        "--parser",
        "anthropic_messages",
        "--dataset",
        "data",
    ];
    let ended = run(&mut bench.perf(&arguments));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let body = json!({
        "model": "m",
        "system": "be brief",
        "messages": [{"role": "user", "content": "why?"}],
        "tools": [{"name": "look", "input_schema": {"type": "object"}}],
        "max_tokens": 1024,
        "stream": true,
    });
    assert_eq!(mock.bodies(), [body]);
}

#[test]
fn token_ids_and_several_prompts_are_sent_as_such() {
    let ids = json!([1, 2, 3]);
    for (parser, entry, member, sent) in [
        (
            "openai_completions",
            json!({"prompt_token_ids": ids}),
            "prompt",
            &ids,
        ),
        (
            "openai_completions",
            json!({"input_ids": ids}),
            "prompt",
            &ids,
        ),
        ("openai_completions", json!({"prompt": ids}), "prompt", &ids),
        (
            "openai_completions",
            json!({"prompt": ["a", "b"]}),
            "prompt",
            &json!(["a", "b"]),
        ),
        (
            "openai_completions",
            json!({"texts": ["a", "b"]}),
            "prompt",
            &json!(["a", "b"]),
        ),
        ("sglang", json!({"prompt": ids}), "input_ids", &ids),
    ] {
        let (bench, mock) = (Bench::new(), quick_mock());
        bench.file("data", format!("{entry}\n"));
        let url = mock.url("");
        let flags = ["--url", &url, "--parser", parser, "--dataset", "data"];
        let ended = run(bench.perf(&flags).args(["-n", "1"]));
        assert_eq!(ended.code, Some(0), "{entry}: {}", ended.stderr);
        assert_eq!(&mock.bodies()[0][member], sent, "{parser} {entry}");
    }
}

#[test]
fn what_a_data_set_says_and_is_not_sent_is_said() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let of_body = json!({
        "model": "z", "messages": [{"role": "user", "content": "a"}], "stream": true, "foo": 1, "n": 2,
    });
    for (parser, entry, said) in [
        (
            "openai_completions",
            json!({"prompt": "a", "tools": tools}),
            "the tools of the data set are left out",
        ),
        (
            "tgi",
            json!({"prompt": "a", "functions": tools}),
            "the tools of the data set are left out",
        ),
        (
            "openai_chat",
            json!({"prompt": "a", "video": "a.mp4"}),
            "what the data set has in \"video\" is left out",
        ),
        (
            "openai_chat",
            json!({"prompt": "a", "foo": 1}),
            "what the data set says of foo is left out",
        ),
        (
            "openai_chat",
            of_body,
            "what the data set says of foo, n is left out",
        ),
    ] {
        let (bench, mock) = (Bench::new(), quick_mock());
        bench.file("data", format!("{entry}\n").repeat(4));
        let url = mock.url("");
        let flags = ["--url", &url, "--parser", parser, "--dataset", "data"];
        let ended = run(bench.perf(&flags).args(["-n", "4", "--parallel", "1"]));
        assert_eq!(ended.code, Some(0), "{entry}: {}", ended.stderr);
        // Though the file is read twice: for a look at its beginning before the run, and in the run.
        assert_eq!(ended.stderr.matches(said).count(), 1, "{}", ended.stderr);
    }
}
