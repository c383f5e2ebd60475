//! Places that take no results, or take no more of them while a run is under way.

use super::{Limit, limit};
use crate::misbehaving::{Misbehaving, Step, perf};
use crate::support::{self, Bench, Ended, Mock};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Requests of a run that has more to keep than there is room.
const REQUESTS: u64 = 600;

/// Answers with much to keep. They take a while, so that rows are committed a few times before it is full.
fn generous() -> Mock {
    Mock::start(&["--ttft", "20ms", "--itl", "0ms", "--tokens", "20"])
}

/// The arguments of such a run.
fn arguments() -> [&'static str; 6] {
    ["-n", "600", "--parallel", "8", "--log-every-n-query", "200"]
}

/// What must be so where rows were lost: all requests were made and counted, the user was told at once, and
/// what the database has can be read.
fn check_full(ended: &Ended, bench: &Bench) {
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let succeeded = ended
        .stdout
        .contains(&format!(" Succeed requests: {REQUESTS}\n"));
    assert!(succeeded, "{}", ended.stdout);
    let told = "error: results are not kept any more: ";
    assert_eq!(ended.stderr.matches(told).count(), 1, "{}", ended.stderr);
    let at = ended.stderr.find(told).expect("it is there");
    let last = ended
        .stderr
        .rfind("completed: 600,")
        .expect("a line of progress");
    assert!(at < last, "told too late: {}", ended.stderr);
    // Before anybody opens the database, which would make one for a while.
    let has_log = bench.path("run.db-wal").exists();
    assert_eq!(bench.value("PRAGMA integrity_check"), "ok");
    let rows = bench.value("SELECT count(*) FROM result");
    let rows = rows.as_u64().expect("a count");
    assert!((1..REQUESTS).contains(&rows), "{rows} rows");
    let run = &bench.rows("SELECT state, rows_kept, rows_not_kept, write_error FROM run")[0];
    if run[0] == "running" {
        // Not even the totals could be written, which is said.
        let said = "the totals of the run cannot be written";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        return;
    }
    assert_eq!(run[0], "finished");
    assert_eq!(run[1], rows);
    assert_eq!(run[2], REQUESTS - rows);
    assert_ne!(run[3], Value::Null);
    let said = format!("error: {} requests could not be kept: ", REQUESTS - rows);
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
    let said = "warning: run.db-wal belongs to run.db and has to stay beside it";
    assert_eq!(ended.stderr.contains(said), has_log, "{}", ended.stderr);
}

#[test]
fn files_that_may_not_grow() {
    let mock = generous();
    let bench = Bench::new();
    let mut command = perf(&bench, &mock.chat(), &arguments());
    limit(&mut command, Limit::FileSize, 1 << 20);
    check_full(&support::run(&mut command), &bench);
}

#[test]
fn a_disk_without_room_for_an_empty_database() {
    let server = Misbehaving::start(vec![Step::Request, Step::Hang]);
    let bench = Bench::new();
    let mut command = perf(&bench, &server.chat(), &[]);
    limit(&mut command, Limit::FileSize, 1 << 10);
    let ended = support::run(&mut command);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    let said = "error: the database run.db cannot be prepared (";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert!(
        !bench.path("run.db").exists(),
        "it would be in the way of the next attempt"
    );
    assert_eq!(server.connections(), 0, "it was found out too late");
}

/// Runs a command on a file system of this size, a small one in memory, and copies the database to `bench`. `None`: this
/// user may make none.
fn on_small_disk(size: &str, small: &Bench, inside: &Command, bench: &Bench) -> Option<Ended> {
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg(
            "mount -t tmpfs -o size=$SIZE none \"$0\" || exit 77
             cd \"$0\" && \"$@\"
             code=$?
             cp \"$0\"/run.db* \"$KEPT\"/
             exit $code",
        )
        .arg(small.path(""))
        .arg(inside.get_program())
        .args(inside.get_args())
        .stdin(Stdio::null());
    for (name, value) in inside.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("KEPT", bench.path("")).env("SIZE", size);
    let ended = support::run(&mut command);
    if ended.code == Some(77) || ended.stderr.starts_with("unshare: ") {
        eprintln!(
            "not tested, since no file system can be made here: {}",
            ended.stderr
        );
        return None;
    }
    Some(ended)
}

