//! Anthropic's Messages.
//!
//! As there, `input_tokens` leaves out what was in the cache: the tokens of the prompt are `input_tokens` and
//! `cache_read_input_tokens` together. Streams tell usage in `message_start` and `message_delta`, except with
//! [`UsageMode::Off`].

use std::fmt::{self, Write};

use bytes::BytesMut;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Api, Asked, Call, Facts, Failure, Fault, Form, Length, Piece};
use crate::config::UsageMode;
use crate::prompt::{Part, Prompt};

/// `/v1/messages`
#[derive(Debug)]
pub(super) struct Messages;

#[derive(Debug, Deserialize)]
struct Body<'a> {
    model: Option<String>,
    stream: Option<bool>,
    max_tokens: Option<u64>,
    min_tokens: Option<u64>,
    ignore_eos: Option<bool>,
    #[serde(borrow)]
    system: Option<Prompt<'a>>,
    #[serde(borrow)]
    messages: Option<Prompt<'a>>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
}

impl Api for Messages {
    fn has(&self, path: &str) -> bool {
        path == "/v1/messages"
    }

    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String> {
        let body: Body<'a> = call.json()?;
        let messages = body.messages.filter(|messages| !messages.parts.is_empty());
        let messages = messages.ok_or("messages: Field required")?;
        let limit = body.max_tokens.ok_or("max_tokens: Field required")?;
        let mut prompt = Prompt::default();
        if let Some(tools) = body.tools {
            prompt.parts.push(Part::Text(tools.get().into()));
        }
        if let Some(system) = body.system {
            prompt.add("system", system.without_messages());
        }
        prompt.parts.extend(messages.parts);
        Ok(Asked {
            prompts: vec![prompt],
            choices: 1,
            model: body.model.unwrap_or_else(|| "mock".to_owned()),
            stream: body.stream.unwrap_or(false),
            length: Some(Length::up_to(&[Some(limit)]).and(body.min_tokens, body.ignore_eos)),
            reasons: true,
            form: Box::new(Events::default()),
        })
    }

    fn error(&self, _call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String) {
        let kind = match failure.fault {
            Fault::Invalid => "invalid_request_error",
            Fault::Overloaded => "rate_limit_error",
            Fault::Internal => "api_error",
        };
        let error = json!({"type": kind, "message": failure.message});
        let id = format!("req_{}", failure.id);
        let body = json!({"type": "error", "error": error, "request_id": id});
        (failure.fault.status(), body.to_string())
    }
}

/// How the message looks, and the events of a stream.
#[derive(Debug, Default)]
struct Events {
    /// The index of the present block of content.
    block: u64,
    /// All that does not change of a delta of it.
    delta: String,
}

/// The usage, with so many tokens of output.
fn usage(facts: &Facts, tokens: u64) -> Value {
    let cached = facts.cached.unwrap_or(0);
    json!({
        "input_tokens": facts.prompt_tokens - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": tokens,
    })
}

fn message(facts: &Facts, content: Vec<Value>, reason: Option<&str>, tokens: u64) -> Value {
    let mut message = json!({
        "id": format!("msg_{}", facts.id),
        "type": "message",
        "role": "assistant",
        "model": facts.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": null,
    });
    if facts.usage != UsageMode::Off {
        message["usage"] = usage(facts, tokens);
    }
    message
}

fn reason(facts: &Facts) -> &'static str {
    facts.finish.pick("end_turn", "max_tokens")
}

fn event(out: &mut BytesMut, name: &str, data: &Value) -> fmt::Result {
    write!(out, "event: {name}\ndata: {data}\n\n")
}

impl Events {
    fn open_block(&mut self, out: &mut BytesMut, thought: bool) -> fmt::Result {
        let index = self.block;
        let (block, kind) = match thought {
            true => (
                json!({"type": "thinking", "thinking": "", "signature": ""}),
                r#""thinking_delta","thinking":""#,
            ),
            false => (
                json!({"type": "text", "text": ""}),
                r#""text_delta","text":""#,
            ),
        };
        self.delta = format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\
             \"delta\":{{\"type\":{kind}"
        );
        let data = json!({"type": "content_block_start", "index": index, "content_block": block});
        event(out, "content_block_start", &data)
    }

    fn close_block(&mut self, out: &mut BytesMut, thought: bool) -> fmt::Result {
        let index = self.block;
        if thought {
            let delta = json!({"type": "signature_delta", "signature": "bW9jaw=="});
            let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
            event(out, "content_block_delta", &data)?;
        }
        self.block += 1;
        let data = json!({"type": "content_block_stop", "index": index});
        event(out, "content_block_stop", &data)
    }
}

impl Form for Events {
    fn room(&self) -> usize {
        320
    }

    fn opens_early(&self) -> bool {
        true
    }

    fn open(&mut self, out: &mut BytesMut, facts: &Facts, _early: bool) -> fmt::Result {
        let message = message(facts, Vec::new(), None, 0);
        let start = json!({"type": "message_start", "message": message});
        event(out, "message_start", &start)?;
        event(out, "ping", &json!({"type": "ping"}))
    }

    fn piece(&mut self, out: &mut BytesMut, facts: &Facts, piece: &Piece) -> fmt::Result {
        if piece.sent == facts.reasoning + 1 {
            if facts.reasoning > 0 {
                self.close_block(out, true)?;
            }
            self.open_block(out, false)?;
        } else if piece.sent == 1 {
            self.open_block(out, true)?;
        }
        out.write_str(&self.delta)?;
        out.write_str(piece.text)?;
        out.write_str("\"}}\n\n")
    }

    fn end(&mut self, out: &mut BytesMut, facts: &Facts) -> fmt::Result {
        if facts.tokens > 0 {
            self.close_block(out, facts.tokens == facts.reasoning)?;
        }
        let delta = json!({"stop_reason": reason(facts), "stop_sequence": null});
        let mut data = json!({"type": "message_delta", "delta": delta});
        if facts.usage != UsageMode::Off {
            data["usage"] = usage(facts, facts.tokens);
        }
        event(out, "message_delta", &data)?;
        event(out, "message_stop", &json!({"type": "message_stop"}))
    }

    fn plain(&mut self, facts: &Facts) -> String {
        let mut content = Vec::new();
        if facts.reasoning > 0 {
            let thinking = facts.thoughts();
            content
                .push(json!({"type": "thinking", "thinking": thinking, "signature": "bW9jaw=="}));
        }
        if facts.tokens > facts.reasoning {
            content.push(json!({"type": "text", "text": facts.answer()}));
        }
        message(facts, content, Some(reason(facts)), facts.tokens).to_string()
    }
}
