//! What a person reads: help, errors, the progress line and the summary, as snapshots. Figures differ
//! from run to run, so only their places are kept.

use crate::helpers::{good, mock, questions, quick_mock, typed};
use crate::misbehaving::{Misbehaving, Step};
use crate::support::{Bench, Mock, program, run};

/// Each number as one `#`, whatever its length.
fn without_figures(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            other => out.push(other),
        }
    }
    out
}

/// Spaces that align columns as two, since they depend on the lengths of figures.
fn without_padding(line: &str) -> String {
    let text = line.trim_start();
    let indent = &line[..line.len() - text.len()];
    let cells: Vec<&str> = text
        .split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect();
    format!("{indent}{}", cells.join("  "))
}

#[test]
fn help() {
    for (name, arguments) in [
        ("help", &["--help"][..]),
        ("help_perf", &["perf", "--help"]),
        ("help_perf", &["perf", "-h"]),
        ("help_perf_all", &["perf", "--help-all"]),
        ("help_mock_server", &["mock-server", "--help"]),
        ("help_demo", &["demo", "--help"]),
        ("help_calibrate", &["calibrate", "--help"]),
        ("help_report", &["report", "--help"]),
        ("help_compare", &["compare", "--help"]),
    ] {
        let ended = run(program().args(arguments).env_remove("COLUMNS"));
        assert_eq!(ended.code, Some(0), "{name}");
        assert_eq!(ended.stderr, "", "{name}");
        insta::assert_snapshot!(name, ended.stdout);
    }
}

/// Files for the errors below.
fn folder() -> Bench {
    let bench = Bench::new();
    for name in ["folder", "cache"] {
        std::fs::create_dir(bench.path(name)).expect("a folder can be made");
    }
    bench.file("empty.jsonl", "");
    bench.file("text.txt", "some text\n");
    bench.file(
        "broken.jsonl",
        "{\"question\": \"a\"}\n{\"question\": oops}\n",
    );
    bench.file(
        "broken.json",
        "[{\"instruction\": \"a\"},\n {\"instruction\": }]\n",
    );
    bench.file("short.jsonl", questions(&["a", "bc", "def"]));
    bench.file("there.db", "results of yesterday");
    bench
}

/// Arguments as a person types them into a shell, a space before each.
fn as_given(arguments: &[&str]) -> String {
    arguments
        .iter()
        .map(|argument| match argument.contains(' ') {
            true => format!(" '{argument}'"),
            false => format!(" {argument}"),
        })
        .collect()
}

#[test]
fn errors() {
    let bench = folder();
    let openqa = ["--parser", "openai_openqa_qwen", "--dataset"];
    let with_set = |set: &'static str, more: &[&'static str]| [&openqa, &[set][..], more].concat();
    let cases: Vec<(&str, Vec<&str>)> = vec![
        ("nothing to send", vec![]),
        (
            "prompt and data set",
            vec!["--prompt", "x", "--dataset", "text.txt"],
        ),
        (
            "rate and parallel",
            vec!["--prompt", "x", "--rate", "2", "--parallel", "2"],
        ),
        ("a rate of nothing", vec!["--prompt", "x", "--rate", "0"]),
        ("no time", vec!["--prompt", "x", "--read-timeout", "0"]),
        ("no request", vec!["--prompt", "x", "-n", "0"]),
        (
            "a parameter without value",
            vec!["--prompt", "x", "--parameters", "top_p"],
        ),
        (
            "a parameter twice",
            vec!["--prompt", "x", "--parameters", "a=1", "a=2"],
        ),
        (
            "a header that is none",
            vec!["--prompt", "x", "--headers", "a b=1"],
        ),
        ("not a URL", vec!["--prompt", "x", "--url", "http://"]),
        (
            "a URL without scheme",
            vec!["--prompt", "x", "--url", "localhost:8000/v1"],
        ),
        ("no such prompt file", vec!["--prompt", "@nowhere.txt"]),
        ("no such data set", with_set("nowhere.jsonl", &[])),
        ("a folder as data set", with_set("folder", &[])),
        ("an empty data set", with_set("empty.jsonl", &[])),
        ("a broken line", with_set("broken.jsonl", &[])),
        (
            "a broken array",
            vec![
                "--parser",
                "openai_longalpaca_12k_qwen",
                "--dataset",
                "broken.json",
            ],
        ),
        (
            "nothing of a wanted length",
            with_set("short.jsonl", &["--min-prompt-length", "3"]),
        ),
        (
            "no length can be wanted",
            with_set(
                "short.jsonl",
                &["--min-prompt-length", "3", "--max-prompt-length", "4"],
            ),
        ),
        (
            "a data set for the prompt parser",
            vec!["--dataset", "text.txt", "--parser", "openai_prompt"],
        ),
        (
            "no tokenizer in a folder",
            vec!["--prompt", "x", "--tokenizer-path", "folder"],
        ),
        (
            "a file that is no tokenizer",
            vec!["--prompt", "x", "--tokenizer-path", "text.txt"],
        ),
        (
            "no such parser",
            vec!["--prompt", "x", "--parser", "openai"],
        ),
        (
            "a file that is no parser",
            vec!["--prompt", "x", "--parser", "./text.txt"],
        ),
        (
            "results that are there",
            vec!["--prompt", "x", "--name", "there"],
        ),
    ];
    let mut all = String::new();
    for (name, arguments) in cases {
        let ended = typed(
            &bench,
            &[&["perf", "--model", "m"], &arguments[..]].concat(),
        );
        assert_eq!(ended.stdout, "", "{name}");
        let code = ended.code.expect("no signal");
        all.push_str(&format!(
            "## {name}\n$ llmuses perf --model m{}\n{}exit code {code}\n\n",
            as_given(&arguments),
            ended.stderr
        ));
    }
    insta::assert_snapshot!("errors", all);
}

