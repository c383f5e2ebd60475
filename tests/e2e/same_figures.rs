//! One run, and everything that is written about it: summary, JSON, CSV, page and database hold the same
//! numbers, and those of the totals follow from the requests.

use crate::helpers::{assert_close, good, mean, mock, paragraph, percentile, said, typed};
use crate::html::{carried, numbers, numbers_are_those_of};
use crate::support::Bench;
use serde_json::{Value, json};

/// A run that has something of everything: failures, warm-up, objectives, several lengths.
struct Run {
    bench: Bench,
    summary: String,
    document: Value,
    rows: Vec<Row>,
}

/// A request of the table, without those of the warm-up.
struct Row(csv::StringRecord, csv::StringRecord);

impl Row {
    fn text(&self, column: &str) -> &str {
        let index = self.1.iter().position(|name| name == column);
        &self.0[index.unwrap_or_else(|| panic!("no column {column}"))]
    }

    fn number(&self, column: &str) -> Option<f64> {
        match self.text(column) {
            "" => None,
            text => Some(text.parse().expect("a number")),
        }
    }

    fn succeeded(&self) -> bool {
        self.text("success") == "true"
    }
}

impl Run {
    fn new(load: &[&str]) -> Self {
        let bench = Bench::new();
        let mock = mock(&[
            "--ttft",
            "9ms",
            "--ttft-jitter",
            "4ms",
            "--itl",
            "1ms",
            "--tokens",
            "12",
            "--role-chunk",
            "--error-rate",
            "0.06",
            "--seed",
            "3",
        ]);
        let lines: String = (1..60).map(|words| "word ".repeat(words) + "\n").collect();
        bench.file("set", lines);
        let arguments = [
            "--dataset",
            "set",
            "--parser",
            "openai_line_by_line",
            "-n",
            "260",
            "--warmup",
            "20",
            "--goodput",
            "ttft:12ms,latency:80ms",
            "--json",
            "live.json",
            "--csv",
            "live.csv",
            "--html",
            "live.html",
        ];
        let ended = good(&bench, &mock, &[&arguments[..], load].concat());
        let document = read(&bench, "live.json");
        let document = serde_json::from_str(&document).expect("it is JSON");
        let mut table = csv::Reader::from_path(bench.path("live.csv")).expect("a table");
        let header = table.headers().expect("a header").clone();
        let rows = table
            .records()
            .map(|row| Row(row.expect("a row"), header.clone()))
            .filter(|row| row.text("warmup") == "false")
            .collect();
        Self {
            bench,
            summary: ended.stdout,
            document,
            rows,
        }
    }

    fn totals(&self) -> &Value {
        &self.document["runs"][0]["totals"]
    }

    fn at(&self, path: &str) -> f64 {
        let value = self.totals().pointer(path).and_then(Value::as_f64);
        value.unwrap_or_else(|| panic!("no {path}"))
    }

    /// A column of the succeeded requests, as far as they have it.
    fn column(&self, name: &str) -> Vec<f64> {
        let succeeded = self.rows.iter().filter(|row| row.succeeded());
        succeeded.filter_map(|row| row.number(name)).collect()
    }
}

fn read(bench: &Bench, name: &str) -> String {
    std::fs::read_to_string(bench.path(name)).expect("the file is there")
}

#[test]
fn all_that_is_written_about_a_closed_loop_agrees() {
    agrees(&Run::new(&["--parallel", "4"]));
}

#[test]
fn all_that_is_written_about_an_open_loop_agrees() {
    agrees(&Run::new(&["--rate", "150"]));
}

fn agrees(run: &Run) {
    the_database_gives_the_same_again(run);
    the_summary_is_the_document_rounded(run);
    the_page_is_the_document_and_the_summary(run);
    the_totals_follow_from_the_table(run);
    the_table_is_that_of_the_database(run);
    the_parts_add_up(run);
}

