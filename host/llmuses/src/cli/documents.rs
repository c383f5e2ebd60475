//! The flags of the forms in which results are written: one for each of [`RENDERERS`].

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use llmuses_render::forms::RENDERERS;

/// What was given for them.
#[derive(Debug, Clone, Default)]
pub(super) struct DocumentArguments(Vec<(&'static str, Option<String>)>);

impl DocumentArguments {
    /// Each flag with its file.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        self.0.clone().into_iter()
    }
}

impl FromArgMatches for DocumentArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut arguments = Self::default();
        arguments.update_from_arg_matches(matches)?;
        Ok(arguments)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = RENDERERS
            .iter()
            .map(|renderer| (renderer.flag(), matches.get_one(renderer.flag()).cloned()))
            .collect();
        Ok(())
    }
}

impl Args for DocumentArguments {
    fn augment_args(command: Command) -> Command {
        command.args(RENDERERS.iter().map(|renderer| {
            Arg::new(renderer.flag())
                .long(renderer.flag().trim_start_matches("--"))
                .value_name("FILE")
                .help(renderer.help())
                .help_heading("Results")
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
