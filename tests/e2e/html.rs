//! Pages: of runs, of sweeps, of runs that came to nothing, and of comparisons.

use crate::helpers::{ends, good, mock, quick_mock, typed};
use crate::support::{Bench, Mock, program, run};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A number on a page.
pub struct Number {
    /// Its place in the document.
    pub pointer: String,
    /// Its full value.
    pub value: Value,
    /// What is read.
    pub text: String,
}

/// The numbers of a page, in their order.
pub fn numbers(page: &str) -> Vec<Number> {
    page.split("<data value=\"")
        .skip(1)
        .map(|rest| {
            let (value, rest) = rest.split_once("\" data-at=\"").expect("a place");
            let (pointer, rest) = rest.split_once("\">").expect("an end of the tag");
            let (text, _) = rest.split_once("</data>").expect("an end of the element");
            Number {
                pointer: pointer.to_owned(),
                value: serde_json::from_str(&value.replace("&#34;", "\"")).expect("a JSON value"),
                text: text.to_owned(),
            }
        })
        .collect()
}

/// The document that a page carries.
pub fn carried(page: &str) -> Value {
    let (_, rest) = page
        .split_once("id=\"results\">")
        .expect("the page carries a document");
    let (document, _) = rest.split_once("</script>").expect("it has an end");
    serde_json::from_str(document).expect("it is JSON")
}

/// Fails where a number of the page is not that of the document, or its text is not its value rounded.
pub fn numbers_are_those_of(page: &str, document: &Value) {
    let numbers = numbers(page);
    assert!(!numbers.is_empty());
    for number in numbers {
        let at = &number.pointer;
        let expected = document.pointer(at).unwrap_or(&Value::Null);
        assert_eq!(&number.value, expected, "{at}");
        let Some(value) = expected.as_f64() else {
            assert!(["n/a", "?", "-"].contains(&number.text.as_str()), "{at}");
            continue;
        };
        let digits = number.text.trim_end_matches(" %").trim_end_matches(" ms");
        let digits = digits.trim_end_matches("/s").trim_start_matches('+');
        // Thousands are apart.
        let digits = &digits.replace(',', "");
        let decimals = digits.split_once('.').map_or(0, |(_, after)| after.len());
        // As it is, in percent, in milliseconds, in microseconds.
        let shown = [1.0, 1e2, 1e3, 1e6].map(|unit| format!("{:.decimals$}", value * unit));
        let whole = expected.to_string();
        assert!(
            shown.contains(digits) || whole == *digits,
            "{at}: {} is not {value}",
            number.text
        );
    }
}

fn page(bench: &Bench, name: &str) -> String {
    std::fs::read_to_string(bench.path(name)).expect("the page is there")
}

/// The page of `run.db`, compared with its JSON.
fn report(bench: &Bench) -> String {
    let arguments = ["report", "run.db", "--html", "a.html", "--json", "a.json"];
    let ended = typed(bench, &arguments);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    let page = page(bench, "a.html");
    let json = std::fs::read_to_string(bench.path("a.json")).expect("the document is there");
    let document: Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(carried(&page), document);
    numbers_are_those_of(&page, &document);
    page
}

fn has(page: &str, text: &str) {
    assert!(page.contains(text), "`{text}` is not on the page");
}

fn charts(page: &str) -> usize {
    page.matches("<svg class=\"chart\"").count()
}

#[test]
fn a_page_on_standard_output_is_alone_there() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let ended = good(&bench, &mock, &["--prompt", "x", "-n", "3", "--html", "-"]);
    assert!(ended.stdout.starts_with("<!DOCTYPE html>"));
    assert!(ended.stdout.ends_with("</html>\n") || ended.stdout.ends_with("</html>"));
    assert!(ended.stderr.contains("Benchmarking summary:"));
    let again = typed(&bench, &["report", "run.db", "--html", "-"]);
    assert!(
        again.stdout == ended.stdout,
        "the page of the database differs"
    );
}

#[test]
fn a_page_says_how_to_repeat_the_run_and_where_it_was_made() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let arguments = [
        "--prompt",
        "why not",
        "-n",
        "60",
        "--parallel",
        "2",
        "--warmup",
        "10",
        "--goodput",
        "ttft:1s",
        "--headers",
        "X-Team=blue-team-value",
    ];
    good(&bench, &mock, &arguments);
    let page = report(&bench);
    let first = page.split("<table").next().expect("it has a beginning");
    for text in [
        "llmuses perf ",
        "--prompt &#39;why not&#39; -n 60 --parallel 2",
        "X-Team=***",
        "<dt>Client host</dt>",
        "<dt>Kernel</dt>",
        "<dt>Server header</dt>",
    ] {
        has(first, text);
    }
    assert!(!page.contains("blue-team-value"));
    // What is drawn needs no script.
    has(&page, "class=\"band\"");
    has(&page, "class=\"bar c1\"");
    let drawn = charts(&page);
    let without = page.split("<script>").next().expect("it has a beginning");
    assert_eq!(charts(without), drawn);
}

#[test]
fn a_slow_request_leads_to_its_prompt_and_answer_where_rows_are_kept() {
    let (bench, mock) = (Bench::new(), quick_mock());
    good(&bench, &mock, &["--prompt", "how far is it", "-n", "5"]);
    let page = report(&bench);
    has(&page, "<a href=\"#run-1-request-");
    has(&page, "<pre tabindex=\"0\">how far is it</pre>");
    assert_eq!(page.matches("class=\"texts\"").count(), 5);
    assert_eq!(page.matches("<p class=\"note\">Answer</p>").count(), 5);

    let bench = Bench::new();
    let arguments = ["--prompt", "how far is it", "-n", "5", "--save", "summary"];
    good(&bench, &mock, &arguments);
    assert_eq!(report(&bench).matches("class=\"texts\"").count(), 0);
}

