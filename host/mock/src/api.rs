//! The APIs: how a request is read in each, and how answers, usage, ends and errors are written.
//!
//! An API is a file of `api/` with an implementation of [`Api`], and its line in [`APIS`].

mod dashscope;
mod embeddings;
mod gemini;
mod messages;
mod ollama;
mod openai;
mod rerank;
mod responses;
mod sglang;
mod tgi;
mod transcriptions;
mod triton;

use std::fmt;
use std::time::Instant;

use bytes::BytesMut;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::config::UsageMode;
use crate::prompt::Prompt;
use crate::words::Words;

pub(super) use openai::{error, models};

/// All of them. Where a path is that of several, the first that takes the call has it.
const APIS: &[&dyn Api] = &[
    &openai::Chat,
    &openai::Completions,
    &responses::Responses,
    &embeddings::Embeddings,
    &transcriptions::Transcriptions,
    &rerank::Rerank,
    &messages::Messages,
    &gemini::Gemini,
    &ollama::Chat,
    &ollama::Generate,
    &sglang::SgLang,
    &tgi::Tgi,
    &triton::Triton,
    &dashscope::DashScope,
];

/// What the server sends as events unless an API says otherwise.
const EVENTS: &str = "text/event-stream; charset=utf-8";

/// The most answers to one request.
const MOST_CHOICES: u64 = 1_024;

/// The first API with this path.
pub(super) fn with_path(path: &str) -> Option<&'static dyn Api> {
    APIS.iter().copied().find(|api| api.has(path))
}

/// The API that a call is for.
pub(super) fn of(call: &Call<'_>) -> Option<&'static dyn Api> {
    let mut with_path = APIS.iter().copied().filter(|api| api.has(call.path));
    with_path.find(|api| api.takes(call))
}

/// A request for an answer, not read yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

impl<'a> Call<'a> {
    /// Its body as JSON; the error is for the client to read.
    fn json<T: Deserialize<'a>>(&self) -> Result<T, String> {
        serde_json::from_slice(self.body)
            .map_err(|error| format!("The body is not a request in JSON: {error}"))
    }
}

/// The value of a parameter of a query.
pub(super) fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// One API.
pub(super) trait Api: fmt::Debug + Sync {
    /// Whether it has a path.
    fn has(&self, path: &str) -> bool;

    /// Whether a call to a path of it is for it: some share paths.
    fn takes(&self, _call: &Call<'_>) -> bool {
        true
    }

    /// Reads a call; the error is for the client to read.
    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String>;

    /// How it says that there is no answer.
    fn error(&self, call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String);
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The request is wrong.
    Invalid,
    /// Too many requests wait.
    Overloaded,
    /// The server was told to fail.
    Internal,
}

impl Fault {
    /// The status that most APIs have for it.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What an error says.
#[derive(Debug)]
pub(super) struct Failure<'a> {
    pub(super) fault: Fault,
    pub(super) message: &'a str,
    /// The name of the request.
    pub(super) id: &'a str,
}

/// How long an answer is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Length {
    /// Not more tokens than this.
    pub(super) most: u64,
    /// The answer does not end by itself before this many.
    pub(super) least: u64,
    /// It does not end by itself at all where there is a limit.
    pub(super) ignore_end: bool,
}

impl Length {
    /// At most the smallest of the limits that are there.
    fn up_to(limits: &[Option<u64>]) -> Self {
        Self {
            most: limits.iter().flatten().copied().min().unwrap_or(u64::MAX),
            least: 0,
            ignore_end: false,
        }
    }

    /// With `min_tokens` and `ignore_eos`, as they are mostly called.
    fn and(self, least: Option<u64>, ignore_end: Option<bool>) -> Self {
        Self {
            least: least.unwrap_or(0),
            ignore_end: ignore_end.unwrap_or(false),
            ..self
        }
    }
}

/// A request for an answer, as every API has it.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) prompts: Vec<Prompt<'a>>,
    /// How many answers to each prompt.
    pub(super) choices: u64,
    pub(super) model: String,
    pub(super) stream: bool,
    /// None where an answer has no tokens.
    pub(super) length: Option<Length>,
    /// Whether the API can tell reasoning from the answer.
    pub(super) reasons: bool,
    pub(super) form: Box<dyn Form>,
}

impl<'a> Asked<'a> {
    /// The answers to these prompts, as many as `choices` to each.
    fn check(self) -> Result<Self, String> {
        let all = self.choices.saturating_mul(self.prompts.len() as u64);
        match all {
            0 => Err("It asks for no answer.".to_owned()),
            1..=MOST_CHOICES => Ok(self),
            _ => Err(format!(
                "It asks for {all} answers, and there are at most {MOST_CHOICES}."
            )),
        }
    }
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// By itself.
    Stop,
    /// At the request's limit.
    Length,
}

