//! One run that workers send: children on this machine, started and lost in every way.

mod lost;
mod refused;
mod sending;

use crate::support::{Bench, Mock};
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_llmuses");

/// A data set whose prompts tell their place in it.
fn data_set(bench: &Bench) {
    let lines: Vec<String> = (0..40).map(|line| format!("prompt {line}")).collect();
    bench.file("prompts.txt", lines.join("\n"));
}

/// A run of the data set, sent by the workers of these hosts.
fn on_workers(bench: &Bench, mock: &Mock, hosts: &str, more: &[&str]) -> Command {
    let mut command = bench.perf(&["--url", &mock.chat()]);
    command
        .args(["--dataset", "prompts.txt", "--parser", "openai_chat"])
        .args(["--dataset-parser", "lines", "--on", "env", "--hosts", hosts])
        .args(more);
    command
}

/// A script that is started in place of the worker's program, with `$PROGRAM` for that.
fn script(bench: &Bench, name: &str, text: &str) -> String {
    let path = bench.file(name, format!("#!/bin/sh\nPROGRAM={PROGRAM}\n{text}\n"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    path.to_string_lossy().into_owned()
}
