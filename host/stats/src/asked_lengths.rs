//! How long prompts and outputs were beside what was asked for.

use super::cached_tokens::CachedPieces;
use super::short_outputs::ShortOutputCounts;
use llmuses_core::document::{AskedLength, AskedLengths, LearnedLengths};
use llmuses_core::exchange::{Outcome, Reading, TokenSource};
use llmuses_core::metric::REASONING_TOKENS;
use std::collections::HashMap;

/// Lengths asked for and counted, over all requests that are measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LengthsAsked {
    input: Differences,
    later_input: Differences,
    output: Differences,
    /// Later turns of which no length is expected.
    later_input_not_judged: u64,
    /// Of sessions that are under way, the tokens of the last turn: those of its prompt, and of the reply that the next turn
    /// has. `None`: the server did not count its reasoning, which is no part of that reply.
    last_turns: HashMap<u64, (u64, Option<u64>)>,
    learned: Option<LearnedLengths>,
    cached: CachedPieces,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Differences {
    requests: u64,
    different: u64,
    asked: u64,
    counted: u64,
    worst: i64,
    short: ShortOutputCounts,
}

impl LengthsAsked {
    /// None so far. `learned`: how the lengths of prompts are known, where no tokenizer counted them.
    /// `overhead`: tokens that the chat template puts around a prompt.
    pub fn new(learned: Option<LearnedLengths>, overhead: u32) -> Self {
        Self {
            learned,
            cached: CachedPieces::new(overhead),
            ..Self::default()
        }
    }

    /// Other processes send requests of the same load, whose prompts are not added here but may be in the server's cache.
    #[must_use]
    pub fn with_others(mut self) -> Self {
        self.cached = self.cached.with_others();
        self
    }

    /// Those of processes that sent a part of the load each, as their documents tell them. `None`: none of them asked for
    /// lengths.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a AskedLengths>) -> Option<Self> {
        let parts: Vec<&AskedLengths> = parts.into_iter().collect();
        let cached: Vec<_> = parts.iter().filter_map(|part| part.cached).collect();
        let all = |of: fn(&AskedLengths) -> &AskedLength| {
            let mut all = Differences::default();
            for part in &parts {
                all.add_part(of(part));
            }
            all
        };
        (!parts.is_empty()).then(|| Self {
            input: all(|part| &part.input),
            later_input: all(|part| &part.later_input),
            output: all(|part| &part.output),
            later_input_not_judged: parts.iter().map(|part| part.later_input_not_judged).sum(),
            last_turns: HashMap::new(),
            learned: parts.iter().find_map(|part| part.learned),
            cached: CachedPieces::of_parts(&cached),
        })
    }

    /// Adds a request of which these lengths were asked. Of a later turn of a session `input` is what its message adds to what
    /// was said before. One that failed, or whose server counted nothing, is left out. The turns of a session come in order.
    pub fn add(&mut self, outcome: &Outcome, input: u32, output: Option<u32>) {
        let place = outcome.exchange.place;
        let before = self.last_turns.remove(&place.session);
        let Some(reading) = outcome.reading.as_ref().filter(|_| outcome.succeeded()) else {
            return;
        };
        let by_server = |count: &llmuses_core::exchange::TokenCount| {
            (count.source == TokenSource::Server).then_some(count.tokens)
        };
        let prompt = reading.prompt.as_ref().and_then(by_server);
        let completion = reading.completion.as_ref().and_then(by_server);
        match (place.turn, prompt, before) {
            (0, Some(counted), _) => {
                // A line is right to a per cent; a tokenizer to the token.
                let tolerance = self.learned.map_or(0, |_| u64::from(input / 100));
                self.input.add(input, counted, tolerance, None);
            }
            (1.., Some(_), Some((_, None))) => self.later_input_not_judged += 1,
            (1.., Some(counted), Some((prompt, Some(said)))) => {
                let added = said.saturating_add(input.into());
                let asked = u32::try_from(prompt.saturating_add(added)).unwrap_or(u32::MAX);
                let tolerance = (added / 20).max(LATER_TOLERANCE);
                self.later_input.add(asked, counted, tolerance, None);
            }
            _ => {}
        }
        if let (1.., Some(prompt), Some(completion)) = (place.left(), prompt, completion) {
            let is_streamed = outcome.exchange.response.is_streamed();
            let said = tokens_of_reply(reading, completion, is_streamed);
            self.last_turns.insert(place.session, (prompt, said));
        }
        if let Some(asked) = output
            && let Some(counted) = completion
        {
            // As aiperf counts them: by more than 5 %, or by more than 50 tokens.
            let tolerance = u64::from((asked / 20).min(50));
            let reason = reading.finish_reason.as_deref();
            self.output.add(asked, counted, tolerance, reason);
        }
    }

    /// Adds what the server reports of its prefix cache for a request whose prompt began with these pieces: of each, by
    /// what number it is known together with all before it, and its tokens. `counts`: whether the request is measured; one
    /// of the warm-up only fills the cache. Later turns of a session are left out: most of what they say was said before.
    pub fn add_cached(&mut self, outcome: &Outcome, pieces: &[(u64, u32)], counts: bool) {
        self.cached.add(outcome, pieces, counts);
    }

    /// As it stands in a document.
    pub fn to_document(&self) -> AskedLengths {
        AskedLengths {
            input: self.input.to_document(),
            later_input: self.later_input.to_document(),
            later_input_not_judged: self.later_input_not_judged,
            output: self.output.to_document(),
            learned: self.learned,
            cached: self.cached.to_document(),
        }
    }
}

