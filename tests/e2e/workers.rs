//! One run that workers send: children on this machine, started and lost in every way.

use crate::support::{Bench, Ended, Mock, run, signal, start, wait};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

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

/// A worker's program that first appends the number of its process to the file `processes`.
fn noting_its_process(bench: &Bench) -> String {
    let text = "echo $$ >> processes\nexec $PROGRAM \"$@\"";
    script(bench, "worker.sh", text)
}

/// The number and due time of each request, in seconds after the start.
fn due(bench: &Bench, database: &str) -> Vec<(i64, f64)> {
    let database = rusqlite::Connection::open(bench.path(database)).unwrap();
    let query = "SELECT number, intended_time - first_due_time FROM result JOIN run ON run.id = run ORDER BY number";
    let mut statement = database.prepare(query).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// The prompts that the server saw, in the order of their text.
fn prompts(mock: &Mock) -> Vec<String> {
    let mut prompts = crate::helpers::prompts(mock);
    prompts.sort();
    prompts
}

fn refused(ended: &Ended, mock: &Mock, said: &str) {
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert!(mock.bodies().is_empty());
}

#[test]
fn workers_send_what_one_process_sends() {
    let bench = Bench::new();
    data_set(&bench);
    for more in [
        &["--rate", "150", "-n", "90"][..],
        &["--parallel", "5", "-n", "90"],
    ] {
        let mock = crate::helpers::quick_mock();
        let alone = Bench::new();
        data_set(&alone);
        let mut whole = alone.perf(&["--url", &mock.chat()]);
        whole
            .args(["--dataset", "prompts.txt", "--parser", "openai_chat"])
            .args(["--dataset-parser", "lines"])
            .args(more);
        let whole = run(&mut whole);
        assert_eq!(whole.code, Some(0), "{}", whole.stderr);
        let expected = prompts(&mock);

        let mock = crate::helpers::quick_mock();
        let bench = Bench::new();
        data_set(&bench);
        let ended = run(&mut on_workers(&bench, &mock, "a,b,c", more));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(prompts(&mock), expected);
        let (found, expected) = (due(&bench, "run.db"), due(&alone, "run.db"));
        let numbers =
            |due: &[(i64, f64)]| due.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        assert_eq!(numbers(&found), (0..90).collect::<Vec<i64>>());
        if more[0] == "--rate" {
            for ((number, at), (_, asked)) in found.iter().zip(&expected) {
                assert!(
                    (at - asked).abs() < 1e-5,
                    "request {number}: {at} and {asked}"
                );
            }
        }
        let workers = bench.value("SELECT count(DISTINCT worker) FROM result");
        assert_eq!(workers, 3);
        // Texts are with the workers, and merge brings them together.
        let mut merge = crate::support::program();
        merge
            .current_dir(bench.path(""))
            .args(["merge", "all.db", "run.0.db", "run.1.db", "run.2.db"]);
        let merged = run(&mut merge);
        assert_eq!(merged.code, Some(0), "{}", merged.stderr);
        let all = rusqlite::Connection::open(bench.path("all.db")).unwrap();
        let texts = "SELECT count(*) FROM result WHERE request LIKE '%prompt%'";
        let texts: i64 = all.query_row(texts, [], |row| row.get(0)).unwrap();
        assert_eq!(texts, 90);
        assert_eq!(due(&bench, "all.db").len(), 90);
        let totals = crate::helpers::of_run(&bench, "totals");
        let of_each = totals["workers"].as_array().unwrap();
        let sent: u64 = of_each
            .iter()
            .map(|worker| worker["requests"].as_u64().unwrap())
            .sum();
        assert_eq!((of_each.len(), sent), (3, 90));
        assert!(of_each[1]["clock_bound_seconds"].as_f64().unwrap() < 0.01);
        assert!(ended.stdout.contains(" Worker "), "{}", ended.stdout);
        assert!(totals["bytes_received"].as_u64() > Some(1000));
    }
}

#[test]
fn a_sweep_has_the_same_workers_for_each_load() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    data_set(&bench);
    let counting = script(
        &bench,
        "worker.sh",
        "echo started >> started\nexec $PROGRAM \"$@\"",
    );
    let more = [
        "--parallel",
        "2,4",
        "-n",
        "20",
        "--save",
        "summary",
        "--worker-program",
        &counting,
    ];
    let ended = run(&mut on_workers(&bench, &mock, "a,b", &more));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let started = std::fs::read_to_string(bench.path("started")).unwrap();
    assert_eq!(started.lines().count(), 2);
    assert_eq!(mock.bodies().len(), 40);
    assert_eq!(
        bench.value("SELECT count(*) FROM run WHERE state = 'finished'"),
        2
    );
    assert!(!bench.path("run.0.db").exists());
}

