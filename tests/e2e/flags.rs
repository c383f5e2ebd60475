//! One test for each flag of `llmuses perf`, which fails if the flag is ignored. What time-outs do is
//! tested with the failures, and `--insecure` with TLS.

use crate::helpers::{
    arrivals, assert_close, ends, figure, gaps, good, last_headers, mean, mock, numbers, of_run,
    paragraph, progress, prompts, questions, quick_mock, refused, said, seen, typed,
};
use crate::support::{Bench, Mock, run, sample};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

/// The databases in a folder, by their file names.
fn databases(bench: &Bench) -> Vec<String> {
    std::fs::read_dir(bench.path(""))
        .expect("the folder can be listed")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".db"))
        .collect()
}

#[test]
fn model() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let url = mock.chat();
    let ended = typed(
        &bench,
        &[
            "perf",
            "--model",
            "Org/My model",
            "--url",
            &url,
            "--prompt",
            "x",
        ],
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(mock.bodies()[0]["model"], "Org/My model");
    let names = databases(&bench);
    assert_eq!(names.len(), 1, "{names:?}");
    let time = names[0]
        .strip_prefix("Org_My_model_")
        .and_then(|name| name.strip_suffix(".db"))
        .unwrap_or_else(|| panic!("{names:?}"));
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '#' } else { c })
        .collect();
    assert_eq!(shape, "########_######");
}

#[test]
fn url() {
    let (bench, wanted, other) = (Bench::new(), quick_mock(), quick_mock());
    good(&bench, &wanted, &["--prompt", "x"]);
    assert_eq!((seen(&wanted), seen(&other)), (1, 0));
    assert_eq!(wanted.get("/last")["path"], "/v1/chat/completions");
}

#[test]
fn headers() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let arguments = [
        "--prompt",
        "x",
        "--headers",
        "Authorization=Bearer a=b==",
        "X-One=1",
        "--headers",
        "X-Two=",
        "User-Agent=mine",
    ];
    good(&bench, &mock, &arguments);
    let headers = last_headers(&mock);
    for (name, value) in [
        ("authorization", "Bearer a=b=="),
        ("x-one", "1"),
        ("x-two", ""),
        ("user-agent", "mine"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
}

#[test]
fn parameters() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let arguments = [
        "--prompt",
        "x",
        "--parameters",
        "yes=bool_true",
        "no=bool_false",
        "whole=7",
        "negative=-1",
        "float=0.5",
        "list=[1, \"a\"]",
        "object={\"a\": {\"b\": null}}",
        "text=a=b",
        "--parameters",
        "quoted=\"7\"",
        "stream_options=null",
    ];
    good(&bench, &mock, &arguments);
    let mut body = mock.bodies().remove(0);
    let body = body.as_object_mut().expect("an object");
    for own in ["model", "messages", "stream"] {
        assert!(body.remove(own).is_some(), "{own}");
    }
    assert_eq!(
        Value::Object(body.clone()),
        json!({
            "yes": true, "no": false, "whole": 7, "negative": -1, "float": 0.5, "list": [1, "a"],
            "object": {"a": {"b": null}}, "text": "a=b", "quoted": "7",
        })
    );
}

#[test]
fn dataset() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("set", questions(&["one", "two", "three"]));
    let ended = good(
        &bench,
        &mock,
        &["--dataset", "set", "--parser", "openai_openqa_qwen"],
    );
    assert_eq!(prompts(&mock), ["one", "two", "three"]);
    assert_eq!(
        said(&ended.stdout, "Data set"),
        "3 entries read (entries are read ahead), no prompt used twice"
    );
}

#[test]
fn prompt() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("prompt.txt", "first ü\n\nsecond\n");
    bench.file("@odd", "of a file with an odd name");
    good(&bench, &mock, &["--prompt", "a text"]);
    for text in ["@prompt.txt", "@@odd"] {
        std::fs::remove_file(bench.path("run.db")).expect("a run was before this");
        good(&bench, &mock, &["--prompt", text]);
    }
    assert_eq!(
        prompts(&mock),
        [
            "a text",
            "first ü\n\nsecond\n",
            "of a file with an odd name"
        ]
    );
}

