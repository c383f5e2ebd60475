//! A run over time.

use super::chart::Chart;
use super::curves::colour;
use super::drawn::{Drawn, Unit, beyond, objectives, reach};
use super::plot::{Axis, Plot, Shape};
use super::tokens::has_output_tokens;
use crate::digits::counted;
use crate::sections::{Cell, Part, Piece, Table, at, has_place};
use llmuses_core::document::{TimeSeries, TimesOverTime, Totals};
use llmuses_core::metric::{LATENCY, QPS, THROUGHPUT, TPOT, TTFT, Time};

/// The fewest requests of a part of the run that is drawn: fewer show chance.
const FEWEST: u64 = 20;

/// The most parts.
const MOST_PARTS: u64 = 60;

/// The charts of a run over time.
pub(super) fn over_time(run: &Drawn<'_>) -> Vec<Chart> {
    let totals = run.totals.value();
    let mut charts = vec![rate(run, "Requests per second", "Requests/s", QPS_OF)];
    if has_output_tokens(totals) && totals.tokens.output.tokens.is_some() {
        let of = "Output tokens per second";
        charts.push(rate(run, of, "Output tokens/s", TOKENS_OF));
    }
    let times = [TTFT, TPOT, LATENCY].into_iter();
    let times = times.filter(|time| has_place(totals, *time));
    charts.extend(times.map(|time| percentiles(run, time)));
    charts.push(counts(run, "Requests in flight", |timeline| {
        &timeline.requests_in_flight_at_the_end
    }));
    if totals.requests.failed > 0 {
        charts.push(counts(run, "Failed requests", |timeline| {
            &timeline.requests_failed
        }));
    }
    charts
}

type PartOf = fn(&TimeSeries, usize) -> f64;

const QPS_OF: PartOf = |timeline, slot| {
    let count = timeline.requests_succeeded.get(slot).copied();
    count.unwrap_or_default() as f64
};

const TOKENS_OF: PartOf = |timeline, slot| {
    timeline
        .output_tokens
        .get(slot)
        .copied()
        .unwrap_or_default()
};

/// Why nothing of the run is drawn over time. `None`: it is.
fn nothing(totals: &Totals) -> Option<&'static str> {
    match totals.requests.over() {
        0 => Some("Nothing to draw: no request was over."),
        _ if totals.timeline.requests_sent.len() < 2 => {
            Some("Nothing to draw: all of it happened within one slot of time.")
        }
        _ => None,
    }
}

/// The end of the run, in seconds from its start.
fn end_of(timeline: &TimeSeries) -> f64 {
    timeline.requests_sent.len() as f64 * timeline.slot_seconds
}

/// From the start until the warm-up was over, where there was one.
fn warmup(totals: &Totals) -> Option<f64> {
    let timeline = &totals.timeline;
    timeline.warmup_seconds.or_else(|| {
        // Documents of earlier versions say only that there was one.
        let first = timeline.requests_sent.iter().position(|sent| *sent > 0)?;
        (totals.requests.warmup > 0).then_some(first as f64 * timeline.slot_seconds)
    })
}

/// A plot over the time of a run, with its warm-up shaded.
fn plot(totals: &Totals, y: Axis) -> Plot {
    let end = end_of(&totals.timeline);
    let mut plot = Plot::new(Axis::numbers("Time since the start (s)", 0.0, end, 6), y);
    if let Some(warmup) = warmup(totals).filter(|warmup| *warmup > 0.0) {
        plot.bands.push((0.0, warmup, "warm-up".to_owned()));
    }
    plot
}

/// The first slot that is not before the end of the warm-up.
fn first_slot(totals: &Totals) -> usize {
    let slot = totals.timeline.slot_seconds;
    match warmup(totals) {
        Some(warmup) if slot > 0.0 => (warmup / slot).ceil() as usize,
        _ => 0,
    }
}

