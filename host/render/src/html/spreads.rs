//! The tables of times: how each is spread, its percentiles with their confidence, the slowest requests.

use super::figure::Part;
use super::table::{Cell, Piece, Table};
use crate::report::time_decimals;
use llmuses_core::document::Percentile;
use llmuses_core::metric::{CLIENT_LAG, ITL, Time};

/// The times of a run that have a curve on the page: those that are compared.
pub(super) fn drawn_times() -> impl Iterator<Item = Time> {
    Time::all().filter(|time| time.short.is_some())
}

/// The percentiles of the table of times.
const COLUMNS: [Percentile; 4] = [
    Percentile::P50,
    Percentile::P90,
    Percentile::P99,
    Percentile::P999,
];

/// How many decimals the milliseconds of a spread get, as in the text report.
pub(super) fn decimals(spread: &Part<'_>) -> usize {
    time_decimals(spread.at("max_seconds").number().unwrap_or_default() * 1e3)
}

/// How many samples of a spread are independent of one another at most: the gaps of one stream are alike.
pub(super) fn independent(totals: &Part<'_>, time: Time) -> u64 {
    match time {
        ITL => totals.at("requests/succeeded").count(),
        _ => u64::MAX,
    }
}

fn percentile(spread: &Part<'_>, percentile: Percentile, independent: u64) -> Piece {
    spread
        .at(&format!("{}_seconds", percentile.label()))
        .millis(decimals(spread))
        .marked(percentile.is_short(spread.at("samples").count().min(independent)))
        .into()
}

/// All times of a run, in milliseconds.
pub(super) fn times(totals: &Part<'_>) -> Table {
    let mut table = Table::new(
        "Times in milliseconds",
        &[
            "Milliseconds",
            "mean",
            "std. dev.",
            "min",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
            "samples",
        ],
    );
    let opened = totals.at("requests/own_connection").count();
    for time in Time::tabled() {
        let spread = totals.at(time.key);
        let samples = spread.at("samples");
        // Where no request opened a connection, both lags are the same.
        let same = time == CLIENT_LAG && opened == 0;
        if (samples.count() == 0 && time.needs_samples()) || same {
            continue;
        }
        let name = match time {
            CLIENT_LAG => "dispatch lag without connecting",
            time => time.title,
        };
        let mut row = vec![Cell::name(name)];
        if samples.count() == 0 {
            row.extend((0..8).map(|_| Cell::number("-")));
        } else {
            let decimals = decimals(&spread);
            let plain = |key: &str| Cell::number(spread.at(key).millis(decimals));
            row.push(plain("mean_seconds"));
            row.push(plain("standard_deviation_seconds"));
            row.push(plain("min_seconds"));
            let independent = independent(totals, time);
            row.extend(
                COLUMNS.map(|column| Cell::number(percentile(&spread, column, independent))),
            );
            row.push(plain("max_seconds"));
        }
        row.push(Cell::number(samples.whole()));
        table.rows.push(row);
    }
    let needs: Vec<String> = COLUMNS
        .into_iter()
        .map(|column| format!("{} {}", column.label(), column.needs()))
        .collect();
    if table.has_marks() {
        table.notes.push(format!(
            "* fewer samples than this percentile needs ({}).",
            needs.join(", ")
        ));
    }
    let beyond: u64 = ["latency", "time_to_first_token", "dispatch_lag"]
        .into_iter()
        .map(|key| totals.at(key).at("samples_beyond_the_scale").count())
        .sum();
    if beyond > 0 {
        table.notes.push(format!(
            "Times longer than a day count as a day in percentiles: {beyond}."
        ));
    }
    table
}

/// The percentiles of the times with their 95 % confidence intervals. `None`: there is no time at all.
pub(super) fn percentiles(totals: &Part<'_>) -> Option<Table> {
    let known: Vec<(&str, Part<'_>, u64)> = drawn_times()
        .map(|time| (time.title, totals.at(time.key), independent(totals, time)))
        .filter(|(_, spread, _)| spread.at("samples").count() > 0)
        .collect();
    if known.is_empty() {
        return None;
    }
    let mut columns = vec!["Milliseconds"];
    columns.extend(known.iter().map(|(name, ..)| *name));
    let mut table = Table::new("Percentiles with 95 % confidence intervals", &columns);
    for label in Percentile::ALL {
        let mut row = vec![Cell::name(label.label())];
        row.extend(known.iter().map(|(_, spread, independent)| Cell {
            below: interval(spread, label),
            ..Cell::number(percentile(spread, label, *independent))
        }));
        table.rows.push(row);
    }
    table.notes.push(
        "Under each: where the true percentile lies with 95 % confidence, by order statistics, \
         requests taken as independent. A bound is ? where there are too few requests for it."
            .to_owned(),
    );
    Some(table)
}

fn interval(spread: &Part<'_>, percentile: Percentile) -> Vec<Piece> {
    let key = format!("intervals_of_95_percent/{}_seconds", percentile.label());
    let decimals = decimals(spread);
    let bound = |part: &Part<'_>| -> Piece {
        match part.number() {
            Some(_) => part.millis(decimals),
            None => part.shown("?".to_owned()),
        }
        .into()
    };
    match spread.at(&key).items().as_slice() {
        [low, high] if low.number().or(high.number()).is_some() => {
            vec![bound(low), " to ".into(), bound(high)]
        }
        _ => vec!["?".into()],
    }
}

/// The slowest requests. `None`: none succeeded.
pub(super) fn slowest(totals: &Part<'_>) -> Option<Table> {
    let requests = totals.at("slowest_requests").items();
    if requests.is_empty() {
        return None;
    }
    let mut table = Table::new(
        "Slowest requests",
        &[
            "Request",
            "sent after (s)",
            "latency (ms)",
            "TTFT (ms)",
            "TPOT (ms)",
            "input tokens",
            "output tokens",
        ],
    );
    let longest = totals.at("latency/max_seconds").number();
    let decimals = time_decimals(longest.unwrap_or_default() * 1e3);
    for request in &requests {
        let millis = |key: &str| Cell::number(request.at(key).millis(decimals));
        table.rows.push(vec![
            Cell::of([request.at("number").whole().into()]),
            Cell::number(request.at("sent_seconds_after_start").fixed(3)),
            millis("latency_seconds"),
            millis("time_to_first_token_seconds"),
            millis("time_per_output_token_seconds"),
            Cell::number(request.at("input_tokens").whole()),
            Cell::number(request.at("output_tokens").whole()),
        ]);
    }
    table.notes.push(
        "Of the succeeded requests, those with the longest latencies. The number is the place in the \
         order of issue, from 0, as in the database and in CSV."
            .to_owned(),
    );
    Some(table)
}
