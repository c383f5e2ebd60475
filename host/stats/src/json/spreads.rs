//! How times, tokens and the parser's own figures are spread.

use super::seconds;
use crate::counts::TokenTotals;
use crate::figures::Figures;
use crate::histogram::histogram;
use crate::running::RunStatistics;
use crate::spread::Spread;
use crate::tokens::TokenSpread;
use llmuses_core::document::{
    ByPercentile, Curve, Distribution, LengthBar, ParserFigures, Percentile, TimeFigures,
    TokenFigures, TokensBySource,
};
use llmuses_core::metric::Time;

pub(super) fn time_figures(spread: &Spread) -> TimeFigures {
    TimeFigures {
        samples: spread.samples(),
        mean_seconds: spread.mean_seconds(),
        standard_deviation_seconds: spread.standard_deviation_seconds(),
        min_seconds: spread.min().map(seconds),
        max_seconds: spread.max().map(seconds),
        percentiles: spread
            .percentiles(Percentile::ALL)
            .map_or_else(ByPercentile::default, |times| {
                ByPercentile(times.map(|time| Some(seconds(time))))
            }),
        samples_beyond_the_scale: spread.beyond(),
    }
}

pub(super) fn distribution(statistics: &RunStatistics, time: Time) -> Distribution {
    let spread = statistics.time(time);
    let figures = time_figures(spread);
    if !time.curve {
        return Distribution {
            figures,
            ..Distribution::default()
        };
    }
    // What is independent of one another is requests.
    let intervals = spread.intervals(Percentile::ALL, statistics.counts().succeeded);
    let percents = curve_percents();
    let times = spread.curve(&percents).into_iter().map(seconds).collect();
    Distribution {
        figures,
        intervals_of_95_percent: Some(ByPercentile(
            intervals.map(|(lower, upper)| [lower.map(seconds), upper.map(seconds)]),
        )),
        curve: Some(Curve {
            percents,
            seconds: times,
        }),
        histogram: histogram(spread),
    }
}

/// Where a curve has its points: at every percent, and closer where the slow requests are.
fn curve_percents() -> Vec<f64> {
    let whole = (0..=99).map(f64::from);
    let tenths = (991..=999).map(|tenth| f64::from(tenth) / 10.0);
    whole
        .chain(tenths)
        .chain([99.95, 99.99, 99.999, 100.0])
        .collect()
}

pub(super) fn tokens(totals: &TokenTotals, lengths: &TokenSpread) -> TokenFigures {
    let known = totals.requests();
    TokenFigures {
        tokens: (known > 0).then_some(totals.tokens),
        per_request: totals.mean(),
        requests_known: known,
        requests_by_source: TokensBySource {
            server: totals.by_server,
            tokenizer: totals.by_tokenizer,
            parser: totals.by_parser,
        },
        min: lengths.extremes().map(|(min, _)| min),
        max: lengths.extremes().map(|(_, max)| max),
        p50: lengths.percentile(Percentile::P50),
        p90: lengths.percentile(Percentile::P90),
        p99: lengths.percentile(Percentile::P99),
        bars: lengths
            .bars()
            .into_iter()
            .map(|bar| LengthBar {
                from: bar.from,
                to: bar.to,
                requests: bar.requests,
            })
            .collect(),
    }
}

pub(super) fn figures(figures: &Figures) -> ParserFigures {
    ParserFigures {
        samples: figures.samples(),
        mean: figures.mean(),
        min: figures.min(),
        max: figures.max(),
        p50: figures.percentile(Percentile::P50),
        p90: figures.percentile(Percentile::P90),
        p99: figures.percentile(Percentile::P99),
    }
}
