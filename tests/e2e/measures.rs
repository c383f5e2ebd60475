//! Numbers: what a run reports, what its database holds and what the server really did must agree.

use crate::helpers::{
    assert_close, figure, good, mean, mock, numbers, of_run, percentile, progress, quick_mock,
    typed,
};
use crate::support::{Bench, Ended, Mock, sample};
use serde_json::{Value, json};

/// The labels of a progress line, in the order of the specification.
const PROGRESS: [&str; 14] = [
    "Time",
    "concurrency",
    "completed",
    "succeed",
    "failed",
    "qps",
    "latency",
    "time to first token",
    "throughput(output tokens per second)",
    "time per output token",
    "package per request",
    "time per package",
    "input tokens per request",
    "output tokens per request",
];

/// The labels of the summary's first block, in the order of the specification.
const SUMMARY: [&str; 34] = [
    "Benchmarking summary",
    " Time taken for tests",
    " Expected number of requests",
    " Number of concurrency",
    " Total requests",
    " Succeed requests",
    " Failed requests",
    " Average QPS",
    " Average latency",
    " Throughput(average output tokens per second)",
    " Average time to first token",
    " Average input tokens per request",
    " Average output tokens per request",
    " Average time per output token",
    " Average package per request",
    " Average package latency",
    " Percentile of time to first token",
    "     p50",
    "     p66",
    "     p75",
    "     p80",
    "     p90",
    "     p95",
    "     p98",
    "     p99",
    " Percentile of request latency",
    "     p50",
    "     p66",
    "     p75",
    "     p80",
    "     p90",
    "     p95",
    "     p98",
    "     p99",
];

/// The specification's own command line, against a server of known timing, in a folder with the data
/// sets of the repository.
fn the_specified_run(bench: &Bench, mock: &Mock) -> Ended {
    std::fs::create_dir_all(bench.path("datasets/tokenizer")).expect("a folder can be made");
    for name in ["open_qa.jsonl", "tokenizer/tokenizer.json"] {
        std::fs::copy(sample(name), bench.path("datasets").join(name))
            .expect("the sample can be copied");
    }
    let url = mock.chat();
    let ended = typed(
        bench,
        &[
            "perf",
            "--url",
            &url,
            "--parallel",
            "1",
            "--model",
            "qwen",
            "--dataset",
            "datasets/open_qa.jsonl",
            "--log-every-n-query",
            "1",
            "--read-timeout=120",
            "--parser",
            "openai_openqa_qwen",
            "-n",
            "10",
            "--max-prompt-length",
            "128000",
            "--tokenizer-path",
            "datasets/tokenizer",
        ],
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let database = std::fs::read_dir(bench.path(""))
        .expect("the folder can be listed")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "db"))
        .expect("the run left a database");
    std::fs::rename(database, bench.path("run.db")).expect("it can be renamed");
    ended
}

/// The percentiles of one of the two lists of the summary.
fn listed(summary: &str, of: &str) -> Vec<(usize, f64)> {
    summary
        .lines()
        .skip_while(|line| line.trim_end() != format!(" Percentile of {of}:"))
        .skip(1)
        .take(8)
        .map(|line| {
            let (label, value) = line.trim().split_once(": ").expect("LABEL: VALUE");
            (
                label[1..].parse().expect("pNN"),
                value.parse().expect("a figure"),
            )
        })
        .collect()
}

#[test]
fn the_specified_command_line() {
    let _turn = crate::timing::turn();
    let (bench, mock) = (
        Bench::new(),
        mock(&["--ttft", "20ms", "--itl", "4ms", "--tokens", "8"]),
    );
    let ended = the_specified_run(&bench, &mock);
    let truth = mock.truth();

    // The shape.
    let lines = progress(&ended.stderr);
    assert_eq!(lines.len(), 10, "{}", ended.stderr);
    for (index, line) in lines.iter().enumerate() {
        let labels: Vec<&str> = line.iter().map(|(label, _)| label.as_str()).collect();
        assert_eq!(labels, PROGRESS);
        let value = |label: &str| -> f64 {
            let found = line.iter().find(|(name, _)| name == label);
            let text = &found.expect("it was just seen").1;
            text.parse().unwrap_or_else(|_| panic!("{label}: {text}"))
        };
        for (label, expected) in [
            ("concurrency", 1.0),
            ("completed", index as f64 + 1.0),
            ("succeed", index as f64 + 1.0),
            ("failed", 0.0),
            ("output tokens per request", 8.0),
        ] {
            assert_eq!(value(label), expected, "{label} in line {index}");
        }
        assert!(PROGRESS.iter().all(|label| value(label).is_finite()));
    }
    for line in ended
        .stderr
        .lines()
        .filter(|line| line.contains(" - INFO - "))
    {
        let date: String = line
            .chars()
            .take(23)
            .map(|c| if c.is_ascii_digit() { '#' } else { c })
            .collect();
        assert_eq!(date, "####-##-## ##:##:##,###", "{line}");
    }
    let labels: Vec<&str> = ended
        .stdout
        .lines()
        .take(SUMMARY.len())
        .map(|line| {
            line.split(": ")
                .next()
                .unwrap_or_default()
                .trim_end_matches(':')
        })
        .collect();
    assert_eq!(labels, SUMMARY);

    agrees_with_the_database(&bench, &ended.stdout);
    agrees_with_the_server(&bench, &truth, 8);
}