#[test]
fn lengths_are_strict_and_count_unicode_scalar_values() {
    /// Prompts, and how many scalar values each has: neither bytes, UTF-16 units nor what a person
    /// would count.
    const PROMPTS: [(&str, usize); 9] = [
        ("ab", 2),
        ("abc", 3),
        ("abcd", 4),
        ("😀😀", 2),
        ("😀😀😀", 3),
        ("e\u{301}e", 3),
        ("e\u{301}e\u{301}", 4),
        ("\u{e9}\u{e9}\u{e9}", 3),
        ("👩\u{200d}👩\u{200d}👧", 5),
    ];
    for (arguments, wanted) in [
        (&["--min-prompt-length", "2"][..], 3..=5),
        (&["--max-prompt-length", "3"], 2..=2),
        (
            &["--min-prompt-length", "2", "--max-prompt-length", "4"],
            3..=3,
        ),
        (&["--min-prompt-length", "4"], 5..=5),
        (&[], 2..=5),
    ] {
        let (bench, mock) = (Bench::new(), quick_mock());
        let texts = PROMPTS.map(|(text, _)| text);
        bench.file("set", texts.join("\n"));
        let mut all = vec!["--dataset", "set", "--parser", "openai_line_by_line"];
        all.extend(arguments);
        let ended = good(&bench, &mock, &all);
        let expected: Vec<&str> = PROMPTS
            .into_iter()
            .filter(|(_, length)| wanted.contains(length))
            .map(|(text, _)| text)
            .collect();
        assert_eq!(prompts(&mock), expected, "{arguments:?}");
        let skipped = PROMPTS.len() - expected.len();
        let said = paragraph(&ended.stdout, "Data set");
        let numbers: usize = said
            .split("; ")
            .filter_map(|part| part.split_once(" skipped")?.0.parse::<usize>().ok())
            .sum();
        assert_eq!(numbers, skipped, "{said}");
    }
}

#[test]
fn a_prompt_chosen_by_hand_has_any_length() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let arguments = ["--prompt", "abcdef", "--max-prompt-length", "3"];
    good(&bench, &mock, &arguments);
    assert_eq!(prompts(&mock), ["abcdef"]);
}

/// Tokens of the prompt and of the output of a run whose server counts none, as the database has them,
/// and the summary.
fn counted(tokenizer: Option<&Path>) -> (Bench, String) {
    let (bench, mock) = (Bench::new(), mock(&["--usage", "off"]));
    bench.file(
        "set",
        questions(&["How far away is the moon?", "Wörter 😀"]),
    );
    let mut arguments = vec!["--dataset", "set", "--parser", "openai_openqa_qwen"];
    if let Some(path) = tokenizer {
        arguments.extend(["--tokenizer-path", path.to_str().expect("it is text")]);
    }
    let ended = good(&bench, &mock, &arguments);
    (bench, ended.stdout)
}

#[test]
fn tokenizer_path() {
    let file = sample("tokenizer/tokenizer.json");
    let tokenizer = Tokenizer::from_file(&file).expect("it is a tokenizer");
    let count = |text: &str| {
        let encoding = tokenizer.encode(text, false).expect("it can be encoded");
        encoding.len()
    };
    for path in [&file, &sample("tokenizer")] {
        let (bench, summary) = counted(Some(path));
        let rows = bench.rows(
            "SELECT request, response_messages, prompt_tokens, completion_tokens FROM result",
        );
        assert_eq!(rows.len(), 2);
        for row in rows {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let request: Value = serde_json::from_str(&text(&row[0])).expect("it is JSON");
            let prompt = text(&request["messages"][0]["content"]);
            let messages: Vec<String> = serde_json::from_str(&text(&row[1])).expect("it is JSON");
            let output: String = messages
                .iter()
                .map(|message| {
                    let chunk: Value = serde_json::from_str(message).expect("it is JSON");
                    text(&chunk["choices"][0]["delta"]["content"])
                })
                .collect();
            assert!(!output.is_empty());
            assert_eq!(row[2], count(&prompt), "{prompt}");
            assert_eq!(row[3], count(&output), "{output}");
        }
        for label in ["Input tokens", "Output tokens"] {
            let said = paragraph(&summary, label);
            assert!(said.contains("tokenizer for 2 requests"), "{said}");
        }
    }
}

#[test]
fn without_a_tokenizer_tokens_are_absent_not_zero() {
    let (bench, summary) = counted(None);
    let rows = bench.rows("SELECT prompt_tokens, completion_tokens, tpot FROM result");
    assert_eq!(json!(rows), json!([[null, null, null], [null, null, null]]));
    for label in [
        "Throughput(average output tokens per second)",
        "Average input tokens per request",
        "Average output tokens per request",
        "Average time per output token",
    ] {
        assert_eq!(said(&summary, label), "n/a", "{label}");
    }
    let said = paragraph(&summary, "Output tokens");
    assert!(said.contains("--tokenizer-path"), "{said}");
}

