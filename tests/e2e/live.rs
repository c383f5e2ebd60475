//! The live view, on a terminal and where there is none.

use crate::helpers::{mock, quick_mock};
use crate::pty::{CTRL_C, CTRL_Z, Stdout, Terminal};
use crate::support::{Bench, Mock, run};
use std::process::Command;
use std::time::Duration;

/// About three seconds of requests.
fn slow_mock() -> Mock {
    mock(&["--ttft", "100ms", "--itl", "5ms", "--tokens", "10"])
}

fn perf(bench: &Bench, mock: &Mock, arguments: &[&str]) -> Command {
    let url = mock.chat();
    let mut command = bench.perf(&["--url", &url, "--prompt", "x"]);
    command.args(arguments);
    command
}

/// Fails the test where anything of the view is left.
fn assert_clean(screen: &str) {
    for left in [
        "[=",
        "[>",
        "[ ",
        " in flight\n",
        "TTFT  ",
        "Last ",
        "\u{1b}",
    ] {
        assert!(!screen.contains(left), "`{left}` is left:\n{screen}");
    }
}

#[test]
fn it_shows_how_the_run_goes_and_leaves_nothing() {
    let (bench, mock) = (Bench::new(), slow_mock());
    let arguments = ["-n", "80", "--parallel", "4"];
    let terminal = Terminal::start(
        &mut perf(&bench, &mock, &arguments),
        80,
        24,
        Stdout::Nowhere,
    );
    let screen = terminal.wait_for(|screen| screen.contains(" of 80 done, 0 failed, "));
    let view: Vec<&str> = screen
        .lines()
        .skip_while(|line| !line.starts_with(" ["))
        .collect();
    assert_eq!(view.len(), 6, "{screen}");
    for (line, label) in
        view[1..]
            .iter()
            .zip([" Requests ", " Load ", " Last ", " TTFT ", " TPOT "])
    {
        assert!(line.starts_with(label), "{screen}");
    }
    assert!(view[2].ends_with("parallel 4"), "{screen}");
    let screen = terminal.wait_for(|screen| screen.contains(" TPOT       p50 "));
    assert!(screen.contains("tokens/s"), "{screen}");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    assert_clean(&screen);
    let lines: Vec<&str> = screen.trim_end().lines().collect();
    // What begins, perhaps on two lines, and where the results are.
    assert!(lines[0].starts_with("80 requests to http://"), "{screen}");
    assert!(
        lines.last().unwrap().starts_with("80 requests are in"),
        "{screen}"
    );
    assert!(lines.len() <= 3, "{screen}");
    assert!(!screen.contains("perf - INFO"), "{screen}");
}

#[test]
fn the_summary_takes_the_place_of_the_view() {
    let (bench, mock) = (Bench::new(), slow_mock());
    let arguments = ["-n", "10", "--parallel", "2,3", "--warmup", "2"];
    let terminal = Terminal::start(
        &mut perf(&bench, &mock, &arguments),
        100,
        10,
        Stdout::Terminal,
    );
    terminal.wait_for(|screen| screen.contains(" Load 2 of 2  parallel 3"));
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    assert_clean(&screen);
    assert!(!screen.contains("Benchmarking summary:"), "{screen}");
    assert!(
        screen.contains("\nLoad 2 of 2, parallel 3: 8 requests in "),
        "{screen}"
    );
    assert!(screen.contains("\nSweep of 2 loads:\n"), "{screen}");
}

#[test]
fn it_follows_the_width_of_the_terminal() {
    let (bench, mock) = (Bench::new(), slow_mock());
    let terminal = Terminal::start(
        &mut perf(&bench, &mock, &["-n", "200", "--parallel", "4"]),
        80,
        24,
        Stdout::Nowhere,
    );
    terminal.wait_for(|screen| screen.contains(" of 200 done, 0 failed, "));
    for (columns, wanted) in [
        (40, " Requests   "),
        (20, " TTFT p50 "),
        // Too narrow for a view.
        (7, ""),
        (120, "in flight"),
    ] {
        terminal.resize(columns, 24);
        terminal.forget();
        // One drawing of the old width may be on its way.
        let drawn = |text: &str| text.matches("\x1b7").count() >= 4;
        if wanted.is_empty() {
            std::thread::sleep(Duration::from_millis(600));
        } else {
            terminal.wait_for(|_| drawn(&terminal.written()));
        }
        let written = terminal.written();
        let last = written.split("\x1b8").nth(2).unwrap_or_default();
        assert!(last.contains(wanted), "{columns}: {last:?}");
        for line in last.split("\r\n") {
            let text = line
                .replace("\x1b[36m", "")
                .replace("\x1b[0m", "")
                .replace("\x1b[K", "")
                .replace('\r', "");
            let text = text.split('\x1b').next().unwrap_or_default();
            assert!(text.len() <= columns.into(), "{columns}: {text:?}");
        }
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
}

#[test]
fn an_interrupt_is_told_above_it_and_then_shown() {
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "1500ms"]));
    let mut terminal = Terminal::start(
        &mut perf(&bench, &mock, &["-n", "50", "--parallel", "2"]),
        80,
        24,
        Stdout::Nowhere,
    );
    terminal.wait_for(|screen| screen.contains(" of 50 done"));
    terminal.press(CTRL_C);
    let screen = terminal.wait_for(|screen| screen.contains("parallel 2, draining"));
    assert_eq!(
        screen.matches("interrupted: no further").count(),
        1,
        "{screen}"
    );
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(1), "{screen}");
    assert_clean(&screen);
    assert!(screen.contains("(Ctrl-C again"), "{screen}");
}

