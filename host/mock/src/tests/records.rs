//! What the server tells of its own doing: `/metrics` and the log.

use std::thread;

use super::*;

/// The samples of `/metrics`, by name and labels without those that all have.
fn metrics(mock: &RunningMock) -> Vec<(String, f64)> {
    let answer = ask(mock, "GET", "/metrics", "", "");
    assert!(
        answer
            .head
            .contains("content-type: text/plain; version=0.0.4")
    );
    let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            let name = name.replace("engine=\"0\",model_name=\"mock\"", "");
            (name, value.parse().expect("a number"))
        })
        .collect()
}

fn value(metrics: &[(String, f64)], name: &str) -> f64 {
    let found = metrics.iter().find(|(other, _)| other == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {metrics:?}"))
        .1
}

#[test]
fn metrics_agree_with_what_was_done() {
    let mock = start(MockConfig {
        ttft: Duration::from_millis(30),
        itl: Duration::from_millis(1),
        tokens: 12,
        slots: Some(3),
        prefix_cache: Some(1_000),
        early_stop: 0.3,
        error_rate: 0.2,
        ..quick()
    });
    let prompts = [20, 40, 60].map(|words| vec!["word"; words].join(" "));
    let bodies: Vec<Value> = (0..24)
        .map(|number| {
            json!({"stream": number % 2 == 0, "stream_options": {"include_usage": true},
                "max_tokens": 4 + number, "messages": prompts[number % 3]})
        })
        .collect();
    let answers: Vec<Answer> = thread::scope(|scope| {
        let halves: Vec<_> = bodies
            .chunks(4)
            .map(|some| {
                let mock = &mock;
                scope.spawn(move || {
                    let answers = some.iter().map(|body| post(mock, CHAT, body));
                    answers.collect::<Vec<_>>()
                })
            })
            .collect();
        let answers = halves.into_iter().map(|half| half.join());
        answers.flat_map(|half| half.expect("answers")).collect()
    });
    // What is refused is not counted.
    assert_eq!(post(&mock, CHAT, &json!({})).status, 400);
    // What the client was told.
    let good = || answers.iter().filter(|answer| answer.status == 200);
    let usage = |pointer: &str| -> f64 {
        let numbers = good().map(|answer| {
            let usage = match answer.head.contains("event-stream") {
                true => answer.events().pop().expect("an event")["usage"].clone(),
                false => answer.json()["usage"].clone(),
            };
            usage
                .pointer(pointer)
                .and_then(Value::as_f64)
                .expect("a number")
        });
        numbers.sum()
    };
    let finished = |reason: &str| {
        let wanted = format!("\"finish_reason\":\"{reason}\"");
        good()
            .filter(|answer| answer.body.contains(&wanted))
            .count() as f64
    };
    let failed = (answers.len() - good().count()) as f64;
    assert!(failed > 0.0 && finished("stop") > 0.0 && finished("length") > 0.0);

    let told = metrics(&mock);
    let success = |reason: &str| {
        let name = format!("vllm:request_success_total{{,finished_reason=\"{reason}\"}}");
        value(&told, &name)
    };
    assert_eq!(success("stop"), finished("stop"));
    assert_eq!(success("length"), finished("length"));
    assert_eq!((success("error"), success("abort")), (failed, 0.0));
    let total = |name: &str| value(&told, &format!("vllm:{name}{{}}"));
    assert_eq!(total("prompt_tokens_total"), usage("/prompt_tokens"));
    assert_eq!(
        total("generation_tokens_total"),
        usage("/completion_tokens")
    );
    assert_eq!(total("prefix_cache_queries_total"), usage("/prompt_tokens"));
    let hits = usage("/prompt_tokens_details/cached_tokens");
    assert_eq!(total("prefix_cache_hits_total"), hits);
    assert!(hits > 0.0);
    assert_eq!(
        (total("num_requests_running"), total("num_requests_waiting")),
        (0.0, 0.0)
    );
    let count = good().count() as f64;
    for name in [
        "time_to_first_token_seconds",
        "e2e_request_latency_seconds",
        "request_queue_time_seconds",
        "request_prompt_tokens",
        "request_generation_tokens",
    ] {
        assert_eq!(total(&format!("{name}_count")), count, "{name}");
    }
    assert_eq!(
        total("request_generation_tokens_sum"),
        usage("/completion_tokens")
    );
    let streams = || good().filter(|answer| answer.head.contains("event-stream"));
    let streamed: usize = streams().map(|answer| answer.events().len() - 2).sum();
    assert_eq!(
        total("inter_token_latency_seconds_count"),
        (streamed - streams().count()) as f64
    );
    // And the truth tells the same of the times.
    let truth = get(&mock, "/truth");
    assert_eq!(truth["tokens"], total("generation_tokens_total") as u64);
    let waits = &truth["queue_seconds"];
    let sum = waits["mean"].as_f64().expect("a mean") * count;
    assert!((total("request_queue_time_seconds_sum") - sum).abs() < 1e-6);
    let wall: f64 = answers
        .iter()
        .map(|answer| answer.first_byte.as_secs_f64())
        .sum();
    let first = total("time_to_first_token_seconds_sum");
    assert!(first > 0.03 * count && first < wall, "{first} {wall}");
}

#[test]
fn metrics_tell_who_is_there_now() {
    let mock = start(MockConfig {
        ttft: Duration::from_millis(300),
        slots: Some(2),
        ..quick()
    });
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| post(&mock, CHAT, &chat()));
        }
        thread::sleep(Duration::from_millis(100));
        let told = metrics(&mock);
        assert_eq!(value(&told, "vllm:num_requests_running{}"), 2.0);
        assert_eq!(value(&told, "vllm:num_requests_waiting{}"), 3.0);
    });
}

