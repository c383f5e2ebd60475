//! What of a run is drawn: curves of percentiles, the run over time, the lengths of prompts and answers.
//! The numbers of each chart stand in a table as well.

use super::chart::Chart;
use super::figure::Part;
use super::spreads::{decimals, drawn_times};
use super::table::{Cell, Piece, Table};
use crate::report::{UNKNOWN, counted};
use llmuses_core::wording::one_line;

/// A run that is drawn: its totals, its place in the document, and its name in a chart.
#[derive(Debug, Clone)]
pub(super) struct Drawn<'a> {
    /// Its totals.
    pub(super) totals: Part<'a>,
    /// Its place in the document.
    pub(super) place: usize,
    /// Its name.
    pub(super) name: String,
}

/// The curves of percentiles of the runs, those of one time in one chart.
pub(super) fn curves(runs: &[Drawn<'_>]) -> Vec<Chart> {
    drawn_times()
        .map(|time| {
            let (title, key) = (time.title, time.key);
            let (with, without): (Vec<&Drawn<'_>>, Vec<_>) = runs.iter().partition(|run| {
                let spread = run.totals.at(key);
                spread.at("samples").count() > 1 && spread.at("max_seconds").number() > Some(0.0)
            });
            let absent = with.is_empty().then(|| no_curve(&without, key));
            Chart {
                title: title.to_owned(),
                description: with
                    .iter()
                    .map(|run| curve_in_words(run, title, key, runs.len() > 1))
                    .collect::<Vec<String>>()
                    .join(" "),
                kind: "curve",
                of: key,
                runs: with.iter().map(|run| run.place).collect(),
                names: with.iter().map(|run| run.name.clone()).collect(),
                absent,
            }
        })
        .collect()
}

fn curve_in_words(run: &Drawn<'_>, title: &str, key: &str, several: bool) -> String {
    let spread = run.totals.at(key);
    let decimals = decimals(&spread);
    let figure = |key: &str| spread.at(key).millis(decimals).text().to_owned();
    let of = if several {
        format!(" of {}", run.name)
    } else {
        String::new()
    };
    format!(
        "{title}{of} by percentile, in milliseconds: {} at p50, {} at p90, {} at p99, {} at the most.",
        figure("p50_seconds"),
        figure("p90_seconds"),
        figure("p99_seconds"),
        figure("max_seconds")
    )
}

