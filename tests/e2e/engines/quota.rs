//! A client whose control group has less of a processor than it needs.

use super::{PROGRAM, skip, turn_of};
use crate::helpers::{of_run, quick_mock};
use crate::support::{Bench, run};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A control group that may use a twentieth of a processor. Removed when this is dropped.
struct Quota(PathBuf);

impl Quota {
    /// `None`: this system gives nobody such a group here.
    fn new() -> Option<Self> {
        let name = format!("llmuses{}", std::process::id());
        // The first version of control groups, then the second.
        let limits: [(&str, &[(&str, &str)]); 2] = [
            (
                "/sys/fs/cgroup/cpu",
                &[
                    ("cpu.cfs_period_us", "100000"),
                    ("cpu.cfs_quota_us", "5000"),
                ],
            ),
            ("/sys/fs/cgroup", &[("cpu.max", "5000 100000")]),
        ];
        limits.into_iter().find_map(|(root, limits)| {
            let group = Path::new(root).join(&name);
            std::fs::create_dir(&group).ok()?;
            let group = Self(group);
            let is_limited = limits
                .iter()
                .all(|(file, limit)| std::fs::write(group.0.join(file), limit).is_ok());
            is_limited.then_some(group)
        })
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // Left behind where something still runs in it, which the test has told then.
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
#[ignore = "needs root and control groups"]
fn a_client_that_its_control_group_holds_back_is_named_and_not_the_server() {
    let name = "a_client_that_its_control_group_holds_back_is_named_and_not_the_server";
    let Some(_turn) = turn_of(name, &[]) else {
        return;
    };
    let Some(quota) = Quota::new() else {
        skip(
            name,
            "the right to make a control group with a limit of processor time",
        );
        return;
    };
    let mock = quick_mock();
    let bench = Bench::new();
    let url = mock.chat();
    let load = "--model m --prompt hi --no-progress --no-wandb --parallel 20 --duration 3 --name run --require-valid";
    let ended = run(Command::new("sh")
        .current_dir(bench.path(""))
        .args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$@\""])
        .arg(&quota.0)
        .args([PROGRAM, "perf", "--url", &url])
        .args(load.split(' ')));
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);

    let verdict = of_run(&bench, "verdict");
    let lost = &verdict["doubts"][0];
    assert_eq!(lost["reason"], "lost-time", "{verdict}");
    let words = |key: &str| lost[key].as_str().unwrap_or_default().to_owned();
    assert!(
        words("figure").contains("had used up its processor time for"),
        "{lost}"
    );
    assert!(
        words("likely_cause").contains("container, or control group"),
        "{lost}"
    );
    let client = &of_run(&bench, "totals")["client"];
    assert!(client["throttled_seconds"].as_f64() > Some(0.5), "{client}");
}
