//! `llmuses completions`: a script for a shell.

use super::{CommandOutcome, public_commands};
use clap::Args;
use clap_complete::{Shell, generate};
use llmuses_observe::terminal::print;

/// Arguments of `llmuses completions`.
#[derive(Debug, Args)]
#[command(
    after_help = "For bash: llmuses completions bash > ~/.local/share/bash-completion/completions/llmuses\n\
                  For zsh, in a folder of $fpath: llmuses completions zsh > _llmuses\n\
                  For fish: llmuses completions fish > ~/.config/fish/completions/llmuses.fish"
)]
pub(super) struct CompletionsArguments {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Runs `llmuses completions`.
pub(super) fn execute(arguments: &CompletionsArguments) -> CommandOutcome {
    let mut script = Vec::new();
    generate(
        arguments.shell,
        &mut public_commands(),
        "llmuses",
        &mut script,
    );
    print(String::from_utf8_lossy(&script));
    CommandOutcome::Done
}
