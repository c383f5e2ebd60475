//! The page of a database: one run, or the runs of a sweep with a table and charts of all loads first.

use super::chart::Chart;
use super::curves::curves;
use super::drawn::{Drawn, Unit};
use super::facts;
use super::page::page;
use super::plot::{Axis, Plot, Shape};
use super::run::{RunView, command};
use super::table::TableView;
use crate::sections::{self, Part, at, has_place, load_of};
use askama::Template;
use llmuses_core::document::{Document, Percentile, Run, Totals};
use llmuses_core::metric::{Figure, LATENCY, QPS, THROUGHPUT, TTFT, Time};
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
    /// The command line that repeats the sweep, where it is known.
    command: Option<String>,
    /// Where it was made.
    place: Vec<(&'static str, String)>,
    /// Of the runs with doubts: anchor, load, and what speaks against it.
    doubted: Vec<(String, String, Vec<String>)>,
    table: TableView,
    /// Of each load that was repeated, its title, and its runs taken together.
    repeats: Vec<(String, TableView)>,
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
            repeats: sections::repeats(
                &Part::new("/repeats", &document.repeats).items(),
                &document.runs,
            )
            .into_iter()
            .map(|table| (table.label.clone(), table.into()))
            .collect(),
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
        .map_or_else(String::new, |run| run.plan.target.model_text());
    let model = one_line(&model, 100);
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
            .filter_map(|run| {
                Some(Drawn {
                    totals: at!(run, totals).known()?,
                    name: load_of(run.value()),
                })
            })
            .collect();
        Self {
            subject: runs.first().map_or_else(String::new, |run| {
                one_line(&run.value().plan.target.url_text(), 400)
            }),
            search: None,
            trusted: doubted.is_empty(),
            sentence: match doubted.len() {
                0 => "Nothing speaks against the numbers of any run.".to_owned(),
                some => format!("{some} of {} runs are to be read with care.", runs.len()),
            },
            doubted,
            command: runs.first().and_then(|run| command(run.value())),
            place: runs
                .last()
                .map(|run| facts::place(run.value()))
                .unwrap_or_default(),
            table: sections::sweep(runs)
                .with_first(&["TTFT p50", "TTFT p99", "verdict"])
                .into(),
            repeats: Vec::new(),
            charts: charts(&drawn),
            curves: curves(&drawn),
        }
    }
}

