//! What of a run is drawn: curves of percentiles, the run over time, the lengths of prompts and answers.
//! The numbers of each chart stand in a table as well.

use super::chart::Chart;
use crate::digits::{UNKNOWN, counted};
use crate::sections::{Cell, Number, Part, Piece, Table, at, decimals, drawn_times};
use llmuses_core::document::{Percentile, TokenFigures, TokensBySource, Totals};
use llmuses_core::exchange::TokenSource;
use llmuses_core::metric::{ITL, QPS, THROUGHPUT, TPOT, TTFT, Time};

/// A run that is drawn: its totals, its place in the document, and its name in a chart.
#[derive(Debug, Clone)]
pub(super) struct Drawn<'a> {
    /// Its totals.
    pub(super) totals: Part<'a, Totals>,
    /// Its place in the document.
    pub(super) place: usize,
    /// Its name.
    pub(super) name: String,
}

/// The curves of percentiles of the runs, those of one time in one chart.
pub(super) fn curves(runs: &[Drawn<'_>]) -> Vec<Chart> {
    drawn_times()
        .map(|time| {
            let (with, without): (Vec<&Drawn<'_>>, Vec<_>) = runs.iter().partition(|run| {
                let spread = &run.totals.value().times[time];
                spread.samples > 1 && spread.max_seconds > Some(0.0)
            });
            let absent = with.is_empty().then(|| no_curve(&without, time));
            Chart {
                title: time.title.to_owned(),
                description: with
                    .iter()
                    .map(|run| curve_in_words(run, time, runs.len() > 1))
                    .collect::<Vec<String>>()
                    .join(" "),
                kind: "curve",
                of: time.key,
                runs: with.iter().map(|run| run.place).collect(),
                names: with.iter().map(|run| run.name.clone()).collect(),
                absent,
            }
        })
        .collect()
}

fn curve_in_words(run: &Drawn<'_>, time: Time, several: bool) -> String {
    let spread = run.totals.time(time);
    let decimals = decimals(spread.value());
    let millis = |part: Part<'_, Option<f64>>| part.millis(decimals).text;
    let of = if several {
        format!(" of {}", run.name)
    } else {
        String::new()
    };
    format!(
        "{}{of} by percentile, in milliseconds: {} at p50, {} at p90, {} at p99, {} at the most.",
        time.title,
        millis(spread.percentile(Percentile::P50)),
        millis(spread.percentile(Percentile::P90)),
        millis(spread.percentile(Percentile::P99)),
        millis(at!(spread, max_seconds)),
    )
}

