//! Arguments for runs of the same load.

use crate::cli::values::duration;
use clap::Args;
use std::time::Duration;

/// Arguments for runs of the same load.
#[derive(Debug, Clone, Args)]
pub(super) struct RepeatArguments {
    /// Run each load so many times, each time with other arrival times, and report the mean over the runs with its 95 %
    /// confidence interval and how much runs differ.
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(2..=1000),
        help_heading = "Load"
    )]
    pub(super) repeat: Option<u32>,

    /// Time without requests between one run and the next, of --repeat and of several loads [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Load")]
    pub(super) cool_down: Option<Duration>,
}