/// Recomputes the summary's first block from the table `result`.
fn agrees_with_the_database(bench: &Bench, summary: &str) {
    let column = |name: &str| {
        numbers(
            bench,
            &format!("SELECT {name} FROM result WHERE success = 1"),
        )
    };
    let latency = column("latency");
    let ttft = column("ttft");
    let tokens: f64 = column("completion_tokens").iter().sum();
    let largest = |values: Vec<f64>| values.into_iter().fold(f64::MIN, f64::max);
    let least = |values: Vec<f64>| values.into_iter().fold(f64::MAX, f64::min);
    let wall = largest(column("completed_time")) - least(column("sent_time"));
    let chunks = column("n_chunks");
    // The mean over all packages, not over the means of the requests.
    let package: f64 = column("chunk_time * (n_chunks - 2)").iter().sum();
    let packages: f64 = chunks.iter().map(|chunks| chunks - 2.0).sum();
    let count = latency.len() as f64;
    // As many decimals as are printed, and a little for clocks turned into Unix time.
    for (label, expected, bound) in [
        ("Time taken for tests", wall, 0.0006),
        ("Total requests", count, 0.0),
        ("Succeed requests", count, 0.0),
        ("Average QPS", count / wall, 0.002 * count / wall),
        ("Average latency", mean(&latency), 0.0006),
        (
            "Throughput(average output tokens per second)",
            tokens / wall,
            0.002 * tokens / wall,
        ),
        ("Average time to first token", mean(&ttft), 0.0006),
        (
            "Average input tokens per request",
            mean(&column("prompt_tokens")),
            0.0006,
        ),
        ("Average output tokens per request", tokens / count, 0.0006),
        ("Average time per output token", wall / tokens, 0.000_06),
        ("Average package per request", mean(&chunks), 0.0006),
        ("Average package latency", package / packages, 0.0006),
    ] {
        assert_close(label, figure(summary, label), expected, bound);
    }
    for (name, values) in [
        ("time to first token", &ttft),
        ("request latency", &latency),
    ] {
        let listed = listed(summary, name);
        assert_eq!(listed.len(), 8, "{summary}");
        for (percent, value) in listed {
            let expected = percentile(values, percent);
            // The run keeps a histogram of times, within a thousandth.
            let bound = 0.000_06 + expected * 0.001;
            assert_close(&format!("{name} p{percent}"), value, expected, bound);
        }
    }
}

/// Holds the table `result` against what the server says it did. A tool cannot see more than happened;
/// on a machine that does much else it may see it late.
fn agrees_with_the_server(bench: &Bench, truth: &Value, tokens: u64) {
    let count = bench
        .value("SELECT count(*) FROM result")
        .as_u64()
        .unwrap_or(0);
    for (name, expected) in [
        ("requests", count),
        ("completed", count),
        ("errors", 0),
        ("aborted", 0),
        ("tokens", count * tokens),
    ] {
        assert_eq!(truth[name], expected, "{name}: {truth}");
    }
    let prompt_tokens: f64 = numbers(bench, "SELECT prompt_tokens FROM result")
        .iter()
        .sum();
    assert_eq!(truth["prompt_tokens"].as_f64(), Some(prompt_tokens));
    let ttft = numbers(bench, "SELECT ttft FROM result");
    let said = |of: &str| truth["ttft_seconds"][of].as_f64().expect("it is known");
    assert_close(
        "median time to first token",
        percentile(&ttft, 50),
        said("p50"),
        0.005,
    );
    assert_close("mean time to first token", mean(&ttft), said("mean"), 0.02);
    let gap = truth["itl_seconds"]["mean"].as_f64().expect("it is known");
    let tpot = mean(&numbers(bench, "SELECT tpot FROM result"));
    assert_close("time per output token", tpot, gap, 0.003);
}

