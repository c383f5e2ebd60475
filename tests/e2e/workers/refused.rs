//! Runs of which nothing is sent, since not all workers are ready and alike or cannot do what is asked.

use super::{data_set, on_workers, script};
use crate::support::{Bench, Ended, Mock, run, signal, start, wait};
use std::time::Duration;

fn refused(ended: &Ended, mock: &Mock, said: &str) {
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert!(mock.bodies().is_empty());
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
        (
            "asks",
            "echo Are you sure?; exec sleep 60",
            "worker a (no worker has begun; printed last: Are you sure?)",
        ),
        // It goes on to answer pings.
        (
            "unready",
            "$PROGRAM worker | sed -u '/^{\"ready\":/d'",
            "not ready within 3 s: worker a (is not prepared yet), worker b (is not prepared yet)",
        ),
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

#[test]
fn a_worker_that_stands_still_before_the_start_is_late_and_sends_nothing() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    data_set(&bench);
    let text = "tee orders | sh -c 'echo $$ > process; exec \"$0\" worker' $PROGRAM";
    let program = script(&bench, "noting.sh", text);
    let more = ["--rate", "200", "--duration", "20s"];
    let more = [&more[..], &["--worker-program", &program]].concat();
    let child = start(&mut on_workers(&bench, &mock, "a", &more));
    let began = std::time::Instant::now();
    let is_told = || {
        let orders = std::fs::read_to_string(bench.path("orders"));
        orders.is_ok_and(|orders| orders.contains("{\"go\":"))
    };
    while !is_told() {
        assert!(began.elapsed() < Duration::from_secs(60), "no go came");
        std::thread::sleep(Duration::from_millis(10));
    }
    let process = std::fs::read_to_string(bench.path("process")).unwrap();
    let process: i32 = process.trim().parse().unwrap();
    for (signal, wait) in [(libc::SIGSTOP, 2_500), (libc::SIGCONT, 0)] {
        // SAFETY: two numbers; the process is a child of the program that this test started.
        assert_eq!(unsafe { libc::kill(process, signal) }, 0);
        std::thread::sleep(Duration::from_millis(wait));
    }
    let ended = wait(child);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let said = "late for the start of the load";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert!(mock.bodies().is_empty());
}
