//! What workers send together, and what is kept of it.

use super::{data_set, on_workers, script};
use crate::support::{Bench, Mock, run};
use serde_json::Value;

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
        // It says who sent each part; nobody measured clocks for it.
        assert!(merged.stdout.contains(" part 2/3"), "{}", merged.stdout);
        let of_parts = "SELECT count(*) FROM worker WHERE requests > 0 AND clock_bound IS NULL";
        let of_parts: i64 = all.query_row(of_parts, [], |row| row.get(0)).unwrap();
        assert_eq!(of_parts, 3);
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
        // A request that is cancelled does not live to see the first token.
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
fn credentials_are_not_in_the_environment_of_what_starts_workers() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    data_set(&bench);
    let program = script(
        &bench,
        "noting.sh",
        "env > environment; exec $PROGRAM worker",
    );
    let more = [
        "--parallel",
        "2",
        "-n",
        "4",
        "--api-key-env",
        "KEY_OF_A_SERVER",
    ];
    let mut command = on_workers(&bench, &mock, "a", &more);
    command
        .args(["--worker-program", &program, "--no-wandb"])
        .env("KEY_OF_A_SERVER", "verysecret")
        .env("WANDB_API_KEY", "verysecret");
    let ended = run(&mut command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let environment = std::fs::read_to_string(bench.path("environment")).unwrap();
    assert!(environment.contains("PATH="), "{environment}");
    for name in ["verysecret", "KEY_OF_A_SERVER", "WANDB_API_KEY"] {
        assert!(!environment.contains(name), "{name}: {environment}");
    }
    // The workers have it all the same.
    let headers = crate::helpers::last_headers(&mock);
    assert_eq!(headers["authorization"], "Bearer verysecret");
}

#[test]
fn a_banner_without_a_line_end_does_not_hide_a_worker() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    data_set(&bench);
    let program = script(
        &bench,
        "banner.sh",
        "printf 'Welcome to n1'; exec $PROGRAM worker",
    );
    let more = ["--parallel", "2", "-n", "4", "--worker-program", &program];
    let ended = run(&mut on_workers(&bench, &mock, "a,b", &more));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let said = "worker a: Welcome to n1\n";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
fn workers_of_two_commands_are_not_merged() {
    let mock = crate::helpers::quick_mock();
    let benches = [(); 2].map(|()| {
        let bench = Bench::new();
        data_set(&bench);
        let more = ["--parallel", "2", "-n", "8"];
        let ended = run(&mut on_workers(&bench, &mock, "a,b", &more));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        bench
    });
    let mut merge = crate::support::program();
    merge
        .current_dir(benches[0].path(""))
        .args(["merge", "all.db", "run.0.db"])
        .arg(benches[1].path("run.1.db"));
    let merged = run(&mut merge);
    assert_eq!(merged.code, Some(2), "{}", merged.stderr);
    let said = "are not parts of one run: id of the run: ";
    assert!(merged.stderr.contains(said), "{}", merged.stderr);
    assert!(!benches[0].path("all.db").exists());
}

#[test]
fn another_build_of_the_same_version_is_told() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    // What stands behind the end of a program does not matter to the system.
    let text = "case $1 in b) cp $PROGRAM other; echo >> other; PROGRAM=./other;; esac\nexec $PROGRAM worker";
    let on = format!("{} {{}}", script(&bench, "worker.sh", text));
    let load = ["--prompt", "x", "--parallel", "2", "-n", "8"];
    let mut command = bench.perf(&["--url", &mock.chat()]);
    let ended = run(command.args(load).args(["--on", &on, "--hosts", "a,b"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let said = "note: the program of worker b is another build of the same version";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}