#[test]
fn a_worker_that_is_killed_ends_the_run() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    data_set(&bench);
    let dying = noting_its_process(&bench);
    let more = [
        "--rate",
        "100",
        "--duration",
        "60",
        "--worker-program",
        &dying,
    ];
    let mut child = start(&mut on_workers(&bench, &mock, "a,b", &more));
    await_requests(&mock, 20);
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

/// Kills the first worker of a script that writes down which processes it becomes.
fn kill_first(bench: &Bench) {
    let processes = std::fs::read_to_string(bench.path("processes")).unwrap();
    let victim: i32 = processes.lines().next().unwrap().parse().unwrap();
    // SAFETY: two numbers; the process is a child of the program that this test started.
    assert_eq!(unsafe { libc::kill(victim, libc::SIGKILL) }, 0);
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
fn nothing_is_sent_unless_all_workers_are_ready() {
    let bench = Bench::new();
    data_set(&bench);
    let never = "case $1 in a) exec $PROGRAM worker;; *) exec sleep 60;; esac";
    for (name, text, said) in [
        (
            "never",
            never,
            "not ready within 3 s: worker b (said nothing)",
        ),
        (
            "lies",
            "$PROGRAM worker | sed -u 's/\"version\":\"[^\"]*\"/\"version\":\"0.0.1\"/'",
            "another version of llmuses than this machine: 0.0.1",
        ),
        (
            "gone",
            "echo no such machine >&2; exit 255",
            "exit status: 255",
        ),
        ("chatty", "echo Welcome; exit 0", "its output ended"),
    ] {
        let mock = crate::helpers::quick_mock();
        let program = script(&bench, name, text);
        let mut command = bench.perf(&[
            "--url",
            &mock.chat(),
            "--prompt",
            "x",
            "-n",
            "4",
            "--parallel",
            "2",
        ]);
        let on = format!("{program} {{}}");
        let command = command.args(["--on", &on, "--hosts", "a,b", "--workers-timeout", "3s"]);
        refused(&run(command), &mock, said);
        assert!(!bench.path("run.db").exists());
    }
}

/// A script whose worker runs in the folder `elsewhere` in place of that of the coordinator.
fn elsewhere(bench: &Bench) -> String {
    let folder = bench.path("elsewhere").to_string_lossy().into_owned();
    std::fs::create_dir_all(&folder).unwrap();
    let here = bench.path("").to_string_lossy().into_owned();
    let here = here.trim_end_matches('/');
    let text =
        format!("sed -u 's|\"folder\":\"{here}\"|\"folder\":\"{folder}\"|' | $PROGRAM worker");
    script(bench, "elsewhere.sh", &text)
}

#[test]
fn another_data_set_or_a_missing_one_is_refused() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    data_set(&bench);
    let program = elsewhere(&bench);
    for (content, said) in [
        (Some("prompt 1\n"), "another data set (SHA-256)"),
        (None, "prompts.txt"),
    ] {
        let file = bench.path("elsewhere/prompts.txt");
        std::fs::remove_file(&file).ok();
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let more = [
            "--parallel",
            "2",
            "-n",
            "4",
            "--save",
            "none",
            "--worker-program",
            &program,
        ];
        refused(
            &run(&mut on_workers(&bench, &mock, "a,b", &more)),
            &mock,
            said,
        );
    }
}

