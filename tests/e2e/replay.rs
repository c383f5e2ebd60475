//! Loads whose times come from a file: traces (--trace), and rates over time (--rate-from).

use crate::helpers::{
    arrivals, ends, good, mock, numbers, of_run, older_plugin, paragraph, refused,
};
use crate::support::{Bench, Mock, repository, run};
use serde_json::{Value, json};

/// A trace in guidellm's form: requests at these times, in seconds.
fn trace(times: &[f64]) -> String {
    let line = |at: &f64| json!({"timestamp": at, "input_length": 20, "output_length": 2});
    times.iter().map(|at| line(at).to_string() + "\n").collect()
}

/// Bailian's form: times in milliseconds, and the request before each in its conversation.
pub fn conversations(requests: &[(u64, Option<usize>)]) -> String {
    let mut text = String::new();
    for (number, (millis, parent)) in requests.iter().enumerate() {
        let line = json!({
            "chat_id": number,
            "parent_chat_id": parent.map_or(-1, |parent| parent as i64),
            "timestamp": *millis as f64 / 1e3,
            "input_length": 40,
            "output_length": 2,
            "type": "text",
            "turn": 1,
            "hash_ids": [1, 2, 3 + number],
        });
        text.push_str(&(line.to_string() + "\n"));
    }
    text
}

/// The folder of a tokenizer.
pub fn tokenizer() -> String {
    let folder = repository().join("datasets/tokenizer");
    folder.to_str().expect("the path is text").to_owned()
}

/// A server whose answers have two tokens.
fn mock_2() -> Mock {
    mock(&["--tokens", "2"])
}

/// A replay of the file `trace`, with more flags.
fn replayed<'a>(tokenizer: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let flags = [
        "--dataset",
        "trace",
        "--trace",
        "--tokenizer-path",
        tokenizer,
    ];
    [&flags[..], more].concat()
}

#[test]
fn requests_go_when_the_trace_says() {
    let (bench, mock, tokenizer) = (Bench::new(), mock(&["--tokens", "2"]), tokenizer());
    let times: Vec<f64> = (0..50)
        .map(|number| f64::from(number * number) / 500.0)
        .collect();
    bench.file("trace", trace(&times));
    let files = ["--trace-speed", "4", "--html", "page.html"];
    let ended = good(&bench, &mock, &replayed(&tokenizer, &files));
    let arrived = arrivals(&mock.truth());
    assert_eq!(arrived.len(), 50);
    for (arrived_at, at) in arrived.iter().zip(&times) {
        let late = (arrived_at - arrived[0]) - at / 4.0;
        assert!(late.abs() < 0.25, "{late} at {at}");
    }
    let intended = numbers(&bench, "SELECT intended_time FROM result ORDER BY number");
    for (intended_at, at) in intended.iter().zip(&times) {
        let off = (intended_at - intended[0]) - at / 4.0;
        assert!(off.abs() < 1e-5, "{off} at {at}");
    }
    let totals = of_run(&bench, "totals");
    assert_eq!(totals["replay"]["requests"], 50);
    assert_eq!(totals["replay"]["last_due_seconds"], 49.0 * 49.0 / 2000.0);
    assert_eq!(totals["replay"]["held_back_requests"], 0);
    assert_eq!(totals["origin"], "intended");
    assert_eq!(totals["dispatch_lag"]["samples"], 50);
    assert_eq!(of_run(&bench, "plan")["arrivals"], "trace");
    assert_eq!(of_run(&bench, "plan")["trace_speed"], 4.0);
    let said = paragraph(&ended.stdout, "Trace");
    assert!(
        said.contains("50 requests due within 1.200 s; sent after"),
        "{said}"
    );
    assert!(
        ended.stderr.contains("trace at 4 times its speed"),
        "{}",
        ended.stderr
    );
    let page = std::fs::read_to_string(bench.path("page.html")).unwrap();
    assert!(page.contains("50 requests due within 1.200 s"));
}

