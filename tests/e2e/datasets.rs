//! Data sets as they come: with foreign line ends, with a byte-order mark, empty, broken near the
//! beginning or deep inside, and the wrong files altogether.

use crate::helpers::{
    ends, figure, good, mock, of_run, paragraph, prompts, questions, quick_mock, refused,
};
use crate::support::{Bench, repository, run};
use serde_json::{Value, json};

const LINES: &str = "openai_line_by_line";
const JSON_LINES: &str = "openai_openqa_qwen";
const ARRAY: &str = "openai_longalpaca_12k_qwen";

#[test]
fn files_of_any_make_are_read() {
    for (name, parser, content, expected) in [
        ("plain", LINES, "a\nb\n", &["a", "b"][..]),
        ("CRLF", LINES, "a\r\nb\r\n", &["a", "b"]),
        ("no line end at the end", LINES, "a\nb", &["a", "b"]),
        ("byte-order mark", LINES, "\u{feff}a\nb\n", &["a", "b"]),
        ("blank lines", LINES, "\na\n\n\nb\n\n", &["a", "b"]),
        ("spaces are kept", LINES, " a \nb\t\n", &[" a ", "b\t"]),
        (
            "a mark within",
            LINES,
            "a\n\u{feff}b\n",
            &["a", "\u{feff}b"],
        ),
        ("a lone CR", LINES, "a\rb\n", &["a\rb"]),
        (
            "JSON lines, CRLF",
            JSON_LINES,
            "{\"question\": \"a\"}\r\n{\"question\": \"b\"}\r\n",
            &["a", "b"],
        ),
        (
            "JSON lines with a mark and blank lines",
            JSON_LINES,
            "\u{feff}{\"question\": \"a\"}\n\n   \n{\"question\": \"b\"}",
            &["a", "b"],
        ),
        (
            "JSON lines with escapes",
            JSON_LINES,
            "{\"question\": \"a\\n\\u00fc\\ud83d\\ude00\"}\n",
            &["a\nü😀"],
        ),
        (
            "an array on one line",
            ARRAY,
            "[{\"instruction\":\"a\"},{\"instruction\":\"b\"}]",
            &["a", "b"],
        ),
        (
            "an array with a mark and CRLF",
            ARRAY,
            "\u{feff}[\r\n  {\"instruction\": \"a\"},\r\n  {\"instruction\": \"b\"}\r\n]\r\n",
            &["a", "b"],
        ),
    ] {
        let (bench, mock) = (Bench::new(), quick_mock());
        bench.file("set", content);
        good(&bench, &mock, &["--dataset", "set", "--parser", parser]);
        assert_eq!(prompts(&mock), expected, "{name}");
    }
}

