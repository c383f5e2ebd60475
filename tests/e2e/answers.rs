//! What counts as an answer: a response of status 200 without output is a failure, with the server's own words
//! where it has some, and a response that repeats itself or hides something is counted for what it is.

use crate::helpers::{good, mock, paragraph, typed};
use crate::misbehaving::{
    LAST_CHUNK, Misbehaving, Run, Step, TRANSPORTS, chunk, delta, event, response, stream_head,
    streamed, text, usage,
};
use crate::support::Bench;
use serde_json::{Value, json};

fn answered(script: Vec<u8>, arguments: &[&str]) -> Run {
    let server = Misbehaving::start(vec![Step::Request, Step::Write(script), Step::Close]);
    Run::of(&server.chat(), arguments)
}

fn stream(events: &[String]) -> Vec<u8> {
    let body: String = events.iter().map(event).collect();
    streamed(body + &event("[DONE]"), 100)
}

#[test]
fn a_response_without_output_is_no_success() {
    let role = json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]});
    let ended = |reason: &str| {
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}).to_string()
    };
    let with_text = |reason: &str| {
        json!({"choices": [{"index": 0, "delta": {"content": "b"}, "finish_reason": reason}]})
            .to_string()
    };
    let plain = |body: Value| response("200 OK", "application/json", body.to_string());
    let cases = [
        ("no-output", "{}", plain(json!({}))),
        ("no-output", "choices", plain(json!({"choices": null}))),
        ("no-output", "role", stream(&[role.to_string()])),
        ("no-output", "event stream", stream(&[role.to_string(), ended("stop"), usage(3, 2)])),
        ("no-output", "empty", stream(&[])),
        ("no-output", "Anthropic", stream(&[
            json!({"type": "message_start", "message": {"role": "assistant", "content": []}}).to_string(),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}).to_string(),
        ])),
        ("no-output", "OpenAI's responses", stream(&[
            json!({"type": "response.output_text.delta", "delta": "a"}).to_string(),
        ])),
        ("stream-error", "expired (401)", plain(json!({"code": 401, "msg": "expired"}))),
        ("stream-error", "Not authenticated", plain(json!({"detail": "Not authenticated"}))),
        ("stream-error", "full", plain(json!({"errors": [{"message": "full"}]}))),
        ("stream-error", "`error`", stream(&[delta("a"), ended("error")])),
        ("stream-error", "`abort`", stream(&[delta("a"), ended("abort")])),
        ("stream-error", "`abort`", stream(&[delta("a"), with_text("abort"), usage(3, 2)])),
        ("stream-error", "`cancelled`", stream(&[delta("a"), with_text("cancelled"), usage(3, 2)])),
        ("stream-error", "slow", stream(&[
            delta("a"),
            json!({"throttlingException": {"message": "slow"}}).to_string(),
        ])),
        ("stream-error", "over_capacity", stream(&[
            delta("a"),
            json!({"choices": [], "x_groq": {"error": "over_capacity"}}).to_string(),
        ])),
        ("stream-error", "502", stream(&[delta("a"), json!({"code": 502}).to_string()])),
        ("stream-error", "full", streamed(event(delta("a")) + "{\"error\":\"full\"}\n\n", 100)),
        ("stream-error", "full", streamed(event(delta("a")) + "error: full\n\n", 100)),
        ("parse", "Sign in", response("200 OK", "text/html", "<!DOCTYPE html><title>Sign in</title>")),
    ];
    for transport in TRANSPORTS {
        for (kind, says, script) in &cases {
            let run = answered(script.clone(), &["--transport", transport]);
            let rows = run.rows();
            assert_eq!(rows[0].kind, *kind, "{says}: {}", rows[0].error);
            assert!(rows[0].error.contains(says), "{says}: {}", rows[0].error);
            assert!(!rows[0].success && run.ended.code == Some(1), "{says}");
        }
    }
}

