//! `llmuses plugin`, with parsers that are well and with hostile ones.

use super::guest::{Guest, forever};
use crate::support::{Bench, Ended, program, run};

fn plugin(bench: &Bench, arguments: &[&str]) -> Ended {
    let folder = bench.path("");
    let mut command = program();
    command.current_dir(folder).arg("plugin").args(arguments);
    run(&mut command)
}

/// The text without times, sizes and digests.
fn quiet(text: &str) -> String {
    let mut quiet = String::new();
    for line in text.lines() {
        let mut words = line.split(' ').peekable();
        let mut shown = Vec::new();
        while let Some(word) = words.next() {
            let is_time = words
                .peek()
                .is_some_and(|unit| ["µs", "ms", "s"].contains(unit));
            if is_time && word.parse::<f64>().is_ok() {
                words.next();
                shown.push("[TIME]");
            } else if word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                shown.push("[SHA-256]");
            } else if line.starts_with("Size") && word.parse::<u64>().is_ok() {
                shown.push("[SIZE]");
            } else {
                shown.push(word);
            }
        }
        quiet.push_str(&shown.join(" "));
        quiet.push('\n');
    }
    quiet
}

#[test]
fn list_names_what_is_built_in() {
    let ended = plugin(&Bench::new(), &["list"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    insta::assert_snapshot!("plugin_list", ended.stdout);
}

#[test]
fn inspect_says_what_a_parser_is() {
    let bench = Bench::new();
    let guest = Guest::new().header("X-DashScope-SSE", "enable");
    bench.file("guest.wasm", guest.component());
    let ended = plugin(&bench, &["inspect", "guest.wasm"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    insta::assert_snapshot!("plugin_inspect", quiet(&ended.stdout));
}

#[test]
fn a_refused_plugin_is_not_kept_compiled() {
    let bench = Bench::new();
    let entries = || {
        let folder = bench.path("cache/llmuses/components");
        let files = std::fs::read_dir(folder).expect("the cache is there");
        files
            .filter(|file| {
                let path = file.as_ref().expect("it can be listed").path();
                path.extension().is_some_and(|end| end == "code")
            })
            .count()
    };
    for (guest, code, kept) in [
        (Guest::new().header("X-Api-Key", "a"), 2, 0),
        (Guest::new(), 0, 1),
    ] {
        bench.file("guest.wasm", guest.component());
        let mut command = program();
        command
            .current_dir(bench.path(""))
            .env("XDG_CACHE_HOME", bench.path("cache"))
            .args(["plugin", "inspect", "guest.wasm"]);
        let ended = run(&mut command);
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert_eq!(entries(), kept, "{}", ended.stderr);
    }
}

#[test]
fn what_is_built_in_imports_nothing_but_the_contract() {
    let bench = Bench::new();
    for parser in llmuses_plugin_host::builtin_names() {
        let ended = plugin(&bench, &["inspect", parser, "--sandbox", "strict"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.contains("built in"), "{}", ended.stdout);
    }
}

#[test]
fn check_shows_a_parser_at_work() {
    let bench = Bench::new();
    bench.file("questions.txt", "one\ntwo\nthree\nfour\n");
    bench.file(
        "response.jsonl",
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\ndata: [DONE]\n",
    );
    let ended = plugin(
        &bench,
        &[
            "check",
            "openai_line_by_line",
            "--dataset",
            "questions.txt",
            "--responses",
            "response.jsonl",
        ],
    );
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    insta::assert_snapshot!("plugin_check_dataset", quiet(&ended.stdout));
    let ended = plugin(&bench, &["check", "dashscope_line_by_line"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    insta::assert_snapshot!("plugin_check_samples", quiet(&ended.stdout));
}

#[test]
fn check_fails_where_the_parser_does() {
    let bench = Bench::new();
    for (guest, said) in [
        (Guest::new().parse("(unreachable)"), "FAILED: it broke"),
        (
            Guest::new().next(&forever("")),
            "FAILED: parser `hostile` broke in next: it took longer",
        ),
    ] {
        bench.file("guest.wasm", guest.component());
        let ended = plugin(
            &bench,
            &["check", "guest.wasm", "--plugin-call-timeout", "0.2"],
        );
        assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.contains(said), "{}", ended.stdout);
    }
    let ended = plugin(&bench, &["check", "no_such_parser"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}
