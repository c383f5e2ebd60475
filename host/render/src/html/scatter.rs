//! A time by the length of the prompt.

use super::chart::Chart;
use super::curves::colour;
use super::drawn::{Drawn, Unit, beyond, objectives, reach};
use super::plot::{Axis, Plot, Shape};
use crate::digits::{counted, short_figure};
use llmuses_core::document::{StraightLine, TimeByInputLength};
use llmuses_core::metric::{TPOT, TTFT, Time};

/// The charts, those of which there is any point; documents of earlier versions have none.
pub(super) fn by_input_length(run: &Drawn<'_>) -> Vec<Chart> {
    let totals = run.totals.value();
    let times = [
        (TTFT, &totals.time_to_first_token_by_input_length),
        (TPOT, &totals.time_per_output_token_by_input_length),
    ];
    let found = times
        .into_iter()
        .filter_map(|(time, found)| chart(run, time, found.as_ref()?));
    found.collect()
}

fn chart(run: &Drawn<'_>, time: Time, found: &TimeByInputLength) -> Option<Chart> {
    let title = format!("{} by length of the prompt", time.full_title());
    let shortest = found.input_tokens.iter().min().copied()?;
    let longest = found.input_tokens.iter().max().copied()?;
    if shortest == longest {
        return Some(Chart::absent(
            title,
            format!(
                "Nothing to draw: all prompts have {}.",
                counted(shortest, "token")
            ),
        ));
    }
    let most = found.seconds.iter().copied().fold(0.0, f64::max);
    let objectives = objectives(run.totals.value(), time);
    let end = reach(most, &objectives);
    let unit = Unit::of(end);
    let points = found.input_tokens.iter().zip(&found.seconds);
    let points = points.map(|(tokens, seconds)| (*tokens as f64, seconds * unit.in_a_second));
    let mut plot = Plot::new(
        Axis::numbers(
            "Input tokens",
            axis_from(shortest, longest),
            longest as f64,
            5,
        ),
        Axis::from_zero(unit.title(time.title), end * unit.in_a_second),
    )
    .with("requests", colour(time), Shape::Dots(points.collect()));
    if let Some(line) = &found.line {
        let at = |tokens: u64| {
            let seconds = line.intercept_seconds + line.seconds_per_token * tokens as f64;
            (tokens as f64, seconds * unit.in_a_second)
        };
        let ends = Shape::Line(vec![at(shortest), at(longest)]);
        plot = plot.with("straight line through all", 2, ends);
    }
    let near = objectives.iter().filter(|one| one.seconds <= end);
    let near = near.map(|one| (one.seconds * unit.in_a_second, one.text.clone()));
    plot.bounds.extend(near);
    let mut note = said(found);
    if let Some(more) = beyond(&objectives, end) {
        note.push(' ');
        note.push_str(&more);
    }
    Some(Chart::of(title, &note, &plot).note(note))
}

/// Zero, where the shortest prompt is near to it.
fn axis_from(shortest: u64, longest: u64) -> f64 {
    if shortest < longest / 3 {
        0.0
    } else {
        shortest as f64
    }
}

fn said(found: &TimeByInputLength) -> String {
    let drawn = found.input_tokens.len() as u64;
    let points = match found.requests {
        all if all == drawn => counted(all, "request"),
        all => format!("{drawn} of {all} requests, picked at random"),
    };
    match &found.line {
        Some(line) => format!("{points}. {}", in_words(line)),
        None => format!("{points}."),
    }
}

fn in_words(line: &StraightLine) -> String {
    let mut text = format!(
        "Straight line: {} ms and {} ms for each 1,000 tokens",
        short_figure(line.intercept_seconds * 1e3),
        short_figure(line.seconds_per_token * 1e6),
    );
    if let Some(share) = line.r_squared {
        text.push_str(&format!("; R² {share:.2}"));
    }
    text.push('.');
    text
}
