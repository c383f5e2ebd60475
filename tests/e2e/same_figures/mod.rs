//! One run, and everything that is written about it: summary, JSON, CSV, page and database hold the same
//! numbers, and those of the totals follow from the requests.

mod totals;

use crate::helpers::{good, mock, paragraph, said, typed};
use crate::html::{carried, numbers, numbers_are_those_of};
use crate::support::Bench;
use serde_json::Value;
use totals::{
    the_parts_add_up, the_table_is_that_of_the_database, the_totals_follow_from_the_table,
};

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
    ("Time to first chunk", "time_to_first_package"),
    ("Time per output token", "time_per_output_token"),
    ("Inter-token latency", "inter_token_latency"),
    ("Request latency", "latency"),
    ("Time to connect", "connect"),
    ("Send delay", "dispatch_lag"),
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
    // Those of the warm-up are in no figure, so they are not expected either.
    let expected = run.at("/requests/asked") - run.at("/requests/warmup");
    assert_eq!(
        said(summary, "Expected number of requests"),
        format!("{expected:.0}")
    );
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
                // The table has only the digits that are certain.
                let decimals = text.split_once('.').map_or(0, |(_, behind)| behind.len());
                assert_eq!(*text, format!("{millis:.decimals$}"), "{column} of {name}");
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
    // The page has thousands apart.
    let texts = |path: &str| -> Vec<String> {
        let pointer = format!("/runs/0/totals{path}");
        let found = numbers.iter().filter(|number| number.pointer == pointer);
        found.map(|number| number.text.replace(',', "")).collect()
    };
    for (name, key) in SPREADS {
        for (column, text) in COLUMNS.iter().zip(row_of(&run.summary, name)) {
            // What has no sample is a dash on both, and no number.
            let found = texts(&format!("/{key}/{column}"));
            assert!(
                text == "-" || found.iter().any(|found| found == text),
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
        let figure = run.at(path);
        // The page has only the digits that are certain.
        let is_of_it = |found: &String| {
            let decimals = found.split_once('.').map_or(0, |(_, behind)| behind.len());
            *found == format!("{figure:.decimals$}")
        };
        assert!(
            found.iter().any(is_of_it),
            "{label}: {figure} and {found:?}"
        );
    }
}
