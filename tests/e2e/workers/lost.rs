//! Workers and coordinators that end before their time, or say what is not so.

use super::{data_set, on_workers, script};
use crate::support::{Bench, Mock, run, signal, start, wait};
use serde_json::Value;
use std::process::Child;
use std::time::{Duration, Instant};

/// A worker's program that first appends the number of its process to the file `processes`.
fn noting_its_process(bench: &Bench) -> String {
    let text = "echo $$ >> processes\nexec $PROGRAM \"$@\"";
    script(bench, "worker.sh", text)
}

/// Kills the first worker of a script that writes down which processes it becomes.
fn kill_first(bench: &Bench) {
    signal_first(bench, libc::SIGKILL);
}

/// Sends it a signal.
fn signal_first(bench: &Bench, signal: i32) {
    let processes = std::fs::read_to_string(bench.path("processes")).unwrap();
    let victim: i32 = processes.lines().next().unwrap().parse().unwrap();
    // SAFETY: two numbers; the process is a child of the program that this test started.
    assert_eq!(unsafe { libc::kill(victim, signal) }, 0);
}

/// Begins a run of a minute on two workers, and waits until it is under way.
fn begun_on_two(bench: &Bench, mock: &Mock) -> Child {
    data_set(bench);
    let program = noting_its_process(bench);
    let mut command = on_workers(bench, mock, "a,b", &["--worker-program", &program]);
    let child = start(command.args(["--rate", "100", "--duration", "60"]));
    await_requests(mock, 20);
    child
}

/// Waits until the server has seen so many requests.
fn await_requests(mock: &Mock, count: u64) {
    let began = Instant::now();
    while crate::helpers::seen(mock) < count {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "no requests came"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_worker_that_a_signal_ends_is_lost_and_ends_the_run() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    let child = begun_on_two(&bench, &mock);
    signal_first(&bench, libc::SIGTERM);
    let began = Instant::now();
    let ended = wait(child);
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("by a signal"), "{}", ended.stderr);
    assert_eq!(
        bench.value("SELECT count(*) FROM worker WHERE lost IS NOT NULL"),
        1
    );
}

#[test]
fn a_worker_that_is_killed_ends_the_run() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    let mut child = begun_on_two(&bench, &mock);
    kill_first(&bench);
    let began = Instant::now();
    assert!(child.try_wait().unwrap().is_none());
    let ended = wait(child);
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("was lost"), "{}", ended.stderr);
    assert_eq!(bench.value("SELECT state FROM run"), "interrupted");
    let workers = crate::helpers::of_run(&bench, "totals")["workers"].clone();
    let lost: Vec<&Value> = workers
        .as_array()
        .unwrap()
        .iter()
        .filter(|worker| !worker["lost"].is_null())
        .collect();
    assert_eq!(lost.len(), 1, "{workers}");
    let verdict = crate::helpers::of_run(&bench, "verdict");
    assert_eq!(verdict["doubts"][0]["reason"], "lost-worker", "{verdict}");
    assert_eq!(
        bench.value("SELECT count(*) FROM worker WHERE lost IS NOT NULL"),
        1
    );
    assert!(bench.value("SELECT count(*) FROM result").as_i64() > Some(5));
}

#[test]
fn workers_without_a_coordinator_send_nothing_more() {
    for how in [libc::SIGKILL, libc::SIGSTOP] {
        let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
        data_set(&bench);
        let more = ["--rate", "100", "--duration", "60"];
        let child = start(&mut on_workers(&bench, &mock, "a,b", &more));
        await_requests(&mock, 20);
        signal(&child, how);
        // What was on its way, and of one that only stands still the time until that is noticed.
        std::thread::sleep(Duration::from_millis(6_000));
        let then = crate::helpers::seen(&mock);
        std::thread::sleep(Duration::from_millis(1_500));
        assert_eq!(crate::helpers::seen(&mock), then);
        signal(&child, libc::SIGKILL);
        wait(child);
    }
}

#[test]
fn a_later_load_that_does_not_begin_is_no_fault_of_the_arguments() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    data_set(&bench);
    let dying = noting_its_process(&bench);
    let load = ["--parallel", "2,4", "-n", "20", "--cool-down", "6s"];
    let more = ["--worker-program", &dying];
    let child = start(&mut on_workers(
        &bench,
        &mock,
        "a,b",
        &[&load[..], &more].concat(),
    ));
    let began = Instant::now();
    let is_over = || {
        let path = bench.path("run.db");
        // As long as it is being made, it cannot be read.
        let database = path.exists().then(|| rusqlite::Connection::open(path));
        let state = "SELECT state FROM run WHERE id = 1";
        let state = database.and_then(|database| {
            let database = database.ok()?;
            database
                .query_row(state, [], |row| row.get::<_, String>(0))
                .ok()
        });
        state.as_deref() == Some("finished")
    };
    while !is_over() {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(50));
    }
    kill_first(&bench);
    let ended = wait(child);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for said in ["error: load 2 of 2: worker ", "; the load was not begun"] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    assert_eq!(mock.bodies().len(), 20);
    // What came before is kept.
    let states = bench.rows("SELECT id, state FROM run");
    assert_eq!(states, [[Value::from(1), Value::from("finished")]]);
}