/// Parts of the run with enough succeeded requests each: from which slot to which.
fn parts(totals: &Totals) -> Vec<(usize, usize)> {
    let counts = &totals.timeline.requests_succeeded;
    let first = first_slot(totals).min(counts.len());
    let total: u64 = counts[first..].iter().sum();
    let enough = FEWEST.max(total.div_ceil(MOST_PARTS));
    let mut parts: Vec<(usize, usize)> = Vec::new();
    let (mut from, mut sum, mut rest) = (first, 0, total);
    for (slot, count) in counts.iter().enumerate().skip(first) {
        sum += count;
        rest -= count;
        if (sum >= enough && rest >= enough) || slot + 1 == counts.len() {
            parts.push((from, slot + 1));
            (from, sum) = (slot + 1, 0);
        }
    }
    parts
}

fn rate(run: &Drawn<'_>, title: &str, axis: &str, of: PartOf) -> Chart {
    let totals = run.totals.value();
    if totals.requests.succeeded == 0 {
        return Chart::absent(title, "Nothing to draw: no request succeeded.");
    }
    if let Some(why) = nothing(totals) {
        return Chart::absent(title, why);
    }
    let slot = totals.timeline.slot_seconds;
    let steps: Vec<(f64, f64, f64)> = parts(totals)
        .into_iter()
        .map(|(from, to)| {
            let sum: f64 = (from..to).map(|slot| of(&totals.timeline, slot)).sum();
            let (from, to) = (from as f64 * slot, to as f64 * slot);
            (from, to, sum / (to - from))
        })
        .collect();
    let most = steps.iter().map(|(.., rate)| *rate).fold(0.0, f64::max);
    let figure = if title.starts_with("Output") {
        THROUGHPUT
    } else {
        QPS
    };
    let description = format!(
        "{title} over the run; {} on the whole.",
        run.totals.figure(figure, 3).text
    );
    let plot = plot(totals, Axis::from_zero(axis, most)).with(axis, 1, Shape::Steps(steps));
    Chart::of(title, &description, &plot)
}

fn percentiles(run: &Drawn<'_>, time: Time) -> Chart {
    let title = format!("{}, by when a request was sent", time.full_title());
    let totals = run.totals.value();
    match totals.times[time].samples {
        _ if totals.requests.succeeded == 0 => {
            return Chart::absent(title, "Nothing to draw: no request succeeded.");
        }
        0 => return Chart::absent(title, "Nothing to draw: no response has such a time."),
        1 => return Chart::absent(title, "Nothing to draw: there is one such time only."),
        _ => {}
    }
    if let Some(why) = nothing(totals) {
        return Chart::absent(title, why);
    }
    let Some(slots) = &totals.times_over_time else {
        return Chart::absent(
            title,
            "Nothing to draw: a version of this program made the results that did not keep this.",
        );
    };
    let Some(found) = slots
        .times
        .get(time.key)
        .filter(|_| slots.requests.len() > 1)
    else {
        return Chart::absent(
            title,
            format!(
                "Nothing to draw: percentiles over time take {} succeeded requests at more than one time.",
                2 * FEWEST
            ),
        );
    };
    let [p50, p99] = [&found.p50_seconds, &found.p99_seconds].map(|column| line(slots, column));
    let longest = p99.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max);
    let objectives = objectives(totals, time);
    let end = reach(longest, &objectives);
    let unit = Unit::of(end);
    let scaled = |line: Vec<(f64, f64)>| {
        let scaled = line
            .into_iter()
            .map(|(at, seconds)| (at, seconds * unit.in_a_second));
        scaled.collect()
    };
    let axis = Axis::from_zero(unit.title("Time"), end * unit.in_a_second);
    let mut plot = plot(totals, axis)
        .with("p50", colour(time), Shape::Dotted(scaled(p50)))
        .with("p99", 2, Shape::Dotted(scaled(p99)));
    let near = objectives.iter().filter(|one| one.seconds <= end);
    let near = near.map(|one| (one.seconds * unit.in_a_second, one.text.clone()));
    plot.bounds.extend(near);
    let fewest = slots.requests.iter().min().copied().unwrap_or_default();
    let description = format!(
        "Median and 99th percentile of {} over the run, in {} of {fewest} requests or more.",
        time.in_short(),
        counted(slots.requests.len() as u64, "slot"),
    );
    let chart = Chart::of(title, &description, &plot);
    match beyond(&objectives, end) {
        Some(note) => chart.note(note),
        None => chart,
    }
}

