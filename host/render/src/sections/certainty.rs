//! What stands under a table of times: how far its percentiles may be from the truth, and what this client adds to the times.

use super::times::independent_samples;
use crate::digits::{fixed, percent};
use llmuses_core::document::{Percentile, Totals};
use llmuses_core::metric::{CLIENT_LAG, DISPATCH_LAG, LATENCY, TTFT};

/// The percentiles of which upper bounds are told.
const BOUNDED: [Percentile; 4] = [
    Percentile::P50,
    Percentile::P90,
    Percentile::P95,
    Percentile::P99,
];

/// Where samples are few, what the percentiles of a longer run would be at most, as far as these samples tell. `None`: no
/// percentile is short of samples, or nothing is known.
pub(crate) fn upper_bounds(totals: &Totals) -> Option<String> {
    let told: Vec<String> = [("TTFT", TTFT), ("latency", LATENCY)]
        .into_iter()
        .filter_map(|(name, time)| {
            let spread = &totals.times[time];
            let samples = independent_samples(totals, time);
            let is_short = |percentile: &Percentile| percentile.is_short(samples);
            if samples == 0 || !BOUNDED.iter().any(is_short) {
                return None;
            }
            let known: Vec<String> = BOUNDED
                .into_iter()
                .filter_map(|percentile| {
                    let [_, high] = spread.interval(percentile);
                    let high = fixed(Some(high? * 1e3), 2);
                    Some(format!("{} {high}", percentile.label()))
                })
                .collect();
            (!known.is_empty()).then(|| format!("{name} {}", known.join(", ")))
        })
        .collect();
    (!told.is_empty()).then(|| {
        format!(
            "Upper bounds (97.5 % confidence, in milliseconds): {}; there is none where samples are too few.",
            told.join("; ")
        )
    })
}

/// The error of this client in this run: how late it sent, what it read together, how busy it was. `None`: no request was
/// sent.
pub(crate) fn client_error(totals: &Totals) -> Option<String> {
    // Where it opens a connection first, or has no free place, the time of that is no lateness of the client.
    let (lag, without) = match totals.times[CLIENT_LAG].samples {
        0 => (&totals.times[DISPATCH_LAG], ""),
        _ => (&totals.times[CLIENT_LAG], ", without waits for connections"),
    };
    let late = fixed(Some(lag.percentile(Percentile::P99)? * 1e3), 3);
    let mut parts = vec![format!("sent {late} ms late (p99{without})")];
    let packages = &totals.packages;
    if packages.output_gaps > 0 {
        let merged = packages.coalesced_output_gaps as f64 / packages.output_gaps as f64;
        parts.push(format!(
            "{} of the chunks read together with another",
            percent(merged)
        ));
    }
    let busiest = totals.client.busy_shares.iter().copied().reduce(f64::max);
    if let Some(busiest) = busiest {
        parts.push(format!(
            "busiest thread at work {} of the time",
            percent(busiest)
        ));
    }
    Some(format!("This client: {}.", parts.join(", ")))
}
