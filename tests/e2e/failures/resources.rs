//! A machine that runs out of something.

use super::{Limit, limit};
use crate::misbehaving::{Misbehaving, Run, Step, TRANSPORTS, delta, event, none, perf, streamed};
use crate::support::{self, Bench};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A command that may open no more files than `limit`.
fn under_limit(command: &Command, limit: u32) -> Command {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("ulimit -n {limit}; exec \"$0\" \"$@\""))
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null());
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Lets a process that runs open no more than `more` further files.
#[cfg(target_os = "linux")]
fn limit_files(process: u32, more: u64) {
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).expect("it runs");
    let most = open.count() as u64 + more;
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    let process = i32::try_from(process).expect("a process id");
    // SAFETY: the call reads `limit`, which is alive, and writes nothing, for where the old limit should go is null.
    let result =
        unsafe { libc::prlimit(process, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()) };
    assert_eq!(result, 0);
}

/// The limit comes down while the run goes on: with what a machine holds at the start, the run makes do.
#[cfg(target_os = "linux")]
#[test]
fn a_machine_without_files_left() {
    let mut found = Vec::new();
    for transport in TRANSPORTS {
        let server = Misbehaving::start(vec![
            Step::Request,
            Step::Pause(Duration::from_millis(1500)),
            Step::Write(streamed(event(delta("x")), 1000)),
            Step::Close,
        ]);
        let bench = Bench::new();
        let arguments = ["--transport", transport, "-n", "200", "--rate", "200"];
        let child = support::start(&mut perf(&bench, &server.chat(), &arguments));
        server.await_requests(5);
        limit_files(child.id(), 16);
        let run = Run {
            ended: support::wait(child),
            bench,
        };
        let rows = run.rows();
        let failed: Vec<_> = rows.iter().filter(|row| !row.success).collect();
        let mut problems = Vec::new();
        if run.ended.code != Some(0) || rows.len() != 200 || failed.is_empty() {
            problems.push(format!(
                "code {:?}, {} rows, {} failed: {}",
                run.ended.code,
                rows.len(),
                failed.len(),
                run.ended.stderr
            ));
        }
        if !run.tells(failed.len(), "client-resource") {
            problems.push(format!(
                "the summary does not count {} client-resource",
                failed.len()
            ));
        }
        for row in failed {
            if row.kind != "client-resource"
                || !row.error.contains("this machine ran out of a resource")
                || !row.error.contains("Too many open files")
            {
                problems.push(format!("{}: {}", row.kind, row.error));
            }
        }
        found.push((transport.to_owned(), problems));
    }
    none(found);
}

/// A run that may open few files has as many requests in flight as these allow, and fails none.
#[test]
fn a_machine_with_few_files() {
    let server = Misbehaving::start(vec![
        Step::Request,
        Step::Pause(Duration::from_millis(100)),
        Step::Write(streamed(event(delta("x")), 1000)),
        Step::Again,
    ]);
    let bench = Bench::new();
    let arguments = ["-n", "100", "--rate", "1000", "--client-threads", "1"];
    let mut command = under_limit(&perf(&bench, &server.chat(), &arguments), 80);
    let run = Run {
        ended: support::run(&mut command),
        bench,
    };
    assert_eq!(
        run.count("Succeed requests"),
        Some(100),
        "{}",
        run.ended.stderr
    );
    assert!(server.connections() <= 16, "{}", server.connections());
    let held_up = run
        .bench
        .value("SELECT count(*) FROM result WHERE held_up_time > 0");
    assert!(held_up.as_u64() > Some(50), "{held_up}");
    assert!(run.ended.stdout.contains("at the peak of 16 that may be"));
}

#[test]
fn a_concurrency_that_cannot_be_held() {
    let server = Misbehaving::start(vec![Step::Request, Step::Hang]);
    for arguments in [
        ["--parallel", "5000", "-n", "5000"],
        ["--rate", "-1", "-n", "5000"],
    ] {
        let bench = Bench::new();
        let mut command = under_limit(&perf(&bench, &server.chat(), &arguments), 200);
        let ended = support::run(&mut command);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("at most 136 can be held"),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert!(ended.stdout.is_empty(), "{arguments:?}");
        assert!(!bench.path("run.db").exists(), "{arguments:?}");
    }
    assert_eq!(server.connections(), 0);
}

/// Somebody who has no process on this machine: root is under no limit of processes.
#[cfg(target_os = "linux")]
const NOBODY_ELSE: u32 = 61_234;

/// Has a command run with so many threads at most, as another user where this one is root.
#[cfg(target_os = "linux")]
fn limit_threads(bench: &Bench, command: &Command, threads: u64) -> Command {
    use std::os::unix::fs::chown;
    use std::os::unix::process::CommandExt;
    // Where that user can get at it.
    let program = bench.path("llmuses");
    if !program.exists() {
        std::fs::copy(command.get_program(), &program).expect("it can be copied");
    }
    let mut limited = Command::new(&program);
    limited
        .args(command.get_args())
        .current_dir(bench.path(""))
        .env("XDG_CACHE_HOME", bench.path("cache"))
        .env("XDG_STATE_HOME", bench.path("state"));
    // SAFETY: the call has no argument and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        chown(bench.path(""), Some(NOBODY_ELSE), Some(NOBODY_ELSE)).expect("root may");
        limited.uid(NOBODY_ELSE).gid(NOBODY_ELSE);
    }
    limit(&mut limited, Limit::Threads, threads);
    limited
}

/// A run that gets no further thread says so and sends nothing, whichever thread it is.
#[cfg(target_os = "linux")]
#[test]
fn a_user_without_threads_left() {
    let server = Misbehaving::start(vec![Step::Request, Step::Hang]);
    let bench = Bench::new();
    let command = perf(&bench, &server.chat(), &[]);
    // A user who is not root has processes already, and so no thread left under any of these.
    for threads in 1..=8 {
        let ended = support::run(&mut limit_threads(&bench, &command, threads));
        let said = &ended.stderr;
        assert_eq!(ended.code, Some(1), "{threads}: {said}");
        assert!(said.contains("thread"), "{threads}: {said}");
        assert!(said.contains("limit"), "{threads}: {said}");
        assert!(!said.contains("panicked"), "{threads}: {said}");
        assert!(!bench.path("run.db").exists(), "{threads}: {said}");
    }
    assert_eq!(server.heads().len(), 0);
}
