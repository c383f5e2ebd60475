//! The answer of `GET /truth`: what the server remembers, reckoned up.
//!
//! It tells what happened since the last call, and the memory begins anew (`?times=false` leaves the list of
//! arrivals out):
//!
//! | field | is |
//! |---|---|
//! | `requests` | requests for an answer that were received whole |
//! | `completed`, `errors`, `aborted` | how they ended: answered to the last byte, answered with an error status, left by the client |
//! | `in_flight` | requests that are being answered now |
//! | `arrival_clock` | `kernel` where the kernel stamped the arrival of every request, else `read` |
//! | `arrivals_read` | how many arrivals the kernel did not stamp |
//! | `departures_read` | how many first tokens the kernel did not stamp as they left: their time is that just before the write |
//! | `ttft_seconds` | from the arrival to the departure of the first token, streams only; the wait for a slot is part of it |
//! | `first_answer_seconds` | the same to the first token that is not reasoning |
//! | `queue_seconds` | from the arrival to the slot, of every request that got one |
//! | `itl_seconds` | from just before the write of a token to just before that of the next one; zero within one write |
//! | `first_write_seconds` | from the arrival to just before the first write of anything: a role, a plain answer, an error; of a first token as above |
//! | `arrivals` | when requests arrived (seconds since 1970, in order) and the gaps between them |
//! | `tokens` | tokens written in streams and in plain answers |
//! | `prompt_tokens`, `cached_tokens` | tokens of the prompts of requests that got a slot, and those of them that were in the prefix cache |
//! | `connections` | connections accepted |
//! | `samples_dropped` | times that found no room |
//! | `log_lines_lost` | lines of `--log` that could not be written, since the start |
//!
//! Each distribution is `{"count", "mean", "p50", "p99", "max"}` in seconds, percentiles by nearest rank, null
//! without samples. A request that is under way while the report is made is counted on both sides of it: its arrival and
//! early tokens before, the rest and its end after.

use serde::Serialize;

use super::truth::Window;

/// The answer of `GET /truth`: see the top of this file.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    requests: u64,
    completed: u64,
    errors: u64,
    aborted: u64,
    in_flight: u64,
    arrival_clock: &'static str,
    arrivals_read: u64,
    departures_read: u64,
    ttft_seconds: Distribution,
    first_answer_seconds: Distribution,
    queue_seconds: Distribution,
    itl_seconds: Distribution,
    first_write_seconds: Distribution,
    arrivals: Arrivals,
    tokens: u64,
    prompt_tokens: u64,
    cached_tokens: u64,
    connections: u64,
    samples_dropped: u64,
    log_lines_lost: u64,
}

impl Report {
    /// Reckons up what happened; `start` is [`super::truth::Truth::start_unix`].
    pub(super) fn new(
        window: Window,
        in_flight: u64,
        log_lines_lost: u64,
        start: f64,
        times: bool,
    ) -> Self {
        Self {
            requests: window.requests,
            completed: window.completed,
            errors: window.errors,
            aborted: window.aborted,
            in_flight,
            arrival_clock: match window.arrivals_read {
                0 => "kernel",
                _ => "read",
            },
            arrivals_read: window.arrivals_read,
            departures_read: window.departures_read,
            ttft_seconds: Distribution::new(window.ttft.kept),
            first_answer_seconds: Distribution::new(window.first_answer.kept),
            queue_seconds: Distribution::new(window.queue.kept),
            itl_seconds: Distribution::new(window.itl.kept),
            first_write_seconds: Distribution::new(window.first_write.kept),
            arrivals: Arrivals::new(window.arrivals.kept, start, times),
            tokens: window.tokens,
            prompt_tokens: window.prompt_tokens,
            cached_tokens: window.cached_tokens,
            connections: window.connections,
            samples_dropped: window.dropped,
            log_lines_lost,
        }
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// A distribution of times, in seconds.
#[derive(Debug, Default, Serialize)]
struct Distribution {
    count: usize,
    mean: Option<f64>,
    p50: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

impl Distribution {
    fn new(mut nanos: Vec<u64>) -> Self {
        let count = nanos.len();
        if count == 0 {
            return Self::default();
        }
        let sum: f64 = nanos.iter().map(|nanos| *nanos as f64).sum();
        let mut percentile = |percent: usize| {
            // The smallest sample that at least so many percent do not exceed.
            let rank = (count * percent).div_ceil(100).max(1);
            seconds(*nanos.select_nth_unstable(rank - 1).1)
        };
        Self {
            count,
            mean: Some(sum / count as f64 / 1e9),
            p50: Some(percentile(50)),
            p99: Some(percentile(99)),
            max: Some(percentile(100)),
        }
    }
}

/// The arrivals of requests.
#[derive(Debug, Serialize)]
struct Arrivals {
    count: usize,
    first_unix: Option<f64>,
    /// Of the gaps between one arrival and the next, in seconds.
    gap_mean: Option<f64>,
    /// The same; of a sample (divided by one less than the number of gaps).
    gap_standard_deviation: Option<f64>,
    unix_times: Vec<f64>,
}

impl Arrivals {
    fn new(mut nanos: Vec<u64>, start: f64, times: bool) -> Self {
        // Requests are noted when they have been read, which may be in another order.
        nanos.sort_unstable();
        let gaps = || nanos.windows(2).map(|pair| seconds(pair[1] - pair[0]));
        let count = nanos.len().saturating_sub(1) as f64;
        let mean = gaps().sum::<f64>() / count;
        let squares: f64 = gaps().map(|gap| (gap - mean).powi(2)).sum();
        let unix = |nanos: &u64| start + seconds(*nanos);
        Self {
            count: nanos.len(),
            first_unix: nanos.first().map(unix),
            gap_mean: (count >= 1.0).then_some(mean),
            gap_standard_deviation: (count >= 2.0).then(|| (squares / (count - 1.0)).sqrt()),
            unix_times: match times {
                true => nanos.iter().map(unix).collect(),
                false => Vec::new(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let of = |nanos: &[u64]| {
            let d = Distribution::new(nanos.iter().map(|n| n * 1_000_000_000).collect());
            [d.mean, d.p50, d.p99, d.max].map(Option::unwrap_or_default)
        };
        assert_eq!(of(&[3, 1, 2, 4]), [2.5, 2.0, 4.0, 4.0]);
        assert_eq!(of(&[5]), [5.0; 4]);
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(of(&hundred), [50.5, 50.0, 99.0, 100.0]);
        assert_eq!(Distribution::new(Vec::new()).p50, None);
    }

    #[test]
    fn gaps_between_arrivals_are_described() {
        let arrivals = Arrivals::new(
            vec![3_000_000_000, 0, 1_000_000_000, 6_000_000_000],
            100.0,
            true,
        );
        assert_eq!(arrivals.unix_times, [100.0, 101.0, 103.0, 106.0]);
        assert_eq!(arrivals.first_unix, Some(100.0));
        assert_eq!(arrivals.gap_mean, Some(2.0));
        assert_eq!(arrivals.gap_standard_deviation, Some(1.0));
        let single = Arrivals::new(vec![5], 100.0, false);
        assert_eq!((single.gap_mean, single.unix_times.len()), (None, 0));
    }
}
