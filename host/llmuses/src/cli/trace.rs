//! `llmuses trace`: what is in a trace, and traces of runs.

mod describe;
mod entries;
mod make;

pub(super) use make::MakeError;

use super::CommandOutcome;
use clap::{Args, Subcommand};

/// Arguments of `llmuses trace`.
#[derive(Debug, Args)]
pub(super) struct TraceArguments {
    #[command(subcommand)]
    command: TraceCommand,
}

#[derive(Debug, Subcommand)]
enum TraceCommand {
    /// Show what is in a trace: its rate over time, its lengths, and how much of its prompts was sent before.
    Describe(describe::DescribeArguments),
    /// Make a trace without texts of a run or of request bodies with times: when requests went, how long they were, and
    /// which beginnings their prompts shared.
    Make(make::MakeArguments),
}

/// Runs `llmuses trace`.
pub(super) fn execute(arguments: TraceArguments) -> anyhow::Result<CommandOutcome> {
    match arguments.command {
        TraceCommand::Describe(arguments) => describe::execute(arguments),
        TraceCommand::Make(arguments) => make::execute(arguments),
    }
}
