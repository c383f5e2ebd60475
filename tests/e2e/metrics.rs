//! Live figures for Prometheus: served while a run goes on, in a form that a strict reader takes.

use crate::helpers::{good, mock, quick_mock, refused};
use crate::support::{Bench, Mock};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A run that serves its figures.
struct Served {
    child: Child,
    address: String,
    errors: BufReader<std::process::ChildStderr>,
}

impl Served {
    fn start(bench: &Bench, mock: &Mock, arguments: &[&str]) -> Self {
        let url = mock.chat();
        let mut child = bench
            .perf(&["--url", &url, "--prompt", "x"])
            .args(["--metrics-listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        errors.read_line(&mut line).expect("it says something");
        let address = line
            .trim()
            .strip_prefix("Live figures for Prometheus at http://")
            .and_then(|rest| rest.strip_suffix("/metrics"))
            .unwrap_or_else(|| panic!("it does not say where: {line}"))
            .to_owned();
        Self {
            child,
            address,
            errors,
        }
    }

    /// Waits for a good end.
    fn end(mut self) {
        let mut rest = String::new();
        self.errors.read_to_string(&mut rest).expect("it ends");
        let status = self.child.wait().expect("the child can be waited for");
        assert_eq!(status.code(), Some(0), "{rest}");
    }

    /// Sends a request; gives head and body of the answer. `None`: nobody listens any more.
    fn ask(&self, line: &str) -> Option<(String, String)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        write!(stream, "{line} HTTP/1.1\r\nhost: a\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.to_owned(), body.to_owned()))
    }

    /// Scrapes, and reads the answer strictly.
    fn scrape(&self) -> Option<Samples> {
        let (head, body) = self.ask("GET /metrics")?;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
        assert!(head.to_lowercase().contains(kind), "{head}");
        Some(strictly(&body))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Samples by name and labels, as they are written.
type Samples = HashMap<String, f64>;

/// Reads the text format, and fails the test wherever the text breaks a rule of it or of good names.
fn strictly(text: &str) -> Samples {
    let mut samples = Samples::new();
    let mut families = HashSet::new();
    let mut current: Option<(&str, &str)> = None;
    let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    let mut lines = text.lines().peekable();
    assert!(text.ends_with('\n'), "the last line has an end as well");
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("help has a text");
            assert!(!help.is_empty() && families.insert(name), "{line}");
            let kind = lines
                .next()
                .and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")))
                .expect("the type follows the help");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            assert!(
                lines.peek().is_some_and(|line| line.starts_with(name)),
                "{name} is empty"
            );
            current = Some((name, kind));
            continue;
        }
        let (name, labels, value) = sample(line);
        let (family, kind) = current.expect("a family comes before its samples");
        let suffix = name
            .strip_prefix(family)
            .expect("samples of a family stand together");
        let allowed: &[&str] = match kind {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        assert!(allowed.contains(&suffix), "{line}");
        if kind != "gauge" {
            assert!(value >= 0.0, "{line}");
        }
        let (le, others): (Vec<_>, Vec<_>) =
            labels.iter().cloned().partition(|(name, _)| name == "le");
        assert_eq!(le.len(), usize::from(suffix == "_bucket"), "{line}");
        let series = format!("{family}{others:?}");
        match (suffix, le.first()) {
            ("_bucket", Some((_, bound))) => {
                let bound = bound.replace("+Inf", "inf").parse().expect("a bound");
                buckets.entry(series).or_default().push((bound, value));
            }
            ("_count", _) => {
                let buckets = &buckets[&series];
                assert!(buckets.is_sorted(), "{series}: {buckets:?}");
                assert!(
                    buckets.is_sorted_by(|a, b| a.1 <= b.1),
                    "{series}: {buckets:?}"
                );
                assert_eq!(buckets.last(), Some(&(f64::INFINITY, value)), "{series}");
            }
            _ => {}
        }
        let whole = line.rsplit_once(' ').expect("a value").0;
        assert!(
            samples.insert(whole.to_owned(), value).is_none(),
            "{line} is there twice"
        );
    }
    samples
}

/// Name, labels and value of a line.
fn sample(line: &str) -> (&str, Vec<(String, String)>, f64) {
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let end = line.find(['{', ' ']).expect("a name has an end");
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").expect("a label has a value");
            assert!(
                is_name(label) && labels.iter().all(|(name, _)| name != label),
                "{line}"
            );
            let mut value = String::new();
            let mut characters = after.char_indices();
            let end = loop {
                match characters.next().expect("a value has an end") {
                    (end, '"') => break end,
                    (_, '\\') => match characters.next().expect("something is escaped").1 {
                        'n' => value.push('\n'),
                        other @ ('"' | '\\') => value.push(other),
                        other => panic!("`{other}` is escaped: {line}"),
                    },
                    (_, other) => value.push(other),
                }
            };
            labels.push((label.to_owned(), value));
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').expect("the labels have an end");
    }
    let value = rest.strip_prefix(' ').expect("one space before the value");
    (name, labels, value.parse().expect("a number"))
}

#[test]
fn the_figures_of_a_run_are_served_and_are_those_of_its_results() {
    let bench = Bench::new();
    let mock = mock(&[
        "--ttft",
        "60ms",
        "--itl",
        "5ms",
        "--tokens",
        "8",
        "--error-rate",
        "0.3",
    ]);
    let run = Served::start(
        &bench,
        &mock,
        &[
            "-n",
            "24",
            "--parallel",
            "2,3",
            "--warmup",
            "3",
            "--json",
            "results.json",
        ],
    );
    let value = |samples: &Samples, name: &str| -> f64 {
        *samples.get(name).unwrap_or_else(|| panic!("no {name}"))
    };
    let mut last: Option<Samples> = None;
    let mut in_flight = 0.0_f64;
    let mut scrapes = 0;
    while let Some(samples) = run.scrape() {
        scrapes += 1;
        if let Some(flying) = samples.get(r#"llmuses_requests_in_flight{run="1"}"#) {
            in_flight = in_flight.max(*flying);
        }
        // What only ever goes up does so.
        for (name, before) in last.iter().flatten() {
            if name.contains("_total") || name.contains("_bucket") {
                assert!(samples[name] >= *before, "{name}");
            }
        }
        last = Some(samples);
        std::thread::sleep(Duration::from_millis(20));
    }
    run.end();
    assert!(scrapes > 5, "{scrapes}");
    assert_eq!(in_flight, 2.0);
    let last = last.expect("it was scraped");
    assert_eq!(value(&last, r#"llmuses_runs{run="2"}"#), 2.0);
    assert_eq!(value(&last, r#"llmuses_asked_parallel{run="2"}"#), 3.0);

    // The first load was over long before the last scrape: its counters are those of its results.
    let json = std::fs::read_to_string(bench.path("results.json")).expect("there are results");
    let json: Value = serde_json::from_str(&json).expect("they are JSON");
    let totals = &json["runs"][0]["totals"];
    let figure = |path: &str| totals.pointer(path).and_then(Value::as_f64);
    for (name, path) in [
        (r#"requests_begun_total{run="1"}"#, "/requests/issued"),
        (r#"requests_warmup_total{run="1"}"#, "/requests/warmup"),
        (
            r#"requests_completed_total{run="1",outcome="succeeded"}"#,
            "/requests/succeeded",
        ),
        (
            r#"requests_completed_total{run="1",outcome="failed"}"#,
            "/requests/failed",
        ),
        (
            r#"requests_failed_total{run="1",kind="http-status"}"#,
            "/failures/http-status/requests",
        ),
        (r#"input_tokens_total{run="1"}"#, "/tokens/input/tokens"),
        (r#"output_tokens_total{run="1"}"#, "/tokens/output/tokens"),
        (r#"received_bytes_total{run="1"}"#, "/bytes_received"),
        (
            r#"request_latency_seconds_count{run="1"}"#,
            "/requests/succeeded",
        ),
        (
            r#"time_to_first_token_seconds_count{run="1"}"#,
            "/requests/succeeded",
        ),
    ] {
        let name = format!("llmuses_{name}");
        assert_eq!(Some(value(&last, &name)), figure(path), "{name}");
    }
    assert_eq!(
        value(
            &last,
            r#"llmuses_time_to_first_token_seconds_bucket{run="1",le="0.05"}"#
        ),
        0.0
    );
}

#[test]
fn requests_that_are_held_up_are_counted_while_the_run_goes_on() {
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "200ms", "--tokens", "2"]));
    let load = ["--rate", "200", "--max-in-flight", "2", "-n", "40"];
    let run = Served::start(&bench, &mock, &load);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let samples = run.scrape().expect("the run goes on");
        let held_up = |name: &str| {
            let name = format!(r#"llmuses_held_up_seconds_{name}{{run="1"}}"#);
            samples.get(&name).copied()
        };
        if held_up("count") > Some(2.0) && held_up("sum") > Some(0.2) {
            break;
        }
        assert!(Instant::now() < deadline, "none in {samples:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    run.end();
}

#[test]
fn other_paths_and_methods_are_turned_down() {
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "1s"]));
    let run = Served::start(&bench, &mock, &["-n", "2"]);
    for (line, status, said) in [
        ("GET /", "200", "/metrics"),
        ("GET /other", "404", "/metrics"),
        ("POST /metrics", "405", "GET"),
        ("HEAD /metrics", "200", ""),
    ] {
        let (head, body) = run.ask(line).expect("it answers");
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{line}: {head}"
        );
        assert!(body.contains(said), "{line}: {body}");
        assert_eq!(body.is_empty(), line.starts_with("HEAD"), "{line}");
    }
    run.end();
}

#[test]
fn scrapers_that_hang_hold_nothing_up() {
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "50ms"]));
    let run = Served::start(&bench, &mock, &["--duration", "9"]);
    let mut hanging: Vec<TcpStream> = (0..40)
        .map(|_| TcpStream::connect(&run.address).expect("it listens"))
        .collect();
    for stream in &mut hanging[..20] {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a").ok();
    }
    for stream in &mut hanging[20..] {
        // Asks, and never reads.
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n")
            .ok();
    }
    let began = Instant::now();
    assert!(run.scrape().is_some(), "it still answers others");
    assert!(began.elapsed() < Duration::from_secs(60));
    run.end();
}

#[test]
fn a_bad_address_is_told_before_any_request() {
    let mock = quick_mock();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it has an address").to_string();
    for (address, said) in [
        (&*address, "another program listens there"),
        ("192.0.2.1:9464", "an address of this machine"),
        ("9464", "ADDRESS:PORT"),
        ("no-such-host.invalid:9464", "the host has no address"),
        ("127.0.0.1:99999", "ADDRESS:PORT"),
    ] {
        let bench = Bench::new();
        let arguments = [
            "--prompt",
            "x",
            "--json",
            "a.json",
            "--metrics-listen",
            address,
        ];
        let error = refused(&bench, &mock, &arguments, 2);
        assert!(error.contains("--metrics-listen"), "{error}");
        assert!(error.contains(said), "{error}");
        assert!(!bench.path("a.json").exists(), "a file was made");
    }
}

#[test]
fn a_run_without_it_listens_nowhere() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let ended = good(&bench, &mock, &["--prompt", "x"]);
    assert!(!ended.stderr.contains("Prometheus"), "{}", ended.stderr);
}
