//! The live view as text: figures of a run while it goes on, for a terminal of any width.
//!
//! ASCII throughout: there are terminals that show box-drawing characters two columns wide, and a view
//! whose lines are longer than it thinks cannot be redrawn in place.

use crate::live::{Phase, Snapshot};
use llmuses_core::metric::{THROUGHPUT, Time};
use llmuses_core::plan::Arrivals;
use llmuses_core::wording::UNKNOWN;
use std::time::Duration;

/// From this many columns on, figures have labels before them.
const LABELLED: usize = 34;

/// The width of the longest label that comes and goes, so that figures do not move with it.
const STABLE: usize = "Last 10 s".len();

/// From this many columns on, the line of the bar has room for the time that has gone.
const ROOMY: usize = 60;

/// With fewer columns there is no bar.
const BAR: usize = 16;

/// The view at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveText {
    /// How much of the run is over, from 0 to 1. `None` where there is no bar: that is not known, or
    /// there is no room.
    pub share: Option<f64>,
    /// What stands beside the bar, or in its place.
    pub beside: String,
    /// The lines below.
    pub lines: Vec<LiveLine>,
}

/// A line of the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveLine {
    /// The text; not longer than the terminal is wide.
    pub text: String,
    /// Whether it is about something that went wrong.
    pub warns: bool,
}

/// The view of a run on a terminal of so many columns.
pub fn live_text(snapshot: &Snapshot, columns: usize) -> LiveText {
    let labelled = columns >= LABELLED;
    let rows = rows(snapshot, labelled);
    let label_width = if labelled {
        rows.iter()
            .fold(STABLE, |most, row| most.max(row.label.len()))
            + 2
    } else {
        0
    };
    let lines = rows
        .iter()
        .flat_map(|row| row.lines(label_width, columns))
        .collect();
    let share = snapshot.share_done().filter(|_| columns >= BAR);
    LiveText {
        share,
        beside: cut(&beside(snapshot, columns), columns.saturating_sub(1)),
        lines,
    }
}

/// Figures that belong together.
struct Row {
    label: String,
    items: Vec<String>,
    warns: bool,
}

impl Row {
    fn new(label: impl Into<String>, items: Vec<String>) -> Self {
        Self {
            label: label.into(),
            items,
            warns: false,
        }
    }

