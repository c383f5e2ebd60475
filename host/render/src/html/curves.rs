//! How times are spread: histograms, and curves of percentiles.

use super::chart::Chart;
use super::drawn::{Drawn, Unit, beyond, objectives, reach};
use super::plot::{Axis, Plot, Shape, place_of};
use crate::digits::counted;
use crate::sections::{Part, drawn_times, has_place};
use llmuses_core::document::{Distribution, Percentile, Totals};
use llmuses_core::metric::{ITL, LATENCY, TPOT, TTFT, Time};

/// Below so many samples a curve is drawn as the steps that it is.
const FEW: u64 = 200;

/// The colour of a time.
pub(super) fn colour(time: Time) -> usize {
    match time {
        TTFT => 1,
        TPOT => 3,
        LATENCY => 4,
        _ => 5,
    }
}

/// The histograms of a run. Empty for a document of an earlier version, which has none.
pub(super) fn histograms(run: &Drawn<'_>) -> Vec<Chart> {
    [TTFT, LATENCY, TPOT]
        .into_iter()
        .filter(|time| has_place(run.totals.value(), *time))
        .filter_map(|time| {
            let spread = &run.totals.value().times[time];
            if spread.samples < 2 {
                let run = std::slice::from_ref(&run);
                return Some(Chart::absent(
                    time.full_title(),
                    no_curve(run, time, "histogram"),
                ));
            }
            histogram(run, time)
        })
        .collect()
}

fn histogram(run: &Drawn<'_>, time: Time) -> Option<Chart> {
    let spread = &run.totals.value().times[time];
    let found = spread.histogram.as_ref()?;
    let bins = found.samples.len() as f64;
    let end = found.from_seconds + bins * found.bin_seconds;
    let unit = Unit::of(end);
    let most = found.samples.iter().max().copied().unwrap_or_default();
    let digits = tenth_of(found.bin_seconds * unit.in_a_second);
    let bars = (0_u32..)
        .zip(&found.samples)
        .filter(|(_, samples)| **samples > 0)
        .map(|(bin, samples)| {
            let edge = |bin: u32| {
                (found.from_seconds + f64::from(bin) * found.bin_seconds) * unit.in_a_second
            };
            let (from, to) = (edge(bin), edge(bin + 1));
            let text = format!(
                "{from:.digits$} to {to:.digits$} {}: {}",
                unit.name,
                counted(*samples, "request")
            );
            (from, to, *samples as f64, text)
        })
        .collect();
    let edges = [found.from_seconds, end].map(|edge| edge * unit.in_a_second);
    let mut plot = Plot::new(
        Axis::numbers(unit.title(&time.full_title()), edges[0], edges[1], 5),
        Axis::counts("Requests", most as f64),
    )
    .with("requests", colour(time), Shape::Bars(bars));
    let within = |seconds: &f64| (found.from_seconds..=end).contains(seconds);
    for percentile in [Percentile::P50, Percentile::P99] {
        let at = spread.percentile(percentile).filter(within);
        let mark = at.map(|at| (at * unit.in_a_second, percentile.label(), false));
        plot.marks.extend(mark);
    }
    let objectives = objectives(run.totals.value(), time);
    let near = objectives.iter().filter(|one| within(&one.seconds));
    let near = near.map(|one| (one.seconds * unit.in_a_second, one.text.clone(), true));
    plot.marks.extend(near);
    let description = format!(
        "Histogram. {}",
        curve_in_words(&run.totals.time(time), time, None)
    );
    let chart = Chart::of(time.full_title(), &description, &plot);
    let mut notes = Vec::new();
    if found.longer > 0 {
        let longest = spread.max_seconds.unwrap_or_default() * unit.in_a_second;
        notes.push(format!(
            "{} longer than that, up to {longest:.digits$} {}.",
            match found.longer {
                1 => "1 request took".to_owned(),
                more => format!("{more} requests took"),
            },
            unit.name
        ));
    }
    notes.extend(beyond(&objectives, end));
    Some(if notes.is_empty() {
        chart
    } else {
        chart.note(notes.join(" "))
    })
}

/// So many decimals that a tenth of this value is shown.
fn tenth_of(value: f64) -> usize {
    (1.0 - value.log10().floor()).clamp(0.0, 6.0) as usize
}

/// The curves of percentiles of the runs, those of one time in one chart.
pub(super) fn curves(runs: &[Drawn<'_>]) -> Vec<Chart> {
    let has = |time: Time| {
        let mut totals = runs.iter().map(|run| run.totals.value());
        totals.any(|totals| has_place(totals, time))
    };
    drawn_times()
        // Where there is no run at all, that is said.
        .filter(|time| has(*time) || (runs.is_empty() && !time.needs_samples()))
        .map(|time| {
            let (with, without): (Vec<&Drawn<'_>>, Vec<_>) = runs.iter().partition(|run| {
                let spread = &run.totals.value().times[time];
                spread.samples > 1 && spread.max_seconds > Some(0.0)
            });
            if with.is_empty() {
                return Chart::absent(time.full_title(), no_curve(&without, time, "curve"));
            }
            curve(&with, time, runs.len() > 1)
        })
        .collect()
}

