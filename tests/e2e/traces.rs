//! Traces: what was asked of a server, and what it is expected to have in its cache.

use crate::helpers::{good, mock, paragraph};
use crate::support::{Bench, program, repository, run};
use serde_json::{Value, json};

/// A trace of 100 requests of 20 conversations, each of which repeats the turns before it. Lengths in tokens.
fn trace(block: u64, line: impl Fn(u64, Value) -> Value) -> String {
    let mut histories = vec![Vec::new(); 20];
    let mut next_id = 100;
    let mut lines = Vec::new();
    for number in 0..100_u64 {
        let history: &mut Vec<u64> = &mut histories[(number * 7 % 20) as usize];
        let more = 1 + number % 3;
        // All conversations begin with the same block.
        if history.is_empty() {
            history.push(1);
        }
        history.extend(next_id..next_id + more);
        next_id += more;
        let whole = history.len() as u64 * block;
        // The last block is not full, and has an id of its own.
        let mut hash_ids = history.clone();
        hash_ids.push(next_id);
        next_id += 1;
        let shape = json!({
            "input_length": whole + 1 + number % (block - 1),
            "output_length": 1 + number % 5,
            "hash_ids": hash_ids,
        });
        lines.push(line(number, shape).to_string());
    }
    lines.join("\n")
}

fn mooncake() -> String {
    trace(512, |number, mut shape| {
        shape["timestamp"] = json!(number * 30);
        shape
    })
}

fn bailian() -> String {
    trace(16, |number, mut shape| {
        shape["timestamp"] = json!(60.0 + number as f64 * 0.03);
        shape["chat_id"] = json!(number);
        shape["parent_chat_id"] = match number {
            0..20 => json!(-1),
            // The same conversation as twenty requests before.
            _ => json!(number - 20),
        };
        shape["type"] = json!("text");
        shape["turn"] = json!(1 + number / 20);
        shape
    })
}

fn tokenizer() -> String {
    let folder = repository().join("datasets/tokenizer");
    folder.to_str().expect("the path is text").to_owned()
}

fn lengths(bench: &Bench) -> Value {
    let document = std::fs::read_to_string(bench.path("run.json")).expect("it was written");
    let document: Value = serde_json::from_str(&document).expect("it is JSON");
    document["runs"][0]["totals"]["asked_lengths"].clone()
}

#[test]
fn predicted_hits_of_a_trace_are_those_of_the_server() {
    let tokenizer = tokenizer();
    for (name, content, block) in [
        ("mooncake", mooncake(), 512.0),
        ("bailian", bailian(), 16.0),
    ] {
        let (bench, mock) = (Bench::new(), mock(&["--prefix-cache", "1000000"]));
        bench.file("trace", content);
        let flags = ["--parser", "openai_chat", "--dataset", "trace"];
        let more = ["--tokenizer-path", &tokenizer, "--json", "run.json"];
        // Twice over, the second time with the whole prompts in the cache.
        let ended = good(&bench, &mock, &[&flags[..], &more, &["-n", "200"]].concat());
        let said = format!("trace read as {name} (");
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
        let lengths = lengths(&bench);
        for side in ["input", "output"] {
            assert_eq!(lengths[side]["requests"], 200, "{name}: {lengths}");
            assert_eq!(lengths[side]["different"], 0, "{name}: {lengths}");
        }
        let cached = &lengths["cached"];
        assert_eq!(cached["requests"], 200, "{name}: {cached}");
        let mean = |name: &str| cached[name].as_f64().expect("it is a number");
        let (predicted, reported) = (mean("mean_predicted_tokens"), mean("mean_reported_tokens"));
        assert!(predicted > 4.0 * block, "{name}: {cached}");
        // The server knows full blocks of 16 tokens, and never the last token.
        assert!(
            (0.0..=16.0).contains(&(predicted - reported)),
            "{name}: {cached}"
        );
        let told = paragraph(&ended.stdout, "Lengths asked");
        let expected = format!("({predicted:.1} expected)");
        assert!(told.contains(&expected), "{name}: {told}");
        assert!(
            !ended.stdout.contains("prefix cache on average"),
            "{}",
            ended.stdout
        );
    }
}

