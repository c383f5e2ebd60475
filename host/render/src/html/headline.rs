//! The headline figures of a run, each with its formula.

use super::figure::{Figure, Part};
use super::spreads::{decimals, drawn_times, independent};
use super::table::Piece;
use crate::report::percent;
use llmuses_core::document::Percentile;
use llmuses_core::metric::Time;

/// A headline figure.
#[derive(Debug, Clone)]
pub(super) struct Card {
    /// What it is.
    pub(super) title: String,
    /// The figure itself.
    pub(super) figure: Figure,
    /// Its unit.
    pub(super) unit: &'static str,
    /// What belongs to it: lines of words and numbers.
    pub(super) lines: Vec<Vec<Piece>>,
    /// How it is worked out.
    pub(super) formula: &'static str,
    /// Whether it is a bad sign.
    pub(super) bad: bool,
}

/// The headline figures, of the totals of a run.
pub(super) fn cards(totals: &Part<'_>) -> Vec<Card> {
    let mut cards = vec![throughput(totals), qps(totals)];
    if !totals.at("goodput").value().is_null() {
        cards.push(goodput(totals));
    }
    for time in drawn_times() {
        cards.push(median(time, totals));
    }
    cards.push(failed(totals));
    cards
}

fn throughput(totals: &Part<'_>) -> Card {
    let output = totals.at("tokens/output");
    let lines = if totals.at("requests/succeeded").count() == 0 {
        vec![vec!["no request succeeded".into()]]
    } else if output.at("tokens").value().is_null() {
        vec![vec![
            "unknown: neither the server nor a tokenizer counted tokens".into(),
        ]]
    } else {
        let average = totals.at("tokens/average_seconds_per_output_token");
        vec![vec![
            output.at("tokens").whole().into(),
            " tokens, one every ".into(),
            average.millis(2).into(),
            " ms".into(),
        ]]
    };
    Card {
        title: "Output tokens per second".to_owned(),
        figure: totals.at("rates/output_tokens_per_second").fixed(3),
        unit: "/s",
        lines,
        formula: "output tokens of succeeded requests / wall; wall = first sent to last end",
        bad: false,
    }
}

fn qps(totals: &Part<'_>) -> Card {
    let wall = totals.at("wall_seconds");
    // As the text report: a run without a request took no time.
    let taken = wall.shown(format!("{:.3}", wall.number().unwrap_or_default()));
    Card {
        title: "Requests per second".to_owned(),
        figure: totals.at("rates/succeeded_per_second").fixed(3),
        unit: "/s",
        lines: vec![vec![
            totals.at("requests/succeeded").whole().into(),
            " succeeded in ".into(),
            taken.into(),
            " s".into(),
        ]],
        formula: "succeeded requests / wall",
        bad: false,
    }
}

fn goodput(totals: &Part<'_>) -> Card {
    let goodput = totals.at("goodput");
    let mut bounds: Vec<Piece> = Vec::new();
    for time in Time::objectives() {
        let (name, key) = (time.in_short(), time.seconds_key());
        let bound = goodput.at("objectives").at(&key);
        if let Some(seconds) = bound.number() {
            let and = if bounds.is_empty() { "" } else { " and " };
            bounds.push(format!("{and}{name} up to ").into());
            // A bound was typed: its own digits, whatever their number.
            bounds.push(bound.shown(milliseconds(seconds)).into());
            bounds.push(" ms".into());
        }
    }
    let share = goodput.at("share_of_completed");
    let share = share.shown(share.number().map_or_else(|| "n/a".to_owned(), percent));
    Card {
        title: "Goodput".to_owned(),
        figure: goodput.at("per_second").fixed(3),
        unit: "/s",
        lines: vec![
            vec![
                goodput.at("requests_that_met_all").whole().into(),
                " of ".into(),
                totals.at("requests/completed").whole().into(),
                " completed requests (".into(),
                share.into(),
                ") met".into(),
            ],
            bounds,
        ],
        formula: "succeeded requests that met every objective / wall",
        bad: false,
    }
}

/// Seconds that a person typed, as milliseconds without zeros at their end.
fn milliseconds(seconds: f64) -> String {
    let text = format!("{:.6}", seconds * 1e3);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn median(time: Time, totals: &Part<'_>) -> Card {
    let spread = totals.at(time.key);
    let samples = spread.at("samples").count();
    let independent = samples.min(independent(totals, time));
    let decimals = decimals(&spread);
    let figure = |percentile: Percentile| {
        spread
            .at(&format!("{}_seconds", percentile.label()))
            .millis(decimals)
            .marked(percentile.is_short(independent))
    };
    let mut lines = Vec::new();
    if samples > 0 {
        lines.push(vec![
            "p99 ".into(),
            figure(Percentile::P99).into(),
            ", mean ".into(),
            spread.at("mean_seconds").millis(decimals).into(),
        ]);
        let interval = spread.at("intervals_of_95_percent/p50_seconds").items();
        if let [low, high] = interval.as_slice()
            && low.number().is_some()
            && high.number().is_some()
        {
            lines.push(vec![
                "median with 95 % confidence ".into(),
                low.millis(decimals).into(),
                " to ".into(),
                high.millis(decimals).into(),
            ]);
        }
    } else {
        lines.push(vec!["no succeeded request has one".into()]);
    }
    Card {
        title: format!("{}, median", time.title),
        figure: match samples {
            0 => spread.at("p50_seconds").whole(),
            _ => figure(Percentile::P50),
        },
        unit: "ms",
        lines,
        formula: time.formula,
        bad: false,
    }
}

fn failed(totals: &Part<'_>) -> Card {
    let requests = totals.at("requests");
    let (failed, completed) = (
        requests.at("failed").count(),
        requests.at("completed").count(),
    );
    let mut line = vec![
        "of ".into(),
        requests.at("completed").whole().into(),
        " completed".into(),
    ];
    if completed > 0 {
        line.push(format!(", {}", percent(failed as f64 / completed as f64)).into());
    }
    Card {
        title: "Failed requests".to_owned(),
        figure: requests.at("failed").whole(),
        unit: "",
        lines: vec![line],
        formula: "in no percentile and no rate above; by kind below",
        bad: failed > 0,
    }
}
