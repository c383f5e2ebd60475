//! Runs that someone ends.

use super::{stream_begun, then};
use crate::misbehaving::{
    Failing, Misbehaving, Run, Step, TRANSPORTS, chunk, delta, event, none, perf, problems, rows,
    streamed,
};
use crate::support::{self, Bench, Ended, Mock, signal, start};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Reads lines from standard error of a child until one holds `wanted`, and gives the pipe back with the
/// rest.
fn await_line(child: &mut Child, wanted: &str) {
    let mut lines = BufReader::with_capacity(1, child.stderr.take().expect("it is a pipe"));
    let mut line = String::new();
    while !line.contains(wanted) {
        line.clear();
        let read = lines.read_line(&mut line).expect("its lines can be read");
        assert!(read > 0, "no line says {wanted:?}");
    }
    child.stderr = Some(lines.into_inner());
}

/// A stream that stops after two events.
fn hanging() -> Vec<Step> {
    then(
        stream_begun(),
        [Step::Write(chunk(event(delta("two")))), Step::Hang],
    )
}

#[test]
fn an_interrupt_ends_a_run_and_keeps_what_there_is() {
    let server = Misbehaving::start(hanging());
    let bench = Bench::new();
    let child = start(&mut perf(
        &bench,
        &server.chat(),
        &["-n", "100", "--parallel", "3"],
    ));
    server.await_requests(3);
    let begun = Instant::now();
    signal(&child, libc::SIGINT);
    let run = Run {
        ended: support::wait(child),
        bench,
    };
    assert!(begun.elapsed() < Duration::from_secs(15));
    let expected = Failing {
        kind: "cancelled",
        says: vec!["in flight when the run was ended"],
        status: Some(200),
        messages: vec![delta("one"), delta("two")],
        at_least: 0.0,
    };
    none(vec![("interrupt".to_owned(), problems(&run, 3, &expected))]);
    assert_eq!(run.bench.value("SELECT state FROM run"), "interrupted");
    assert_eq!(server.heads().len(), 3, "a request was issued afterwards");
}

/// A server that was started in the same terminal gets the same Ctrl-C.
#[test]
fn connections_closed_after_an_interrupt_are_no_failures_of_the_server() {
    for transport in TRANSPORTS {
        let mut script = hanging();
        script.truncate(script.len() - 1);
        script.extend([Step::Pause(Duration::from_secs(1)), Step::Close]);
        let server = Misbehaving::start(script);
        let bench = Bench::new();
        let child = start(&mut perf(
            &bench,
            &server.chat(),
            &["-n", "100", "--parallel", "3", "--transport", transport],
        ));
        server.await_requests(3);
        signal(&child, libc::SIGINT);
        let run = Run {
            ended: support::wait(child),
            bench,
        };
        let expected = Failing {
            kind: "cancelled",
            says: vec!["after the run was interrupted: the connection"],
            status: Some(200),
            messages: vec![delta("one"), delta("two")],
            at_least: 0.0,
        };
        none(vec![(
            format!("interrupt over {transport}"),
            problems(&run, 3, &expected),
        )]);
        let said = &run.ended.stdout;
        assert!(!said.contains("truncated"), "{said}");
    }
}

#[test]
fn a_second_interrupt_ends_at_once() {
    // The first two are answered, so that there are rows to keep.
    let server = Misbehaving::with(|number| match number {
        0 => vec![
            Step::Request,
            Step::Write(streamed(event(delta("x")), 1000)),
            Step::Request,
            Step::Write(streamed(event(delta("x")), 1000)),
            Step::Close,
        ],
        _ => hanging(),
    });
    let bench = Bench::new();
    let arguments = ["-n", "100", "--log-every-n-query", "1"];
    let mut child = start(&mut perf(&bench, &server.chat(), &arguments));
    server.await_requests(3);
    signal(&child, libc::SIGINT);
    await_line(&mut child, "interrupted");
    let begun = Instant::now();
    signal(&child, libc::SIGINT);
    let ended = support::wait(child);
    assert!(begun.elapsed() < Duration::from_secs(3), "not at once");
    assert_eq!(ended.code, Some(130));
    assert_eq!(bench.value("PRAGMA integrity_check"), "ok");
    assert_eq!(bench.value("SELECT state FROM run"), "running");
    assert!(rows(&bench).len() <= 2);
}

