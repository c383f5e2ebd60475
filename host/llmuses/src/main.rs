//! Arguments in, exit code out.

use llmuses::cli::{Cli, Outcome, exit_code};
use llmuses_observe::terminal;
use std::process::ExitCode;

fn main() -> ExitCode {
    llmuses::interrupt::outlive_full_files();
    match Cli::of_process().execute() {
        // What was to be printed is not there in full.
        Ok(Outcome::Done) if terminal::print_failure() => ExitCode::FAILURE,
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Err(error) => {
            terminal::say(format!("error: {error:#}"));
            ExitCode::from(exit_code(&error))
        }
    }
}
