//! What the events of a response tell, gathered into a summary. For APIs whose events are not those of OpenAI's chat
//! completions.

use crate::message::{failure, read, readable};
use crate::usage::{Reading, Usage};
use crate::{Response, Summary, Value, json, tokenizer_count};
use serde::Deserialize;

/// What is known of a response so far. [`Answer::of`] goes through its events.
///
/// ```
/// use llmuses_plugin::{Answer, Counts, Response, Value};
///
/// let events = [br#"{"token":"a"}"#.to_vec(), br#"{"token":"b","tokens":2,"end":"stop"}"#.to_vec()];
/// let summary = Answer::of(&Response::of(&events), |answer, event| {
///     answer.text(event["token"].as_str().unwrap_or_default());
///     answer.counts(Counts { completion: event["tokens"].as_u64(), ..Counts::default() });
///     answer.finish_reason(&event["end"]);
///     Ok(())
/// })?
/// .summary(|_| None);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Default)]
pub struct Answer<'a> {
    response: Option<Response<'a>>,
    reading: Reading,
    index: u32,
    answers: Vec<u32>,
    tokens_so_far: Vec<u32>,
    finish_reason: Option<String>,
    /// What the model said beside its reasoning, and the reasoning.
    text: String,
    reasoning: String,
    metrics: Vec<(String, f64)>,
}

/// Tokens that a server reports. `None`: it says nothing of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those of the prompt, with those taken from a cache.
    pub prompt: Option<u64>,
    /// Those that the model has produced so far, reasoning included.
    pub completion: Option<u64>,
    /// Those of the prompt that came from a cache.
    pub cached: Option<u64>,
    /// Those of the completion that are reasoning.
    pub reasoning: Option<u64>,
}

impl<'a> Answer<'a> {
    /// Goes through the events of a response, each a JSON object. Events that say nothing are passed over.
    ///
    /// # Errors
    /// Where an event is no JSON object (the text names it), where one has an `error`, or where `read` says so.
    pub fn of(
        response: &Response<'a>,
        mut read_event: impl FnMut(&mut Self, &Value) -> Result<(), String>,
    ) -> Result<Self, String> {
        let mut answer = Self {
            response: Some(*response),
            ..Self::default()
        };
        let events = readable(response.events);
        for (place, index) in (0..events.len()).zip(0_u32..) {
            let Some(event) = read::<Value>(&events, place)? else {
                continue;
            };
            if let Some(error) = failure(&event["error"]) {
                return Err(error);
            }
            answer.index = index;
            read_event(&mut answer, &event)?;
        }
        Ok(answer)
    }

    /// A part of the answer. One without text is no output.
    pub fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.output();
            self.text.push_str(text);
            if self.answers.last() != Some(&self.index) {
                self.answers.push(self.index);
            }
        }
    }

    /// A part of the reasoning. One without text is no output.
    pub fn reasoning(&mut self, text: &str) {
        if !text.is_empty() {
            self.output();
            self.reasoning.push_str(text);
        }
    }

    /// A part of a summary of the reasoning: output, but not the tokens that are counted as reasoning.
    pub fn summary_of_reasoning(&mut self, text: &str) {
        let before = self.reading.outputs.len();
        self.other(text);
        self.reading.summaries += (self.reading.outputs.len() - before) as u64;
    }

    /// A part of something else that the model produced, such as the call of a tool.
    pub fn other(&mut self, text: &str) {
        if !text.is_empty() {
            self.output();
        }
    }

    fn output(&mut self) {
        if self.reading.outputs.last() != Some(&self.index) {
            self.reading.outputs.push(self.index);
        }
    }

    /// Whether there has been any output.
    pub fn has_output(&self) -> bool {
        !self.reading.outputs.is_empty()
    }

    /// What the model has said so far beside its reasoning.
    pub fn text_so_far(&self) -> &str {
        &self.text
    }

    /// A report of tokens as OpenAI's APIs have it, in `usage`, under either family of names.
    pub fn usage(&mut self, usage: &Value) {
        // What is no object says nothing.
        if let Ok(usage) = Usage::deserialize(usage) {
            self.reading.report(&usage);
        }
    }

    /// A report of tokens. Later ones take the place of earlier ones; what they leave out stays.
    pub fn counts(&mut self, counts: Counts) {
        self.reading.report_counts(counts);
    }

    /// Notes that the server counted no token of the answer, as those that leave out a count of 0 say it. A count that it
    /// told stays.
    pub fn counted_none(&mut self) {
        self.counts(Counts {
            completion: Some(0),
            ..Counts::default()
        });
    }

    /// The tokens of the answer by the end of this event, where a server says so with each of them.
    pub fn tokens_so_far(&mut self, tokens: Option<u64>) {
        let is_output = self.reading.outputs.last() == Some(&self.index);
        if let Some(tokens) = tokens.and_then(|tokens| u32::try_from(tokens).ok())
            && is_output
            && self.tokens_so_far.len() + 1 == self.reading.outputs.len()
        {
            self.tokens_so_far.push(tokens);
        }
    }

    /// Why the answer ended. Anything but a text that is not empty says nothing.
    pub fn finish_reason(&mut self, reason: &Value) {
        if let Some(reason) = reason.as_str().filter(|reason| !reason.is_empty()) {
            self.finish_reason = Some(reason.to_owned());
        }
    }

    /// A figure under a name, where there is one.
    pub fn metric(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.metrics.push((name.to_owned(), value));
        }
    }

    /// The summary. `prompt`: the texts of the request, out of its body, to be counted where the server did not count;
    /// `None` where they cannot be.
    pub fn summary(self, prompt: impl FnOnce(&Value) -> Option<Vec<String>>) -> Summary {
        let Self {
            response,
            reading,
            answers,
            tokens_so_far,
            finish_reason,
            text,
            reasoning,
            metrics,
            ..
        } = self;
        let outputs = reading.outputs.len();
        let is_apart = reading.counts_reasoning_apart();
        let hidden = reading.hidden_reasoning(|| !reasoning.is_empty());
        let request = || prompt(&response?.request_json());
        let produced = || vec![reasoning + &text];
        let mut summary = reading
            .finish(hidden, request, produced, tokenizer_count)
            .answers(answers);
        let is_known = tokens_so_far.len() == outputs && !is_apart;
        if is_known && outputs > 1 && tokens_so_far.is_sorted() {
            summary = summary.tokens_so_far(tokens_so_far);
        }
        if let Some(reason) = finish_reason {
            summary = summary.finish_reason(reason);
        }
        if response.is_some_and(|response| response.wants_reply) {
            summary = summary.reply(json!({"role": "assistant", "content": text}));
        }
        for (name, value) in metrics {
            summary = summary.metric(name, value);
        }
        summary
    }
}
