//! What runs of the same load have in common: the mean of a figure over them, and how it differs from run to run.

use super::named::Named;
use super::percentile::Percentile;
use super::plan::LoadRecord;
use super::{Run, RunState, Totals};
use crate::metric::{Figure, Time};
use crate::student::student;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The runs of one load that was repeated, taken together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RepeatFigures {
    /// The ids of its runs.
    pub runs: Vec<u32>,
    /// The compared figures that all of these runs have, by the names that `--fail-if` takes.
    pub figures: Named<RepeatedFigure>,
}

/// A figure over several runs of one load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RepeatedFigure {
    /// The mean over the runs.
    pub mean: f64,
    /// The standard deviation between the runs.
    pub standard_deviation: f64,
    /// That by the mean; null where the mean is 0.
    pub coefficient_of_variation: Option<f64>,
    /// The lower bound of the 95 % confidence interval of the mean (Student's t over the runs).
    pub low: f64,
    /// The upper bound.
    pub high: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl RepeatedFigure {
    /// Of one value from each run. `None`: there are fewer than two.
    pub fn of(values: &[f64]) -> Option<Self> {
        let freedom = values.len().checked_sub(1).filter(|freedom| *freedom > 0)?;
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (squares / freedom as f64).sqrt();
        let half = student(freedom as u64) * deviation / n.sqrt();
        Some(Self {
            mean,
            standard_deviation: deviation,
            coefficient_of_variation: (mean != 0.0).then(|| deviation / mean),
            low: mean - half,
            high: mean + half,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

impl Run {
    /// Whether it is one of the runs of a load that was repeated which have a result that counts: those that were not ended
    /// before their time.
    pub fn is_finished_repetition(&self) -> bool {
        self.plan.load.repeat.is_some() && self.state == RunState::Finished
    }

    /// Whether both are runs of one load that was repeated.
    pub fn repeats_load_of(&self, other: &Self) -> bool {
        // Its seed is all that a repetition has of its own.
        let load = |run: &Self| LoadRecord {
            seed: 0,
            repeat: None,
            ..run.plan.load.clone()
        };
        let are_repeated = self.plan.load.repeat.is_some() && other.plan.load.repeat.is_some();
        are_repeated && load(self) == load(other)
    }

    /// Whether both count as runs of one load that was repeated.
    pub fn is_repetition_of(&self, other: &Self) -> bool {
        self.is_finished_repetition()
            && other.is_finished_repetition()
            && self.repeats_load_of(other)
    }
}

impl RepeatFigures {
    /// Of each load that was repeated, in the order of the runs; of its runs, those that finished.
    pub fn of(runs: &[Run]) -> Vec<Self> {
        let mut loads: Vec<Vec<&Run>> = Vec::new();
        for run in runs.iter().filter(|run| run.is_finished_repetition()) {
            let is_of = |of_it: &&mut Vec<&Run>| {
                let first = of_it.first();
                first.is_some_and(|first| run.is_repetition_of(first))
            };
            match loads.iter_mut().find(is_of) {
                Some(of_it) => of_it.push(run),
                None => loads.push(vec![run]),
            }
        }
        let several = loads.into_iter().filter(|runs| runs.len() > 1);
        several
            .map(|runs| Self {
                figures: figures(&runs),
                runs: runs.iter().map(|run| run.id).collect(),
            })
            .collect()
    }
}

fn figures(runs: &[&Run]) -> Named<RepeatedFigure> {
    let all = |of: &dyn Fn(&Totals) -> Option<f64>| {
        let values = runs.iter().map(|run| of(run.totals.as_ref()?));
        let values: Vec<f64> = values.collect::<Option<_>>()?;
        RepeatedFigure::of(&values)
    };
    let compared = Figure::all().filter(|figure| figure.compared);
    let of_run = compared.filter_map(|figure| {
        let found = all(&|totals| totals.figures.get(figure))?;
        Some((figure.name.to_owned(), found))
    });
    let of_times = Time::all().flat_map(|time| {
        let mean = time.short.map(|short| {
            let found = all(&|totals| totals.times[time].mean_seconds);
            (format!("{short}_mean"), found)
        });
        let percentiles = [Percentile::P50, Percentile::P90, Percentile::P99];
        let percentiles = percentiles.into_iter().filter_map(move |percentile| {
            let found = all(&|totals| totals.times[time].percentile(percentile));
            Some((format!("{}_{}", time.short?, percentile.label()), found))
        });
        mean.into_iter().chain(percentiles)
    });
    of_run
        .chain(of_times.filter_map(|(name, found)| Some((name, found?))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_over_runs_has_the_interval_of_student() {
        let figure = RepeatedFigure::of(&[10.0, 12.0, 14.0]).unwrap();
        assert_eq!((figure.mean, figure.standard_deviation), (12.0, 2.0));
        assert!((figure.coefficient_of_variation.unwrap() - 1.0 / 6.0).abs() < 1e-12);
        // t of 2 degrees of freedom is 4.303.
        assert!((figure.high - 12.0 - 4.303 * 2.0 / 3.0f64.sqrt()).abs() < 1e-9);
        assert!((12.0 - figure.low - (figure.high - 12.0)).abs() < 1e-12);
        assert_eq!((figure.min, figure.max), (10.0, 14.0));
        assert_eq!(RepeatedFigure::of(&[1.0]), None);
        let none = RepeatedFigure::of(&[0.0, 0.0]).unwrap();
        assert_eq!(none.coefficient_of_variation, None);
    }
}