#[test]
fn without_a_tokenizer_the_lengths_of_a_trace_are_learned_from_the_server() {
    let mock = mock(&["--prefix-cache", "1000000", "--template-tokens", "11"]);
    let bench = Bench::new();
    bench.file("trace", bailian());
    let flags = ["--parser", "openai_chat", "--dataset", "trace"];
    let ended = good(
        &bench,
        &mock,
        &[&flags[..], &["--json", "run.json"]].concat(),
    );
    let said = "learned from the server by 8 short requests";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    let lengths = lengths(&bench);
    for side in ["input", "output"] {
        assert_eq!(lengths[side]["requests"], 100, "{lengths}");
        assert_eq!(lengths[side]["different"], 0, "{lengths}");
    }
    assert_eq!(lengths["learned"]["probes"], 8, "{lengths}");
    let told = paragraph(&ended.stdout, "Lengths asked");
    assert!(told.contains("made without a tokenizer"), "{told}");
    // The blocks that prompts share have the same text at the same place.
    let doubt = "prefix cache on average";
    assert!(!ended.stdout.contains(doubt), "{}", ended.stdout);
}

#[test]
fn the_warm_up_of_a_trace_fills_the_cache() {
    let (bench, mock, tokenizer) = (Bench::new(), mock(&["--prefix-cache"]), tokenizer());
    bench.file("trace", bailian());
    let flags = [
        "--parser",
        "openai_chat",
        "--dataset",
        "trace",
        "--warmup",
        "40",
    ];
    let more = ["--tokenizer-path", &tokenizer, "--json", "run.json"];
    good(&bench, &mock, &[flags.as_slice(), &more].concat());
    let lengths = lengths(&bench);
    assert_eq!(lengths["input"]["requests"], 60, "{lengths}");
    let cached = &lengths["cached"];
    assert_eq!(cached["requests"], 60, "{cached}");
    // All turns before are known, also those of the warm-up.
    let rows = bench.rows("SELECT avg(prompt_tokens) FROM result WHERE NOT warmup");
    let prompt = rows[0][0].as_f64().expect("it is a number");
    let predicted = cached["mean_predicted_tokens"]
        .as_f64()
        .expect("it is a number");
    assert!(prompt - predicted < 16.0 * 4.0, "{prompt} {cached}");
}

#[test]
fn a_trace_is_described() {
    let bench = Bench::new();
    for (name, content) in [("mooncake", mooncake()), ("bailian", bailian())] {
        bench.file(name, content);
        let file = bench.path(name);
        let ended = run(program().args(["trace", "describe"]).arg(&file));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for part in [
            format!("read as {name}"),
            "100 requests".to_owned(),
            "2.970 s".to_owned(),
            "33.3 requests/s on average".to_owned(),
            "(of 100 requests)".to_owned(),
            "were in leading blocks sent before".to_owned(),
        ] {
            assert!(ended.stdout.contains(&part), "{part} in {}", ended.stdout);
        }
        let named = ended.stdout.contains("with 20 conversations named");
        assert_eq!(named, name == "bailian", "{}", ended.stdout);
    }
    bench.file(
        "broken",
        "{\"timestamp\": 0, \"input_length\": 5, \"output_length\": 2}\n{oops\n",
    );
    let ended = run(program()
        .args(["trace", "describe"])
        .arg(bench.path("broken")));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("line 2"), "{}", ended.stderr);
    let ended = run(program()
        .args(["trace", "describe"])
        .arg(bench.path("missing")));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}

