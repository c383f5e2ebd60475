//! Each reason for which numbers are not to be trusted, provoked: it is in the verdict at the end of the
//! summary with figure, cause and remedy, it is in the database, and `--require-valid` makes it an exit
//! code.

use crate::helpers::{of_run, questions, quick_mock, seen};
use crate::hostile::guest::{Guest, PARSE};
use crate::misbehaving::{Misbehaving, Run, Step, delta, event, head, perf, streamed, usage};
use crate::support::{self, Bench, Mock, sample, signal, start};
use crate::timing::{TRIES, tried, turn};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::process::{Child, Command};
use std::time::Duration;

/// What a machine that is busy with something else may bring into the verdict of a good run.
const OF_THE_MACHINE: [&str; 6] = [
    "lost-time",
    "processor-waits",
    "late-reads",
    "client-busy",
    "dispatch-lag",
    "other-runs",
];

/// Text on one line.
pub fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A run that was required to be valid.
struct Judged {
    run: Run,
}

impl Judged {
    /// Runs a command that was told to require it, and makes sure that verdict, database and exit code say
    /// the same, whatever they say.
    fn of(bench: Bench, command: &mut Command) -> Self {
        let ended = support::run(command.arg("--require-valid"));
        Self::checked(Run { bench, ended })
    }

    fn checked(run: Run) -> Self {
        let verdict = of_run(&run.bench, "verdict");
        let doubts = verdict["doubts"].as_array().expect("a list");
        let trusted = doubts.is_empty();
        assert_eq!(verdict["trusted"], trusted, "{verdict}");
        let code = if trusted { 0 } else { 1 };
        assert_eq!(run.ended.code, Some(code), "{verdict}{}", run.ended.stderr);
        let (_, printed) = run
            .ended
            .stdout
            .split_once("\nVerdict: ")
            .expect("the summary ends with a verdict");
        let mut expected = match doubts.len() {
            0 => "nothing speaks against these numbers.".to_owned(),
            1 => "1 reason to read these numbers with care.".to_owned(),
            count => format!("{count} reasons to read these numbers with care."),
        };
        for (index, doubt) in doubts.iter().enumerate() {
            let words = |key: &str| doubt[key].as_str().expect("it is a text").to_owned();
            let figure = words("figure");
            let (first, rest) = figure.split_at(1);
            expected.push_str(&format!(
                " {}. {}{rest}. Likely cause: {}. What to do: {}.",
                index + 1,
                first.to_uppercase(),
                words("likely_cause"),
                words("what_to_do")
            ));
        }
        // Nothing comes behind it.
        assert_eq!(flat(printed), flat(&expected));
        Self { run }
    }

    /// The figure of a doubt, where there is that doubt.
    fn figure(&self, reason: &str) -> Option<String> {
        let verdict = of_run(&self.run.bench, "verdict");
        let mut doubts = verdict["doubts"].as_array().expect("a list").iter();
        let found = doubts.find(|doubt| doubt["reason"] == reason)?;
        Some(found["figure"].as_str().expect("it is a text").to_owned())
    }

    /// Makes sure that a doubt is there, and that its figure begins so.
    fn doubts(&self, reason: &str, begins: &str) {
        let figure = self.figure(reason);
        let verdict = of_run(&self.run.bench, "verdict");
        let figure = figure.unwrap_or_else(|| panic!("no {reason} in {verdict}"));
        assert!(figure.starts_with(begins), "{figure}");
    }
}

/// A run against a URL.
fn judged(url: &str, arguments: &[&str]) -> Judged {
    let bench = Bench::new();
    let mut command = perf(&bench, url, arguments);
    Judged::of(bench, &mut command)
}

