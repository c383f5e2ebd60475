//! A running parser: the calls of the contract with their bounds, and the checks of what comes back.

use super::bindings::Plugin;
use super::bindings::exports::llmuses::perf::perf_plugin as contract;
use super::bindings::llmuses::perf::types::{self, Prompt};
use super::engine::{CALL_LIMIT, TRANSFER_LIMIT_BYTES, ticks};
use super::state::{State, printable};
use crate::exchange::{Reading, ResponseLog, TokenCount, TokenSource};
use wasmtime::component::ResourceAny;
use wasmtime::{Store, Trap};

/// A call into a parser did not give a result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The parser said that it could not do what it was asked. The instance is as good as before.
    #[error("{0}")]
    Refused(String),
    /// The parser broke: it trapped, ran out of a bound, or broke the contract. The instance must not be
    /// used again.
    #[error("parser `{parser}` {reason}")]
    Broken {
        /// The name of the parser.
        parser: String,
        /// What it did.
        reason: String,
    },
}

/// What a parser is asked to make requests from.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildOptions {
    /// The model.
    pub model: String,
    /// The text of the prompt. `None`: the data set is to be read.
    pub prompt: Option<String>,
    /// Whether there is a data set.
    pub has_dataset: bool,
    /// Prompts must be longer than this, in Unicode scalar values.
    pub min_length: u64,
    /// Prompts must be shorter than this, in Unicode scalar values.
    pub max_length: u64,
    /// Extra members of the body: a JSON object as text.
    pub parameters: String,
}

/// Requests under way in an instance.
#[derive(Debug, Clone, Copy)]
pub struct RequestIterator(ResourceAny);

/// An instance of a parser. It belongs to one thread at a time.
pub struct ParserInstance {
    parser: String,
    store: Store<State>,
    plugin: Plugin,
}

impl ParserInstance {
    pub(super) fn new(parser: String, store: Store<State>, plugin: Plugin) -> Self {
        Self {
            parser,
            store,
            plugin,
        }
    }

    /// Begins to make requests.
    ///
    /// # Errors
    /// Where the parser refuses, or breaks.
    pub fn build_request(&mut self, options: &BuildOptions) -> Result<RequestIterator, CallError> {
        let arguments = contract::RequestOptions {
            model: &options.model,
            prompt: options.prompt.as_deref().map(Prompt::Text),
            has_dataset: options.has_dataset,
            min_length: options.min_length,
            max_length: options.max_length,
            parameters: &options.parameters,
        };
        self.call("build-request", |plugin, store| {
            plugin.call_build_request(store, arguments)
        })?
        .map(RequestIterator)
        .map_err(|message| CallError::Refused(printable(&message)))
    }

    /// At most `max` further bodies; an empty list is the end.
    ///
    /// # Errors
    /// Where the parser refuses (that is one bad entry), or breaks.
    pub fn next(&mut self, requests: RequestIterator, max: u32) -> Result<Vec<String>, CallError> {
        let bodies = self
            .call("next", |plugin, store| {
                plugin.request_iterator().call_next(store, requests.0, max)
            })?
            .map_err(|message| CallError::Refused(printable(&message)))?;
        if bodies.len() > max as usize {
            return Err(self.broken(format!(
                "gave {} request bodies where at most {max} were asked for",
                bodies.len()
            )));
        }
        for body in &bodies {
            if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(body) {
                return Err(self.broken(format!("made a request body that is not JSON: {error}")));
            }
        }
        Ok(bodies)
    }

    /// What was passed over so far, by reason.
    ///
    /// # Errors
    /// Where the parser breaks.
    pub fn skipped(&mut self, requests: RequestIterator) -> Result<Vec<(String, u64)>, CallError> {
        let skipped = self.call("skipped", |plugin, store| {
            plugin.request_iterator().call_skipped(store, requests.0)
        })?;
        Ok(skipped
            .into_iter()
            .map(|(reason, count)| (printable(&reason), count))
            .collect())
    }

    /// Lets go of requests.
    ///
    /// # Errors
    /// Where the parser breaks.
    pub fn drop_requests(&mut self, requests: RequestIterator) -> Result<(), CallError> {
        self.begin_call();
        requests
            .0
            .resource_drop(&mut self.store)
            .map_err(|error| self.trapped("dropping its requests", &error))
    }

    /// Reads the token counts out of a finished response.
    ///
    /// # Errors
    /// Where the parser refuses the response, or breaks.
    pub fn parse_responses(
        &mut self,
        response: &ResponseLog,
        request: &str,
        parameters: &str,
    ) -> Result<Reading, CallError> {
        let responses: Vec<&[u8]> = response.iter().collect();
        let summary = self
            .call("parse-responses", |plugin, store| {
                plugin.call_parse_responses(store, &responses, request, parameters)
            })?
            .map_err(|message| CallError::Refused(printable(&message)))?;
        let outputs = match summary.outputs {
            Some(outputs) => {
                self.check_outputs(&outputs, response.len())?;
                outputs
            }
            // A log holds fewer events than 2^32 (`ResponseLog::LIMIT_EVENTS`).
            None => (0..response.len() as u32).collect(),
        };
        Ok(Reading {
            prompt: summary.prompt_tokens.map(token_count),
            completion: summary.completion_tokens.map(token_count),
            outputs,
            metrics: summary
                .metrics
                .into_iter()
                .map(|(name, value)| (printable(&name), value))
                .collect(),
        })
    }

    fn check_outputs(&self, outputs: &[u32], responses: usize) -> Result<(), CallError> {
        if let Some(index) = outputs.iter().find(|index| **index as usize >= responses) {
            return Err(self.broken(format!(
                "named response {index} as output where there are {responses}"
            )));
        }
        if !outputs.is_sorted_by(|first, second| first < second) {
            return Err(self.broken("named outputs that are not in ascending order".to_owned()));
        }
        Ok(())
    }

    /// One call under the bounds.
    fn call<R>(
        &mut self,
        name: &str,
        call: impl FnOnce(&contract::Guest, &mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        self.begin_call();
        call(self.plugin.llmuses_perf_perf_plugin(), &mut self.store)
            .map_err(|error| self.trapped(name, &error))
    }

    fn begin_call(&mut self) {
        self.store.set_epoch_deadline(ticks(CALL_LIMIT));
        self.store.set_hostcall_fuel(TRANSFER_LIMIT_BYTES);
    }

    fn broken(&self, reason: String) -> CallError {
        CallError::Broken {
            parser: self.parser.clone(),
            reason,
        }
    }

    fn trapped(&self, call: &str, error: &wasmtime::Error) -> CallError {
        self.broken(format!("broke in {call}: {}", reason_of(error)))
    }
}

/// Why a call was ended, in words for a user rather than for somebody who builds engines.
pub(super) fn reason_of(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => format!(
            "it took longer than {} s, the most that one call may take",
            CALL_LIMIT.as_secs()
        ),
        Some(Trap::StackOverflow) => "its calls were nested too deeply for its stack".to_owned(),
        Some(Trap::UnreachableCodeReached) => {
            "it gave up (a panic, or an `unreachable` instruction)".to_owned()
        }
        Some(trap) => trap.to_string(),
        None => printable(&format!("{error:#}")),
    }
}

fn token_count(count: types::TokenCount) -> TokenCount {
    TokenCount {
        tokens: count.tokens,
        source: match count.source {
            types::TokenSource::Server => TokenSource::Server,
            types::TokenSource::Tokenizer => TokenSource::Tokenizer,
            types::TokenSource::Parser => TokenSource::Parser,
        },
    }
}
