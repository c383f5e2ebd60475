//! A parser that somebody else writes: the example of the page for authors, built outside of this
//! workspace and given to `--parser` as a file.

use crate::helpers::quick_mock;
use crate::support::{Bench, repository, run};
use serde_json::json;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// The target that the page for authors names.
const TARGET: &str = "wasm32-unknown-unknown";

/// The blocks of this language on the page for authors: a reader copies them, and so does this test.
fn examples(page: &str, language: &str) -> Vec<String> {
    page.split(&format!("```{language}\n"))
        .skip(1)
        .filter_map(|behind| behind.split_once("\n```"))
        .map(|(block, _)| format!("{block}\n"))
        .collect()
}

fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into())
}

/// Builds the first example of the page that has this in it, and copies the component to `to`.
fn build(part: &str, to: &Path) {
    let folder = Bench::new();
    let page = std::fs::read_to_string(repository().join("plugins/sdk/README.md"))
        .expect("the page for authors is there");
    let sdk = repository().join("plugins/sdk");
    let files = examples(&page, "toml");
    let manifest = files[0].replace(
        "path/to/llmuses/plugins/sdk",
        sdk.to_str().expect("the path is text"),
    );
    assert!(manifest.contains("plugins/sdk\""), "{manifest}");
    let sources = examples(&page, "rust");
    let source = sources.iter().find(|source| source.contains(part));
    for name in ["src", ".cargo"] {
        std::fs::create_dir(folder.path(name)).expect("a folder can be made");
    }
    folder.file("src/lib.rs", source.expect("the page has the example"));
    folder.file("Cargo.toml", manifest);
    folder.file(".cargo/config.toml", &files[1]);
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
    let component = target.join(TARGET).join("release/queries.wasm");
    std::fs::copy(component, to).expect("the component is there");
}

#[test]
fn the_examples_of_the_page_for_authors_run() {
    let (bench, mock) = (Bench::new(), quick_mock());
    build("\"/api/chat\"", &bench.path("api.wasm"));
    build("Prompts from the field `query`", &bench.path("format.wasm"));
    bench.file(
        "queries.jsonl",
        "{\"query\": \"why?\", \"id\": 7}\n{\"query\": \"who?\"}\n",
    );
    let url = mock.url("");
    let arguments = [
        "--url",
        &url,
        "--parser",
        "./api.wasm",
        "--dataset",
        "queries.jsonl",
    ];
    let ended = run(bench
        .perf(&arguments)
        .args(["--dataset-parser", "./format.wasm"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let body =
        |prompt: &str| json!({"model": "m", "messages": [{"role": "user", "content": prompt}]});
    assert_eq!(mock.bodies(), [body("why?"), body("who?")]);
    let plugin = bench.rows("SELECT plugin_name, plugin_version, plugin_source FROM run");
    assert_eq!(json!(plugin), json!([["ollama", "0.1.0", "./api.wasm"]]));
    let tokens = bench.rows("SELECT completion_tokens, finish_reason FROM result");
    assert_eq!(json!(tokens), json!([[5, "stop"], [5, "stop"]]));
}