#[test]
fn nothing_speaks_against_a_good_run() {
    let _turn = turn();
    let mock = Mock::start(&["--ttft", "20ms", "--itl", "5ms", "--tokens", "8"]);
    let arguments = [
        "-n",
        "500",
        "--parallel",
        "20",
        "--log-every-n-query",
        "500",
    ];
    let good = tried(|| {
        let run = judged(&mock.chat(), &arguments).run;
        let verdict = of_run(&run.bench, "verdict");
        let doubts = verdict["doubts"].as_array().expect("a list");
        let of_the_machine = |doubt: &serde_json::Value| {
            OF_THE_MACHINE
                .iter()
                .any(|reason| doubt["reason"] == *reason)
        };
        assert!(doubts.iter().all(of_the_machine), "{verdict}");
        (run.ended.code == Some(0)).then_some(())
    });
    assert!(good.is_some(), "in none of {TRIES} runs");
}

#[test]
fn nothing_succeeded() {
    let server = Misbehaving::start(vec![
        Step::Request,
        Step::Write(streamed("event: error\ndata: no\nbad day\n\n", 100)),
        Step::Again,
    ]);
    let judged = judged(&server.chat(), &["-n", "3"]);
    let figure = "none of 3 requests succeeded; 3 failed with stream-error: the server sent an error \
                  event: no";
    judged.doubts("nothing-succeeded", figure);
    // Who keeps standard output for programs is told as well, on one line.
    let told: Vec<&str> = judged
        .run
        .ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(told, [format!("error: {figure}")]);
}

#[test]
fn failures() {
    let mock = Mock::start(&[
        "--error-rate",
        "0.5",
        "--ttft",
        "1ms",
        "--itl",
        "1ms",
        "--tokens",
        "3",
    ]);
    let judged = judged(&mock.chat(), &["-n", "40", "--parallel", "4"]);
    let failed = judged.run.count("Failed requests").expect("a count");
    let share = failed as f64 / 40.0 * 100.0;
    judged.doubts(
        "failures",
        &format!(
            "{share:.1} % of the requests failed ({failed} of 40, limit 1 %), {failed} of them with \
             http-status"
        ),
    );
    assert!(
        !judged.run.ended.stderr.contains("error: "),
        "some succeeded"
    );
}

#[test]
fn few_samples() {
    let mock = quick_mock();
    let judged = judged(&mock.chat(), &["-n", "50", "--parallel", "5"]);
    judged.doubts(
        "few-samples",
        "50 succeeded requests, but p95 needs 90, p98 needs 228, p99 needs 459",
    );
}

#[test]
fn coalesced_chunks() {
    let body: String = (0..10).map(|_| event(delta("x"))).collect();
    let server = Misbehaving::start(vec![
        Step::Request,
        Step::Write(streamed(body + &event(usage(1, 10)), 1000)),
        Step::Again,
    ]);
    let judged = judged(&server.chat(), &["-n", "5"]);
    let figure = "100.0 % of the gaps between output chunks are zero (45 of 45, limit 20 %)";
    judged.doubts("coalesced-chunks", figure);
}

#[test]
fn a_data_set_used_again() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("set", questions(&["a", "b"]));
    let url = mock.chat();
    let mut command = bench.perf(&["--details", "--url", &url, "--dataset", "set", "-n", "5"]);
    command.args(["--parser", "openai_openqa_qwen"]);
    Judged::of(bench, &mut command).doubts("data-set-reused", "the data set was used 2.5 times");
}

/// Bodies are made ahead; what was not sent did not use the data set.
#[test]
fn what_was_made_ahead_does_not_use_the_data_set() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("set", questions(&["a", "b", "c"]));
    let url = mock.chat();
    let mut command = bench.perf(&[
        "--details",
        "--url",
        &url,
        "--dataset",
        "set",
        "--duration",
        "0.01",
    ]);
    command.args(["--parser", "openai_openqa_qwen", "--rate", "100"]);
    let judged = Judged::of(bench, &mut command);
    let sent = judged.run.count("Total requests").expect("a count");
    let doubted = judged.figure("data-set-reused").is_some();
    assert_eq!(doubted, sent > 3, "{sent} requests");
}

