//! The figures that are compared: their names, where they stand in a document, and which way is better.

use super::interval::Estimate;
use serde_json::Value;

/// A figure of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The name, as `--fail-if` takes it.
    pub name: &'static str,
    /// The name in a table.
    pub title: &'static str,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A rate of `rates` (or `goodput`), and the column of the timeline that it counts.
    Rate(&'static str, &'static str),
    /// The mean of a spread.
    Mean(&'static str),
    /// A percentile of a spread.
    Percentile(&'static str, &'static str),
    /// Failed of completed requests.
    FailedShare,
    /// Requests that met all objectives, of completed ones.
    GoodShare,
    /// Tokens per request, of `input` or `output`.
    TokensPerRequest(&'static str),
}

/// The keys of the spreads in a document.
const TTFT: &str = "time_to_first_token";
const TPOT: &str = "time_per_output_token";
const ITL: &str = "inter_token_latency";
const LATENCY: &str = "latency";

/// All figures, in the order of the table.
pub const METRICS: [Metric; 23] = [
    Metric {
        name: "qps",
        title: "Requests per second",
        unit: Unit::PerSecond,
        better: Better::Higher,
        source: Source::Rate("/rates/succeeded_per_second", "requests_succeeded"),
    },
    Metric {
        name: "throughput",
        title: "Output tokens per second",
        unit: Unit::PerSecond,
        better: Better::Higher,
        source: Source::Rate("/rates/output_tokens_per_second", "output_tokens"),
    },
    Metric {
        name: "goodput",
        title: "Goodput",
        unit: Unit::PerSecond,
        better: Better::Higher,
        source: Source::Rate("/goodput/per_second", "requests_that_met_all"),
    },
    Metric {
        name: "goodput_share",
        title: "Met all objectives",
        unit: Unit::Share,
        better: Better::Higher,
        source: Source::GoodShare,
    },
    Metric {
        name: "failed_share",
        title: "Failed",
        unit: Unit::Share,
        better: Better::Lower,
        source: Source::FailedShare,
    },
    time("ttft_mean", "Time to first token mean", Source::Mean(TTFT)),
    time(
        "ttft_p50",
        "Time to first token p50",
        Source::Percentile(TTFT, "p50"),
    ),
    time(
        "ttft_p90",
        "Time to first token p90",
        Source::Percentile(TTFT, "p90"),
    ),
    time(
        "ttft_p99",
        "Time to first token p99",
        Source::Percentile(TTFT, "p99"),
    ),
    time(
        "tpot_mean",
        "Time per output token mean",
        Source::Mean(TPOT),
    ),
    time(
        "tpot_p50",
        "Time per output token p50",
        Source::Percentile(TPOT, "p50"),
    ),
    time(
        "tpot_p90",
        "Time per output token p90",
        Source::Percentile(TPOT, "p90"),
    ),
    time(
        "tpot_p99",
        "Time per output token p99",
        Source::Percentile(TPOT, "p99"),
    ),
    time("itl_mean", "Inter-token latency mean", Source::Mean(ITL)),
    time(
        "itl_p50",
        "Inter-token latency p50",
        Source::Percentile(ITL, "p50"),
    ),
    time(
        "itl_p90",
        "Inter-token latency p90",
        Source::Percentile(ITL, "p90"),
    ),
    time(
        "itl_p99",
        "Inter-token latency p99",
        Source::Percentile(ITL, "p99"),
    ),
    time(
        "latency_mean",
        "Request latency mean",
        Source::Mean(LATENCY),
    ),
    time(
        "latency_p50",
        "Request latency p50",
        Source::Percentile(LATENCY, "p50"),
    ),
    time(
        "latency_p90",
        "Request latency p90",
        Source::Percentile(LATENCY, "p90"),
    ),
    time(
        "latency_p99",
        "Request latency p99",
        Source::Percentile(LATENCY, "p99"),
    ),
    Metric {
        name: "input_tokens",
        title: "Input tokens per request",
        unit: Unit::Tokens,
        better: Better::Neither,
        source: Source::TokensPerRequest("input"),
    },
    Metric {
        name: "output_tokens",
        title: "Output tokens per request",
        unit: Unit::Tokens,
        better: Better::Neither,
        source: Source::TokensPerRequest("output"),
    },
];

const fn time(name: &'static str, title: &'static str, source: Source) -> Metric {
    Metric {
        name,
        title,
        unit: Unit::Seconds,
        better: Better::Lower,
        source,
    }
}

impl Metric {
    /// The figure of a name. `None`: there is none of that name.
    pub fn of_name(name: &str) -> Option<&'static Self> {
        METRICS.iter().find(|metric| metric.name == name)
    }

    /// The figure in the totals of a run. `None` where the run does not have it.
    pub fn of(&self, totals: &Value) -> Option<Estimate> {
        match self.source {
            Source::Rate(pointer, column) => {
                let rate = totals.pointer(pointer)?.as_f64()?;
                let timeline = &totals["timeline"];
                let slots: Vec<f64> = timeline[column]
                    .as_array()
                    .map(|slots| slots.iter().filter_map(Value::as_f64).collect())
                    .unwrap_or_default();
                let seconds = timeline["slot_seconds"].as_f64().unwrap_or(1.0);
                let latency = totals[LATENCY]["mean_seconds"].as_f64().unwrap_or(0.0);
                Some(Estimate::of_rate(rate, &slots, seconds, latency))
            }
            Source::Mean(key) => {
                let spread = &totals[key];
                // The gaps of one stream are alike; only requests are independent of one another.
                let requests = totals["requests"]["succeeded"].as_u64()?;
                Some(Estimate::of_mean(
                    spread["mean_seconds"].as_f64()?,
                    spread["standard_deviation_seconds"].as_f64(),
                    spread["samples"].as_u64()?.min(requests),
                ))
            }
            Source::Percentile(key, label) => Estimate::of_percentile(&totals[key], label),
            Source::FailedShare => Estimate::of_share(
                totals["requests"]["failed"].as_f64()?,
                totals["requests"]["completed"].as_f64()?,
            ),
            Source::GoodShare => Estimate::of_share(
                totals["goodput"]["requests_that_met_all"].as_f64()?,
                totals["requests"]["completed"].as_f64()?,
            ),
            Source::TokensPerRequest(side) => Some(Estimate {
                value: totals["tokens"][side]["per_request"].as_f64()?,
                low: None,
                high: None,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let names: std::collections::HashSet<_> =
            METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        assert_eq!(
            Metric::of_name("ttft_p99").unwrap().title,
            "Time to first token p99"
        );
        assert_eq!(Metric::of_name("ttft"), None);
    }
}
