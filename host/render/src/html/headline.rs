//! The headline figures of a run, each with its formula.

use crate::digits::{UNKNOWN, percent};
use crate::sections::{Number, Part, Piece, at, drawn_times, has_place, independent_samples};
use llmuses_core::document::{Goodput, Percentile, Totals};
use llmuses_core::metric::{FAILED_SHARE, Figure, GOODPUT, QPS, THROUGHPUT, Time, Unit};

/// A headline figure.
#[derive(Debug, Clone)]
pub(super) struct Card {
    /// What it is.
    pub(super) title: String,
    /// The figure itself, or several of one size, each with what it is.
    pub(super) figures: Vec<(&'static str, Vec<Piece>)>,
    /// Its unit; empty where it has none, or is unknown.
    pub(super) unit: &'static str,
    /// What belongs to it: lines of words and numbers.
    pub(super) lines: Vec<Vec<Piece>>,
    /// How it is worked out.
    pub(super) formula: &'static str,
    /// Whether it is a bad sign.
    pub(super) bad: bool,
}

impl Card {
    fn new(
        title: impl Into<String>,
        number: Number,
        unit: &'static str,
        formula: &'static str,
    ) -> Self {
        Self {
            title: title.into(),
            unit: if number.is_unknown() { "" } else { unit },
            figures: vec![("", vec![number.into()])],
            lines: Vec::new(),
            formula,
            bad: false,
        }
    }