#[test]
fn a_data_set_that_is_in_the_cache() {
    let mock = crate::helpers::mock(&["--prefix-cache", "100000"]);
    let url = mock.chat();
    let entries: Vec<String> = (0..20)
        .map(|number| format!("entry {number} {}", "word ".repeat(90)))
        .collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    let judge = || {
        let bench = Bench::new();
        bench.file("set", questions(&entries));
        let mut command = bench.perf(&["--details", "--url", &url, "--dataset", "set"]);
        command.args(["--parser", "openai_openqa_qwen"]);
        Judged::of(bench, &mut command)
    };
    assert_eq!(judge().figure("data-set-cached"), None);
    let again = judge();
    let figure = again.figure("data-set-cached").expect("a doubt");
    assert!(figure.contains("though no entry"), "{figure}");
}

#[test]
fn one_prompt_sent_again() {
    let mock = quick_mock();
    let prompt = "word ".repeat(100);
    let judged = judged(&mock.chat(), &["-n", "20", "--prompt", &prompt]);
    judged.doubts("prompt-repeated", "all 20 requests had the same prompt");
}

#[test]
fn outputs_shorter_than_asked() {
    let server = Misbehaving::start(vec![
        Step::Request,
        Step::Write(streamed(event(delta("short")) + &event(usage(1, 5)), 1000)),
        Step::Again,
    ]);
    let asked = ["max_tokens=1000", "ignore_eos=bool_true"];
    let judged = judged(
        &server.chat(),
        &["-n", "5", "--parameters", asked[0], asked[1]],
    );
    judged.doubts("shorter-than-asked", "outputs have ");
}

#[test]
fn a_chunk_that_is_not_a_token() {
    let body: String = (0..10).map(|_| event(delta("several of them"))).collect();
    let server = Misbehaving::start(vec![
        Step::Request,
        Step::Write(streamed(body + &event(usage(1, 50)), 1000)),
        Step::Again,
    ]);
    judged(&server.chat(), &["-n", "5"]).doubts(
        "chunks-are-not-tokens",
        "a chunk of output carries 5.00 tokens on average",
    );
}

#[test]
fn tokens_that_nobody_counted() {
    let server = Misbehaving::start(vec![
        Step::Request,
        Step::Write(streamed(event(delta("hello")), 1000)),
        Step::Again,
    ]);
    judged(&server.chat(), &["-n", "4"]).doubts(
        "tokens-unknown",
        "nobody counted the tokens of any of 4 succeeded requests",
    );
}

/// One place, 50 ms for each request, and 60 requests a second for it.
#[test]
fn a_server_that_does_not_keep_up() {
    let _turn = turn();
    const REQUESTS: usize = 120;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!(
        "http://{}/v1/chat/completions",
        listener.local_addr().expect("it has one")
    );
    let body = event(delta("x")) + &event(usage(1, 1));
    let answer = head(
        "200 OK",
        &["content-type: text/event-stream", "connection: close"],
    ) + &body;
    let server = std::thread::spawn(move || {
        for _ in 0..REQUESTS {
            let (mut connection, _) = listener.accept().expect("a connection");
            let mut request = [0; 4096];
            let _ = connection.read(&mut request);
            std::thread::sleep(Duration::from_millis(50));
            let _ = connection.write_all(answer.as_bytes());
            let _ = connection.shutdown(Shutdown::Write);
            let _ = connection.read(&mut request);
        }
    });
    let judged = judged(&url, &["-n", &REQUESTS.to_string(), "--rate", "60"]);
    server.join().expect("the server ends");
    judged.doubts("saturated", "the server did not keep up: ");
}

/// A client that is stopped does not see what it misses.
#[test]
fn a_client_that_stood_still() {
    let _turn = turn();
    let mock = quick_mock();
    let bench = Bench::new();
    let child = under_way(&bench, &mock, &["--duration", "2"]);
    signal(&child, libc::SIGSTOP);
    std::thread::sleep(Duration::from_millis(600));
    signal(&child, libc::SIGCONT);
    let ended = support::wait(child);
    let judged = Judged::checked(Run { bench, ended });
    judged.doubts("lost-time", "this program stood still for ");
    // What came meanwhile was read late, as the stamps of the kernel tell.
    let client = &of_run(&judged.run.bench, "totals")["client"];
    if client["kernel_stamped_responses"] != 0 {
        let late = &client["late_reads"]["seconds"];
        assert!(late.as_f64() > Some(0.3), "{client}");
    }
}

