//! The progress line.

use super::text::rounded;
use jiff::Zoned;
use llmuses_core::metric;
use llmuses_stats::RunStatistics;

/// What a progress line says; `None` is printed as `n/a`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Seconds from the first request sent to the last end so far.
    pub time: Option<f64>,
    /// Closed loop: the number of slots. Open loop: requests in flight.
    pub concurrency: u64,
    /// Requests that are over.
    pub completed: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// Those that failed.
    pub failed: u64,
    /// Succeeded requests per second.
    pub qps: Option<f64>,
    /// Mean latency in seconds.
    pub latency: Option<f64>,
    /// Mean time to first token in seconds.
    pub ttft: Option<f64>,
    /// Output tokens per second.
    pub throughput: Option<f64>,
    /// Time by output tokens, in seconds.
    pub time_per_output_token: Option<f64>,
    /// Packages per succeeded request.
    pub packages_per_request: Option<f64>,
    /// Average package latency in seconds.
    pub time_per_package: Option<f64>,
    /// Prompt tokens per succeeded request.
    pub input_tokens: Option<f64>,
    /// Output tokens per succeeded request.
    pub output_tokens: Option<f64>,
}

impl Progress {
    /// The progress of a run. `concurrency`: slots of a closed loop, requests in flight of an open one.
    ///
    /// Cheap: no percentile is in it.
    pub fn of(statistics: &RunStatistics, concurrency: u64) -> Self {
        let counts = statistics.counts();
        Self {
            time: statistics.wall().map(|wall| wall.as_secs_f64()),
            concurrency,
            completed: counts.completed,
            succeeded: counts.succeeded,
            failed: counts.failed,
            qps: statistics.qps(),
            latency: statistics.time(metric::LATENCY).mean_seconds(),
            ttft: statistics.time(metric::TTFT).mean_seconds(),
            throughput: statistics.throughput(),
            time_per_output_token: statistics.average_time_per_output_token(),
            packages_per_request: statistics.packages_per_request(),
            time_per_package: statistics.average_package_latency(),
            input_tokens: counts.prompt.mean(),
            output_tokens: counts.completion.mean(),
        }
    }
}

/// The progress line, without a line end. `now`: local time, for the start of the line.
pub fn progress_line(progress: &Progress, now: &Zoned) -> String {
    let p = progress;
    let at = now.strftime("%Y-%m-%d %H:%M:%S,%3f");
    format!(
        "{at} - perf - INFO - Time: {}, concurrency: {}, completed: {}, succeed: {}, failed: {}, \
         qps: {}, latency: {}, time to first token: {}, \
         throughput(output tokens per second): {}, time per output token: {}, \
         package per request: {}, time per package: {}, \
         input tokens per request: {}, output tokens per request: {}",
        rounded(p.time, 3),
        p.concurrency,
        p.completed,
        p.succeeded,
        p.failed,
        rounded(p.qps, 3),
        rounded(p.latency, 3),
        rounded(p.ttft, 3),
        rounded(p.throughput, 3),
        rounded(p.time_per_output_token, 5),
        rounded(p.packages_per_request, 3),
        rounded(p.time_per_package, 3),
        rounded(p.input_tokens, 3),
        rounded(p.output_tokens, 3),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use jiff::tz::TimeZone;
    use llmuses_stats::Origin;

    fn now() -> Zoned {
        date(2024, 4, 28)
            .at(11, 21, 36, 161_999_999)
            .to_zoned(TimeZone::UTC)
            .unwrap()
    }

    #[test]
    fn a_line_has_the_specified_shape() {
        let progress = Progress {
            time: Some(5.003),
            concurrency: 1,
            completed: 1,
            succeeded: 1,
            failed: 0,
            qps: Some(1.0 / 5.003),
            latency: Some(4.015),
            ttft: Some(0.0031),
            throughput: Some(95.0 / 5.003),
            time_per_output_token: Some(5.003 / 95.0),
            packages_per_request: Some(97.0),
            time_per_package: Some(0.0418),
            input_tokens: Some(16.0),
            output_tokens: Some(95.0),
        };
        assert_eq!(
            progress_line(&progress, &now()),
            "2024-04-28 11:21:36,161 - perf - INFO - Time: 5.003, concurrency: 1, completed: 1, \
             succeed: 1, failed: 0, qps: 0.2, latency: 4.015, time to first token: 0.003, \
             throughput(output tokens per second): 18.989, time per output token: 0.05266, \
             package per request: 97.0, time per package: 0.042, input tokens per request: 16.0, \
             output tokens per request: 95.0"
        );
    }

    #[test]
    fn what_is_not_known_yet_is_said() {
        let progress = Progress::of(&RunStatistics::new(Origin::Sent), 8);
        assert_eq!(
            progress_line(&progress, &now()),
            "2024-04-28 11:21:36,161 - perf - INFO - Time: n/a, concurrency: 8, completed: 0, \
             succeed: 0, failed: 0, qps: n/a, latency: n/a, time to first token: n/a, \
             throughput(output tokens per second): n/a, time per output token: n/a, \
             package per request: n/a, time per package: n/a, input tokens per request: n/a, \
             output tokens per request: n/a"
        );
    }
}