impl Finish {
    /// As OpenAI calls it.
    pub(super) fn as_str(self) -> &'static str {
        self.pick("stop", "length")
    }

    /// One of two names for it.
    fn pick(self, stop: &'static str, length: &'static str) -> &'static str {
        match self {
            Self::Stop => stop,
            Self::Length => length,
        }
    }
}

/// What is known of the answer to a request before its first token.
#[derive(Debug)]
pub(super) struct Facts {
    /// A name that no other answer has.
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: u64,
    pub(super) model: String,
    /// When the request arrived.
    pub(super) arrival: Instant,
    /// When its first token is due.
    pub(super) first: Instant,
    /// Of all prompts together.
    pub(super) prompt_tokens: u64,
    /// Those of them that were in the prefix cache; nothing where there is no cache.
    pub(super) cached: Option<u64>,
    /// Of each prompt: its tokens, and those in the prefix cache.
    pub(super) prompts: Vec<(u64, u64)>,
    /// The answers, to all prompts together.
    pub(super) choices: u64,
    /// The tokens of each.
    pub(super) tokens: u64,
    /// How many of them, the first ones, are reasoning.
    pub(super) reasoning: u64,
    pub(super) finish: Finish,
    pub(super) usage: UsageMode,
    /// What each is made of.
    pub(super) words: Words,
}

impl Facts {
    /// The words after the reasoning.
    pub(super) fn answer_words(&self) -> Words {
        self.words.skip(self.reasoning)
    }

    /// The text of each answer, without reasoning. It needs no escapes.
    pub(super) fn answer(&self) -> String {
        self.answer_words().text(self.tokens - self.reasoning)
    }

    /// The reasoning of each. It needs no escapes.
    fn thoughts(&self) -> String {
        self.words.text(self.reasoning)
    }

    /// The tokens of all answers together.
    pub(super) fn all_tokens(&self) -> u64 {
        self.tokens * self.choices
    }
}

/// A token of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// It needs no escapes.
    pub(super) text: &'static str,
    /// Which of the answers it belongs to.
    pub(super) choice: u64,
    /// How many tokens of that answer there have been, with this one.
    pub(super) sent: u64,
    /// Whether it is reasoning.
    pub(super) thought: bool,
}

/// How the answer to one request is written. It has what the request said about that.
///
/// Calls come in order: `begin`, `open`, `piece` for each token of each choice, `end`; or `plain` alone. APIs without
/// streams have `plain` only.
pub(super) trait Form: fmt::Debug + Send + Sync {
    /// The content type of a stream.
    fn content_type(&self) -> &'static str {
        EVENTS
    }

    /// Makes what all chunks of a stream share.
    fn begin(&mut self, _facts: &Facts) {}

    /// Room that the chunks of a token are likely to need.
    fn room(&self) -> usize {
        256
    }

    /// Whether something comes before the first token that can go out long before it.
    fn opens_early(&self) -> bool {
        false
    }

    /// What comes before the first token. `early`: it goes out by itself, as soon as the request is there.
    fn open(&mut self, _out: &mut BytesMut, _facts: &Facts, _early: bool) -> fmt::Result {
        Ok(())
    }

    /// A token.
    fn piece(&mut self, _out: &mut BytesMut, _facts: &Facts, _piece: &Piece) -> fmt::Result {
        Ok(())
    }

    /// What comes after the last token.
    fn end(&mut self, _out: &mut BytesMut, _facts: &Facts) -> fmt::Result {
        Ok(())
    }

    /// The content type of an answer that is no stream.
    fn plain_type(&self) -> &'static str {
        "application/json"
    }

    /// The whole answer to a request that wants no stream.
    fn plain(&mut self, facts: &Facts) -> String;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_api() {
        for path in [
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/responses",
            "/v1/embeddings",
            "/v1/audio/transcriptions",
            "/v1/rerank",
            "/rerank",
            "/v1/messages",
            "/v1beta/models/gemini-pro:generateContent",
            "/v1beta/models/gemini-pro:streamGenerateContent",
            "/v1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent",
            "/api/chat",
            "/api/generate",
            "/generate",
            "/generate_stream",
            "/v2/models/m/generate",
            "/v2/models/m/versions/1/generate_stream",
            "/api/v1/services/aigc/text-generation/generation",
        ] {
            assert!(with_path(path).is_some(), "{path}");
        }
        for path in [
            "/",
            "/v1",
            "/v1/models",
            "/v1/chat/completions/x",
            "/v1beta/models/m:countTokens",
            "/v1beta/models/m",
            "/v2/models//generate",
            "/v2/models/m/infer",
        ] {
            assert!(with_path(path).is_none(), "{path}");
        }
    }
}