/// Each stop is too short to be noticed by itself on a machine that is merely busy.
#[test]
fn a_client_that_is_stopped_for_short_times_again_and_again() {
    let _turn = turn();
    let mock = quick_mock();
    let bench = Bench::new();
    let child = under_way(&bench, &mock, &["--duration", "2"]);
    for _ in 0..12 {
        signal(&child, libc::SIGSTOP);
        std::thread::sleep(Duration::from_millis(20));
        signal(&child, libc::SIGCONT);
        std::thread::sleep(Duration::from_millis(80));
    }
    let ended = support::wait(child);
    let judged = Judged::checked(Run { bench, ended });
    judged.doubts("lost-time", "this program stood still for ");
    // How its threads waited for a processor is known too, where the kernel tells.
    let told = std::fs::read_to_string("/proc/thread-self/schedstat");
    if told.is_ok_and(|text| !text.starts_with("0 0 0")) {
        let client = &of_run(&judged.run.bench, "totals")["client"];
        assert!(client["processor_wait_seconds"].is_number(), "{client}");
        assert!(
            client["mean_processor_wait_seconds"].is_number(),
            "{client}"
        );
    }
}

/// Answers that came while the client was stopped are there when it goes on, though `--read-timeout` has run out.
#[test]
fn a_client_that_stood_still_for_longer_than_its_time_outs() {
    let _turn = turn();
    let mock = Mock::start(&["--ttft", "20ms", "--itl", "5ms", "--tokens", "20"]);
    for transport in ["socket", "reqwest"] {
        let bench = Bench::new();
        let arguments = [
            "--duration",
            "3",
            "--parallel",
            "10",
            "--read-timeout",
            "0.8",
            "--transport",
            transport,
        ];
        let before = seen(&mock);
        let child = start(&mut perf(&bench, &mock.chat(), &arguments));
        await_requests(&mock, before + 30);
        signal(&child, libc::SIGSTOP);
        std::thread::sleep(Duration::from_millis(1500));
        signal(&child, libc::SIGCONT);
        let ended = support::wait(child);
        let run = Run { bench, ended };
        assert_eq!(run.count("Failed requests"), Some(0), "{transport}");
    }
}

/// Two runs at once ask one server, and neither measures it alone.
#[cfg(target_os = "linux")]
#[test]
fn another_run_against_the_same_server() {
    let mock = quick_mock();
    let first = Bench::new();
    let child = start(&mut perf(&first, &mock.chat(), &["--duration", "60"]));
    await_requests(&mock, 1);
    let judged = judged(&mock.chat(), &["-n", "5"]);
    signal(&child, libc::SIGINT);
    support::wait(child);
    judged.doubts("other-runs", "there w");
    let figure = judged.figure("other-runs").expect("it is there");
    assert!(figure.ends_with(", 1 against the same server"), "{figure}");
    let totals = of_run(&judged.run.bench, "totals");
    assert_eq!(totals["client"]["other_runs_against_the_same_server"], 1);
}

/// A server that tells its usage for every other request.
fn forgetful() -> Misbehaving {
    let output = event(delta("hello world"));
    let told = streamed(output.clone() + &event(usage(3, 2)), 1000);
    Misbehaving::start(vec![
        Step::Request,
        Step::Write(told),
        Step::Request,
        Step::Write(streamed(output, 1000)),
        Step::Again,
    ])
}

#[test]
fn tokens_counted_in_two_ways() {
    let tokenizer = sample("tokenizer");
    let tokenizer = tokenizer.to_str().expect("a path of text");
    let judged = judged(
        &forgetful().chat(),
        &["-n", "4", "--tokenizer-path", tokenizer],
    );
    judged.doubts(
        "tokens-mixed",
        "input tokens were counted in more than one way: 2 by usage of the server, 2 by tokenizer",
    );
    assert_eq!(judged.figure("tokens-partly-known"), None);
}

