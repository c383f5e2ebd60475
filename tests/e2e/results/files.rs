//! Files and standard output: what is written where, and never over anything.

use crate::helpers::{good, quick_mock, refused};
use crate::support::Bench;
use serde_json::Value;

#[test]
fn json_on_standard_output_is_alone_there() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let ended = good(&bench, &mock, &["--prompt", "x", "--json", "-"]);
    let document: Value = serde_json::from_str(&ended.stdout).expect("nothing but JSON");
    assert_eq!(document["format"], "llmuses.results");
    assert!(
        ended.stderr.contains("Benchmarking summary"),
        "{}",
        ended.stderr
    );
}

#[test]
fn files_in_the_way_are_refused_before_the_run() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("there.json", "mine");
    for arguments in [
        ["--json", "there.json"],
        ["--csv", "there.json"],
        ["--json", "no/folder.json"],
    ] {
        let mut all = vec!["--prompt", "x"];
        all.extend(arguments);
        let said = refused(&bench, &mock, &all, 2);
        assert!(said.contains(arguments[0]), "{said}");
        assert!(!bench.path("run.db").exists());
    }
    assert_eq!(
        std::fs::read(bench.path("there.json")).expect("it is there"),
        b"mine"
    );
    // What was made before the error is taken away again.
    refused(
        &bench,
        &mock,
        &["--prompt", "x", "--json", "new.json", "--csv", "there.json"],
        2,
    );
    assert!(!bench.path("new.json").exists());
}