#[test]
fn the_first_token_is_not_the_chunk_that_names_the_role() {
    let _turn = crate::timing::turn();
    let (bench, mock) = (Bench::new(), mock(&["--role-chunk", "--ttft", "80ms"]));
    good(&bench, &mock, &["--prompt", "x", "-n", "9"]);
    let truth = mock.truth();
    let ttft = numbers(&bench, "SELECT ttft FROM result");
    let package = numbers(&bench, "SELECT first_chunk_latency FROM result");
    assert!(mean(&ttft) >= 0.079, "{ttft:?}");
    assert!(percentile(&package, 50) < 0.04, "{package:?}");
    assert_close(
        "median time to first token",
        percentile(&ttft, 50),
        truth["ttft_seconds"]["p50"].as_f64().expect("it is known"),
        0.005,
    );
    assert_close(
        "median time to first package",
        percentile(&package, 50),
        truth["first_write_seconds"]["p50"]
            .as_f64()
            .expect("it is known"),
        0.005,
    );
    // The role, five tokens, the reason of the end, the usage.
    assert_eq!(
        numbers(&bench, "SELECT DISTINCT n_chunks FROM result"),
        [8.0]
    );
    let outputs = bench.value("SELECT output_times FROM result");
    let outputs: Vec<f64> =
        serde_json::from_str(outputs.as_str().expect("a text")).expect("it is JSON");
    assert_eq!(outputs.len(), 5);
}

#[test]
fn a_hundred_streams_at_once() {
    let _turn = crate::timing::turn();
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "50ms", "--itl", "5ms"]));
    let arguments = ["--prompt", "x", "-n", "300", "--parallel", "100"];
    let ended = good(&bench, &mock, &arguments);
    assert_eq!(figure(&ended.stdout, "Succeed requests"), 300.0);
    assert_eq!(figure(&ended.stdout, "Failed requests"), 0.0);
    assert_eq!(mock.truth()["completed"], 300);
    let sound = bench.value(
        "SELECT count(*) FROM result WHERE success = 1 AND error IS NULL AND status = 200 \
         AND completion_tokens = 5 AND ttft > 0 AND latency >= ttft",
    );
    assert_eq!(sound, 300);
    let numbers = numbers(&bench, "SELECT number FROM result ORDER BY number");
    assert!(
        numbers
            .iter()
            .enumerate()
            .all(|(index, number)| index as f64 == *number)
    );
}

#[test]
fn the_run_is_described_in_the_database() {
    const SECRET: &str = "hidden-in-a-header";
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("set", "one\ntwo\n");
    let authorization = format!("Authorization=Bearer {SECRET}");
    good(
        &bench,
        &mock,
        &[
            "--dataset",
            "set",
            "--parser",
            "openai_line_by_line",
            "--parameters",
            "top_p=0.5",
            "--headers",
            &authorization,
            "--seed",
            "11",
        ],
    );
    let plan = of_run(&bench, "plan");
    for (key, value) in [
        ("model", json!("m")),
        ("url", json!(mock.chat())),
        ("parser", json!("openai_line_by_line")),
        ("dataset", json!("set")),
        ("parameters", json!({"top_p": 0.5})),
        ("arrivals", json!("closed")),
        ("parallel", json!(1)),
        ("seed", json!(11)),
        ("header_names", json!(["authorization"])),
    ] {
        assert_eq!(plan[key], value, "{key}");
    }
    let totals = of_run(&bench, "totals");
    assert_eq!(totals["requests"]["succeeded"], 2, "{totals}");
    assert_eq!(totals["tokens"]["output"]["tokens"], 10, "{totals}");
    let verdict = of_run(&bench, "verdict");
    assert!(verdict["doubts"].is_array(), "{verdict}");
    let facts = bench.rows(
        "SELECT schedule_seed, state, plugin_name, plugin_source, length(plugin_sha256), rows_kept, \
         rows_not_kept, plugin_sha256 GLOB replace(hex(zeroblob(32)), '0', '[0-9a-f]') FROM run",
    );
    assert_eq!(
        json!(facts),
        json!([[
            "11",
            "finished",
            "openai_line_by_line",
            "built in",
            64,
            2,
            0,
            1
        ]])
    );
    let versions = bench.rows(
        "SELECT llmuses_version, contract_version, wasmtime_version, plugin_version FROM run",
    );
    for version in &versions[0] {
        let version = version.as_str().unwrap_or_default();
        assert!(version.split('.').count() == 3, "{versions:?}");
    }
    assert!(
        bench.value("SELECT finished_time > started_time FROM run") == 1,
        "the run took time"
    );
    // SQLite may keep what was deleted, and a database may have companions: look at the bytes.
    for entry in std::fs::read_dir(bench.path("")).expect("the folder can be listed") {
        let path = entry.expect("it can be listed").path();
        let bytes = std::fs::read(&path).expect("it can be read");
        let held = bytes
            .windows(SECRET.len())
            .any(|bytes| bytes == SECRET.as_bytes());
        assert!(!held, "{} holds the key", path.display());
    }
}
