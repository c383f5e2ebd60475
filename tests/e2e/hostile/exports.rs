//! Guests that do not return, give up, or are not what they say, export by export.

use super::Case;
use super::guest::{BUILD, Guest, NEXT, PARSE, TEXT, forever, words};
use std::time::Duration;

/// Makes one body in each pass, so that passes end and iterators are let go.
const ONE_BODY: &str = "
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store (i32.const 232) (i32.and (global.get $calls) (i32.const 1)))
    (i32.const 224)";

#[test]
fn loop_in_start_up() {
    Case::of("loop_in_start_up", 1, &Guest::new().start(&forever("")))
        .loops()
        .check();
}

#[test]
fn loop_in_describe() {
    let guest = Guest::new().describe(&forever(""));
    Case::of("loop_in_describe", 1, &guest).loops().check();
}

#[test]
fn loop_in_build_request() {
    let guest = Guest::new().build_request(&forever(""));
    Case::of("loop_in_build_request", 1, &guest).loops().check();
}

#[test]
fn loop_in_next() {
    Case::of("loop_in_next", 1, &Guest::new().next(&forever("")))
        .loops()
        .check();
}

#[test]
fn loop_in_skipped() {
    Case::of("loop_in_skipped", 1, &Guest::new().skipped(&forever("")))
        .loops()
        .check();
}

#[test]
fn loop_in_destructor() {
    let guest = Guest::new().next(ONE_BODY).destructor(&forever(""));
    Case::of("loop_in_destructor", 1, &guest).loops().check();
}

#[test]
fn loop_in_parse_responses() {
    let run = Case::of(
        "loop_in_parse_responses",
        1,
        &Guest::new().parse(&forever("")),
    )
    .loops()
    .check();
    assert!(run.took < Duration::from_secs(10), "{:?}", run.took);
}

#[test]
fn loop_in_realloc() {
    Case::of("loop_in_realloc", 1, &Guest::new().realloc(&forever("")))
        .loops()
        .check();
}

/// What was measured before is kept: the run has issued what it had.
#[test]
fn next_breaks_in_the_middle() {
    let guest = Guest::new().next(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (if (i32.gt_u (global.get $calls) (i32.const 300)) (then (unreachable)))
        (i32.const 224)",
    );
    let case = Case::of("next_breaks_in_the_middle", 1, &guest);
    case.arguments(&["--prompt", "hi", "-n", "400"]).check();
}

#[test]
fn nothing_is_called_after_a_trap() {
    let guest = Guest::new()
        .data(TEXT, "called again")
        .next(
            "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (if (i32.gt_u (global.get $calls) (i32.const 270)) (then (unreachable)))
            (i32.const 224)",
        )
        .skipped(
            "(if (i32.gt_u (global.get $calls) (i32.const 270))
                (then (call $log (i32.const 1) (i32.const 4096) (i32.const 12))))
            (i32.const 240)",
        );
    let case = Case::of("nothing_is_called_after_a_trap", 1, &guest);
    let run = case.arguments(&["--prompt", "hi", "-n", "400"]).check();
    assert!(!run.stderr.contains("called again"), "{}", run.stderr);
}

#[test]
fn panic_in_parse_responses() {
    let guest = Guest::new().parse("(unreachable)");
    Case::of("panic_in_parse_responses", 1, &guest).check();
}

/// Twenty in a row end the run; those that wait are kept without being read.
#[test]
fn panic_in_parse_responses_again_and_again() {
    let guest = Guest::new().parse("(unreachable)");
    let case = Case::of("panic_again_and_again", 1, &guest);
    let run = case.arguments(&["--prompt", "hi", "-n", "5000"]).run(&[]);
    assert!(
        run.said
            .contains("the parser broke on 20 responses in a row"),
        "{}",
        run.said
    );
    let count = |condition: &str| {
        let value = run
            .bench
            .value(&format!("select count(*) from result where {condition}"));
        value.as_i64().expect("a number")
    };
    assert!((20..2000).contains(&count("success = 0")), "{}", run.said);
    assert_eq!(count("success = 1 or latency <= 0 or n_chunks = 0"), 0);
    assert_eq!(
        count("1"),
        run.bench
            .value("select rows_kept from run")
            .as_i64()
            .unwrap_or(-1)
    );
}

#[test]
fn division_by_zero() {
    let guest = Guest::new().parse("(i32.div_u (i32.const 1) (i32.const 0))");
    Case::of("division_by_zero", 1, &guest).check();
}

#[test]
fn memory_access_out_of_bounds() {
    let guest = Guest::new().parse("(i32.load (i32.const -4))");
    Case::of("memory_access_out_of_bounds", 1, &guest).check();
}

