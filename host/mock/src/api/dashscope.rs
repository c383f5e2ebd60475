//! DashScope's text generation.
//!
//! Both forms of an answer are there: `output.text`, and `output.choices` where `parameters.result_format` is
//! `message`; only the second can tell reasoning. A stream repeats the whole text so far in each event, unless
//! `parameters.incremental_output` is set. Every event tells the usage, except with [`UsageMode::Off`].

use std::fmt::{self, Write};

use bytes::BytesMut;
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{Api, Asked, Call, Facts, Failure, Fault, Form, Length, Piece};
use crate::config::UsageMode;
use crate::prompt::Prompt;

/// `/api/v1/services/aigc/text-generation/generation`
#[derive(Debug)]
pub(super) struct DashScope;

#[derive(Debug, Deserialize)]
struct Body<'a> {
    model: Option<String>,
    #[serde(borrow)]
    input: Option<Input<'a>>,
    parameters: Option<Parameters>,
}

#[derive(Debug, Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    messages: Option<Prompt<'a>>,
    #[serde(borrow)]
    prompt: Option<Prompt<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    incremental_output: Option<bool>,
    max_tokens: Option<u64>,
    result_format: Option<String>,
}

impl Api for DashScope {
    fn has(&self, path: &str) -> bool {
        path == "/api/v1/services/aigc/text-generation/generation"
    }

    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String> {
        let body: Body<'a> = call.json()?;
        let prompt = body
            .input
            .and_then(|input| input.messages.or(input.prompt))
            .filter(|prompt| !prompt.parts.is_empty())
            .ok_or("There are no messages in the input.")?;
        let parameters = body.parameters.unwrap_or_default();
        let as_message = parameters.result_format.as_deref() == Some("message");
        Ok(Asked {
            prompts: vec![prompt],
            choices: 1,
            model: body.model.unwrap_or_else(|| "mock".to_owned()),
            stream: asks_for_events(call.headers),
            length: Some(Length::up_to(&[parameters.max_tokens])),
            reasons: as_message,
            form: Box::new(Events {
                as_message,
                incremental: parameters.incremental_output.unwrap_or(false),
                text: String::new(),
                thoughts: String::new(),
                events: 0,
            }),
        })
    }

    fn error(&self, _call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String) {
        let code = match failure.fault {
            Fault::Invalid => "InvalidParameter",
            Fault::Overloaded => "Throttling.RateQuota",
            Fault::Internal => "InternalError",
        };
        let (message, id) = (failure.message, failure.id);
        let body = json!({"code": code, "message": message, "request_id": id});
        (failure.fault.status(), body.to_string())
    }
}

/// Whether the headers ask for a stream.
fn asks_for_events(headers: &HeaderMap) -> bool {
    let has = |name: &str, wanted: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|value| {
                let value = value.split(';').next().unwrap_or_default();
                value.trim().eq_ignore_ascii_case(wanted)
            })
    };
    has("x-dashscope-sse", "enable") || has(ACCEPT.as_str(), "text/event-stream")
}

/// How the answer looks, and the events of a stream.
#[derive(Debug)]
struct Events {
    as_message: bool,
    incremental: bool,
    /// What the next event says: the text so far, or what is new of it.
    text: String,
    /// The same of the reasoning.
    thoughts: String,
    events: u64,
}

impl Events {
    /// Writes the JSON of an answer. The text needs no escapes.
    fn write(&self, out: &mut impl Write, facts: &Facts, finish: &str, tokens: u64) -> fmt::Result {
        let text = &self.text;
        if self.as_message {
            out.write_str(r#"{"output":{"choices":[{"message":{"role":"assistant","#)?;
            if facts.reasoning > 0 {
                write!(out, r#""reasoning_content":"{}","#, self.thoughts)?;
            }
            write!(
                out,
                r#""content":"{text}"}},"finish_reason":"{finish}"}}]}}"#
            )?;
        } else {
            write!(
                out,
                r#"{{"output":{{"text":"{text}","finish_reason":"{finish}"}}"#
            )?;
        }
        if facts.usage != UsageMode::Off {
            let prompt = facts.prompt_tokens;
            let total = prompt + tokens;
            write!(
                out,
                r#","usage":{{"input_tokens":{prompt},"output_tokens":{tokens},"total_tokens":{total}"#
            )?;
            if let Some(cached) = facts.cached {
                write!(
                    out,
                    r#","prompt_tokens_details":{{"cached_tokens":{cached}}}"#
                )?;
            }
            if facts.reasoning > 0 {
                let reasoning = tokens.min(facts.reasoning);
                write!(
                    out,
                    r#","output_tokens_details":{{"reasoning_tokens":{reasoning}}}"#
                )?;
            }
            out.write_str("}")?;
        }
        write!(out, r#","request_id":"{}"}}"#, facts.id)
    }

    fn event(
        &mut self,
        out: &mut BytesMut,
        facts: &Facts,
        finish: &str,
        tokens: u64,
    ) -> fmt::Result {
        self.events += 1;
        let number = self.events;
        write!(out, "id:{number}\nevent:result\n:HTTP_STATUS/200\ndata:")?;
        self.write(out, facts, finish, tokens)?;
        out.write_str("\n\n")?;
        if self.incremental {
            self.text.clear();
            self.thoughts.clear();
        }
        Ok(())
    }
}

impl Form for Events {
    fn content_type(&self) -> &'static str {
        "text/event-stream;charset=UTF-8"
    }

    fn room(&self) -> usize {
        320 + self.text.len() + self.thoughts.len()
    }

    fn piece(&mut self, out: &mut BytesMut, facts: &Facts, piece: &Piece) -> fmt::Result {
        match piece.thought {
            true => self.thoughts.push_str(piece.text),
            false => self.text.push_str(piece.text),
        }
        self.event(out, facts, "null", piece.sent)
    }

    fn end(&mut self, out: &mut BytesMut, facts: &Facts) -> fmt::Result {
        self.event(out, facts, facts.finish.as_str(), facts.tokens)
    }

    fn plain(&mut self, facts: &Facts) -> String {
        self.text = facts.answer();
        self.thoughts = facts.thoughts();
        let mut out = String::new();
        // Writing to memory does not fail.
        self.write(&mut out, facts, facts.finish.as_str(), facts.tokens)
            .ok();
        out
    }
}
