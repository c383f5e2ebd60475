//! The tokens of a run, and how long prompts and answers were.

use super::chart::Chart;
use super::drawn::Drawn;
use super::plot::{Axis, Plot, Shape};
use crate::digits::{UNKNOWN, counted};
use crate::sections::{Cell, Number, Part, Piece, Table, at};
use llmuses_core::document::{TokenFigures, TokensBySource, Totals};
use llmuses_core::exchange::TokenSource;

/// Prompts and answers: the name of a side in charts, and its tokens.
fn sides<'a>(totals: &Part<'a, Totals>) -> [(&'static str, Part<'a, TokenFigures>); 2] {
    [
        ("input", at!(totals, tokens.input)),
        ("output", at!(totals, tokens.output)),
    ]
}

/// Whether prompts and answers have tokens that were counted, or whose lack is worth saying: tasks without output tokens
/// need not have any.
pub(super) fn has_tokens(totals: &Totals) -> [bool; 2] {
    [&totals.tokens.input, &totals.tokens.output]
        .map(|side| side.requests_known > 0 || totals.task.has_output_tokens())
}

/// Whether answers have.
pub(super) fn has_output_tokens(totals: &Totals) -> bool {
    let [_, output] = has_tokens(totals);
    output
}

/// The lengths of prompts and answers, drawn.
pub(super) fn lengths(run: &Drawn<'_>) -> Vec<Chart> {
    let titles = ["Input tokens per request", "Output tokens per request"];
    titles
        .into_iter()
        .zip(sides(&run.totals))
        .zip(has_tokens(run.totals.value()))
        .filter(|(_, has)| *has)
        .map(|((title, (_, tokens)), _)| {
            let found = tokens.value();
            let (min, max) = (found.min.unwrap_or_default(), found.max.unwrap_or_default());
            let nothing = |why: String| Chart::absent(title, format!("Nothing to draw: {why}."));
            match found.requests_known {
                0 if run.totals.value().requests.succeeded == 0 => {
                    return nothing("no request succeeded".to_owned());
                }
                0 => {
                    return nothing(
                        "neither the server nor a tokenizer counted these tokens".to_owned(),
                    );
                }
                1 => return nothing(format!("one request, with {}", counted(min, "token"))),
                known if min == max => {
                    let (known, each) = (counted(known, "request"), counted(min, "token"));
                    return nothing(format!("all {known} had {each}"));
                }
                _ => {}
            }
            let description = format!(
                "{title} as bars: from {min} to {max}, {} at the median.",
                at!(tokens, p50).whole().text
            );
            Chart::of(title, &description, &bars_of(title, found))
        })
        .collect()
}

fn bars_of(title: &str, tokens: &TokenFigures) -> Plot {
    let most = tokens.bars.iter().map(|bar| bar.requests).max();
    let first = tokens.bars.first().map_or(0, |bar| bar.from);
    let last = tokens.bars.last().map_or(0, |bar| bar.to);
    let bars = tokens.bars.iter().filter(|bar| bar.requests > 0);
    let bars = bars.map(|bar| {
        let range = if bar.from == bar.to {
            counted(bar.from, "token")
        } else {
            format!("{} to {} tokens", bar.from, bar.to)
        };
        let text = format!("{range}: {}", counted(bar.requests, "request"));
        // Whole numbers lie in the middle of their bar.
        (
            bar.from as f64 - 0.5,
            bar.to as f64 + 0.5,
            bar.requests as f64,
            text,
        )
    });
    Plot::new(
        Axis::numbers(title, first as f64 - 0.5, last as f64 + 0.5, 5),
        Axis::counts("Requests", most.unwrap_or_default() as f64),
    )
    .with("requests", 4, Shape::Bars(bars.collect()))
}

/// The tokens of a run. `None`: there is nothing to say of them.
pub(super) fn tokens(totals: &Part<'_, Totals>) -> Option<Table> {
    let mut table = Table::new(
        "Tokens",
        &[
            "Tokens",
            "in all",
            "mean",
            "min",
            "p50",
            "p90",
            "p99",
            "max",
            "requests",
            "counted by",
        ],
    );
    let sides = ["Input", "Output"].into_iter().zip(sides(totals));
    let told = sides.zip(has_tokens(totals.value()));
    for ((name, (_, tokens)), _) in told.filter(|(_, has)| *has) {
        table.rows.push(vec![
            Cell::name(name),
            Cell::number(at!(tokens, tokens).whole()),
            Cell::number(at!(tokens, per_request).fixed(3)),
            Cell::number(at!(tokens, min).whole()),
            Cell::number(at!(tokens, p50).whole()),
            Cell::number(at!(tokens, p90).whole()),
            Cell::number(at!(tokens, p99).whole()),
            Cell::number(at!(tokens, max).whole()),
            Cell::number(at!(tokens, requests_known).whole()),
            Cell::of(counted_by(&at!(tokens, requests_by_source))),
        ]);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Who counted, for how many requests.
fn counted_by(by: &Part<'_, TokensBySource>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (source, requests) in [
        (TokenSource::Server, at!(by, server)),
        (TokenSource::Tokenizer, at!(by, tokenizer)),
        (TokenSource::Parser, at!(by, parser)),
    ] {
        if *requests.value() > 0 {
            let comma = if pieces.is_empty() { "" } else { ", " };
            pieces.push(format!("{comma}{} ", source.as_str()).into());
            pieces.push(requests.whole().into());
        }
    }
    if pieces.is_empty() {
        pieces.push(UNKNOWN.into());
    }
    pieces
}

/// The bars of both charts of lengths. `None`: no length is known.
pub(super) fn bars(totals: &Part<'_, Totals>) -> Option<Table> {
    let mut table = Table::new("Requests by length", &["Tokens", "side", "requests"]);
    for (side, tokens) in sides(totals) {
        for bar in at!(tokens, bars).items() {
            let (from, to): (Number, Number) = (at!(bar, from).whole(), at!(bar, to).whole());
            let several = from.text != to.text;
            let mut range: Vec<Piece> = vec![from.into()];
            if several {
                range.extend([" to ".into(), to.into()]);
            }
            table.rows.push(vec![
                Cell::of(range),
                Cell::name(side),
                Cell::number(at!(bar, requests).whole()),
            ]);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}
