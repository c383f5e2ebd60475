//! The JSON Schema of the results, against documents of real runs.

use crate::helpers::{ends, good, mock, quick_mock, typed};
use crate::html::killed_run;
use crate::support::{Bench, run};
use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../../host/render/src/results.schema.json");
const NAME: &str = "urn:llmuses:results:1";

fn schema() -> Value {
    serde_json::from_str(SCHEMA).expect("the schema is JSON")
}

fn compiled() -> (Schemas, SchemaIndex) {
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler
        .add_resource(NAME, schema())
        .expect("the schema has a place");
    let index = compiler
        .compile(NAME, &mut schemas)
        .expect("the schema is one");
    (schemas, index)
}

/// Fails where the document is not what the schema says.
fn is_valid(document: &Value) {
    let (schemas, index) = compiled();
    if let Err(error) = schemas.validate(document, index) {
        panic!("{error:#}");
    }
}

fn document(bench: &Bench, name: &str) -> Value {
    let text = std::fs::read_to_string(bench.path(name)).expect("the document is there");
    serde_json::from_str(&text).expect("it is JSON")
}

#[test]
fn documents_of_runs_are_what_the_schema_says() {
    let mock = mock(&["--error-rate", "0.2", "--ttft-jitter", "3ms"]);
    for arguments in [
        &["-n", "40", "--parallel", "4"][..],
        &["-n", "40", "--rate", "200"],
        &["-n", "20", "--rate", "-1"],
        &["-n", "20", "--parallel", "1,2,4", "--warmup", "3"],
        &["--duration", "0.3", "--goodput", "ttft:7ms,tpot:50ms"],
        &["-n", "3", "--save", "none", "--transport", "reqwest"],
        &["-n", "3", "--parameters", "stream=bool_false"],
    ] {
        let bench = Bench::new();
        let url = mock.chat();
        let ended = run(bench
            .perf(&["--url", &url, "--prompt", "x", "--json", "a.json"])
            .args(arguments));
        assert!(ended.code.is_some_and(|code| code < 2), "{}", ended.stderr);
        is_valid(&document(&bench, "a.json"));
    }
}

#[test]
fn documents_of_runs_that_failed_are_too() {
    let bench = Bench::new();
    let url = "http://127.0.0.1:9/v1/chat/completions";
    let ended = run(&mut bench.perf(&["--url", url, "--prompt", "x", "--json", "a.json"]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    is_valid(&document(&bench, "a.json"));

    let mock = quick_mock();
    // A data set of which nothing is wanted: no request is made.
    bench.file("set", "long enough\n");
    std::fs::remove_file(bench.path("run.db")).expect("it was there");
    let arguments = [
        "--dataset",
        "set",
        "--parser",
        "openai_line_by_line",
        "-n",
        "5",
    ];
    let few = [
        &arguments[..],
        &["--json", "b.json", "--log-every-n-query", "1"],
    ]
    .concat();
    good(&bench, &mock, &few);
    is_valid(&document(&bench, "b.json"));
    ends(&bench, &mock, &few, 2);

    let bench = Bench::new();
    killed_run(&bench, &mock);
    let ended = typed(&bench, &["report", "run.db", "--json", "a.json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    is_valid(&document(&bench, "a.json"));
}

#[test]
fn the_schema_turns_down_what_it_does_not_know() {
    let (bench, mock) = (Bench::new(), quick_mock());
    good(
        &bench,
        &mock,
        &["--prompt", "x", "-n", "3", "--json", "a.json"],
    );
    let good = document(&bench, "a.json");
    is_valid(&good);
    let (schemas, index) = compiled();
    for at in [
        "",
        "/runs/0",
        "/runs/0/rows",
        "/runs/0/verdict",
        "/runs/0/totals",
        "/runs/0/totals/latency",
        "/runs/0/totals/latency/curve",
        "/runs/0/totals/requests",
        "/runs/0/totals/timeline",
        "/runs/0/totals/tokens/output",
        "/runs/0/totals/client",
    ] {
        let mut with_more = good.clone();
        let object = with_more.pointer_mut(at).expect("an object");
        object["another"] = json!(1);
        assert!(schemas.validate(&with_more, index).is_err(), "{at}");
    }
    let mut with_less = good;
    let totals = with_less["runs"][0]["totals"].as_object_mut();
    totals.expect("an object").shift_remove("latency");
    assert!(schemas.validate(&with_less, index).is_err());
}

#[test]
fn every_object_of_the_schema_is_closed() {
    fn walk(at: &str, schema: &Value) {
        match schema {
            Value::Object(members) => {
                // What was asked for grows with every flag, and is told by the flags.
                if members.contains_key("properties") && !at.ends_with("/properties/plan") {
                    assert_eq!(members["additionalProperties"], false, "{at} is open");
                }
                for (name, member) in members {
                    walk(&format!("{at}/{name}"), member);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(at, item)),
            _ => {}
        }
    }
    walk("", &schema());
}