#[test]
fn indirect_call_to_nothing() {
    let guest = Guest::new()
        .more("(table 4 funcref) (type $none (func))")
        .parse("(call_indirect (type $none) (i32.const 2)) (i32.const 0)");
    Case::of("indirect_call_to_nothing", 1, &guest).check();
}

#[test]
fn deep_recursion() {
    let guest = Guest::new()
        .more("(func $deeper (param i64 i64 i64) (call $deeper (local.get 1) (local.get 2) (local.get 0)) (drop (i32.const 1)))")
        .parse("(call $deeper (i64.const 1) (i64.const 2) (i64.const 3)) (i32.const 256)");
    Case::of("deep_recursion", 1, &guest).check();
}

/// Every fifth response breaks the parser. Those between are read as if nothing had happened.
#[test]
fn every_fifth_response_breaks_it() {
    // The number of the request, modulo five, stands in the body.
    let body = r#"{"model":"0","messages":[{"role":"user","content":"hi"}],"stream":true}"#;
    let guest = Guest::new()
        .data(2048, body)
        .data(384, words(&[2048, body.len() as u32]))
        .next(
            "(i32.store8 (i32.const 2058) (i32.add (i32.const 48) (i32.rem_u (global.get $calls) (i32.const 5))))
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (i32.const 224)",
        )
        .parse(
            "(if (i32.eq (i32.load8_u offset=10 (local.get $request)) (i32.const 48)) (then (unreachable)))
            (i32.const 256)",
        );
    let case = Case::of("every_fifth_response_breaks_it", 0, &guest);
    let run = case.arguments(&["--prompt", "hi", "-n", "200"]).check();
    let rows = run.bench.rows(
        "select success, number % 5 = 0, count(*), sum(completion_tokens), min(latency) > 0, \
         min(n_chunks), count(ttft) from result group by 1, 2 order by 1",
    );
    let text = serde_json::to_string(&rows).expect("rows are JSON");
    assert_eq!(text, "[[0,1,40,null,1,7,0],[1,0,160,800,1,7,160]]");
}

#[test]
fn unknown_handle() {
    let guest = Guest::new().build_request(&format!("(i32.const {BUILD})"));
    let guest = guest.data(BUILD + 4, words(&[77]));
    Case::of("unknown_handle", 1, &guest).check();
}

#[test]
fn same_handle_twice() {
    let guest = Guest::new().next(ONE_BODY).build_request(
        "(if (i32.eqz (i32.load (i32.const 196)))
            (then (i32.store (i32.const 196) (call $new (i32.const 1)))))
        (i32.const 192)",
    );
    Case::of("same_handle_twice", 1, &guest).check();
}

#[test]
fn handles_without_end() {
    let body = forever("(drop (call $new (i32.const 1)))");
    let guest = Guest::new().build_request(&body);
    Case::of("handles_without_end", 1, &guest).check();
}

/// After the empty list the host lets go of the iterator and begins anew; it never asks it again.
#[test]
fn end_and_more_behind_it() {
    let guest = Guest::new()
        .build_request(
            "(global.set $calls (i32.const 0))
            (i32.store (i32.const 196) (call $new (i32.const 1))) (i32.const 192)",
        )
        .next(
            "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (if (i32.gt_u (global.get $calls) (i32.const 2)) (then (unreachable)))
            (i32.store (i32.const 232) (i32.and (global.get $calls) (i32.const 1)))
            (i32.const 224)",
        );
    Case::of("end_and_more_behind_it", 0, &guest).check();
}

#[test]
fn no_request_at_all() {
    let guest = Guest::new().data(NEXT, words(&[0, 0, 0]));
    Case::of("no_request_at_all", 1, &guest).check();
}

#[test]
fn next_without_end() {
    let case = Case::of("next_without_end", 1, &Guest::new());
    case.arguments(&["--dataset", "questions.txt"]).check();
}

/// A prompt is one request, whatever the parser makes of it.
#[test]
fn next_without_end_of_a_prompt() {
    let case = Case::of("next_without_end_of_a_prompt", 0, &Guest::new());
    case.arguments(&["--prompt", "hi"]).check();
}

#[test]
fn next_refuses_for_ever() {
    let guest = Guest::new().error(NEXT, b"not today");
    let case = Case::of("next_refuses_for_ever", 1, &guest);
    case.arguments(&["--dataset", "questions.txt", "--skip-bad-lines", "-n", "6"])
        .check();
}

#[test]
fn build_request_refuses() {
    let guest = Guest::new()
        .error(BUILD, b"there is no such model")
        .build_request(&format!("(i32.const {BUILD})"));
    Case::of("build_request_refuses", 1, &guest).check();
}

#[test]
fn parse_responses_refuses() {
    let guest = Guest::new().error(PARSE, b"that is no answer");
    Case::of("parse_responses_refuses", 1, &guest).check();
}
