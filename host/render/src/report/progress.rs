//! The progress line.

use crate::digits::rounded;
use jiff::Zoned;
use llmuses_core::metric::{
    Figure, INPUT_TOKENS, OUTPUT_TOKENS, PACKAGES, QPS, Sums, THROUGHPUT, TIME_PER_TOKEN,
};

/// What a progress line says; `None` is printed as `n/a`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// Sums over the requests so far.
    pub sums: Sums,
    /// Closed loop: the number of slots. Open loop: requests in flight.
    pub concurrency: u64,
    /// Mean latency in seconds.
    pub latency: Option<f64>,
    /// Mean time to first token in seconds.
    pub ttft: Option<f64>,
    /// Average package latency in seconds.
    pub time_per_package: Option<f64>,
}

/// A number of a progress line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ProgressNumber {
    /// A count.
    Count(u64),
    /// A figure, and its decimals in a line.
    Figure(Option<f64>, usize),
}

impl Progress {
    /// The numbers of a line with their names, which other programs read.
    pub fn numbers(&self) -> [(&'static str, ProgressNumber); 14] {
        let figure =
            |figure: Figure, decimals| ProgressNumber::Figure(figure.of(&self.sums), decimals);
        let Sums {
            wall_seconds,
            completed,
            succeeded,
            failed,
            ..
        } = self.sums;
        [
            ("Time", ProgressNumber::Figure(wall_seconds, 3)),
            ("concurrency", ProgressNumber::Count(self.concurrency)),
            ("completed", ProgressNumber::Count(completed)),
            ("succeed", ProgressNumber::Count(succeeded)),
            ("failed", ProgressNumber::Count(failed)),
            ("qps", figure(QPS, 3)),
            ("latency", ProgressNumber::Figure(self.latency, 3)),
            ("time to first token", ProgressNumber::Figure(self.ttft, 3)),
            (
                "throughput(output tokens per second)",
                figure(THROUGHPUT, 3),
            ),
            ("time per output token", figure(TIME_PER_TOKEN, 5)),
            ("package per request", figure(PACKAGES, 3)),
            (
                "time per package",
                ProgressNumber::Figure(self.time_per_package, 3),
            ),
            ("input tokens per request", figure(INPUT_TOKENS, 3)),
            ("output tokens per request", figure(OUTPUT_TOKENS, 3)),
        ]
    }
}

/// The progress line, without a line end. `now`: local time, for the start of the line.
pub fn progress_line(progress: &Progress, now: &Zoned) -> String {
    let at = now.strftime("%Y-%m-%d %H:%M:%S,%3f");
    let numbers = progress.numbers().map(|(name, number)| match number {
        ProgressNumber::Count(count) => format!("{name}: {count}"),
        ProgressNumber::Figure(figure, decimals) => {
            format!("{name}: {}", rounded(figure, decimals))
        }
    });
    format!("{at} - perf - INFO - {}", numbers.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    fn now() -> Zoned {
        date(2024, 4, 28)
            .at(11, 21, 36, 161_999_999)
            .to_zoned(TimeZone::UTC)
            .unwrap()
    }

    #[test]
    fn a_line_has_the_specified_shape() {
        let progress = Progress {
            sums: Sums {
                wall_seconds: Some(5.003),
                completed: 1,
                succeeded: 1,
                packages: 97,
                input_tokens: Some(16.0),
                input_known: 1,
                output_tokens: Some(95.0),
                output_known: 1,
                ..Sums::default()
            },
            concurrency: 1,
            latency: Some(4.015),
            ttft: Some(0.0031),
            time_per_package: Some(0.0418),
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
        let progress = Progress {
            concurrency: 8,
            ..Progress::default()
        };
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
