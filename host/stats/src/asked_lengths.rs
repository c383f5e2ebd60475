//! How long prompts and outputs were beside what was asked for.

use llmuses_core::document::{AskedLength, AskedLengths};
use llmuses_core::exchange::{Outcome, TokenSource};

/// Lengths asked for and counted, over all requests that are measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LengthsAsked {
    input: Differences,
    output: Differences,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Differences {
    requests: u64,
    different: u64,
    asked: u64,
    counted: u64,
    worst: i64,
}

impl LengthsAsked {
    /// Adds a request of which these lengths were asked; of a later turn of a session, whose prompt has what was said before,
    /// only that of the output. One that failed, or whose server counted nothing, is left out.
    pub fn add(&mut self, outcome: &Outcome, input: u32, output: Option<u32>) {
        let Some(reading) = outcome.reading.as_ref().filter(|_| outcome.succeeded()) else {
            return;
        };
        let by_server = |count: &llmuses_core::exchange::TokenCount| {
            (count.source == TokenSource::Server).then_some(count.tokens)
        };
        if outcome.exchange.place.turn == 0
            && let Some(counted) = reading.prompt.as_ref().and_then(by_server)
        {
            self.input.add(input, counted, 0);
        }
        if let Some(asked) = output
            && let Some(counted) = reading.completion.as_ref().and_then(by_server)
        {
            // As aiperf counts them: by more than 5 %, or by more than 50 tokens.
            self.output
                .add(asked, counted, u64::from((asked / 20).min(50)));
        }
    }

    /// As it stands in a document.
    pub fn to_document(&self) -> AskedLengths {
        AskedLengths {
            input: self.input.to_document(),
            output: self.output.to_document(),
        }
    }
}

impl Differences {
    fn add(&mut self, asked: u32, counted: u64, tolerance: u64) {
        let difference = i64::try_from(counted).unwrap_or(i64::MAX) - i64::from(asked);
        self.requests += 1;
        self.asked = self.asked.saturating_add(u64::from(asked));
        self.counted = self.counted.saturating_add(counted);
        if difference.unsigned_abs() > tolerance {
            self.different += 1;
        }
        if difference.unsigned_abs() > self.worst.unsigned_abs() {
            self.worst = difference;
        }
    }

    fn to_document(&self) -> AskedLength {
        let mean = |sum: u64| (self.requests > 0).then(|| sum as f64 / self.requests as f64);
        AskedLength {
            requests: self.requests,
            different: self.different,
            mean_asked_tokens: mean(self.asked),
            mean_counted_tokens: mean(self.counted),
            worst_difference_tokens: self.worst,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_samples::Sample;

    #[test]
    fn lengths_are_compared_request_by_request() {
        let outcome = |prompt, completion| {
            Sample::at(0)
                .events(&[1, 2])
                .outputs(&[0, 1])
                .tokens(prompt, completion, TokenSource::Server)
                .build()
        };
        let mut lengths = LengthsAsked::default();
        lengths.add(&outcome(100, 40), 100, Some(40));
        lengths.add(&outcome(103, 39), 100, Some(40));
        lengths.add(&outcome(98, 20), 100, Some(40));
        let AskedLengths { input, output } = lengths.to_document();
        assert_eq!((input.requests, input.different), (3, 2));
        assert_eq!(input.worst_difference_tokens, 3);
        assert_eq!(input.mean_asked_tokens, Some(100.0));
        // One token of forty is within 5 %.
        assert_eq!((output.requests, output.different), (3, 1));
        assert_eq!(output.worst_difference_tokens, -20);
    }
}