#[test]
fn other_files_of_which_requests_are_made_are_refused() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    let program = elsewhere(&bench);
    let path = std::path::PathBuf::from(crate::replay::tokenizer()).join("tokenizer.json");
    let tokenizer = std::fs::read_to_string(path).unwrap();
    // The same to whoever reads it.
    let other = format!("{tokenizer} ");
    let files = [
        ("words.txt", "one two three four five", "one two three"),
        ("rates.csv", "0,50\n1,50\n", "0,50\n2,50\n"),
        ("tokenizer.json", tokenizer.as_str(), other.as_str()),
    ];
    let made_up = [
        "--input-tokens",
        "20",
        "--text",
        "words.txt",
        "--tokenizer-path",
        "tokenizer.json",
    ];
    for (index, what) in ["text of prompts", "table of rates", "tokenizer"]
        .into_iter()
        .enumerate()
    {
        for (place, (name, here, there)) in files.iter().enumerate() {
            bench.file(name, here);
            let there = if place == index { there } else { here };
            bench.file(&format!("elsewhere/{name}"), there);
        }
        let mut command = bench.perf(&["--url", &mock.chat()]);
        command
            .args(made_up)
            .args(["--rate-from", "rates.csv", "--save", "none"])
            .args(["--on", "env", "--hosts", "a,b"])
            .args(["--worker-program", &program]);
        let said = format!("has another {what} (SHA-256)");
        refused(&run(&mut command), &mock, &said);
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
fn one_worker_has_a_database_of_its_own() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    data_set(&bench);
    let headers = ["--headers", "X-Below=-5", "X-Empty="];
    let load = ["--parallel", "2", "-n", "6"];
    let ended = run(&mut on_workers(
        &bench,
        &mock,
        "a",
        &[&load[..], &headers].concat(),
    ));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let said = "are with the worker, in run.0.db";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert_eq!(due(&bench, "run.0.db").len(), 6);
    assert_eq!(due(&bench, "run.db").len(), 6);
    // The only part can be merged too, as a job of one task does.
    let merged = crate::helpers::typed(&bench, &["merge", "all.db", "run.0.db"]);
    assert_eq!(merged.code, Some(0), "{}", merged.stderr);
    assert_eq!(due(&bench, "all.db").len(), 6);
    let both = crate::helpers::typed(&bench, &["merge", "both.db", "run.0.db", "run.db"]);
    assert_eq!(both.code, Some(2), "{}", both.stderr);
    assert!(
        both.stderr.contains("run.db holds a whole run"),
        "{}",
        both.stderr
    );
    // The coordinator is no other run.
    let client = crate::helpers::of_run(&bench, "totals")["client"].clone();
    assert_eq!(client["other_runs"], Value::Null, "{client}");
    let sent = crate::helpers::last_headers(&mock);
    assert_eq!(
        (&sent["x-below"], &sent["x-empty"]),
        (&"-5".into(), &"".into())
    );
}

/// Number, model and kind of failure of each request.
fn requests(bench: &Bench) -> Vec<Vec<Value>> {
    bench.rows("SELECT number, model, error_kind FROM result ORDER BY number")
}