fn the_database_gives_the_same_again(run: &Run) {
    let arguments = [
        "report",
        "run.db",
        "--json",
        "again.json",
        "--csv",
        "again.csv",
        "--html",
        "again.html",
    ];
    let ended = typed(&run.bench, &arguments);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for kind in ["json", "csv", "html"] {
        let live = read(&run.bench, &format!("live.{kind}"));
        let again = read(&run.bench, &format!("again.{kind}"));
        assert!(live == again, "the {kind} of the database is another one");
    }
    let text = typed(&run.bench, &["report", "run.db"]);
    assert_eq!(text.stdout, run.summary);
    let stored = |column: &str| -> Value {
        let text = run.bench.value(&format!("SELECT {column} FROM run"));
        serde_json::from_str(text.as_str().expect("a text")).expect("it is JSON")
    };
    let live = &run.document["runs"][0];
    assert_eq!(stored("totals"), live["totals"]);
    assert_eq!(stored("verdict"), live["verdict"]);
    assert_eq!(stored("plan"), live["plan"]);
    let facts = run.bench.rows(
        "SELECT state, started_time, finished_time, schedule_seed, rows_kept, plugin_sha256 FROM run",
    );
    let expected = [
        "state",
        "started_unix_seconds",
        "finished_unix_seconds",
        "schedule_seed",
    ]
    .map(|key| live[key].clone())
    .into_iter()
    .chain([
        live["rows"]["kept"].clone(),
        live["parser"]["sha256"].clone(),
    ]);
    assert_eq!(facts[0], expected.collect::<Vec<Value>>());
}

/// The names of the summary's table, and of the document's spreads.
const SPREADS: [(&str, &str); 7] = [
    ("Time to first token", "time_to_first_token"),
    ("Time to first package", "time_to_first_package"),
    ("Time per output token", "time_per_output_token"),
    ("Inter-token latency", "inter_token_latency"),
    ("Request latency", "latency"),
    ("Time to connect", "connect"),
    ("Dispatch lag", "dispatch_lag"),
];

/// The row of the summary's table: mean, p50, p90, p99, p99.9, max, samples.
fn row_of<'a>(summary: &'a str, name: &str) -> Vec<&'a str> {
    let (_, table) = summary.split_once(" Milliseconds ").expect("a table");
    let line = table
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(name))
        .unwrap_or_else(|| panic!("no row {name}"));
    let words = line.split_whitespace();
    words.map(|word| word.trim_end_matches('*')).collect()
}

const COLUMNS: [&str; 7] = [
    "mean_seconds",
    "p50_seconds",
    "p90_seconds",
    "p99_seconds",
    "p99.9_seconds",
    "max_seconds",
    "samples",
];

