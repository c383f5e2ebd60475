//! Arguments in, exit code out.

use llmuses::cli::{self, Cli, CommandOutcome, exit_code};
use llmuses_core::clean::printable_lines;
use llmuses_core::redact::Secrets;
use llmuses_observe::terminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

fn main() -> ExitCode {
    llmuses::interrupt::outlive_full_files();
    terminal::tell_panics();
    let cli = match Cli::of_arguments(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let code = catch_unwind(AssertUnwindSafe(|| run(cli)));
    terminal::finish();
    // A panic has told its reason; the code is the one that it has by custom.
    code.unwrap_or(ExitCode::from(EXIT_CODE_PANIC))
}

/// The exit code of a Rust program whose main thread panics.
const EXIT_CODE_PANIC: u8 = 101;

fn run(cli: Cli) -> ExitCode {
    match cli.execute() {
        // What was to be printed is not there in full.
        Ok(CommandOutcome::Done) if terminal::print_failure() => ExitCode::FAILURE,
        Ok(CommandOutcome::Done) => ExitCode::SUCCESS,
        Ok(CommandOutcome::Failed) => ExitCode::FAILURE,
        Err(error) => {
            let text = format!("error: {}", told(&error));
            terminal::say(credentials_of().blank_text(&text));
            ExitCode::from(exit_code(&error))
        }
    }
}

/// Shows what is wrong with the arguments, or the help that they ask for.
fn usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    let secrets = credentials_of();
    let blanked = secrets.blank_text(&text);
    let shown = printable_lines(&blanked);
    if *shown == text {
        // In colour, where the terminal has it.
        error.exit();
    }
    terminal::say(shown);
    terminal::finish();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// What no error repeats.
fn credentials_of() -> Secrets {
    let arguments: Vec<_> = std::env::args_os().collect();
    cli::credentials_of(&arguments)
}

/// An error and its causes, each said once.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let more = cause.to_string();
        if text.contains(&more) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&more);
    }
    let no_thread = error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.raw_os_error() == Some(libc::EAGAIN))
    });
    if no_thread {
        text.push_str("; the number of threads may be limited (`ulimit -u`)");
    }
    text
}