#[test]
fn the_schedule_of_a_trace_is_whole_though_a_worker_is_lost() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    let entries: Vec<(u64, Option<usize>)> = (0..400).map(|entry| (entry * 50, None)).collect();
    bench.file("trace", crate::replay::conversations(&entries));
    let dying = noting_its_process(&bench);
    let tokenizer = crate::replay::tokenizer();
    let mut command = bench.perf(&["--url", &mock.chat(), "--dataset", "trace", "--trace"]);
    command
        .args(["--tokenizer-path", &tokenizer, "--on", "env"])
        .args(["--hosts", "a,b", "--worker-program", &dying]);
    let child = start(&mut command);
    await_requests(&mock, 5);
    kill_first(&bench);
    let ended = wait(child);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let replay = crate::helpers::of_run(&bench, "totals")["replay"].clone();
    assert_eq!(replay["requests"], 400, "{replay}");
    assert_eq!(replay["last_due_seconds"], 19.95, "{replay}");
}

#[test]
fn an_output_that_is_cut_off_is_a_loss_whatever_the_code() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    data_set(&bench);
    // Ends with 0 in the middle of the results.
    let cut = script(
        &bench,
        "cut",
        "$PROGRAM worker | dd bs=1 count=9000 status=none\nexit 0",
    );
    let more = [
        "--rate",
        "100",
        "--duration",
        "20",
        "--worker-program",
        &cut,
    ];
    let ended = run(&mut on_workers(&bench, &mock, "a,b", &more));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("was lost"), "{}", ended.stderr);
    assert!(ended.stderr.contains("its output"), "{}", ended.stderr);
    assert_eq!(bench.value("SELECT state FROM run"), "interrupted");
}

#[test]
fn an_interrupt_ends_all_workers_in_order() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    data_set(&bench);
    let more = ["--rate", "100", "--duration", "60", "--json", "out.json"];
    let child = start(&mut on_workers(&bench, &mock, "a,b", &more));
    await_requests(&mock, 20);
    signal(&child, libc::SIGINT);
    let ended = wait(child);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(!ended.stderr.contains("was lost"), "{}", ended.stderr);
    let document: Value =
        serde_json::from_str(&std::fs::read_to_string(bench.path("out.json")).unwrap()).unwrap();
    let totals = &document["runs"][0]["totals"];
    assert_eq!(
        totals["requests"]["issued"].as_u64(),
        Some(crate::helpers::seen(&mock))
    );
    assert_eq!(document["runs"][0]["state"], "interrupted");
    // The workers only did what they were told.
    let by_signal = ended.stderr.contains("by a signal");
    assert!(!by_signal, "{}", ended.stderr);
    assert_eq!(totals["client"]["stop_reason"], Value::Null);
    assert_eq!(totals["client"]["ended_by_coordinator"], false);
    for part in ["run.0.db", "run.1.db"] {
        let database = rusqlite::Connection::open(bench.path(part)).unwrap();
        let query = "SELECT state, totals FROM run";
        let (state, totals): (String, String) = database
            .query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!(state, "interrupted", "{part}");
        let client = serde_json::from_str::<Value>(&totals).unwrap()["client"].clone();
        assert_eq!(client["interrupted"], false, "{part}: {client}");
        assert_eq!(client["ended_by_coordinator"], true, "{part}: {client}");
        assert_eq!(client["stop_reason"], Value::Null, "{part}: {client}");
    }
}

#[test]
fn a_run_that_fails_from_the_start_is_stopped() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    let mut command = bench.perf(&["--url", &mock.url("/nowhere"), "--prompt", "x"]);
    command.args([
        "--rate", "200", "-n", "4000", "--on", "env", "--hosts", "a,b",
    ]);
    let ended = run(&mut command);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the run is stopped"),
        "{}",
        ended.stderr
    );
    assert_eq!(bench.value("SELECT state FROM run"), "failed");
    let totals = crate::helpers::of_run(&bench, "totals");
    assert_eq!(totals["client"]["interrupted"], false, "{totals}");
}