#[test]
fn the_usage_of_the_server_wins_over_the_tokenizer() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let tokenizer = sample("tokenizer");
    let arguments = [
        "--prompt",
        "unbelievably longwinded",
        "--tokenizer-path",
        tokenizer.to_str().expect("it is text"),
    ];
    let ended = good(&bench, &mock, &arguments);
    let rows = bench.rows("SELECT prompt_tokens, completion_tokens FROM result");
    assert_eq!(json!(rows), json!([[2, 5]]));
    let said = paragraph(&ended.stdout, "Output tokens");
    assert!(said.contains("usage of the server"), "{said}");
}

#[test]
fn number() {
    for (number, expected, use_said) in [
        (Some("2"), &["1", "2"][..], "no prompt used twice"),
        (None, &["1", "2", "3", "4", "5"], "no prompt used twice"),
        (
            Some("12"),
            &["1", "2", "3", "4", "5", "1", "2", "3", "4", "5", "1", "2"],
            "used 2.4 times",
        ),
    ] {
        for flag in ["-n", "--number"] {
            let (bench, mock) = (Bench::new(), quick_mock());
            bench.file("set", "1\n2\n3\n4\n5\n");
            let mut all = vec!["--dataset", "set", "--parser", "openai_line_by_line"];
            all.extend(number.iter().flat_map(|number| [flag, number]));
            let ended = good(&bench, &mock, &all);
            assert_eq!(prompts(&mock), expected, "{number:?}");
            let summary = &ended.stdout;
            assert!(said(summary, "Data set").ends_with(use_said), "{summary}");
            let asked = expected.len() as f64;
            assert_eq!(figure(summary, "Expected number of requests"), asked);
            let verdict = of_run(&bench, "verdict").to_string();
            let reused = expected.len() > 5;
            assert_eq!(verdict.contains("data-set-reused"), reused, "{verdict}");
        }
    }
}

#[test]
fn a_prompt_is_sent_once_or_as_often_as_asked() {
    for (arguments, times) in [(&[][..], 1), (&["-n", "3"], 3)] {
        let (bench, mock) = (Bench::new(), quick_mock());
        good(&bench, &mock, &[&["--prompt", "x"], arguments].concat());
        assert_eq!(seen(&mock), times);
    }
}

#[test]
fn parallel() {
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "400ms"]));
    let arguments = ["--prompt", "x", "-n", "8", "--parallel", "4"];
    let ended = good(&bench, &mock, &arguments);
    let arrived = arrivals(&mock.truth());
    assert_eq!(arrived.len(), 8);
    // Four at once; the fifth not before one of them was over.
    assert!(arrived[3] - arrived[0] < 0.4, "{arrived:?}");
    assert!(arrived[4] - arrived[0] >= 0.4, "{arrived:?}");
    assert_eq!(of_run(&bench, "totals")["requests"]["peak_in_flight"], 4);
    assert_eq!(figure(&ended.stdout, "Number of concurrency"), 4.0);
    assert_eq!(said(&ended.stdout, "In flight"), "4 requests at the peak");
}

#[test]
fn one_request_at_a_time_is_the_default() {
    let (bench, mock) = (Bench::new(), quick_mock());
    good(&bench, &mock, &["--prompt", "x", "-n", "3"]);
    assert_eq!(of_run(&bench, "totals")["requests"]["peak_in_flight"], 1);
}

#[test]
fn rate_arrives_as_a_poisson_process() {
    let (bench, mock) = (Bench::new(), mock(&["--tokens", "2"]));
    let arguments = ["--prompt", "x", "--rate", "200", "-n", "800"];
    let ended = good(&bench, &mock, &arguments);
    let gaps = gaps(&arrivals(&mock.truth()));
    assert_eq!(gaps.len(), 799);
    let mean_gap = mean(&gaps);
    assert_close("mean gap", mean_gap, 0.005, 0.0005);
    // An exponential distribution deviates by as much as its mean.
    let variation = variation(&gaps);
    assert!((0.85..1.15).contains(&variation), "{variation}");
    assert!(
        said(&ended.stdout, "Number of concurrency").starts_with("open loop"),
        "{}",
        ended.stdout
    );
    let rate = paragraph(&ended.stdout, "Rate");
    assert!(
        rate.contains("200.000 requests per second asked for"),
        "{rate}"
    );
}

