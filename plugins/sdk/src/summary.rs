//! What a parser found in one response, and where it has its token counts from.

use crate::bindings::llmuses::perf::types::ResponseSummary;

/// A number of tokens, and who counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tokens {
    /// The server said so in the response.
    Usage(u64),
    /// The tokenizer counted them.
    Tokenizer(u64),
    /// Nobody counted. The host leaves such a figure out rather than showing a zero.
    #[default]
    Unknown,
}

impl Tokens {
    /// The number for the contract, which knows no "unknown", and the code for who counted.
    fn split(self) -> (u64, f64) {
        match self {
            Self::Unknown => (0, 0.0),
            Self::Usage(count) => (count, 1.0),
            Self::Tokenizer(count) => (count, 2.0),
        }
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
///
/// The contract has plain numbers of tokens. Who counted them travels as two metrics,
/// `llmuses.prompt_tokens_from` and `llmuses.completion_tokens_from`: 1 stands for the server's usage, 2 for
/// the tokenizer, 0 for unknown. The host keeps names that begin with `llmuses.` to itself and doesn't
/// report them. Without the two, as from a component made by other means, it takes the numbers as known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    prompt: Tokens,
    completion: Tokens,
    outputs: Vec<u32>,
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

    /// Adds the index of a response that carried something the model produced: text, reasoning or a part of
    /// a tool call. Indices count from 0 and are added in ascending order. The time to first token is that
    /// of the first; where there are none, the host takes every response for output.
    pub fn output(mut self, index: u32) -> Self {
        self.outputs.push(index);
        self
    }

    /// The same for several indices, ascending.
    pub fn outputs(mut self, indices: impl IntoIterator<Item = u32>) -> Self {
        self.outputs.extend(indices);
        self
    }

    /// Adds a figure under a name, for the host to aggregate over all requests.
    pub fn metric(mut self, name: impl Into<String>, value: f64) -> Self {
        self.metrics.push((name.into(), value));
        self
    }
}

impl From<Summary> for ResponseSummary {
    fn from(summary: Summary) -> Self {
        let (prompt_tokens, prompt_from) = summary.prompt.split();
        let (completion_tokens, completion_from) = summary.completion.split();
        let mut metrics = summary.metrics;
        metrics.push(("llmuses.prompt_tokens_from".to_owned(), prompt_from));
        metrics.push(("llmuses.completion_tokens_from".to_owned(), completion_from));
        Self {
            prompt_tokens,
            completion_tokens,
            outputs: summary.outputs,
            metrics,
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
        let record = ResponseSummary::from(given);
        assert_eq!((record.prompt_tokens, record.completion_tokens), (3, 0));
        assert_eq!(record.outputs, [0, 2]);
        assert_eq!(
            record.metrics,
            [
                ("x".to_owned(), 0.5),
                ("llmuses.prompt_tokens_from".to_owned(), 2.0),
                ("llmuses.completion_tokens_from".to_owned(), 0.0),
            ]
        );
        let record = ResponseSummary::from(Summary::new(Tokens::Usage(1), Tokens::Usage(0)));
        assert!(record.metrics.iter().all(|&(_, from)| from == 1.0));
    }
}