fn the_summary_is_the_document_rounded(run: &Run) {
    let summary = &run.summary;
    let rounded = |path: &str, decimals: usize| format!("{:.decimals$}", run.at(path));
    for (label, path, decimals) in [
        ("Total requests", "/requests/completed", 0),
        ("Succeed requests", "/requests/succeeded", 0),
        ("Failed requests", "/requests/failed", 0),
        ("Expected number of requests", "/requests/asked", 0),
        ("Average QPS", "/rates/succeeded_per_second", 3),
        ("Average latency", "/latency/mean_seconds", 3),
        (
            "Throughput(average output tokens per second)",
            "/rates/output_tokens_per_second",
            3,
        ),
        (
            "Average time to first token",
            "/time_to_first_token/mean_seconds",
            3,
        ),
        (
            "Average input tokens per request",
            "/tokens/input/per_request",
            3,
        ),
        (
            "Average output tokens per request",
            "/tokens/output/per_request",
            3,
        ),
        (
            "Average time per output token",
            "/tokens/average_seconds_per_output_token",
            5,
        ),
        ("Average package per request", "/packages/per_request", 3),
        (
            "Average package latency",
            "/packages/average_latency_seconds",
            3,
        ),
    ] {
        assert_eq!(said(summary, label), rounded(path, decimals), "{label}");
    }
    let wall = format!("{} seconds", rounded("/wall_seconds", 3));
    assert_eq!(said(summary, "Time taken for tests"), wall);
    for (list, key) in [
        ("time to first token", "time_to_first_token"),
        ("request latency", "latency"),
    ] {
        let lines = summary
            .lines()
            .skip_while(|line| line.trim_end() != format!(" Percentile of {list}:"));
        let lines: Vec<&str> = lines.skip(1).take(8).collect();
        assert_eq!(lines.len(), 8);
        for line in lines {
            let (label, value) = line.trim().split_once(": ").expect("LABEL: VALUE");
            let expected = rounded(&format!("/{key}/{label}_seconds"), 4);
            assert_eq!(value, expected, "{label} of {list}");
        }
    }
    for (name, key) in SPREADS {
        let samples = run.at(&format!("/{key}/samples"));
        let row = row_of(summary, name);
        assert_eq!(row.last(), Some(&samples.to_string().as_str()), "{name}");
        if samples > 0.0 {
            for (column, text) in COLUMNS.iter().zip(&row).take(6) {
                let millis = run.at(&format!("/{key}/{column}")) * 1e3;
                assert_eq!(*text, format!("{millis:.3}"), "{column} of {name}");
            }
        }
    }
    for (label, path) in [
        ("Input tokens", "/tokens/input/tokens"),
        ("Output tokens", "/tokens/output/tokens"),
        ("In flight", "/requests/peak_in_flight"),
        ("Warm-up", "/requests/warmup"),
        ("Failures", "/requests/failed"),
    ] {
        let first = said(summary, label).split(' ').next();
        assert_eq!(first, Some(rounded(path, 0).as_str()), "{label}");
    }
    let goodput = paragraph(summary, "Goodput");
    assert!(
        goodput.contains(&rounded("/goodput/per_second", 3)),
        "{goodput}"
    );
    let met = format!(
        "{} of {} completed",
        run.at("/goodput/requests_that_met_all"),
        run.at("/requests/completed")
    );
    assert!(goodput.contains(&met), "{goodput}");
    let chunks = paragraph(summary, "Chunks");
    let bytes = format!("{} bytes", run.at("/bytes_received"));
    assert!(chunks.contains(&bytes), "{chunks}");
    let doubts = run.document["runs"][0]["verdict"]["doubts"].as_array();
    let doubts = doubts.expect("a list").len();
    let listed = summary.matches("Likely cause:").count();
    assert_eq!(listed, doubts);
}

fn the_page_is_the_document_and_the_summary(run: &Run) {
    let page = read(&run.bench, "live.html");
    assert_eq!(carried(&page), run.document);
    numbers_are_those_of(&page, &run.document);
    let numbers = numbers(&page);
    let texts = |path: &str| -> Vec<&str> {
        let pointer = format!("/runs/0/totals{path}");
        let found = numbers.iter().filter(|number| number.pointer == pointer);
        found.map(|number| number.text.as_str()).collect()
    };
    for (name, key) in SPREADS {
        for (column, text) in COLUMNS.iter().zip(row_of(&run.summary, name)) {
            // What has no sample is a dash on both, and no number.
            let found = texts(&format!("/{key}/{column}"));
            assert!(
                text == "-" || found.contains(&text),
                "{column} of {name}: {found:?}"
            );
        }
    }
    for (label, path) in [
        ("Average QPS", "/rates/succeeded_per_second"),
        (
            "Throughput(average output tokens per second)",
            "/rates/output_tokens_per_second",
        ),
        (
            "Average output tokens per request",
            "/tokens/output/per_request",
        ),
        ("Succeed requests", "/requests/succeeded"),
        ("Failed requests", "/requests/failed"),
    ] {
        let found = texts(path);
        assert!(
            found.contains(&said(&run.summary, label)),
            "{label}: {found:?}"
        );
    }
}