#[test]
fn what_is_known_to_be_wrong_is_said_before_the_first_request() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let folder = repository().join("host");
    let folder = folder.to_str().expect("it is text");
    bench.file("empty", "");
    bench.file("lines", "a\nb\n");
    bench.file("broken", "{\"question\": \"a\"}\n{\"question\": ü oops}\n");
    bench.file("no field", "{\"question\": \"a\"}\n\n{\"answer\": \"b\"}\n");
    bench.file("number", "{\"question\": 7}\n");
    bench.file("bytes", b"{\"question\": \"a\"}\n\xff\xfe\n");
    bench.file(
        "array",
        "[\n{\"instruction\": \"a\"},\n{\"instruction\": oops}\n]\n",
    );
    bench.file("cut array", "[{\"instruction\": \"a\"},");
    bench.file("object", "{\"instruction\": \"a\"}");
    bench.file("not a parser", "text");
    bench.file("utf16", b"\xff\xfea\0\n\0");
    bench.file("parquet", b"PAR1\x15\x04PAR1");
    for (name, code, arguments, said) in [
        (
            "a Parquet file",
            2,
            &["--dataset", "parquet"][..],
            &["parquet", "a Parquet file", "convert it to JSON lines"][..],
        ),
        (
            "nothing to send",
            2,
            &[][..],
            &["--prompt", "--dataset"][..],
        ),
        (
            "UTF-16",
            2,
            &["--dataset", "utf16", "--parser", "openai_chat"],
            &["utf16", "UTF-16", "iconv"],
        ),
        (
            "prompt and data set",
            2,
            &["--prompt", "x", "--dataset", "lines"],
            &["--prompt", "--dataset", "cannot be used with"],
        ),
        (
            "rate and parallel",
            2,
            &["--prompt", "x", "--rate", "1", "--parallel", "1"],
            &["--rate", "--parallel", "cannot be used with"],
        ),
        (
            "no such data set",
            2,
            &["--dataset", "nowhere"],
            &["nowhere", "No such file"],
        ),
        (
            "a folder as data set",
            2,
            &["--dataset", folder],
            &[folder, "folder"],
        ),
        (
            "no such prompt file",
            2,
            &["--prompt", "@nowhere"],
            &["--prompt @nowhere", "No such file"],
        ),
        (
            "a folder without tokenizer.json",
            2,
            &["--prompt", "x", "--tokenizer-path", folder],
            &[folder, "tokenizer.json"],
        ),
        (
            "no such tokenizer",
            2,
            &["--prompt", "x", "--tokenizer-path", "nowhere"],
            &["nowhere", "No such file"],
        ),
        (
            "no such parser",
            2,
            &["--prompt", "x", "--parser", "nope"],
            &[
                "`nope`",
                "openai_prompt",
                "openai_line_by_line",
                "openai_openqa_qwen",
                "openai_openqa_llama3",
                "openai_longalpaca_12k_qwen",
                "openai_longalpaca_12k_llama3",
                "dashscope_line_by_line",
            ],
        ),
        (
            "a file that is no parser",
            2,
            &["--prompt", "x", "--parser", "./not a parser"],
            &["./not a parser"],
        ),
        (
            "an empty data set",
            1,
            &["--dataset", "empty", "--parser", JSON_LINES],
            &["empty", "no entries"],
        ),
        (
            "a broken line",
            1,
            &["--dataset", "broken", "--parser", JSON_LINES],
            &["broken: line 2, column 14", "--skip-bad-lines"],
        ),
        (
            "a line without the field",
            1,
            &["--dataset", "no field", "--parser", JSON_LINES],
            &["no field: line 3", "\"question\""],
        ),
        (
            "a field of another type",
            1,
            &["--dataset", "number", "--parser", JSON_LINES],
            &["line 1", "not a string"],
        ),
        (
            "a line that is not UTF-8",
            1,
            &["--dataset", "bytes", "--parser", JSON_LINES],
            &["line 2", "UTF-8"],
        ),
        (
            "a broken array",
            1,
            &["--dataset", "array", "--parser", ARRAY],
            &["array: line 3, column 17"],
        ),
        (
            "an array cut short",
            1,
            &["--dataset", "cut array", "--parser", ARRAY],
            &["cut array: line 1", "EOF"],
        ),
        (
            "an object instead of an array",
            1,
            &["--dataset", "object", "--parser", ARRAY],
            &["line 1", "array"],
        ),
    ] {
        let text = refused(&bench, &mock, arguments, code);
        for part in said {
            assert!(text.contains(part), "{name}: no `{part}` in: {text}");
        }
        for cause in text
            .trim()
            .split(": ")
            .skip(1)
            .collect::<Vec<_>>()
            .windows(2)
        {
            assert_ne!(cause[0], cause[1], "{name}: it is said twice: {text}");
        }
    }
}

