//! What the figures of a run, of a slot of its time and of a group of its requests are made of.

use super::counts::RequestCounts;
use super::groups::GroupFigures;
use super::tokens::{AskedLength, CachedTokens};
use super::totals::{TimeSeries, Totals};
use crate::metric::{
    AUDIO_SECONDS, CACHED_TOKENS, DOCUMENTS, Figure, REASONING_TOKENS, Sums, TEXTS,
};

impl Totals {
    /// What the figures of the run are made of.
    pub fn sums(&self) -> Sums {
        let tokens = |tokens: Option<u64>| tokens.map(|tokens| tokens as f64);
        let goodput = self.goodput.as_ref();
        let named = |name: &str| self.parser_metrics.named.get(name);
        let sum = |name: &str| {
            let figures = named(name)?;
            Some(figures.mean * figures.samples as f64)
        };
        let asked = self.asked_lengths.as_ref();
        let cached = asked.and_then(|asked| asked.cached);
        // Of all of its requests together.
        let of_cached = |mean: fn(&CachedTokens) -> Option<f64>| {
            let cached = cached.as_ref()?;
            Some(mean(cached)? * cached.requests as f64)
        };
        let outputs = asked.map(|asked| &asked.output);
        let prompts = asked.map(|asked| [&asked.input, &asked.later_input]);
        let count_prompts = |of: fn(&AskedLength) -> u64| {
            let prompts = prompts.iter().flatten();
            prompts.map(|lengths| of(lengths)).sum()
        };
        Sums {
            wall_seconds: self.wall_seconds,
            completed: self.requests.completed,
            succeeded: self.requests.succeeded,
            failed: self.requests.failed,
            disconnected: self.requests.disconnected,
            met_all: goodput.map(|goodput| goodput.requests_that_met_all),
            input_tokens: tokens(self.tokens.input.tokens),
            output_tokens: tokens(self.tokens.output.tokens),
            cached_tokens: sum(CACHED_TOKENS),
            texts: sum(TEXTS),
            documents: sum(DOCUMENTS),
            audio_seconds: sum(AUDIO_SECONDS),
            reasoning_tokens: sum(REASONING_TOKENS),
            reasoning_known: named(REASONING_TOKENS).map_or(0, |figures| figures.samples),
            predicted_cached_tokens: of_cached(|cached| Some(cached.mean_predicted_tokens)),
            predicted_of_tokens: of_cached(|cached| cached.mean_prompt_tokens),
            prompts_asked: count_prompts(|lengths| lengths.requests),
            prompts_missed: count_prompts(|lengths| lengths.different),
            outputs_asked: outputs.map_or(0, |lengths| lengths.requests),
            outputs_shorter: outputs.map_or(0, |lengths| lengths.shorter),
            input_known: self.tokens.input.requests_known,
            output_known: self.tokens.output.requests_known,
            packages: self.packages.count,
            token_chunks: self.packages.token_chunks,
            chunks_of_several_tokens: self.packages.chunks_of_several_tokens,
            bytes_received: self.bytes_received,
        }
    }
}

impl TimeSeries {
    /// What there was of a rate in each slot. `None` where the slots do not tell it.
    pub fn parts(&self, figure: Figure) -> Option<Vec<f64>> {
        (0..self.requests_sent.len())
            .map(|slot| figure.part(&self.sums(slot)))
            .collect()
    }

    fn sums(&self, slot: usize) -> Sums {
        let count = |column: &[u64]| column.get(slot).copied();
        let succeeded = count(&self.requests_succeeded).unwrap_or_default();
        let failed = count(&self.requests_failed).unwrap_or_default();
        Sums {
            completed: succeeded + failed,
            succeeded,
            failed,
            met_all: self.requests_that_met_all.as_deref().and_then(count),
            input_tokens: self
                .input_tokens
                .get(slot)
                .copied()
                .map(|tokens| tokens as f64),
            output_tokens: self.output_tokens.get(slot).copied(),
            ..Sums::default()
        }
    }
}

impl GroupFigures {
    /// The same as the totals of a run of these requests alone.
    pub fn totals(&self) -> Totals {
        Totals {
            wall_seconds: self.seconds,
            requests: RequestCounts {
                issued: self.completed + self.disconnected,
                completed: self.completed,
                disconnected: self.disconnected,
                sent: self.sent,
                succeeded: self.succeeded,
                failed: self.failed,
                ..RequestCounts::default()
            },
            figures: self.figures.clone(),
            goodput: self.goodput.clone(),
            tokens: self.tokens.clone(),
            packages: self.packages.clone(),
            bytes_received: self.bytes_received,
            times: self.times.clone(),
            ..Totals::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{INPUT_THROUGHPUT, QPS, THROUGHPUT, TOTAL_THROUGHPUT};

    #[test]
    fn the_slots_of_a_rate_are_those_of_its_figure() {
        let mut slots = TimeSeries {
            requests_sent: vec![1, 1],
            requests_succeeded: vec![0, 2],
            output_tokens: vec![3.0, 5.0],
            input_tokens: vec![0, 20],
            ..TimeSeries::default()
        };
        assert_eq!(slots.parts(QPS), Some(vec![0.0, 2.0]));
        assert_eq!(slots.parts(TOTAL_THROUGHPUT), Some(vec![3.0, 25.0]));
        // As in a document of an earlier version.
        slots.input_tokens.clear();
        assert_eq!(slots.parts(INPUT_THROUGHPUT), None);
        assert_eq!(slots.parts(THROUGHPUT), Some(vec![3.0, 5.0]));
    }
}
