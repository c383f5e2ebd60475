//! What the charts of a run have in common.

use crate::sections::Part;
use llmuses_core::document::Totals;
use llmuses_core::metric::Time;

/// A run that is drawn: its totals, and its name in a chart.
#[derive(Debug, Clone)]
pub(super) struct Drawn<'a> {
    /// Its totals.
    pub(super) totals: Part<'a, Totals>,
    /// Its name.
    pub(super) name: String,
}

/// A unit of time for an axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    /// Its name.
    pub(super) name: &'static str,
    /// How many of it a second has.
    pub(super) in_a_second: f64,
}

impl Unit {
    /// Milliseconds; seconds where the longest time has ten or more.
    pub(super) fn of(longest_seconds: f64) -> Self {
        if longest_seconds < 10.0 {
            Self {
                name: "ms",
                in_a_second: 1e3,
            }
        } else {
            Self {
                name: "s",
                in_a_second: 1.0,
            }
        }
    }

    /// The title of an axis.
    pub(super) fn title(self, what: &str) -> String {
        format!("{what} ({})", self.name)
    }
}

/// What is drawn of a bound.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Objective {
    /// The bound in seconds.
    pub(super) seconds: f64,
    /// What stands at its line.
    pub(super) text: String,
}

/// The objectives that are bounds of a time: those of each request, and those of a percentile or the mean.
pub(super) fn objectives(totals: &Totals, time: Time) -> Vec<Objective> {
    let goodput = totals.goodput.iter().filter_map(|goodput| {
        let seconds = goodput.objectives.0[time]?;
        let unit = Unit::of(seconds);
        Some(Objective {
            seconds,
            text: format!("objective {} {}", seconds * unit.in_a_second, unit.name),
        })
    });
    let of_run = totals.objectives.iter().filter_map(|objective| {
        let rest = objective.figure.strip_prefix(time.short?)?;
        rest.starts_with('_').then(|| Objective {
            seconds: objective.limit,
            text: llmuses_core::wording::one_line(&objective.objective, 40),
        })
    });
    goodput.chain(of_run).collect()
}

/// The longest value of an axis on which `longest` is drawn: an objective that is not far from it is on it as well.
pub(super) fn reach(longest: f64, objectives: &[Objective]) -> f64 {
    let near = objectives
        .iter()
        .map(|objective| objective.seconds)
        .filter(|seconds| *seconds <= longest * 4.0);
    near.fold(longest, f64::max)
}

/// Says which objectives lie beyond an axis that ends at `end` seconds.
pub(super) fn beyond(objectives: &[Objective], end: f64) -> Option<String> {
    let far: Vec<&str> = objectives
        .iter()
        .filter(|objective| objective.seconds > end)
        .map(|objective| objective.text.as_str())
        .collect();
    (!far.is_empty()).then(|| format!("Beyond the chart: {}.", far.join(", ")))
}
