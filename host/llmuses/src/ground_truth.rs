//! What the mock server says it did, fetched from it and put beside what was measured.

use llmuses_core::document::Percentile;
use llmuses_core::metric;
use llmuses_stats::{RunStatistics, Spread};
use serde::Deserialize;
use std::fmt::Write;
use std::time::Duration;
use url::Url;

/// What the server did since it was last asked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct GroundTruth {
    /// Requests that arrived.
    pub requests: u64,
    /// Answers that were sent to their end.
    pub completed: u64,
    /// From the arrival of a request to the departure of its first token, in seconds.
    pub ttft_seconds: TrueSpread,
    /// From the write of one token to the write of the next, in seconds.
    pub itl_seconds: TrueSpread,
    /// Tokens written.
    pub tokens: u64,
    /// Whose clock the arrivals are of: `kernel` or `read`.
    pub arrival_clock: String,
}

/// Figures of what the server did, in seconds. Absent where it did nothing of the kind.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct TrueSpread {
    /// How many there were.
    pub count: u64,
    /// Their mean.
    pub mean: Option<f64>,
    /// Nearest-rank median.
    pub p50: Option<f64>,
    /// Nearest-rank 99th percentile.
    pub p99: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
}

impl GroundTruth {
    /// Asks the server at `url` what it did since it was last asked.
    ///
    /// # Errors
    /// A text that says why it did not tell.
    pub fn fetch(url: &Url) -> Result<Self, String> {
        llmuses_transport::provide_cryptography();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let body = runtime
            .block_on(async {
                let client = reqwest::Client::builder()
                    .no_proxy()
                    // The mock server vouches for itself.
                    .tls_danger_accept_invalid_certs(true)
                    .timeout(Duration::from_secs(10))
                    .build()?;
                client
                    .get(url.clone())
                    .send()
                    .await?
                    .error_for_status()?
                    .bytes()
                    .await
            })
            .map_err(|error| error.to_string())?;
        serde_json::from_slice(&body).map_err(|error| error.to_string())
    }
}

/// What the server did and what was measured, side by side, with the difference.
pub fn comparison(truth: &GroundTruth, statistics: &RunStatistics) -> String {
    let mut text =
        String::from("\nWhat the server says it did, beside what was measured (milliseconds):\n");
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        " {:<24}{:>12}{:>12}{:>12}",
        "", "server", "measured", "difference"
    );
    for (label, said, measured) in [
        (
            "time to first token",
            &truth.ttft_seconds,
            statistics.time(metric::TTFT),
        ),
        (
            "inter-token latency",
            &truth.itl_seconds,
            statistics.time(metric::ITL),
        ),
    ] {
        for (name, server, client) in rows(said, measured) {
            if let (Some(server), Some(client)) = (server, client) {
                let _ = writeln!(
                    text,
                    " {:<24}{:>12.3}{:>12.3}{:>+12.3}",
                    format!("{label} {name}"),
                    server * 1e3,
                    client * 1e3,
                    (client - server) * 1e3
                );
            }
        }
    }
    let _ = writeln!(
        text,
        " {:<24}{:>12}{:>12}{:>+12}",
        "requests",
        truth.requests,
        statistics.counts().completed,
        i128::from(statistics.counts().completed) - i128::from(truth.requests)
    );
    text
}

type Row = (&'static str, Option<f64>, Option<f64>);

fn rows(said: &TrueSpread, measured: &Spread) -> [Row; 4] {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    [
        ("mean", said.mean, measured.mean_seconds()),
        (
            "p50",
            said.p50,
            seconds(measured.percentile(Percentile::P50)),
        ),
        (
            "p99",
            said.p99,
            seconds(measured.percentile(Percentile::P99)),
        ),
        ("max", said.max, seconds(measured.max())),
    ]
}
