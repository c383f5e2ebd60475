//! The page of a database: one run, or the runs of a sweep with a table and charts of all loads first.

use super::chart::Chart;
use super::drawn::{Drawn, curves};
use super::page::page;
use super::run::RunView;
use super::table::TableView;
use crate::sections::{self, Part, at, load_of};
use askama::Template;
use llmuses_core::document::{Document, Percentile, Run};
use llmuses_core::metric::{LATENCY, QPS, THROUGHPUT, TTFT, Time};
use llmuses_core::wording::one_line;

/// What stands on the page of a database.
#[derive(Debug, Template)]
#[template(path = "report.html")]
struct Report {
    overview: Option<Overview>,
    runs: Vec<RunView>,
}

/// All loads of a sweep.
#[derive(Debug)]
struct Overview {
    subject: String,
    search: Option<SearchView>,
    trusted: bool,
    sentence: String,
    /// Of the runs with doubts: anchor, load, and what speaks against it.
    doubted: Vec<(String, String, Vec<String>)>,
    table: TableView,
    charts: Vec<Chart>,
    curves: Vec<Chart>,
}

/// The result of a search of the highest load.
#[derive(Debug)]
struct SearchView {
    lines: Vec<String>,
    probes: Option<TableView>,
}

/// The page of a document, be its runs of a database or of those that have just ended: one file, complete in itself.
pub fn report_page(document: &Document) -> String {
    let runs = Part::new("/runs", &document.runs).items();
    let several = runs.len() > 1;
    let report = Report {
        overview: (several || document.search.is_some()).then(|| Overview {
            search: document.search.as_ref().map(|search| SearchView {
                lines: sections::search_lines(search),
                probes: sections::probes(&runs).map(TableView::from),
            }),
            ..Overview::of(&runs)
        }),
        runs: runs
            .iter()
            .enumerate()
            .map(|(place, run)| RunView::of(run, place, several))
            .collect(),
    };
    let model = document
        .runs
        .first()
        .map_or("", |run| &run.plan.target.model);
    let model = one_line(model, 100);
    let what = match document.runs.as_slice() {
        [run] => load_of(run),
        several => format!("sweep of {} loads", several.len()),
    };
    page(
        &format!("{model}, {what}: llmuses"),
        &format!("Load test of {model}"),
        &report,
        document,
    )
}

impl Overview {
    fn of(runs: &[Part<'_, Run>]) -> Self {
        let numbered = (1_usize..).zip(runs.iter().map(Part::value));
        let doubted: Vec<(String, String, Vec<String>)> = numbered
            .filter(|(_, run)| run.verdict.as_ref().is_none_or(|verdict| !verdict.trusted))
            .map(|(number, run)| {
                let doubts = run.verdict.iter().flat_map(|verdict| &verdict.doubts);
                let figures = doubts.map(|doubt| one_line(&doubt.figure, 200)).collect();
                (format!("#run-{number}"), load_of(run), figures)
            })
            .collect();
        let drawn: Vec<Drawn<'_>> = runs
            .iter()
            .enumerate()
            .filter_map(|(place, run)| {
                Some(Drawn {
                    totals: at!(run, totals).known()?,
                    place,
                    name: load_of(run.value()),
                })
            })
            .collect();
        Self {
            subject: runs.first().map_or_else(String::new, |run| {
                one_line(&run.value().plan.target.url, 400)
            }),
            search: None,
            trusted: doubted.is_empty(),
            sentence: match doubted.len() {
                0 => "Nothing speaks against the numbers of any run.".to_owned(),
                some => format!("{some} of {} runs are to be read with care.", runs.len()),
            },
            doubted,
            table: sections::sweep(runs).with_last_column_second().into(),
            charts: [
                ("Request latency against throughput", LATENCY),
                ("Time to first token against throughput", TTFT),
            ]
            .into_iter()
            .map(|(title, time)| against_throughput(title, time, &drawn))
            .collect(),
            curves: curves(&drawn),
        }
    }
}

/// A time of all runs against their throughput, in the order in which they were run.
fn against_throughput(title: &str, time: Time, runs: &[Drawn<'_>]) -> Chart {
    let drawn: Vec<&Drawn<'_>> = runs
        .iter()
        .filter(|run| run.totals.value().times[time].samples > 0)
        .collect();
    let words: Vec<String> = drawn
        .iter()
        .map(|run| {
            let tokens = run.totals.figure(THROUGHPUT, 1);
            let (rate, unit) = if tokens.is_unknown() {
                (run.totals.figure(QPS, 2), "requests/s")
            } else {
                (tokens, "tokens/s")
            };
            let spread = run.totals.time(time);
            format!(
                "{}: {} {unit}, median {} ms, p99 {} ms.",
                run.name,
                rate.text,
                spread.percentile(Percentile::P50).millis(2).text,
                spread.percentile(Percentile::P99).millis(2).text
            )
        })
        .collect();
    Chart {
        title: title.to_owned(),
        description: format!("{title}. {}", words.join(" ")),
        kind: "sweep",
        of: time.key,
        runs: drawn.iter().map(|run| run.place).collect(),
        names: drawn.iter().map(|run| run.name.clone()).collect(),
        absent: (drawn.len() < 2)
            .then(|| "Nothing to draw: fewer than two of the loads have such a time.".to_owned()),
    }
}