/// The exit code of a child that has to end within a time. Its pipes are not read.
fn ends_within(child: &mut Child, time: Duration) -> Option<i32> {
    let deadline = Instant::now() + time;
    loop {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            return status.code();
        }
        if Instant::now() > deadline {
            child.kill().ok();
            child.wait().ok();
            panic!("the program did not end within {time:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A run with more to show than fits into the pipe of its standard error.
fn talkative(bench: &Bench, mock: &Mock, more: &[&str]) -> Child {
    let arguments = ["--debug", "--parallel", "10"];
    start(&mut perf(bench, &mock.chat(), &[&arguments, more].concat()))
}

#[test]
fn a_standard_error_that_nobody_reads_holds_up_no_run() {
    let mock = Mock::start(&["--ttft", "1ms", "--itl", "1ms", "--tokens", "20"]);
    let bench = Bench::new();
    let mut child = talkative(&bench, &mock, &["--duration", "3"]);
    assert_eq!(ends_within(&mut child, Duration::from_secs(15)), Some(0));
    assert_eq!(bench.value("SELECT state FROM run"), "finished");
    // Ten at a time take some 25 ms each. The pipe was full after the first hundred.
    let rows = rows(&bench).len();
    assert!(rows > 300, "{rows} rows");
}

#[test]
fn signals_end_a_run_whose_standard_error_nobody_reads() {
    let mock = Mock::start(&["--ttft", "1ms", "--itl", "1ms", "--tokens", "20"]);
    for sent in [libc::SIGINT, libc::SIGTERM] {
        let bench = Bench::new();
        let mut child = talkative(&bench, &mock, &["--duration", "60"]);
        std::thread::sleep(Duration::from_secs(2));
        signal(&child, sent);
        ends_within(&mut child, Duration::from_secs(10));
        assert_eq!(bench.value("SELECT state FROM run"), "interrupted");
    }
    let server = Misbehaving::start(hanging());
    let bench = Bench::new();
    let mut child = start(&mut perf(&bench, &server.chat(), &["--debug"]));
    server.await_requests(1);
    signal(&child, libc::SIGINT);
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, libc::SIGINT);
    assert_eq!(ends_within(&mut child, Duration::from_secs(3)), Some(130));
}

/// What a child that has to end within a time says on standard error. Its standard output is not read.
fn said_within(mut child: Child, time: Duration) -> String {
    let mut stderr = child.stderr.take().expect("it is a pipe");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).ok();
        text
    });
    let code = ends_within(&mut child, time);
    let text = reader.join().expect("standard error was read");
    assert_eq!(code, Some(1), "{text}");
    text
}

#[test]
fn one_signal_ends_a_run_whose_standard_output_nobody_reads() {
    let mock = Mock::start(&["--ttft", "1ms", "--itl", "1ms", "--tokens", "5"]);
    // Rows, of which the pipe takes some hundred.
    let bench = Bench::new();
    let arguments = ["--csv", "-", "--duration", "60", "--parallel", "10"];
    let child = start(&mut perf(&bench, &mock.chat(), &arguments));
    std::thread::sleep(Duration::from_secs(3));
    signal(&child, libc::SIGINT);
    let said = said_within(child, Duration::from_secs(12));
    assert!(said.contains("nobody reads it"), "{said}");
    assert!(said.contains("after ") && said.contains(" rows"), "{said}");
    assert_eq!(bench.value("SELECT state FROM run"), "interrupted");

    // The summary, for which the pipe has no room any more.
    let bench = Bench::new();
    let (_unread, mut pipe) = std::io::pipe().expect("a pipe");
    pipe.write_all(&[b'x'; 64 << 10]).expect("as much fits");
    let mut command = perf(&bench, &mock.chat(), &["-n", "5"]);
    let child = command
        .stdout(pipe)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    std::thread::sleep(Duration::from_secs(3));
    signal(&child, libc::SIGINT);
    let said = said_within(child, Duration::from_secs(8));
    assert!(
        said.contains("standard output cannot be written (nobody reads it"),
        "{said}"
    );
    assert!(said.contains("bytes of a text were not"), "{said}");
}

#[test]
fn a_killed_run_leaves_its_rows() {
    let mock = Mock::start(&["--ttft", "20ms", "--itl", "20ms", "--tokens", "10"]);
    let bench = Bench::new();
    let mut child = start(&mut perf(
        &bench,
        &mock.chat(),
        &[
            "-n",
            "1000000",
            "--parallel",
            "20",
            "--log-every-n-query",
            "100",
        ],
    ));
    // The line comes as the hundredth request is handed to the database.
    await_line(&mut child, "completed: 100,");
    std::thread::sleep(Duration::from_secs(1));
    signal(&child, libc::SIGKILL);
    assert_eq!(support::wait(child).code, None);
    assert_eq!(bench.value("PRAGMA integrity_check"), "ok");
    assert_eq!(bench.value("SELECT state FROM run"), "running");
    let rows = rows(&bench);
    assert!(rows.len() >= 100, "{} rows", rows.len());
    assert!(
        rows.iter()
            .all(|row| row.success && row.chunk_times.len() >= 10)
    );
}

/// The signals that end a program: two that ask, one that does not.
const SIGNALS: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGKILL];

/// What a run left: nothing, or the state and the number of rows of a sound database.
fn left(bench: &Bench) -> Option<(String, u64)> {
    if !bench.path("run.db").exists() {
        return None;
    }
    assert_eq!(bench.value("PRAGMA integrity_check"), "ok");
    let state = bench.value("SELECT state FROM run");
    let rows = bench.value("SELECT count(*) FROM result");
    Some((
        state.as_str().unwrap_or_default().to_owned(),
        rows.as_u64().unwrap_or_default(),
    ))
}

