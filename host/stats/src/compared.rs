//! The figures of the table of metrics by the names of flags: what is compared, and what may be bounded.

use super::estimate::Estimate;
use llmuses_core::document::{Percentile, Totals};
use llmuses_core::metric::{
    Better, FAILED_SHARE, Figure, GOODPUT, GOODPUT_SHARE, LATENCY, QPS, Sum, THROUGHPUT,
    TIME_PER_TOKEN, Time, Unit,
};
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
    /// Where it is read.
    pub source: MetricSource,
}

/// Where a figure is read.
#[derive(Debug, Clone, Copy)]
pub enum MetricSource {
    /// A figure of the run as a whole.
    Figure(Figure),
    /// The mean of a time.
    Mean(Time),
    /// A percentile of a time.
    Percentile(Time, Percentile),
}

/// The figures that are compared, in the order of the table.
pub static METRICS: LazyLock<Vec<Metric>> = LazyLock::new(|| {
    let figures = Figure::all().filter(|figure| figure.compared);
    let times = Time::all();
    let compared = [Percentile::P50, Percentile::P90, Percentile::P99];
    figures
        .map(of_run)
        .chain(times.flat_map(|time| of_time(time, &compared)))
        .collect()
});

/// All figures of the table and every percentile.
static ALL: LazyLock<Vec<Metric>> = LazyLock::new(|| {
    let times = Time::all().flat_map(|time| of_time(time, &Percentile::ALL));
    Figure::all().map(of_run).chain(times).collect()
});

fn of_run(figure: Figure) -> Metric {
    Metric {
        name: figure.name.to_owned(),
        title: figure.title.to_owned(),
        unit: figure.unit,
        better: figure.better,
        source: MetricSource::Figure(figure),
    }
}

fn of_time(time: Time, percentiles: &[Percentile]) -> impl Iterator<Item = Metric> {
    time.short.into_iter().flat_map(move |short| {
        let mean = ("mean".to_owned(), MetricSource::Mean(time));
        let percentiles = percentiles
            .iter()
            .map(move |of| (of.label(), MetricSource::Percentile(time, *of)));
        [mean]
            .into_iter()
            .chain(percentiles)
            .map(move |(of_it, source)| Metric {
                name: format!("{short}_{of_it}"),
                title: format!("{} {of_it}", time.full_title()),
                unit: time.unit,
                better: time.better,
                source,
            })
    })
}

fn whole_name(name: &str) -> &str {
    match name {
        "failed" => FAILED_SHARE.name,
        name => name,
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Metric {
    /// The compared figure of a name; `failed` is short for `failed_share`. `None`: there is none of that name.
    pub fn of_name(name: &str) -> Option<&'static Self> {
        let name = whole_name(name);
        METRICS.iter().find(|metric| metric.name == name)
    }

    /// The figure of a name, compared or not, in the same way.
    pub(super) fn of_any_name(name: &str) -> Option<&'static Self> {
        let name = whole_name(name);
        ALL.iter().find(|metric| metric.name == name)
    }

    /// Whether it counts requests by their objectives, so that it is another figure where those are others.
    pub fn depends_on_objectives(&self) -> bool {
        matches!(self.source, MetricSource::Figure(GOODPUT | GOODPUT_SHARE))
    }

    /// A value of this figure as a flag has it: `200ms`, `0.1%`, `50`. `None`: it is none.
    pub fn value_of_text(&self, text: &str) -> Option<f64> {
        let (digits, factor) = match self.unit {
            Unit::Share => match text.strip_suffix('%') {
                Some(percent) => (percent, 1e-2),
                // 1 could be meant as a percent or as all.
                None => (
                    text.parse()
                        .is_ok_and(|zero: f64| zero == 0.0)
                        .then_some(text)?,
                    1.0,
                ),
            },
            Unit::Seconds => match (text.strip_suffix("us"), text.strip_suffix("ms")) {
                (Some(digits), _) => (digits, 1e-6),
                (_, Some(digits)) => (digits, 1e-3),
                _ => (text.strip_suffix('s')?, 1.0),
            },
            Unit::PerSecond | Unit::Tokens | Unit::Packages => (text, 1.0),
        };
        let number: f64 = digits.trim().parse().ok()?;
        number.is_finite().then_some(number * factor)
    }

    /// What a value of this figure looks like in a flag.
    pub fn example(&self) -> &'static str {
        match self.unit {
            Unit::Seconds => "give a time with its unit, such as 200ms or 1.5s",
            Unit::Share => "give a share such as 0.1%",
            Unit::PerSecond | Unit::Tokens | Unit::Packages => "give a number such as 50",
        }
    }

    /// The figure in the totals of a run. `None` where the run does not have it.
    pub fn of(&self, totals: &Totals) -> Option<Estimate> {
        match self.source {
            MetricSource::Figure(figure) => of_figure(figure, totals),
            MetricSource::Mean(time) => {
                let spread = &totals.times[time];
                // The gaps of one stream are alike; only requests are independent of one another.
                Some(Estimate::of_mean(
                    spread.mean_seconds?,
                    spread.standard_deviation_seconds,
                    spread.samples.min(totals.requests.succeeded),
                ))
            }
            MetricSource::Percentile(time, percentile) => {
                Estimate::of_percentile(&totals.times[time], percentile)
            }
        }
    }

    /// How much of what a rate counts came with a succeeded request. `None`: it is no rate, or that of requests itself.
    pub fn per_request(&self, totals: &Totals) -> Option<f64> {
        let MetricSource::Figure(figure) = self.source else {
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
        Sum::Ratio(..) if figure == TIME_PER_TOKEN => {
            Some(of_figure(THROUGHPUT, totals)?.inverse())
        }
        Sum::Ratio(..) => {
            let error = totals.figure_errors.get(figure.name);
            let error = error.map(|error| (error.standard_error, error.requests));
            let found = Estimate::of_ratio(value, error);
            Some(match figure.unit {
                Unit::Share => found.within(0.0, 1.0),
                _ => found.within(0.0, f64::INFINITY),
            })
        }
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
        assert_eq!(Metric::of_name("ttft_p95"), None);
        assert!(Metric::of_any_name("ttft_p95").is_some());
        assert_eq!(Metric::of_any_name("failed").unwrap().name, "failed_share");
    }

    #[test]
    fn a_value_has_the_unit_of_its_figure() {
        let value = |name, text| Metric::of_any_name(name).unwrap().value_of_text(text);
        assert_eq!(value("ttft_p99", "200ms"), Some(0.2));
        assert_eq!(value("ttft_p99", "200"), None);
        assert_eq!(value("failed", "0.1%"), Some(0.001));
        assert_eq!(value("qps", "50"), Some(50.0));
        assert_eq!(value("qps", "inf"), None);
    }
}