/// Why there is no curve: nothing was measured, one time only, or nothing but zero.
fn no_curve(runs: &[&Drawn<'_>], key: &str) -> String {
    let measured: u64 = runs
        .iter()
        .map(|run| run.totals.at(key).at("samples").count())
        .sum();
    let succeeded: u64 = runs
        .iter()
        .map(|run| run.totals.at("requests/succeeded").count())
        .sum();
    match (succeeded, measured, key) {
        (0, _, _) => "No curve: no request succeeded.",
        (_, 0, "inter_token_latency") => {
            "No curve: no response had two chunks of output, so that there is no gap between two."
        }
        (_, 0, "time_per_output_token") => {
            "No curve: no response had output at two instants and a known number of tokens above one."
        }
        (_, 0, "time_to_first_token") => "No curve: no response had output.",
        (_, 0, _) => "No curve: there is no such time.",
        (_, more, _) if more > runs.len() as u64 => "No curve: all of these times are zero.",
        _ => "No curve: there is one such time only. It stands in the table.",
    }
    .to_owned()
}

/// A run over time.
pub(super) fn over_time(run: &Drawn<'_>) -> Vec<Chart> {
    let requests = run.totals.at("requests");
    let slots = run.totals.at("timeline/requests_sent").items().len();
    let nothing = (slots < 2).then(|| {
        match requests.at("completed").count() {
            0 => "Nothing to draw: no request was over.",
            _ => "Nothing to draw: all of it happened within one slot of time.",
        }
        .to_owned()
    });
    let no_success = || {
        (requests.at("succeeded").count() == 0)
            .then(|| "Nothing to draw: no request succeeded.".to_owned())
    };
    let tokens = run.totals.at("tokens/output/tokens").number().is_some();
    let (of, title, rate) = if tokens {
        (
            "output_tokens",
            "Output tokens per second",
            "rates/output_tokens_per_second",
        )
    } else {
        (
            "requests_succeeded",
            "Succeeded requests per second",
            "rates/succeeded_per_second",
        )
    };
    let rate = run.totals.at(rate).fixed(3);
    let ttft = run.totals.at("time_to_first_token");
    let no_ttft = match ttft.at("samples").count() {
        0 => Some("Nothing to draw: no response had output.".to_owned()),
        1 => Some("Nothing to draw: there is one such time only.".to_owned()),
        _ => None,
    };
    let failed = requests.at("failed").count();
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
    let peak = requests.at("peak_in_flight").whole();
    vec![
        chart(
            title,
            of,
            format!("{title} over the run; {} on the whole.", rate.text()),
            no_success().or_else(|| nothing.clone()),
        ),
        chart(
            "Requests in flight",
            "in_flight",
            format!(
                "Requests in flight over the run; {} at the peak.",
                peak.text()
            ),
            nothing.clone(),
        ),
        chart(
            "Time to first token, by when the request was sent",
            "ttft",
            format!(
                "Mean and longest time to first token over the run; {} ms on the whole, {} ms at the most.",
                ttft.at("mean_seconds").millis(3).text(),
                ttft.at("max_seconds").millis(3).text()
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
pub(super) fn slots(totals: &Part<'_>) -> Option<Table> {
    let timeline = totals.at("timeline");
    let slot = timeline.at("slot_seconds").number()?;
    let column = |key: &str| timeline.at(key).items();
    let counts = [
        "requests_sent",
        "requests_succeeded",
        "requests_failed",
        "requests_in_flight_at_the_end",
    ]
    .map(column);
    let tokens = column("output_tokens");
    let mean = column("time_to_first_token_mean_seconds");
    let max = column("time_to_first_token_max_seconds");
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
    for (index, tokens) in tokens.iter().enumerate() {
        let mut row = vec![Cell::name(format!("{:.2}", index as f64 * slot))];
        // Counts are whole as they stand, and there are many: they need no value of their own.
        row.extend(counts.iter().map(|column| {
            let count = column.get(index).map(Part::count);
            Cell::number(count.unwrap_or_default().to_string())
        }));
        row.push(Cell::number(tokens.fixed(1)));
        for column in [&mean, &max] {
            row.push(Cell::number(match column.get(index) {
                Some(time) if time.number().is_some() => Piece::Figure(time.millis(3)),
                _ => "-".into(),
            }));
        }
        table.rows.push(row);
    }
    table.notes.push(
        "Tokens of succeeded requests, shared evenly over the arrivals of their output chunks."
            .to_owned(),
    );
    Some(table)
}

/// The lengths of prompts and answers, drawn.
pub(super) fn lengths(run: &Drawn<'_>) -> Vec<Chart> {
    [
        ("Input tokens per request", "input"),
        ("Output tokens per request", "output"),
    ]
    .into_iter()
    .map(|(title, side)| {
        let tokens = run.totals.at("tokens").at(side);
        let (min, max) = (tokens.at("min").count(), tokens.at("max").count());
        let known = tokens.at("requests_known").count();
        let absent = match known {
            0 if run.totals.at("requests/succeeded").count() == 0 => {
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
            _ if min == max => Some(format!(
                "Nothing to draw: all {} had {}.",
                counted(known, "request"),
                counted(min, "token")
            )),
            _ => None,
        };
        let median = tokens.at("p50").whole();
        Chart {
            title: title.to_owned(),
            description: format!(
                "{title} as bars: from {min} to {max}, {} at the median.",
                median.text()
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
pub(super) fn tokens(totals: &Part<'_>) -> Table {
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
    for (name, side) in [("Input", "input"), ("Output", "output")] {
        let tokens = totals.at("tokens").at(side);
        let whole = |key: &str| Cell::number(tokens.at(key).whole());
        let mut by: Vec<Piece> = Vec::new();
        for (source, requests) in tokens.at("requests_by_source").members() {
            if !by.is_empty() {
                by.push(", ".into());
            }
            by.push(format!("{} ", one_line(source, 30)).into());
            by.push(requests.whole().into());
        }
        if by.is_empty() {
            by.push(UNKNOWN.into());
        }
        table.rows.push(vec![
            Cell::name(name),
            whole("tokens"),
            Cell::number(tokens.at("per_request").fixed(3)),
            whole("min"),
            whole("p50"),
            whole("p90"),
            whole("p99"),
            whole("max"),
            whole("requests_known"),
            Cell::of(by),
        ]);
    }
    table
}

/// The bars of both charts of lengths. `None`: no length is known.
pub(super) fn bars(totals: &Part<'_>) -> Option<Table> {
    let mut table = Table::new("Requests by length", &["Tokens", "side", "requests"]);
    for (name, side) in [("input", "input"), ("output", "output")] {
        for bar in totals.at("tokens").at(side).at("bars").items() {
            let (from, to) = (bar.at("from").whole(), bar.at("to").whole());
            let mut range: Vec<Piece> = vec![from.clone().into()];
            if from.text() != to.text() {
                range.extend([" to ".into(), to.into()]);
            }
            table.rows.push(vec![
                Cell::of(range),
                Cell::name(name),
                Cell::number(bar.at("requests").whole()),
            ]);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}
