//! Several models behind one run, and headers that name session and request.

use crate::helpers::{
    good, last_headers, mock, of_run, older_plugin, quick_mock, refused, seen, typed,
};
use crate::misbehaving::{Misbehaving, Step, TRANSPORTS, delta, event, streamed};
use crate::support::{Bench, run};
use serde_json::Value;
use std::collections::BTreeSet;

/// The groups of a kind in the totals of the run: name and requests that are over.
fn groups(bench: &Bench, by: &str) -> Vec<(String, u64)> {
    let totals = of_run(bench, "totals");
    let all = totals["groups"].as_array().cloned().unwrap_or_default();
    all.iter()
        .filter(|group| group["by"] == by)
        .map(|group| {
            let name = group["name"].as_str().expect("a group has a name");
            (
                name.to_owned(),
                group["completed"].as_u64().expect("a count"),
            )
        })
        .collect()
}

/// The model of each request body, in the order of the requests.
fn models(bench: &Bench) -> Vec<String> {
    let rows = bench.rows("SELECT request, model FROM result ORDER BY number");
    rows.iter()
        .map(|row| {
            let body: Value = serde_json::from_str(row[0].as_str().unwrap()).expect("a body");
            assert_eq!(body["model"], row[1], "the row has the model of its body");
            row[1].as_str().expect("a model").to_owned()
        })
        .collect()
}

/// One more model beside `m`, with three times its weight.
const SEVERAL: [&str; 3] = ["--model", "base=3", "--parallel=4"];

#[test]
fn several_models_share_the_requests_by_their_weights() {
    let mut drawn = Vec::new();
    for transport in TRANSPORTS {
        let (bench, mock) = (Bench::new(), quick_mock());
        let url = mock.chat();
        let mut command = bench.perf(&["--url", &url, "--prompt", "x", "-n", "80"]);
        let ended = run(command
            .args(SEVERAL)
            .args(["--transport", transport, "--details"])
            .args(["--json", "run.json", "--html", "run.html"])
            .args(["--markdown", "run.md", "--csv", "run.csv"]));
        assert_eq!(ended.code, Some(0), "{transport}: {}", ended.stderr);
        let models = models(&bench);
        let of_base = models.iter().filter(|model| *model == "base").count() as u64;
        assert!((48..=72).contains(&of_base), "{of_base} of 80");
        let expected = [("base", of_base), ("m", 80 - of_base)];
        let expected = expected.map(|(name, count)| (name.to_owned(), count));
        assert_eq!(groups(&bench, "model"), expected, "{transport}");
        let plan = of_run(&bench, "plan");
        assert_eq!(plan["models"], serde_json::json!(["m=1", "base=3"]));
        let read = |name: &str| std::fs::read_to_string(bench.path(name)).expect("it was written");
        for (text, of) in [
            (ended.stdout, "summary"),
            (read("run.html"), "page"),
            (read("run.md"), "Markdown"),
            (read("run.csv"), "CSV"),
            (read("run.json"), "JSON"),
        ] {
            assert!(text.contains("base"), "{of} of {transport}: {text}");
        }
        let compared = typed(&bench, &["compare", "run.db", "run.db"]);
        assert!(
            compared.stdout.contains("model base"),
            "{}",
            compared.stdout
        );
        drawn.push(models);
    }
    assert_eq!(drawn[0], drawn[1], "the seed and the number say which");
}

#[test]
fn a_session_stays_with_its_model() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let sessions = ["--prompt", "why?", "--turns", "3", "--sessions", "12"];
    good(&bench, &mock, &[&SEVERAL[..], &sessions].concat());
    models(&bench);
    let mixed = "SELECT count(*) FROM (SELECT session FROM result GROUP BY session HAVING count(DISTINCT model) > 1)";
    assert_eq!(bench.value(mixed), 0);
    assert_eq!(bench.value("SELECT count(DISTINCT model) FROM result"), 2);
    assert_eq!(bench.value("SELECT count(*) FROM result"), 36);
}

#[test]
fn all_entries_of_a_conversation_of_a_trace_ask_one_model() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let line = |number: u64| {
        serde_json::json!({
            "timestamp": number * 10,
            "text_input": format!("question {number}"),
            "output_length": 2,
            "session_id": format!("user {}", number % 12),
        })
    };
    let lines: Vec<String> = (0..36).map(|number| line(number).to_string()).collect();
    bench.file("trace", lines.join("\n"));
    let trace = ["--dataset", "trace", "--trace"];
    // Without --parallel.
    good(&bench, &mock, &[&SEVERAL[..2], &trace].concat());
    let mixed = "SELECT count(*) FROM (SELECT session FROM result GROUP BY session HAVING count(DISTINCT model) > 1)";
    assert_eq!(bench.value(mixed), 0);
    assert_eq!(bench.value("SELECT count(DISTINCT model) FROM result"), 2);
    assert_eq!(
        bench.value("SELECT count(DISTINCT session) FROM result"),
        12
    );
    assert_eq!(bench.value("SELECT count(*) FROM result"), 36);
}

