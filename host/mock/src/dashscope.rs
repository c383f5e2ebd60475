//! The DashScope shape: what is read of a request, and how answers look.
//!
//! Both forms of an answer are there: `output.text`, and `output.choices` where `parameters.result_format` is
//! `message`. A stream repeats the whole text so far in each event, unless `parameters.incremental_output` is
//! set. Every event tells the usage, except with [`UsageMode::Off`].

use std::fmt::{self, Write};

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::json;

use super::UsageMode;
use super::openai::Facts;
use super::prompt::Prompt;

#[derive(Debug, Deserialize)]
struct Body {
    input: Option<Input>,
    #[serde(default)]
    parameters: Option<Parameters>,
}

#[derive(Debug, Deserialize)]
struct Input {
    messages: Option<Prompt>,
    prompt: Option<Prompt>,
}

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    incremental_output: Option<bool>,
    max_tokens: Option<u64>,
    result_format: Option<String>,
}

/// What matters of a request.
#[derive(Debug)]
pub(super) struct Asked {
    /// The most tokens that are wanted.
    pub(super) max_tokens: u64,
    pub(super) prompt_tokens: u64,
    incremental: bool,
    as_message: bool,
}

impl Asked {
    /// Reads a body; the error is for the client to read.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let body: Body = serde_json::from_slice(body)
            .map_err(|error| format!("The body is not a request in JSON: {error}"))?;
        let prompt = body
            .input
            .and_then(|input| input.messages.or(input.prompt))
            .filter(|prompt| prompt.items > 0)
            .ok_or("There are no messages in the input.")?;
        let parameters = body.parameters.unwrap_or_default();
        Ok(Self {
            max_tokens: parameters.max_tokens.unwrap_or(u64::MAX),
            prompt_tokens: prompt.words,
            incremental: parameters.incremental_output.unwrap_or(false),
            as_message: parameters.result_format.as_deref() == Some("message"),
        })
    }
}

/// What every answer to one request is written from.
#[derive(Debug)]
struct Answer {
    as_message: bool,
    usage: bool,
    prompt_tokens: u64,
    request_id: String,
}

impl Answer {
    fn new(asked: &Asked, facts: &Facts) -> Self {
        Self {
            as_message: asked.as_message,
            usage: facts.usage != UsageMode::Off,
            prompt_tokens: asked.prompt_tokens,
            request_id: facts.id.clone(),
        }
    }

    /// Writes the JSON of an answer. The text needs no escapes.
    fn write(&self, out: &mut impl Write, text: &str, finish: &str, tokens: u64) -> fmt::Result {
        if self.as_message {
            write!(
                out,
                r#"{{"output":{{"choices":[{{"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"{finish}"}}]}}"#
            )?;
        } else {
            write!(
                out,
                r#"{{"output":{{"text":"{text}","finish_reason":"{finish}"}}"#
            )?;
        }
        if self.usage {
            let prompt = self.prompt_tokens;
            let total = prompt + tokens;
            write!(
                out,
                r#","usage":{{"input_tokens":{prompt},"output_tokens":{tokens},"total_tokens":{total}}}"#
            )?;
        }
        write!(out, r#","request_id":"{}"}}"#, self.request_id)
    }
}

/// The events of a stream.
#[derive(Debug)]
pub(super) struct Events {
    answer: Answer,
    finish: &'static str,
    tokens: u64,
    /// The text so far, where each event repeats it.
    so_far: Option<String>,
    events: u64,
}

impl Events {
    pub(super) fn new(asked: &Asked, facts: &Facts) -> Self {
        Self {
            answer: Answer::new(asked, facts),
            finish: facts.finish,
            tokens: facts.tokens,
            so_far: (!asked.incremental).then(String::new),
            events: 0,
        }
    }

    /// Room that an event is likely to need.
    pub(super) fn room(&self) -> usize {
        320 + self.so_far.as_ref().map_or(0, String::len)
    }

    /// The event of a token, of which `sent` have gone before. The word needs no escapes.
    pub(super) fn token(&mut self, out: &mut BytesMut, word: &str, sent: u64) -> fmt::Result {
        self.event(out, word, "null", sent + 1)
    }

    /// The event after the last token.
    pub(super) fn end(&mut self, out: &mut BytesMut) -> fmt::Result {
        self.event(out, "", self.finish, self.tokens)
    }

    fn event(&mut self, out: &mut BytesMut, word: &str, finish: &str, tokens: u64) -> fmt::Result {
        self.events += 1;
        let number = self.events;
        write!(out, "id:{number}\nevent:result\n:HTTP_STATUS/200\ndata:")?;
        let text = match &mut self.so_far {
            Some(so_far) => {
                so_far.push_str(word);
                so_far
            }
            None => word,
        };
        self.answer.write(out, text, finish, tokens)?;
        out.write_str("\n\n")
    }
}

/// The whole answer to a request that wants no stream. The text needs no escapes.
pub(super) fn plain(asked: &Asked, facts: &Facts, text: &str) -> Result<String, fmt::Error> {
    let mut out = String::new();
    Answer::new(asked, facts).write(&mut out, text, facts.finish, facts.tokens)?;
    Ok(out)
}

/// An error as this interface words it.
pub(super) fn error(code: &str, message: &str, request_id: &str) -> String {
    json!({"code": code, "message": message, "request_id": request_id}).to_string()
}