/// The figures of the runs against their loads.
fn charts(runs: &[Drawn<'_>]) -> Vec<Chart> {
    let mut charts = vec![
        throughput_against_load(runs),
        time_against_load(LATENCY, runs),
        time_against_throughput(LATENCY, runs),
    ];
    if runs.is_empty() || runs.iter().any(|run| has_place(run.totals.value(), TTFT)) {
        charts.insert(0, time_against_load(TTFT, runs));
    }
    charts
}

/// What the loads of a sweep are, for an axis: its title, and the name of each.
fn loads(runs: &[Drawn<'_>]) -> (&'static str, Vec<String>) {
    let all = |prefix: &str| -> Option<Vec<String>> {
        let of = |run: &Drawn<'_>| run.name.strip_prefix(prefix).map(str::to_owned);
        runs.iter().map(of).collect()
    };
    for (prefix, title) in [
        ("parallel ", "Requests in parallel"),
        ("rate ", "Requests per second asked for"),
    ] {
        if let Some(names) = all(prefix) {
            return (title, names);
        }
    }
    ("Load", runs.iter().map(|run| run.name.clone()).collect())
}

/// The points of a figure over the loads, those of which it is known.
fn over_loads(runs: &[Drawn<'_>], of: impl Fn(&Totals) -> Option<f64>) -> Vec<(f64, f64)> {
    (0_u32..)
        .zip(runs)
        .filter_map(|(place, run)| Some((f64::from(place), of(run.totals.value())?)))
        .collect()
}

/// A time against the load.
fn time_against_load(time: Time, runs: &[Drawn<'_>]) -> Chart {
    let title = format!("{} against load", time.full_title());
    let of = |percentile: Percentile| {
        over_loads(runs, |totals| totals.times[time].percentile(percentile))
    };
    let [p50, p99] = [of(Percentile::P50), of(Percentile::P99)];
    if p50.len() < 2 {
        return Chart::absent(title, FEW);
    }
    let longest = p99.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max);
    let unit = Unit::of(longest);
    let (axis, names) = loads(runs);
    let scaled = |line: Vec<(f64, f64)>| {
        let scaled = line
            .into_iter()
            .map(|(at, seconds)| (at, seconds * unit.in_a_second));
        scaled.collect()
    };
    let vertical = Axis::from_zero(unit.title(&time.full_title()), longest * unit.in_a_second);
    let plot = Plot::new(Axis::names(axis, &names), vertical)
        .with("p50", 1, Shape::Dotted(scaled(p50)))
        .with("p99", 2, Shape::Dotted(scaled(p99)));
    Chart::of(&title, &format!("{title}. {}", in_words(time, runs)), &plot)
}

/// Throughput against the load.
fn throughput_against_load(runs: &[Drawn<'_>]) -> Chart {
    let title = "Throughput against load";
    let (figure, unit) = throughput(runs);
    let points = over_loads(runs, |totals| totals.figures.get(figure));
    if points.len() < 2 {
        return Chart::absent(title, FEW);
    }
    let most = points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    let (axis, names) = loads(runs);
    let plot = Plot::new(Axis::names(axis, &names), Axis::from_zero(unit, most)).with(
        unit,
        3,
        Shape::Dotted(points),
    );
    Chart::of(
        title,
        &format!("{title}. {}", in_words(LATENCY, runs)),
        &plot,
    )
}

/// A time against the throughput, from load to load.
fn time_against_throughput(time: Time, runs: &[Drawn<'_>]) -> Chart {
    let title = format!("{} against throughput", time.full_title());
    let (figure, unit) = throughput(runs);
    let of = |percentile: Percentile| -> Vec<(f64, f64)> {
        let known = runs.iter().filter_map(|run| {
            let totals = run.totals.value();
            let rate = totals.figures.get(figure)?;
            Some((rate, totals.times[time].percentile(percentile)?))
        });
        known.collect()
    };
    let [p50, p99] = [of(Percentile::P50), of(Percentile::P99)];
    if p50.len() < 2 {
        return Chart::absent(title, FEW);
    }
    let longest = p99.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max);
    let most = p50.iter().map(|(rate, _)| *rate).fold(0.0, f64::max);
    let scale = Unit::of(longest);
    let scaled = |line: Vec<(f64, f64)>| {
        let scaled = line
            .into_iter()
            .map(|(at, seconds)| (at, seconds * scale.in_a_second));
        scaled.collect()
    };
    let horizontal = Axis::numbers(unit, 0.0, most * 1.05, 5);
    let vertical = Axis::from_zero(scale.title(&time.full_title()), longest * scale.in_a_second);
    let plot = Plot::new(horizontal, vertical)
        .with("p50", 1, Shape::Dotted(scaled(p50)))
        .with("p99", 2, Shape::Dotted(scaled(p99)));
    Chart::of(&title, &format!("{title}. {}", in_words(time, runs)), &plot)
        .note("The line goes from load to load.")
}

/// What the throughput of these runs is counted in.
fn throughput(runs: &[Drawn<'_>]) -> (Figure, &'static str) {
    let tokens = |run: &Drawn<'_>| run.totals.value().figures.get(THROUGHPUT).is_some();
    if runs.iter().all(tokens) {
        (THROUGHPUT, "Output tokens/s")
    } else {
        (QPS, "Requests/s")
    }
}

/// Why there is no chart of a sweep.
const FEW: &str = "Nothing to draw: fewer than two of the loads have such a figure.";

/// Throughput and a time of each run.
fn in_words(time: Time, runs: &[Drawn<'_>]) -> String {
    let (figure, unit) = throughput(runs);
    let words: Vec<String> = runs
        .iter()
        .map(|run| {
            let spread = run.totals.time(time);
            format!(
                "{}: {} {unit}, median {} ms, p99 {} ms.",
                run.name,
                run.totals.figure(figure, 2).text,
                spread.percentile(Percentile::P50).millis(2).text,
                spread.percentile(Percentile::P99).millis(2).text
            )
        })
        .collect();
    words.join(" ")
}
