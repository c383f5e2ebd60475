//! The process in which a component is compiled.

use crate::support::program;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What the kernel says of the filter of system calls of a thread. `None`: it tells nothing, or the thread is gone.
fn filter_of(status: PathBuf) -> Option<String> {
    let status = std::fs::read_to_string(status).ok()?;
    let mut lines = status.lines();
    let filter = lines.find_map(|line| line.strip_prefix("Seccomp:"))?;
    Some(filter.trim().to_owned())
}

/// Those of all threads of a process.
fn filters_of(process: u32) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task"));
    let threads = threads.expect("it is under way").flatten();
    threads
        .filter_map(|thread| filter_of(thread.path().join("status")))
        .collect()
}

#[test]
fn every_thread_that_compiles_has_a_filter_of_system_calls() {
    if filter_of("/proc/self/status".into()).is_none() {
        eprintln!("skipped: this kernel has no seccomp");
        return;
    }
    let mut child = program()
        .arg("compile-plugin")
        .args(["--parent", &std::process::id().to_string()])
        .args(["--memory-bytes", "1073741824", "--seconds", "60"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let began = Instant::now();
    // It waits for the component; the threads that compile are there by then.
    let filters = loop {
        let filters = filters_of(child.id());
        let are_there = filters.len() > 1 && filters.iter().any(|filter| filter == "2");
        if are_there || began.elapsed() > Duration::from_secs(20) {
            break filters;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    child.kill().expect("it is under way");
    child.wait().expect("it ends");
    assert!(filters.len() > 1, "{filters:?}");
    assert!(filters.iter().all(|filter| filter == "2"), "{filters:?}");
}
