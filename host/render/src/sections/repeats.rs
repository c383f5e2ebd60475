//! The runs of a load that was repeated, taken together.

use super::number::{Part, at};
use super::sweep::load_of;
use super::table::{Cell, Column, Table};
use crate::digits::{UNKNOWN, counted, percent};
use llmuses_core::document::{RepeatFigures, RepeatedFigure, Run};
use llmuses_core::wording::one_line;
use llmuses_stats::Metric;

/// The figures that a table has, where runs have them.
const SHOWN: [&str; 14] = [
    "qps",
    "throughput",
    "input_throughput",
    "goodput",
    "failed_share",
    "ttft_mean",
    "ttft_p50",
    "ttft_p99",
    "tpot_p50",
    "tpot_p99",
    "itl_p99",
    "latency_mean",
    "latency_p50",
    "latency_p99",
];

/// A table for each load of these runs that was repeated.
pub(crate) fn repeats(repeats: &[Part<'_, RepeatFigures>], runs: &[Run]) -> Vec<Table> {
    let of_first = |repeats: &RepeatFigures| {
        let first = runs
            .iter()
            .find(|run| repeats.runs.first() == Some(&run.id));
        first.map_or_else(String::new, load_of)
    };
    repeats
        .iter()
        .map(|repeats| table(repeats, &of_first(repeats.value())))
        .collect()
}

fn table(repeats: &Part<'_, RepeatFigures>, load: &str) -> Table {
    let figures = at!(repeats, figures).members();
    let runs = repeats.value().runs.len() as u64;
    let mut table = Table::of_columns(
        format!("{} of {}", counted(runs, "run"), one_line(load, 60)),
        [
            Column::new("Mean over the runs"),
            Column::new("mean"),
            Column::new("95 % confidence"),
            Column::new("variation"),
            Column::new("lowest").rank(1),
            Column::new("highest").rank(2),
        ],
    );
    for name in SHOWN {
        let found = figures.iter().find(|(known, _)| *known == name);
        if let (Some((_, figure)), Some(metric)) = (found, Metric::of_name(name)) {
            table.rows.push(row(figure, metric));
        }
    }
    table.note(
        "The interval of the mean is that of Student's t over the runs; the variation is the standard deviation between \
         runs by their mean.",
    );
    table
}

fn row(figure: &Part<'_, RepeatedFigure>, metric: &Metric) -> Vec<Cell> {
    let text = |value: f64| metric.unit.format(value);
    let RepeatedFigure {
        mean,
        coefficient_of_variation: variation,
        low,
        high,
        min,
        max,
        ..
    } = *figure.value();
    // No figure is below zero.
    let interval = format!("{} .. {}", text(low.max(0.0)), text(high));
    vec![
        Cell::name(metric.title.clone()),
        Cell::number(at!(figure, mean).shown(text(mean))),
        Cell::number(interval),
        Cell::number(
            at!(figure, coefficient_of_variation)
                .shown(variation.map_or_else(|| UNKNOWN.to_owned(), percent)),
        ),
        Cell::number(at!(figure, min).shown(text(min))),
        Cell::number(at!(figure, max).shown(text(max))),
    ]
}