#[test]
fn it_goes_away_while_the_program_is_stopped() {
    let (bench, mock) = (Bench::new(), slow_mock());
    let mut terminal = Terminal::start(
        &mut perf(&bench, &mock, &["-n", "60", "--parallel", "2"]),
        80,
        24,
        Stdout::Nowhere,
    );
    terminal.wait_for(|screen| screen.contains(" of 60 done"));
    terminal.press(CTRL_Z);
    let screen = terminal.wait_for(|screen| !screen.contains(" of 60 done"));
    assert_clean(&screen);
    std::thread::sleep(Duration::from_millis(600));
    assert_clean(&terminal.screen());
    terminal.signal(libc::SIGCONT);
    terminal.wait_for(|screen| screen.contains(" of 60 done"));
    assert!(!terminal.written().contains("\x1b[J"));
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    assert_clean(&screen);
}

#[test]
fn a_second_interrupt_ends_at_once_and_leaves_nothing() {
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "20s"]));
    let mut terminal = Terminal::start(
        &mut perf(&bench, &mock, &["-n", "50", "--parallel", "2"]),
        80,
        24,
        Stdout::Nowhere,
    );
    terminal.wait_for(|screen| screen.contains(" of 50 done"));
    terminal.signal(libc::SIGTERM);
    terminal.wait_for(|screen| screen.contains("draining"));
    terminal.press(CTRL_C);
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(130), "{screen}");
    assert_clean(&screen);
    let last = screen.trim_end().lines().last().unwrap_or_default();
    assert_eq!(last, "ended at once; what was stored so far is kept");
}

#[test]
fn failures_show_by_kind() {
    let (bench, mock) = (
        Bench::new(),
        mock(&["--error-rate", "0.5", "--ttft", "50ms"]),
    );
    let terminal = Terminal::start(
        &mut perf(&bench, &mock, &["-n", "120", "--parallel", "2"]),
        80,
        24,
        Stdout::Nowhere,
    );
    terminal.wait_for(|screen| screen.contains(" Failures   http-status "));
    let (_, screen) = terminal.end();
    assert_clean(&screen);
}

#[test]
fn lines_are_there_for_those_who_want_them() {
    let mock = quick_mock();
    for (arguments, variable) in [
        (&["--no-progress"][..], "TERM=xterm"),
        (&[], "TERM=dumb"),
        (&["--debug"], "TERM=xterm"),
    ] {
        let bench = Bench::new();
        let mut command = perf(&bench, &mock, &["-n", "20"]);
        command.args(arguments);
        let terminal = start_with(&command, variable);
        let (code, screen) = terminal.end();
        assert_eq!(code, Some(0), "{screen}");
        assert!(screen.contains("completed: 20"), "{arguments:?}: {screen}");
        assert_clean(&screen);
    }
}

/// As [`Terminal::start`], with a variable of the environment that is set behind the back of that.
fn start_with(command: &Command, variable: &str) -> Terminal {
    let mut with = Command::new("env");
    with.arg(variable)
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        with.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => with.env(name, value),
            None => with.env_remove(name),
        };
    }
    // Wide enough for a progress line.
    Terminal::start(&mut with, 500, 24, Stdout::Nowhere)
}

#[test]
fn a_pipe_gets_lines_and_nothing_else() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let ended = run(perf(&bench, &mock, &["-n", "20"]).env("TERM", "xterm-256color"));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains(['\x1b', '\r']), "{:?}", ended.stderr);
    assert_eq!(ended.stderr.matches("perf - INFO").count(), 1);
}

#[test]
fn no_colour_where_none_is_wanted() {
    let (bench, mock) = (Bench::new(), slow_mock());
    let command = perf(&bench, &mock, &["-n", "30", "--parallel", "4"]);
    let terminal = start_with(&command, "NO_COLOR=1");
    terminal.wait_for(|screen| screen.contains(" of 30 done"));
    assert!(!terminal.written().contains("\x1b[36m"));
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
}