fn curve(runs: &[&Drawn<'_>], time: Time, several: bool) -> Chart {
    let spreads = || runs.iter().map(|run| &run.totals.value().times[time]);
    let samples = spreads().map(|spread| spread.samples).max();
    let longest = spreads().filter_map(|spread| spread.max_seconds);
    let longest = longest.fold(0.0, f64::max);
    let objectives = match runs {
        [run] if !several => objectives(run.totals.value(), time),
        _ => Vec::new(),
    };
    let end = reach(longest, &objectives);
    let unit = Unit::of(end);
    let mut plot = Plot::new(
        Axis::percentiles("Percentile", samples.unwrap_or_default()),
        Axis::from_zero(unit.title("Time"), end * unit.in_a_second),
    );
    for (place, run) in runs.iter().enumerate() {
        let spread = &run.totals.value().times[time];
        // Over one another they would hide the curves.
        if runs.len() < 3 {
            let strokes = Shape::Strokes(strokes(spread, unit));
            plot = plot.with("95 % confidence", place + 1, strokes);
        }
        let name = if several { run.name.as_str() } else { "time" };
        plot = plot.with(name, place % 6 + 1, Shape::Line(points(spread, unit)));
    }
    let near = objectives.iter().filter(|one| one.seconds <= end);
    let near = near.map(|one| (one.seconds * unit.in_a_second, one.text.clone()));
    plot.bounds.extend(near);
    let words: Vec<String> = runs
        .iter()
        .map(|run| {
            let name = several.then_some(run.name.as_str());
            curve_in_words(&run.totals.time(time), time, name)
        })
        .collect();
    let chart = Chart::of(time.full_title(), &words.join(" "), &plot);
    match beyond(&objectives, end) {
        Some(note) => chart.note(note),
        None => chart,
    }
}

/// The points of a curve.
fn points(spread: &Distribution, unit: Unit) -> Vec<(f64, f64)> {
    let end = place_of(100.0, spread.samples);
    let mut points: Vec<(f64, f64)> = Vec::new();
    let mut push = |x: f64, seconds: f64| {
        let y = seconds * unit.in_a_second;
        // Few samples are steps, and are drawn as such.
        if spread.samples < FEW
            && let Some((_, before)) = points.last().copied()
        {
            points.push((x, before));
        }
        points.push((x, y));
    };
    if let Some(curve) = &spread.curve {
        for (percent, seconds) in curve.percents.iter().zip(&curve.seconds) {
            let at = place_of(*percent, u64::MAX);
            if *percent < 100.0 && at < end {
                push(at, *seconds);
            }
        }
    }
    push(end, spread.max_seconds.unwrap_or_default());
    points
}

/// The 95 % confidence intervals of the percentiles, where both bounds are known.
fn strokes(spread: &Distribution, unit: Unit) -> Vec<(f64, f64, f64)> {
    let end = place_of(100.0, spread.samples);
    Percentile::ALL
        .into_iter()
        .filter_map(|percentile| match spread.interval(percentile) {
            [Some(low), Some(high)] => Some((
                place_of(percentile.share() * 100.0, u64::MAX),
                low * unit.in_a_second,
                high * unit.in_a_second,
            )),
            _ => None,
        })
        .filter(|(at, ..)| *at <= end)
        .collect()
}

fn curve_in_words(spread: &Part<'_, Distribution>, time: Time, of: Option<&str>) -> String {
    let [_, longest] = spread.certain_extremes();
    let of = of.map_or_else(String::new, |name| format!(" of {name}"));
    format!(
        "{}{of} by percentile, in milliseconds: {} at p50, {} at p90, {} at p99, {} at the most.",
        time.full_title(),
        spread.certain(Percentile::P50).text,
        spread.certain(Percentile::P90).text,
        spread.certain(Percentile::P99).text,
        longest.text,
    )
}

/// Why there is no curve or histogram: nothing was measured, one time only, or nothing but zero.
fn no_curve(runs: &[&Drawn<'_>], time: Time, what: &str) -> String {
    let sum = |of: &dyn Fn(&Totals) -> u64| -> u64 {
        runs.iter().map(|run| of(run.totals.value())).sum()
    };
    let measured = sum(&|totals| totals.times[time].samples);
    let succeeded = sum(&|totals| totals.requests.succeeded);
    let why = match (succeeded, measured, time) {
        (0, _, _) => "no request succeeded.",
        (_, 0, ITL) => "no response had two chunks of output, so that there is no gap between two.",
        (_, 0, TPOT) => {
            "no response had output at two instants and a known number of tokens above one."
        }
        (_, 0, TTFT) => "no response had output.",
        (_, 0, _) => "there is no such time.",
        (_, more, _) if more > runs.len() as u64 => "all of these times are zero.",
        _ => "there is one such time only. It stands in the table.",
    };
    format!("No {what}: {why}")
}
