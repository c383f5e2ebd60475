//! One load sent through the engines that start workers on other machines, OpenSSH and Slurm, and by a worker whose clocks
//! are wrong. The machines are network namespaces of this one, each with an address and a host name of its own.
//!
//! The tests need root and the Debian packages that [`turn_of`] looks for, so they run only when asked for:
//! `cargo test --test e2e engines:: -- --ignored --nocapture`. Where something is missing they say that they are skipped.

mod clock;
mod machines;
mod quota;
mod slurm;
mod ssh;

use crate::helpers::seen;
use crate::support::{Bench, Mock, program};
use machines::Machines;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_llmuses");

/// Waits until no other of these tests runs: they load the whole machine, and have interfaces of the same kind. `None`: the
/// test cannot run here, and it is said what is missing; where LLMUSES_ENGINES says that nothing is, the test fails.
fn turn_of(test: &str, programs: &[(&str, &str)]) -> Option<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    if let Err(missing) = what_is_there(programs) {
        skip(test, &missing);
        return None;
    }
    // A test that failed had its turn all the same.
    Some(TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Says that a test cannot run here, and what is missing.
fn skip(test: &str, missing: &str) {
    let all_is_there = std::env::var_os("LLMUSES_ENGINES").is_some();
    assert!(!all_is_there, "{test} needs {missing}");
    eprintln!("skipped: {test} needs {missing}");
}

/// What is missing, if something is.
fn what_is_there(programs: &[(&str, &str)]) -> Result<(), String> {
    // SAFETY: the call takes nothing and cannot fail (geteuid(2)).
    if unsafe { libc::geteuid() } != 0 {
        return Err("root, to make network namespaces".to_owned());
    }
    for (program, package) in programs {
        let found = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
            .iter()
            .any(|folder| Path::new(folder).join(program).exists());
        if !found {
            return Err(format!("{program} (apt-get install {package})"));
        }
    }
    match machines::can_be_made() {
        true => Ok(()),
        false => Err("the right to make network namespaces and links".to_owned()),
    }
}

/// Runs a command that must succeed; gives what it prints.
fn done(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {} {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until this is so.
fn until(what: &str, longest: Duration, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < longest, "not within {longest:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A data set whose prompts tell their place in it.
fn data_set(bench: &Bench) {
    let lines: Vec<String> = (0..40).map(|line| format!("prompt {line}")).collect();
    bench.file("prompts.txt", lines.join("\n"));
}

/// A mock server that the machines reach over their second link.
fn server(machines: &Machines) -> Mock {
    let listen = format!("{}:0", machines.address_of_the_server());
    crate::helpers::mock(&["--listen", &listen])
}

/// The arguments of a run of the data set against the server.
fn load(mock: &Mock, more: &[&str]) -> Vec<String> {
    let url = mock.chat();
    ["perf", "--model", "m", "--name", "run", "--url", &url]
        .iter()
        .chain(&["--dataset", "prompts.txt", "--parser", "openai_chat"])
        .chain(&["--dataset-parser", "lines"])
        .chain(more)
        .map(|argument| (*argument).to_owned())
        .collect()
}

/// The number and prompt of each request of the run on this machine alone, in order of their numbers.
fn alone(more: &[&str]) -> Vec<(i64, String)> {
    let bench = Bench::new();
    data_set(&bench);
    let mock = crate::helpers::quick_mock();
    let ended = crate::support::run(
        program()
            .current_dir(bench.path(""))
            .args(load(&mock, more)),
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    sent(&bench, &["run.db"])
}

/// The number and prompt of each request in these databases, in order of their numbers.
fn sent(bench: &Bench, databases: &[&str]) -> Vec<(i64, String)> {
    let mut sent = Vec::new();
    for database in databases {
        let database = rusqlite::Connection::open(bench.path(database)).unwrap();
        let query = "SELECT number, json_extract(request, '$.messages[0].content') FROM result";
        let mut statement = database.prepare(query).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        sent.extend(rows.unwrap().map(Result::unwrap));
    }
    sent.sort();
    sent
}

/// Fails the test where the server goes on seeing requests.
fn nothing_more_is_sent(mock: &Mock) {
    let then = seen(mock);
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(seen(mock), then, "requests went on");
}