/// The lines of a log, once there are so many: the last is written just after the answer's end.
fn lines(path: &std::path::Path, count: usize) -> Vec<Value> {
    for _ in 0..200 {
        let text = std::fs::read_to_string(path).expect("a log");
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON in a line"))
            .collect();
        if lines.len() >= count {
            return lines;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("the log has not so many lines");
}

#[test]
fn the_log_has_a_line_for_each_request() {
    let folder = std::env::temp_dir().join(format!("llmuses-mock-log-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("log.jsonl");
    let mock = start(MockConfig {
        ttft: Duration::from_millis(50),
        tokens: 5,
        slots: Some(1),
        prefix_cache: Some(10),
        log: Some(path.clone()),
        ..quick()
    });
    thread::scope(|scope| {
        scope.spawn(|| post(&mock, CHAT, &chat()));
        thread::sleep(Duration::from_millis(15));
        scope.spawn(|| {
            post(
                &mock,
                "/v1/completions",
                &json!({"prompt": "a b", "max_tokens": 3}),
            )
        });
        thread::sleep(Duration::from_millis(15));
        scope.spawn(|| post(&mock, CHAT, &json!({})));
    });
    let mut stream = connect(&mock);
    let body = chat().to_string();
    let request = head("POST", CHAT, "", body.len()) + &body;
    stream.write_all(request.as_bytes()).expect("a write");
    thread::sleep(Duration::from_millis(10));
    drop(stream);
    let mut lines = lines(&path, 4);
    lines.sort_by_key(|line| line["number"].as_u64());
    let of = |member: &str| {
        lines
            .iter()
            .map(|line| line[member].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("end"), ["stop", "length", "error", "abort"]);
    assert_eq!(
        of("status"),
        json!([200, 200, 400, null])
            .as_array()
            .cloned()
            .unwrap_or_default()
    );
    assert_eq!(of("tokens"), [5, 3, 0, 0]);
    assert_eq!(lines[0]["prompt"], "one two three");
    assert_eq!(
        (&lines[1]["prompt_tokens"], &lines[1]["cached_tokens"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(lines[1]["path"], "/v1/completions");
    assert_eq!(lines[2]["prompt_tokens"], Value::Null);
    assert_eq!(lines[0]["body_fnv1a"], lines[3]["body_fnv1a"]);
    assert_ne!(lines[0]["body_fnv1a"], lines[1]["body_fnv1a"]);
    assert!(time(&lines[0]["ttft_seconds"]) >= Duration::from_millis(49));
    assert!(time(&lines[1]["queue_seconds"]) >= Duration::from_millis(20));
    assert!(time(&lines[1]["seconds"]) > time(&lines[1]["queue_seconds"]));
    let truth = get(&mock, "/truth");
    assert_eq!(truth["log_lines_lost"], 0);
    let told = truth["arrivals"]["unix_times"][1].as_f64().expect("a time");
    let arrival = lines[1]["arrival_unix"].as_f64().expect("a time");
    assert!((told - arrival).abs() < 0.01);
    drop(mock);
    std::fs::remove_dir_all(&folder).expect("it is removed");
}

#[test]
fn a_log_that_cannot_be_opened_is_an_error() {
    let log = Some(std::env::temp_dir().join("no such folder").join("log"));
    let refused = spawn(MockConfig { log, ..quick() });
    assert!(matches!(refused, Err(MockError::Log { .. })));
}
