//! Arguments for sessions of several turns.

use super::usage::UsageError;
use crate::cli::values::count;
use clap::Args;
use llmuses_core::lengths::NumberDistribution;
use llmuses_core::plan::{PromptSource, Sessions};
use llmuses_core::think_time::ThinkTime;

/// Arguments for sessions.
#[derive(Debug, Clone, Args)]
pub(super) struct SessionArguments {
    /// Turns of each session: requests, each of which has all that was said before it, the replies of the server included
    /// (--prompt is said in each turn, --input-tokens is the length of each new message). A number, or a distribution as
    /// for --input-tokens. A conversation of a data set has its own.
    #[arg(
        long,
        value_name = "N|DIST",
        conflicts_with = "dataset",
        help_heading = "Prompts"
    )]
    turns: Option<NumberDistribution>,

    /// Time between the end of a turn and the next one: a time such as 200ms, uniform:1s..5s, normal:MEAN,DEVIATION,
    /// lognormal:MEAN,DEVIATION or exponential:MEAN [default: as the data set says, else none]
    #[arg(long, value_name = "TIME|DIST", help_heading = "Prompts")]
    think_time: Option<ThinkTime>,

    /// Give later turns of a data set the replies that it recorded, in place of those of the server.
    #[arg(long, requires = "dataset", help_heading = "Prompts")]
    recorded_replies: bool,

    /// Sessions to begin, as -n counts requests; a conversation of a data set is a session. With both, the run ends with
    /// whichever is reached first.
    #[arg(
        id = "sessions",
        long = "sessions",
        visible_alias = "num-conversations",
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = count,
        help_heading = "Load"
    )]
    pub(super) number: Option<u64>,
}

impl SessionArguments {
    /// Whether sessions of several turns are to be made.
    pub(super) fn has_turns(&self) -> bool {
        self.turns.is_some()
    }

    /// How sessions go.
    ///
    /// # Errors
    /// Where there are no sessions of several turns to which it could apply.
    pub(super) fn plan(&self, prompts: &PromptSource) -> Result<Sessions, UsageError> {
        let has_turns = self.has_turns() || matches!(prompts, PromptSource::Dataset(_));
        if self.think_time.is_some() && !has_turns {
            return Err(UsageError::NoTurns);
        }
        // clap does not look where another flag excludes --dataset.
        if self.recorded_replies && !matches!(prompts, PromptSource::Dataset(_)) {
            let flag = "--recorded-replies";
            return Err(UsageError::OnlyDataset { flag });
        }
        Ok(Sessions {
            turns: self.turns,
            think_time: self.think_time.clone(),
            recorded_replies: self.recorded_replies,
        })
    }
}