#[test]
fn tokens_known_for_some() {
    let judged = judged(&forgetful().chat(), &["-n", "4"]);
    judged.doubts(
        "tokens-partly-known",
        "input tokens are known for 2 of 4 succeeded requests",
    );
    assert_eq!(judged.figure("tokens-mixed"), None);
}

#[test]
fn stopped_early() {
    let (bench, mock) = (Bench::new(), quick_mock());
    // Further in than entries are read ahead, so that it shows while the run is under way.
    let good = (1..=400).map(|number| format!("{{\"question\": \"{number}\"}}\n"));
    bench.file("set", good.collect::<String>() + "broken\n");
    let url = mock.chat();
    let mut command = bench.perf(&["--details", "--url", &url, "--dataset", "set", "-n", "500"]);
    command.args(["--parser", "openai_openqa_qwen", "--parallel", "8"]);
    let judged = Judged::of(bench, &mut command);
    judged.doubts(
        "stopped-early",
        "issuing stopped after 400 of 500 requests: set: line 401",
    );
}

/// Starts a run that is required to be valid.
fn started(bench: &Bench, url: &str, arguments: &[&str]) -> Child {
    start(perf(bench, url, arguments).arg("--require-valid"))
}

/// The same, when 20 of its requests have come.
fn under_way(bench: &Bench, mock: &Mock, arguments: &[&str]) -> Child {
    let child = started(bench, &mock.chat(), arguments);
    await_requests(mock, 20);
    child
}

