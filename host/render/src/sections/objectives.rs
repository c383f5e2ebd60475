//! The objectives of a run, and whether they were met.

use super::number::{Part, at};
use super::sweep::load_of;
use super::table::{Cell, Piece, Table};
use llmuses_core::document::{ObjectiveFigures, ObjectiveOutcome, Run, Totals};
use llmuses_core::metric::Unit;
use llmuses_core::wording::{counted, one_line};
use llmuses_stats::RunObjective;

/// The objectives. `None`: the run has none.
pub(crate) fn objectives(totals: &Part<'_, Totals>) -> Option<Table> {
    let objectives = at!(totals, objectives).items();
    let mut table = Table::new("Objectives", &COLUMNS);
    table.rows.extend(objectives.iter().map(row));
    with_note(table, objectives.iter())
}

/// The objectives of several loads. `None`: they have none.
pub(crate) fn objectives_of_loads(runs: &[Part<'_, Run>]) -> Option<Table> {
    let mut columns = vec!["Load"];
    columns.extend(COLUMNS);
    let mut table = Table::new("Objectives", &columns);
    let mut all = Vec::new();
    for run in runs {
        let Some(totals) = at!(run, totals).known() else {
            continue;
        };
        for objective in at!(totals, objectives).items() {
            let mut cells = vec![Cell::name(one_line(&load_of(run.value()), 60))];
            cells.extend(row(&objective));
            table.rows.push(cells);
            all.push(objective);
        }
    }
    with_note(table, all.iter())
}

const COLUMNS: [&str; 4] = ["Objective", "figure", "95 % confidence", "outcome"];

fn row(objective: &Part<'_, ObjectiveFigures>) -> Vec<Cell> {
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
    vec![
        Cell::name(one_line(&objective.value().objective, 60)),
        Cell::number(number(at!(objective, value))),
        Cell::of(interval).class("number"),
        Cell::name(outcome(objective.value())),
    ]
}

/// The table, where it has a row.
fn with_note<'a, 'b: 'a>(
    mut table: Table,
    mut objectives: impl Iterator<Item = &'a Part<'b, ObjectiveFigures>>,
) -> Option<Table> {
    if objectives.any(|part| part.value().outcome == ObjectiveOutcome::NotDecided) {
        table.note(
            "An objective is decided where the whole confidence interval of its figure lies on one side of the bound.",
        );
    }
    (!table.rows.is_empty()).then_some(table)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Look, sweep_summary};
    use crate::tests_support::run;

    #[test]
    fn each_load_of_a_sweep_has_its_objectives_in_the_summary() {
        let runs = [1, 8].map(|parallel| {
            let mut run = run();
            run.plan.load.parallel = Some(parallel);
            let objective = ObjectiveFigures {
                objective: "ttft_p99<200ms".to_owned(),
                figure: "ttft_p99".to_owned(),
                limit: 0.2,
                value: Some(0.1 * parallel as f64),
                low: None,
                high: None,
                outcome: ObjectiveOutcome::Missed,
                requests_needed: None,
            };
            run.totals = Some(Totals {
                objectives: vec![objective],
                ..Totals::default()
            });
            run
        });
        let summary = sweep_summary(&runs, None, Look::of(None, false));
        let text = summary.plain();
        let told: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("ttft_p99<200ms"))
            .collect();
        assert_eq!(told.len(), 2, "{text}");
        assert!(
            told[1].contains("parallel 8") && told[1].contains("missed"),
            "{text}"
        );
        let none: Vec<Part<'_, Run>> = Vec::new();
        assert!(objectives_of_loads(&none).is_none());
    }
}
