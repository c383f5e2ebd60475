//! The loads of a sweep side by side.

use super::number::{Number, Part, at};
use super::table::{Cell, Column, Piece, Table};
use super::times::independent_samples;
use crate::digits::{UNKNOWN, counted};
use llmuses_core::document::{Percentile, Run, Totals};
use llmuses_core::metric::{GOODPUT, INPUT_THROUGHPUT, LATENCY, QPS, THROUGHPUT, TPOT, TTFT, Time};
use llmuses_core::plan::Load;

/// A load in a few words, as a document says it.
pub fn load_of(run: &Run) -> String {
    Load::name_of_record(&run.plan.load).unwrap_or_else(|| "unknown load".to_owned())
}

/// The verdict of a run in a word or two.
pub(crate) fn verdict_in_short(run: &Run) -> String {
    match &run.verdict {
        None => UNKNOWN.to_owned(),
        Some(verdict) if verdict.doubts.is_empty() => "good".to_owned(),
        Some(verdict) => counted(verdict.doubts.len() as u64, "doubt"),
    }
}

/// The loads side by side, in the order in which they were run. `runs`: all those of a document.
pub(crate) fn sweep(runs: &[Part<'_, Run>]) -> Table {
    let goodput = runs.iter().any(|run| {
        let totals = run.value().totals.as_ref();
        totals.is_some_and(|totals| totals.goodput.is_some())
    });
    let has_output = runs.iter().any(|run| {
        let totals = run.value().totals.as_ref();
        totals.is_none_or(|totals| totals.task.has_output_tokens())
    });
    let mut columns = vec![Column::new("Load")];
    columns.extend(figure_columns(goodput, has_output));
    columns.push(Column::new("verdict"));
    let numbers = columns.len() - 2;
    let mut table = Table::of_columns("Loads of the sweep", columns);
    for (place, run) in runs.iter().enumerate() {
        let mut row = vec![Cell::of([Piece::Link(
            format!("#run-{}", place + 1),
            load_of(run.value()),
        )])];
        match at!(run, totals).known() {
            Some(totals) => row.extend(figures(
                &totals,
                at!(totals, requests.failed).whole(),
                goodput,
                has_output,
            )),
            None => row.extend((0..numbers).map(|_| Cell::number(UNKNOWN))),
        }
        row.push(Cell::name(verdict_in_short(run.value())));
        table.rows.push(row);
    }
    table.note("Times in milliseconds. * fewer samples than this percentile needs.");
    table
}

/// The times that there are columns of, with the ranks of those. `has_output`: whether any run has output tokens.
fn times(has_output: bool) -> &'static [(&'static str, Time, u8)] {
    const ALL: &[(&str, Time, u8)] = &[
        ("TTFT", TTFT, 0),
        ("TPOT", TPOT, 3),
        ("latency", LATENCY, 1),
    ];
    match has_output {
        true => ALL,
        false => &ALL[2..],
    }
}

/// The columns of [`figures`].
pub(super) fn figure_columns(goodput: bool, has_output: bool) -> Vec<Column> {
    let mut columns = vec![
        Column::new("requests/s"),
        Column::new(if has_output {
            "tokens/s"
        } else {
            "input tokens/s"
        }),
    ];
    if goodput {
        columns.push(Column::new("goodput/s").of_a_page());
    }
    for &(time, _, rank) in times(has_output) {
        columns.push(Column::new(format!("{time} p50")).rank(rank));
        columns.push(
            Column::new(format!("{time} p99"))
                .narrow("p99".to_owned())
                .rank(rank),
        );
    }
    columns.push(Column::new("failed"));
    columns
}

/// What a run, or a part of it, did, in a few figures.
pub(super) fn figures(
    totals: &Part<'_, Totals>,
    failed: Number,
    goodput: bool,
    has_output: bool,
) -> Vec<Cell> {
    let tokens = if has_output {
        THROUGHPUT
    } else {
        INPUT_THROUGHPUT
    };
    let mut cells = vec![
        Cell::number(totals.figure(QPS, 2)),
        Cell::number(totals.figure(tokens, 1)),
    ];
    if goodput {
        cells.push(Cell::number(totals.figure(GOODPUT, 2)));
    }
    for &(_, time, _) in times(has_output) {
        let samples = independent_samples(totals.value(), time);
        let spread = totals.time(time);
        cells.extend([Percentile::P50, Percentile::P99].map(|percentile| {
            let number = spread.certain(percentile);
            Cell::number(number.marked(samples > 0 && percentile.is_short(samples)))
        }));
    }
    cells.push(Cell::number(failed));
    cells
}
