//! Comparisons as a table for a terminal, and as JSON.

use super::comparison::RunComparison;
use super::correction::ERROR;
use super::judgement::Change;
use super::pairing::NotCompared;
use crate::digits::{UNKNOWN, certain_decimals};
use crate::report::Look;
use crate::report::table::push_table;
use crate::report::text::push_wrapped;
use crate::sections::{Cell, Column, Table, kind_of_group};
use llmuses_core::metric::Unit;
use llmuses_core::wording::one_line;
use llmuses_stats::Estimate;
use serde_json::{Value, json};
use std::fmt::Write;

/// The comparisons as text, in order; `alone`: what is in none of them. On a narrow terminal the confidence
/// intervals are left out, and then the figures before: verdict and change say what they say.
pub fn table(comparisons: &[RunComparison], alone: &[NotCompared], look: Look) -> String {
    let mut out = String::new();
    for comparison in comparisons {
        one(&mut out, comparison, look);
        out.push('\n');
    }
    for load in alone {
        let _ = writeln!(out, "Not compared: {load}.");
    }
    out
}

fn one(out: &mut String, comparison: &RunComparison, look: Look) {
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "{} (after) against {} (before), {}",
        comparison.after, comparison.before, comparison.load
    );
    if let Some(means) = means(comparison) {
        push_wrapped(out, " ", &means, look.words());
    }
    if !comparison.is_comparable() {
        out.push_str(" Not comparable, the work was not the same:\n");
        for difference in &comparison.different_work {
            let _ = writeln!(out, "   {difference}");
        }
    }
    if !comparison.different_circumstances.is_empty() {
        let _ = writeln!(
            out,
            " Also different: {}",
            comparison.different_circumstances.join("; ")
        );
    }
    for (name, doubts) in &comparison.doubted {
        let s = if *doubts == 1 { "" } else { "s" };
        let _ = writeln!(
            out,
            " {name} has {doubts} reason{s} to be read with care (see `llmuses report`)"
        );
    }
    rows(out, "", &comparison.changes, look);
    if comparison.is_comparable() && comparison.tested > 0 {
        let note = format!(
            "{} figures were tested at once, and what is better or worse is corrected for that (Holm): the chance \
             that any of it is chance is {:.0} % at most.",
            comparison.tested,
            ERROR * 100.0
        );
        push_wrapped(out, " ", &note, look.words());
    }
    for group in &comparison.groups {
        let name = format!("{} {}", kind_of_group(&group.by), one_line(&group.name, 60));
        out.push('\n');
        rows(out, &name, &group.changes, look);
    }
    if !comparison.groups.is_empty() {
        push_wrapped(
            out,
            " ",
            "The figures of each group are corrected by themselves.",
            look.words(),
        );
    }
}

/// Over which runs figures are means. `None`: there is one run on each side.
pub(crate) fn means(comparison: &RunComparison) -> Option<String> {
    let [before, after] = comparison.repeats;
    let runs = |count: usize| match count {
        1 => "one run".to_owned(),
        several => format!("the mean of {several} runs"),
    };
    (before > 1 || after > 1).then(|| {
        format!(
            "After: {}; before: {}. Intervals of means are those between runs.",
            runs(after),
            runs(before)
        )
    })
}

fn rows(out: &mut String, name: &str, changes: &[Change], look: Look) {
    let columns = [
        Column::new(name),
        Column::new("before").rank(1),
        Column::new("after"),
        Column::new("change"),
        Column::new("95 % confidence").rank(2),
        Column::new("verdict"),
    ];
    let mut table = Table::of_columns("", columns);
    for change in changes {
        let figure = |estimate| figure_text(estimate, change.metric.unit);
        table.rows.push(vec![
            Cell::name(change.metric.title.clone()),
            Cell::number(figure(change.before)),
            Cell::number(figure(change.after)),
            Cell::number(change_text(change.change.map(|change| change.value))),
            Cell::number(interval(change)),
            Cell::name(change.judgement.as_str()),
        ]);
    }
    push_table(out, &table, look.columns());
}

/// One of the two figures, with as many digits as are certain.
pub(crate) fn figure_text(estimate: Option<Estimate>, unit: Unit) -> String {
    let Some(Estimate { value, low, high }) = estimate else {
        return UNKNOWN.to_owned();
    };
    let half_width = match (low, high) {
        (Some(low), Some(high)) => Some((high - low) / 2.0),
        (Some(low), None) => Some(value - low),
        (None, Some(high)) => Some(high - value),
        (None, None) => None,
    };
    let times = unit.shown_times();
    let decimals = certain_decimals(value * times, half_width.map(|half| half * times));
    unit.format_with(value, decimals)
}

/// A change as percent, with its sign.
pub(crate) fn change_text(share: Option<f64>) -> String {
    share.map_or_else(
        || "-".to_owned(),
        |share| format!("{:+.2} %", share * 100.0),
    )
}

fn interval(change: &Change) -> String {
    match change.change {
        Some(Estimate {
            low: Some(low),
            high: Some(high),
            ..
        }) => format!("{:+.2} to {:+.2} %", low * 100.0, high * 100.0),
        Some(Estimate {
            low: Some(low),
            high: None,
            ..
        }) => format!("{:+.2} % or more", low * 100.0),
        Some(Estimate {
            low: None,
            high: Some(high),
            ..
        }) => format!("{:+.2} % or less", high * 100.0),
        _ => "-".to_owned(),
    }
}

/// The comparisons as JSON. Changes are shares of the first run.
pub fn to_json(comparisons: &[RunComparison], alone: &[NotCompared]) -> Value {
    let estimate = |estimate: Option<Estimate>| {
        estimate.map(|estimate| {
            json!({ "value": estimate.value, "low": estimate.low, "high": estimate.high })
        })
    };
    let changes = |changes: &[Change]| -> Vec<Value> {
        let changes = changes.iter();
        changes
            .map(|change| {
                json!({
                    "metric": &change.metric.name,
                    "before": estimate(change.before),
                    "after": estimate(change.after),
                    "change": estimate(change.change),
                    "verdict": change.judgement.as_str(),
                })
            })
            .collect()
    };
    let comparisons: Vec<Value> = comparisons
        .iter()
        .map(|comparison| {
            let groups: Vec<Value> = comparison
                .groups
                .iter()
                .map(|group| json!({"by": group.by, "name": group.name, "changes": changes(&group.changes)}))
                .collect();
            json!({
                "before": comparison.before,
                "after": comparison.after,
                "load": comparison.load,
                "runs_before": comparison.repeats[0],
                "runs_after": comparison.repeats[1],
                "comparable": comparison.is_comparable(),
                "figures_tested": comparison.tested,
                "different_work": comparison.different_work,
                "different_circumstances": comparison.different_circumstances,
                "changes": changes(&comparison.changes),
                "groups": groups,
            })
        })
        .collect();
    let alone: Vec<String> = alone.iter().map(NotCompared::to_string).collect();
    json!({
        "format": "llmuses.comparison",
        "format_version": 1,
        "confidence": 0.95,
        "correction": "Holm",
        "chance_of_any_false_alarm": ERROR,
        "comparisons": comparisons,
        "not_compared": alone,
    })
}