#[test]
fn a_stream_that_does_not_say_that_it_is_over_is_a_doubt() {
    let tokenizer = crate::replay::tokenizer();
    let started = json!({"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}});
    let said = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}});
    let chat = ["--tokenizer-path", &tokenizer];
    let anthropic = ["--parser", "anthropic_messages"];
    for transport in TRANSPORTS {
        let running = |text: &str, tokens: u64| {
            json!({
                "choices": [{"index": 0, "delta": {"content": text}}],
                "usage": {"prompt_tokens": 3, "completion_tokens": tokens},
            })
            .to_string()
        };
        for (flags, events) in [
            (chat, vec![delta("a")]),
            (
                ["--parser", "openai_chat"],
                vec![running("a", 1), running("b", 2)],
            ),
            (anthropic, vec![started.to_string(), said.to_string()]),
        ] {
            let body: String = events.iter().map(event).collect();
            let flags = [&flags[..], &["--transport", transport]].concat();
            let run = answered(streamed(body, 100), &flags);
            assert!(run.rows()[0].success, "{}", run.rows()[0].error);
            let words: Vec<&str> = run.ended.stdout.split_whitespace().collect();
            let verdict = words.join(" ");
            assert!(
                verdict.contains("did not say that it is over"),
                "{flags:?}: {verdict}"
            );
            // What Anthropic counts at the beginning is not the answer.
            let by = run.bench.value("SELECT completion_tokens_by FROM result");
            let is_counted = flags[1] == "openai_chat";
            assert_eq!(by == "server", is_counted, "{flags:?}");
        }
    }
}

#[test]
fn an_answer_that_is_empty_on_purpose_is_counted_apart() {
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).to_string();
    let lines = |events: &[Value]| {
        let body: String = events.iter().map(|event| format!("{event}\n")).collect();
        response("200 OK", "application/x-ndjson", body)
    };
    let gemini =
        json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 3}});
    let ollama = json!({"message": {"content": ""}, "done": true, "done_reason": "stop", "prompt_eval_count": 3});
    let responses = json!({"type": "response.completed", "response": {
        "status": "completed", "output": [], "usage": {"input_tokens": 3, "output_tokens": 0},
    }});
    let sglang = json!({"text": "", "meta_info": {
        "finish_reason": {"type": "stop", "matched": 2}, "prompt_tokens": 3, "completion_tokens": 1,
    }});
    for (parser, script) in [
        ("openai_chat", stream(&[end.clone(), usage(3, 0)])),
        // vLLM counts the token that ends the answer.
        ("openai_chat", stream(&[end, usage(3, 1)])),
        ("gemini", stream(&[gemini.to_string()])),
        ("ollama", lines(&[ollama])),
        ("openai_responses", stream(&[responses.to_string()])),
        ("sglang", stream(&[sglang.to_string()])),
    ] {
        let run = answered(script, &["--parser", parser]);
        assert!(run.rows()[0].success, "{parser}: {}", run.rows()[0].error);
        assert!(
            run.ended.stdout.contains("Empty answers"),
            "{parser}: {}",
            run.ended.stdout
        );
    }
}

#[test]
fn reasoning_that_is_counted_and_not_sent_is_in_no_time_per_token() {
    let usage = json!({"choices": [], "usage": {
        "prompt_tokens": 3, "completion_tokens": 503,
        "completion_tokens_details": {"reasoning_tokens": 500},
    }});
    // The end of the HTTP chunks comes with the rest.
    let first = streamed(event(delta("a")), 100);
    let head_and_first = first[..first.len() - LAST_CHUNK.len()].to_vec();
    let rest =
        event(delta("b")) + &event(delta("c")) + &event(usage.to_string()) + &event("[DONE]");
    let server = Misbehaving::start(vec![
        Step::Request,
        Step::Write(head_and_first),
        Step::Pause(std::time::Duration::from_millis(200)),
        Step::Write(chunk(rest)),
        text(LAST_CHUNK),
        Step::Close,
    ]);
    let run = Run::of(&server.chat(), &[]);
    let tpot = run.bench.rows("select tpot from result")[0][0].as_f64();
    assert!(tpot.expect("a time") > 0.05, "{tpot:?}");
    assert!(
        run.ended.stdout.contains("500 tokens of reasoning"),
        "{}",
        run.ended.stdout
    );
}

