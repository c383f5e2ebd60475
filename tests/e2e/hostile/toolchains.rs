//! Guests that import WASI, as those of ordinary toolchains do.

use super::Case;
use super::guest::{Guest, forever};

const CLI: &str = "package wasi:cli@0.2.0;
interface exit { exit: func(status: result); }
interface environment { get-environment: func() -> list<tuple<string, string>>; }
interface stdout { use wasi:io/streams@0.2.0.{output-stream}; get-stdout: func() -> output-stream; }";

const IO: &str = "package wasi:io@0.2.0;
interface error { resource error; }
interface poll { resource pollable { block: func(); } }
interface streams {
    use error.{error};
    variant stream-error { last-operation-failed(error), closed }
    resource output-stream {
        blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
    }
}";

const CLOCKS: &str = "package wasi:clocks@0.2.0;
interface monotonic-clock {
    use wasi:io/poll@0.2.0.{pollable};
    now: func() -> u64;
    subscribe-duration: func(when: u64) -> pollable;
}";

const RANDOM: &str = "package wasi:random@0.2.0;
interface random { get-random-u64: func() -> u64; get-random-bytes: func(len: u64) -> list<u8>; }";

fn with_output(guest: Guest) -> Guest {
    guest
        .package(IO, &["wasi:io/streams@0.2.0"])
        .package(CLI, &["wasi:cli/stdout@0.2.0", "wasi:cli/exit@0.2.0"])
        .import(
            "(import \"wasi:cli/stdout@0.2.0\" \"get-stdout\" (func $stdout (result i32)))
            (import \"wasi:io/streams@0.2.0\" \"[method]output-stream.blocking-write-and-flush\"
                (func $write (param i32 i32 i32 i32)))",
        )
        .memory("40")
}

#[test]
fn exit_in_parse_responses() {
    let guest = Guest::new()
        .package(IO, &[])
        .package(CLI, &["wasi:cli/exit@0.2.0"])
        .import("(import \"wasi:cli/exit@0.2.0\" \"exit\" (func $exit (param i32)))")
        .parse("(call $exit (i32.const 0)) (unreachable)");
    Case::of("exit_in_parse_responses", 1, &guest)
        .with_wasi()
        .check();
}

/// Each response writes a whole number of the lines that are kept (4 KiB), so that their count does not depend on
/// which instance read how many responses.
#[test]
fn output_without_line_ends() {
    let guest = with_output(Guest::new()).parse(&format!(
        "(local $out i32) (local $times i32)
        (local.set $out (call $stdout))
        (memory.fill (i32.const 131072) (i32.const 120) (i32.const 2000000))
        (loop $more
            (call $write (local.get $out) (i32.const 131072) (i32.const 4096) (i32.const 8192))
            (local.set $times (i32.add (local.get $times) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $times) (i32.const {}))))
        (i32.const 256)",
        1000
    ));
    let case = Case::of("output_without_line_ends", 0, &guest).with_wasi();
    let run = case.check();
    assert!(run.stderr.len() < 80_000, "{}", run.stderr.len());
}

#[test]
fn output_for_the_terminal() {
    let text = "\u{1b}[2Jfirst\nsecond\u{1b}]0;owned\u{7}\nhalf a line";
    let guest = with_output(Guest::new()).data(4096, text).describe(&format!(
        "(call $write (call $stdout) (i32.const 4096) (i32.const {}) (i32.const 8192)) (i32.const 128)",
        text.len()
    ));
    Case::of("output_for_the_terminal", 0, &guest)
        .with_wasi()
        .check();
}

