//! Guests that want all the memory there is: in WebAssembly, and of the host by way of results.

use super::Case;
use super::guest::{DESCRIBE, Guest, NEXT, PARSE, TEXT, forever, words};

/// Fills `list` with `count` items of `size` bytes each, all of them like the first.
fn filled(size: u32, count: u32) -> String {
    let bytes = size * count;
    format!(
        "(if (i32.eqz (global.get $calls)) (then
            (global.set $calls (i32.const 1))
            (drop (memory.grow (i32.const {})))
            (memory.fill (i32.const 131072) (i32.const 0) (i32.const {bytes}))))",
        bytes.div_ceil(65536) + 1
    )
}

#[test]
fn growth_in_parse_responses() {
    let body = forever(
        "(drop (memory.grow (i32.const 16)))
        (memory.fill (i32.shl (i32.sub (memory.size) (i32.const 1)) (i32.const 16)) (i32.const 1) (i32.const 65536))",
    );
    let guest = Guest::new().parse(&body);
    Case::of("growth_in_parse_responses", 1, &guest).check();
}

#[test]
fn growth_in_realloc() {
    let body = forever("(drop (memory.grow (i32.const 256)))");
    let guest = Guest::new().realloc(&body);
    Case::of("growth_in_realloc", 1, &guest).check();
}

#[test]
fn large_from_the_start() {
    Case::of("large_from_the_start", 1, &Guest::new().memory("8000")).check();
}

#[test]
fn many_memories() {
    let guest = Guest::new().more(&"(memory 1)".repeat(40));
    Case::of("many_memories", 1, &guest).check();
}

#[test]
fn many_memories_together_too_large() {
    let guest = Guest::new().more(&"(memory 640)".repeat(10));
    Case::of("many_memories_together_too_large", 1, &guest).check();
}

#[test]
fn memory_and_table_together_too_large() {
    let guest = Guest::new().memory("2048").more("(table 20000000 funcref)");
    Case::of("memory_and_table_together", 1, &guest).check();
}

#[test]
fn huge_table() {
    let guest = Guest::new().more("(table 90000000 funcref)");
    Case::of("huge_table", 1, &guest).check();
}

#[test]
fn growing_table() {
    let guest = Guest::new().more("(table $t 1 funcref)").parse(&forever(
        "(drop (table.grow $t (ref.null func) (i32.const 40000000)))",
    ));
    Case::of("growing_table", 1, &guest).check();
}

#[test]
fn many_tables() {
    let guest = Guest::new().more(&"(table 1 funcref)".repeat(90));
    Case::of("many_tables", 1, &guest).check();
}

#[test]
fn a_text_of_four_gigabytes() {
    let guest = Guest::new().data(DESCRIBE, words(&[16, u32::MAX]));
    Case::of("a_text_of_four_gigabytes", 1, &guest).check();
}

#[test]
fn a_text_behind_the_end_of_memory() {
    let guest = Guest::new().error(PARSE, b"x");
    let guest = guest.data(PARSE + 8, words(&[131_000, 4096]));
    Case::of("a_text_behind_the_end_of_memory", 1, &guest).check();
}

#[test]
fn a_list_of_four_gigabytes() {
    let guest = Guest::new().data(NEXT, words(&[0, 64, 0x1fff_ffff]));
    Case::of("a_list_of_four_gigabytes", 1, &guest).check();
}

#[test]
fn a_million_empty_bodies() {
    let guest = Guest::new()
        .data(NEXT, words(&[0, 131_072, 1_000_000]))
        .next(&(filled(8, 1_000_000) + "(i32.const 224)"));
    Case::of("a_million_empty_bodies", 1, &guest).check();
}

/// 16 million empty texts are 128 MB in the guest and 384 MB in the host.
#[test]
fn many_million_empty_bodies() {
    let guest = Guest::new()
        .data(NEXT, words(&[0, 131_072, 16_000_000]))
        .next(&(filled(8, 16_000_000) + "(i32.const 224)"));
    Case::of("many_million_empty_bodies", 1, &guest).check();
}

#[test]
fn a_million_metrics_without_a_name() {
    let guest = Guest::new()
        .data(PARSE + 68, words(&[131_072, 1_000_000]))
        .parse(&(filled(16, 1_000_000) + "(i32.const 256)"));
    let run = Case::of("a_million_metrics_without_a_name", 0, &guest)
        .most_memory(600)
        .check();
    let left_out = run.bench.value(
        "select json_extract(totals, '$.parser_metrics.values_beyond_the_limit_of_names') from run",
    );
    assert_eq!(left_out, 6 * (1_000_000 - 64));
}

#[test]
fn a_body_of_a_hundred_megabytes() {
    let guest = Guest::new()
        .data(NEXT, words(&[0, 384, 1]))
        .data(384, words(&[131_072, 100_000_000]))
        .next(&(filled(1, 100_000_000) + "(i32.const 224)"));
    Case::of("a_body_of_a_hundred_megabytes", 1, &guest).check();
}

/// Bodies of 30 MB are allowed. Two of them wait at most, not 256.
#[test]
fn large_bodies_do_not_pile_up() {
    let size = 30_000_000_u32;
    let beginning = r#"{"messages":[{"role":"user","content":"hi"}],"more":""#;
    let body = format!(
        "(if (i32.eqz (global.get $calls)) (then
            (global.set $calls (i32.const 1))
            (drop (memory.grow (i32.const {pages})))
            (memory.fill (i32.const 131072) (i32.const 32) (i32.const {size}))
            (memory.copy (i32.const 131072) (i32.const {TEXT}) (i32.const {}))
            (i32.store16 (i32.const {end}) (i32.const 0x7d22))))
        (i32.const 224)",
        beginning.len(),
        pages = size / 65536 + 2,
        end = 131_072 + size - 2
    );
    let guest = Guest::new()
        .data(TEXT, beginning)
        .data(384, words(&[131_072, size]))
        .next(&body);
    let case = Case::of("large_bodies_do_not_pile_up", 0, &guest).most_memory(700);
    case.arguments(&["--prompt", "hi", "-n", "12"]).run(&[]);
}

/// The bytes are zeros, between which nothing can be split.
#[test]
fn a_count_of_tokens_that_would_take_much_of_the_memory() {
    let (beginning, size, result) = (131_072, 4_000_000, 512);
    let guest = Guest::new()
        .import("(import \"llmuses:perf/tokenizer@0.1.0\" \"count\" (func $tokens (param i32 i32 i32)))")
        .parse(&format!(
            "(drop (memory.grow (i32.const 64)))
            (call $tokens (i32.const {beginning}) (i32.const {size}) (i32.const {result}))
            (if (i32.load8_u (i32.const {result})) (then (call $log (i32.const 2)
                (i32.load (i32.const {})) (i32.load (i32.const {})))))
            (i32.const 256)",
            result + 8,
            result + 12
        ));
    // It needs 610 MiB, which the whole has room for.
    let case = Case::of("a_large_count", 0, &guest).arguments(&[
        "--prompt",
        "hi",
        "-n",
        "1",
        "--memory-limit",
        "1GiB",
        "--tokenizer-path",
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/tokenizer"),
    ]);
    let run = case.run(&[]);
    let expected = "the tokenizer needs 610 MiB for a text of 4000000 bytes that it cannot read in parts, \
                    and one count may take 256 MiB, a quarter of --memory-limit";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
}