#[test]
fn a_gap_before_several_tokens_is_divided_among_them() {
    let says = |tokens: u64| {
        let usage = json!({"prompt_tokens": 3, "completion_tokens": tokens});
        let choice = json!({"index": 0, "delta": {"content": "a"}});
        event(json!({"choices": [choice], "usage": usage}).to_string())
    };
    let pause = || Step::Pause(std::time::Duration::from_millis(200));
    let server = Misbehaving::start(vec![
        Step::Request,
        text(stream_head()),
        Step::Write(chunk(says(1))),
        pause(),
        Step::Write(chunk(says(5))),
        Step::Write(chunk(says(6) + &event("[DONE]"))),
        text(LAST_CHUNK),
        Step::Close,
    ]);
    let run = Run::of(
        &server.chat(),
        &[
            "--parser",
            "openai_chat",
            "--json",
            "o.json",
            "--html",
            "o.html",
        ],
    );
    assert_eq!(run.ended.code, Some(0), "{}", run.ended.stderr);
    let read = |name: &str| std::fs::read_to_string(run.bench.path(name)).expect("it was written");
    let figures = |document: &str| {
        let document: Value = serde_json::from_str(document).expect("it is JSON");
        let totals = &document["runs"][0]["totals"];
        let spread = &totals["inter_token_latency_per_token"];
        let p50 = spread["p50_seconds"].as_f64();
        assert_eq!(spread["samples"], 5, "{spread}");
        assert_eq!(totals["figures"]["several_tokens_share"], 0.5);
        assert!((0.04..0.1).contains(&p50.expect("a median")), "{spread}");
    };
    figures(&read("o.json"));
    for text in [&run.ended.stdout, &read("o.html")] {
        assert!(text.contains("Inter-token latency per token"), "{text}");
    }
    let figures_told = paragraph(&run.ended.stdout, "Further figures");
    assert!(
        figures_told.contains("chunks with several tokens 50.00 %"),
        "{figures_told}"
    );
    let told = run.bench.rows("SELECT tokens_so_far FROM result");
    assert_eq!(told, [[json!("[1,5,6]")]]);
    // The same out of the rows alone.
    let database = rusqlite::Connection::open(run.bench.path("run.db")).expect("it opens");
    let forget = "UPDATE run SET state = 'running', totals = NULL, verdict = NULL";
    database.execute_batch(forget).expect("it can be changed");
    let report = typed(&run.bench, &["report", "run.db", "--json", "-"]);
    figures(&report.stdout);
}

#[test]
fn a_server_tells_tokens_with_every_chunk_where_it_is_asked() {
    let (bench, mock) = (Bench::new(), mock(&["--tokens", "5", "--itl", "5ms"]));
    let asked = r#"stream_options={"continuous_usage_stats":true}"#;
    let arguments = ["--prompt", "x", "-n", "2", "--parser", "openai_chat"];
    let ended = good(
        &bench,
        &mock,
        &[&arguments[..], &["--parameters", asked]].concat(),
    );
    let told = bench.rows("SELECT DISTINCT tokens_so_far, completion_tokens FROM result");
    assert_eq!(told, [[json!("[1,2,3,4,5]"), json!(5)]]);
    let figures = paragraph(&ended.stdout, "Further figures");
    assert!(
        figures.contains("chunks with several tokens 0.00 %"),
        "{figures}"
    );
    let unasked = good(&Bench::new(), &mock, &arguments);
    assert!(!unasked.stdout.contains("per token"), "{}", unasked.stdout);
}