#[test]
fn a_load_that_is_over_otherwise_than_it_came_is_a_loss() {
    for (name, change, said) in [
        (
            "load",
            r#"s/"done":{"load":1,/"done":{"load":7,/"#,
            "it said that load 7 is over, in load 1",
        ),
        (
            "rows",
            r#"s/\("done":{"load":1,"rows":\)/\19/"#,
            "results and",
        ),
        (
            "digest",
            r#"s/\("done":.*"sha256":"\)[0-9a-f]\{8\}/\100000000/"#,
            "otherwise than it sent them (SHA-256)",
        ),
    ] {
        let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
        data_set(&bench);
        let text = format!("$PROGRAM worker | sed -u '{change}'");
        let lying = script(&bench, name, &text);
        let more = ["--parallel", "2", "-n", "6", "--worker-program", &lying];
        let ended = run(&mut on_workers(&bench, &mock, "a,b", &more));
        assert_eq!(ended.code, Some(1), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{name}: {}", ended.stderr);
        assert_eq!(bench.value("SELECT state FROM run"), "interrupted");
        // All results came, and are kept.
        assert_eq!(bench.value("SELECT count(*) FROM result"), 6);
    }
}

#[test]
fn a_worker_that_stood_still_for_too_long_sends_nothing_more() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    data_set(&bench);
    // In a session of its own, as behind ssh: what ends its starter does not reach it.
    let text = "exec setsid -w sh -c 'echo $$ >> processes; exec \"$0\" worker' $PROGRAM";
    let program = script(&bench, "worker.sh", text);
    let mut command = on_workers(&bench, &mock, "a", &["--worker-program", &program]);
    let child = start(command.args(["--rate", "300", "--duration", "60"]));
    await_requests(&mock, 20);
    signal_first(&bench, libc::SIGSTOP);
    let ended = wait(child);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("nothing came from it"),
        "{}",
        ended.stderr
    );
    std::thread::sleep(Duration::from_millis(1_500));
    let then = crate::helpers::seen(&mock);
    signal_first(&bench, libc::SIGCONT);
    std::thread::sleep(Duration::from_secs(2));
    // What a client thread was about to write as it was stopped.
    let later = crate::helpers::seen(&mock) - then;
    assert!(later <= 4, "{later} requests came");
    let query = "SELECT totals FROM run";
    let database = rusqlite::Connection::open(bench.path("run.0.db")).unwrap();
    let began = Instant::now();
    let totals = loop {
        let totals: Option<String> = database.query_row(query, [], |row| row.get(0)).unwrap();
        match totals {
            Some(totals) => break totals,
            None => assert!(began.elapsed() < Duration::from_secs(30), "it did not end"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    // It says why it ended, which was no signal.
    let client = serde_json::from_str::<Value>(&totals).unwrap()["client"].clone();
    assert_eq!(client["interrupted"], false, "{client}");
    let reason = client["stop_reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("the coordinator was gone: "), "{client}");
    let query = "SELECT state FROM run";
    let state: String = database.query_row(query, [], |row| row.get(0)).unwrap();
    assert_eq!(state, "interrupted");
}

#[test]
fn requests_of_a_lost_worker_that_were_due_are_counted() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    data_set(&bench);
    let program = noting_its_process(&bench);
    let mut command = on_workers(&bench, &mock, "a,b", &["--worker-program", &program]);
    let child = start(command.args(["--rate", "50", "--duration", "3s"]));
    await_requests(&mock, 3);
    signal_first(&bench, libc::SIGSTOP);
    let ended = wait(child);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let whole = Bench::new();
    let schedule = ["--prompt", "x", "--rate", "50", "--duration", "3s"];
    crate::helpers::good(&whole, &mock, &schedule);
    let all = whole.value("SELECT count(*) FROM result").as_u64();
    let totals = crate::helpers::of_run(&bench, "totals");
    assert_eq!(totals["requests"]["asked"].as_u64(), all, "{totals}");
    let workers = totals["workers"].as_array().unwrap();
    let due: Vec<u64> = workers
        .iter()
        .filter_map(|worker| worker["due_without_result"].as_u64())
        .collect();
    assert_eq!(due.len(), 1, "{totals}");
    let issued = totals["requests"]["issued"].as_u64().unwrap();
    assert_eq!(Some(issued + due[0]), all, "{totals}");
    let said = format!(
        "{} requests of its part that were due have no result",
        due[0]
    );
    let summary = ended
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(summary.contains(&said), "{}", ended.stdout);
}

#[test]
fn workers_are_known_though_the_coordinator_was_killed() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    let child = begun_on_two(&bench, &mock);
    // Rows are written a moment later.
    std::thread::sleep(Duration::from_millis(1_000));
    signal(&child, libc::SIGKILL);
    wait(child);
    let workers = bench.rows("SELECT name FROM worker WHERE clock_bound < 0.1 ORDER BY worker");
    assert_eq!(workers, [["a"], ["b"]].map(|row| row.map(Value::from)));
    let mut report = crate::support::program();
    let report = report
        .current_dir(bench.path(""))
        .args(["report", "run.db"]);
    let report = run(report);
    assert!(report.stdout.contains(" Worker "), "{}", report.stdout);
}
