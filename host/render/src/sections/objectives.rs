//! The objectives of a run, and whether they were met.

use super::number::{Part, at};
use super::table::{Cell, Piece, Table};
use llmuses_core::document::{ObjectiveFigures, ObjectiveOutcome, Totals};
use llmuses_core::metric::Unit;
use llmuses_core::wording::{counted, one_line};
use llmuses_stats::RunObjective;

/// The objectives. `None`: the run has none.
pub(crate) fn objectives(totals: &Part<'_, Totals>) -> Option<Table> {
    let objectives = at!(totals, objectives).items();
    if objectives.is_empty() {
        return None;
    }
    let mut table = Table::new(
        "Objectives",
        &["Objective", "figure", "95 % confidence", "outcome"],
    );
    for objective in &objectives {
        let format = format_of(objective.value());
        let number = |part: Part<'_, Option<f64>>| -> Piece {
            let text = part.value().map_or_else(|| "?".to_owned(), &format);
            part.shown(text).into()
        };
        let interval = [
            number(at!(objective, low)),
            " to ".into(),
            number(at!(objective, high)),
        ];
        table.rows.push(vec![
            Cell::name(one_line(&objective.value().objective, 60)),
            Cell::number(number(at!(objective, value))),
            Cell::of(interval).class("number"),
            Cell::name(outcome(objective.value())),
        ]);
    }
    if objectives
        .iter()
        .any(|part| part.value().outcome == ObjectiveOutcome::NotDecided)
    {
        table.note(
            "An objective is decided where the whole confidence interval of its figure lies on one side of the bound.",
        );
    }
    Some(table)
}

/// How values of the figure are shown.
fn format_of(objective: &ObjectiveFigures) -> impl Fn(f64) -> String + use<> {
    let known = objective.objective.parse::<RunObjective>().ok();
    move |value| match &known {
        Some(known) => known.shown(value),
        // Of a version that knows other figures.
        None => Unit::Packages.format(value),
    }
}

fn outcome(objective: &ObjectiveFigures) -> String {
    let outcome = objective.outcome.as_str();
    match (
        objective.outcome,
        objective.value,
        objective.requests_needed,
    ) {
        (ObjectiveOutcome::NotDecided, None, _) => format!("{outcome}: the run has no such figure"),
        (ObjectiveOutcome::NotDecided, _, Some(needed)) => {
            format!("{outcome}: takes some {}", counted(needed, "request"))
        }
        _ => outcome.to_owned(),
    }
}