#[test]
fn urls_that_lead_nowhere_are_said() {
    let bench = Bench::new();
    for (url, said) in [
        ("localhost:8000/v1", "http://"),
        ("127.0.0.1:8000", "http://"),
        ("/v1/chat", "not a URL"),
        ("", "not a URL"),
        ("ftp://example.com/", "http://"),
        ("http://", "not a URL"),
        ("http://a b/", "not a URL"),
        ("http://host:99999/", "not a URL"),
    ] {
        let ended = crate::support::run(&mut bench.perf(&["--url", url, "--prompt", "x"]));
        assert_eq!(ended.code, Some(2), "{url}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(&format!("--url {url}")),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains(said), "{url}: {}", ended.stderr);
        assert!(!bench.path("run.db").exists(), "{url}");
    }
}

#[test]
fn nothing_of_a_wanted_length_says_how_much_was_read_and_why_it_went() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let mut content = questions(&["a", "b", "c", "longer", "longest"]);
    content.push('\n');
    bench.file("set", content);
    let arguments = [
        "--dataset",
        "set",
        "--parser",
        JSON_LINES,
        "--min-prompt-length",
        "1",
        "--max-prompt-length",
        "6",
    ];
    let text = refused(&bench, &mock, &arguments, 1);
    for part in [
        "set: 6 entries were read",
        "3 not longer than the minimum",
        "2 not shorter than the maximum",
        "1 blank",
        "longer than 1 and shorter than 6",
    ] {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

/// A data set that is broken far behind what is read before the first request: its content up to there,
/// how many good entries that holds, what follows, and where the error is.
struct Deep {
    parser: &'static str,
    good: usize,
    content: String,
    place: &'static str,
}

fn deep_lines() -> Deep {
    const GOOD: usize = 4_999;
    let good = (1..=GOOD).map(|number| format!("{{\"question\": \"{number}\"}}\n"));
    let mut content: String = good.collect();
    content.push_str("{\"question\": oops}\n{\"question\": \"behind\"}\n");
    Deep {
        parser: JSON_LINES,
        good: GOOD,
        content,
        place: "set: line 5000, column 14",
    }
}

fn deep_array() -> Deep {
    const GOOD: usize = 999;
    let good = (1..=GOOD).map(|number| format!("{{\"instruction\": \"{number}\"}},\n"));
    let mut content = String::from("[\n");
    content.extend(good);
    content.push_str("{\"instruction\": oops},\n{\"instruction\": \"behind\"}]\n");
    Deep {
        parser: ARRAY,
        good: GOOD,
        content,
        place: "set: line 1001, column 17",
    }
}

/// A server that answers as fast as it can.
fn fast_mock() -> crate::support::Mock {
    mock(&["--ttft", "0s", "--itl", "0s", "--tokens", "1"])
}

#[test]
fn an_error_deep_in_a_data_set_ends_the_run_and_keeps_what_there_is() {
    for set in [deep_lines(), deep_array()] {
        let (bench, mock) = (Bench::new(), fast_mock());
        bench.file("set", set.content);
        let arguments = [
            "--dataset",
            "set",
            "--parser",
            set.parser,
            "--parallel",
            "8",
            "--log-every-n-query",
            "1000",
        ];
        let ended = ends(&bench, &mock, &arguments, 1);
        let good = set.good as f64;
        assert_eq!(figure(&ended.stdout, "Total requests"), good);
        assert_eq!(figure(&ended.stdout, "Succeed requests"), good, "drained");
        assert_eq!(bench.value("SELECT count(*) FROM result"), set.good);
        assert_eq!(bench.value("SELECT state FROM run"), "failed");
        let reason = of_run(&bench, "totals")["client"]["stop_reason"].clone();
        let reason = reason.as_str().expect("there is a reason");
        assert!(reason.starts_with(set.place), "{reason}");
        let verdict = of_run(&bench, "verdict").to_string();
        assert!(verdict.contains("stopped-early"), "{verdict}");
        // The summary breaks lines where they are full.
        let words: Vec<&str> = ended.stdout.split_whitespace().collect();
        assert!(words.join(" ").contains(set.place), "{}", ended.stdout);
    }
}

#[test]
fn bad_entries_are_counted_and_passed_over_if_asked() {
    let lines =
        |parser, content: &str, place, expected| (parser, content.to_owned(), place, expected);
    for (parser, content, place, expected) in [
        lines(
            JSON_LINES,
            "{\"question\": \"a\"}\noops\n{\"question\": \"b\"}\n{\"q\": 1}\n",
            "line 2, column 1",
            (&["a", "b"][..], 2),
        ),
        // What stands behind a place where an array is broken cannot be made out.
        lines(
            ARRAY,
            "[{\"instruction\": \"a\"},\n{\"instruction\": oops},\n{\"instruction\": \"b\"}]",
            "line 2, column 17",
            (&["a"], 1),
        ),
        lines(
            ARRAY,
            "[{\"instruction\": \"a\"}, {\"other\": 1}, {\"instruction\": \"b\"}]",
            "item 2",
            (&["a", "b"], 1),
        ),
    ] {
        let (expected, bad) = expected;
        let (bench, mock) = (Bench::new(), quick_mock());
        bench.file("set", content);
        let arguments = ["--dataset", "set", "--parser", parser, "--skip-bad-lines"];
        let ended = good(&bench, &mock, &arguments);
        assert_eq!(prompts(&mock), expected, "{parser}");
        assert!(ended.stderr.contains(place), "{}", ended.stderr);
        let dataset = of_run(&bench, "totals")["data_set"].clone();
        assert_eq!(dataset["bad_entries"], bad, "{dataset}");
        let said = paragraph(&ended.stdout, "Data set");
        assert!(said.contains(&format!("{bad} passed over")), "{said}");
    }
}

#[test]
fn bad_entries_deep_in_a_data_set_are_passed_over_too() {
    let set = deep_array();
    let (bench, mock) = (Bench::new(), fast_mock());
    bench.file("set", set.content);
    let arguments = [
        "--dataset",
        "set",
        "--parser",
        set.parser,
        "--skip-bad-lines",
        "--parallel",
        "8",
    ];
    good(&bench, &mock, &arguments);
    assert_eq!(bench.value("SELECT count(*) FROM result"), set.good);
    assert_eq!(bench.value("SELECT state FROM run"), "finished");
}

#[test]
fn nothing_but_bad_entries_is_an_error() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("set", "oops\noops\n");
    let arguments = [
        "--dataset",
        "set",
        "--parser",
        JSON_LINES,
        "--skip-bad-lines",
    ];
    let text = refused(&bench, &mock, &arguments, 1);
    assert!(
        text.contains("2 entries were read; 2 could not be read"),
        "{text}"
    );
}

#[test]
fn texts_in_an_array_and_numbered_turns_are_prompts() {
    for (content, expected) in [
        ("[\"a\", \"b\"]", &["a", "b"][..]),
        ("{\"context\": \"a\"}\n{\"turn\": \"b\"}\n", &["a", "b"]),
        (
            "{\"prompt_0\": \"a\"}\n{\"prompt_1\": \"b\"}\n",
            &["a", "b"],
        ),
    ] {
        let (bench, mock) = (Bench::new(), quick_mock());
        bench.file("set", content);
        good(
            &bench,
            &mock,
            &["--dataset", "set", "--parser", "openai_chat"],
        );
        assert_eq!(prompts(&mock), expected, "{content}");
    }
}

#[test]
fn a_trace_with_only_new_messages_is_sent_with_those_before_them() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let line = |time: u32, text: &str| {
        format!(
            r#"{{"timestamp": {time}, "session_id": "s", "message_mode": "delta", "messages": [{{"role": "user", "content": "{text}"}}], "output_length": 3}}"#
        )
    };
    bench.file("trace", format!("{}\n{}\n", line(0, "a"), line(1, "b")));
    let url = mock.url("");
    let flags = [
        "--url",
        &url,
        "--parser",
        "openai_chat",
        "--dataset",
        "trace",
    ];
    let ended = run(bench.perf(&flags).args(["-n", "2", "--parallel", "1"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let said = |body: &Value| {
        let messages = body["messages"].as_array().expect("messages");
        let users = messages.iter().filter(|message| message["role"] == "user");
        users.map(|message| message["content"].clone()).collect()
    };
    let sent: Vec<Vec<Value>> = mock.bodies().iter().map(said).collect();
    assert_eq!(json!(sent), json!([["a"], ["a", "b"]]));
}
