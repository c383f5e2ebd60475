//! Sessions: how the figures of a request change with its turn.

use super::number::{Number, Part, at};
use super::table::{Cell, Column, Table};
use crate::digits::certain_decimals;
use llmuses_core::document::{Percentile, TimeFigures, Totals};

/// The turns of sessions, one row for each place. `None`: no session has several turns.
pub(crate) fn turns(totals: &Part<'_, Totals>) -> Option<Table> {
    let sessions = at!(totals, sessions).known()?;
    let by_turn = at!(sessions, by_turn).items();
    let disconnected = by_turn.iter().any(|turn| turn.value().disconnected > 0);
    let mut columns = vec![
        Column::new("Turn"),
        Column::new("requests"),
        Column::new("failed"),
    ];
    if disconnected {
        columns.push(Column::new("disconnected"));
    }
    columns.extend([
        Column::new("input tokens").narrow("input".to_owned()),
        Column::new("cached"),
        Column::new("output tokens").narrow("output".to_owned()),
        Column::new("TTFT p50"),
        Column::new("TTFT p99").narrow("p99".to_owned()),
        Column::new("TPOT p50"),
        Column::new("TPOT p99").of_a_page(),
        Column::new("latency p50"),
        Column::new("latency p99").narrow("p99".to_owned()),
    ]);
    let mut table = Table::of_columns("Turns of sessions", columns);
    for turn in by_turn {
        let [ttft, tpot, latency] = [
            at!(turn, time_to_first_token),
            at!(turn, time_per_output_token),
            at!(turn, latency),
        ];
        let mut row = vec![
            Cell::name(turn.value().name()),
            Cell::number(at!(turn, requests).whole()),
            Cell::number(at!(turn, failed).whole()),
        ];
        if disconnected {
            row.push(Cell::number(at!(turn, disconnected).whole()));
        }
        row.extend([
            Cell::number(at!(turn, input_tokens_per_request).fixed(1)),
            Cell::number(at!(turn, cached_tokens_per_request).fixed(1)),
            Cell::number(at!(turn, output_tokens_per_request).fixed(1)),
        ]);
        for (time, percentile) in [
            (&ttft, Percentile::P50),
            (&ttft, Percentile::P99),
            (&tpot, Percentile::P50),
            (&tpot, Percentile::P99),
            (&latency, Percentile::P50),
            (&latency, Percentile::P99),
        ] {
            row.push(Cell::number(millis(time, percentile)));
        }
        table.rows.push(row);
    }
    table.note(
        "Input, cached and output tokens are means of succeeded requests, times are in milliseconds. * fewer samples than this percentile needs.",
    );
    Some(table)
}

fn millis(time: &Part<'_, TimeFigures>, percentile: Percentile) -> Number {
    let figures = time.value();
    let known = figures.percentiles.get(percentile).unwrap_or(&None);
    let decimals = certain_decimals(known.unwrap_or_default() * 1e3, None);
    let number = time
        .below(&format!("/{}", percentile.key()), known)
        .millis(decimals);
    number.marked(figures.samples > 0 && percentile.is_short(figures.samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::document::{SessionFigures, TurnFigures};

    #[test]
    fn cancelled_turns_have_a_column_where_there_are_any() {
        let heads = |disconnected: u64| {
            let turn = TurnFigures {
                turn: 1,
                requests: 5,
                disconnected,
                ..TurnFigures::default()
            };
            let totals = Totals {
                sessions: Some(SessionFigures {
                    by_turn: vec![turn],
                    ..SessionFigures::default()
                }),
                ..Totals::default()
            };
            let table = turns(&Part::new("", &totals)).unwrap();
            assert_eq!(table.columns.len(), table.rows[0].len());
            table.columns.len()
        };
        assert_eq!(heads(2), heads(0) + 1);
    }
}
