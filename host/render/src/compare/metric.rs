//! The figures that are compared: of a run as a whole, and of each time of the table of metrics.

use super::interval::Estimate;
use llmuses_core::document::{Percentile, TimeSeries, Totals};
use llmuses_core::metric::{LATENCY, Time};
use std::sync::LazyLock;

/// A figure of a run.
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

/// What a figure counts, and so how it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds, printed as milliseconds.
    Seconds,
    /// So many per second.
    PerSecond,
    /// A share of 1, printed as percent.
    Share,
    /// Tokens.
    Tokens,
}

impl Unit {
    /// A value for a person.
    pub fn format(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{:.3} ms", value * 1e3),
            Self::PerSecond => format!("{value:.3}/s"),
            Self::Share => format!("{:.2} %", value * 1e2),
            Self::Tokens => format!("{value:.1}"),
        }
    }
}

/// Which way of a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Higher.
    Higher,
    /// Lower.
    Lower,
    /// Neither: a difference only says that the work was another one.
    Neither,
}

/// How a figure is read from the totals of a run.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// A rate, and the slots of the timeline that it counts.
    Rate(
        fn(&Totals) -> Option<f64>,
        fn(&TimeSeries) -> Option<Vec<f64>>,
    ),
    /// So many of all completed requests.
    ShareOfCompleted(fn(&Totals) -> Option<u64>),
    /// A number that is counted, not estimated.
    Counted(fn(&Totals) -> Option<f64>),
    /// The mean of a time.
    Mean(Time),
    /// A percentile of a time.
    Percentile(Time, Percentile),
}

/// All figures, in the order of the table.
pub static METRICS: LazyLock<Vec<Metric>> = LazyLock::new(|| {
    let metric = |name: &str, title: &str, unit, better, source| Metric {
        name: name.to_owned(),
        title: title.to_owned(),
        unit,
        better,
        source,
    };
    let mut metrics = vec![
        metric(
            "qps",
            "Requests per second",
            Unit::PerSecond,
            Better::Higher,
            Source::Rate(
                |totals| totals.rates.succeeded_per_second,
                |slots| counts(&slots.requests_succeeded),
            ),
        ),
        metric(
            "throughput",
            "Output tokens per second",
            Unit::PerSecond,
            Better::Higher,
            Source::Rate(
                |totals| totals.rates.output_tokens_per_second,
                |slots| Some(slots.output_tokens.clone()),
            ),
        ),
        metric(
            "goodput",
            "Goodput",
            Unit::PerSecond,
            Better::Higher,
            Source::Rate(
                |totals| totals.goodput.as_ref()?.per_second,
                |slots| counts(slots.requests_that_met_all.as_ref()?),
            ),
        ),
        metric(
            "goodput_share",
            "Met all objectives",
            Unit::Share,
            Better::Higher,
            Source::ShareOfCompleted(|totals| Some(totals.goodput.as_ref()?.requests_that_met_all)),
        ),
        metric(
            "failed_share",
            "Failed",
            Unit::Share,
            Better::Lower,
            Source::ShareOfCompleted(|totals| Some(totals.requests.failed)),
        ),
    ];
    for time in Time::all() {
        let Some(short) = time.short else { continue };
        let figures = [("mean".to_owned(), Source::Mean(time))].into_iter().chain(
            [Percentile::P50, Percentile::P90, Percentile::P99]
                .map(|percentile| (percentile.label(), Source::Percentile(time, percentile))),
        );
        for (of_it, source) in figures {
            metrics.push(metric(
                &format!("{short}_{of_it}"),
                &format!("{} {of_it}", time.title),
                Unit::Seconds,
                Better::Lower,
                source,
            ));
        }
    }
    metrics.push(metric(
        "input_tokens",
        "Input tokens per request",
        Unit::Tokens,
        Better::Neither,
        Source::Counted(|totals| totals.tokens.input.per_request),
    ));
    metrics.push(metric(
        "output_tokens",
        "Output tokens per request",
        Unit::Tokens,
        Better::Neither,
        Source::Counted(|totals| totals.tokens.output.per_request),
    ));
    metrics
});

/// The slots of a column.
fn counts(slots: &[u64]) -> Option<Vec<f64>> {
    Some(slots.iter().map(|count| *count as f64).collect())
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
            Source::Rate(rate, slots) => {
                let timeline = &totals.timeline;
                let latency = totals.times[LATENCY].mean_seconds.unwrap_or(0.0);
                let slots = slots(timeline).unwrap_or_default();
                let rate = rate(totals)?;
                Some(Estimate::of_rate(
                    rate,
                    &slots,
                    timeline.slot_seconds,
                    latency,
                ))
            }
            Source::ShareOfCompleted(part) => {
                Estimate::of_share(part(totals)? as f64, totals.requests.completed as f64)
            }
            Source::Counted(value) => Some(Estimate {
                value: value(totals)?,
                low: None,
                high: None,
            }),
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
        assert_eq!(Metric::of_name("ttft"), None);
    }
}
