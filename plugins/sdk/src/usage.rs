//! Token counts: those that the server reports, and what takes their place where it does not.

use crate::{Summary, Tokens};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A number of things, or nothing where something else stands in its place.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Count(pub(crate) Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor).map(Count)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of tokens")
    }

    fn visit_u64<E>(self, count: u64) -> Result<Self::Value, E> {
        Ok(Some(count))
    }

    fn visit_i64<E>(self, count: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(count).ok())
    }

    fn visit_f64<E>(self, count: f64) -> Result<Self::Value, E> {
        // Some servers write 12.0. The bound is where floats stop telling integers apart.
        let whole = count.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&count);
        Ok(whole.then_some(count as u64))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// What servers report as `usage`, under either family of names.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Usage {
    prompt_tokens: Count,
    input_tokens: Count,
    completion_tokens: Count,
    output_tokens: Count,
    prompt_tokens_details: Option<PromptDetails>,
    input_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    output_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Count,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Count,
}

/// What the responses of one request have told so far.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Which of them carried output, ascending.
    pub(crate) outputs: Vec<u32>,
    prompt: Option<u64>,
    completion: Option<u64>,
    cached: Option<u64>,
    reasoning: Option<u64>,
}

impl Reading {
    /// Takes over a report of the server. A figure that it has replaces an earlier one: a server that
    /// reports with every chunk reports running totals.
    pub(crate) fn report(&mut self, usage: Usage) {
        let cached = [usage.prompt_tokens_details, usage.input_tokens_details];
        let reasoning = [usage.completion_tokens_details, usage.output_tokens_details];
        let cached = cached
            .into_iter()
            .flatten()
            .find_map(|details| details.cached_tokens.0);
        let reasoning = reasoning
            .into_iter()
            .flatten()
            .find_map(|details| details.reasoning_tokens.0);
        // Gateways that send both families may fill in only the one of the API that they imitate.
        let prompt = usage.prompt_tokens.0.or(usage.input_tokens.0);
        let completion = usage.completion_tokens.0.or(usage.output_tokens.0);
        self.prompt = prompt.or(self.prompt);
        self.completion = completion.or(self.completion);
        self.cached = cached.or(self.cached);
        self.reasoning = reasoning.or(self.reasoning);
    }

    /// Ends the reading. The texts, one for each message, are only asked for, and counted with `count`, on a
    /// side of which the server said nothing.
    pub(crate) fn finish(
        self,
        prompt: impl FnOnce() -> Option<Vec<String>>,
        completion: impl FnOnce() -> Vec<String>,
        count: impl Fn(&str) -> Option<u64>,
    ) -> Summary {
        // Message by message, since no token reaches over the end of one.
        let counted = |texts: Vec<String>| {
            let sum = texts
                .iter()
                .try_fold(0_u64, |sum, text| Some(sum.saturating_add(count(text)?)));
            sum.map_or(Tokens::Unknown, Tokens::Tokenizer)
        };
        let prompt = match self.prompt {
            Some(tokens) => Tokens::Usage(tokens),
            None => prompt().map_or(Tokens::Unknown, counted),
        };
        let completion = match self.completion {
            Some(tokens) => Tokens::Usage(tokens),
            None => counted(completion()),
        };
        let metrics = [
            ("cached_tokens", self.cached),
            ("reasoning_tokens", self.reasoning),
        ];
        let summary = Summary::new(prompt, completion).outputs(self.outputs);
        metrics
            .into_iter()
            .fold(summary, |summary, (name, value)| match value {
                Some(value) => summary.metric(name, value as f64),
                None => summary,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_count() {
        let count = |json: &str| {
            serde_json::from_str::<Count>(json)
                .map(|count| count.0)
                .expect("valid JSON")
        };
        assert_eq!(count("12"), Some(12));
        assert_eq!(count("12.0"), Some(12));
        for other in [
            "-1",
            "1.5",
            "1e300",
            "null",
            "true",
            "\"12\"",
            "[1]",
            "{\"a\":1}",
        ] {
            assert_eq!(count(other), None, "{other}");
        }
    }
}
