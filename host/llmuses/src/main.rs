//! Arguments in, exit code out.

use clap::Parser;
use llmuses::cli::{Cli, Outcome, exit_code};
use std::process::ExitCode;

fn main() -> ExitCode {
    llmuses::interrupt::outlive_full_files();
    match Cli::parse().execute() {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}