#[test]
fn a_conversation_keeps_its_order() {
    let (bench, mock, tokenizer) = (Bench::new(), mock(&["--ttft", "200ms"]), tokenizer());
    // Of the first conversation, all are due before the first answer is there; of the second, long after.
    let requests = [
        (0, None),
        (10, Some(0)),
        (20, None),
        (30, Some(1)),
        (900, Some(2)),
    ];
    bench.file("trace", conversations(&requests));
    let ended = good(&bench, &mock, &replayed(&tokenizer, &[]));
    let rows = bench.rows(
        "SELECT session, intended_time, sent_time, completed_time FROM result ORDER BY session, number",
    );
    let sessions: Vec<u64> = rows.iter().map(|row| row[0].as_u64().unwrap()).collect();
    assert_eq!(sessions, [0, 0, 0, 1, 1]);
    let at = |row: usize, column: usize| rows[row][column].as_f64().unwrap();
    for row in [1, 2] {
        assert!(at(row, 2) >= at(row - 1, 3), "{rows:?}");
        // Due when the one before was over.
        assert!((at(row, 1) - at(row - 1, 3)).abs() < 1e-5, "{rows:?}");
    }
    assert!((at(4, 1) - at(0, 1) - 0.9).abs() < 1e-5, "{rows:?}");
    let replay = &of_run(&bench, "totals")["replay"];
    assert_eq!(replay["held_back_requests"], 2, "{replay}");
    assert!(
        replay["longest_held_back_seconds"].as_f64().unwrap() > 0.3,
        "{replay}"
    );
    let said = paragraph(&ended.stdout, "Trace");
    assert!(
        said.contains("2 requests due later than the trace says"),
        "{said}"
    );
}

#[test]
fn every_format_with_times_is_replayed() {
    let lengths =
        |timestamp: Value| json!({"timestamp": timestamp, "input_length": 20, "output_length": 2});
    let with = |mut line: Value, more: Value| {
        let more = more.as_object().unwrap().clone();
        line.as_object_mut().unwrap().extend(more);
        line.to_string()
    };
    let blocks = json!({"hash_ids": [1, 2]});
    let text = json!({"text_input": "one two"});
    let body = json!({"body": {"messages": [{"role": "user", "content": "x"}]}});
    for (name, content) in [
        (
            "mooncake",
            [
                with(lengths(json!(0)), json!({"hash_ids": [1]})),
                with(lengths(json!(300)), json!({"hash_ids": [1]})),
            ]
            .join("\n"),
        ),
        (
            "mooncake",
            [
                with(lengths(json!(0)), text.clone()),
                with(lengths(json!(300)), text),
            ]
            .join("\n"),
        ),
        ("bailian", conversations(&[(5000, None), (5300, None)])),
        (
            "timed_trace",
            [
                with(lengths(json!(1.5)), blocks.clone()),
                with(lengths(json!(1.8)), blocks),
            ]
            .join("\n"),
        ),
        ("guidellm_trace", trace(&[0.0, 0.3])),
        (
            "workload_trace",
            [
                with(json!({"timestamp": "2026-01-01T00:00:00Z"}), body.clone()),
                with(json!({"timestamp": "2026-01-01T00:00:00.3Z"}), body),
            ]
            .join("\n"),
        ),
        (
            "azure",
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.0,20,2\n2023-11-16 18:17:03.3,30,2\n".to_owned(),
        ),
        (
            "burstgpt",
            "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,20,2,22,API log\n5.3,ChatGPT,20,2,22,API log\n".to_owned(),
        ),
    ] {
        let (bench, mock, tokenizer) = (Bench::new(), mock(&["--tokens", "2"]), tokenizer());
        bench.file("trace", content);
        let ended = good(&bench, &mock, &replayed(&tokenizer, &[]));
        let said = format!("trace read as {name} (");
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
        assert!(!ended.stderr.contains("all the same"), "{}", ended.stderr);
        let intended = numbers(&bench, "SELECT intended_time FROM result ORDER BY number");
        assert_eq!(intended.len(), 2, "{name}");
        let gap = intended[1] - intended[0];
        assert!((gap - 0.3).abs() < 1e-4, "{name}: {gap}");
    }
}

#[test]
fn parts_of_a_trace_have_whole_conversations_and_together_all_of_it() {
    let (mock, tokenizer) = (Mock::start(&["--ttft", "5ms", "--itl", "1ms"]), tokenizer());
    let requests: Vec<(u64, Option<usize>)> = (0..60)
        .map(|number| (number as u64 * 10, (number >= 20).then(|| number - 20)))
        .collect();
    let mut all = Vec::new();
    for part in ["0/3", "1/3", "2/3"] {
        let bench = Bench::new();
        bench.file("trace", conversations(&requests));
        let ended = run(bench
            .perf(&["--url", &mock.chat()])
            .args(replayed(&tokenizer, &["--shard", part])));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let name = format!("run.{}.db", &part[..1]);
        let database = rusqlite::Connection::open(bench.path(&name)).unwrap();
        let mut rows = database
            .prepare("SELECT session, number FROM result")
            .unwrap();
        let rows = rows.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        let rows: Vec<(i64, i64)> = rows.unwrap().map(Result::unwrap).collect();
        assert!(!rows.is_empty(), "part {part}");
        for (session, number) in &rows {
            assert_eq!(number % 20, *session);
            let of_it = rows.iter().filter(|(other, _)| other == session).count();
            assert_eq!(of_it, 3, "part {part}, conversation {session}");
        }
        all.extend(rows.into_iter().map(|(_, number)| number));
    }
    all.sort_unstable();
    assert_eq!(all, (0..60).collect::<Vec<i64>>());
}