/// Standard deviation of gaps by their mean.
fn variation(gaps: &[f64]) -> f64 {
    let mean_gap = mean(gaps);
    let squares: Vec<f64> = gaps.iter().map(|gap| (gap - mean_gap).powi(2)).collect();
    mean(&squares).sqrt() / mean_gap
}

#[test]
fn arrival_says_how_the_gaps_vary() {
    // The gaps of a busy machine are wider than they were asked for, which constant ones show most.
    for (arrival, expected) in [("constant", 0.0..0.3), ("gamma:2", 1.6..2.4)] {
        let (bench, mock) = (Bench::new(), mock(&["--tokens", "2"]));
        let rate = ["--prompt", "x", "--rate", "100", "-n", "600"];
        let ended = good(
            &bench,
            &mock,
            &[&rate[..], &["--arrival", arrival]].concat(),
        );
        let gaps = gaps(&arrivals(&mock.truth()));
        assert_close("mean gap", mean(&gaps), 0.01, 0.0015);
        let found = variation(&gaps);
        assert!(expected.contains(&found), "{arrival}: {found}");
        let plan = of_run(&bench, "plan");
        let name = arrival.split(':').next().unwrap();
        assert_eq!(
            (&plan["arrivals"], &plan["rate"]),
            (&name.into(), &100.0.into())
        );
        let opening = format!("100 requests/s {arrival}");
        assert!(ended.stderr.contains(&opening), "{}", ended.stderr);
    }
}

/// When the schedule wanted requests sent, from the first one on.
fn schedule(arguments: &[&str]) -> Vec<f64> {
    let (bench, mock) = (Bench::new(), quick_mock());
    let mut all = vec!["--prompt", "x", "-n", "40"];
    all.extend(arguments);
    good(&bench, &mock, &all);
    let times = numbers(&bench, "SELECT intended_time FROM result ORDER BY number");
    times.iter().map(|time| time - times[0]).collect()
}

#[test]
fn seed() {
    let of = |seed: &[&str]| schedule(&[&["--rate", "400.5"], seed].concat());
    let same = |one: &[f64], other: &[f64]| {
        // Unix seconds as floating point hold a quarter of a microsecond.
        one.iter()
            .zip(other)
            .all(|(one, other)| (one - other).abs() < 2e-6)
    };
    let first = of(&["--seed", "7"]);
    assert!(same(&first, &of(&["--seed", "7"])));
    assert!(!same(&first, &of(&["--seed", "8"])));
    assert!(
        same(&of(&[]), &of(&["--seed", "42"])),
        "the default is fixed"
    );
    assert!(first.windows(2).all(|pair| pair[0] < pair[1]), "{first:?}");
}

#[test]
fn rate_minus_one_sends_all_at_time_zero() {
    for rate in [&["--rate", "-1"][..], &["--rate=-1"]] {
        let (bench, mock) = (Bench::new(), mock(&["--ttft", "400ms"]));
        bench.file("set", "a\n".repeat(20));
        let set = ["--dataset", "set", "--parser", "openai_line_by_line"];
        good(&bench, &mock, &[&set, rate].concat());
        let intended = numbers(&bench, "SELECT DISTINCT intended_time FROM result");
        assert_eq!(intended.len(), 1, "{intended:?}");
        let arrived = arrivals(&mock.truth());
        assert_eq!(arrived.len(), 20);
        assert!(arrived[19] - arrived[0] < 0.4, "{arrived:?}");
        let plan = of_run(&bench, "plan");
        assert_eq!(plan["arrivals"], "all-at-once");
        assert!(plan["rate"].is_null(), "{plan}");
    }
}

#[test]
fn client_threads() {
    let typed = |threads| ["--client-threads", threads];
    // Three streams are work for one.
    for (flags, expected) in [([].as_slice(), 1), (&typed("1"), 1), (&typed("3"), 3)] {
        let (bench, mock) = (Bench::new(), quick_mock());
        let load = ["--prompt", "x", "-n", "6", "--parallel", "3"];
        good(&bench, &mock, &[load.as_slice(), flags].concat());
        let busy = of_run(&bench, "totals")["client"]["busy_shares"].clone();
        assert_eq!(busy.as_array().map(Vec::len), Some(expected), "{busy}");
    }
}

