//! The end of a sweep: its loads side by side, and throughput against latency as a chart of characters.

use super::table::{Cell, Table};
use super::text::{UNKNOWN, fixed};
use llmuses_core::plan::Arrivals;
use llmuses_stats::{Percentile, RunStatistics, Spread};

/// The size of the chart, in characters.
const CHART_WIDTH: usize = 64;
const CHART_HEIGHT: usize = 14;

/// The table and the chart of the loads, in the order in which they were run. `doubts`: how many reasons
/// the verdict of each has.
pub fn sweep_summary(loads: &[(Arrivals, &RunStatistics, usize)]) -> String {
    let mut out = format!("Sweep of {} loads:\n", loads.len());
    let mut table = Table::default();
    table.row(
        [
            "Load",
            "requests/s",
            "tokens/s",
            "TTFT p50",
            "p99",
            "TPOT p50",
            "p99",
            "latency p50",
            "p99",
            "failed",
            "verdict",
        ]
        .into_iter()
        .map(Cell::new)
        .collect(),
    );
    let goodput = loads.iter().any(|(_, run, _)| run.objectives().is_some());
    for (arrivals, run, doubts) in loads {
        let times = run.times();
        let mut row = vec![
            Cell::new(arrivals.name()),
            Cell::new(fixed(run.qps(), 2)),
            Cell::new(fixed(run.throughput(), 1)),
        ];
        for spread in [&times.ttft, &times.tpot, &times.latency] {
            row.extend([Percentile::P50, Percentile::P99].map(|p| millis(spread, p)));
        }
        row.push(Cell::new(run.counts().failed.to_string()));
        row.push(Cell::new(match doubts {
            0 => "good".to_owned(),
            1 => "1 doubt".to_owned(),
            doubts => format!("{doubts} doubts"),
        }));
        table.row(row);
    }
    table.push_to(&mut out);
    out.push_str(" Times in milliseconds. * fewer samples than this percentile needs.\n");
    if goodput {
        out.push_str(" Goodput:");
        for (index, (arrivals, run, _)) in loads.iter().enumerate() {
            let end = if index == 0 { " " } else { ", " };
            out.push_str(&format!(
                "{end}{} {}/s",
                arrivals.name(),
                fixed(run.goodput(), 2)
            ));
        }
        out.push('\n');
    }
    chart(&mut out, loads);
    out
}

fn millis(spread: &Spread, percentile: Percentile) -> Cell {
    match spread.percentile(percentile) {
        None => Cell::new(UNKNOWN),
        Some(time) => Cell::marked(
            format!("{:.2}", time.as_secs_f64() * 1e3),
            percentile.is_short(spread.samples()),
        ),
    }
}

/// Throughput against the median latency, a digit or letter for each load; nothing where fewer than two
/// loads have both.
fn chart(out: &mut String, loads: &[(Arrivals, &RunStatistics, usize)]) {
    let points: Vec<(char, f64, f64)> = "123456789abcdefghijklmnopqrstuvwxyz"
        .chars()
        .zip(loads)
        .filter_map(|(mark, (_, run, _))| {
            let latency = run.times().latency.percentile(Percentile::P50)?;
            let throughput = run.throughput().or(run.qps())?;
            Some((mark, throughput, latency.as_secs_f64() * 1e3))
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
    let unit = if loads.iter().all(|(_, run, _)| run.throughput().is_some()) {
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
        .map(|(mark, (arrivals, _, _))| format!("{mark} {}", arrivals.name()))
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
