//! What a person types. Each subcommand has a file; raw arguments go no further than this room.

mod bounds;
mod calibrate;
mod compare;
mod compile_plugin;
mod completions;
mod config_file;
mod demo;
mod documents;
mod man;
mod merge;
mod mock_server;
mod perf;
mod plugin;
mod report;
mod search;
mod server_process;
mod settings;
mod trace;
mod values;
mod worker;

pub use config_file::ConfigError;
pub use demo::DemoError;
pub use perf::UsageError;
pub use plugin::NewError;
pub use server_process::ServerError;

use crate::run::RunError;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use llmuses_core::redact::Secrets;
use llmuses_mock::MockError;
use llmuses_render::OutputError;
use llmuses_render::compare::CompareError;
use llmuses_store::merge::MergeError;
use llmuses_store::results::ResultsError;
use settings::Settings;
use std::ffi::OsString;
use trace::MakeError;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandOutcome {
    /// Everything was done.
    Done,
    /// The run failed, or was ended before it was complete.
    Failed,
}

/// Load tester for services that serve large language models.
#[derive(Debug, Parser)]
#[command(
    name = "llmuses",
    version,
    about,
    long_about = "Load tester for services that serve large language models. It sends requests to a \
                  chat endpoint and reports throughput, time to first token, time per token, \
                  percentiles and errors. What depends on an API or a data set is a parser: a \
                  sandboxed WebAssembly component, built in or yours."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send requests to an endpoint and report how fast it is.
    Perf(Box<perf::PerfArguments>),
    /// Find the highest load at which a service keeps objectives, as surely as you ask.
    Search(Box<search::SearchArguments>),
    /// Try it: load-test a local server with known timing, with nothing to set up.
    Demo(demo::DemoArguments),
    /// Give the results of a run again, from its database: as text, Markdown, JSON, CSV or HTML.
    Report(report::ReportArguments),
    /// Compare runs with one another: which figures changed, and whether by more than chance.
    Compare(compare::CompareArguments),
    /// Make one database of those of the parts of a load, which several processes sent.
    Merge(merge::MergeArguments),
    /// Send a part of a load for `llmuses perf --on`, which starts it.
    Worker(worker::WorkerArguments),
    /// Show how right the measurements of this machine are, against a server that knows the truth.
    Calibrate(calibrate::CalibrateArguments),
    /// Serve made-up answers with known timing, to check what a load tester measures.
    MockServer(mock_server::MockServerArguments),
    /// List parsers, look into one, or check that one works.
    Plugin(plugin::PluginArguments),
    /// Show what is in a trace: its rate, its lengths, and how much of its prompts was sent before.
    Trace(trace::TraceArguments),
    /// Print what a shell needs to complete commands, flags and their values.
    Completions(completions::CompletionsArguments),
    /// Write the man pages of all commands to a folder.
    Man(man::ManArguments),
    /// Compile a component on standard input; this program calls itself so.
    #[command(hide = true)]
    CompilePlugin(compile_plugin::CompilePluginArguments),
}

impl Cli {
    /// The command of these arguments, of which the first is the program, with the flags of the file of `--config`.
    ///
    /// # Errors
    /// Where they are wrong or ask for help.
    pub fn of_arguments(arguments: impl Iterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = Self::command()
            .mut_subcommand("perf", perf::with_short_help)
            .mut_subcommand("search", search::with_help);
        let arguments = config_file::expanded(arguments.collect(), &command)
            .map_err(|error| command.error(clap::error::ErrorKind::ValueValidation, error))?;
        let mut matches = command.try_get_matches_from_mut(arguments)?;
        let typed = matches.subcommand().and_then(|(name, matches)| {
            let command = command.find_subcommand(name)?;
            Some(Settings::of(command, matches))
        });
        let for_workers = matches
            .subcommand_matches("perf")
            .zip(command.find_subcommand("perf"))
            .map(|(matches, perf)| perf::flags_for_workers(perf, matches));
        let mut cli =
            Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
        match &mut cli.command {
            Command::Perf(arguments) => {
                arguments.note_settings(typed);
                if let Some(typed) = for_workers {
                    arguments.note_given(typed);
                }
            }
            Command::Search(arguments) => arguments.note_settings(typed),
            _ => {}
        }
        Ok(cli)
    }

    /// Carries out the command.
    ///
    /// # Errors
    /// An error that `main` shows; [`exit_code`] says with which code it ends the program.
    pub fn execute(self) -> anyhow::Result<CommandOutcome> {
        match self.command {
            Command::Perf(arguments) => perf::execute(*arguments),
            Command::Search(arguments) => search::execute(&arguments),
            Command::Demo(arguments) => demo::execute(&arguments),
            Command::Report(arguments) => report::execute(&arguments),
            Command::Compare(arguments) => compare::execute(&arguments),
            Command::Merge(arguments) => merge::execute(&arguments),
            Command::Worker(arguments) => worker::execute(&arguments),
            Command::Calibrate(arguments) => calibrate::execute(&arguments),
            Command::MockServer(arguments) => mock_server::execute(arguments),
            Command::Plugin(arguments) => plugin::execute(arguments),
            Command::Trace(arguments) => trace::execute(arguments),
            Command::Completions(arguments) => Ok(completions::execute(&arguments)),
            Command::Man(arguments) => man::execute(&arguments),
            Command::CompilePlugin(arguments) => compile_plugin::execute(&arguments),
        }
    }
}

/// What looks like a credential among these arguments, of which the first is the program, and in the file of `--config`. No
/// error repeats it.
pub fn credentials_of(arguments: &[OsString]) -> Secrets {
    let typed = arguments
        .iter()
        .map(|text| text.to_string_lossy().into_owned());
    Secrets::of_arguments(typed.chain(config_file::members(arguments)))
}

/// The commands that a person uses, for completions and man pages.
fn public_commands() -> clap::Command {
    let all = Cli::command()
        .mut_subcommand("perf", perf::with_help)
        .mut_subcommand("search", search::with_help);
    let public = all
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    clap::Command::new("llmuses")
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .long_about(all.get_long_about().cloned().unwrap_or_default())
        .subcommands(public.cloned())
        .disable_help_subcommand(true)
}

/// The exit code of an error: 2 where the arguments are wrong, 1 for everything else.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let is_usage = error.chain().any(|cause| {
        cause.is::<UsageError>()
            || cause
                .downcast_ref::<NewError>()
                .is_some_and(NewError::is_usage)
            || cause.is::<CompareError>()
            || cause
                .downcast_ref::<ResultsError>()
                .is_some_and(ResultsError::is_usage)
            || cause
                .downcast_ref::<MakeError>()
                .is_some_and(MakeError::is_usage)
            || cause
                .downcast_ref::<MergeError>()
                .is_some_and(MergeError::is_usage)
            || cause
                .downcast_ref::<OutputError>()
                .is_some_and(OutputError::is_usage)
            || cause
                .downcast_ref::<RunError>()
                .is_some_and(RunError::is_usage)
            || cause
                .downcast_ref::<MockError>()
                .is_some_and(MockError::is_usage)
    });
    if is_usage { 2 } else { 1 }
}
