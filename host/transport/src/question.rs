//! One question to a server before the load, with the same TLS settings and headers as the load.

use super::failure::{RequestPhase, classify};
use super::reqwest_transport::plain_client;
use http::HeaderMap;
use llmuses_core::exchange::{Failure, FailureKind};
use llmuses_core::plan::Route;
use std::time::Duration;
use url::Url;

/// The most bytes of an answer that are read.
const MOST_BYTES: usize = 4 << 20;

/// The status and the body that the server answers to a GET of `url`, by the same way as requests. `timeout`: of all of it.
///
/// # Errors
/// Where there is no whole answer, or a longer one than 4 MiB.
pub fn get(
    url: &Url,
    headers: HeaderMap,
    connect_timeout: Duration,
    timeout: Duration,
    route: &Route,
) -> Result<(u16, Vec<u8>), Failure> {
    let not_begun = |error: String| Failure::new(FailureKind::Connect, error);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| not_begun(format!("a thread could not be started: {error}")))?;
    let client =
        plain_client(connect_timeout, route).map_err(|error| not_begun(error.to_string()))?;
    runtime.block_on(async {
        let failed = |stage| {
            move |error: reqwest::Error| match error.is_timeout() && !error.is_connect() {
                true => Failure::new(FailureKind::TimeoutRead, "no answer came in time"),
                false => classify(error, stage),
            }
        };
        let mut response = client
            .get(url.clone())
            .headers(headers)
            .timeout(timeout)
            .send()
            .await
            .map_err(failed(RequestPhase::Head))?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed(RequestPhase::Body))? {
            body.extend_from_slice(&piece);
            if body.len() > MOST_BYTES {
                let message = format!("the response is longer than {} MiB", MOST_BYTES >> 20);
                return Err(Failure::new(FailureKind::Protocol, message));
            }
        }
        Ok((response.status().as_u16(), body))
    })
}