#[test]
fn a_run_becomes_a_trace_that_can_be_replayed() {
    let (bench, mock, tokenizer) = (
        Bench::new(),
        mock(&["--prefix-cache", "1000000"]),
        tokenizer(),
    );
    bench.file("trace", bailian());
    let flags = [
        "--dataset",
        "trace",
        "--trace",
        "--tokenizer-path",
        &tokenizer,
    ];
    good(
        &bench,
        &mock,
        &[&flags[..], &["--json", "run.json"]].concat(),
    );
    let first = lengths(&bench);
    let made = bench.path("made.jsonl");
    let make = |more: &[&str]| {
        run(program()
            .args(["trace", "make", "--tokenizer-path", &tokenizer])
            .args(more)
            .arg(bench.path("run.db")))
    };
    let ended = make(&["--out", made.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("100 requests of"), "{}", ended.stderr);
    let text = std::fs::read_to_string(&made).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let given: Vec<Value> = bailian()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // In the order in which they were sent: requests that are due 30 ms apart may go the other way round on a busy machine.
    let sent = bench.rows("SELECT number FROM result ORDER BY sent_time, number");
    let given: Vec<&Value> = sent
        .iter()
        .map(|row| &given[row[0].as_u64().expect("a number") as usize])
        .collect();
    assert_eq!(lines.len(), given.len());
    for (line, given) in lines.iter().zip(given) {
        for member in ["input_length", "output_length", "turn"] {
            assert_eq!(line[member], given[member], "{line}");
        }
        let begins = |line: &Value| line["parent_chat_id"] == -1;
        assert_eq!(begins(line), begins(given), "{line}");
        let blocks = |line: &Value| line["hash_ids"].as_array().expect("a list").len();
        assert_eq!(blocks(line), blocks(given), "{line}");
    }
    // Another time, other hashes; the same beginnings.
    let other = make(&[]);
    assert_ne!(other.stdout, text);
    let hash = |text: &str, line: usize| -> Value {
        let line = text.lines().nth(line).unwrap();
        serde_json::from_str::<Value>(line).unwrap()["hash_ids"][0].clone()
    };
    assert_eq!(hash(&text, 0), hash(&text, 50));
    assert_eq!(hash(&other.stdout, 0), hash(&other.stdout, 50));
    assert_ne!(hash(&text, 0), hash(&other.stdout, 0));
    let described = run(program().args(["trace", "describe"]).arg(&made));
    assert!(
        described.stdout.contains("read as bailian"),
        "{}",
        described.stdout
    );
    let named = "100 requests, with 20 conversations named";
    assert!(described.stdout.contains(named), "{}", described.stdout);

    let again = Bench::new();
    again.file("trace", &text);
    let server = crate::helpers::mock(&["--prefix-cache", "1000000"]);
    good(
        &again,
        &server,
        &[&flags[..], &["--json", "run.json"]].concat(),
    );
    let second = lengths(&again);
    let mean = |lengths: &Value| lengths["cached"]["mean_predicted_tokens"].as_f64().unwrap();
    // A chat template of the request itself stands in front of the first block.
    assert!(
        (mean(&first) - mean(&second)).abs() < 32.0,
        "{first} {second}"
    );
}

#[test]
fn bodies_with_times_become_a_trace() {
    let (bench, tokenizer) = (Bench::new(), tokenizer());
    let body = |text: &str, most: Value| json!({"messages": [{"role": "user", "content": text}], "max_tokens": most});
    let prefix = "how far away is the moon from here and ".repeat(8);
    let lines = [
        json!({"timestamp": 1.0, "body": body(&format!("{prefix}why"), json!(7))}),
        json!({"timestamp": 1.5, "body": body(&format!("{prefix}when"), json!(9))}),
        json!({"timestamp": 2.0, "body": body("no number", json!(null))}),
    ];
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    // An empty line is none of the format's entries.
    let file = bench.file("bodies.jsonl", lines.join("\n\n"));
    let make = |more: &[&str]| run(program().args(["trace", "make"]).arg(&file).args(more));
    let ended = make(&["--tokenizer-path", &tokenizer]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("1 without a number of output tokens"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("2 blank"), "{}", ended.stderr);
    let made: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(made.len(), 2);
    assert_eq!(
        (&made[1]["timestamp"], &made[1]["output_length"]),
        (&json!(0.5), &json!(9))
    );
    assert_eq!(made[0]["hash_ids"][0], made[1]["hash_ids"][0]);
    assert!(!ended.stdout.contains("moon"));
    let refused = make(&[]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("--tokenizer-path"),
        "{}",
        refused.stderr
    );
    let mooncake = make(&["--tokenizer-path", &tokenizer, "--format", "mooncake"]);
    let line: Value = serde_json::from_str(mooncake.stdout.lines().nth(1).unwrap()).unwrap();
    assert_eq!(line["timestamp"], 500);
}

#[test]
fn requests_without_a_whole_answer_or_a_whole_body_are_in_no_trace() {
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "300ms"]));
    let mut prompts: Vec<String> = (0..19).map(|number| format!("prompt {number}")).collect();
    prompts.push("long ".repeat(300_000));
    let lines = prompts
        .iter()
        .map(|prompt| json!({"question": prompt}).to_string());
    bench.file("questions", lines.collect::<Vec<_>>().join("\n"));
    let flags = [
        "--parser",
        "openai_chat",
        "--dataset",
        "questions",
        "--parallel",
        "20",
        "-n",
        "40",
    ];
    good(
        &bench,
        &mock,
        &[&flags[..], &["--cancel", "30%:50ms"]].concat(),
    );
    let count = |what: &str| {
        let count = bench.value(&format!("SELECT count(*) FROM result WHERE {what}"));
        count.as_u64().expect("a count")
    };
    let disconnected = count("error_kind = 'disconnected'");
    let cut = count("success AND request LIKE '%(the first % bytes)'");
    assert!(disconnected > 0 && cut > 0, "{disconnected} and {cut}");
    let made = run(program().args(["trace", "make"]).arg(bench.path("run.db")));
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let requests = 40 - disconnected - cut;
    for part in [
        format!("{requests} requests of"),
        format!("{disconnected} that the client cancelled"),
        format!("{cut} of more than 1 MiB"),
    ] {
        assert!(made.stderr.contains(&part), "{part} in {}", made.stderr);
    }
    assert_eq!(made.stdout.lines().count() as u64, requests);
}
