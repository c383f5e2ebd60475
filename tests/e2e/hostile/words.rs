//! Guests that talk too much, or to the terminal.

use super::Case;
use super::guest::{Guest, PARSE, TEXT, forever, words};

const ESCAPES: &str = "\u{1b}[31mred\u{1b}[0m \u{1b}]0;owned\u{7}\r\nsecond \u{9b}2J\u{202e}gpj\0";

#[test]
fn escapes_in_the_name() {
    Case::of("escapes_in_the_name", 0, &Guest::new().name(ESCAPES)).check();
}

#[test]
fn escapes_in_the_log() {
    let guest = Guest::new().data(TEXT, ESCAPES).describe(&format!(
        "(call $log (i32.const 3) (i32.const {TEXT}) (i32.const {})) (i32.const 128)",
        ESCAPES.len()
    ));
    Case::of("escapes_in_the_log", 0, &guest).check();
}

#[test]
fn escapes_in_an_error() {
    let guest = Guest::new().error(PARSE, ESCAPES.as_bytes());
    Case::of("escapes_in_an_error", 1, &guest).check();
}

#[test]
fn an_endless_name() {
    Case::of("an_endless_name", 0, &Guest::new().name(&"n".repeat(9000))).check();
}

#[test]
fn an_endless_error() {
    let guest = Guest::new().error(PARSE, &[b'e'; 50_000]);
    Case::of("an_endless_error", 1, &guest).check();
}

#[test]
fn an_error_that_is_not_text() {
    let guest = Guest::new().error(PARSE, &[0xc0, 0x80, 0xff]);
    Case::of("an_error_that_is_not_text", 1, &guest).check();
}

#[test]
fn a_log_flood() {
    let guest = Guest::new().data(TEXT, "again and again").parse(
        "(local $times i32)
        (loop $more
            (call $log (i32.const 1) (i32.const 4096) (i32.const 15))
            (local.set $times (i32.add (local.get $times) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $times) (i32.const 10000))))
        (i32.const 256)",
    );
    let run = Case::of("a_log_flood", 0, &guest).check();
    let lines = run
        .stderr
        .lines()
        .filter(|line| line.contains("again and again"));
    // Once, and once more with how often it came.
    assert_eq!(lines.count(), 2);
}

/// Not even a new instance for every response lets it say more.
#[test]
fn a_log_flood_over_many_instances() {
    let guest = Guest::new().data(TEXT, "again and again").parse(
        "(local $times i32)
        (loop $more
            (call $log (i32.const 1) (i32.const 4096) (i32.const 15))
            (local.set $times (i32.add (local.get $times) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $times) (i32.const 50))))
        (unreachable)",
    );
    let run = Case::of("a_log_flood_over_many_instances", 1, &guest).check();
    let lines = run
        .stderr
        .lines()
        .filter(|line| line.contains("again and again"));
    // Once, and once more with how often it came.
    assert_eq!(lines.count(), 2);
}

#[test]
fn a_log_without_line_ends() {
    let guest = Guest::new().memory("40").describe(
        "(memory.fill (i32.const 131072) (i32.const 120) (i32.const 2000000))
            (call $log (i32.const 2) (i32.const 131072) (i32.const 2000000)) (i32.const 128)",
    );
    Case::of("a_log_without_line_ends", 0, &guest).check();
}

/// Each message is within the bound; a call may not move more than that all together.
#[test]
fn a_log_of_gigabytes() {
    let body = forever("(call $log (i32.const 2) (i32.const 131072) (i32.const 2000000))");
    let guest = Guest::new().memory("40").parse(&body);
    Case::of("a_log_of_gigabytes", 1, &guest).check();
}

#[test]
fn no_line_at_all_is_shown_where_none_is_wanted() {
    let guest = Guest::new()
        .data(TEXT, "hello")
        .describe("(call $log (i32.const 1) (i32.const 4096) (i32.const 5)) (i32.const 128)");
    let case = Case::of("no_line_where_none_is_wanted", 0, &guest);
    case.also(&["--plugin-log-lines", "0"]).check();
}

#[test]
fn a_metric_with_a_name_for_the_terminal() {
    let name = "\u{1b}[31mm\u{202e}".to_owned() + &"x".repeat(500);
    let mut metrics = words(&[TEXT, name.len() as u32]);
    metrics.extend(1.5_f64.to_le_bytes());
    let guest = Guest::new()
        .data(TEXT, &name)
        .data(TEXT + 1024, metrics)
        .data(PARSE + 68, words(&[TEXT + 1024, 1]));
    let run = Case::of("a_metric_for_the_terminal", 0, &guest).check();
    let totals = run.bench.value("select totals from run");
    let totals = totals.as_str().expect("totals are text");
    assert!(
        totals.contains(&format!("\"m {}…\"", "x".repeat(78))),
        "{totals}"
    );
}
