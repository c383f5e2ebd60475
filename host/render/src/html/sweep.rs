//! The page of a database: one run, or the runs of a sweep with a table and charts of all loads first.

use super::chart::Chart;
use super::drawn::{Drawn, curves};
use super::figure::Part;
use super::page::{json, page};
use super::run::RunView;
use super::table::{Cell, Markup, Piece, Table};
use crate::report::{UNKNOWN, counted, load_of};
use askama::Template;
use llmuses_core::document::{Document, Percentile, Run};
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
    trusted: bool,
    sentence: String,
    /// Of the runs with doubts: anchor, load, and what speaks against it.
    doubted: Vec<(String, String, Vec<String>)>,
    table: Table,
    charts: Vec<Chart>,
    curves: Vec<Chart>,
}

/// The page of the runs of a database, or of runs that have just ended: one file, complete in itself.
pub fn report_page(runs: &[Run]) -> String {
    let document = json(&Document::of(runs.to_vec()));
    let parts = Part::root(&document).at("runs").items();
    let several = parts.len() > 1;
    let report = Report {
        overview: several.then(|| Overview::of(&parts, runs)),
        runs: parts
            .iter()
            .zip(runs)
            .enumerate()
            .map(|(place, (part, run))| RunView::of(part, place, run, several))
            .collect(),
    };
    let model = parts.first().map_or("", |run| run.at("plan/model").text());
    let model = one_line(model, 100);
    let what = match runs {
        [run] => load_of(run),
        several => format!("sweep of {} loads", several.len()),
    };
    page(
        &format!("{model}, {what}: llmuses"),
        &format!("Load test of {model}"),
        &report,
        &document,
    )
}

impl Overview {
    fn of(runs: &[Part<'_>], of: &[Run]) -> Self {
        let loads: Vec<String> = of.iter().map(load_of).collect();
        let doubted: Vec<(String, String, Vec<String>)> = runs
            .iter()
            .zip(&loads)
            .enumerate()
            .filter(|(_, (run, _))| run.at("verdict/trusted").value() != true)
            .map(|(place, (run, load))| {
                let figures = run
                    .at("verdict/doubts")
                    .items()
                    .iter()
                    .map(|doubt| one_line(doubt.at("figure").text(), 200))
                    .collect();
                (format!("#run-{}", place + 1), load.clone(), figures)
            })
            .collect();
        let drawn: Vec<Drawn<'_>> = runs
            .iter()
            .zip(&loads)
            .enumerate()
            .map(|(place, (run, load))| Drawn {
                totals: run.at("totals"),
                place,
                name: load.clone(),
            })
            .collect();
        Self {
            subject: runs
                .first()
                .map_or_else(String::new, |run| one_line(run.at("plan/url").text(), 400)),
            trusted: doubted.is_empty(),
            sentence: match doubted.len() {
                0 => "Nothing speaks against the numbers of any run.".to_owned(),
                some => format!("{some} of {} runs are to be read with care.", runs.len()),
            },
            doubted,
            table: table(&drawn, runs),
            charts: [
                ("Request latency against throughput", "latency"),
                (
                    "Time to first token against throughput",
                    "time_to_first_token",
                ),
            ]
            .into_iter()
            .map(|(title, key)| against_throughput(title, key, &drawn))
            .collect(),
            curves: curves(&drawn),
        }
    }
}

/// The loads side by side, as in the text report.
fn table(runs: &[Drawn<'_>], parts: &[Part<'_>]) -> Table {
    let goodput = runs
        .iter()
        .any(|run| !run.totals.at("goodput").value().is_null());
    let mut columns = vec!["Load", "verdict", "requests/s", "tokens/s"];
    if goodput {
        columns.push("goodput/s");
    }
    columns.extend([
        "TTFT p50",
        "TTFT p99",
        "TPOT p50",
        "TPOT p99",
        "latency p50",
        "latency p99",
        "failed",
    ]);
    let mut table = Table::new("Loads of the sweep", &columns);
    for (run, part) in runs.iter().zip(parts) {
        let rates = run.totals.at("rates");
        // Loads are made of numbers: no name of anybody gets into this markup.
        let link = format!("<a href=\"#run-{}\">{}</a>", run.place + 1, run.name);
        let verdict = part.at("verdict");
        let doubts = verdict.at("doubts").items().len() as u64;
        let mut row = vec![
            Cell::of([Piece::Markup(Markup(link))]),
            // Where a narrow screen shows it too.
            Cell::name(match (verdict.value().is_null(), doubts) {
                (true, _) => UNKNOWN.to_owned(),
                (_, 0) => "good".to_owned(),
                (_, doubts) => counted(doubts, "doubt"),
            }),
            Cell::number(rates.at("succeeded_per_second").fixed(2)),
            Cell::number(rates.at("output_tokens_per_second").fixed(1)),
        ];
        if goodput {
            row.push(Cell::number(run.totals.at("goodput/per_second").fixed(2)));
        }
        for key in ["time_to_first_token", "time_per_output_token", "latency"] {
            let spread = run.totals.at(key);
            let samples = spread.at("samples").count();
            row.extend([Percentile::P50, Percentile::P99].map(|percentile| {
                let figure = spread
                    .at(&format!("{}_seconds", percentile.label()))
                    .millis(2);
                Cell::number(figure.marked(samples > 0 && percentile.is_short(samples)))
            }));
        }
        row.push(Cell::number(run.totals.at("requests/failed").whole()));
        table.rows.push(row);
    }
    table
        .notes
        .push("Times in milliseconds. * fewer samples than this percentile needs.".to_owned());
    table
}

/// A time of all runs against their throughput, in the order in which they were run.
fn against_throughput(title: &str, key: &'static str, runs: &[Drawn<'_>]) -> Chart {
    let drawn: Vec<&Drawn<'_>> = runs
        .iter()
        .filter(|run| run.totals.at(key).at("p50_seconds").number().is_some())
        .collect();
    let words: Vec<String> = drawn
        .iter()
        .map(|run| {
            let rates = run.totals.at("rates");
            let tokens = rates.at("output_tokens_per_second");
            let (rate, unit) = match tokens.number() {
                Some(_) => (tokens.fixed(1), "tokens/s"),
                None => (rates.at("succeeded_per_second").fixed(2), "requests/s"),
            };
            let time = run.totals.at(key);
            format!(
                "{}: {} {unit}, median {} ms, p99 {} ms.",
                run.name,
                rate.text(),
                time.at("p50_seconds").millis(2).text(),
                time.at("p99_seconds").millis(2).text()
            )
        })
        .collect();
    Chart {
        title: title.to_owned(),
        description: format!("{title}. {}", words.join(" ")),
        kind: "sweep",
        of: key,
        runs: drawn.iter().map(|run| run.place).collect(),
        names: drawn.iter().map(|run| run.name.clone()).collect(),
        absent: (drawn.len() < 2)
            .then(|| "Nothing to draw: fewer than two of the loads have such a time.".to_owned()),
    }
}