fn the_totals_follow_from_the_table(run: &Run) {
    let succeeded = run.rows.iter().filter(|row| row.succeeded()).count() as f64;
    assert_eq!(run.at("/requests/completed"), run.rows.len() as f64);
    assert_eq!(run.at("/requests/completed"), 240.0);
    assert_eq!(run.at("/requests/warmup"), 20.0);
    assert_eq!(run.at("/requests/succeeded"), succeeded);
    assert_eq!(
        run.at("/requests/failed"),
        run.rows.len() as f64 - succeeded
    );
    assert!(
        run.at("/requests/failed") > 0.0,
        "the server should have failed some"
    );
    for (side, column) in [("input", "input_tokens"), ("output", "output_tokens")] {
        let tokens = run.column(column);
        assert_eq!(
            run.at(&format!("/tokens/{side}/tokens")),
            tokens.iter().sum::<f64>()
        );
        assert_eq!(
            run.at(&format!("/tokens/{side}/requests_known")),
            tokens.len() as f64
        );
        for (key, percent) in [("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)] {
            let expected = percentile(&tokens, percent);
            assert_eq!(
                run.at(&format!("/tokens/{side}/{key}")),
                expected,
                "{side} {key}"
            );
        }
    }
    for (key, column) in [
        ("latency", "latency_seconds"),
        ("time_to_first_token", "time_to_first_token_seconds"),
        ("time_to_first_package", "time_to_first_package_seconds"),
        ("time_per_output_token", "time_per_output_token_seconds"),
    ] {
        let values = run.column(column);
        let figure = |name: &str| run.at(&format!("/{key}/{name}"));
        assert_eq!(figure("samples"), values.len() as f64, "{key}");
        assert_close(key, figure("mean_seconds"), mean(&values), 1e-9);
        let ends = [percentile(&values, 0), percentile(&values, 100)];
        assert_close(key, figure("min_seconds"), ends[0], 1e-9);
        assert_close(key, figure("max_seconds"), ends[1], 1e-9);
        for percent in [50, 66, 75, 80, 90, 95, 98, 99] {
            let expected = percentile(&values, percent);
            // The run keeps a histogram of times, within a thousandth.
            let name = format!("p{percent}_seconds");
            assert_close(&name, figure(&name), expected, expected * 0.001 + 1e-9);
        }
        let curve = &run.totals()[key]["curve"];
        let seconds = curve["seconds"].as_array().expect("a list");
        let percents = curve["percents"].as_array().expect("a list");
        for (percent, seconds) in percents.iter().zip(seconds).take(100) {
            let percent = percent.as_f64().expect("a number") as usize;
            let expected = percentile(&values, percent);
            let found = seconds.as_f64().expect("a number");
            assert_close("the curve", found, expected, expected * 0.001 + 1e-9);
        }
    }
    let sent = run
        .rows
        .iter()
        .filter_map(|row| row.number("sent_unix_seconds"));
    let completed = run
        .rows
        .iter()
        .filter_map(|row| row.number("completed_unix_seconds"));
    let wall = completed.fold(f64::MIN, f64::max) - sent.fold(f64::MAX, f64::min);
    // Times of day are whole microseconds.
    assert_close("wall", run.at("/wall_seconds"), wall, 2e-6);
    let wall = run.at("/wall_seconds");
    assert_close(
        "qps",
        run.at("/rates/succeeded_per_second"),
        succeeded / wall,
        1e-9,
    );
    let throughput = run.at("/tokens/output/tokens") / wall;
    assert_close(
        "throughput",
        run.at("/rates/output_tokens_per_second"),
        throughput,
        1e-9,
    );
    let met = run.rows.iter().filter(|row| {
        row.succeeded()
            && row
                .number("time_to_first_token_seconds")
                .is_some_and(|ttft| ttft <= 0.012)
            && row
                .number("latency_seconds")
                .is_some_and(|latency| latency <= 0.080)
    });
    assert_eq!(run.at("/goodput/requests_that_met_all"), met.count() as f64);
    let packages: f64 = run.column("packages").iter().sum();
    assert_eq!(run.at("/packages/count"), packages);
    for (kind, failure) in run.totals()["failures"].as_object().expect("an object") {
        let of_it = run.rows.iter().filter(|row| row.text("error_kind") == kind);
        assert_eq!(failure["requests"], of_it.count() as u64, "{kind}");
    }
    let mut slowest = run.column("latency_seconds");
    slowest.sort_by(|a, b| b.total_cmp(a));
    let kept = run.totals()["slowest_requests"].as_array().expect("a list");
    assert_eq!(kept.len(), 20);
    for (kept, latency) in kept.iter().zip(slowest) {
        let found = kept["latency_seconds"].as_f64().expect("a number");
        assert_close("a slow request", found, latency, 1e-9);
    }
}

fn the_table_is_that_of_the_database(run: &Run) {
    const PAIRS: [(&str, &str); 14] = [
        ("number", "number"),
        ("intended_unix_seconds", "intended_time"),
        ("sent_unix_seconds", "sent_time"),
        ("completed_unix_seconds", "completed_time"),
        ("latency_seconds", "latency"),
        ("time_to_first_token_seconds", "ttft"),
        ("time_to_first_package_seconds", "first_chunk_latency"),
        ("time_per_output_token_seconds", "tpot"),
        ("package_latency_seconds", "chunk_time"),
        ("packages", "n_chunks"),
        ("connect_seconds", "connect_time"),
        ("input_tokens", "prompt_tokens"),
        ("output_tokens", "completion_tokens"),
        ("status", "status"),
    ];
    let columns: Vec<&str> = PAIRS.iter().map(|(_, column)| *column).collect();
    let stored = run.bench.rows(&format!(
        "SELECT {} FROM result WHERE warmup = 0 ORDER BY rowid",
        columns.join(", ")
    ));
    assert_eq!(stored.len(), run.rows.len());
    for (row, stored) in run.rows.iter().zip(stored) {
        for ((name, _), stored) in PAIRS.iter().zip(stored) {
            assert_eq!(row.number(name), stored.as_f64(), "{name}");
        }
    }
    let gaps = run
        .bench
        .rows("SELECT output_times FROM result WHERE warmup = 0 AND success = 1");
    let gaps: Vec<f64> = gaps
        .iter()
        .flat_map(|row| {
            let times = row[0].as_str().expect("a list as text");
            let times: Vec<f64> = serde_json::from_str(times).expect("a list of numbers");
            crate::helpers::gaps(&times)
        })
        .collect();
    assert_eq!(run.at("/inter_token_latency/samples"), gaps.len() as f64);
    let found = run.at("/inter_token_latency/mean_seconds");
    assert_close("inter-token latency", found, mean(&gaps), 2e-6);
    for (name, percent) in [("p50_seconds", 50), ("p99_seconds", 99)] {
        let found = run.at(&format!("/inter_token_latency/{name}"));
        let expected = percentile(&gaps, percent);
        assert_close(name, found, expected, expected * 0.001 + 2e-6);
    }
}

fn the_parts_add_up(run: &Run) {
    let sum = |path: &str| -> f64 {
        let values = run.totals().pointer(path).and_then(Value::as_array);
        let values = values.unwrap_or_else(|| panic!("no {path}"));
        values.iter().filter_map(Value::as_f64).sum()
    };
    for (column, total) in [
        ("requests_sent", "/requests/sent"),
        ("requests_succeeded", "/requests/succeeded"),
        ("requests_failed", "/requests/failed"),
    ] {
        assert_eq!(
            sum(&format!("/timeline/{column}")),
            run.at(total),
            "{column}"
        );
    }
    let tokens = sum("/timeline/output_tokens");
    assert_close(
        "tokens over time",
        tokens,
        run.at("/tokens/output/tokens"),
        1.0,
    );
    for side in ["input", "output"] {
        let bars = run.totals()["tokens"][side]["bars"]
            .as_array()
            .expect("bars");
        let requests: u64 = bars.iter().filter_map(|bar| bar["requests"].as_u64()).sum();
        assert_eq!(
            json!(requests),
            run.totals()["tokens"][side]["requests_known"]
        );
    }
    for key in [
        "latency",
        "time_to_first_token",
        "time_per_output_token",
        "inter_token_latency",
    ] {
        let spread = &run.totals()[key];
        let intervals = spread["intervals_of_95_percent"]
            .as_object()
            .expect("an object");
        for (name, bounds) in intervals {
            let value = spread[name].as_f64().expect("a number");
            assert!(
                bounds[0].as_f64().is_none_or(|low| low <= value),
                "{key} {name}"
            );
            assert!(
                bounds[1].as_f64().is_none_or(|high| value <= high),
                "{key} {name}"
            );
        }
    }
}
