//! Outputs that are shorter than was asked for, and why they ended.

use super::finish_reasons::FinishReasons;
use llmuses_core::document::AskedLength;
use llmuses_core::wording::{counted, one_line};
use std::fmt;

/// The words of APIs for an answer that a limit ended.
const LIMITS: [&str; 6] = [
    "length",
    "max_tokens",
    "max_output_tokens",
    "model_length",
    "model_context_window_exceeded",
    "incomplete",
];

/// Outputs that are shorter than was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShortOutputs {
    /// How many there are.
    pub requests: u64,
    /// Why they ended, in the words of the API, the most frequent reason first.
    pub reasons: Vec<(String, u64)>,
}

/// What ended most of some outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// A limit of the server.
    Limit,
    /// The model, or a stop string.
    Model,
    /// The server does not tell.
    Unknown,
}

/// Counts such outputs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ShortOutputCounts {
    requests: u64,
    reasons: FinishReasons,
}

impl ShortOutputCounts {
    /// Counts one that ended for this reason.
    pub(super) fn record(&mut self, reason: Option<&str>) {
        self.requests += 1;
        if let Some(reason) = reason {
            self.reasons.record(reason);
        }
    }

    /// Adds those that another process counted.
    pub(super) fn add(&mut self, requests: u64, reasons: &[(String, u64)]) {
        self.requests += requests;
        for (reason, count) in reasons {
            self.reasons.add(reason, *count);
        }
    }

    /// All of them.
    pub(super) fn counted(&self) -> ShortOutputs {
        ShortOutputs {
            requests: self.requests,
            reasons: self.reasons.sorted(),
        }
    }
}

impl ShortOutputs {
    /// Those of lengths in a document.
    pub fn of(lengths: &AskedLength) -> Self {
        Self {
            requests: lengths.shorter,
            reasons: lengths.shorter_by_finish_reason.0.clone(),
        }
    }

    /// What ended most of them.
    pub(super) fn ended_by(&self) -> EndedBy {
        let is_limit = |reason: &str| LIMITS.iter().any(|name| name.eq_ignore_ascii_case(reason));
        let told: u64 = self.reasons.iter().map(|(_, count)| count).sum();
        let by_limit: u64 = self
            .reasons
            .iter()
            .filter(|(reason, _)| is_limit(reason))
            .map(|(_, count)| count)
            .sum();
        match (told, by_limit) {
            (0, _) => EndedBy::Unknown,
            (told, limit) if limit * 2 > told => EndedBy::Limit,
            _ => EndedBy::Model,
        }
    }
}

/// Behind a sentence about lengths; nothing where the server told no reason.
impl fmt::Display for ShortOutputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reasons.is_empty() {
            return Ok(());
        }
        write!(f, "; of {} ", counted(self.requests, "shorter one"))?;
        for (place, (reason, count)) in self.reasons.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{count} ended with {}", one_line(reason, 40))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(reasons: &[Option<&str>]) -> ShortOutputs {
        let mut counts = ShortOutputCounts::default();
        for reason in reasons {
            counts.record(*reason);
        }
        counts.counted()
    }

    #[test]
    fn limits_are_known_in_the_words_of_each_api() {
        for limit in ["length", "max_tokens", "MAX_TOKENS", "max_output_tokens"] {
            assert_eq!(ended(&[Some(limit)]).ended_by(), EndedBy::Limit, "{limit}");
        }
        for end in ["stop", "end_turn", "STOP", "eos_token", "completed"] {
            assert_eq!(ended(&[Some(end)]).ended_by(), EndedBy::Model, "{end}");
        }
        assert_eq!(ended(&[None]).ended_by(), EndedBy::Unknown);
    }

    #[test]
    fn reasons_are_told_with_their_counts() {
        let short = ended(&[Some("length"), Some("stop"), None, Some("stop")]);
        assert_eq!(short.ended_by(), EndedBy::Model);
        assert_eq!(
            short.to_string(),
            "; of 4 shorter ones 2 ended with stop, 1 ended with length"
        );
        assert_eq!(ended(&[None]).to_string(), "");
    }
}
