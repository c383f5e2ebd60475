//! What the tests of this folder do again and again: runs that should succeed or be refused, and figures
//! out of a summary, a progress line and the database.

use crate::support::{Bench, Ended, Mock, program, run};
use serde_json::{Map, Value};

/// A data set of JSON lines with `question`, one for each of these.
pub fn questions(prompts: &[&str]) -> String {
    prompts
        .iter()
        .map(|prompt| serde_json::json!({ "question": prompt }).to_string() + "\n")
        .collect()
}

/// A plugin of version 0.1 of the contract, which makes requests of its own.
pub fn older_plugin(bench: &Bench) -> &'static str {
    let name = "older.wasm";
    bench.file(name, crate::hostile::guest::Guest::new().component());
    name
}

/// A mock server that answers within ten milliseconds, with five tokens.
pub fn quick_mock() -> Mock {
    mock(&[])
}

/// The same, with further arguments.
pub fn mock(arguments: &[&str]) -> Mock {
    let has = |flag: &str| arguments.contains(&flag);
    let mut all: Vec<&str> = Vec::new();
    for (flag, value) in [("--ttft", "5ms"), ("--itl", "1ms"), ("--tokens", "5")] {
        if !has(flag) {
            all.extend([flag, value]);
        }
    }
    all.extend(arguments);
    Mock::start(&all)
}

/// Runs `perf` against the chat endpoint, and fails the test where it does not end well.
pub fn good(bench: &Bench, mock: &Mock, arguments: &[&str]) -> Ended {
    ends(bench, mock, arguments, 0)
}

/// Runs `perf` against the chat endpoint to an end with this exit code, with the whole summary.
pub fn ends(bench: &Bench, mock: &Mock, arguments: &[&str], code: i32) -> Ended {
    let url = mock.chat();
    let ended = run(bench.perf(&["--url", &url, "--details"]).args(arguments));
    assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.stderr);
    ended
}

/// Runs `perf` on arguments that must be turned down with this exit code before anything is sent or
/// written; gives what it says about them.
pub fn refused(bench: &Bench, mock: &Mock, arguments: &[&str], code: i32) -> String {
    let ended = ends(bench, mock, arguments, code);
    assert_eq!(seen(mock), 0, "{arguments:?}: a request was sent");
    assert_eq!(ended.stdout, "", "{arguments:?}: it speaks on stderr");
    assert!(
        !bench.path("run.db").exists(),
        "{arguments:?}: a database was made"
    );
    assert_eq!(
        ended.stderr.matches("error: ").count(),
        1,
        "{arguments:?}: {}",
        ended.stderr
    );
    ended.stderr
}

/// Fails where a text is not in the summary of a run, or in its `page.html` or its `out.md`.
pub fn in_every_report(bench: &Bench, ended: &Ended, text: &str) {
    let read = |name: &str| std::fs::read_to_string(bench.path(name)).expect("it was written");
    for (report, of) in [
        (ended.stdout.clone(), "summary"),
        (read("page.html"), "page"),
        (read("out.md"), "Markdown"),
    ] {
        assert!(report.contains(text), "no `{text}` in the {of}: {report}");
    }
}

/// `llmuses ARGUMENTS` in the folder, as it is typed there.
pub fn typed(bench: &Bench, arguments: &[&str]) -> Ended {
    run(program().current_dir(bench.path("")).args(arguments))
}

/// How many requests the server has seen since it was started.
pub fn seen(mock: &Mock) -> u64 {
    mock.get("/bodies?limit=0")["seen"]
        .as_u64()
        .expect("the mock server counts")
}

/// The prompts of the requests that the server saw, in the order in which they arrived.
pub fn prompts(mock: &Mock) -> Vec<String> {
    mock.bodies()
        .iter()
        .map(|body| {
            body["messages"][0]["content"]
                .as_str()
                .expect("a request has a prompt")
                .to_owned()
        })
        .collect()
}

/// What stands behind a label of the summary, on its first line.
pub fn said<'a>(summary: &'a str, label: &str) -> &'a str {
    summary
        .lines()
        .find_map(|line| line.strip_prefix(' ')?.strip_prefix(label))
        .unwrap_or_else(|| panic!("no `{label}` in {summary}"))
        .trim_start_matches(':')
        .trim()
}

/// A number behind a label of the summary.
pub fn figure(summary: &str, label: &str) -> f64 {
    let text = said(summary, label);
    let number = text.split(' ').next().unwrap_or_default();
    number
        .parse()
        .unwrap_or_else(|_| panic!("`{label}` is `{text}`"))
}

/// The paragraph of a summary that begins with this label, on one line.
pub fn paragraph(summary: &str, label: &str) -> String {
    let mut lines = summary
        .lines()
        .skip_while(|line| !line.starts_with(&format!(" {label}")));
    let first = lines
        .next()
        .unwrap_or_else(|| panic!("no `{label}` in {summary}"));
    let more = lines.take_while(|line| line.starts_with("          "));
    let words: Vec<&str> = std::iter::once(first)
        .chain(more)
        .flat_map(str::split_whitespace)
        .collect();
    words.join(" ")
}

/// The progress lines of a run: what follows the date, as label and value, in order.
pub fn progress(stderr: &str) -> Vec<Vec<(String, String)>> {
    stderr
        .lines()
        .filter_map(|line| line.split_once(" - INFO - "))
        .map(|(_, figures)| {
            figures
                .split(", ")
                .map(|figure| {
                    let (label, value) = figure.split_once(": ").expect("LABEL: VALUE");
                    (label.to_owned(), value.to_owned())
                })
                .collect()
        })
        .collect()
}

/// A column of numbers, without those that are NULL.
pub fn numbers(bench: &Bench, query: &str) -> Vec<f64> {
    bench
        .rows(query)
        .iter()
        .filter_map(|row| row[0].as_f64())
        .collect()
}

/// A JSON text of the table `run`.
pub fn of_run(bench: &Bench, column: &str) -> Value {
    let text = bench.value(&format!("SELECT {column} FROM run"));
    serde_json::from_str(text.as_str().expect("it is a text")).expect("it is JSON")
}

/// The mean.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// A percentile by nearest rank.
pub fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

/// The arrivals of requests at the server since it was last asked, in Unix seconds.
pub fn arrivals(truth: &Value) -> Vec<f64> {
    truth["arrivals"]["unix_times"]
        .as_array()
        .expect("a list of arrivals")
        .iter()
        .filter_map(Value::as_f64)
        .collect()
}

/// The gaps between ascending times.
pub fn gaps(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// The headers of the last request, in lower case.
pub fn last_headers(mock: &Mock) -> Map<String, Value> {
    mock.get("/last")["headers"]
        .as_array()
        .expect("a list of headers")
        .iter()
        .filter_map(|pair| Some((pair[0].as_str()?.to_owned(), pair[1].clone())))
        .collect()
}

/// Fails where two figures are further apart than `bound`.
pub fn assert_close(name: &str, one: f64, other: f64, bound: f64) {
    assert!(
        (one - other).abs() <= bound,
        "{name}: {one} and {other} are more than {bound} apart"
    );
}
