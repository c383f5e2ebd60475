//! The times of a run in a table that fits a terminal.

use crate::sections::{self, Cell, Column, Mark, Part, Table, independent_samples};
use llmuses_core::document::{Percentile, Totals};
use llmuses_core::metric::{ANSWER, DISPATCH_LAG, ITL, LATENCY, TOKEN_ITL, TPOT, TTFT, Time};

/// The times that everybody wants to know, and whether the client was in time.
const ROWS: [Time; 7] = [TTFT, ANSWER, TPOT, ITL, TOKEN_ITL, LATENCY, DISPATCH_LAG];

/// The times that matter most, in milliseconds, with the digits that are certain.
pub(super) fn times(totals: &Part<'_, Totals>) -> Table {
    // Without the samples for it, it is another name for the longest.
    let has_p999 = !Percentile::P999.is_short(independent_samples(totals.value(), LATENCY));
    let percentiles: Vec<(Percentile, u8)> = [
        (Percentile::P50, 0),
        (Percentile::P90, 1),
        (Percentile::P95, 4),
        (Percentile::P99, 0),
        (Percentile::P999, 5),
    ]
    .into_iter()
    .filter(|(percentile, _)| has_p999 || *percentile != Percentile::P999)
    .collect();
    let column = |head: &str, rank| Column::new(head).rank(rank);
    let mut columns = vec![
        Column::new("Milliseconds"),
        column("mean", 0),
        column("σ", 2),
        column("min", 3),
    ];
    columns.extend(
        percentiles
            .iter()
            .map(|(percentile, rank)| column(&percentile.label(), *rank)),
    );
    columns.extend([column("max", 0), column("samples", 2)]);
    let mut table = Table::of_columns("Times in milliseconds", columns);
    for time in ROWS {
        let spread = totals.time(time);
        if spread.value().samples == 0 {
            continue;
        }
        let independent = independent_samples(totals.value(), time);
        let of_columns: Vec<Percentile> = percentiles.iter().map(|(of, _)| *of).collect();
        let numbers = spread.certain_row(&of_columns, independent);
        let mut row = vec![
            Cell::name(time.title),
            Cell::number(spread.certain_mean(independent)),
            Cell::number(spread.certain_deviation(independent)),
        ];
        row.extend(numbers.into_iter().map(Cell::number));
        row.push(Cell::number(spread.value().samples.to_string()));
        table.rows.push(row);
    }
    if table.has_marks() {
        table.mark(Mark::Marked, "fewer samples than this percentile needs");
    }
    let notes = [
        sections::upper_bounds(totals.value()),
        sections::client_error(totals.value()),
    ];
    notes
        .into_iter()
        .flatten()
        .for_each(|note| table.note(note));
    table
}
