//! A running parser: the calls of the contract with their bounds, and the checks of what comes back.

use super::bindings::exports::llmuses::perf::perf_plugin as contract;
use super::bindings::llmuses::perf::types::{self, Prompt};
use super::bindings::{Plugin, PluginPre};
use super::engine::ticks;
use super::state::State;
use super::text::{shown, shown_name};
use super::usage::Exceeded;
use llmuses_core::bounds::Bounds;
use llmuses_core::cost::CallCost;
use llmuses_core::exchange::{Reading, ResponseLog, TokenCount, TokenSource};
use llmuses_core::redact::Secrets;
use wasmtime::component::ResourceAny;
use wasmtime::{Store, Trap};
use wasmtime_wasi::I32Exit;

/// Token counts above are no counts: no response has as many tokens (a response of 256 MiB has fewer), and a figure that
/// large would spoil every sum and mean.
const MOST_TOKENS: u64 = 1 << 32;

/// Figures that are kept of one response. A run keeps as many names.
const MOST_METRICS: usize = llmuses_core::exchange::MAX_METRIC_NAMES;

/// Reasons for passing over an entry that are listed.
const MOST_REASONS: usize = 16;

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
    bounds: Bounds,
    store: Store<State>,
    plugin: Plugin,
    cost: CallCost,
    /// The parser broke. Its memory may be in any state, so nothing in it is ever called again.
    poisoned: bool,
}

impl ParserInstance {
    pub(super) fn start(
        parser: &str,
        bounds: Bounds,
        mut store: Store<State>,
        pre: &PluginPre<State>,
    ) -> Result<Self, CallError> {
        begin_call(&mut store, &bounds);
        let plugin = pre
            .instantiate(&mut store)
            .map_err(|error| trapped(parser, "its start", &bounds, &error))?;
        Ok(Self {
            parser: parser.to_owned(),
            bounds,
            store,
            plugin,
            cost: CallCost::default(),
            poisoned: false,
        })
    }

    /// What the calls so far have cost.
    pub fn cost(&self) -> CallCost {
        self.cost
    }

    /// Has the parser introduce itself.
    pub(super) fn describe(&mut self) -> Result<types::PluginInfo, CallError> {
        self.call("describe", |plugin, store| {
            plugin.llmuses_perf_perf_plugin().call_describe(store)
        })
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
            plugin
                .llmuses_perf_perf_plugin()
                .call_build_request(store, arguments)
        })?
        .map(RequestIterator)
        .map_err(|message| self.refused(&message))
    }

    /// At most `max` further bodies; an empty list is the end.
    ///
    /// # Errors
    /// Where the parser refuses (that is one bad entry), or breaks.
    pub fn next(&mut self, requests: RequestIterator, max: u32) -> Result<Vec<String>, CallError> {
        let bodies = self
            .call("next", |plugin, store| {
                plugin
                    .llmuses_perf_perf_plugin()
                    .request_iterator()
                    .call_next(store, requests.0, max)
            })?
            .map_err(|message| self.refused(&message))?;
        if bodies.len() > max as usize {
            return Err(self.broken(format!(
                "gave {} request bodies where at most {max} were asked for",
                bodies.len()
            )));
        }
        let bytes = bodies.iter().map(|body| size_of::<String>() + body.len());
        self.count_moved("next", bytes.sum())?;
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
            plugin
                .llmuses_perf_perf_plugin()
                .request_iterator()
                .call_skipped(store, requests.0)
        })?;
        Ok(reasons(skipped, self.store.data().secrets()))
    }

    /// Lets go of requests.
    ///
    /// # Errors
    /// Where the parser breaks.
    pub fn drop_requests(&mut self, requests: RequestIterator) -> Result<(), CallError> {
        self.call("dropping its requests", |_, store| {
            requests.0.resource_drop(store)
        })
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
                plugin
                    .llmuses_perf_perf_plugin()
                    .call_parse_responses(store, &responses, request, parameters)
            })?
            .map_err(|message| self.refused(&message))?;
        let outputs = match summary.outputs {
            Some(outputs) => {
                self.check_outputs(&outputs, response.len())?;
                outputs
            }
            // A log holds fewer events than 2^32 (`ResponseLog::LIMIT_EVENTS`).
            None => (0..response.len() as u32).collect(),
        };
        let prompt = self.tokens(summary.prompt_tokens)?;
        let completion = self.tokens(summary.completion_tokens)?;
        let secrets = self.store.data().secrets();
        let metrics_cut = summary.metrics.len().saturating_sub(MOST_METRICS) as u64;
        Ok(Reading {
            prompt,
            completion,
            outputs,
            metrics: summary
                .metrics
                .into_iter()
                .take(MOST_METRICS)
                .map(|(name, value)| (shown_name(&secrets.blank_text(&name)), value))
                .collect(),
            metrics_cut,
        })
    }

    fn tokens(
        &mut self,
        count: Option<types::TokenCount>,
    ) -> Result<Option<TokenCount>, CallError> {
        let Some(count) = count else { return Ok(None) };
        if count.tokens > MOST_TOKENS && matches!(count.source, types::TokenSource::Server) {
            // The parser gave what it was given.
            return Err(CallError::Refused(format!(
                "the server counted {} tokens for one response, which cannot be",
                count.tokens
            )));
        }
        if count.tokens > MOST_TOKENS {
            return Err(self.broken(format!(
                "counted {} tokens in one response, which cannot be",
                count.tokens
            )));
        }
        Ok(Some(token_count(count)))
    }

    fn check_outputs(&mut self, outputs: &[u32], responses: usize) -> Result<(), CallError> {
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
        call: impl FnOnce(&Plugin, &mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        if self.poisoned {
            return Err(self.broken(format!("was to do {name}, but it is broken already")));
        }
        begin_call(&mut self.store, &self.bounds);
        let result = call(&self.plugin, &mut self.store);
        self.cost.add(self.store.data().call().elapsed());
        result.map_err(|error| {
            self.poisoned = true;
            trapped(&self.parser, name, &self.bounds, &error)
        })
    }

    /// Adds the size of a result to what the call moved through the host's functions.
    fn count_moved(&mut self, call: &str, bytes: usize) -> Result<(), CallError> {
        self.store
            .data_mut()
            .add_moved(bytes)
            .map_err(|error| self.broken(format!("broke in {call}: {error}")))
    }

    /// What the parser said in place of a result: credentials are blanked before it is cut.
    fn refused(&self, message: &str) -> CallError {
        CallError::Refused(shown(&self.store.data().secrets().blank_text(message)))
    }

    fn broken(&mut self, reason: String) -> CallError {
        self.poisoned = true;
        CallError::Broken {
            parser: self.parser.clone(),
            reason,
        }
    }
}

