//! The loads of a sweep: a line when each is over, and at the end all of them in a table and a chart.

use super::details::push_doubt;
use super::histogram::bar;
use super::look::Look;
use super::paint::{Colour, Painted};
use super::table::{push_notes, push_table};
use super::text::{columns_of, push_wrapped, to_the_left, to_the_right};
use crate::digits::{counted, fixed};
use crate::sections::{self, Number, Part, independent_samples, load_of, verdict_in_short};
use llmuses_core::document::{Percentile, Reason, RepeatFigures, Run, Totals};
use llmuses_core::metric::{Figure, LATENCY, QPS, THROUGHPUT, TTFT, Time};
use llmuses_core::plan::RunPlace;

/// The widest bar of a chart.
const WIDEST_BAR: usize = 40;

/// One line, without a line end, about a load that is over.
pub fn load_line(run: &Run, place: RunPlace) -> String {
    let load = format!("Load {} of {}, {}", place.run, place.runs, load_of(run));
    let Some(totals) = &run.totals else {
        return format!("{load}: {}", run.state.as_str());
    };
    let part = Part::new("", totals);
    let wall = totals.wall_seconds.unwrap_or_default();
    let mut parts = vec![format!(
        "{} in {wall:.1} s",
        counted(totals.requests.completed, "request")
    )];
    for (figure, unit, decimals) in [(QPS, "requests/s", 2), (THROUGHPUT, "tokens/s", 1)] {
        let number = part.figure(figure, decimals);
        if !number.is_unknown() {
            parts.push(format!("{} {unit}", number.text));
        }
    }
    for (name, time) in [("TTFT", TTFT), ("latency", LATENCY)] {
        if totals.times[time].samples > 0 {
            let at = |percentile| part.time(time).certain(percentile).text;
            let (p50, p99) = (at(Percentile::P50), at(Percentile::P99));
            parts.push(format!("{name} p50 {p50} ms p99 {p99} ms"));
        }
    }
    parts.push(format!("{} failed", totals.requests.failed));
    if totals.requests.disconnected > 0 {
        parts.push(format!("{} disconnected", totals.requests.disconnected));
    }
    parts.push(verdict_in_short(run));
    format!("{load}: {}", parts.join(", "))
}

/// The table and the chart of the loads, in the order in which they were run, and what speaks against them. `not_run`:
/// which loads were not run, and why.
pub fn sweep_summary(runs: &[Run], not_run: Option<&str>, look: Look) -> Painted {
    let mut out = Painted::default();
    let what = match runs.iter().all(|run| run.plan.load.repeat.is_some()) {
        true => "run",
        false => "load",
    };
    out.text = format!("\nSweep of {}:\n", counted(runs.len() as u64, what));
    let parts: Vec<Part<'_, Run>> = runs.iter().map(|run| Part::new("", run)).collect();
    let table = sections::sweep(&parts);
    push_table(&mut out.text, &table, look.columns());
    push_notes(&mut out.text, &table, look.words());
    let repeats = RepeatFigures::of(runs);
    let repeats = Part::new("/repeats", &repeats).items();
    for table in sections::repeats(&repeats, runs) {
        out.text.push_str(&format!("\n{}:\n", table.label));
        push_table(&mut out.text, &table, look.columns());
        push_notes(&mut out.text, &table, look.words());
    }
    if let Some(table) = sections::objectives_of_loads(&parts) {
        out.text.push('\n');
        push_table(&mut out.text, &table, look.columns());
        push_notes(&mut out.text, &table, look.words());
    }
    let loads: Vec<(String, &Totals)> = runs
        .iter()
        .filter_map(|run| Some((load_of(run), run.totals.as_ref()?)))
        .collect();
    let goodput: Vec<String> = loads
        .iter()
        .filter_map(|(name, totals)| {
            let goodput = totals.goodput.as_ref()?;
            Some(format!("{name} {}/s", fixed(goodput.per_second, 2)))
        })
        .collect();
    if !goodput.is_empty() {
        let goodput = goodput.join(", ");
        push_wrapped(&mut out.text, " Goodput: ", &goodput, look.words());
    }
    out.append(chart(&loads, look));
    if let Some(not_run) = not_run {
        out.text.push('\n');
        push_wrapped(&mut out.text, " ", not_run, look.words());
    }
    doubts(&mut out, runs, look);
    super::details::more(&mut out, look);
    out
}

/// A column of the chart: its head, and for each load a solid bar, a dotted one that goes on to a larger value, and what
/// both are in digits.
struct Bars {
    head: String,
    rows: Vec<Option<(f64, f64, String)>>,
}

impl Bars {
    /// The median and the 99th percentile of a time.
    fn of_time(name: &str, time: Time, loads: &[(String, &Totals)]) -> Self {
        let row = |totals: &Totals| {
            let spread = &totals.times[time];
            let (p50, p99) = (
                spread.percentile(Percentile::P50)?,
                spread.percentile(Percentile::P99)?,
            );
            let part = Part::new("", totals);
            let samples = independent_samples(totals, time);
            let text = |percentile: Percentile| {
                let Number { text, .. } = part.time(time).certain(percentile);
                let mark = if percentile.is_short(samples) {
                    "*"
                } else {
                    ""
                };
                format!("{text}{mark}")
            };
            let digits = format!("{} .. {}", text(Percentile::P50), text(Percentile::P99));
            Some((p50, p99, digits))
        };
        Self {
            head: format!("{name}: p50 #, p99 -, ms"),
            rows: loads.iter().map(|(_, totals)| row(totals)).collect(),
        }
    }