#[test]
fn a_page_in_the_way_is_refused_before_the_run() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("a.html", "mine");
    let arguments = ["--prompt", "x", "--json", "a.json", "--html", "a.html"];
    let ended = ends(&bench, &mock, &arguments, 2);
    assert!(ended.stderr.contains("--html"), "{}", ended.stderr);
    assert_eq!(page(&bench, "a.html"), "mine");
    assert!(!bench.path("a.json").exists());
    assert_eq!(mock.truth()["requests"], 0);
}

#[test]
fn a_sweep_has_its_loads_first_and_then_each_run() {
    let (bench, mock) = (Bench::new(), quick_mock());
    good(
        &bench,
        &mock,
        &["--prompt", "x", "-n", "30", "--parallel", "1,3,2"],
    );
    let page = report(&bench);
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(at("All loads") < at("Throughput against load"));
    assert!(at("Throughput against load") < at("Run 1: parallel 1"));
    assert!(at("Run 2: parallel 3") < at("Run 3: parallel 2"));
}

#[test]
fn runs_that_came_to_little_have_a_page_without_empty_charts() {
    // Nobody listens.
    let bench = Bench::new();
    let url = "http://127.0.0.1:9/v1/chat/completions";
    let ended = run(&mut bench.perf(&["--url", url, "--prompt", "x", "-n", "3"]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let page = report(&bench);
    assert_eq!(charts(&page), 0);
    has(&page, "No curve: no request succeeded.");
    has(
        &page,
        "data-at=\"/runs/0/totals/failures/connect/requests\"",
    );

    // One request.
    let (bench, mock) = (Bench::new(), mock(&["--usage", "off"]));
    good(&bench, &mock, &["--prompt", "x"]);
    let page = report(&bench);
    has(&page, "there is one such time only");
    has(&page, "neither the server nor a tokenizer counted");

    // Answers in one piece.
    let bench = Bench::new();
    let arguments = [
        "--prompt",
        "x",
        "-n",
        "9",
        "--parameters",
        "stream=bool_false",
    ];
    good(&bench, &mock, &arguments);
    let page = report(&bench);
    has(&page, "No curve: no response had two chunks of output");
    has(&page, "responses came in one piece");
}

/// A run that is killed once it has written some rows to `run.db`.
pub fn killed_run(bench: &Bench, mock: &Mock) {
    let url = mock.chat();
    let arguments = ["--prompt", "x", "-n", "1000000", "--parallel", "4"];
    let mut child = bench
        .perf(&["--url", &url])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let deadline = Instant::now() + Duration::from_secs(30);
    let rows = || {
        // An ordinary opening would make the file, and be in the way of the program.
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let open = rusqlite::Connection::open_with_flags(bench.path("run.db"), flags);
        let count = open
            .and_then(|open| open.query_row("SELECT count(*) FROM result", [], |row| row.get(0)));
        count.unwrap_or(0_i64)
    };
    while rows() < 10 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it has ended");
}

#[test]
fn a_killed_run_has_a_page() {
    let (bench, mock) = (Bench::new(), quick_mock());
    killed_run(&bench, &mock);
    let page = report(&bench);
    has(&page, "its program was ended before the run was over");
    has(&page, ">Percentile</text>");
    has(&page, "class=\"texts\"");
}

#[test]
fn what_a_server_says_is_no_markup() {
    let bench = Bench::new();
    let mock = Mock::start(&[]);
    // The message of the failure repeats the path; the model and a parameter go into the plan.
    let url = mock.url("/<script>alert(1)</script>");
    let hostile = "</script><img src=x onerror=alert(1)><!--";
    let parameter = format!("note={hostile}");
    let ended = run(program()
        .current_dir(bench.path(""))
        .args(["perf", "--name", "run", "--url", &url, "--prompt", hostile])
        .args(["--model", hostile, "-n", "2", "--parameters", &parameter]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let page = report(&bench);
    for markup in ["<img", "<!--", "alert(1)</"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert_eq!(page.matches("<script").count(), 2);
}

#[test]
fn a_comparison_has_a_page() {
    let bench = Bench::new();
    for (name, ttft) in [("a", "5ms"), ("b", "200ms"), ("c", "5ms")] {
        let mock = mock(&["--ttft", ttft]);
        let url = mock.chat();
        let arguments = ["--model", "m", "--name", name, "--url", &url];
        let ended = run(program()
            .current_dir(bench.path(""))
            .arg("perf")
            .args(arguments)
            .args(["--prompt", "x", "-n", "60", "--parallel", "6"]));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    let ended = typed(
        &bench,
        &[
            "compare", "a.db", "b.db", "c.db", "--json", "c.json", "--html", "c.html",
        ],
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let page = page(&bench, "c.html");
    let json = std::fs::read_to_string(bench.path("c.json")).expect("the document is there");
    let document: Value = serde_json::from_str(&json).expect("it is JSON");
    numbers_are_those_of(&page, &document);
    assert_eq!(carried(&page)["comparisons"], document["comparisons"]);
    has(&page, "b.db (after) against a.db (before)");
    has(&page, "class=\"worse\">worse");
    assert_eq!(charts(&page), 12);
    // What the terminal shows, the page shows.
    for line in ended.stdout.lines().filter(|line| line.contains(" ms ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let unit = words.iter().position(|word| *word == "ms");
        let before = words[unit.expect("a unit") - 1];
        has(&page, &format!(">{before} ms<"));
    }
}
