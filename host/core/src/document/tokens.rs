//! Tokens: how many there were, and how many were asked for.

use super::named::Named;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// Of prompts.
    pub input: TokenFigures,
    /// Of answers.
    pub output: TokenFigures,
    /// Reasoning that the server counted and did not send; in no time per output token.
    #[serde(default)]
    pub output_counted_but_not_sent: u64,
    /// Wall / output tokens.
    pub average_seconds_per_output_token: Option<f64>,
}

/// The tokens of one side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokenFigures {
    /// In all.
    pub tokens: Option<u64>,
    /// The mean.
    pub per_request: Option<f64>,
    /// Requests whose tokens are known.
    pub requests_known: u64,
    /// Who counted, for how many requests.
    pub requests_by_source: TokensBySource,
    /// The fewest.
    pub min: Option<u64>,
    /// The most.
    pub max: Option<u64>,
    /// The median.
    pub p50: Option<u64>,
    /// The 90th percentile.
    pub p90: Option<u64>,
    /// The 99th percentile.
    pub p99: Option<u64>,
    /// Bars of equal width.
    pub bars: Vec<LengthBar>,
}

/// Who counted tokens, for how many requests; absent: for none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokensBySource {
    /// The server.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub server: u64,
    /// The tokenizer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokenizer: u64,
    /// The parser.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub parser: u64,
}

impl CachedTokens {
    /// The tokens to be expected on average, for a person: one number, or a range.
    pub fn expected(&self) -> String {
        let [least, most] = [self.mean_predicted_tokens, self.mean_possible_tokens];
        match most - least >= 0.05 {
            true => format!("{least:.1} to {most:.1}"),
            false => format!("{least:.1}"),
        }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How many requests had `from` to `to` tokens, both included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LengthBar {
    /// The fewest tokens.
    pub from: u64,
    /// The most tokens.
    pub to: u64,
    /// Requests.
    pub requests: u64,
}

/// Lengths that were asked for beside what the server counted, of the measured requests that succeeded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AskedLengths {
    /// Of prompts of first turns, the chat template included.
    pub input: AskedLength,
    /// Of outputs.
    pub output: AskedLength,
    /// Of prompts of later turns of sessions: asked for is what the server counted of the prompt before and of its output,
    /// without reasoning, with the length of the new message.
    #[serde(default)]
    pub later_input: AskedLength,
    /// Prompts of later turns that are not among those: the reply before had reasoning or calls of tools, and the server did
    /// not count its reasoning.
    #[serde(default)]
    pub later_input_not_judged: u64,
    /// How the lengths of prompts are known where there was no tokenizer; null where there was one.
    #[serde(default)]
    pub learned: Option<LearnedLengths>,
    /// Tokens of prompts in the server's prefix cache; null where it reports none.
    #[serde(default)]
    pub cached: Option<CachedTokens>,
}

/// Tokens of prompts that a server with a prefix cache has already computed: predicted and reported, of the measured
/// requests of which it reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CachedTokens {
    /// Requests of which the server reports cached tokens. Those after the first 4,000,000 pieces of prompts are left out.
    pub requests: u64,
    /// Mean of the predicted tokens: those of the prefix of each prompt that was sent after the server had read another one
    /// with that prefix, as its first output shows; of a trace, those of the leading blocks of such a prompt.
    pub mean_predicted_tokens: f64,
    /// The same with the prompts that were sent while the first one with their prefix was being read: some servers have
    /// blocks in their cache as soon as they begin to compute them.
    #[serde(default)]
    pub mean_possible_tokens: f64,
    /// Mean of the reported tokens.
    pub mean_reported_tokens: f64,
    /// Mean of the tokens of these prompts; null where some were not counted.
    #[serde(default)]
    pub mean_prompt_tokens: Option<f64>,
    /// By how much the means may differ: a server caches whole blocks, and its chat template too.
    pub tolerance_tokens: f64,
}

/// The straight line through what the server counted for a few prompts before the run:
/// `tokens = tokens_around + tokens_per_word · words`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LearnedLengths {
    /// Prompts that were counted.
    pub probes: u64,
    /// Tokens of a prompt without words: those of the chat template.
    pub tokens_around: f64,
    /// Tokens of a word.
    pub tokens_per_word: f64,
    /// The largest difference of one of these prompts from the line.
    pub worst_difference_tokens: f64,
}

/// A length that was asked for beside what the server counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AskedLength {
    /// Requests of which the length was asked for and counted by the server.
    pub requests: u64,
    /// Those with another length: of a prompt by any number of tokens, or by more than 1 % where lengths were
    /// learned from the server; of the prompt of a later turn by more than 16 tokens and 5 % of what it adds; of an output
    /// by more than 5 % or 50 tokens.
    pub different: u64,
    /// Mean of what was asked for.
    pub mean_asked_tokens: Option<f64>,
    /// Mean of what was counted.
    pub mean_counted_tokens: Option<f64>,
    /// The largest difference, counted − asked.
    pub worst_difference_tokens: i64,
    /// Those of `different` that are shorter.
    #[serde(default)]
    pub shorter: u64,
    /// Of outputs, why the shorter ones ended, in the words of the API; where the server does not tell, none is here.
    #[serde(default)]
    pub shorter_by_finish_reason: Named<u64>,
}
