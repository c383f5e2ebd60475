//! The figures that are compared: those of the table of metrics.

use super::interval::Estimate;
use llmuses_core::document::{Percentile, Totals};
pub(super) use llmuses_core::metric::{Better, Unit};
use llmuses_core::metric::{Figure, LATENCY, QPS, Sum, Time};
use std::sync::LazyLock;

/// A figure of a run, or of how one of its times is spread.
#[derive(Debug, Clone)]
pub struct Metric {
    /// The name, as `--fail-if` takes it.
    pub name: String,
    /// The name in a table.
    pub title: String,
    /// What it counts.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    source: Source,
}

/// Where a figure is read.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// A figure of the run as a whole.
    Figure(Figure),
    /// The mean of a time.
    Mean(Time),
    /// A percentile of a time.
    Percentile(Time, Percentile),
}

/// All figures, in the order of the table.
pub static METRICS: LazyLock<Vec<Metric>> = LazyLock::new(|| {
    let figures = Figure::all().filter(|figure| figure.compared);
    let figures = figures.map(|figure| Metric {
        name: figure.name.to_owned(),
        title: figure.title.to_owned(),
        unit: figure.unit,
        better: figure.better,
        source: Source::Figure(figure),
    });
    figures.chain(Time::all().flat_map(of_time)).collect()
});

fn of_time(time: Time) -> impl Iterator<Item = Metric> {
    time.short.into_iter().flat_map(move |short| {
        let mean = ("mean".to_owned(), Source::Mean(time));
        let percentiles = [Percentile::P50, Percentile::P90, Percentile::P99]
            .map(|percentile| (percentile.label(), Source::Percentile(time, percentile)));
        [mean]
            .into_iter()
            .chain(percentiles)
            .map(move |(of_it, source)| Metric {
                name: format!("{short}_{of_it}"),
                title: format!("{} {of_it}", time.title),
                unit: time.unit,
                better: time.better,
                source,
            })
    })
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Metric {
    /// The figure of a name. `None`: there is none of that name.
    pub fn of_name(name: &str) -> Option<&'static Self> {
        METRICS.iter().find(|metric| metric.name == name)
    }

    /// The figure in the totals of a run. `None` where the run does not have it.
    pub fn of(&self, totals: &Totals) -> Option<Estimate> {
        match self.source {
            Source::Figure(figure) => of_figure(figure, totals),
            Source::Mean(time) => {
                let spread = &totals.times[time];
                // The gaps of one stream are alike; only requests are independent of one another.
                Some(Estimate::of_mean(
                    spread.mean_seconds?,
                    spread.standard_deviation_seconds,
                    spread.samples.min(totals.requests.succeeded),
                ))
            }
            Source::Percentile(time, percentile) => {
                Estimate::of_percentile(&totals.times[time], percentile)
            }
        }
    }

    /// How much of what a rate counts came with a succeeded request. `None`: it is no rate, or that of requests itself.
    pub(super) fn per_request(&self, totals: &Totals) -> Option<f64> {
        let Source::Figure(figure) = self.source else {
            return None;
        };
        let sums = totals.sums();
        let is_other_rate = figure != QPS && matches!(figure.sum, Sum::Rate(_));
        let part = figure.part(&sums).filter(|_| is_other_rate)?;
        (sums.succeeded > 0).then(|| part / sums.succeeded as f64)
    }
}

fn of_figure(figure: Figure, totals: &Totals) -> Option<Estimate> {
    let sums = totals.sums();
    let value = figure.of(&sums)?;
    match figure.sum {
        Sum::Rate(_) => {
            let slots = totals.timeline.parts(figure).unwrap_or_default();
            let latency = totals.times[LATENCY].mean_seconds.unwrap_or(0.0);
            let slot_seconds = totals.timeline.slot_seconds;
            Some(Estimate::of_rate(value, &slots, slot_seconds, latency))
        }
        Sum::Share(part, whole) => Estimate::of_share(part(&sums)?, whole(&sums)?),
        Sum::Ratio(..) => Some(Estimate {
            value,
            low: None,
            high: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let names: std::collections::HashSet<_> =
            METRICS.iter().map(|metric| &metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        assert_eq!(
            Metric::of_name("ttft_p99").unwrap().title,
            "Time to first token p99"
        );
        assert!(Metric::of_name("total_throughput").is_some());
        assert_eq!(Metric::of_name("ttft"), None);
    }
}