#[test]
fn values_that_make_no_sense_are_refused() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let long: [(&str, &[&str]); 12] = [
        ("--connect-timeout", &["0", "-1", "x", "nan", "1e-300"]),
        ("--read-timeout", &["0", "-1", "x", "nan"]),
        ("--total-timeout", &["0", "-1", ""]),
        ("--rate", &["0", "-2", "nan", "many"]),
        ("--parallel", &["0", "-1", "1.5"]),
        ("--number", &["0", "-1", "1.5"]),
        ("--client-threads", &["0", "513"]),
        ("--seed", &["-1", "x"]),
        ("--log-every-n-query", &["0", "x"]),
        ("--min-prompt-length", &["-1", "x"]),
        ("--max-prompt-length", &["-1", "x"]),
        ("--parameters", &["novalue", "=x"]),
    ];
    for (flag, values) in long {
        for value in values {
            let argument = format!("{flag}={value}");
            let text = refused(&bench, &mock, &["--prompt", "x", &argument], 2);
            assert!(text.contains(flag), "{argument}: {text}");
        }
    }
}

#[test]
fn timeouts_are_taken_in_fractions_of_seconds() {
    let (bench, mock) = (Bench::new(), quick_mock());
    good(
        &bench,
        &mock,
        &[
            "--prompt",
            "x",
            "--connect-timeout",
            "1.5",
            "--read-timeout=2.25",
            "--total-timeout",
            "30",
        ],
    );
    let plan = of_run(&bench, "plan");
    for (key, seconds) in [("connect", 1.5), ("read", 2.25), ("total", 30.0)] {
        assert_eq!(plan[format!("{key}_timeout_seconds")], seconds, "{key}");
    }
}

