//! The OpenAI shape, as vLLM serves it: what is read of a request, and how answers look.

use std::fmt::{self, Write};

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::json;

use super::UsageMode;
use super::prompt::Prompt;

/// Which of the two interfaces a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interface {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Text,
}

#[derive(Debug, Deserialize)]
struct Body {
    model: Option<String>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    messages: Option<Prompt>,
    prompt: Option<Prompt>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// What matters of a request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) interface: Interface,
    pub(super) model: String,
    pub(super) stream: bool,
    /// The most tokens that are wanted.
    pub(super) max_tokens: u64,
    pub(super) prompt_tokens: u64,
    include_usage: bool,
}

impl Asked {
    /// Reads a body; the error is for the client to read.
    pub(super) fn parse(interface: Interface, body: &[u8]) -> Result<Self, String> {
        let body: Body = serde_json::from_slice(body)
            .map_err(|error| format!("The body is not a request in JSON: {error}"))?;
        let (prompt, missing) = match interface {
            Interface::Chat => (body.messages, "There are no messages."),
            Interface::Text => (body.prompt, "There is no prompt."),
        };
        let prompt = prompt
            .filter(|prompt| prompt.items > 0)
            .ok_or_else(|| missing.to_owned())?;
        let limits = [body.max_tokens, body.max_completion_tokens];
        Ok(Self {
            interface,
            model: body.model.unwrap_or_else(|| "mock".to_owned()),
            stream: body.stream.unwrap_or(false),
            max_tokens: limits.into_iter().flatten().min().unwrap_or(u64::MAX),
            prompt_tokens: prompt.words,
            include_usage: body
                .stream_options
                .and_then(|options| options.include_usage)
                .unwrap_or(false),
        })
    }
}

/// What is the same in everything that answers one request.
#[derive(Debug)]
pub(super) struct Facts {
    /// Sixteen digits or so that no other answer has.
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: u64,
    /// Why the answer ends: `stop`, or `length` where the request's limit cut it.
    pub(super) finish: &'static str,
    /// How many tokens the answer has.
    pub(super) tokens: u64,
    pub(super) usage: UsageMode,
}

fn id(interface: Interface, facts: &Facts) -> String {
    let prefix = match interface {
        Interface::Chat => "chatcmpl",
        Interface::Text => "cmpl",
    };
    format!("{prefix}-{}", facts.id)
}

/// The chunks of a stream, of which all that does not change is written once.
#[derive(Debug)]
pub(super) struct Chunks {
    /// From `data:` to just before the list of choices' content.
    open: String,
    interface: Interface,
    prompt_tokens: u64,
    usage_in_each: bool,
    usage_at_end: bool,
    finish: &'static str,
    tokens: u64,
    /// Whether a chunk has already named the role.
    named: bool,
}

impl Chunks {
    pub(super) fn new(asked: &Asked, facts: &Facts) -> Self {
        let object = match asked.interface {
            Interface::Chat => "chat.completion.chunk",
            Interface::Text => "text_completion",
        };
        // The name of a model may hold anything; everything else is ours.
        let model = json!(asked.model);
        let id = id(asked.interface, facts);
        let created = facts.created;
        Self {
            open: format!(
                r#"data: {{"id":"{id}","object":"{object}","created":{created},"model":{model},"choices":["#
            ),
            interface: asked.interface,
            prompt_tokens: asked.prompt_tokens,
            usage_in_each: facts.usage == UsageMode::Every,
            usage_at_end: facts.usage != UsageMode::Off && asked.include_usage,
            finish: facts.finish,
            tokens: facts.tokens,
            named: false,
        }
    }

    /// Room that a chunk is likely to need.
    pub(super) fn room(&self) -> usize {
        self.open.len() + 192
    }

    /// The chunk that only names the role; false where the interface has no such thing.
    pub(super) fn role(&mut self, out: &mut BytesMut) -> Result<bool, fmt::Error> {
        if self.interface == Interface::Text {
            return Ok(false);
        }
        self.chunk(out, "", None, 0)?;
        Ok(true)
    }

    /// The chunk of a token, of which `sent` have gone before. The word needs no escapes.
    pub(super) fn token(&mut self, out: &mut BytesMut, word: &str, sent: u64) -> fmt::Result {
        self.chunk(out, word, None, sent + 1)
    }

    /// What comes after the last token.
    pub(super) fn end(&mut self, out: &mut BytesMut) -> fmt::Result {
        self.chunk(out, "", Some(self.finish), self.tokens)?;
        if self.usage_at_end {
            out.write_str(&self.open)?;
            out.write_str("]")?;
            self.write_usage(out, self.tokens)?;
            out.write_str("}\n\n")?;
        }
        out.write_str("data: [DONE]\n\n")
    }

    fn chunk(
        &mut self,
        out: &mut BytesMut,
        word: &str,
        finish: Option<&str>,
        sent: u64,
    ) -> fmt::Result {
        out.write_str(&self.open)?;
        match self.interface {
            Interface::Chat if self.named => {
                out.write_str(r#"{"index":0,"delta":{"content":""#)?;
            }
            Interface::Chat => {
                self.named = true;
                out.write_str(r#"{"index":0,"delta":{"role":"assistant","content":""#)?;
            }
            Interface::Text => out.write_str(r#"{"index":0,"text":""#)?,
        }
        out.write_str(word)?;
        out.write_str(match self.interface {
            Interface::Chat => r#""},"finish_reason":"#,
            Interface::Text => r#"","logprobs":null,"finish_reason":"#,
        })?;
        match finish {
            Some(finish) => write!(out, r#""{finish}""#)?,
            None => out.write_str("null")?,
        }
        out.write_str("}]")?;
        if self.usage_in_each {
            self.write_usage(out, sent)?;
        }
        out.write_str("}\n\n")
    }

    fn write_usage(&self, out: &mut BytesMut, tokens: u64) -> fmt::Result {
        let prompt = self.prompt_tokens;
        let total = prompt + tokens;
        write!(
            out,
            r#","usage":{{"prompt_tokens":{prompt},"total_tokens":{total},"completion_tokens":{tokens}}}"#
        )
    }
}

/// The whole answer to a request that wants no stream.
pub(super) fn plain(asked: &Asked, facts: &Facts, text: &str) -> String {
    let (object, choice) = match asked.interface {
        Interface::Chat => (
            "chat.completion",
            json!({"index": 0, "message": {"role": "assistant", "content": text},
                "logprobs": null, "finish_reason": facts.finish}),
        ),
        Interface::Text => (
            "text_completion",
            json!({"index": 0, "text": text, "logprobs": null, "finish_reason": facts.finish}),
        ),
    };
    let mut answer = json!({
        "id": id(asked.interface, facts),
        "object": object,
        "created": facts.created,
        "model": asked.model,
        "choices": [choice],
    });
    if facts.usage != UsageMode::Off {
        answer["usage"] = json!({
            "prompt_tokens": asked.prompt_tokens,
            "total_tokens": asked.prompt_tokens + facts.tokens,
            "completion_tokens": facts.tokens,
        });
    }
    answer.to_string()
}

/// An error as this interface words it.
pub(super) fn error(status: u16, kind: &str, message: &str) -> String {
    json!({"error": {"message": message, "type": kind, "param": null, "code": status}}).to_string()
}

/// The list of the one model.
pub(super) fn models(model: &str, created: u64) -> String {
    let model = json!({"id": model, "object": "model", "created": created, "owned_by": "llmuses"});
    json!({"object": "list", "data": [model]}).to_string()
}