/// Tokens by which the prompt of a later turn may differ in any case: a server counts the end of a reply or not, counts the
/// text of a reply otherwise than it produced it, and puts something between messages.
const LATER_TOLERANCE: u64 = 16;

/// Tokens of the reply as the next turn has it, of the `completion` tokens of a turn: without reasoning. `None`: reasoning or
/// the call of a tool came, and the server does not say how many of the tokens are reasoning.
fn tokens_of_reply(reading: &Reading, completion: u64, is_streamed: bool) -> Option<u64> {
    // Reasoning between tags is a part of the answer, also where the server counts it.
    let apart = match &reading.answers {
        Some(answers) if is_streamed => Some(reading.outputs.len() > answers.len()),
        _ => None,
    };
    match (apart, reading.metric(REASONING_TOKENS)) {
        (Some(true), None) => None,
        // More of it than there is in all is no count.
        (Some(true) | None, Some(reasoning)) if reasoning <= completion as f64 => {
            Some(completion - reasoning.max(0.0) as u64)
        }
        _ => Some(completion.saturating_sub(reading.hidden_tokens())),
    }
}

impl Differences {
    /// `reason`: why the output ended, where the server tells.
    fn add(&mut self, asked: u32, counted: u64, tolerance: u64, reason: Option<&str>) {
        let difference = i64::try_from(counted).unwrap_or(i64::MAX) - i64::from(asked);
        self.requests += 1;
        self.asked = self.asked.saturating_add(u64::from(asked));
        self.counted = self.counted.saturating_add(counted);
        if difference.unsigned_abs() > tolerance {
            self.different += 1;
            if difference < 0 {
                self.short.record(reason);
            }
        }
        if difference.unsigned_abs() > self.worst.unsigned_abs() {
            self.worst = difference;
        }
    }

    /// Adds those of a process that sent a part of the load.
    fn add_part(&mut self, part: &AskedLength) {
        let sum = |mean: Option<f64>| (mean.unwrap_or(0.0) * part.requests as f64).round() as u64;
        self.requests += part.requests;
        self.different += part.different;
        self.asked = self.asked.saturating_add(sum(part.mean_asked_tokens));
        self.counted = self.counted.saturating_add(sum(part.mean_counted_tokens));
        self.short
            .add(part.shorter, &part.shorter_by_finish_reason.0);
        if part.worst_difference_tokens.unsigned_abs() > self.worst.unsigned_abs() {
            self.worst = part.worst_difference_tokens;
        }
    }