/// Waits until the server has seen so many requests.
fn await_requests(mock: &Mock, requests: u64) {
    while seen(mock) < requests {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn interrupted() {
    let server = Misbehaving::start(vec![Step::Request, Step::Hang]);
    let bench = Bench::new();
    let arguments = ["-n", "100", "--parallel", "2"];
    let child = started(&bench, &server.chat(), &arguments);
    server.await_requests(2);
    signal(&child, libc::SIGINT);
    let ended = support::wait(child);
    let judged = Judged::checked(Run { bench, ended });
    judged.doubts(
        "interrupted",
        "the run was interrupted; requests cancelled in flight: 2",
    );
    let said = "error: none of 2 requests succeeded; 2 failed with cancelled: still in flight";
    assert!(
        judged.run.ended.stderr.contains(said),
        "{}",
        judged.run.ended.stderr
    );
}

/// A program that has no processor cannot send when it should: here it is stopped for a while.
#[test]
fn a_client_that_sends_late() {
    let _turn = turn();
    let mock = quick_mock();
    let bench = Bench::new();
    let arguments = ["-n", "200", "--rate", "100"];
    // Some requests have been sent, and the most of them have not.
    let child = under_way(&bench, &mock, &arguments);
    signal(&child, libc::SIGSTOP);
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, libc::SIGCONT);
    let ended = support::wait(child);
    let judged = Judged::checked(Run { bench, ended });
    assert_eq!(judged.run.count("Succeed requests"), Some(200));
    judged.doubts("dispatch-lag", "the send delay reached ");
    let figure = judged.figure("dispatch-lag").expect("it is there");
    let milliseconds = figure.split(' ').nth(4).and_then(|text| text.parse().ok());
    assert!(milliseconds > Some(100.0), "{figure}");
    assert!(figure.ends_with("connecting not counted"), "{figure}");
}

/// Answers as fast as one thread can take them keep that thread busy: in chunks of one byte, which cost the
/// server nothing once they are made, and the parser no more than others.
#[test]
fn a_client_that_is_busy() {
    let _turn = turn();
    let body: String = (0..10_000).map(|_| event(delta("x"))).collect();
    let server = Misbehaving::start(vec![
        Step::Request,
        Step::Write(streamed(body, 1)),
        Step::Again,
    ]);
    let arguments = [
        "-n",
        "12",
        "--parallel",
        "2",
        "--client-threads",
        "1",
        "--save",
        "summary",
    ];
    // On a machine that is busy with something else, the thread gets less of a processor than it could use: then there is
    // no doubt, and the share says why.
    let busiest = std::iter::repeat_with(|| {
        let judged = judged(&server.chat(), &arguments);
        let totals = of_run(&judged.run.bench, "totals");
        let share = totals["client"]["busy_shares"][0].as_f64().expect("a share");
        let figure = judged.figure("client-busy");
        assert_eq!(figure.is_some(), share > 0.7, "{share}: {figure:?}");
        let said = format!(
            "the busiest client thread worked {:.1} % of the time (limit 70 %; 1 of 1 threads are above it)",
            share * 100.0
        );
        assert!(figure.is_none_or(|figure| figure == said));
        share
    })
    .take(TRIES)
    .fold(0.0, f64::max);
    assert!(busiest > 0.2, "{busiest}");
}

/// A parser that takes several milliseconds for a response falls behind a server that answers at once.
#[test]
fn a_parser_that_falls_behind() {
    let _turn = turn();
    // The loop runs before the usual summary is given.
    let slow = Guest::new().parse(&format!(
        "(local $left i64)
         (local.set $left (i64.const 5000000))
         (loop $again
             (local.set $left (i64.sub (local.get $left) (i64.const 1)))
             (br_if $again (i64.ne (local.get $left) (i64.const 0))))
         (i32.const {PARSE})"
    ));
    let bench = Bench::new();
    bench.file("slow.wasm", slow.component());
    let mock = Mock::start(&["--ttft", "0s", "--itl", "0s", "--tokens", "1"]);
    let mut command = perf(
        &bench,
        &mock.chat(),
        &[
            "-n",
            "1500",
            "--parallel",
            "16",
            "--log-every-n-query",
            "1500",
        ],
    );
    command.args(["--parser", "slow.wasm", "--save", "summary"]);
    let judged = Judged::of(bench, &mut command);
    assert_eq!(judged.run.count("Succeed requests"), Some(1500));
    judged.doubts("parser-behind", "client threads waited ");
}

/// The wall clock of a machine is not a test's to set. A library before the system's tells the program that
/// somebody else has set it, by a hundred seconds.
#[cfg(target_os = "linux")]
#[test]
fn a_wall_clock_that_is_set() {
    const SOURCE: &str = r"
        #define _GNU_SOURCE
        #include <sys/syscall.h>
        #include <time.h>
        #include <unistd.h>
        int clock_gettime(clockid_t which, struct timespec *time) {
            static time_t first = 0;
            struct timespec up;
            int result = syscall(SYS_clock_gettime, which, time);
            syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &up);
            if (!first) first = up.tv_sec;
            if (which == CLOCK_REALTIME && up.tv_sec - first >= 2) time->tv_sec += 100;
            return result;
        }";
    let bench = Bench::new();
    let (source, library) = (bench.file("clock.c", SOURCE), bench.path("clock.so"));
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source]);
    let compiled = support::run(&mut compiler);
    assert_eq!(compiled.code, Some(0), "{}", compiled.stderr);
    let pause = Step::Pause(Duration::from_millis(3500));
    let answer = streamed(event(delta("x")), 100);
    let server = Misbehaving::start(vec![Step::Request, pause, Step::Write(answer), Step::Close]);
    // Without stamps of the kernel, which the library does not tell of.
    let mut command = perf(&bench, &server.chat(), &["--transport", "reqwest"]);
    command.env("LD_PRELOAD", library);
    let judged = Judged::of(bench, &mut command);
    judged.doubts("wall-clock-stepped", "the wall clock moved by +");
    let figure = judged.figure("wall-clock-stepped").expect("it is there");
    let moved: Option<f64> = figure.split(' ').nth(5).and_then(|text| text.parse().ok());
    assert!(
        moved.is_some_and(|seconds| (seconds - 100.0).abs() < 1.0),
        "{figure}"
    );
    // The times of the row are of the clock as it was at the start.
    let took = judged.run.rows()[0].latency;
    assert!((3.4..30.0).contains(&took), "{took}");
}
