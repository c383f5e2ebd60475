//! Whose time it is: a parser is charged for its own, and a call that waits ends all the same.

use super::Case;
use super::guest::{Guest, forever};
use llmuses_core::bounds::Bounds;
use llmuses_plugin_host::{
    BuildOptions, CallError, Compiler, DatasetAccess, EntryReader, InstanceContext, Loading,
    Parser, PluginEngine,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The functions of the data set, as a guest sees them.
fn with_dataset() -> Guest {
    Guest::new().import(
        "(import \"llmuses:perf/datasets@0.1.0\" \"line-by-line\" (func $open (param i32)))
        (import \"llmuses:perf/datasets@0.1.0\" \"[method]line-reader.next\" (func $lines (param i32 i32 i32)))
        (import \"llmuses:perf/datasets@0.1.0\" \"[resource-drop]line-reader\" (func $close (param i32)))",
    )
}

/// Reads one line before every body.
fn reads_a_line() -> Guest {
    with_dataset().next(
        "(call $open (i32.const 8192))
        (call $lines (i32.load (i32.const 8196)) (i32.const 1) (i32.const 8208))
        (call $close (i32.load (i32.const 8196)))
        (i32.const 224)",
    )
}

/// A data set on a slow disk.
struct Slow(Duration);

impl DatasetAccess for Slow {
    fn lines(&self) -> Result<Box<dyn EntryReader>, String> {
        Ok(Box::new(Self(self.0)))
    }

    fn items(&self) -> Result<Box<dyn EntryReader>, String> {
        self.lines()
    }
}

impl EntryReader for Slow {
    fn next(&mut self, _: u32) -> Result<Vec<String>, String> {
        std::thread::sleep(self.0);
        Ok(vec!["line".to_owned()])
    }
}

/// One body of a guest that may work for 100 ms, and for 1.2 s with all waits.
fn body_with(wait: Duration, guest: &Guest) -> Result<Vec<String>, CallError> {
    let engine = PluginEngine::new().expect("an engine");
    let loading = Loading {
        engine: &engine,
        bounds: Bounds {
            call_time: Duration::from_millis(100),
            ..Bounds::default()
        },
        compiler: Compiler::InProcess,
        cache: None,
        messages: llmuses_core::messages::Messages::new(|_| {}),
        details: None,
        cache_trouble: &|_| {},
    };
    let parser = Parser::from_bytes(&loading, &guest.component(), Path::new("guest.wasm"))
        .expect("the guest loads");
    let mut instance = parser.instantiate(InstanceContext {
        dataset: Some(Arc::new(Slow(wait))),
        ..InstanceContext::default()
    })?;
    let requests = instance.build_request(&BuildOptions {
        model: "m".to_owned(),
        prompt: None,
        has_dataset: true,
        min_length: 0,
        max_length: u64::MAX,
        parameters: "{}".to_owned(),
    })?;
    instance.next(requests, 1)
}

#[test]
fn time_in_the_host_does_not_count() {
    let bodies = body_with(Duration::from_millis(500), &reads_a_line());
    assert_eq!(bodies.expect("it waited, and did nothing").len(), 1);
}

#[test]
fn time_in_the_host_does_not_help_a_loop() {
    let guest = with_dataset().next(&format!(
        "(call $open (i32.const 8192))
        (call $lines (i32.load (i32.const 8196)) (i32.const 1) (i32.const 8208))
        {}",
        forever("")
    ));
    let error = body_with(Duration::from_millis(300), &guest).expect_err("it loops");
    assert!(error.to_string().contains("longer than 0.1 s"), "{error}");
}

#[test]
fn a_call_that_only_waits_ends() {
    let guest = with_dataset().next(&format!(
        "(call $open (i32.const 8192)) {}",
        forever(
            "(call $lines (i32.load (i32.const 8196)) (i32.const 1) (i32.const 8208))
            (global.set $heap (i32.const 65536))"
        )
    ));
    let error = body_with(Duration::from_millis(50), &guest).expect_err("it waits for ever");
    assert!(
        error.to_string().contains("not over after 1.2 s"),
        "{error}"
    );
}

#[test]
fn the_data_set_opened_without_end() {
    let guest = with_dataset().next(&forever("(call $open (i32.const 8192))"));
    let case = Case::of("the_data_set_opened_without_end", 1, &guest);
    case.arguments(&["--dataset", "questions.txt"]).check();
}

/// Each reader is closed again, but there is no end to it.
#[test]
fn the_data_set_opened_and_closed_without_end() {
    let guest = with_dataset().next(&forever(
        "(call $open (i32.const 8192)) (call $close (i32.load (i32.const 8196)))",
    ));
    let case = Case::of("the_data_set_opened_and_closed", 1, &guest);
    case.arguments(&["--dataset", "questions.txt"]).check();
}

/// Asks for four billion lines at once, and gets what there is.
#[test]
fn lines_without_measure() {
    let guest = with_dataset().next(
        "(call $open (i32.const 8192))
        (call $lines (i32.load (i32.const 8196)) (i32.const -1) (i32.const 8208))
        (call $close (i32.load (i32.const 8196)))
        (i32.const 224)",
    );
    let case = Case::of("lines_without_measure", 0, &guest);
    case.arguments(&["--dataset", "questions.txt", "-n", "6"])
        .check();
}

/// Readers that are kept open read ahead, and each may have a thread.
#[test]
fn readers_that_are_never_closed() {
    let guest = with_dataset().next("(call $open (i32.const 8192)) (i32.const 224)");
    let case = Case::of("readers_that_are_never_closed", 1, &guest);
    let run = case
        .arguments(&["--dataset", "questions.txt", "-n", "100"])
        .run(&[]);
    let said = "more than 16 readers of the data set open at once";
    assert!(run.stderr.contains(said), "{}", run.stderr);
}
