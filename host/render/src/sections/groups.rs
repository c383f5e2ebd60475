//! The figures of groups of requests side by side: a table for each way in which requests are told apart.

use super::number::{Part, at};
use super::sweep::figures;
use super::table::{Cell, Column, Table};
use crate::digits::first_letter_large;
use llmuses_core::document::{GroupFigures, Totals};
use llmuses_core::wording::one_line;

/// The label of the table of the steady state.
pub(crate) const STEADY: &str = "Steady state";

/// What is to be known about the figures.
fn note(by: &str) -> &'static str {
    match by {
        "stage" => {
            "Requests that were due in the stage; rates are by its length, without what of it is warm-up."
        }
        "label" => "By the response header of --label-header; rates are by the time of the run.",
        "window" => {
            "Requests that ended between the time when all users were at work (after --ramp-up and the warm-up) and the \
             last request sent; rates are by that time."
        }
        _ => "Rates are by the time of the run.",
    }
}

/// What tells requests of one group from those of another, within a title.
pub(crate) fn kind_of_group(by: &str) -> String {
    match by {
        "url" => "URL".to_owned(),
        by => one_line(by, 40),
    }
}

/// The tables; none where nothing tells requests apart.
pub(crate) fn groups(totals: &Part<'_, Totals>) -> Vec<Table> {
    let groups = at!(totals, groups).items();
    let of_a_kind =
        |a: &Part<'_, GroupFigures>, b: &Part<'_, GroupFigures>| a.value().by == b.value().by;
    groups
        .chunk_by(of_a_kind)
        // Turns have a table of their own.
        .filter(|groups| {
            groups
                .first()
                .is_none_or(|group| group.value().by != "turn")
        })
        .map(|groups| table(groups, totals.value().task.has_output_tokens()))
        .collect()
}

fn table(groups: &[Part<'_, GroupFigures>], has_output: bool) -> Table {
    let by = groups.first().map_or("", |group| group.value().by.as_str());
    let goodput = groups.iter().any(|group| group.value().goodput.is_some());
    let kind = kind_of_group(by);
    let mut columns = vec![
        Column::new(first_letter_large(&kind)),
        Column::new("requests"),
        Column::new("due/s"),
    ];
    let disconnected = groups.iter().any(|group| group.value().disconnected > 0);
    if disconnected {
        columns.push(Column::new("disconnected"));
    }
    columns.extend(super::sweep::figure_columns(goodput, has_output));
    let label = match by {
        "window" => STEADY.to_owned(),
        _ => format!("By {kind}"),
    };
    let mut table = Table::of_columns(label, columns);
    for group in groups {
        // The numbers stand in the group under the names that they have in totals.
        let totals = group.value().totals();
        let as_totals = Part::new(group.pointer(), &totals);
        let mut row = vec![
            Cell::name(one_line(&group.value().name, 60)).class("wide"),
            Cell::number(at!(group, completed).whole()),
            Cell::number(at!(group, due_per_second).fixed(2)),
        ];
        if disconnected {
            row.push(Cell::number(at!(group, disconnected).whole()));
        }
        row.extend(figures(
            &as_totals,
            at!(group, failed).whole(),
            goodput,
            has_output,
        ));
        table.rows.push(row);
    }
    table.note(format!("{} Times in milliseconds.", note(by)));
    table
}