    /// The row in lines, with the label before the first one, broken between items.
    fn lines(&self, label_width: usize, columns: usize) -> Vec<LiveLine> {
        let label = if label_width > 0 { &*self.label } else { "" };
        let line = |first: bool, text: &str| {
            let label = if first { label } else { "" };
            LiveLine {
                text: cut(&format!(" {label:<label_width$}{text}"), columns),
                warns: self.warns,
            }
        };
        let mut lines = Vec::new();
        let mut text = String::new();
        for (index, item) in self.items.iter().enumerate() {
            let comma = usize::from(index + 1 < self.items.len());
            let room = columns.saturating_sub(1 + label_width);
            if !text.is_empty() && text.len() + 1 + item.len() + comma > room {
                lines.push(line(lines.is_empty(), &text));
                text.clear();
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(item);
            if comma > 0 {
                text.push(',');
            }
        }
        lines.push(line(lines.is_empty(), &text));
        lines
    }
}

fn rows(snapshot: &Snapshot, labelled: bool) -> Vec<Row> {
    let mut rows = vec![
        requests(snapshot, labelled),
        load(snapshot, labelled),
        last_seconds(snapshot),
    ];
    for (of, _) in Time::recent() {
        let (label, times) = (of.in_short(), snapshot.recent.times[of]);
        // Without a label before it, each figure says whose it is.
        let whose = if labelled {
            String::new()
        } else {
            format!("{label} ")
        };
        let figures = match times {
            Some([p50, p99]) => vec![
                format!("{whose}p50 {}", time(p50)),
                format!("{whose}p99 {}", time(p99)),
            ],
            None => vec![format!("{whose}{UNKNOWN}")],
        };
        rows.push(Row::new(label, figures));
    }
    if !snapshot.failures.is_empty() {
        let kinds = snapshot.failures.iter();
        rows.push(Row {
            warns: true,
            ..Row::new(
                "Failures",
                kinds
                    .map(|failure| format!("{} {}", failure.kind, failure.count))
                    .collect(),
            )
        });
    }
    rows
}

fn requests(snapshot: &Snapshot, labelled: bool) -> Row {
    let mut items = Vec::new();
    if !labelled {
        items.extend(time_left(snapshot));
    }
    items.push(match snapshot.asked {
        Some(asked) => format!("{} of {asked} done", snapshot.completed()),
        None => format!("{} done", snapshot.completed()),
    });
    if snapshot.warmup > 0 {
        items.push(format!("{} as warm-up", snapshot.warmup));
    }
    items.push(format!("{} failed", snapshot.failed));
    if snapshot.disconnected > 0 {
        items.push(format!("{} disconnected", snapshot.disconnected));
    }
    items.push(format!("{} in flight", snapshot.in_flight));
    Row::new("Requests", items)
}

fn load(snapshot: &Snapshot, labelled: bool) -> Row {
    let mut items = Vec::new();
    let mut label = "Load".to_owned();
    if snapshot.of > 1 {
        let place = format!("{} of {}", snapshot.run, snapshot.of);
        if labelled {
            label = format!("Load {place}");
        } else {
            items.push(format!("load {place}"));
        }
    }
    items.push(snapshot.arrivals.name());
    match snapshot.phase {
        Phase::WarmingUp => items.push("warming up".to_owned()),
        Phase::Draining => items.push("draining".to_owned()),
        Phase::Issuing | Phase::Over => {}
    }
    Row::new(label, items)
}

fn last_seconds(snapshot: &Snapshot) -> Row {
    let recent = &snapshot.recent;
    let mut items = Vec::new();
    if let Arrivals::Open { rate, .. } = snapshot.arrivals {
        items.push(format!("asked {rate}/s"));
    }
    for (name, rate) in [
        ("begun", recent.begun_per_second()),
        ("done", recent.over_per_second()),
    ] {
        items.push(match rate {
            Some(rate) => format!("{name} {}/s", three_digits(rate)),
            None => format!("{name} {UNKNOWN}"),
        });
    }
    items.push(match THROUGHPUT.of(&recent.sums) {
        Some(rate) => format!("{} tokens/s", three_digits(rate)),
        None => format!("tokens {UNKNOWN}"),
    });
    Row::new(format!("Last {:.0} s", recent.seconds().max(1.0)), items)
}

/// What stands beside the bar.
fn beside(snapshot: &Snapshot, columns: usize) -> String {
    let mut parts = Vec::new();
    if let Some(share) = snapshot.share_done() {
        // Rounded down: all is done only when all is done.
        parts.push(format!("{:.0} %", (share * 100.0).floor()));
    }
    if columns >= ROOMY || parts.is_empty() {
        parts.push(format!("{} gone", clock(snapshot.elapsed)));
    }
    if columns >= LABELLED {
        parts.extend(time_left(snapshot));
    }
    parts.join(", ")
}

/// The time left in words. `None` where it cannot be said: the last ones take as long as they take.
fn time_left(snapshot: &Snapshot) -> Option<String> {
    if matches!(snapshot.phase, Phase::Draining | Phase::Over) {
        return None;
    }
    let left = snapshot.time_left()?;
    Some(format!("{} left", clock(left)))
}

/// `0:07`, `12:34`, `100:00:00`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// A time with three digits or more, in milliseconds or, from ten seconds on, in seconds.
fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 10.0 {
        format!("{} s", three_digits(seconds))
    } else {
        format!("{} ms", three_digits(seconds * 1000.0))
    }
}

/// A figure with three digits, or with all digits before its point.
fn three_digits(figure: f64) -> String {
    let decimals = if figure < 9.995 {
        2
    } else if figure < 99.95 {
        1
    } else {
        0
    };
    format!("{figure:.decimals$}")
}

/// At most so many characters of a text.
fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests;