fn begin_call(store: &mut Store<State>, bounds: &Bounds) {
    store.data_mut().begin_call();
    store.set_epoch_deadline(ticks(bounds.call_time));
    // Of each crossing; what all crossings of a call move together is counted by the host's functions.
    store.set_hostcall_fuel(bounds.transfer_bytes);
}

fn trapped(parser: &str, call: &str, bounds: &Bounds, error: &wasmtime::Error) -> CallError {
    CallError::Broken {
        parser: parser.to_owned(),
        reason: format!("broke in {call}: {}", reason_of(error, bounds)),
    }
}

/// Why a call was ended, in words for a user rather than for somebody who builds engines.
fn reason_of(error: &wasmtime::Error, bounds: &Bounds) -> String {
    if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
        return exceeded.to_string();
    }
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return format!("it ended itself with exit code {code}, where it should have returned");
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => "its calls were nested too deeply for its stack".to_owned(),
        Some(Trap::UnreachableCodeReached) => {
            "it gave up (a panic, or an `unreachable` instruction)".to_owned()
        }
        Some(trap) => {
            let text = trap.to_string();
            text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned()
        }
        None => engine_words(&format!("{error:#}"), bounds),
    }
}

/// What the engine says where it has no type for it, in plain words. Its words are those of the one
/// version of wasmtime that this program is built with, and the tests of hostile parsers hold them.
fn engine_words(text: &str, bounds: &Bounds) -> String {
    const WORDS: [(&str, &str); 9] = [
        (
            "mmap failed to reserve",
            "this process may not have the address space that plugins need, some GiB for each instance: \
             raise the limit (`ulimit -v unlimited`)",
        ),
        (
            "out of bounds of memory",
            "it gave a text or a list that does not lie in its memory",
        ),
        (
            "store handle limit exceeded",
            "it holds too many resources at once",
        ),
        (
            "resource table has no free keys",
            "it holds too many resources of the host at once",
        ),
        ("invalid utf-8", "it gave a text that is not UTF-8"),
        (
            "discriminant",
            "it gave a value that its type does not have",
        ),
        (
            "unknown handle index",
            "it gave a resource that it does not have",
        ),
        (
            "exceeds limit",
            "it asked for more random bytes at once than parsers get",
        ),
        (
            "count too high at",
            "it has too many memories, tables or parts",
        ),
    ];
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return Exceeded::Transfer(bounds.transfer_bytes).to_string();
    }
    match WORDS.iter().find(|(engine, _)| text.contains(engine)) {
        Some((_, plain)) => format!("{plain} ({})", shown(text)),
        None => shown(text),
    }
}

/// Reasons as they are shown: a few by name, the others summed up.
fn reasons(skipped: Vec<(String, u64)>, secrets: &Secrets) -> Vec<(String, u64)> {
    let mut reasons: Vec<(String, u64)> = Vec::new();
    let mut others = 0_u64;
    for (reason, count) in skipped {
        let reason = shown_name(&secrets.blank_text(&reason));
        if let Some((_, sum)) = reasons.iter_mut().find(|(known, _)| *known == reason) {
            *sum = sum.saturating_add(count);
        } else if reasons.len() < MOST_REASONS {
            reasons.push((reason, count));
        } else {
            others = others.saturating_add(count);
        }
    }
    if others > 0 {
        reasons.push(("for other reasons".to_owned(), others));
    }
    reasons
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