#[test]
fn a_trace_without_a_schedule_is_refused_or_counted() {
    let (bench, mock, tokenizer) = (Bench::new(), mock(&["--tokens", "2"]), tokenizer());
    bench.file("trace", trace(&[0.0, 0.2, 0.1, 0.3]));
    let said = refused(&bench, &mock, &replayed(&tokenizer, &[]), 1);
    assert!(
        said.contains("entry 3: its time is 0.1 s, before the 0.2 s"),
        "{said}"
    );
    let skipping = replayed(&tokenizer, &["--skip-bad-lines"]);
    let ended = good(&bench, &mock, &skipping);
    assert_eq!(bench.rows("SELECT 1 FROM result").len(), 3);
    assert!(ended.stdout.contains("1 passed over"), "{}", ended.stdout);

    let bench = Bench::new();
    bench.file("trace", "{\"prompt\": \"x\"}\n");
    let said = refused(&bench, &mock_2(), &replayed(&tokenizer, &[]), 1);
    assert!(said.contains("it has no time"), "{said}");
    let own = ["--parser", older_plugin(&bench)];
    let said = refused(&bench, &mock_2(), &replayed(&tokenizer, &own), 2);
    assert!(said.contains("in a format of its own"), "{said}");
    for (flags, part) in [
        (&["--rate", "5"][..], "cannot be used with"),
        (&["-n", "5"], "cannot be used with"),
        (&["--trace-speed", "0"], "above 0"),
        (&["--trace-limit", "5,6"], "one of each"),
        (&["--arrival", "constant"], "--arrival is for an open loop"),
    ] {
        let said = refused(&bench, &mock_2(), &replayed(&tokenizer, flags), 2);
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn bounds_of_lengths_hold_for_the_schedule_too() {
    let mock = mock_2();
    let lines = [
        json!({"timestamp": 0, "text_input": "long enough", "output_length": 2, "session_id": "a"}),
        json!({"timestamp": 100, "text_input": "x", "output_length": 2, "session_id": "b"}),
        json!({"delay": 50, "text_input": "after the short one", "output_length": 2, "session_id": "b"}),
        json!({"delay": 50, "text_input": "long enough again", "output_length": 2, "session_id": "a"}),
    ];
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    let flags = [
        "--dataset",
        "trace",
        "--dataset-parser",
        "mooncake",
        "--trace",
        "--min-prompt-length",
        "5",
    ];
    let bench = Bench::new();
    bench.file("trace", lines.join("\n"));
    let said = refused(&bench, &mock, &flags, 1);
    let part = "request 2 of the trace has no time but one after the request before it";
    assert!(said.contains(part), "{said}");
    let skipping = [&flags[..], &["--skip-bad-lines"]].concat();
    let ended = good(&bench, &mock, &skipping);
    let rows = bench.rows("SELECT number, session FROM result ORDER BY number");
    assert_eq!(rows, [[0, 0], [1, 0]]);
    let totals = of_run(&bench, "totals");
    assert_eq!(totals["replay"]["requests"], 2, "{totals}");
    assert_eq!(totals["data_set"]["bad_entries"], 1, "{totals}");
    assert_eq!(totals["data_set"]["passes"], 1.0, "{totals}");
    assert!(ended.stdout.contains("1 passed over"), "{}", ended.stdout);
}

#[test]
fn a_prompt_is_no_trace() {
    let (bench, mock) = (Bench::new(), mock_2());
    let arguments = ["--url", &mock.chat(), "--prompt", "x", "--trace"];
    let ended = run(&mut bench.perf(&arguments));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let said = "--trace is about the entries of a data set: give --dataset";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
fn a_limit_ends_a_replay() {
    let (mock, tokenizer) = (mock_2(), tokenizer());
    let times: Vec<f64> = (0..40).map(|number| f64::from(number) / 100.0).collect();
    for (limit, requests) in [("7", 7), ("100ms", 10), ("12,100ms", 10), ("8,1m", 8)] {
        let bench = Bench::new();
        bench.file("trace", trace(&times));
        good(
            &bench,
            &mock,
            &replayed(&tokenizer, &["--trace-limit", limit]),
        );
        assert_eq!(
            bench.rows("SELECT 1 FROM result").len(),
            requests,
            "{limit}"
        );
        assert_eq!(of_run(&bench, "totals")["replay"]["requests"], requests);
    }
}

#[test]
fn a_dry_run_shows_the_schedule_of_a_trace() {
    let (bench, mock, tokenizer) = (Bench::new(), mock_2(), tokenizer());
    bench.file("trace", trace(&[0.0, 0.5, 1.0, 3.0]));
    let ended = ends(&bench, &mock, &replayed(&tokenizer, &["--dry-run"]), 0);
    for part in [
        "Schedule: 4 requests of the trace in 3.000 s, 1.000 a second on average",
        "due after 0.000, 0.500, 1.000, 3.000 s",
        "Body of request 1",
    ] {
        assert!(ended.stdout.contains(part), "{}", ended.stdout);
    }
}

#[test]
fn without_a_tokenizer_the_lengths_of_a_trace_are_learned() {
    let (bench, mock) = (Bench::new(), mock(&["--prefix-cache", "100000"]));
    let requests: Vec<(u64, Option<usize>)> = (0..30).map(|number| (number * 10, None)).collect();
    bench.file("trace", conversations(&requests));
    let flags = ["--dataset", "trace", "--trace"];
    let ended = good(&bench, &mock, &flags);
    assert!(
        ended
            .stderr
            .contains("learned from the server by 8 short requests"),
        "{}",
        ended.stderr
    );
    let lengths = &of_run(&bench, "totals")["asked_lengths"];
    assert_eq!(lengths["input"]["requests"], 30, "{lengths}");
    assert_eq!(lengths["learned"]["probes"], 8, "{lengths}");
    let worst = lengths["input"]["worst_difference_tokens"]
        .as_i64()
        .unwrap();
    assert!(worst.abs() <= 1, "{lengths}");
    assert!(
        lengths["cached"]["mean_reported_tokens"].as_f64().unwrap() > 15.0,
        "{lengths}"
    );
}

#[test]
fn a_rate_follows_a_table() {
    let (bench, mock) = (Bench::new(), mock_2());
    bench.file("day.csv", "time,rate\n0,20\n1,20\n1,0\n2,0\n2,100\n3,100\n");
    let table = bench.path("day.csv").to_str().unwrap().to_owned();
    let load = [
        "--prompt",
        "x",
        "--rate-from",
        &table,
        "--arrival",
        "constant",
    ];
    let ended = good(&bench, &mock, &load);
    let totals = of_run(&bench, "totals");
    let groups = totals["groups"].as_array().unwrap();
    let found: Vec<(&str, u64)> = groups
        .iter()
        // The last request of a part is due at its end, where it may be that of the pause.
        .filter(|group| group["name"] != "0@1s")
        .map(|group| {
            (
                group["name"].as_str().unwrap(),
                group["completed"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["20@1s", "100@1s"]
    );
    assert!(
        found[0].1.abs_diff(20) <= 1 && found[1].1.abs_diff(100) <= 1,
        "{found:?}"
    );
    assert!(
        ended.stderr.contains("rate from day.csv constant"),
        "{}",
        ended.stderr
    );
    let plan = of_run(&bench, "plan");
    assert_eq!(plan["stages"], "rate:20@1s,0@1s,100@1s");
    assert_eq!(plan["rate_from"], table.as_str());

    let bench = Bench::new();
    bench.file("day.csv", "0,5\n10,fast\n");
    let said = refused(
        &bench,
        &mock_2(),
        &["--prompt", "x", "--rate-from", "day.csv"],
        2,
    );
    assert!(said.contains("day.csv: line 2: `10,fast`"), "{said}");
    let said = refused(
        &bench,
        &mock_2(),
        &["--prompt", "x", "--rate-from", "none.csv"],
        2,
    );
    assert!(said.contains("--rate-from none.csv: "), "{said}");
}

#[test]
fn users_of_a_closed_loop_begin_one_after_another() {
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "10s", "--tokens", "1"]));
    let load = [
        "--prompt",
        "x",
        "--parallel",
        "8",
        "--ramp-up",
        "1600ms",
        "-n",
        "8",
    ];
    let ended = run(bench
        .perf(&[
            "--url",
            &mock.chat(),
            "--read-timeout",
            "2s",
            "--keep-going",
        ])
        .args(load));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let sent = numbers(&bench, "SELECT sent_time FROM result ORDER BY sent_time");
    assert_eq!(sent.len(), 8);
    for (number, at) in (0..).zip(&sent) {
        let off = at - sent[0] - f64::from(number) * 0.2;
        assert!(off.abs() < 0.15, "{off}: {sent:?}");
    }
    assert!(
        ended.stderr.contains("users begin within 1.6s"),
        "{}",
        ended.stderr
    );
    assert_eq!(of_run(&bench, "plan")["ramp_up_seconds"], 1.6);
    let said = refused(
        &Bench::new(),
        &mock_2(),
        &["--prompt", "x", "--rate", "5", "--ramp-up", "1s"],
        2,
    );
    assert!(said.contains("--ramp-up is for the users"), "{said}");
}
