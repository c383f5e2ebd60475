//! The program as a process of its own, with what it cost; and the mock server in another.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program, with a cache of compiled parsers in `cache`.
pub fn program(cache: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llmuses"));
    command.env("XDG_CACHE_HOME", cache);
    command
}

/// What a process cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Processor time of all its threads, in user mode and in the kernel.
    pub cpu: Duration,
    /// The most memory that it ever had resident, in MiB.
    pub peak_mib: f64,
    /// From its start to its end.
    pub wall: Duration,
}

/// Runs a command to its end, which must be a good one.
pub fn cost_of(command: &mut Command) -> Cost {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let begun = Instant::now();
    #[expect(
        clippy::zombie_processes,
        reason = "`wait4` waits for it below, which also tells what it cost"
    )]
    let mut child = command.spawn().expect("the program starts");
    let mut told = String::new();
    let errors = child.stderr.take().expect("it is a pipe");
    for line in BufReader::new(errors).lines().map_while(Result::ok) {
        told = line;
    }
    let mut status = 0;
    // SAFETY: a `rusage` is made of integers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the process is a child of this one that nobody has waited for, and both pointers are to
    // live values of the right type.
    let ended = unsafe { libc::wait4(child.id() as i32, &raw mut status, 0, &raw mut usage) };
    assert_eq!(ended, child.id() as i32, "a child can be waited for");
    assert_eq!(status, 0, "{command:?} failed; it said last: {told}");
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    Cost {
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        // Linux counts in KiB.
        peak_mib: usage.ru_maxrss as f64 / 1024.0,
        wall: begun.elapsed(),
    }
}

/// A run of `llmuses perf`: what it cost, and its totals.
pub struct PerfRun {
    pub cost: Cost,
    pub totals: Value,
}

impl PerfRun {
    /// Runs `llmuses perf` with these arguments, and checks that as many requests as `requests` succeeded.
    pub fn of(cache: &Path, server: SocketAddr, requests: usize, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("http://{server}/v1/chat/completions");
        let number = requests.to_string();
        let cost = cost_of(
            program(cache)
                .current_dir(folder.path())
                .args([
                    "perf", "--model", "mock", "--prompt", PROMPT, "--name", "run",
                ])
                .args(["--url", &url, "-n", &number])
                .args(["--log-every-n-query", "100000000"])
                .args(arguments),
        );
        let database = rusqlite::Connection::open(folder.path().join("run.db"))
            .expect("a run leaves a database");
        let totals: String = database
            .query_row("SELECT totals FROM run", [], |row| row.get(0))
            .expect("a run that ended has totals");
        let totals: Value = serde_json::from_str(&totals).expect("they are JSON");
        let succeeded = totals["requests"]["succeeded"].as_u64();
        assert_eq!(
            succeeded,
            Some(requests as u64),
            "requests failed: {}",
            totals["failures"]
        );
        Self { cost, totals }
    }
}

/// The prompt of every request.
pub const PROMPT: &str = "How fast is this program, and how much memory does it take?";

/// A running mock server; ended with this value.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts `llmuses mock-server` with these arguments.
    pub fn start(cache: &Path, arguments: &[&str]) -> Self {
        let mut child = program(cache)
            .args(["mock-server", "--until-stdin-closes"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("it is a pipe");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the server says where it listens");
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .and_then(|address| address.trim_end_matches('/').parse().ok())
            .unwrap_or_else(|| panic!("no address: {line:?}"));
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
