//! The tables of a summary: how the times are spread, and the parser's own figures.

use super::table::{Cell, Table};
use super::text::{counted, push_wrapped, short_figure, time_decimals};
use llmuses_core::words::one_line;
use llmuses_stats::{Figures, Percentile, RunStatistics, Spread};
use std::time::Duration;

/// The percentiles of the table.
const COLUMNS: [Percentile; 4] = [
    Percentile::P50,
    Percentile::P90,
    Percentile::P99,
    Percentile::P999,
];

/// Appends the table of times, with an empty line behind it; nothing where no request was sent.
pub(super) fn spreads(out: &mut String, statistics: &RunStatistics) {
    let times = statistics.times();
    if times.latency.samples() == 0 && times.dispatch_lag.samples() == 0 {
        return;
    }
    let mut table = Table::default();
    table.row(
        [
            "Milliseconds",
            "mean",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
            "samples",
        ]
        .into_iter()
        .map(Cell::new)
        .collect(),
    );
    // The gaps of one stream are alike: requests are what is independent of one another.
    let requests = statistics.counts().succeeded;
    for (name, spread) in [
        ("Time to first token", &times.ttft),
        ("Time to first package", &times.first_package),
        ("Time per output token", &times.tpot),
        ("Inter-token latency", &times.itl),
        ("Request latency", &times.latency),
        ("Time to connect", &times.connect),
    ] {
        let independent = match name {
            "Inter-token latency" => requests,
            _ => u64::MAX,
        };
        table.row(spread_row(name, spread, independent));
    }
    for (name, spread) in [
        ("  name resolution", &times.dns),
        ("  TLS handshake", &times.tls),
    ] {
        if spread.samples() > 0 {
            table.row(spread_row(name, spread, u64::MAX));
        }
    }
    table.row(spread_row("Dispatch lag", &times.dispatch_lag, u64::MAX));
    if statistics.counts().own_connections > 0 {
        table.row(spread_row(
            "  without connecting",
            &times.client_lag,
            u64::MAX,
        ));
    }
    table.push_to(out);
    if table.has_marks() {
        push_wrapped(out, " * ", &footnote(statistics));
    }
    let beyond: u64 = [&times.latency, &times.ttft, &times.dispatch_lag]
        .into_iter()
        .map(Spread::beyond)
        .sum();
    if beyond > 0 {
        let text = format!(
            "{} longer than a day count as a day in percentiles",
            counted(beyond, "time")
        );
        push_wrapped(out, " ! ", &text);
    }
    out.push('\n');
}

/// What a mark means, and which percentiles of the first block would carry one.
fn footnote(statistics: &RunStatistics) -> String {
    let needs: Vec<String> = COLUMNS
        .into_iter()
        .map(|percentile| format!("{} {}", percentile.label(), percentile.needs()))
        .collect();
    let mut text = format!(
        "fewer samples than this percentile needs ({})",
        needs.join(", ")
    );
    let times = statistics.times();
    let samples = times.ttft.samples().min(times.latency.samples());
    let short: Vec<String> = Percentile::LISTED
        .into_iter()
        .filter(|percentile| percentile.is_short(samples))
        .map(Percentile::label)
        .collect();
    if !short.is_empty() {
        text.push_str(&format!("; in the lists above: {}", short.join(", ")));
    }
    text
}

/// `independent`: how many samples are independent of one another at most.
fn spread_row(name: &str, spread: &Spread, independent: u64) -> Vec<Cell> {
    let mut row = vec![Cell::new(name)];
    let figures = spread
        .mean_seconds()
        .zip(spread.percentiles(COLUMNS))
        .zip(spread.max());
    match figures {
        None => row.extend((0..6).map(|_| Cell::new("-"))),
        Some(((mean, percentiles), max)) => {
            let millis = |time: Duration| time.as_secs_f64() * 1e3;
            let decimals = time_decimals(millis(max));
            let figure = |figure: f64| format!("{figure:.decimals$}");
            row.push(Cell::new(figure(mean * 1e3)));
            for (percentile, time) in COLUMNS.into_iter().zip(percentiles) {
                let short = percentile.is_short(spread.samples().min(independent));
                row.push(Cell::marked(figure(millis(time)), short));
            }
            row.push(Cell::new(figure(millis(max))));
        }
    }
    row.push(Cell::new(spread.samples().to_string()));
    row
}

/// Appends the parser's own figures, after an empty line; nothing where there are none.
pub(super) fn metrics(out: &mut String, statistics: &RunStatistics) {
    let metrics = statistics.metrics();
    let mut table = Table::default();
    table.row(
        [
            "Parser's figures",
            "mean",
            "p50",
            "p90",
            "p99",
            "max",
            "samples",
        ]
        .into_iter()
        .map(Cell::new)
        .collect(),
    );
    for (name, figures) in metrics.named() {
        table.row(figures_row(&one_line(name, 30), figures));
    }
    if table.has_rows() {
        out.push('\n');
        table.push_to(out);
    }
    if metrics.unnamed() > 0 {
        let text = format!(
            "{} under more names than are kept",
            counted(metrics.unnamed(), "value")
        );
        push_wrapped(out, " ! ", &text);
    }
    if metrics.not_finite() > 0 {
        let text = format!(
            "{} left out: infinite or not a number",
            counted(metrics.not_finite(), "value")
        );
        push_wrapped(out, " ! ", &text);
    }
}

fn figures_row(name: &str, figures: &Figures) -> Vec<Cell> {
    let mut row = vec![Cell::new(name), Cell::new(short_figure(figures.mean()))];
    for percentile in [Percentile::P50, Percentile::P90, Percentile::P99] {
        let text = short_figure(figures.percentile(percentile));
        row.push(Cell::marked(text, percentile.is_short(figures.samples())));
    }
    row.push(Cell::new(short_figure(figures.max())));
    row.push(Cell::new(figures.samples().to_string()));
    row
}
