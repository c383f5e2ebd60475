//! Histograms: which share of the requests took how long, as bars of text.

use super::paint::{Colour, Painted};
use super::text::{columns_of, to_the_left, to_the_right};
use llmuses_core::document::Distribution;

/// Fewer samples make no shape.
const FEWEST_SAMPLES: u64 = 10;

/// The most slots of a histogram, but for what is longer.
const SLOTS: f64 = 9.0;

/// Narrower than this, two histograms stand below one another.
const SIDE_BY_SIDE: usize = 76;

/// The widest histogram.
const WIDEST: usize = 60;

/// The share of the samples in a slot.
#[derive(Debug, Clone, PartialEq)]
struct Slot {
    /// From where to where, in milliseconds.
    label: String,
    /// From 0 to 1.
    share: f64,
}

/// The histograms of times that have one, each under its title: side by side where there is room.
pub(super) fn histograms(spreads: &[(&str, &Distribution)], width: usize) -> Painted {
    let drawn: Vec<(&str, Vec<Slot>)> = spreads
        .iter()
        .filter_map(|(title, spread)| Some((*title, slots(spread)?)))
        .collect();
    let mut out = Painted::default();
    if drawn.len() == 2 && width >= SIDE_BY_SIDE {
        let each = ((width - 4) / 2).min(WIDEST);
        let mut right = lines(&drawn[1], each).into_iter();
        let mut left = lines(&drawn[0], each).into_iter();
        loop {
            let pair = (left.next(), right.next());
            if pair == (None, None) {
                break;
            }
            let first = pair.0.unwrap_or_default();
            let gap = (each + 3).saturating_sub(columns_of(first.plain()));
            out.text.push(' ');
            out.append(first);
            if let Some(second) = pair.1 {
                out.text.push_str(&" ".repeat(gap));
                out.append(second);
            }
            out.text.push('\n');
        }
    } else {
        for (index, one) in drawn.iter().enumerate() {
            if index > 0 {
                out.text.push('\n');
            }
            for line in lines(one, (width - 1).min(WIDEST)) {
                out.text.push(' ');
                out.append(line);
                out.text.push('\n');
            }
        }
    }
    out
}

fn lines((title, slots): &(&str, Vec<Slot>), width: usize) -> Vec<Painted> {
    let shares: Vec<String> = slots.iter().map(|slot| percent(slot.share)).collect();
    let widest = |texts: &mut dyn Iterator<Item = &str>| texts.map(columns_of).max().unwrap_or(0);
    let label = widest(&mut slots.iter().map(|slot| slot.label.as_str()));
    let share = widest(&mut shares.iter().map(String::as_str));
    let room = width.saturating_sub(label + share + 4).max(1);
    let most = slots.iter().map(|slot| slot.share).fold(0.0, f64::max);
    let mut head = Painted::default();
    head.text.push_str(title);
    let rows = slots.iter().zip(&shares).map(|(slot, text)| {
        let mut line = Painted::default();
        line.text.push_str(&to_the_right(&slot.label, label));
        line.text.push_str("  ");
        line.push(Colour::Bar, &bar(slot.share / most, room));
        let used = columns_of(line.plain());
        line.text = to_the_left(&line.text, label + 2 + room);
        debug_assert!(used <= label + 2 + room);
        line.text.push_str(&to_the_right(text, share + 2));
        line
    });
    [head].into_iter().chain(rows).collect()
}

/// A bar of so much of the room, from 0 to 1. What is there at all is seen.
pub(super) fn bar(share: f64, room: usize) -> String {
    let length = (share * room as f64).round() as usize;
    let least = usize::from(share > 0.0);
    "#".repeat(length.clamp(least, room))
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        percent if percent < 0.5 => "<1 %".to_owned(),
        percent => format!("{percent:.0} %"),
    }
}