/// A run with a data set, its figures blanked: standard error, then standard output.
fn run_of(mock: &Mock, arguments: &[&str]) -> (String, String) {
    let bench = Bench::new();
    bench.file("set.jsonl", questions(&["a", "b", "too long"]));
    let set = ["--dataset", "set.jsonl", "--parser", "openai_openqa_qwen"];
    let ended = good(&bench, mock, &[&set, arguments].concat());
    (
        without_figures(&ended.stderr),
        without_figures(&ended.stdout),
    )
}

/// An operating system command, a control of C1, and marks of direction.
const FOR_A_TERMINAL: &str = "m\u{1b}]52;c;QUFB\u{7}\u{9b}31m\u{202e}\u{85}x";

/// What of a text a terminal acts on.
fn acting(text: &str) -> String {
    text.chars()
        .filter(|c| *c != '\n' && *c != '\t' && llmuses_core::clean::acts(*c))
        .collect()
}

#[test]
fn a_terminal_acts_on_no_model_that_a_server_names() {
    // A list of models, and an answer.
    let body = serde_json::json!({
        "data": [{"id": FOR_A_TERMINAL}],
        "choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    });
    let answer = crate::misbehaving::response("200 OK", "application/json", body.to_string());
    let server = Misbehaving::start(vec![Step::Request, Step::Write(answer), Step::Again]);
    let bench = Bench::new();
    let url = server.chat();
    let arguments = ["perf", "--url", &url, "--prompt", "hi", "--json", "-"];
    let ended = run(program().current_dir(bench.path("")).args(arguments));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(
        (acting(&ended.stdout), acting(&ended.stderr)),
        Default::default()
    );
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    assert_eq!(document["runs"][0]["plan"]["model"], FOR_A_TERMINAL);
    for file in std::fs::read_dir(bench.path("")).expect("the folder is there") {
        let name = file.expect("its files can be listed").file_name();
        assert_eq!(acting(&name.to_string_lossy()), "", "{name:?}");
    }
}

#[test]
fn a_terminal_acts_on_no_argument_that_an_error_repeats() {
    for arguments in [
        &[FOR_A_TERMINAL][..],
        &["perf", "--rate", FOR_A_TERMINAL],
        &["perf", "--config", FOR_A_TERMINAL],
        &["mock-server", "--port", FOR_A_TERMINAL],
    ] {
        let ended = run(program().args(arguments));
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert_eq!(acting(&ended.stderr), "", "{}", ended.stderr);
    }
}

#[test]
fn progress() {
    let arguments = ["-n", "4", "--log-every-n-query", "2", "--seed", "3"];
    let (said, _) = run_of(&quick_mock(), &arguments);
    insta::assert_snapshot!("progress", said);
}

/// What of a summary doesn't depend on how busy this machine is: of lines that do, the label.
fn shape(summary: &str, depends: &[&str]) -> String {
    // A paragraph that goes on is indented to where its text begins.
    let mut lines: Vec<String> = Vec::new();
    for line in summary
        .lines()
        .take_while(|line| !line.starts_with("Verdict"))
    {
        match lines.last_mut() {
            Some(last) if line.starts_with(&" ".repeat(17)) => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => lines.push(line.to_owned()),
        }
    }
    let mut is_of_times = false;
    let shown: Vec<String> = lines
        .iter()
        .map(|line| {
            let begins = ["Milliseconds", "Window"].iter();
            is_of_times |= begins
                .into_iter()
                .any(|label| line.trim_start().starts_with(label));
            is_of_times &= !line.trim_start().starts_with('*') && !line.trim().is_empty();
            match depends
                .iter()
                .find(|label| line.trim_start().starts_with(**label))
            {
                Some(label) => format!(" {label}  (depends)"),
                // How many digits are certain depends on the times.
                None if is_of_times => without_padding(line).replace("#.#", "#"),
                None => without_padding(line),
            }
        })
        .collect();
    shown.join("\n")
}

#[test]
fn summary_of_a_closed_loop() {
    let arguments = ["-n", "5", "--max-prompt-length", "5"];
    let (_, said) = run_of(&quick_mock(), &arguments);
    assert!(said.contains("\nVerdict: "), "{said}");
    insta::assert_snapshot!("summary_closed", shape(&said, &["Chunks"]));
}

#[test]
fn summary_without_tokens_of_an_open_loop() {
    let mock = mock(&["--usage", "off"]);
    let (_, said) = run_of(&mock, &["--rate", "50", "--skip-bad-lines"]);
    // How many were in flight at once, and how many opened a connection, is a matter of speed.
    let depends = ["Chunks", "Connections", "In flight"];
    insta::assert_snapshot!("summary_open", shape(&said, &depends));
}