/// Sends a signal, waits for the end, and makes sure that this does not take long.
fn end_with(child: Child, sent: i32) -> Ended {
    let begun = Instant::now();
    signal(&child, sent);
    let ended = support::wait(child);
    assert!(begun.elapsed() < Duration::from_secs(20), "signal {sent}");
    ended
}

#[test]
fn an_end_while_the_data_set_is_read_leaves_nothing() {
    for sent in SIGNALS {
        let server = Misbehaving::start(vec![Step::Request, Step::Hang]);
        let bench = Bench::new();
        // A data set that gives nothing for as long as somebody holds its other end.
        let path = bench.path("set");
        let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("a path");
        // SAFETY: the string lives, and ends with a zero.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let parser = "openai_line_by_line";
        let arguments = [
            "--url",
            &server.chat(),
            "--dataset",
            "set",
            "--parser",
            parser,
        ];
        let child = start(&mut bench.perf(&arguments));
        // Waits until the program has opened it.
        let held = std::fs::File::options().write(true).open(&path);
        let ended = end_with(child, sent);
        drop(held);
        assert_eq!(ended.code, None, "signal {sent}: {}", ended.stderr);
        assert_eq!(left(&bench), None, "signal {sent}");
        assert_eq!(server.connections(), 0, "signal {sent}");
    }
}

#[test]
fn an_end_while_connections_are_opened() {
    for sent in SIGNALS {
        // The handshake of the connection that is opened beforehand is never answered.
        let server = Misbehaving::start(vec![Step::Hang]);
        let bench = Bench::new();
        let url = format!("https://127.0.0.1:{}/v1", server.port());
        let child = start(&mut perf(&bench, &url, &["--connect-timeout", "60"]));
        let begun = Instant::now();
        while server.connections() == 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "nobody connects");
            std::thread::sleep(Duration::from_millis(5));
        }
        let ended = end_with(child, sent);
        if sent == libc::SIGKILL {
            assert_eq!(ended.code, None);
            assert_eq!(left(&bench), Some(("running".to_owned(), 0)));
        } else {
            assert_eq!(ended.code, Some(1), "signal {sent}: {}", ended.stderr);
            let said = "error: interrupted before the first request";
            assert!(ended.stderr.contains(said), "{}", ended.stderr);
            assert_eq!(left(&bench), None, "signal {sent}: an empty database");
        }
    }
}

#[test]
fn an_end_with_requests_in_flight() {
    for sent in [libc::SIGTERM, libc::SIGKILL] {
        let server = Misbehaving::start(hanging());
        let bench = Bench::new();
        let arguments = ["-n", "100", "--parallel", "3"];
        let child = start(&mut perf(&bench, &server.chat(), &arguments));
        server.await_requests(3);
        let ended = end_with(child, sent);
        assert_eq!(server.heads().len(), 3, "a request was issued afterwards");
        if sent == libc::SIGKILL {
            assert_eq!(ended.code, None);
            assert_eq!(left(&bench), Some(("running".to_owned(), 0)));
        } else {
            assert_eq!(ended.code, Some(1), "{}", ended.stderr);
            assert_eq!(left(&bench), Some(("interrupted".to_owned(), 3)));
            assert!(rows(&bench).iter().all(|row| row.kind == "cancelled"));
        }
    }
}

#[test]
fn a_second_end_while_requests_are_waited_for() {
    for (first, second) in [
        (libc::SIGINT, libc::SIGTERM),
        (libc::SIGTERM, libc::SIGINT),
        (libc::SIGTERM, libc::SIGKILL),
    ] {
        let server = Misbehaving::start(hanging());
        let bench = Bench::new();
        let mut child = start(&mut perf(&bench, &server.chat(), &["-n", "100"]));
        server.await_requests(1);
        signal(&child, first);
        await_line(&mut child, "interrupted");
        let ended = end_with(child, second);
        let code = (second != libc::SIGKILL).then_some(130);
        assert_eq!(ended.code, code, "{first}, {second}: {}", ended.stderr);
        assert_eq!(left(&bench), Some(("running".to_owned(), 0)));
    }
}

#[test]
fn an_end_while_rows_are_written() {
    for sent in SIGNALS {
        let mock = Mock::start(&["--ttft", "0s", "--itl", "0s", "--tokens", "5"]);
        let bench = Bench::new();
        let more = [
            "-n",
            "1000000",
            "--parallel",
            "8",
            "--log-every-n-query",
            "200",
        ];
        let mut child = start(&mut perf(&bench, &mock.chat(), &more));
        await_line(&mut child, "completed: 6000,");
        let ended = end_with(child, sent);
        let (state, rows) = left(&bench).expect("a database");
        if sent == libc::SIGKILL {
            assert_eq!(ended.code, None);
            assert_eq!(state, "running");
            // What was committed by then: not the last batches.
            assert!(rows > 0, "no row");
        } else {
            assert_eq!(ended.code, Some(1), "{}", ended.stderr);
            assert_eq!(state, "interrupted");
            let run = Run { bench, ended };
            assert_eq!(run.count("Total requests"), Some(rows), "rows were lost");
            assert_eq!(run.bench.value("SELECT rows_kept FROM run"), rows);
            assert!(rows >= 6000, "{rows} rows");
        }
    }
}
