//! Guests whose results have the right type and cannot be right.

use super::Case;
use super::guest::{BODIES, DESCRIBE, Guest, NEXT, PARSE, SKIPPED, TEXT, summary, words};

#[test]
fn a_body_that_is_not_json() {
    let guest = Guest::new()
        .data(TEXT, "{'model': 1}")
        .data(BODIES, words(&[TEXT, 12]));
    Case::of("a_body_that_is_not_json", 1, &guest).check();
}

#[test]
fn a_body_that_is_empty() {
    let guest = Guest::new().data(BODIES, words(&[TEXT, 0]));
    Case::of("a_body_that_is_empty", 1, &guest).check();
}

#[test]
fn a_body_that_is_not_text() {
    let guest = Guest::new()
        .data(TEXT, [b'"', 0xff, 0xfe, b'"'])
        .data(BODIES, words(&[TEXT, 4]));
    Case::of("a_body_that_is_not_text", 1, &guest).check();
}

#[test]
fn a_body_nested_deeply() {
    let depth = 20_000;
    let body = "[".repeat(depth) + &"]".repeat(depth);
    let guest = Guest::new()
        .data(TEXT, &body)
        .data(BODIES, words(&[TEXT, body.len() as u32]));
    Case::of("a_body_nested_deeply", 1, &guest).check();
}

#[test]
fn more_bodies_than_asked() {
    let bodies: Vec<u32> = (0..65).flat_map(|_| [2048, 71]).collect();
    let guest = Guest::new()
        .data(TEXT, words(&bodies))
        .data(NEXT, words(&[0, TEXT, 65]));
    Case::of("more_bodies_than_asked", 1, &guest).check();
}

#[test]
fn a_tag_that_does_not_exist() {
    let guest = Guest::new().data(NEXT, [9]);
    Case::of("a_tag_that_does_not_exist", 1, &guest).check();
}

#[test]
fn a_token_source_that_does_not_exist() {
    let guest = Guest::new().data(PARSE + 24, [77]);
    Case::of("a_token_source_that_does_not_exist", 1, &guest).check();
}

#[test]
fn outputs_out_of_range() {
    let guest = Guest::new()
        .data(TEXT, words(&[0, 1, 4_000_000_000]))
        .data(PARSE + 56, words(&[1, TEXT, 3]));
    Case::of("outputs_out_of_range", 1, &guest).check();
}

#[test]
fn outputs_that_descend() {
    let guest = Guest::new()
        .data(TEXT, words(&[2, 1]))
        .data(PARSE + 56, words(&[1, TEXT, 2]));
    Case::of("outputs_that_descend", 1, &guest).check();
}

#[test]
fn an_output_named_twice() {
    let guest = Guest::new()
        .data(TEXT, words(&[1, 1]))
        .data(PARSE + 56, words(&[1, TEXT, 2]));
    Case::of("an_output_named_twice", 1, &guest).check();
}

#[test]
fn tokens_without_measure() {
    let guest = Guest::new().data(PARSE, summary(u64::MAX, u64::MAX - 1));
    Case::of("tokens_without_measure", 1, &guest).check();
}

/// The largest counts that are taken; their sum is right.
#[test]
fn tokens_at_the_limit() {
    let guest = Guest::new().data(PARSE, summary(1 << 32, 1 << 32));
    let run = Case::of("tokens_at_the_limit", 0, &guest).check();
    let tokens = run
        .bench
        .value("select json_extract(totals, '$.tokens.output.tokens') from run");
    assert_eq!(tokens, 6_i64 << 32);
}

#[test]
fn metrics_that_are_no_numbers() {
    let mut metrics = Vec::new();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 5e-324] {
        metrics.extend(words(&[1024, 7]));
        metrics.extend(value.to_le_bytes());
    }
    let guest = Guest::new()
        .data(TEXT, metrics)
        .data(PARSE + 68, words(&[TEXT, 5]));
    let run = Case::of("metrics_that_are_no_numbers", 0, &guest).check();
    let of = |path: &str| {
        run.bench.value(&format!(
            "select json_extract(totals, '$.parser_metrics.{path}') from run"
        ))
    };
    assert_eq!(of("values_not_finite"), 18);
    assert_eq!(of("named.hostile.samples"), 12);
}

#[test]
fn ten_thousand_metric_names() {
    let count = 10_000_u32;
    let (names, list) = (65_536_u32 * 2, 65_536_u32 * 3);
    let mut texts = Vec::new();
    let mut metrics = Vec::new();
    for metric in 0..count {
        metrics.extend(words(&[names + metric * 5, 5]));
        metrics.extend(f64::from(metric).to_le_bytes());
        texts.extend(format!("{metric:05}").into_bytes());
    }
    let guest = Guest::new()
        .memory("8")
        .more("(global $unused i32 (i32.const 0))")
        .data(names, texts)
        .data(list, metrics)
        .data(PARSE + 68, words(&[list, count]))
        // What realloc gives must not lie over the names.
        .realloc(
            "(local $at i32)
            (local.set $at (i32.const 65536))
            (if (i32.lt_u (global.get $heap) (i32.const 400000))
                (then (global.set $heap (i32.const 400000))))
            (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
            (global.set $heap (i32.add (local.get $at) (local.get $size)))
            (local.get $at)",
        );
    let run = Case::of("ten_thousand_metric_names", 0, &guest).check();
    let left_out = run.bench.value(
        "select json_extract(totals, '$.parser_metrics.values_beyond_the_limit_of_names') from run",
    );
    assert_eq!(left_out, 6 * (10_000 - 64));
}

#[test]
fn a_million_reasons_to_skip() {
    let reasons: Vec<u8> = (0..3000_u32)
        .flat_map(|reason| {
            let mut entry = words(&[12_000 + reason, 3]);
            entry.extend(u64::MAX.to_le_bytes());
            entry
        })
        .collect();
    let guest = Guest::new()
        .memory("4")
        .data(
            12_000,
            (0..12_000_u32)
                .map(|at| b'a' + (at % 23) as u8)
                .collect::<Vec<_>>(),
        )
        .data(65_536 * 2, reasons)
        .data(SKIPPED, words(&[65_536 * 2, 3000]))
        .data(NEXT, words(&[0, BODIES, 1]));
    let case = Case::of("a_million_reasons_to_skip", 0, &guest);
    case.arguments(&["--dataset", "questions.txt", "-n", "6"])
        .check();
}

#[test]
fn no_name() {
    let guest = Guest::new().data(DESCRIBE, words(&[TEXT, 0]));
    Case::of("no_name", 0, &guest).check();
}

#[test]
fn a_header_with_a_credential() {
    let guest = Guest::new().header("Authorization", "Bearer stolen");
    Case::of("a_header_with_a_credential", 2, &guest).check();
}

#[test]
fn a_header_that_holds_two() {
    let guest = Guest::new().header("x-a", "b\r\nx-injected: yes");
    Case::of("a_header_that_holds_two", 2, &guest).check();
}

#[test]
fn a_header_name_that_holds_two() {
    let guest = Guest::new().header("x-a: b\r\nhost", "elsewhere");
    Case::of("a_header_name_that_holds_two", 2, &guest).check();
}

#[test]
fn a_header_that_frames() {
    let guest = Guest::new().header("Transfer-Encoding", "chunked");
    Case::of("a_header_that_frames", 2, &guest).check();
}