/// The slots of a spread, of one length each. `None` where there are too few samples, or all are the same.
fn slots(spread: &Distribution) -> Option<Vec<Slot>> {
    let curve = spread.curve.as_ref()?;
    if spread.samples < FEWEST_SAMPLES {
        return None;
    }
    // Each point of the curve stands for the samples between the point before it and itself.
    let mut before = 0.0;
    let mut points = Vec::new();
    for (percent, seconds) in curve.percents.iter().zip(&curve.seconds) {
        points.push((*seconds * 1e3, (percent - before) / 100.0));
        before = *percent;
    }
    let (low, high) = (points.first()?.0, points.last()?.0);
    // A few that took much longer would leave one bar for all others.
    let most = nearest(&points, 0.95);
    let end = if high - low > 2.0 * (most - low) && most > low {
        most
    } else {
        high
    };
    let step = round_step((end - low) / SLOTS);
    if !(step > 0.0 && step.is_finite()) {
        return None;
    }
    let first = (low / step).floor() * step;
    let count = ((end - first) / step).floor() as usize + 1;
    let decimals = (-step.log10().floor()).clamp(0.0, 3.0) as usize;
    let slots = (0..count).map(|place| {
        let from = first + place as f64 * step;
        let is_last = place + 1 == count;
        let to = from + step;
        let within = points
            .iter()
            // The lowest point may be below its slot by a rounding of the last binary digit.
            .filter(|(time, _)| (place == 0 || *time >= from) && (is_last || *time < to));
        Slot {
            label: if is_last && high >= to {
                format!("{from:.decimals$} or more")
            } else {
                format!("{from:.decimals$} to {to:.decimals$}")
            },
            share: within.map(|(_, share)| share).sum(),
        }
    });
    Some(slots.collect())
}

/// The time below which that share lies.
fn nearest(points: &[(f64, f64)], wanted: f64) -> f64 {
    let mut so_far = 0.0;
    for (time, share) in points {
        so_far += share;
        if so_far >= wanted - 1e-9 {
            return *time;
        }
    }
    points.last().map_or(0.0, |point| point.0)
}

/// The next of 1, 2 and 5 times a power of ten; a thousandth at least, which is a microsecond.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.max(1e-3).log10().floor());
    let digit = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|digit| digit * power >= step);
    if step > 0.0 {
        digit.unwrap_or(10.0) * power
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::document::{Curve, TimeFigures};

    /// The spread of so many samples at these milliseconds, one at each percent.
    fn spread(millis: impl Fn(usize) -> f64) -> Distribution {
        Distribution {
            figures: TimeFigures {
                samples: 100,
                ..TimeFigures::default()
            },
            curve: Some(Curve {
                percents: (0..=100).map(f64::from).collect(),
                seconds: (0..=100).map(|percent| millis(percent) / 1e3).collect(),
            }),
            ..Distribution::default()
        }
    }

    fn text(spreads: &[(&str, &Distribution)], width: usize) -> String {
        histograms(spreads, width).plain().to_owned()
    }

    #[test]
    fn each_slot_has_its_share() {
        let found = slots(&spread(|percent| 50.0 + percent as f64 / 10.0)).unwrap();
        let labels: Vec<&str> = found.iter().map(|slot| slot.label.as_str()).collect();
        assert_eq!(
            labels,
            [
                "50 to 52", "52 to 54", "54 to 56", "56 to 58", "58 to 60", "60 to 62"
            ]
        );
        let total: f64 = found.iter().map(|slot| slot.share).sum();
        assert!((total - 1.0).abs() < 1e-9, "{found:?}");
        assert!((found[1].share - 0.2).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn outliers_share_the_last_slot() {
        let found = slots(&spread(|percent| match percent {
            100 => 9000.0,
            percent => 50.0 + percent as f64 / 10.0,
        }))
        .unwrap();
        let last = found.last().unwrap();
        assert_eq!(last.label, "58 or more");
        assert!((last.share - 0.2).abs() < 0.011, "{found:?}");
    }

    #[test]
    fn nothing_is_drawn_of_no_shape() {
        assert_eq!(slots(&spread(|_| 50.0)), None);
        assert_eq!(slots(&Distribution::default()), None);
        let mut few = spread(|percent| percent as f64);
        few.figures.samples = 9;
        assert_eq!(slots(&few), None);
        assert_eq!(text(&[("TTFT", &few)], 80), "");
    }

    #[test]
    fn they_fit_the_width_and_stand_side_by_side_where_they_can() {
        let (short, long) = (
            spread(|percent| 1.0 + percent as f64),
            spread(|percent| 1e6 * percent as f64),
        );
        for width in 40..200 {
            let drawn = text(&[("TTFT", &short), ("Latency", &long)], width);
            for line in drawn.lines() {
                assert!(columns_of(line) <= width, "{width}: {line:?}");
                assert!(!line.ends_with(' '), "{line:?}");
            }
            let side_by_side = drawn.lines().next().unwrap().contains("Latency");
            assert_eq!(side_by_side, width >= SIDE_BY_SIDE);
        }
    }

    #[test]
    fn bars_are_as_long_as_shares_are_large() {
        assert_eq!(bar(1.0, 10), "##########");
        assert_eq!(bar(0.25, 8), "##");
        assert_eq!(bar(0.001, 8), "#");
        assert_eq!(bar(0.0, 8), "");
    }
}