/// Why there is no curve: nothing was measured, one time only, or nothing but zero.
fn no_curve(runs: &[&Drawn<'_>], time: Time) -> String {
    let sum = |of: &dyn Fn(&Totals) -> u64| -> u64 {
        runs.iter().map(|run| of(run.totals.value())).sum()
    };
    let measured = sum(&|totals| totals.times[time].samples);
    let succeeded = sum(&|totals| totals.requests.succeeded);
    match (succeeded, measured, time) {
        (0, _, _) => "No curve: no request succeeded.",
        (_, 0, ITL) => {
            "No curve: no response had two chunks of output, so that there is no gap between two."
        }
        (_, 0, TPOT) => {
            "No curve: no response had output at two instants and a known number of tokens above one."
        }
        (_, 0, TTFT) => "No curve: no response had output.",
        (_, 0, _) => "No curve: there is no such time.",
        (_, more, _) if more > runs.len() as u64 => "No curve: all of these times are zero.",
        _ => "No curve: there is one such time only. It stands in the table.",
    }
    .to_owned()
}

/// A run over time.
pub(super) fn over_time(run: &Drawn<'_>) -> Vec<Chart> {
    let totals = run.totals.value();
    let requests = &totals.requests;
    let nothing = (totals.timeline.requests_sent.len() < 2).then(|| {
        match requests.completed {
            0 => "Nothing to draw: no request was over.",
            _ => "Nothing to draw: all of it happened within one slot of time.",
        }
        .to_owned()
    });
    let no_success =
        || (requests.succeeded == 0).then(|| "Nothing to draw: no request succeeded.".to_owned());
    let (of, title, rate) = match totals.tokens.output.tokens {
        Some(_) => ("output_tokens", "Output tokens per second", THROUGHPUT),
        None => ("requests_succeeded", "Succeeded requests per second", QPS),
    };
    let rate = run.totals.figure(rate, 3);
    let ttft = run.totals.time(TTFT);
    let no_ttft = match ttft.value().samples {
        0 => Some("Nothing to draw: no response had output.".to_owned()),
        1 => Some("Nothing to draw: there is one such time only.".to_owned()),
        _ => None,
    };
    let failed = requests.failed;
    let no_failure = (failed == 0).then(|| "Nothing to draw: no request failed.".to_owned());
    let chart = |title: &str, of, description, absent| Chart {
        title: title.to_owned(),
        description,
        kind: "time",
        of,
        runs: vec![run.place],
        names: vec![run.name.clone()],
        absent,
    };
    vec![
        chart(
            title,
            of,
            format!("{title} over the run; {} on the whole.", rate.text),
            no_success().or_else(|| nothing.clone()),
        ),
        chart(
            "Requests in flight",
            "in_flight",
            format!(
                "Requests in flight over the run; {} at the peak.",
                requests.peak_in_flight
            ),
            nothing.clone(),
        ),
        chart(
            "Time to first token, by when the request was sent",
            "ttft",
            format!(
                "Mean and longest time to first token over the run; {} ms on the whole, {} ms at the most.",
                at!(ttft, mean_seconds).millis(3).text,
                at!(ttft, max_seconds).millis(3).text
            ),
            no_success().or(no_ttft).or_else(|| nothing.clone()),
        ),
        chart(
            "Failed requests",
            "requests_failed",
            format!("Failed requests over the run; {failed} on the whole."),
            no_failure.or_else(|| nothing.clone()),
        ),
    ]
}

/// The numbers of the charts over time. `None`: there are none.
pub(super) fn slots(totals: &Part<'_, Totals>) -> Option<Table> {
    let timeline = at!(totals, timeline);
    let slots = timeline.value();
    let tokens = at!(timeline, output_tokens).items();
    let times = [
        at!(timeline, time_to_first_token_mean_seconds).items(),
        at!(timeline, time_to_first_token_max_seconds).items(),
    ];
    if tokens.is_empty() {
        return None;
    }
    let mut table = Table::new(
        "The run over time",
        &[
            "From (s)",
            "sent",
            "succeeded",
            "failed",
            "in flight at the end",
            "output tokens",
            "TTFT mean (ms)",
            "TTFT max (ms)",
        ],
    );
    for (place, tokens) in tokens.iter().enumerate() {
        let from = place as f64 * slots.slot_seconds;
        let mut row = vec![Cell::name(format!("{from:.2}"))];
        // Counts are whole as they stand, and there are many: they need no value of their own.
        row.extend(
            [
                &slots.requests_sent,
                &slots.requests_succeeded,
                &slots.requests_failed,
                &slots.requests_in_flight_at_the_end,
            ]
            .map(|column| {
                let count = column.get(place).copied().unwrap_or_default();
                Cell::number(count.to_string())
            }),
        );
        row.push(Cell::number(tokens.fixed(1)));
        row.extend(times.each_ref().map(|column| {
            let known = column.get(place).filter(|time| time.number().is_some());
            Cell::number(known.map_or_else(|| "-".into(), |time| Piece::Number(time.millis(3))))
        }));
        table.rows.push(row);
    }
    table.note(
        "Tokens of succeeded requests, shared evenly over the arrivals of their output chunks.",
    );
    Some(table)
}

/// Prompts and answers: the name of a side in charts, and its tokens.
fn sides<'a>(totals: &Part<'a, Totals>) -> [(&'static str, Part<'a, TokenFigures>); 2] {
    [
        ("input", at!(totals, tokens.input)),
        ("output", at!(totals, tokens.output)),
    ]
}

/// The lengths of prompts and answers, drawn.
pub(super) fn lengths(run: &Drawn<'_>) -> Vec<Chart> {
    let titles = ["Input tokens per request", "Output tokens per request"];
    titles
        .into_iter()
        .zip(sides(&run.totals))
        .map(|(title, (side, tokens))| {
            let found = tokens.value();
            let (min, max) = (found.min.unwrap_or_default(), found.max.unwrap_or_default());
            let absent = match found.requests_known {
                0 if run.totals.value().requests.succeeded == 0 => {
                    Some("Nothing to draw: no request succeeded.".to_owned())
                }
                0 => Some(
                    "Nothing to draw: neither the server nor a tokenizer counted these tokens."
                        .to_owned(),
                ),
                1 => Some(format!(
                    "Nothing to draw: one request, with {}.",
                    counted(min, "token")
                )),
                known if min == max => Some(format!(
                    "Nothing to draw: all {} had {}.",
                    counted(known, "request"),
                    counted(min, "token")
                )),
                _ => None,
            };
            Chart {
                title: title.to_owned(),
                description: format!(
                    "{title} as bars: from {min} to {max}, {} at the median.",
                    at!(tokens, p50).whole().text
                ),
                kind: "bars",
                of: side,
                runs: vec![run.place],
                names: vec![run.name.clone()],
                absent,
            }
        })
        .collect()
}

/// The tokens of a run.
pub(super) fn tokens(totals: &Part<'_, Totals>) -> Table {
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
    for (name, (_, tokens)) in ["Input", "Output"].into_iter().zip(sides(totals)) {
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
    table
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