/// The points of a column, each in the middle of its slot.
fn line(slots: &TimesOverTime, column: &[Option<f64>]) -> Vec<(f64, f64)> {
    let edges = slots.from_seconds.iter().zip(&slots.to_seconds);
    edges
        .zip(column)
        .filter_map(|((from, to), seconds)| Some(((from + to) / 2.0, (*seconds)?)))
        .collect()
}

fn counts(run: &Drawn<'_>, title: &str, of: fn(&TimeSeries) -> &Vec<u64>) -> Chart {
    let totals = run.totals.value();
    if let Some(why) = nothing(totals) {
        return Chart::absent(title, why);
    }
    let slot = totals.timeline.slot_seconds;
    let column = of(&totals.timeline);
    let steps: Vec<(f64, f64, f64)> = (0_u32..)
        .zip(column)
        .skip(first_slot(totals))
        .map(|(place, count)| {
            let from = f64::from(place) * slot;
            (from, from + slot, *count as f64)
        })
        .collect();
    let most = column.iter().max().copied().unwrap_or_default();
    let is_failed = title.starts_with("Failed");
    let description = if is_failed {
        format!(
            "Failed requests over the run; {} on the whole.",
            totals.requests.failed
        )
    } else {
        format!(
            "Requests in flight over the run; {} at the peak.",
            totals.requests.peak_in_flight
        )
    };
    let colour = if is_failed { 2 } else { 3 };
    let axis = if is_failed {
        format!("Failed in {slot} s")
    } else {
        title.to_owned()
    };
    let plot =
        plot(totals, Axis::counts(axis, most as f64)).with(title, colour, Shape::Steps(steps));
    Chart::of(title, &description, &plot)
}

/// The numbers of the charts over time. `None`: there are none.
pub(super) fn slots(totals: &Part<'_, Totals>) -> Option<Table> {
    let timeline = at!(totals, timeline);
    let slots = timeline.value();
    let tokens = at!(timeline, output_tokens).items();
    let times: Vec<Vec<Part<'_, Option<f64>>>> = match has_place(totals.value(), TTFT) {
        true => vec![
            at!(timeline, time_to_first_token_mean_seconds).items(),
            at!(timeline, time_to_first_token_max_seconds).items(),
        ],
        false => Vec::new(),
    };
    if tokens.is_empty() {
        return None;
    }
    let has_tokens = has_output_tokens(totals.value());
    let mut columns = vec![
        "From (s)",
        "sent",
        "succeeded",
        "failed",
        "in flight at the end",
    ];
    if has_tokens {
        columns.push("output tokens");
    }
    if !times.is_empty() {
        columns.extend(["TTFT mean (ms)", "TTFT max (ms)"]);
    }
    let mut table = Table::new("The run over time", &columns);
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
        if has_tokens {
            row.push(Cell::number(tokens.fixed(1)));
        }
        row.extend(times.iter().map(|column| {
            let known = column.get(place).filter(|time| time.number().is_some());
            Cell::number(known.map_or_else(|| "-".into(), |time| Piece::Number(time.millis(3))))
        }));
        table.rows.push(row);
    }
    if has_tokens {
        table.note(
            "Tokens of succeeded requests, shared evenly over the arrivals of their output chunks.",
        );
    }
    Some(table)
}
