//! Percentiles with their confidence, and the slowest requests.

use super::tokens::has_tokens;
use crate::digits::time_decimals;
use crate::sections::{
    Cell, Column, Number, Part, Piece, Table, at, drawn_times, has_place, independent_samples,
};
use llmuses_core::document::{Distribution, Percentile, SlowestRequest, Totals};
use llmuses_core::metric::{LATENCY, TPOT, TTFT, Time};

/// The percentiles of the times with their 95 % confidence intervals. `None`: there is no time at all.
pub(super) fn percentiles(totals: &Part<'_, Totals>) -> Option<Table> {
    let known: Vec<Time> = drawn_times()
        .filter(|time| totals.value().times[*time].samples > 0)
        .collect();
    if known.is_empty() {
        return None;
    }
    let columns = known.iter().map(|time| Column::new(time.full_title()));
    let mut table = Table::of_columns(
        "Percentiles with 95 % confidence intervals",
        [Column::new("Milliseconds")].into_iter().chain(columns),
    );
    for percentile in Percentile::ALL {
        let mut row = vec![Cell::name(percentile.label())];
        row.extend(known.iter().map(|time| {
            let spread = totals.time(*time);
            let independent = independent_samples(totals.value(), *time);
            let number = spread.certain(percentile);
            Cell {
                below: interval(&spread, percentile),
                ..Cell::number(number.marked(percentile.is_short(independent)))
            }
        }));
        table.rows.push(row);
    }
    table.note(
        "Under each: where the true percentile lies with 95 % confidence, by order statistics, \
         requests taken as independent. A bound is ? where there are too few requests for it.",
    );
    Some(table)
}

fn interval(spread: &Part<'_, Distribution>, percentile: Percentile) -> Vec<Piece> {
    let bounds = spread.certain_bounds(percentile);
    if bounds.iter().all(Number::is_unknown) {
        return vec!["?".into()];
    }
    let [low, high] = bounds.map(|bound| match bound.is_unknown() {
        true => Number {
            text: "?".to_owned(),
            ..bound
        },
        false => bound,
    });
    vec![low.into(), " to ".into(), high.into()]
}

/// The slowest requests. `None`: none succeeded. `anchor`: of the run.
pub(super) fn slowest(totals: &Part<'_, Totals>, anchor: &str) -> Option<Table> {
    let requests = at!(totals, slowest_requests).items();
    if requests.is_empty() {
        return None;
    }
    let [has_ttft, has_tpot] = [TTFT, TPOT].map(|time| has_place(totals.value(), time));
    let [has_input, has_output] = has_tokens(totals.value());
    let mut columns = vec!["Request", "sent after (s)", "latency (ms)"];
    for (name, has) in [
        ("TTFT (ms)", has_ttft),
        ("TPOT (ms)", has_tpot),
        ("input tokens", has_input),
        ("output tokens", has_output),
    ] {
        if has {
            columns.push(name);
        }
    }
    let mut table = Table::new("Slowest requests", &columns);
    let longest = totals.value().times[LATENCY].max_seconds;
    let decimals = time_decimals(longest.unwrap_or_default() * 1e3);
    for request in &requests {
        let millis = |part: Part<'_, Option<f64>>| Cell::number(part.millis(decimals));
        let mut row = vec![
            match has_text(request.value()) {
                true => Cell::of([Piece::Link(
                    format!("#{}", anchor_of(anchor, request.value())),
                    request.value().number.to_string(),
                )]),
                false => Cell::of([at!(request, number).whole().into()]),
            },
            Cell::number(at!(request, sent_seconds_after_start).fixed(3)),
            Cell::number(at!(request, latency_seconds).millis(decimals)),
        ];
        if has_ttft {
            row.push(millis(at!(request, time_to_first_token_seconds)));
        }
        if has_tpot {
            row.push(millis(at!(request, time_per_output_token_seconds)));
        }
        if has_input {
            row.push(Cell::number(at!(request, input_tokens).whole()));
        }
        if has_output {
            row.push(Cell::number(at!(request, output_tokens).whole()));
        }
        table.rows.push(row);
    }
    table.note(
        "Of the succeeded requests, those with the longest latencies. The number is the place in the \
         order of issue, from 0, as in the database and in CSV.",
    );
    Some(table)
}

/// The prompt and the answer of a slow request.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) anchor: String,
    pub(super) number: u64,
    pub(super) prompt: Option<String>,
    pub(super) answer: Option<String>,
}

/// The prompts and answers of the slowest requests, where the document has them.
pub(super) fn texts(totals: &Part<'_, Totals>, anchor: &str) -> Vec<Texts> {
    let requests = totals.value().slowest_requests.iter();
    let with_text = requests.filter(|request| has_text(request));
    with_text
        .map(|request| Texts {
            anchor: anchor_of(anchor, request),
            number: request.number,
            prompt: request.prompt.clone(),
            answer: request.answer.clone(),
        })
        .collect()
}

fn has_text(request: &SlowestRequest) -> bool {
    request.prompt.is_some() || request.answer.is_some()
}

fn anchor_of(run: &str, request: &SlowestRequest) -> String {
    format!("{run}-request-{}", request.number)
}
