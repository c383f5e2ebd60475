//! The table of times: how each is spread over the requests.

use super::number::{Part, at};
use super::table::{Cell, Column, Mark, Table};
use crate::digits::counted;
use llmuses_core::document::{Percentile, Totals};
use llmuses_core::metric::{
    CLIENT_LAG, DISPATCH_LAG, ITL, LATENCY, TOKEN_ITL, TTFT, TablePlace, Time,
};

/// The percentiles of the table.
const COLUMNS: [Percentile; 4] = [
    Percentile::P50,
    Percentile::P90,
    Percentile::P99,
    Percentile::P999,
];

/// The times that have a curve on a page: those that are compared.
pub(crate) fn drawn_times() -> impl Iterator<Item = Time> {
    Time::all().filter(|time| time.short.is_some())
}

/// Whether a time has a place on a page: it was measured, or its lack is worth one. Tasks without output tokens have no
/// times of tokens.
pub(crate) fn has_place(totals: &Totals, time: Time) -> bool {
    let is_missed = !time.needs_samples() && (time == LATENCY || totals.task.has_output_tokens());
    is_missed || totals.times[time].samples > 0
}

/// How many samples of a time are independent of one another at most: the gaps of one stream are alike, and requests are
/// what is independent.
pub(crate) fn independent_samples(totals: &Totals, time: Time) -> u64 {
    let samples = totals.times[time].samples;
    match time {
        ITL | TOKEN_ITL => samples.min(totals.requests.succeeded),
        _ => samples,
    }
}

/// Whether the table has a row of this time.
fn is_told(totals: &Totals, time: Time) -> bool {
    let spread = &totals.times[time];
    match time {
        // Where no request opened a connection, both lags are the same.
        CLIENT_LAG if totals.requests.own_connection == 0 => false,
        _ => {
            time.place != TablePlace::Nowhere
                && (spread.samples > 0
                    || (!time.needs_samples() && totals.task.has_output_tokens()))
        }
    }
}

/// All times of a run, in milliseconds, with the digits that are certain.
pub(crate) fn times(totals: &Part<'_, Totals>) -> Table {
    let columns = [
        Column::new("Milliseconds"),
        Column::new("mean"),
        Column::new("std. dev.").of_a_page(),
        Column::new("min").of_a_page(),
    ];
    let percentiles = COLUMNS.map(|percentile| Column::new(percentile.label()));
    let mut table = Table::of_columns(
        "Times in milliseconds",
        columns
            .into_iter()
            .chain(percentiles)
            .chain([Column::new("max"), Column::new("samples")]),
    );
    for time in Time::all().filter(|time| is_told(totals.value(), *time)) {
        table.rows.push(row(totals, time));
    }
    if table.has_marks() {
        let needs = COLUMNS.map(|column| format!("{} {}", column.label(), column.needs()));
        let text = format!(
            "fewer samples than this percentile needs ({})",
            needs.join(", ")
        );
        table.mark(Mark::Marked, text);
    }
    for note in [
        super::upper_bounds(totals.value()),
        super::client_error(totals.value()),
    ] {
        note.into_iter().for_each(|note| table.note(note));
    }
    let beyond: u64 = [LATENCY, TTFT, DISPATCH_LAG]
        .into_iter()
        .map(|time| totals.value().times[time].samples_beyond_the_scale)
        .sum();
    if beyond > 0 {
        let text = format!(
            "{} longer than a day count as a day in percentiles",
            counted(beyond, "time")
        );
        table.mark(Mark::Warning, text);
    }
    table
}

fn row(totals: &Part<'_, Totals>, time: Time) -> Vec<Cell> {
    let spread = totals.time(time);
    let mut row = vec![match time.place {
        TablePlace::Part => Cell::part(time.title),
        _ => Cell::name(time.title),
    }];
    if spread.value().samples == 0 {
        row.extend((0..COLUMNS.len() + 4).map(|_| Cell::number("-")));
    } else {
        let independent = independent_samples(totals.value(), time);
        row.push(Cell::number(spread.certain_mean(independent)));
        row.push(Cell::number(spread.certain_deviation(independent)));
        let numbers = spread.certain_row(&COLUMNS, independent);
        row.extend(numbers.into_iter().map(Cell::number));
    }
    row.push(Cell::number(at!(spread, samples).whole()));
    row
}