/// The same on a file system that is full.
#[test]
fn a_disk_that_is_full() {
    let mock = generous();
    let (bench, small) = (Bench::new(), Bench::new());
    let inside = perf(&small, &mock.chat(), &arguments());
    if let Some(ended) = on_small_disk("1200k", &small, &inside, &bench) {
        check_full(&ended, &bench);
    }
}

/// Not even the end of the first load can be written to the database: the second runs all the same, and the files on
/// another disk have both.
#[test]
fn a_full_disk_costs_neither_other_outputs_nor_later_loads() {
    let mock = generous();
    let (bench, small) = (Bench::new(), Bench::new());
    let [json, csv, html] =
        ["o.json", "o.csv", "o.html"].map(|name| bench.path(name).display().to_string());
    let mut inside = perf(&small, &mock.chat(), &["-n", "600", "--parallel", "4,8"]);
    inside.args(["--json", &json, "--csv", &csv, "--html", &html]);
    let Some(ended) = on_small_disk("400k", &small, &inside, &bench) else {
        return;
    };
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_ne!(ended.stdout, "");
    let last = ended.stderr.lines().last().expect("an error");
    let cannot = "cannot be written to the database run.db";
    assert!(last.contains(cannot), "{}", ended.stderr);
    let said = "no rows of later loads are kept";
    assert_eq!(ended.stderr.matches(said).count(), 1, "{}", ended.stderr);
    let document = std::fs::read(&json).expect("it is there");
    let document: Value = serde_json::from_slice(&document).expect("it is JSON");
    let runs = document["runs"].as_array().expect("a list");
    assert_eq!(runs.len(), 2);
    for run in runs {
        let rows = &run["rows"];
        let count = |name: &str| rows[name].as_u64().expect("a number");
        assert_eq!(count("kept") + count("not_kept"), 600, "{rows}");
        assert!(rows["write_error"].is_string(), "{rows}");
    }
    let rows = std::fs::read_to_string(&csv).expect("it is there");
    assert_eq!(rows.lines().count(), 1201);
    assert!(std::fs::metadata(&html).expect("it is there").len() > 1000);
}

/// The user that runs the tests may be one that no permission stops: the program is not.
fn without_privileges(command: &mut Command) {
    const CAP_DAC_OVERRIDE: libc::c_ulong = 1;
    const CAP_DAC_READ_SEARCH: libc::c_ulong = 2;
    // SAFETY: the calls take plain numbers, and may be made between fork and exec. They fail for a user
    // without privileges, who has none to give up.
    unsafe {
        command.pre_exec(|| {
            for capability in [CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH] {
                libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
            }
            Ok(())
        });
    }
}

fn allow(folder: &Path, mode: u32) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode))
        .expect("it is our folder");
}

#[test]
fn a_folder_that_may_not_be_written() {
    let server = Misbehaving::start(vec![Step::Request, Step::Hang]);
    let bench = Bench::new();
    let mut command = perf(&bench, &server.chat(), &[]);
    without_privileges(&mut command);
    allow(&bench.path(""), 0o555);
    let ended = support::run(&mut command);
    allow(&bench.path(""), 0o755);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    assert_eq!(
        ended.stderr,
        "error: the database run.db cannot be made (Permission denied (os error 13)): check that the \
         folder can be written, or choose another --name\n"
    );
    assert!(!bench.path("run.db").exists());
    assert_eq!(server.connections(), 0, "it was found out too late");
}

#[test]
fn results_that_cannot_be_kept() {
    let server = Misbehaving::start(vec![Step::Request, Step::Hang]);
    let bench = Bench::new();
    bench.file("file", "");
    for (name, says) in [
        ("/proc/run", "cannot be made"),
        ("file/run", "cannot be made"),
    ] {
        let mut command = support::program();
        command.current_dir(bench.path("")).args([
            "perf",
            "--model",
            "m",
            "--prompt",
            "hi",
            "--url",
            &server.chat(),
            "--name",
            name,
        ]);
        let ended = support::run(&mut command);
        assert_eq!(ended.code, Some(2), "{name}");
        assert!(ended.stdout.is_empty(), "{name}: {}", ended.stdout);
        let error = ended.stderr.trim();
        assert!(
            error.starts_with("error: ") && error.contains(name) && error.contains(says),
            "{name}: {error}"
        );
        assert_eq!(error.lines().count(), 1, "{name}: {error}");
    }
    assert_eq!(server.connections(), 0, "it was found out too late");
}