    fn to_document(&self) -> AskedLength {
        let mean = |sum: u64| (self.requests > 0).then(|| sum as f64 / self.requests as f64);
        let short = self.short.counted();
        AskedLength {
            requests: self.requests,
            different: self.different,
            mean_asked_tokens: mean(self.asked),
            mean_counted_tokens: mean(self.counted),
            worst_difference_tokens: self.worst,
            shorter: short.requests,
            shorter_by_finish_reason: short.reasons.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_samples::OutcomeBuilder;

    #[test]
    fn lengths_are_compared_request_by_request() {
        let outcome = |prompt, completion| {
            OutcomeBuilder::at(0)
                .events(&[1, 2])
                .outputs(&[0, 1])
                .tokens(prompt, completion, TokenSource::Server)
                .finish_reason("stop")
                .build()
        };
        let mut lengths = LengthsAsked::default();
        lengths.add(&outcome(100, 40), 100, Some(40));
        lengths.add(&outcome(103, 39), 100, Some(40));
        lengths.add(&outcome(98, 20), 100, Some(40));
        let AskedLengths { input, output, .. } = lengths.to_document();
        assert_eq!((input.requests, input.different), (3, 2));
        assert_eq!(input.worst_difference_tokens, 3);
        assert_eq!(input.mean_asked_tokens, Some(100.0));
        // One token of forty is within 5 %.
        assert_eq!((output.requests, output.different), (3, 1));
        assert_eq!(output.worst_difference_tokens, -20);
        assert_eq!((output.shorter, input.shorter), (1, 1));
        assert_eq!(output.shorter_by_finish_reason.0, [("stop".to_owned(), 1)]);
    }

    #[test]
    fn the_lengths_of_parts_of_a_load_are_those_of_the_whole() {
        let lengths = |counted: &[(u64, u64)]| {
            let mut lengths = LengthsAsked::default();
            for (prompt, completion) in counted {
                let outcome = OutcomeBuilder::at(0)
                    .events(&[1, 2])
                    .outputs(&[0, 1])
                    .tokens(*prompt, *completion, TokenSource::Server)
                    .finish_reason("stop")
                    .build();
                lengths.add(&outcome, 100, Some(40));
            }
            lengths.to_document()
        };
        let parts = [lengths(&[(100, 40), (90, 20)]), lengths(&[(103, 30)])];
        let whole = LengthsAsked::of_parts(&parts).unwrap();
        let expected = lengths(&[(100, 40), (90, 20), (103, 30)]);
        assert_eq!(whole.to_document(), expected);
        assert!(LengthsAsked::of_parts([]).is_none());
    }

    #[test]
    fn a_later_turn_has_the_turn_before_and_its_message() {
        let outcome = |session, turn, prompt, completion| {
            OutcomeBuilder::at(0)
                .turn(session, turn, 3)
                .events(&[1, 2])
                .outputs(&[0, 1])
                .tokens(prompt, completion, TokenSource::Server)
                .build()
        };
        let mut lengths = LengthsAsked::default();
        let mut add = |session, turn, prompt, completion| {
            lengths.add(&outcome(session, turn, prompt, completion), 100, None);
        };
        add(0, 0, 100, 50);
        add(1, 0, 100, 50);
        // 250 are to be expected.
        add(0, 1, 260, 50);
        add(0, 2, 410, 50);
        // The reply is missing.
        add(1, 1, 200, 50);
        // Nothing is known of the turn before.
        add(2, 1, 999, 50);
        let AskedLengths {
            input, later_input, ..
        } = lengths.to_document();
        assert_eq!((input.requests, input.different), (2, 0));
        assert_eq!((later_input.requests, later_input.different), (3, 1));
        assert_eq!(later_input.worst_difference_tokens, -50);
        assert_eq!(lengths.last_turns.len(), 2);
    }

    /// A session whose first turn has 100 + 150 tokens, of which 100 were events of reasoning and 50 of the answer, and whose
    /// second turn has a prompt of `prompt` tokens. The message of each has 100.
    fn after_reasoning(prompt: u64, counted: Option<f64>, answers: Option<&[u32]>) -> AskedLengths {
        let turn = |turn, prompt| {
            let outcome = OutcomeBuilder::at(0)
                .turn(0, turn, 2)
                .events(&[1, 2])
                .outputs(&[0, 1])
                .tokens(prompt, 150, TokenSource::Server);
            let counted = counted.map(|tokens| ("reasoning_tokens", tokens));
            let mut outcome = counted
                .into_iter()
                .fold(outcome, |outcome, (name, tokens)| {
                    outcome.metric(name, tokens)
                })
                .build();
            outcome.reading.as_mut().unwrap().answers = answers.map(<[u32]>::to_vec);
            outcome
        };
        let mut lengths = LengthsAsked::default();
        lengths.add(&turn(0, 100), 100, None);
        lengths.add(&turn(1, prompt), 100, None);
        lengths.to_document()
    }

    #[test]
    fn reasoning_is_no_part_of_the_reply_in_the_next_turn() {
        for answers in [Some(&[1][..]), None] {
            let found = after_reasoning(250, Some(100.0), answers).later_input;
            assert_eq!((found.requests, found.different), (1, 0), "{answers:?}");
            assert_eq!(found.mean_asked_tokens, Some(250.0), "{answers:?}");
        }
        // It came between tags, which the reply has.
        let tagged = after_reasoning(350, Some(100.0), Some(&[0, 1])).later_input;
        assert_eq!((tagged.requests, tagged.different), (1, 0));
        // More than all of it.
        let wrong = after_reasoning(350, Some(151.0), Some(&[1])).later_input;
        assert_eq!((wrong.requests, wrong.different), (1, 0));
    }

    #[test]
    fn a_turn_after_reasoning_that_nobody_counted_is_not_judged() {
        let found = after_reasoning(250, None, Some(&[1]));
        assert_eq!(found.later_input.requests, 0);
        assert_eq!(found.later_input_not_judged, 1);
        let without = after_reasoning(350, None, Some(&[0, 1]));
        assert_eq!(without.later_input.different, 0);
        assert_eq!(without.later_input.requests, 1);
        assert_eq!(without.later_input_not_judged, 0);
    }

    #[test]
    fn learned_lengths_may_be_off_by_a_per_cent() {
        let outcome = |prompt| {
            OutcomeBuilder::at(0)
                .events(&[1, 2])
                .outputs(&[0, 1])
                .tokens(prompt, 1, TokenSource::Server)
                .build()
        };
        let mut lengths = LengthsAsked::new(Some(LearnedLengths::default()), 0);
        lengths.add(&outcome(1009), 1000, None);
        lengths.add(&outcome(1011), 1000, None);
        let input = lengths.to_document().input;
        assert_eq!((input.requests, input.different), (2, 1));
    }
}
