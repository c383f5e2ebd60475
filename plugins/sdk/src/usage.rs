//! Token counts: those that the server reports, and what takes their place where it does not.

use crate::answer::Counts;
use crate::lenient::{List, Object};
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
    total_tokens: Count,
    prompt_tokens_details: Object<PromptDetails>,
    input_tokens_details: Object<PromptDetails>,
    completion_tokens_details: Object<CompletionDetails>,
    output_tokens_details: Object<CompletionDetails>,
    /// Some report for each of the models that had a part in the answer.
    models: List<Usage>,
}

impl Usage {
    /// Tokens of the answer so far.
    pub(crate) fn completion(&self) -> Option<u64> {
        either(self.completion_tokens, self.output_tokens)
    }
}

/// Of a figure under two names: gateways that send both families may fill in only the one of the API that they imitate.
fn either(one: Count, other: Count) -> Option<u64> {
    one.0.filter(|n| *n > 0).or(other.0).or(one.0)
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

/// The name under which the host looks for tokens that were counted and did not come, so that no time between
/// chunks holds them.
pub(crate) const HIDDEN_REASONING: &str = "hidden_reasoning_tokens";

/// What the responses of one request have told so far.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Which of them carried output, ascending.
    pub(crate) outputs: Vec<u32>,
    /// How many of these bring a summary of the reasoning alone.
    pub(crate) summaries: u64,
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    reasoning: Option<u64>,
}

impl Reading {
    /// Takes over a report of the server. A figure that it has replaces an earlier one: a server that
    /// reports with every chunk reports running totals. They do not fall to zero: where they seem to, the
    /// server has filled in a form.
    pub(crate) fn report(&mut self, usage: &Usage) {
        if let Some(first) = usage.models.as_slice().first() {
            self.report(first);
        }
        let cached = [&usage.prompt_tokens_details, &usage.input_tokens_details];
        let reasoning = [
            &usage.completion_tokens_details,
            &usage.output_tokens_details,
        ];
        let cached = cached
            .into_iter()
            .filter_map(Object::get)
            .find_map(|details| details.cached_tokens.0);
        let reasoning = reasoning
            .into_iter()
            .filter_map(Object::get)
            .find_map(|details| details.reasoning_tokens.0);
        let total = usage.total_tokens.0;
        self.total = total.filter(|n| *n > 0).or(self.total).or(total);
        self.report_counts(Counts {
            prompt: either(usage.prompt_tokens, usage.input_tokens),
            completion: usage.completion(),
            cached,
            reasoning,
        });
    }

    /// The same of counts that are no `usage`.
    pub(crate) fn report_counts(&mut self, counts: Counts) {
        for (known, told) in [
            (&mut self.prompt, counts.prompt),
            (&mut self.completion, counts.completion),
            (&mut self.cached, counts.cached),
            (&mut self.reasoning, counts.reasoning),
        ] {
            *known = told.filter(|n| *n > 0).or(*known).or(told);
        }
    }

    /// The tokens of the answer: all of them, and those that are no reasoning. Where the server counts none of reasoning,
    /// there are no others. xAI counts reasoning apart from the rest, which the total shows.
    fn produced(&self) -> Option<(u64, u64)> {
        let completion = self.completion?;
        let reasoning = self.reasoning.unwrap_or(0);
        let parts = [self.prompt.unwrap_or(0), completion, reasoning];
        let sum = parts.into_iter().try_fold(0_u64, u64::checked_add);
        let is_apart = reasoning > 0 && self.total.is_some() && self.total == sum;
        Some(match is_apart {
            true => (completion.saturating_add(reasoning), completion),
            false if reasoning > completion => (completion, completion),
            false => (completion, completion - reasoning),
        })
    }

    /// Whether reasoning is counted apart from the rest of the answer.
    pub(crate) fn counts_reasoning_apart(&self) -> bool {
        self.produced()
            .is_some_and(|(all, _)| Some(all) != self.completion)
    }

    /// Tokens of reasoning that were counted and did not come, where there were any. `streamed` tells whether
    /// reasoning came.
    pub(crate) fn hidden_reasoning(&self, streamed: impl FnOnce() -> bool) -> Option<u64> {
        let (all, others) = self.produced()?;
        let reasoning = all - others;
        // A chunk holds a token at least, but for the one that a server may split.
        let came = (self.outputs.len() as u64).saturating_sub(self.summaries) > others + 1;
        (reasoning > 0 && !self.outputs.is_empty() && !came && !streamed()).then_some(reasoning)
    }

    /// Ends the reading, `hidden` tokens of which did not come. The texts, one for each message, are only asked for, and counted with `count`, on a
    /// side of which the server said nothing.
    pub(crate) fn finish(
        self,
        hidden: Option<u64>,
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
        let completion = match self.produced() {
            Some((tokens, _)) => Tokens::Usage(tokens),
            None => counted(completion()),
        };
        let metrics = [
            ("cached_tokens", self.cached),
            ("reasoning_tokens", self.reasoning),
            (HIDDEN_REASONING, hidden),
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
