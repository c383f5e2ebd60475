//! Hugging Face's Text Generation Inference: `/generate` and `/generate_stream`.
//!
//! As there, the last token of a stream carries the whole text and the counts (except with [`UsageMode::Off`]), and
//! nothing comes after it.

use std::fmt::{self, Write};

use bytes::BytesMut;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{Api, Asked, Call, Facts, Failure, Fault, Form, Length, Piece};
use crate::config::UsageMode;
use crate::prompt::Prompts;

/// `/generate` and `/generate_stream`
#[derive(Debug)]
pub(super) struct Tgi;

#[derive(Debug, Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    inputs: Option<Prompts<'a>>,
    parameters: Option<Parameters>,
}

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    max_new_tokens: Option<u64>,
    details: Option<bool>,
}

impl Api for Tgi {
    fn has(&self, path: &str) -> bool {
        ["/generate", "/generate_stream"].contains(&path)
    }

    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String> {
        let body: Body<'a> = call.json()?;
        let prompts = body.inputs.unwrap_or_default().0;
        if prompts.len() != 1 {
            return Err("Input validation error: `inputs` must be one text".to_owned());
        }
        let parameters = body.parameters.unwrap_or_default();
        if parameters.max_new_tokens == Some(0) {
            return Err(
                "Input validation error: `max_new_tokens` must be strictly positive".into(),
            );
        }
        Ok(Asked {
            prompts,
            choices: 1,
            model: String::new(),
            stream: call.path == "/generate_stream",
            length: Some(Length::up_to(&[parameters.max_new_tokens])),
            reasons: false,
            form: Box::new(Events {
                details: parameters.details.unwrap_or(false),
            }),
        })
    }

    fn error(&self, _call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String) {
        let (status, kind) = match failure.fault {
            Fault::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "validation"),
            Fault::Overloaded => (StatusCode::TOO_MANY_REQUESTS, "overloaded"),
            Fault::Internal => (StatusCode::FAILED_DEPENDENCY, "generation"),
        };
        let body = json!({"error": failure.message, "error_type": kind});
        (status, body.to_string())
    }
}

/// How the answer looks, and the events of a stream.
#[derive(Debug)]
struct Events {
    details: bool,
}

impl Events {
    fn event(
        out: &mut BytesMut,
        facts: &Facts,
        text: &str,
        sent: u64,
        is_special: bool,
    ) -> fmt::Result {
        // As if the vocabulary were the list of words: the number only has to be one.
        let id = 1_000 + sent;
        write!(
            out,
            r#"data:{{"index":{sent},"token":{{"id":{id},"text":"{text}","logprob":-0.5,"special":{is_special}}},"generated_text":"#
        )?;
        if sent < facts.tokens {
            return out.write_str("null,\"details\":null}\n\n");
        }
        write!(out, r#""{}","details":"#, facts.answer())?;
        if facts.usage == UsageMode::Off {
            return out.write_str("null}\n\n");
        }
        let finish = facts.finish.pick("eos_token", "length");
        let (tokens, prompt) = (facts.tokens, facts.prompt_tokens);
        write!(
            out,
            r#"{{"finish_reason":"{finish}","generated_tokens":{tokens},"seed":null,"input_length":{prompt}}}}}"#
        )?;
        out.write_str("\n\n")
    }
}

impl Form for Events {
    fn piece(&mut self, out: &mut BytesMut, facts: &Facts, piece: &Piece) -> fmt::Result {
        Self::event(out, facts, piece.text, piece.sent, false)
    }

    fn end(&mut self, out: &mut BytesMut, facts: &Facts) -> fmt::Result {
        match facts.tokens {
            0 => Self::event(out, facts, "", 0, true),
            _ => Ok(()),
        }
    }

    fn plain(&mut self, facts: &Facts) -> String {
        let mut answer = json!({"generated_text": facts.answer()});
        if self.details && facts.usage != UsageMode::Off {
            answer["details"] = json!({
                "finish_reason": facts.finish.pick("eos_token", "length"),
                "generated_tokens": facts.tokens,
                "seed": null,
                "prefill": [],
                "tokens": [],
            });
        }
        answer.to_string()
    }
}
