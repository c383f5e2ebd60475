//! The page of a comparison: what became of each figure, and the curves over one another.

use super::chart::Chart;
use super::curves::curves;
use super::drawn::Drawn;
use super::page::page;
use super::run::{date, endpoint};
use super::table::TableView;
use crate::compare::{
    Change, Judgement, NotCompared, Results, RunComparison, change_text, figure_text, means,
    to_json,
};
use crate::digits::counted;
use crate::sections::{
    Cell, Number, Part, Piece, Table, at, kind_of_group, load_of, verdict_in_short,
};
use askama::Template;
use llmuses_core::document::Run;
use llmuses_core::wording::one_line;
use llmuses_stats::Estimate;

/// The size of the picture of a change.
const WIDTH: f64 = 150.0;
const HEIGHT: f64 = 16.0;
/// Changes are drawn up to half of the figure; what is beyond ends at the edge.
const WIDEST: f64 = 0.5;

/// What stands on the page.
#[derive(Debug, Template)]
#[template(path = "comparison.html")]
struct ComparisonView {
    files: TableView,
    pairs: Vec<Pair>,
    alone: Vec<String>,
}

/// Two runs compared with one another.
#[derive(Debug)]
struct Pair {
    anchor: String,
    title: String,
    good: bool,
    sentence: String,
    different_work: Vec<String>,
    different_circumstances: String,
    means: Option<String>,
    doubted: Vec<String>,
    table: TableView,
    groups: Vec<(String, TableView)>,
    curves: Vec<Chart>,
}

/// The page of a comparison of the runs of `files`, with the first of which the others are compared;
/// `alone`: what is in none of them. One file, complete in itself.
pub fn comparison_page(
    files: &[Results],
    comparisons: &[RunComparison],
    alone: &[NotCompared],
) -> String {
    let mut document = to_json(comparisons, alone);
    // As on the page of a database: its numbers are here.
    let runs: Vec<&Run> = files.iter().flat_map(|file| &file.runs).collect();
    // The types of a run have no value that JSON cannot have.
    document["runs"] = serde_json::to_value(&runs).unwrap_or_default();
    let pairs = comparisons
        .iter()
        .enumerate()
        .map(|(place, comparison)| Pair::of(place, comparison, &drawn(files, comparison, &runs)))
        .collect();
    let view = ComparisonView {
        files: table_of_files(files).into(),
        pairs,
        alone: alone.iter().map(NotCompared::to_string).collect(),
    };
    let names: Vec<String> = files.iter().map(|file| one_line(&file.name, 60)).collect();
    page(
        &format!("{}: llmuses", names.join(", ")),
        "Comparison of load tests",
        &view,
        &document,
    )
}

/// Both runs of a comparison, in the list of all runs of all files.
fn drawn<'a>(files: &[Results], comparison: &RunComparison, runs: &[&'a Run]) -> Vec<Drawn<'a>> {
    let places = comparison.places;
    let first_of =
        |file: usize| -> usize { files[..file].iter().map(|file| file.runs.len()).sum() };
    [
        (places.before, &comparison.before),
        (first_of(places.file) + places.after, &comparison.after),
    ]
    .into_iter()
    .filter_map(|(place, name)| {
        let run: Part<'a, Run> = Part::new(format!("/runs/{place}"), *runs.get(place)?);
        Some(Drawn {
            totals: at!(run, totals).known()?,
            name: one_line(name, 60),
        })
    })
    .collect()
}

fn table_of_files(files: &[Results]) -> Table {
    let mut table = Table::new(
        "Files",
        &["File", "load", "model and endpoint", "began", "verdict"],
    );
    let runs = files
        .iter()
        .flat_map(|file| file.runs.iter().map(|run| (file.name.as_str(), run)));
    for (name, run) in runs {
        table.rows.push(vec![
            Cell::name(one_line(name, 100)),
            Cell::name(load_of(run)),
            Cell::long(endpoint(run)),
            Cell::name(date(run.started_unix_seconds).unwrap_or_default()),
            Cell::name(verdict_in_short(run)),
        ]);
    }
    table
}

