//! A parser that somebody else writes: the example of the page for authors, built outside of this
//! workspace and given to `--parser` as a file.

use crate::helpers::{good, quick_mock};
use crate::support::{Bench, repository, run};
use serde_json::json;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target that the page for authors names.
const TARGET: &str = "wasm32-wasip2";

/// The first block of this language on the page for authors: a reader copies it, and so does this test.
fn example(page: &str, language: &str) -> String {
    page.split_once(&format!("```{language}\n"))
        .and_then(|(_, behind)| behind.split_once("\n```"))
        .map(|(block, _)| format!("{block}\n"))
        .expect("the page has an example")
}

fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into())
}

/// Builds the example in `folder`.
fn build(folder: &Bench) -> PathBuf {
    let page = std::fs::read_to_string(repository().join("plugins/sdk/README.md"))
        .expect("the page for authors is there");
    let sdk = repository().join("plugins/sdk");
    let manifest = example(&page, "toml").replace(
        "path/to/llmuses/plugins/sdk",
        sdk.to_str().expect("the path is text"),
    );
    assert!(manifest.contains("plugins/sdk\""), "{manifest}");
    std::fs::create_dir(folder.path("src")).expect("a folder can be made");
    folder.file("src/lib.rs", example(&page, "rust"));
    folder.file("Cargo.toml", manifest);
    // The versions that the workspace was built with are on this machine already.
    std::fs::copy(repository().join("Cargo.lock"), folder.path("Cargo.lock"))
        .expect("the lock file can be copied");

    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("external");
    let built = run(Command::new(cargo())
        .args(["build", "--release", "--offline", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .current_dir(folder.path("")));
    assert_eq!(
        built.code,
        Some(0),
        "the example could not be built. Where its target is missing, type: rustup target add \
         {TARGET}\n{}",
        built.stderr
    );
    target.join(TARGET).join("release/queries.wasm")
}

#[test]
fn the_example_of_the_page_for_authors_runs() {
    let (bench, mock, source) = (Bench::new(), quick_mock(), Bench::new());
    std::fs::copy(build(&source), bench.path("x.wasm")).expect("the component is there");
    bench.file(
        "queries.jsonl",
        "{\"query\": \"why?\", \"id\": 7}\n{\"query\": \"who?\"}\n",
    );
    let arguments = ["--parser", "./x.wasm", "--dataset", "queries.jsonl"];
    good(&bench, &mock, &arguments);

    let body = |prompt: &str| {
        json!({
            "model": "m",
            "messages": [{"role": "user", "content": prompt}],
            "stream": true,
            "stream_options": {"include_usage": true},
            "temperature": 0,
        })
    };
    assert_eq!(mock.bodies(), [body("why?"), body("who?")]);
    let plugin = bench.rows("SELECT plugin_name, plugin_version, plugin_source FROM run");
    assert_eq!(json!(plugin), json!([["queries", "0.1.0", "./x.wasm"]]));
    let tokens = bench.rows("SELECT prompt_tokens, completion_tokens FROM result");
    assert_eq!(json!(tokens), json!([[2, 5], [2, 5]]));
}
