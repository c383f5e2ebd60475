//! Answers that are larger than any model's: taken up to a bound, and in a bounded memory.

use crate::misbehaving::{
    Misbehaving, Run, Step, TRANSPORTS, delta, event, head, none, note, perf, text, usage,
};
use crate::results::{json, runs};
use crate::support::{self, Bench, Mock};

const MIB: usize = 1 << 20;

/// Runs one request over a transport; gives the run and the most memory that it took.
fn run(script: Vec<Step>, transport: &str) -> (Run, u64) {
    let server = Misbehaving::start(script);
    let bench = Bench::new();
    // The bounds of a single answer are tested here, on a machine of any size.
    let arguments = ["--transport", transport, "--memory-limit", "4GiB"];
    let mut command = perf(&bench, &server.chat(), &arguments);
    let (ended, peak) = support::run_measured(&mut command);
    (Run { bench, ended }, peak)
}

#[test]
fn an_event_of_50_mb() {
    let long = delta(&"x".repeat(50 * MIB));
    let body = event(&long) + &event(usage(7, 2)) + &event("[DONE]");
    let length = format!("content-length: {}", body.len());
    let fields = ["content-type: text/event-stream", &length];
    let answer = vec![
        Step::Request,
        text(head("200 OK", &fields) + &body),
        Step::Hang,
    ];
    for transport in TRANSPORTS {
        let (run, peak) = run(answer.clone(), transport);
        assert_eq!(run.ended.code, Some(0), "{transport}: {}", run.ended.stderr);
        let row = &run.rows()[0];
        assert_eq!(row.messages.len(), 2, "{transport}");
        assert!(row.messages[0] == long, "{transport}: another event");
        assert_eq!(row.completion_tokens, Some(2), "{transport}");
        let most = 600 * MIB as u64;
        assert!(peak < most, "{transport}: {} MiB of memory", peak >> 20);
    }
}

/// More than an answer may have is no answer, whether it is one event without an end or events without one.
#[test]
fn answers_without_end() {
    let label = head("200 OK", &["content-type: text/event-stream"]);
    let mut found = Vec::new();
    for (name, piece, transports) in [
        ("one event", "x".repeat(MIB), &TRANSPORTS[..]),
        (
            "one line after the other",
            format!("data: {}\n", "x".repeat(MIB)),
            &TRANSPORTS[..1],
        ),
        ("many events", event("x".repeat(MIB)), &TRANSPORTS[..1]),
    ] {
        let script = vec![
            Step::Request,
            text(&label),
            Step::Dribble(piece.into_bytes(), std::time::Duration::ZERO),
        ];
        // Each way costs a quarter of a gigabyte: the splitter, which makes the difference, is one for both.
        for &transport in transports {
            let (run, peak) = run(script.clone(), transport);
            let mut row = run.rows();
            let mut problems = Vec::new();
            let mut check = |holds, what| note(&mut problems, holds, what);
            check(
                run.ended.code == Some(1),
                format!("code {:?}", run.ended.code),
            );
            check(run.tells(1, "protocol"), run.ended.stdout.clone());
            let row = row.remove(0);
            check(
                row.kind == "protocol" && row.error.contains("more than 256 MiB"),
                format!("{}: {}", row.kind, row.error),
            );
            check(
                peak < 1500 * MIB as u64,
                format!("{} MiB of memory", peak >> 20),
            );
            found.push((format!("{name} over {transport}"), problems));
        }
    }
    none(found);
}

/// Ten answers that come at once and are more than there is memory for, and small ones behind them.
#[test]
fn large_answers_fail_and_small_ones_go_on_where_memory_is_used_up() {
    for transport in TRANSPORTS {
        let server = Misbehaving::with(|number| {
            let body = match number {
                0..10 => "x".repeat(24 * MIB),
                _ => event(delta("x")) + &event("[DONE]"),
            };
            let length = format!("content-length: {}", body.len());
            let kind = match number {
                0..10 => "content-type: text/plain",
                _ => "content-type: text/event-stream",
            };
            let head = head("200 OK", &[kind, &length, "connection: close"]);
            vec![Step::Request, text(head + &body), Step::Close]
        });
        let bench = Bench::new();
        let load = ["--parallel", "10", "-n", "40", "--memory-limit", "64MiB"];
        let mut command = perf(&bench, &server.chat(), &load);
        let (ended, peak) = support::run_measured(command.args(["--transport", transport]));
        let run = Run { bench, ended };
        let rows = run.rows();
        assert_eq!(rows.len(), 40, "{transport}: {}", run.ended.stderr);
        let refused = rows.iter().filter(|row| row.kind == "client-resource");
        let refused: Vec<&String> = refused.map(|row| &row.error).collect();
        // Seven eighths of the memory hold two of them, and the two that began first have it.
        let count = refused.len();
        assert!((1..=8).contains(&count), "{transport}: {count} refused");
        assert!(refused[0].contains("--memory-limit"), "{}", refused[0]);
        let succeeded = rows.iter().filter(|row| row.success).count();
        assert!(succeeded >= 30, "{transport}: {succeeded} succeeded");
        assert!(peak < 500 * MIB as u64, "{transport}: {} MiB", peak >> 20);
    }
}

#[test]
fn a_verdict_names_the_memory_for_which_bodies_waited() {
    let mock = Mock::start(&["--ttft", "200ms", "--itl", "0ms", "--tokens", "2"]);
    let bench = Bench::new();
    let entry = format!("{{\"prompt\": \"{}\"}}\n", "x".repeat(3 * MIB));
    bench.file("set.jsonl", entry);
    // Half of it is for bodies, and has room for two of them.
    let memory = ["--memory-limit", "16MiB"];
    let load = ["--parallel", "8", "-n", "24", "--dataset", "set.jsonl"];
    let url = mock.chat();
    let mut command = bench.perf(&["--url", &url, "--parser", "openai_chat"]);
    command.args(load).args(memory).args(["--json", "run.json"]);
    let ended = support::run(&mut command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let document = json(&bench, "run.json");
    let run = &runs(&document)[0];
    let waited = &run["totals"]["client"]["requests_that_waited_for_memory"];
    assert!(waited.as_u64() >= Some(12), "{waited}");
    let doubts = run["verdict"]["doubts"].as_array().expect("a list");
    let doubt = doubts.iter().find(|doubt| doubt["reason"] == "bodies-late");
    let doubt = doubt.unwrap_or_else(|| panic!("no bodies-late in {doubts:?}"));
    for text in ["figure", "likely_cause", "what_to_do"] {
        let said = doubt[text].as_str().expect("a text");
        assert!(said.contains("--memory-limit"), "{said}");
        assert!(!said.contains("plugin"), "{said}");
    }
}
