//! `llmuses compile-plugin`: what the child process runs in which a component from a file is compiled.
//! Not for people.

use super::CommandOutcome;
use clap::Args;
use llmuses_plugin_host::{REFUSED_EXIT_CODE, compile_as_child};

/// Arguments of `llmuses compile-plugin`.
#[derive(Debug, Args)]
pub(super) struct CompilePluginArguments {
    /// The process that started this one, and with which it ends.
    #[arg(long)]
    parent: u32,

    /// Memory that may be taken, in bytes.
    #[arg(long)]
    memory_bytes: u64,

    /// Processor time that may be taken, in seconds.
    #[arg(long)]
    seconds: u64,
}

/// Runs `llmuses compile-plugin`.
pub(super) fn execute(arguments: &CompilePluginArguments) -> anyhow::Result<CommandOutcome> {
    if let Err(reason) =
        compile_as_child(arguments.parent, arguments.memory_bytes, arguments.seconds)
    {
        llmuses_observe::terminal::say(reason);
        llmuses_observe::terminal::finish();
        std::process::exit(REFUSED_EXIT_CODE.into());
    }
    Ok(CommandOutcome::Done)
}
