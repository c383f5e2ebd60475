//! `llmuses demo`, with nothing set up.

use crate::helpers::{figure, progress};
use crate::pty::{CTRL_C, Stdout, Terminal};
use crate::support::{Bench, program, run};

fn files(bench: &Bench, folder: &str) -> Vec<std::ffi::OsString> {
    std::fs::read_dir(bench.path(folder))
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").file_name())
        .collect()
}

#[test]
fn it_measures_its_own_server_and_leaves_nothing_behind() {
    let _turn = crate::timing::turn();
    let bench = Bench::new();
    for folder in ["here", "temporary"] {
        std::fs::create_dir(bench.path(folder)).expect("a folder can be made");
    }
    let ended = run(program()
        .arg("demo")
        .current_dir(bench.path("here"))
        .env("TMPDIR", bench.path("temporary")));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let (stdout, lengths) = ended
        .stdout
        .split_once("\nWhat the server counted:\n")
        .expect("the lengths stand at the end");
    assert_eq!(
        lengths
            .matches("480 of 480 with the tokens asked for")
            .count(),
        2,
        "{lengths}"
    );
    let (summary, comparison) = stdout
        .split_once("What the server says it did, beside what was measured")
        .expect("the comparison stands behind the summary");
    assert!(!progress(&ended.stderr).is_empty(), "{}", ended.stderr);
    assert_eq!(figure(summary, "Succeed requests"), 480.0);
    assert_eq!(figure(summary, "Failed requests"), 0.0);
    let compared: Vec<(&str, Vec<f64>)> = comparison
        .lines()
        .skip(2)
        .map(|line| {
            let (label, figures) = line.split_at(25);
            let figures = figures.split_whitespace();
            (
                label.trim(),
                figures
                    .map(|text| text.parse().expect("a figure"))
                    .collect(),
            )
        })
        .collect();
    let labels: Vec<&str> = compared.iter().map(|(label, _)| *label).collect();
    assert_eq!(
        labels,
        [
            "time to first token mean",
            "time to first token p50",
            "time to first token p99",
            "time to first token max",
            "inter-token latency mean",
            "inter-token latency p50",
            "inter-token latency p99",
            "inter-token latency max",
            "requests"
        ]
    );
    for (label, figures) in &compared {
        let [server, measured, difference] = figures[..] else {
            panic!("{label}: {figures:?}");
        };
        assert!(
            (measured - server - difference).abs() < 0.002,
            "{label}: {figures:?}"
        );
    }
    // The true figures are what the server was set to: 50 and 9 ms, give or take.
    assert!(
        (45.0..80.0).contains(&compared[1].1[0]),
        "{}",
        compared[1].1[0]
    );
    assert!(
        (8.0..11.0).contains(&compared[4].1[0]),
        "{}",
        compared[4].1[0]
    );
    assert_eq!(compared[8].1, [480.0, 480.0, 0.0]);

    for folder in ["here", "temporary"] {
        assert_eq!(files(&bench, folder).len(), 0, "{folder}");
    }
}

#[test]
fn its_server_outlives_an_interrupt() {
    let bench = Bench::new();
    let mut command = program();
    command.arg("demo").current_dir(bench.path(""));
    let mut terminal = Terminal::start(&mut command, 100, 40, Stdout::Terminal);
    terminal.wait_for(|screen| screen.contains(" of 480 done"));
    // A terminal sends the signal to the server too, were it in the same process group.
    terminal.press(CTRL_C);
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(1), "{screen}");
    assert!(screen.contains(" Failed requests: 0\n"), "{screen}");
    assert!(screen.contains("The run was interrupted"), "{screen}");
}
