//! Arguments for the replay of a trace.

use super::PerfArguments;
use super::usage::UsageError;
use crate::cli::values::{count, with_unit};
use clap::Args;
use llmuses_core::plan::Replay;
use std::time::Duration;

/// Arguments for the replay of a trace.
#[derive(Debug, Clone, Args)]
pub(super) struct TraceArguments {
    /// Send each entry of the --dataset when it says, counted from the start of the run, however many are in flight. The
    /// requests of a conversation keep their order: one goes when it is due and the one before it is over.
    #[arg(
        long,
        requires = "dataset",
        conflicts_with_all = ["rate", "parallel", "stages", "duration", "number", "sessions"],
        help_heading = "Load"
    )]
    trace: bool,

    /// Divide the times of the trace by this: 2 is twice as fast as it was recorded.
    #[arg(
        long,
        value_name = "X",
        default_value = "1",
        allow_negative_numbers = true,
        value_parser = speed,
        help_heading = "Load"
    )]
    trace_speed: f64,

    /// Send only the first entries of the trace: a number of them such as 1000, those before a time of the trace such as
    /// 10m, or both (1000,10m).
    #[arg(
        long,
        value_name = "N|TIME",
        value_parser = limit,
        value_delimiter = ',',
        requires = "trace",
        help_heading = "Load"
    )]
    trace_limit: Vec<Limit>,
}

/// Where a trace ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    /// After so many entries.
    Entries(u64),
    /// Before this time of the trace.
    Time(Duration),
}

impl PerfArguments {
    /// How the data set is replayed by its times. `None`: it is not.
    ///
    /// # Errors
    /// What of it cannot be done.
    pub(super) fn replay(&self) -> Result<Option<Replay>, UsageError> {
        let TraceArguments {
            trace,
            trace_speed: speed,
            trace_limit: limits,
        } = &self.trace;
        if !trace {
            return match *speed {
                1.0 => Ok(None),
                _ => Err(UsageError::OnlyTrace {
                    flag: "--trace-speed",
                }),
            };
        }
        // clap does not look where another flag excludes --dataset.
        if self.dataset.is_none() {
            return Err(UsageError::OnlyDataset { flag: "--trace" });
        }
        let mut replay = Replay {
            speed: *speed,
            ..Replay::default()
        };
        for limit in limits {
            let is_first = match limit {
                Limit::Entries(entries) => replay.entries.replace(*entries).is_none(),
                Limit::Time(time) => replay.time.replace(*time).is_none(),
            };
            if !is_first {
                return Err(UsageError::TwoTraceLimits);
            }
        }
        Ok(Some(replay))
    }
}

fn limit(text: &str) -> Result<Limit, String> {
    if let Ok(entries) = count(text) {
        return Ok(Limit::Entries(entries));
    }
    match with_unit(text) {
        Some(time) if !time.is_zero() => Ok(Limit::Time(time)),
        _ => Err("it should be a number of entries such as 1000, or a time such as 10m".to_owned()),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(speed),
        _ => Err("it should be a number above 0, such as 2 for twice as fast".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_a_time() {
        assert_eq!(limit("1000"), Ok(Limit::Entries(1000)));
        assert_eq!(limit("10m"), Ok(Limit::Time(Duration::from_secs(600))));
        assert!(limit("0").is_err() && limit("soon").is_err());
        assert_eq!(speed("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "inf", "fast"] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
    }
}