/// Sleeping costs nobody any time, and cannot be used to wait for ever.
#[test]
fn a_sleep_of_a_century() {
    let guest = Guest::new()
        .package(IO, &["wasi:io/poll@0.2.0"])
        .package(CLOCKS, &["wasi:clocks/monotonic-clock@0.2.0"])
        .import(
            "(import \"wasi:clocks/monotonic-clock@0.2.0\" \"subscribe-duration\" (func $sleep (param i64) (result i32)))
            (import \"wasi:io/poll@0.2.0\" \"[method]pollable.block\" (func $block (param i32)))",
        )
        .parse("(call $block (call $sleep (i64.const 3000000000000000000))) (i32.const 256)");
    let run = Case::of("a_sleep_of_a_century", 0, &guest)
        .with_wasi()
        .check();
    assert!(run.took.as_secs() < 10, "{:?}", run.took);
}

/// One pollable for each response, never let go: the handles run out, and the parser is replaced.
#[test]
fn pollables_without_end() {
    let guest = Guest::new()
        .package(IO, &["wasi:io/poll@0.2.0"])
        .package(CLOCKS, &["wasi:clocks/monotonic-clock@0.2.0"])
        .import("(import \"wasi:clocks/monotonic-clock@0.2.0\" \"subscribe-duration\" (func $sleep (param i64) (result i32)))")
        .parse(&forever("(drop (call $sleep (i64.const 1)))"));
    Case::of("pollables_without_end", 1, &guest)
        .with_wasi()
        .check();
}

/// The same seed, the same random numbers, in every instance and in every run.
#[test]
fn random_numbers_are_those_of_the_seed() {
    let guest = Guest::new()
        .package(RANDOM, &["wasi:random/random@0.2.0"])
        .import("(import \"wasi:random/random@0.2.0\" \"get-random-u64\" (func $random (result i64)))")
        .parse(
            "(if (i64.eqz (i64.load (i32.const 8192))) (then (i64.store (i32.const 8192) (call $random))))
            (i64.store (i32.const 272) (i64.shr_u (i64.load (i32.const 8192)) (i64.const 36)))
            (i32.const 256)",
        );
    let drawn = |seed: &'static str| {
        let case = Case::of("random_numbers", 0, &guest).with_wasi();
        let run = case.also(&["--seed", seed]).run(&[]);
        let distinct = run
            .bench
            .value("select count(distinct prompt_tokens) from result");
        assert_eq!(distinct, 1);
        run.bench.value("select min(prompt_tokens) from result")
    };
    let first = drawn("1");
    assert_eq!(first, drawn("1"));
    assert_ne!(first, drawn("2"));
}

#[test]
fn random_bytes_without_measure() {
    let guest = Guest::new()
        .package(RANDOM, &["wasi:random/random@0.2.0"])
        .import("(import \"wasi:random/random@0.2.0\" \"get-random-bytes\" (func $random (param i64 i32)))")
        .parse("(call $random (i64.const 4000000000) (i32.const 8192)) (i32.const 256)");
    Case::of("random_bytes_without_measure", 1, &guest)
        .with_wasi()
        .check();
}

#[test]
fn http_is_refused() {
    let guest = Guest::new()
        .package(
            "package wasi:http@0.2.0;\ninterface outgoing-handler { handle: func(); }",
            &["wasi:http/outgoing-handler@0.2.0"],
        )
        .import("(import \"wasi:http/outgoing-handler@0.2.0\" \"handle\" (func $handle))")
        .start("(call $handle)");
    Case::of("http_is_refused", 2, &guest).check();
}

#[test]
fn sockets_are_refused() {
    let guest = Guest::new()
        .package(
            "package wasi:sockets@0.2.0;\ninterface instance-network { go: func(); }",
            &["wasi:sockets/instance-network@0.2.0"],
        )
        .import("(import \"wasi:sockets/instance-network@0.2.0\" \"go\" (func $go))")
        .start("(call $go)");
    Case::of("sockets_are_refused", 2, &guest).check();
}

#[test]
fn strict_refuses_wasi() {
    let guest = Guest::new()
        .package(RANDOM, &["wasi:random/random@0.2.0"])
        .import(
            "(import \"wasi:random/random@0.2.0\" \"get-random-u64\" (func $random (result i64)))",
        )
        .start("(drop (call $random))");
    let case = Case::of("strict_refuses_wasi", 2, &guest).with_wasi();
    case.also(&["--sandbox", "strict"]).check();
}
