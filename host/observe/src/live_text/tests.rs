use super::*;
use crate::live::RecentFigures;
use crate::live::tests_support::{failing, snapshot};
use llmuses_core::metric::{Sums, TPOT};

/// The widths that are looked at.
const WIDTHS: [usize; 5] = [120, 80, 60, 40, 20];

/// A view as text, with a few characters in the place of the bar.
fn shown(snapshot: &Snapshot, columns: usize) -> String {
    let text = live_text(snapshot, columns);
    let bar = text
        .share
        .map_or(String::new(), |share| format!("[{share:.2}] "));
    let mut out = format!("{columns} columns:\n {bar}{}\n", text.beside);
    for line in text.lines {
        let mark = if line.warns { "  <- warns" } else { "" };
        out.push_str(&format!("{}{mark}\n", line.text));
    }
    out
}

fn at_all_widths(snapshot: &Snapshot) -> String {
    WIDTHS.map(|columns| shown(snapshot, columns)).join("\n")
}

fn sweep() -> Snapshot {
    Snapshot {
        run: 2,
        of: 12,
        ..snapshot()
    }
}

fn open() -> Snapshot {
    Snapshot {
        arrivals: Arrivals::poisson(32.5),
        asked: None,
        duration: Some(Duration::from_secs(3725)),
        in_flight: 1047,
        ..snapshot()
    }
}

fn warming_up() -> Snapshot {
    let mut times = snapshot().recent.times;
    times[TPOT] = None;
    Snapshot {
        phase: Phase::WarmingUp,
        elapsed: Duration::from_millis(700),
        succeeded: 0,
        warmup: 7,
        recent: RecentFigures {
            begun: 14,
            sums: Sums {
                wall_seconds: Some(0.7),
                completed: 7,
                output_tokens: Some(700.0),
                ..Sums::default()
            },
            times,
        },
        ..snapshot()
    }
}

fn draining() -> Snapshot {
    Snapshot {
        phase: Phase::Draining,
        ..failing()
    }
}

fn endless() -> Snapshot {
    Snapshot {
        arrivals: Arrivals::AllAtOnce,
        asked: None,
        elapsed: Duration::from_secs(100_000),
        recent: RecentFigures::default(),
        ..snapshot()
    }
}

#[test]
fn a_closed_loop() {
    insta::assert_snapshot!(at_all_widths(&snapshot()));
}

#[test]
fn an_open_loop_for_a_time() {
    insta::assert_snapshot!(at_all_widths(&open()));
}

#[test]
fn one_of_a_sweep() {
    insta::assert_snapshot!(at_all_widths(&sweep()));
}

#[test]
fn a_warm_up() {
    insta::assert_snapshot!(at_all_widths(&warming_up()));
}

#[test]
fn failures_and_the_end() {
    insta::assert_snapshot!(at_all_widths(&draining()));
}

#[test]
fn a_run_of_unknown_length() {
    insta::assert_snapshot!(at_all_widths(&endless()));
}

#[test]
fn no_line_is_longer_than_the_terminal_is_wide() {
    for columns in 1..150 {
        for snapshot in [snapshot(), open(), sweep(), warming_up(), draining()] {
            let text = live_text(&snapshot, columns);
            assert!(text.beside.len() < columns, "{columns}: {}", text.beside);
            for line in text.lines {
                assert!(line.text.len() <= columns, "{columns}: {}", line.text);
                assert!(line.text.is_ascii(), "{}", line.text);
            }
        }
    }
}

#[test]
fn figures_have_three_digits() {
    for (figure, expected) in [
        (0.0, "0.00"),
        (9.994, "9.99"),
        (9.996, "10.0"),
        (99.94, "99.9"),
        (99.96, "100"),
        (12345.6, "12346"),
    ] {
        assert_eq!(three_digits(figure), expected);
    }
    assert_eq!(time(Duration::from_micros(51_234)), "51.2 ms");
    assert_eq!(time(Duration::from_millis(9_999)), "9999 ms");
    assert_eq!(time(Duration::from_millis(12_340)), "12.3 s");
    assert_eq!(clock(Duration::from_secs(59)), "0:59");
    assert_eq!(clock(Duration::from_secs(360_000)), "100:00:00");
}
