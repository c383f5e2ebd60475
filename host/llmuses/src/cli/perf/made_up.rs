//! Arguments for prompts that are made up.

use super::usage::UsageError;
use clap::Args;
use llmuses_core::lengths::{Lengths, NumberDistribution};
use llmuses_core::plan::{Generated, Prefixes, Share};
use std::path::PathBuf;

/// Arguments for prompts of a given length.
#[derive(Debug, Clone, Args)]
pub(super) struct MadeUpArguments {
    /// Make prompts of exactly this many tokens, the chat template included, counted by --tokenizer-path, or within 1 %
    /// without it, as a few short requests before the run tell: a number such as 1024, uniform:100..2000, normal:MEAN,DEVIATION, lognormal:MEAN,DEVIATION, exponential:MEAN, poisson:MEAN,
    /// zipf:EXPONENT,LONGEST, or a mix such as 70%:200/50,30%:8000/300 (input/output). Another seed gives other prompts.
    #[arg(
        long,
        value_name = "N|DIST",
        conflicts_with_all = ["prompt", "dataset"],
        help_heading = "Prompts"
    )]
    input_tokens: Option<Lengths>,

    /// Ask for outputs of exactly this many tokens (max_completion_tokens, min_tokens and ignore_eos for openai_chat), as
    /// for --input-tokens.
    #[arg(
        long,
        value_name = "N|DIST",
        requires = "input_tokens",
        help_heading = "Prompts"
    )]
    output_tokens: Option<NumberDistribution>,

    /// Take pieces of this text as prompts, in place of words at random.
    #[arg(
        long,
        value_name = "FILE",
        requires = "input_tokens",
        help_heading = "Prompts"
    )]
    text: Option<PathBuf>,

    /// Send prompts as the ids of their tokens in place of their text, for openai_completions, openai_embeddings and sglang:
    /// the server has no text to split into other tokens. Needs --tokenizer-path.
    #[arg(
        long,
        requires_all = ["input_tokens", "tokenizer_path"],
        conflicts_with = "turns",
        help_heading = "Prompts"
    )]
    send_token_ids: bool,

    /// Begin each prompt with one of --prefixes texts of this many tokens. They are part of --input-tokens.
    #[arg(
        long,
        value_name = "N",
        requires = "input_tokens",
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Prompts"
    )]
    prefix_tokens: Option<u32>,

    /// Share of the tokens of each prompt that are its prefix, such as 0.6, in place of --prefix-tokens.
    #[arg(
        long,
        value_name = "SHARE",
        requires = "input_tokens",
        conflicts_with = "prefix_tokens",
        value_parser = crate::cli::values::share,
        help_heading = "Prompts"
    )]
    cache_hit: Option<f64>,

    /// Number of different prefixes [default: 1]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Prompts"
    )]
    prefixes: Option<u32>,

    /// How prefixes are chosen: zipf:EXPONENT, the first ones most often [default: each as often as any other]
    #[arg(long, value_name = "zipf:EXPONENT", value_parser = zipf, help_heading = "Prompts")]
    prefix_share: Option<f64>,
}

impl MadeUpArguments {
    /// A flag that only made-up prompts have a use for. (clap does not look where another flag excludes --input-tokens.)
    fn needs_input_tokens(&self) -> Option<&'static str> {
        [
            ("--output-tokens", self.output_tokens.is_some()),
            ("--text", self.text.is_some()),
            ("--send-token-ids", self.send_token_ids),
            ("--prefix-tokens", self.prefix_tokens.is_some()),
            ("--cache-hit", self.cache_hit.is_some()),
        ]
        .into_iter()
        .find_map(|(flag, is_given)| is_given.then_some(flag))
    }

    /// The prompts to be made. `None`: none are to be made.
    ///
    /// # Errors
    /// What of it contradicts itself.
    pub(super) fn generated(&self) -> Result<Option<Generated>, UsageError> {
        let share = match (self.prefix_tokens, self.cache_hit) {
            (Some(tokens), _) => Some(Share::Tokens(tokens)),
            (None, part) => part.map(Share::Part),
        };
        if share.is_none() && (self.prefixes.is_some() || self.prefix_share.is_some()) {
            return Err(UsageError::PrefixLength);
        }
        let Some(input) = self.input_tokens.clone() else {
            return match self.needs_input_tokens() {
                Some(flag) => Err(UsageError::OnlyMadeUp { flag }),
                None => Ok(None),
            };
        };
        if input.has_outputs() && self.output_tokens.is_some() {
            return Err(UsageError::TwoOutputs);
        }
        if let Some(tokens) = self.prefix_tokens
            && tokens >= input.shortest()
            && input.shortest() == input.longest()
        {
            return Err(UsageError::LongPrefix {
                tokens,
                prompt: input.longest(),
            });
        }
        Ok(Some(Generated {
            input,
            output: self.output_tokens,
            prefixes: share.map(|share| Prefixes {
                share,
                number: self.prefixes.unwrap_or(1),
                exponent: self.prefix_share.unwrap_or(0.0),
            }),
            text: self.text.clone(),
            as_token_ids: self.send_token_ids,
        }))
    }
}

fn zipf(text: &str) -> Result<f64, String> {
    let exponent = text
        .strip_prefix("zipf:")
        .and_then(|text| text.parse().ok());
    exponent
        .filter(|exponent: &f64| exponent.is_finite() && *exponent > 0.0)
        .ok_or_else(|| "it takes zipf: and an exponent above 0, such as zipf:1.2".to_owned())
}