#[test]
fn name() {
    let (bench, mock) = (Bench::new(), quick_mock());
    good(&bench, &mock, &["--prompt", "x"]);
    assert_eq!(databases(&bench), ["run.db"]);
    let before = std::fs::read(bench.path("run.db")).expect("it is there");
    let ended = ends(&bench, &mock, &["--prompt", "x"], 2);
    assert!(ended.stderr.contains("run.db"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("never overwritten"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stdout, "");
    let after = std::fs::read(bench.path("run.db")).expect("it is there");
    assert!(before == after, "the results of the first run were changed");
    assert_eq!(seen(&mock), 1, "the second run sent something");
    assert_eq!(databases(&bench), ["run.db"]);
}

#[test]
fn log_every_n_query() {
    for (arguments, expected) in [
        (&["--log-every-n-query", "3"][..], &["3", "6", "9"][..]),
        // The last line of a second.
        (&[], &["11"]),
    ] {
        let (bench, mock) = (Bench::new(), quick_mock());
        let all = [&["--prompt", "x", "-n", "11"], arguments].concat();
        let ended = good(&bench, &mock, &all);
        let completed: Vec<String> = progress(&ended.stderr)
            .into_iter()
            .flatten()
            .filter(|(label, _)| label == "completed")
            .map(|(_, value)| value)
            .collect();
        assert_eq!(completed, expected);
    }
}

#[test]
fn debug() {
    const SECRET: &str = "sk-very-secret-0123456789";
    let run = |flags: &[&str]| {
        let (bench, mock) = (Bench::new(), quick_mock());
        let authorization = format!("Authorization=Bearer {SECRET}");
        let key = format!("X-Api-Key={SECRET}");
        let all = ["--prompt", "a word", "--headers", &authorization, &key];
        let ended = good(&bench, &mock, &[&all, flags].concat());
        assert_eq!(last_headers(&mock)["x-api-key"], SECRET);
        for text in [&ended.stderr, &ended.stdout] {
            assert!(!text.contains(SECRET), "{text}");
        }
        let database = std::fs::read(bench.path("run.db")).expect("it is there");
        let held = database
            .windows(SECRET.len())
            .any(|bytes| bytes == SECRET.as_bytes());
        assert!(!held, "the database holds the key");
        ended.stderr
    };
    let shown = run(&["--debug"]);
    for part in [
        "\"content\":\"a word\"",
        "authorization: ***",
        "x-api-key: ***",
        "status 200",
        "chat.completion.chunk",
        "[DONE]",
        "completion tokens 5",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let quiet = run(&[]);
    assert!(!quiet.contains("a word"), "{quiet}");
}

/// The compiled parsers that the cache holds: each file, and what tells one writing of it from another.
fn cached(home: &Path) -> Vec<(PathBuf, u64)> {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(home.join("llmuses/components")) else {
        return Vec::new();
    };
    entries
        .map(|entry| {
            let entry = entry.expect("the folder can be listed");
            let metadata = entry.metadata().expect("the file is there");
            (entry.path(), metadata.ino())
        })
        .filter(|(path, _)| path.extension().is_some_and(|end| end == "code"))
        .collect()
}

/// One run with a cache of its own.
fn run_with_cache(mock: &Mock, home: &Path, arguments: &[&str]) {
    let bench = Bench::new();
    let url = mock.chat();
    let ended = run(bench
        .perf(&["--url", &url, "--prompt", "x"])
        .args(arguments)
        .env("XDG_CACHE_HOME", home));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn no_compile_cache() {
    use std::os::unix::fs::PermissionsExt;
    let (bench, mock) = (Bench::new(), quick_mock());
    let home = bench.path("cache");
    std::fs::create_dir(&home).expect("a folder can be made");
    run_with_cache(&mock, &home, &["--no-compile-cache"]);
    let left = std::fs::read_dir(&home).expect("it is there").count();
    assert_eq!(left, 0, "something was kept");

    run_with_cache(&mock, &home, &[]);
    let kept = cached(&home);
    assert_eq!(kept.len(), 1, "{kept:?}");
    let mode = std::fs::metadata(home.join("llmuses/components"))
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    // A run that compiles writes a file anew.
    run_with_cache(&mock, &home, &[]);
    assert_eq!(cached(&home), kept);
}

#[test]
fn transport() {
    let mut said = Vec::new();
    for arguments in [
        &["--transport", "socket"][..],
        &[],
        &["--transport", "auto"],
        &["--transport", "reqwest"],
    ] {
        let (bench, mock) = (Bench::new(), quick_mock());
        let ended = good(&bench, &mock, &[&["--prompt", "x"], arguments].concat());
        let rows = bench.rows("SELECT transport, stamps FROM run");
        said.push(json!(rows[0]));
        let told = paragraph(&ended.stdout, "Arrival times");
        // What was not chosen by the user is told with the reason.
        let carrier = match arguments.last() {
            Some(&chosen) if chosen != "auto" => format!("; transport: {chosen}"),
            _ if cfg!(target_os = "linux") => {
                "; transport: socket (auto: HTTP/1.1, stamped by the kernel)".to_owned()
            }
            _ => "; transport: socket (auto: HTTP/1.1, over connections of our own)".to_owned(),
        };
        assert!(told.ends_with(&carrier), "{arguments:?}: {told}");
    }
    assert_eq!(said[0][0], "socket");
    if cfg!(target_os = "linux") {
        assert_eq!(said[0][1], "kernel receive time");
    }
    assert_eq!(said[1..3], [said[0].clone(), said[0].clone()]);
    assert_eq!(said[3], json!(["reqwest", "return of the read"]));
}

#[test]
fn no_warm_connections() {
    for (arguments, opened) in [(&[][..], 0), (&["--no-warm-connections"], 3)] {
        let (bench, mock) = (Bench::new(), mock(&["--ttft", "50ms"]));
        let all = ["--prompt", "x", "-n", "6", "--parallel", "3"];
        good(&bench, &mock, &[&all, arguments].concat());
        let by_requests = bench.value("SELECT count(connect_time) FROM result");
        assert_eq!(by_requests, opened, "{arguments:?}");
    }
}

#[test]
fn save() {
    let tables = |arguments: &[&str]| {
        let (bench, mock) = (Bench::new(), quick_mock());
        let all = ["--prompt", "x", "-n", "2"];
        good(&bench, &mock, &[&all, arguments].concat());
        let there = bench.path("run.db").exists();
        there.then(|| {
            let rows = "SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM result)";
            assert_eq!(of_run(&bench, "totals")["requests"]["succeeded"], 2);
            json!(bench.rows(rows))
        })
    };
    assert_eq!(tables(&[]), Some(json!([[1, 2]])));
    assert_eq!(tables(&["--save", "full"]), Some(json!([[1, 2]])));
    assert_eq!(tables(&["--save", "summary"]), Some(json!([[1, 0]])));
    assert_eq!(tables(&["--save", "none"]), None);
}

#[test]
fn require_valid() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let arguments = ["--prompt", "x", "-n", "3", "--save", "none"];
    // Three requests are too few for any percentile.
    let ended = good(&bench, &mock, &arguments);
    assert!(ended.stdout.contains("to read these numbers with care"));
    ends(
        &bench,
        &mock,
        &[&arguments[..], &["--require-valid"]].concat(),
        1,
    );
}
