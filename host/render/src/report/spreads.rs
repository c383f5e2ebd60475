//! The tables of a summary: how the times are spread, and the parser's own figures.

use super::table::{Cell, Table};
use super::text::{counted, push_wrapped, short_figure, time_decimals};
use llmuses_core::document::{Distribution, ParserFigures, Percentile, Totals};
use llmuses_core::metric::{CLIENT_LAG, DISPATCH_LAG, ITL, LATENCY, Place, TTFT, Time};
use llmuses_core::wording::one_line;

/// The percentiles of the table.
const COLUMNS: [Percentile; 4] = [
    Percentile::P50,
    Percentile::P90,
    Percentile::P99,
    Percentile::P999,
];

/// Appends the table of times, with an empty line behind it; nothing where no request was sent.
pub(super) fn spreads(out: &mut String, totals: &Totals) {
    let times = &totals.times;
    if times[LATENCY].samples == 0 && times[DISPATCH_LAG].samples == 0 {
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
    for time in Time::all() {
        if !is_told(totals, time) {
            continue;
        }
        let indent = if time.place == Place::Part { "  " } else { "" };
        let name = format!("{indent}{}", time.title);
        table.row(spread_row(
            &name,
            &times[time],
            independent_samples(totals, time),
        ));
    }
    table.push_to(out);
    if table.has_marks() {
        push_wrapped(out, " * ", &footnote(totals));
    }
    let beyond: u64 = [LATENCY, TTFT, DISPATCH_LAG]
        .into_iter()
        .map(|time| times[time].samples_beyond_the_scale)
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
fn footnote(totals: &Totals) -> String {
    let needs: Vec<String> = COLUMNS
        .into_iter()
        .map(|percentile| format!("{} {}", percentile.label(), percentile.needs()))
        .collect();
    let mut text = format!(
        "fewer samples than this percentile needs ({})",
        needs.join(", ")
    );
    let samples = totals.times[TTFT]
        .samples
        .min(totals.times[LATENCY].samples);
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

/// Whether a table of times has a row of this one.
pub(crate) fn is_told(totals: &Totals, time: Time) -> bool {
    let spread = &totals.times[time];
    match time {
        // Where no request opened a connection, both lags are the same.
        CLIENT_LAG if totals.requests.own_connection == 0 => false,
        _ => time.place != Place::Nowhere && (spread.samples > 0 || !time.needs_samples()),
    }
}

/// How many samples of a time are independent of one another at most: the gaps of one stream are alike, and requests are
/// what is independent.
pub(crate) fn independent_samples(totals: &Totals, time: Time) -> u64 {
    let samples = totals.times[time].samples;
    match time {
        ITL => samples.min(totals.requests.succeeded),
        _ => samples,
    }
}

/// `independent`: how many of the samples are independent of one another.
fn spread_row(name: &str, spread: &Distribution, independent: u64) -> Vec<Cell> {
    let mut row = vec![Cell::new(name)];
    match spread.mean_seconds.zip(spread.max_seconds) {
        None => row.extend((0..6).map(|_| Cell::new("-"))),
        Some((mean, max)) => {
            let decimals = time_decimals(max * 1e3);
            let figure = |seconds: f64| format!("{:.decimals$}", seconds * 1e3);
            row.push(Cell::new(figure(mean)));
            for percentile in COLUMNS {
                let short = percentile.is_short(independent);
                let time = spread.percentile(percentile).unwrap_or_default();
                row.push(Cell::marked(figure(time), short));
            }
            row.push(Cell::new(figure(max)));
        }
    }
    row.push(Cell::new(spread.samples.to_string()));
    row
}

/// Appends the parser's own figures, after an empty line; nothing where there are none.
pub(super) fn metrics(out: &mut String, totals: &Totals) {
    let metrics = &totals.parser_metrics;
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
    for (name, figures) in metrics.named.iter() {
        table.row(figures_row(&one_line(name, 30), figures));
    }
    if table.has_rows() {
        out.push('\n');
        table.push_to(out);
    }
    if metrics.values_beyond_the_limit_of_names > 0 {
        let text = format!(
            "{} under more names than are kept",
            counted(metrics.values_beyond_the_limit_of_names, "value")
        );
        push_wrapped(out, " ! ", &text);
    }
    if metrics.values_not_finite > 0 {
        let text = format!(
            "{} left out: infinite or not a number",
            counted(metrics.values_not_finite, "value")
        );
        push_wrapped(out, " ! ", &text);
    }
}

fn figures_row(name: &str, figures: &ParserFigures) -> Vec<Cell> {
    let mut row = vec![Cell::new(name), Cell::new(short_figure(figures.mean))];
    for (percentile, value) in [
        (Percentile::P50, figures.p50),
        (Percentile::P90, figures.p90),
        (Percentile::P99, figures.p99),
    ] {
        let text = short_figure(value);
        row.push(Cell::marked(text, percentile.is_short(figures.samples)));
    }
    row.push(Cell::new(short_figure(figures.max)));
    row.push(Cell::new(figures.samples.to_string()));
    row
}