    /// A figure of each load. `None` where no load has it.
    fn of_figure(head: &str, figure: Figure, loads: &[(String, &Totals)]) -> Option<Self> {
        let row = |totals: &Totals| {
            let value = totals.figures.get(figure)?;
            Some((value, value, fixed(Some(value), 1)))
        };
        let rows: Vec<_> = loads.iter().map(|(_, totals)| row(totals)).collect();
        rows.iter().any(Option::is_some).then(|| Self {
            head: head.to_owned(),
            rows,
        })
    }

    fn digits(&self) -> usize {
        let digits = self.rows.iter().flatten();
        digits
            .map(|(_, _, text)| columns_of(text))
            .max()
            .unwrap_or(0)
    }

    fn most(&self) -> f64 {
        let ends = self.rows.iter().flatten();
        ends.map(|(_, end, _)| *end).fold(0.0, f64::max)
    }

    /// Appends a row with a bar of so many columns at most.
    fn push(&self, out: &mut Painted, row: usize, room: usize) {
        let Some((value, end, digits)) = &self.rows[row] else {
            out.text
                .push_str(&to_the_left("n/a", room + 1 + self.digits()));
            return;
        };
        let most = self.most();
        let share = |value: f64| if most > 0.0 { value / most } else { 0.0 };
        let (solid, whole) = (bar(share(*value), room), bar(share(*end), room));
        let dotted = "-".repeat(whole.len().saturating_sub(solid.len()));
        let left = room.saturating_sub(solid.len() + dotted.len());
        out.push(Colour::Bar, &format!("{solid}{dotted}"));
        out.text.push_str(&" ".repeat(left + 1));
        out.text.push_str(&to_the_right(digits, self.digits()));
    }
}

/// TTFT and throughput of each load as bars, beside one another where there is room. Nothing of fewer than two loads.
fn chart(loads: &[(String, &Totals)], look: Look) -> Painted {
    let mut out = Painted::default();
    if loads.len() < 2 {
        return out;
    }
    let time = if loads
        .iter()
        .any(|(_, totals)| totals.times[TTFT].samples > 0)
    {
        Bars::of_time("TTFT", TTFT, loads)
    } else {
        Bars::of_time("Latency", LATENCY, loads)
    };
    let throughput = Bars::of_figure("Output tokens/s", THROUGHPUT, loads)
        .or_else(|| Bars::of_figure("Requests/s", QPS, loads));
    let bars: Vec<Bars> = [Some(time), throughput].into_iter().flatten().collect();
    let names = loads
        .iter()
        .map(|(name, _)| columns_of(name))
        .max()
        .unwrap_or(0);
    // The name of the load, and for each chart two spaces before its bar and one before its digits.
    let digits: usize = bars.iter().map(|bars| bars.digits() + 3).sum();
    let room = look.columns().saturating_sub(1 + names + digits) / bars.len();
    const SHORTEST_BAR: usize = 10;
    if room >= SHORTEST_BAR {
        let all: Vec<&Bars> = bars.iter().collect();
        rows(&mut out, loads, names, &all, room.min(WIDEST_BAR));
    } else {
        for bars in &bars {
            let room = look.columns().saturating_sub(1 + names + bars.digits() + 3);
            rows(&mut out, loads, names, &[bars], room.clamp(1, WIDEST_BAR));
        }
    }
    out
}

fn rows(out: &mut Painted, loads: &[(String, &Totals)], names: usize, bars: &[&Bars], room: usize) {
    let mut head = format!("\n {}", " ".repeat(names));
    for bars in bars {
        let whole = room + 1 + bars.digits();
        head.push_str(&format!("  {}", to_the_left(&bars.head, whole)));
    }
    out.text.push_str(head.trim_end());
    out.text.push('\n');
    for (row, (name, _)) in loads.iter().enumerate() {
        out.text.push_str(&format!(" {}", to_the_left(name, names)));
        for bars in bars {
            out.text.push_str("  ");
            bars.push(out, row, room);
        }
        out.text.push('\n');
    }
}

/// The doubts about the loads, each with the loads that it is about, and with the figure of the first of them.
fn doubts(out: &mut Painted, runs: &[Run], look: Look) {
    let mut found: Vec<(&Reason, Vec<String>)> = Vec::new();
    for run in runs {
        for doubt in run.verdict.iter().flat_map(|verdict| &verdict.doubts) {
            match found
                .iter_mut()
                .find(|(known, _)| known.reason == doubt.reason)
            {
                // Of a load that was repeated, each run may have it.
                Some((_, loads)) if loads.contains(&load_of(run)) => {}
                Some((_, loads)) => loads.push(load_of(run)),
                None => found.push((doubt, vec![load_of(run)])),
            }
        }
    }
    out.text.push('\n');
    if found.is_empty() {
        out.push(
            Colour::Good,
            "Verdict: nothing speaks against these numbers.",
        );
        out.text.push('\n');
        return;
    }
    let reasons = counted(found.len() as u64, "reason");
    out.push(
        Colour::Careful,
        &format!("Verdict: {reasons} to read these numbers with care."),
    );
    out.text.push('\n');
    for (index, (doubt, loads)) in found.iter().enumerate() {
        let whose = match loads.as_slice() {
            [one] => format!("{one}: "),
            [first, ..] => format!("{}; of {first}: ", loads.join(", ")),
            [] => String::new(),
        };
        let number = format!("{:>3}. ", index + 1);
        push_doubt(&mut out.text, &number, &whose, doubt, true, look);
    }
}
