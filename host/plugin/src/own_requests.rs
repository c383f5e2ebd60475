//! The calls of version 0.1 of the contract, in which a plugin makes request bodies of the prompt or the data set by
//! itself.

use super::bindings::first::exports::llmuses::perf::perf_plugin as contract;
use super::bindings::first::llmuses::perf::types::{self, Prompt};
use super::instance::{CallError, ParserInstance, Told};
use super::summary::{Summary, reasons};
use llmuses_core::exchange::{Reading, ResponseLog, TokenCount, TokenSource};
use wasmtime::component::ResourceAny;

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

impl ParserInstance {
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
        self.call("build-request", |exports, store| {
            exports.own()?.call_build_request(store, arguments)
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
            .call("next", |exports, store| {
                exports
                    .own()?
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
        let skipped = self.call("skipped", |exports, store| {
            exports
                .own()?
                .request_iterator()
                .call_skipped(store, requests.0)
        })?;
        Ok(reasons(skipped, self.secrets()))
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

    pub(super) fn describe_own(&mut self) -> Result<Told, CallError> {
        let told = self.call("describe", |exports, store| {
            exports.own()?.call_describe(store)
        })?;
        Ok(Told {
            name: told.name,
            version: told.version,
            description: told.description,
            headers: told.headers,
            ..Told::default()
        })
    }

    pub(super) fn parse_own(
        &mut self,
        response: &ResponseLog,
        request: &[u8],
        parameters: &str,
    ) -> Result<Reading, CallError> {
        // It was made as text by the plugin itself.
        let Ok(request) = std::str::from_utf8(request) else {
            return Err(CallError::Refused("the request is no text".to_owned()));
        };
        let responses: Vec<&[u8]> = response.iter().collect();
        let told = self
            .call("parse-responses", |exports, store| {
                exports
                    .own()?
                    .call_parse_responses(store, &responses, request, parameters)
            })?
            .map_err(|message| self.refused(&message))?;
        let told = Summary {
            prompt: told.prompt_tokens.map(token_count),
            completion: told.completion_tokens.map(token_count),
            outputs: told.outputs,
            metrics: told.metrics,
            ..Summary::default()
        };
        self.read(told, response.len())
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