#[test]
fn a_trace_for_several_models_is_sent_by_workers_as_by_one_process() {
    let tokenizer = crate::replay::tokenizer();
    let entries: Vec<(u64, Option<usize>)> = (0..60)
        .map(|number| (number as u64 * 20, (number >= 45).then(|| number - 15)))
        .collect();
    let mut found = Vec::new();
    for on in [&[][..], &["--on", "env", "--hosts", "a,b"]] {
        let bench = Bench::new();
        // A request that is broken off does not live to see the first token.
        let mock = crate::helpers::mock(&["--ttft", "300ms"]);
        bench.file("trace", crate::replay::conversations(&entries));
        let mut command = bench.perf(&["--url", &mock.chat(), "--model", "base=3"]);
        command
            .args(["--dataset", "trace", "--trace", "--cancel", "30%:100ms"])
            .args(["--tokenizer-path", &tokenizer])
            .args(on);
        let ended = run(&mut command);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let totals = crate::helpers::of_run(&bench, "totals");
        let rows = requests(&bench);
        let broken_off = rows.iter().filter(|row| row[2] == "disconnected").count();
        assert_eq!(totals["requests"]["disconnected"], broken_off);
        assert!((5..=35).contains(&broken_off), "{broken_off}");
        let replay = &totals["replay"];
        let schedule = (
            replay["requests"].clone(),
            replay["last_due_seconds"].clone(),
        );
        assert_eq!(schedule, (60.into(), 1.18.into()));
        let models = totals["groups"].as_array().unwrap().iter();
        let models: Vec<(Value, Value)> = models
            .filter(|group| group["by"] == "model")
            .map(|group| (group["name"].clone(), group["completed"].clone()))
            .collect();
        assert_eq!(models.len(), 2, "{totals}");
        found.push((rows, models));
    }
    assert_eq!(found[0], found[1]);
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
fn credentials_are_in_no_argument_and_no_environment_of_a_worker() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    let spying = script(
        &bench,
        "worker.sh",
        "(cat /proc/$$/cmdline; env; echo \"$@\") >> seen\nexec $PROGRAM \"$@\"",
    );
    let url = mock.chat();
    let mut command = bench.perf(&["--url", &url, "--prompt", "x", "-n", "6", "--parallel", "2"]);
    command
        .args([
            "--headers",
            "Authorization=Bearer verysecret",
            "--on",
            "env",
            "--hosts",
            "a,b",
        ])
        .args(["--worker-program", &spying]);
    let ended = run(&mut command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let seen = std::fs::read_to_string(bench.path("seen")).unwrap();
    assert!(!seen.contains("verysecret"));
    assert_eq!(
        crate::helpers::last_headers(&mock)["authorization"],
        "Bearer verysecret"
    );
    for part in 0..2 {
        let bytes = std::fs::read(bench.path(&format!("run.{part}.db"))).unwrap();
        let secret = b"verysecret";
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
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
fn what_workers_cannot_do_is_said() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    bench.file(
        "trace",
        crate::replay::conversations(&[(0, None), (10, None)]),
    );
    let on = ["--on", "env", "--hosts", "a,b"];
    for (more, said) in [
        (&["--parallel", "2", "--dataset", "-"][..], "--dataset -"),
        (&["--prompt", "x", "--record", "x.txt"], "--record"),
        (&["--prompt", "x", "--shard", "0/2"], "--shard"),
        (&["--prompt", "x", "--debug"], "--debug"),
        (
            &["--parallel", "2", "--input-tokens", "50"],
            "--tokenizer-path",
        ),
        (&["--dataset", "trace", "--trace"], "--tokenizer-path"),
        (
            &["--prompt", "x", "--parallel", "1"],
            "cannot be split into 2 parts",
        ),
        (
            &["--prompt", "x", "--parallel", "4", "--hosts", "c,"],
            "--hosts",
        ),
    ] {
        let mut command = bench.perf(&["--url", &mock.chat()]);
        refused(&run(command.args(on).args(more)), &mock, said);
    }
    let mut by_hand = crate::support::program();
    let ended = run(by_hand.args(["worker", "--nonsense"]));
    assert_eq!(ended.code, Some(2));
}

#[test]
fn an_idle_worker_waits_for_a_signal() {
    let mut command = crate::support::program();
    let child = start(command.args(["worker", "--idle"]));
    std::thread::sleep(Duration::from_millis(500));
    signal(&child, libc::SIGTERM);
    assert_eq!(wait(child).code, Some(0));
}