    fn lines(self, lines: Vec<Vec<Piece>>) -> Self {
        Self { lines, ..self }
    }
}

/// The headline figures, of the totals of a run.
pub(super) fn cards(totals: &Part<'_, Totals>) -> Vec<Card> {
    let figures = Figure::all().filter(|figure| figure.headline);
    let mut cards: Vec<Card> = figures
        .filter_map(|figure| of_run(figure, totals))
        .collect();
    let times = drawn_times().filter(|time| has_place(totals.value(), *time));
    cards.extend(times.map(|time| time_of_requests(time, totals)));
    cards.push(failed(totals));
    cards
}

/// The card of a figure of the run as a whole. `None`: there is nothing to say of it.
fn of_run(figure: Figure, totals: &Part<'_, Totals>) -> Option<Card> {
    let is_known = totals.value().figures.get(figure).is_some();
    if figure == THROUGHPUT && !is_known && !totals.value().task.has_output_tokens() {
        return None;
    }
    // Where a document has always had a figure, there the page points.
    let (number, lines) = match figure {
        QPS => (
            at!(totals, rates.succeeded_per_second).significant(),
            qps(totals),
        ),
        THROUGHPUT => (
            at!(totals, rates.output_tokens_per_second).significant(),
            throughput(totals),
        ),
        GOODPUT => {
            let found = at!(totals, goodput).known()?;
            (
                at!(found, per_second).significant(),
                goodput(totals, &found),
            )
        }
        _ => {
            if !is_known {
                return None;
            }
            let number = match figure.unit {
                Unit::Share => totals.share(figure),
                _ => totals.significant_figure(figure),
            };
            (number, Vec::new())
        }
    };
    let unit = match figure.unit {
        Unit::PerSecond => "/s",
        _ => "",
    };
    Some(Card::new(figure.title, number, unit, figure.formula).lines(lines))
}

fn throughput(totals: &Part<'_, Totals>) -> Vec<Vec<Piece>> {
    if totals.value().requests.succeeded == 0 {
        return vec![vec!["no request succeeded".into()]];
    }
    let Some(tokens) = at!(totals, tokens.output.tokens).known() else {
        return vec![vec![
            "unknown: neither the server nor a tokenizer counted tokens".into(),
        ]];
    };
    let average = at!(totals, tokens.average_seconds_per_output_token);
    vec![vec![
        tokens.whole().into(),
        " tokens, one every ".into(),
        average.millis(2).into(),
        " ms".into(),
    ]]
}

fn qps(totals: &Part<'_, Totals>) -> Vec<Vec<Piece>> {
    let wall = at!(totals, wall_seconds);
    // As the text report: a run without a request took no time.
    let taken = wall.shown(format!("{:.3}", wall.number().unwrap_or_default()));
    vec![vec![
        at!(totals, requests.succeeded).whole().into(),
        " succeeded in ".into(),
        taken.into(),
        " s".into(),
    ]]
}

fn goodput(totals: &Part<'_, Totals>, goodput: &Part<'_, Goodput>) -> Vec<Vec<Piece>> {
    let objectives = at!(goodput, objectives);
    let mut bounds: Vec<Piece> = Vec::new();
    for (time, bound) in objectives.value().0.iter() {
        let bound = objectives.below(&format!("/{}", time.seconds_key()), bound);
        if let Some(seconds) = bound.number() {
            let and = if bounds.is_empty() { "" } else { " and " };
            bounds.push(format!("{and}{} up to ", time.in_short()).into());
            // The user gave it: its own digits, whatever their number.
            bounds.push(bound.shown(milliseconds(seconds)).into());
            bounds.push(" ms".into());
        }
    }
    let share = at!(goodput, share_of_completed);
    let share = share.shown(share.number().map_or_else(|| UNKNOWN.to_owned(), percent));
    vec![
        vec![
            at!(goodput, requests_that_met_all).whole().into(),
            " of ".into(),
            at!(totals, requests.completed).whole().into(),
            " completed requests (".into(),
            share.into(),
            ") met".into(),
        ],
        bounds,
    ]
}

/// Seconds that a person gave, as milliseconds without zeros at their end.
fn milliseconds(seconds: f64) -> String {
    let text = format!("{:.6}", seconds * 1e3);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The median and the 99th percentile of a time, side by side: the tail counts as much.
fn time_of_requests(time: Time, totals: &Part<'_, Totals>) -> Card {
    let spread = totals.time(time);
    let independent = independent_samples(totals.value(), time);
    if spread.value().samples == 0 {
        let unknown = spread.percentile(Percentile::P50).whole();
        return Card::new(time.full_title(), unknown, "ms", time.formula)
            .lines(vec![vec!["no succeeded request has one".into()]]);
    }
    let number = |percentile: Percentile| {
        let number = spread.certain(percentile);
        number.marked(percentile.is_short(independent))
    };
    let mut lines: Vec<Vec<Piece>> = Vec::new();
    for (name, percentile) in [("p50", Percentile::P50), ("p99", Percentile::P99)] {
        let [low, high] = spread.certain_bounds(percentile);
        if !low.is_unknown() && !high.is_unknown() {
            lines.push(vec![
                format!("{name} with 95 % confidence ").into(),
                low.into(),
                " to ".into(),
                high.into(),
            ]);
        }
    }
    lines.push(vec![
        "mean ".into(),
        spread.certain_mean(independent).into(),
    ]);
    Card {
        figures: vec![
            ("p50", vec![number(Percentile::P50).into()]),
            ("p99", vec![number(Percentile::P99).into()]),
        ],
        ..Card::new(
            time.full_title(),
            number(Percentile::P50),
            "ms",
            time.formula,
        )
    }
    .lines(lines)
}

fn failed(totals: &Part<'_, Totals>) -> Card {
    let mut line: Vec<Piece> = vec![
        "of ".into(),
        at!(totals, requests.completed).whole().into(),
        " completed".into(),
    ];
    if totals.value().requests.completed > 0 {
        line.extend([", ".into(), totals.share(FAILED_SHARE).into()]);
    }
    let failed = at!(totals, requests.failed);
    Card {
        bad: *failed.value() > 0,
        ..Card::new(
            "Failed requests",
            failed.whole(),
            "",
            "in no percentile and no rate above; by kind below",
        )
        .lines(vec![line])
    }
}
