//! The end of a sweep: its loads side by side, and throughput against latency as a chart of characters.

use super::table::{push_notes, push_table};
use crate::digits::fixed;
use crate::sections::{self, Part, load_of};
use llmuses_core::document::{Percentile, Run, Totals};
use llmuses_core::metric::LATENCY;

/// The size of the chart, in characters.
const CHART_WIDTH: usize = 64;
const CHART_HEIGHT: usize = 14;

/// The table and the chart of the loads, in the order in which they were run.
pub fn sweep_summary(runs: &[Run]) -> String {
    let mut out = format!("Sweep of {} loads:\n", runs.len());
    let parts: Vec<Part<'_, Run>> = runs.iter().map(|run| Part::new("", run)).collect();
    let table = sections::sweep(&parts);
    push_table(&mut out, &table);
    push_notes(&mut out, &table);
    let loads: Vec<Load<'_>> = runs.iter().filter_map(Load::of).collect();
    let goodput: Vec<String> = loads
        .iter()
        .filter_map(|load| {
            let goodput = load.totals.goodput.as_ref()?;
            Some(format!("{} {}/s", load.name, fixed(goodput.per_second, 2)))
        })
        .collect();
    if !goodput.is_empty() {
        out.push_str(&format!(" Goodput: {}\n", goodput.join(", ")));
    }
    chart(&mut out, &loads);
    out
}

/// A load of the sweep.
struct Load<'a> {
    name: String,
    totals: &'a Totals,
}

impl<'a> Load<'a> {
    fn of(run: &'a Run) -> Option<Self> {
        Some(Self {
            name: load_of(run),
            totals: run.totals.as_ref()?,
        })
    }
}

/// Throughput against the median latency, a digit or letter for each load; nothing where fewer than two
/// loads have both.
fn chart(out: &mut String, loads: &[Load<'_>]) {
    let points: Vec<(char, f64, f64)> = "123456789abcdefghijklmnopqrstuvwxyz"
        .chars()
        .zip(loads)
        .filter_map(|(mark, load)| {
            let latency = load.totals.times[LATENCY].percentile(Percentile::P50)?;
            let rates = &load.totals.rates;
            let throughput = rates
                .output_tokens_per_second
                .or(rates.succeeded_per_second)?;
            Some((mark, throughput, latency * 1e3))
        })
        .collect();
    if points.len() < 2 {
        return;
    }
    let most = |values: fn(&(char, f64, f64)) -> f64| points.iter().map(values).fold(0.0, f64::max);
    let (right, top) = (most(|point| point.1), most(|point| point.2));
    if right <= 0.0 || top <= 0.0 {
        return;
    }
    let mut cells = vec![vec![' '; CHART_WIDTH]; CHART_HEIGHT];
    for (mark, x, y) in &points {
        let column = (x / right * (CHART_WIDTH - 1) as f64).round() as usize;
        let row = CHART_HEIGHT - 1 - (y / top * (CHART_HEIGHT - 1) as f64).round() as usize;
        let cell = &mut cells[row][column];
        // Two loads at one place: the later one is not hidden by the earlier one, and says so.
        *cell = if *cell == ' ' { *mark } else { '+' };
    }
    let unit = if loads
        .iter()
        .all(|load| load.totals.rates.output_tokens_per_second.is_some())
    {
        "output tokens per second"
    } else {
        "requests per second"
    };
    out.push_str("\n Median latency (ms)\n");
    let label = |value: f64| format!("{value:>9.1}");
    for (index, row) in cells.iter().enumerate() {
        let axis = match index {
            0 => label(top),
            _ if index == CHART_HEIGHT - 1 => label(0.0),
            _ => " ".repeat(9),
        };
        let line: String = row.iter().collect();
        out.push_str(format!(" {axis} |{line}").trim_end());
        out.push('\n');
    }
    out.push_str(&format!(" {:>9} +{}\n", "", "-".repeat(CHART_WIDTH)));
    let end = format!("{right:.1}");
    out.push_str(&format!(
        " {:>9}  0{end:>width$}\n {:>9}  {unit}: ",
        "",
        "",
        width = CHART_WIDTH - 1
    ));
    let legend: Vec<String> = "123456789abcdefghijklmnopqrstuvwxyz"
        .chars()
        .zip(loads)
        .filter(|(mark, _)| points.iter().any(|point| point.0 == *mark))
        .map(|(mark, load)| format!("{mark} {}", load.name))
        .collect();
    out.push_str(&legend.join(", "));
    out.push('\n');
    if points.len() < loads.len() {
        out.push_str(&format!(
            " {} of the loads are not in the chart: nothing succeeded there, or there are more than 35.\n",
            loads.len() - points.len()
        ));
    }
}
