//! The end of a sweep: its loads side by side, and throughput against latency as a chart of characters.

use super::table::{Cell, Table};
use super::text::{UNKNOWN, fixed};
use llmuses_core::document::{Distribution, Percentile, Run, Totals};
use llmuses_core::metric::{LATENCY, TPOT, TTFT};
use llmuses_core::plan::Arrivals;

/// The size of the chart, in characters.
const CHART_WIDTH: usize = 64;
const CHART_HEIGHT: usize = 14;

/// A load in a few words, as a document says it.
pub fn load_of(run: &Run) -> String {
    Arrivals::of_record(&run.plan.load)
        .map_or_else(|| "unknown load".to_owned(), |arrivals| arrivals.name())
}

/// The table and the chart of the loads, in the order in which they were run.
pub fn sweep_summary(runs: &[Run]) -> String {
    let loads: Vec<Load<'_>> = runs.iter().filter_map(Load::of).collect();
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
    for Load {
        name,
        totals,
        doubts,
    } in &loads
    {
        let mut row = vec![
            Cell::new(name),
            Cell::new(fixed(totals.rates.succeeded_per_second, 2)),
            Cell::new(fixed(totals.rates.output_tokens_per_second, 1)),
        ];
        for time in [TTFT, TPOT, LATENCY] {
            let spread = &totals.times[time];
            row.extend([Percentile::P50, Percentile::P99].map(|p| millis(spread, p)));
        }
        row.push(Cell::new(totals.requests.failed.to_string()));
        row.push(Cell::new(match doubts {
            0 => "good".to_owned(),
            1 => "1 doubt".to_owned(),
            doubts => format!("{doubts} doubts"),
        }));
        table.row(row);
    }
    table.push_to(&mut out);
    out.push_str(" Times in milliseconds. * fewer samples than this percentile needs.\n");
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
    doubts: usize,
}

impl<'a> Load<'a> {
    fn of(run: &'a Run) -> Option<Self> {
        let doubts = run.verdict.as_ref().map(|verdict| verdict.doubts.len());
        Some(Self {
            name: load_of(run),
            totals: run.totals.as_ref()?,
            doubts: doubts.unwrap_or_default(),
        })
    }
}

fn millis(spread: &Distribution, percentile: Percentile) -> Cell {
    match spread.percentile(percentile) {
        None => Cell::new(UNKNOWN),
        Some(time) => Cell::marked(
            format!("{:.2}", time * 1e3),
            percentile.is_short(spread.samples),
        ),
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
