//! Percentiles with their confidence, and the slowest requests.

use crate::digits::time_decimals;
use crate::sections::{
    Cell, Column, Part, Piece, Table, at, decimals, drawn_times, independent_samples,
};
use llmuses_core::document::{Distribution, Percentile, Totals};
use llmuses_core::metric::{LATENCY, Time};

/// The percentiles of the times with their 95 % confidence intervals. `None`: there is no time at all.
pub(super) fn percentiles(totals: &Part<'_, Totals>) -> Option<Table> {
    let known: Vec<Time> = drawn_times(true)
        .filter(|time| totals.value().times[*time].samples > 0)
        .collect();
    if known.is_empty() {
        return None;
    }
    let columns = known.iter().map(|time| Column::new(time.title));
    let mut table = Table::of_columns(
        "Percentiles with 95 % confidence intervals",
        [Column::new("Milliseconds")].into_iter().chain(columns),
    );
    for percentile in Percentile::ALL {
        let mut row = vec![Cell::name(percentile.label())];
        row.extend(known.iter().map(|time| {
            let spread = totals.time(*time);
            let independent = independent_samples(totals.value(), *time);
            let number = spread
                .percentile(percentile)
                .millis(decimals(spread.value()));
            Cell {
                below: interval(&spread, percentile),
                ..Cell::number(number.marked(percentile.is_short(independent)))
            }
        }));
        table.rows.push(row);
    }
    table.note(
        "Under each: where the true percentile lies with 95 % confidence, by order statistics, \
         requests taken as independent. A bound is ? where there are too few requests for it.",
    );
    Some(table)
}

fn interval(spread: &Part<'_, Distribution>, percentile: Percentile) -> Vec<Piece> {
    let decimals = decimals(spread.value());
    let bound = |part: &Part<'_, Option<f64>>| -> Piece {
        match part.number() {
            Some(_) => part.millis(decimals),
            None => part.shown("?".to_owned()),
        }
        .into()
    };
    let [low, high] = spread.bounds(percentile);
    match low.number().or(high.number()) {
        Some(_) => vec![bound(&low), " to ".into(), bound(&high)],
        None => vec!["?".into()],
    }
}

/// The slowest requests. `None`: none succeeded.
pub(super) fn slowest(totals: &Part<'_, Totals>) -> Option<Table> {
    let requests = at!(totals, slowest_requests).items();
    if requests.is_empty() {
        return None;
    }
    let mut table = Table::new(
        "Slowest requests",
        &[
            "Request",
            "sent after (s)",
            "latency (ms)",
            "TTFT (ms)",
            "TPOT (ms)",
            "input tokens",
            "output tokens",
        ],
    );
    let longest = totals.value().times[LATENCY].max_seconds;
    let decimals = time_decimals(longest.unwrap_or_default() * 1e3);
    for request in &requests {
        let millis = |part: Part<'_, Option<f64>>| Cell::number(part.millis(decimals));
        table.rows.push(vec![
            Cell::of([at!(request, number).whole().into()]),
            Cell::number(at!(request, sent_seconds_after_start).fixed(3)),
            Cell::number(at!(request, latency_seconds).millis(decimals)),
            millis(at!(request, time_to_first_token_seconds)),
            millis(at!(request, time_per_output_token_seconds)),
            Cell::number(at!(request, input_tokens).whole()),
            Cell::number(at!(request, output_tokens).whole()),
        ]);
    }
    table.note(
        "Of the succeeded requests, those with the longest latencies. The number is the place in the \
         order of issue, from 0, as in the database and in CSV.",
    );
    Some(table)
}