#[test]
fn a_path_that_names_the_model_is_that_of_each_model() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let url = mock.url("");
    let ended = run(bench
        .perf(&["--url", url.trim_end_matches('/'), "--parser", "gemini"])
        .args(["--prompt", "x", "-n", "20"])
        .args(SEVERAL));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let asked = mock.get("/bodies?limit=1000")["bodies"].clone();
    let paths: BTreeSet<String> = asked
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|seen| seen["path"].as_str())
        .map(|path| path.split('?').next().unwrap_or_default().to_owned())
        .collect();
    let expected =
        ["base", "m"].map(|model| format!("/v1beta/models/{model}:streamGenerateContent"));
    assert_eq!(paths, BTreeSet::from(expected));
}

#[test]
fn models_that_cannot_share_requests_are_refused() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let older = older_plugin(&bench);
    for (arguments, said) in [
        (&["--prompt", "x", "--model", "a=0", "b"][..], "--model a=0"),
        (&["--prompt", "x", "--model", "a", "a=2"], "`a` twice"),
        (
            &["--prompt", "x", "--model", "a", "b", "--parser", older],
            "all of them for one model",
        ),
    ] {
        let error = refused(&bench, &mock, arguments, 2);
        assert!(error.contains(said), "{error}");
    }
}

/// The values of a header in the heads of requests, in the order in which they came.
fn values(heads: &[String], name: &str) -> Vec<String> {
    let lines = heads.iter().map(|head| {
        let found = head.lines().filter_map(|line| line.split_once(':'));
        let mut found = found.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let value = found
            .next()
            .expect("the header is sent")
            .1
            .trim()
            .to_owned();
        assert!(found.next().is_none(), "it is sent once: {head}");
        value
    });
    lines.collect()
}

#[test]
fn each_request_has_an_id_that_its_row_has() {
    for transport in TRANSPORTS {
        let body = event(delta("hi")) + &event("[DONE]");
        let script = vec![Step::Request, Step::Write(streamed(body, 40)), Step::Again];
        let (bench, server) = (Bench::new(), Misbehaving::start(script));
        let ended = run(bench
            .perf(&["--url", &server.chat(), "--prompt", "x", "-n", "6"])
            .args(["--transport", transport, "--seed", "7", "--csv", "run.csv"])
            .args(["--request-id-header", "X-Request-Id"])
            .args(["--session-header", "x-session"]));
        assert_eq!(ended.code, Some(0), "{transport}: {}", ended.stderr);
        let heads = server.heads();
        let expected: Vec<String> = (0..6)
            .map(|number| format!("llmuses-7-1-{number}"))
            .collect();
        assert_eq!(values(&heads, "x-request-id"), expected, "{transport}");
        let sessions: BTreeSet<String> = values(&heads, "x-session").into_iter().collect();
        assert_eq!(sessions.len(), 6, "{transport}: {sessions:?}");
        let rows = bench.rows("SELECT request_id FROM result ORDER BY number");
        let rows: Vec<&str> = rows.iter().filter_map(|row| row[0].as_str()).collect();
        assert_eq!(rows, expected, "{transport}");
        let csv = std::fs::read_to_string(bench.path("run.csv")).expect("it was written");
        assert!(csv.contains("llmuses-7-1-5"), "{csv}");
        assert_eq!(of_run(&bench, "plan")["request_id_header"], "x-request-id");
    }
}

#[test]
fn all_turns_of_a_session_name_it_and_go_to_one_server() {
    for transport in TRANSPORTS {
        let (bench, mocks) = (Bench::new(), [quick_mock(), mock(&["--ttft", "30ms"])]);
        let ended = run(bench
            .perf(&["--url", &mocks[0].chat(), &mocks[1].chat()])
            .args(["--url-policy", "session", "--prompt", "why?"])
            .args(["--turns", "3", "--sessions", "8", "--parallel", "3"])
            .args(["--session-header", "x-session", "--transport", transport]));
        assert_eq!(ended.code, Some(0), "{transport}: {}", ended.stderr);
        assert_eq!(mocks.each_ref().map(seen), [12, 12], "{transport}");
        let torn = "SELECT count(*) FROM (SELECT session FROM result GROUP BY session HAVING count(DISTINCT url) > 1)";
        assert_eq!(bench.value(torn), 0, "{transport}");
        let last = last_headers(&mocks[1]);
        let id = last["x-session"].as_str().expect("the header was sent");
        let session: i64 = id
            .strip_prefix("llmuses-42-1-session-")
            .and_then(|session| session.parse().ok())
            .expect("it names the session");
        assert!(session < 8 && session % 2 == 1, "{id}");
    }
}

#[test]
fn a_header_that_says_something_else_is_refused() {
    let (bench, mock) = (Bench::new(), quick_mock());
    for (arguments, said) in [
        (
            &["--prompt", "x", "--request-id-header", "Host"][..],
            "--request-id-header host: this header says something else",
        ),
        (
            &[
                "--prompt",
                "x",
                "--headers",
                "x-s=1",
                "--session-header",
                "X-S",
            ],
            "--headers gives it a value already",
        ),
    ] {
        let error = refused(&bench, &mock, arguments, 2);
        assert!(error.contains(said), "{error}");
    }
}
