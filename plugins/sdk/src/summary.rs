//! What a plugin found in one response, and where it has its token counts from.

use crate::Value;
use crate::bindings::api::llmuses::perf::types as second;
use crate::bindings::first::llmuses::perf::types as first;

/// A number of tokens, and who counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tokens {
    /// The server said so in the response.
    Usage(u64),
    /// The tokenizer counted them.
    Tokenizer(u64),
    /// The parser counted them in a way of its own.
    Parser(u64),
    /// Nobody counted. The host leaves such a figure out rather than showing a zero.
    #[default]
    Unknown,
}

impl From<Tokens> for Option<first::TokenCount> {
    fn from(tokens: Tokens) -> Self {
        let (tokens, source) = match tokens {
            Tokens::Unknown => return None,
            Tokens::Usage(count) => (count, first::TokenSource::Server),
            Tokens::Tokenizer(count) => (count, first::TokenSource::Tokenizer),
            Tokens::Parser(count) => (count, first::TokenSource::Parser),
        };
        Some(first::TokenCount { tokens, source })
    }
}

impl From<Tokens> for Option<second::TokenCount> {
    fn from(tokens: Tokens) -> Self {
        let (tokens, source) = match tokens {
            Tokens::Unknown => return None,
            Tokens::Usage(count) => (count, second::TokenSource::Server),
            Tokens::Tokenizer(count) => (count, second::TokenSource::Tokenizer),
            Tokens::Parser(count) => (count, second::TokenSource::Plugin),
        };
        Some(second::TokenCount { tokens, source })
    }
}

/// What was found in one finished response.
///
/// ```
/// use llmuses_plugin::{Summary, Tokens};
///
/// let summary = Summary::new(Tokens::Usage(12), Tokens::Unknown)
///     .output(1)
///     .output(2)
///     .metric("cached_tokens", 4.0);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    prompt: Tokens,
    completion: Tokens,
    outputs: Option<Vec<u32>>,
    answers: Option<Vec<u32>>,
    tokens_so_far: Option<Vec<u32>>,
    finish_reason: Option<String>,
    pub(crate) reply: Option<String>,
    metrics: Vec<(String, f64)>,
}

impl Summary {
    /// Begins with the tokens of the prompt, and with those that the model produced, reasoning included.
    pub fn new(prompt: Tokens, completion: Tokens) -> Self {
        Self {
            prompt,
            completion,
            ..Self::default()
        }
    }

    /// The tokens of the prompt, and those that the model produced, where they are known only later.
    pub fn tokens(mut self, prompt: Tokens, completion: Tokens) -> Self {
        (self.prompt, self.completion) = (prompt, completion);
        self
    }

    /// Adds the index of a response that carried something the model produced, unless it is there; one of a plain
    /// response may carry several parts. `is_answer`: a part of it is of the answer.
    pub fn once(mut self, index: u32, is_answer: bool) -> Self {
        let add = |indices: &mut Option<Vec<u32>>| {
            let indices = indices.get_or_insert_default();
            if indices.last() != Some(&index) {
                indices.push(index);
            }
        };
        add(&mut self.outputs);
        if is_answer {
            add(&mut self.answers);
        }
        self
    }

    /// Adds the index of a response that carried something the model produced: text, reasoning or a part of
    /// a tool call. Indices count from 0 and are added in ascending order. The time to first token is that
    /// of the first. Without a call of this or of [`Self::outputs`], the host takes every response for output.
    pub fn output(mut self, index: u32) -> Self {
        self.outputs.get_or_insert_default().push(index);
        self
    }

    /// The same for several indices, ascending. None at all says that the model produced nothing.
    pub fn outputs(mut self, indices: impl IntoIterator<Item = u32>) -> Self {
        self.outputs.get_or_insert_default().extend(indices);
        self
    }

    /// Which of the outputs carry the answer, ascending: neither reasoning nor a tool call. The time to first answer
    /// token is that of the first.
    pub fn answers(mut self, indices: impl IntoIterator<Item = u32>) -> Self {
        self.answers.get_or_insert_default().extend(indices);
        self
    }

    /// The tokens that the model has produced by the end of each output, where the server says so with each of them.
    pub fn tokens_so_far(mut self, tokens: impl IntoIterator<Item = u32>) -> Self {
        self.tokens_so_far = Some(tokens.into_iter().collect());
        self
    }

    /// Why the answer ended, in the word of the API: `stop`, `length`.
    pub fn finish_reason(mut self, reason: impl Into<String>) -> Self {
        self.finish_reason = Some(reason.into());
        self
    }

    /// The message of the model as the API takes it back in the next turn of a conversation.
    pub fn reply(mut self, message: Value) -> Self {
        self.reply = Some(message.to_string());
        self
    }

    /// Adds a figure under a name, for the host to aggregate over all requests.
    pub fn metric(mut self, name: impl Into<String>, value: f64) -> Self {
        self.metrics.push((name.into(), value));
        self
    }
}

/// Version 0.1 has no place for what is not here.
impl From<Summary> for first::ResponseSummary {
    fn from(summary: Summary) -> Self {
        Self {
            prompt_tokens: summary.prompt.into(),
            completion_tokens: summary.completion.into(),
            outputs: summary.outputs,
            metrics: summary.metrics,
        }
    }
}

impl From<Summary> for second::ResponseSummary {
    fn from(summary: Summary) -> Self {
        Self {
            prompt_tokens: summary.prompt.into(),
            completion_tokens: summary.completion.into(),
            outputs: summary.outputs,
            answers: summary.answers,
            tokens_so_far: summary.tokens_so_far,
            finish_reason: summary.finish_reason,
            reply: summary.reply,
            metrics: summary.metrics,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_counted_travels_along() {
        let given = Summary::new(Tokens::Tokenizer(3), Tokens::Unknown)
            .outputs([0, 2])
            .metric("x", 0.5);
        let record = first::ResponseSummary::from(given);
        let prompt = record.prompt_tokens.unwrap();
        let source = first::TokenSource::Tokenizer;
        assert_eq!((prompt.tokens, prompt.source), (3, source));
        assert!(record.completion_tokens.is_none());
        assert_eq!(record.outputs, Some(vec![0, 2]));
        assert_eq!(record.metrics, [("x".to_owned(), 0.5)]);
    }

    #[test]
    fn no_output_is_not_the_same_as_output_not_told() {
        let told = Summary::default().outputs([]);
        assert_eq!(first::ResponseSummary::from(told).outputs, Some(vec![]));
        assert_eq!(
            first::ResponseSummary::from(Summary::default()).outputs,
            None
        );
    }
}
