//! The parser's own figures.

use super::number::{Part, at};
use super::table::{Cell, Column, Mark, Table};
use crate::digits::{counted, short_figure};
use llmuses_core::document::{Percentile, Totals};
use llmuses_core::wording::one_line;

/// The figures by name. `None`: there are none.
pub(crate) fn parser_figures(totals: &Part<'_, Totals>) -> Option<Table> {
    let columns = ["mean", "min", "p50", "p90", "p99", "max", "samples"].map(Column::new);
    let mut table = Table::of_columns(
        "The parser's own figures",
        [Column::new("Parser's figures")].into_iter().chain(columns),
    );
    table.columns[2].of_a_page = true;
    for (name, figures) in at!(totals, parser_metrics.named).members() {
        let number = |part: Part<'_, f64>| part.shown(short_figure(*part.value()));
        let percentile = |percentile: Percentile, part: Part<'_, f64>| {
            number(part).marked(percentile.is_short(figures.value().samples))
        };
        table.rows.push(vec![
            Cell::name(one_line(name, 30)),
            Cell::number(number(at!(figures, mean))),
            Cell::number(number(at!(figures, min))),
            Cell::number(percentile(Percentile::P50, at!(figures, p50))),
            Cell::number(percentile(Percentile::P90, at!(figures, p90))),
            Cell::number(percentile(Percentile::P99, at!(figures, p99))),
            Cell::number(number(at!(figures, max))),
            Cell::number(at!(figures, samples).whole()),
        ]);
    }
    let metrics = &totals.value().parser_metrics;
    for (values, text) in [
        (
            metrics.values_beyond_the_limit_of_names,
            "under more names than are kept",
        ),
        (
            metrics.values_not_finite,
            "left out: infinite, not a number, or of a count that cannot be",
        ),
    ] {
        if values > 0 {
            table.mark(
                Mark::Warning,
                format!("{} {text}", counted(values, "value")),
            );
        }
    }
    (!table.rows.is_empty() || !table.notes.is_empty()).then_some(table)
}