impl Pair {
    /// The comparison at `place` of the document.
    fn of(place: usize, comparison: &RunComparison, runs: &[Drawn<'_>]) -> Self {
        let count = |judgement: Judgement| {
            let of_it = |change: &&Change| change.judgement == judgement;
            comparison.changes.iter().filter(of_it).count()
        };
        let comparable = comparison.is_comparable();
        let sentence = if comparable {
            [
                Judgement::Worse,
                Judgement::Better,
                Judgement::Different,
                Judgement::Same,
                Judgement::Unclear,
            ]
            .into_iter()
            .filter(|judgement| count(*judgement) > 0)
            .map(|judgement| format!("{} {}", count(judgement), judgement.as_str()))
            .collect::<Vec<String>>()
            .join(", ")
        } else {
            "not comparable, the work was not the same".to_owned()
        };
        let short = |text: &String| one_line(text, 300);
        Self {
            anchor: format!("pair-{}", place + 1),
            title: format!(
                "{} (after) against {} (before), {}",
                short(&comparison.after),
                short(&comparison.before),
                comparison.load
            ),
            good: comparable && count(Judgement::Worse) == 0,
            sentence,
            different_work: comparison.different_work.iter().map(short).collect(),
            different_circumstances: one_line(&comparison.different_circumstances.join("; "), 2000),
            means: means(comparison),
            doubted: comparison
                .doubted
                .iter()
                .map(|(name, doubts)| {
                    format!("{} has {}", short(name), counted(*doubts as u64, "reason"))
                })
                .collect(),
            table: changes(
                &comparison.changes,
                &format!("/comparisons/{place}/changes"),
            )
            .into(),
            groups: (comparison.groups.iter().enumerate())
                .map(|(of, group)| {
                    let at = format!("/comparisons/{place}/groups/{of}/changes");
                    let title = format!(
                        "{} {}, corrected by itself",
                        kind_of_group(&group.by),
                        group.name
                    );
                    (one_line(&title, 100), changes(&group.changes, &at).into())
                })
                .collect(),
            curves: curves(runs),
        }
    }
}

/// `at`: the place of the changes in the document.
fn changes(changes: &[Change], at: &str) -> Table {
    let mut table = Table::new(
        "Figures before and after",
        &[
            "Figure",
            "verdict",
            "change",
            "before",
            "after",
            "95 % confidence",
            "",
        ],
    );
    let scale = scale(changes);
    for (place, change) in changes.iter().enumerate() {
        let number = |name: &str, value: Option<f64>, text: String| {
            Cell::number(Number::new(
                format!("{at}/{place}/{name}/value"),
                &value,
                text,
            ))
        };
        let figure = |name: &str, estimate: Option<Estimate>| {
            let value = estimate.map(|estimate| estimate.value);
            number(name, value, figure_text(estimate, change.metric.unit))
        };
        let share = change.change.map(|change| change.value);
        table.rows.push(vec![
            Cell::name(change.metric.title.as_str()),
            // Where a narrow screen shows it too.
            Cell::name(change.judgement.as_str()).class(class(change.judgement)),
            number("change", share, change_text(share)),
            figure("before", change.before),
            figure("after", change.after),
            Cell::of(interval(change, &format!("{at}/{place}/change"))).class("number"),
            Cell::of([Piece::Markup(picture(change, scale))]),
        ]);
    }
    table.note(format!(
        "The pictures reach from {:+.1} % to {:+.1} %; the line in the middle is no change.",
        -scale * 100.0,
        scale * 100.0
    ));
    table
}

fn class(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Better => "better",
        Judgement::Worse => "worse",
        _ => "quiet",
    }
}

/// `at`: the place of the change in the document.
fn interval(change: &Change, at: &str) -> Vec<Piece> {
    let bound = |name: &str, share: f64| -> Piece {
        let text = format!("{:+.2}", share * 100.0);
        Number::new(format!("{at}/{name}"), &share, text).into()
    };
    let found = change.change;
    match found.map_or((None, None), |found| (found.low, found.high)) {
        (Some(low), Some(high)) => {
            vec![
                bound("low", low),
                " to ".into(),
                bound("high", high),
                " %".into(),
            ]
        }
        (Some(low), None) => vec![bound("low", low), " % or more".into()],
        (None, Some(high)) => vec![bound("high", high), " % or less".into()],
        (None, None) => vec!["-".into()],
    }
}

/// How far the pictures of these changes reach to both sides.
fn scale(changes: &[Change]) -> f64 {
    let farthest = changes
        .iter()
        .filter_map(|change| change.change)
        .flat_map(|change| [Some(change.value), change.low, change.high])
        .flatten()
        .map(f64::abs)
        .filter(|share| share.is_finite())
        .fold(0.0, f64::max);
    farthest.clamp(0.01, WIDEST)
}

/// A change with its interval as a small picture. The numbers stand beside it.
fn picture(change: &Change, scale: f64) -> String {
    let Some(found) = change.change else {
        return String::new();
    };
    let x = |share: f64| {
        let within = (share / scale).clamp(-1.0, 1.0);
        WIDTH / 2.0 + within * (WIDTH / 2.0 - 4.0)
    };
    let (middle, y) = (WIDTH / 2.0, HEIGHT / 2.0);
    let line = match (found.low, found.high) {
        (None, None) => String::new(),
        (low, high) => format!(
            "<line class=\"interval\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y}\" y2=\"{y}\"/>",
            x(low.unwrap_or(-scale)),
            x(high.unwrap_or(scale))
        ),
    };
    format!(
        "<svg class=\"change {}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         aria-hidden=\"true\"><line class=\"zero\" x1=\"{middle}\" x2=\"{middle}\" y1=\"0\" y2=\"{HEIGHT}\"/>\
         {line}<circle cx=\"{:.1}\" cy=\"{y}\" r=\"3.5\"/></svg>",
        class(change.judgement),
        x(found.value)
    )
}