#[test]
fn a_plain_answer_to_a_request_for_a_stream_is_told_and_has_no_first_token() {
    let body = json!({"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
    let plain = || response("200 OK", "application/json", body.to_string());
    let run = answered(plain(), &[]);
    assert!(run.rows()[0].success);
    assert!(run.bench.rows("select ttft from result")[0][0].is_null());
    assert!(
        run.ended.stdout.contains("got a plain answer"),
        "{}",
        run.ended.stdout
    );
    let run = answered(plain(), &["--parameters", "stream=false"]);
    assert!(
        !run.ended.stdout.contains("got a plain answer"),
        "{}",
        run.ended.stdout
    );
}

#[test]
fn refusals_are_listed_by_status() {
    let server = Misbehaving::with(|number| {
        let status = ["429 Too Many Requests", "503 Service Unavailable"][number % 2];
        let refusal = response(status, "application/json", "{}");
        vec![Step::Request, Step::Write(refusal), Step::Close]
    });
    let run = Run::of(&server.chat(), &["-n", "4", "--json", "o.json"]);
    assert!(run.tells(2, "http-status"), "{}", run.ended.stdout);
    for status in ["HTTP 429", "HTTP 503"] {
        assert!(run.ended.stdout.contains(status), "{}", run.ended.stdout);
    }
    let told = std::fs::read_to_string(run.bench.path("o.json")).expect("there is a document");
    let document: Value = serde_json::from_str(&told).expect("it is JSON");
    let parts = document
        .pointer("/runs/0/totals/failures/http-status/by_status")
        .and_then(Value::as_array)
        .map(Vec::len);
    assert_eq!(parts, Some(2), "{told}");
}

#[test]
fn tokens_per_second_and_the_share_from_the_cache_are_figures_of_the_run() {
    // Ten tokens each in, one out; the server says of the first request only that six came from its cache.
    let server = Misbehaving::with(|number| {
        let mut usage = json!({"prompt_tokens": 10, "completion_tokens": 1});
        if number == 0 {
            usage["prompt_tokens_details"] = json!({"cached_tokens": 6});
        }
        let last = json!({"choices": [], "usage": usage}).to_string();
        let answer = stream(&[delta("a"), last]);
        vec![Step::Request, Step::Write(answer), Step::Close]
    });
    let files = ["--json", "o.json", "--html", "o.html"];
    let bounds = [
        "--fail-if",
        "cached_share<50%",
        "--fail-if",
        "total_throughput<0.001",
    ];
    let run = Run::of(
        &server.chat(),
        &[&["-n", "2"], &files[..], &bounds].concat(),
    );
    assert_eq!(run.ended.code, Some(1), "{}", run.ended.stderr);
    for said in [
        "--fail-if cached_share<50%: it is 30.00 %",
        "2 requests are in",
    ] {
        assert!(run.ended.stderr.contains(said), "{}", run.ended.stderr);
    }
    let words: Vec<&str> = run.ended.stdout.split_whitespace().collect();
    let share = "cache hit share 30.00 %";
    assert!(words.join(" ").contains(share), "{}", run.ended.stdout);
    let read = |name| std::fs::read_to_string(run.bench.path(name)).expect("it is there");
    let document: Value = serde_json::from_str(&read("o.json")).expect("it is JSON");
    let figure = |name: &str| document["runs"][0]["totals"]["figures"][name].as_f64();
    assert_eq!(figure("cached_share"), Some(0.3));
    let ratio = |a: &str, b: &str| figure(a).zip(figure(b)).map(|(a, b)| a / b);
    for (name, per_output_token) in [("input_throughput", 10.0), ("total_throughput", 11.0)] {
        let found = ratio(name, "throughput").expect("both are known");
        assert!((found - per_output_token).abs() < 1e-9, "{name}: {found}");
    }
    let page = read("o.html");
    for place in ["cached_share", "input_throughput", "total_throughput"] {
        let at = format!("data-at=\"/runs/0/totals/figures/{place}\"");
        assert!(page.contains(&at), "no {place}");
    }
    // The database knows as much, and so does a comparison of it with itself.
    let compared = crate::helpers::typed(&run.bench, &["compare", "o.json", "run.db"]);
    for title in [
        "Input tokens per second",
        "Total tokens per second",
        "Cache hit share",
    ] {
        assert!(compared.stdout.contains(title), "{}", compared.stdout);
    }
}
