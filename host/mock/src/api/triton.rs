//! NVIDIA Triton's generate extension, with the names of its vLLM backend and of TensorRT-LLM's models.
//!
//! It has no usage but what a request asks for (`return_num_input_tokens`, `return_num_output_tokens`,
//! `return_finish_reason`), and nothing of that with [`UsageMode::Off`].

use std::fmt::{self, Write};

use bytes::BytesMut;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Asked, Call, Facts, Failure, Form, Length, Piece};
use crate::config::UsageMode;
use crate::prompt::Prompt;

/// `/v2/models/{model}/generate` and `/generate_stream`
#[derive(Debug)]
pub(super) struct Triton;

#[derive(Debug, Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    text_input: Option<Prompt<'a>>,
    #[serde(flatten)]
    wishes: Wishes,
    parameters: Option<Wishes>,
}

/// What stands beside the text with some models, and in `parameters` with others.
#[derive(Debug, Default, Clone, Deserialize)]
struct Wishes {
    max_tokens: Option<u64>,
    min_tokens: Option<u64>,
    ignore_eos: Option<bool>,
    return_num_input_tokens: Option<bool>,
    return_num_output_tokens: Option<bool>,
    return_finish_reason: Option<bool>,
}

/// The model and the method of a path.
fn target(path: &str) -> Option<(&str, &str)> {
    let (model, method) = path.strip_prefix("/v2/models/")?.rsplit_once('/')?;
    let model = model.split('/').next()?;
    let is_known = ["generate", "generate_stream"].contains(&method);
    (is_known && !model.is_empty()).then_some((model, method))
}

impl Api for Triton {
    fn has(&self, path: &str) -> bool {
        target(path).is_some()
    }

    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String> {
        let body: Body<'a> = call.json()?;
        let prompt = body.text_input.filter(|prompt| !prompt.parts.is_empty());
        let prompt = prompt.ok_or("expected text_input")?;
        let (outer, inner) = (body.wishes, body.parameters.unwrap_or_default());
        let (model, method) = target(call.path).unwrap_or_default();
        let wants = |outer: Option<bool>, inner| outer.or(inner).unwrap_or(false);
        Ok(Asked {
            prompts: vec![prompt],
            choices: 1,
            model: model.to_owned(),
            stream: method == "generate_stream",
            length: Some(Length::up_to(&[outer.max_tokens, inner.max_tokens]).and(
                outer.min_tokens.or(inner.min_tokens),
                outer.ignore_eos.or(inner.ignore_eos),
            )),
            reasons: false,
            form: Box::new(Events {
                input: wants(outer.return_num_input_tokens, inner.return_num_input_tokens),
                output: wants(
                    outer.return_num_output_tokens,
                    inner.return_num_output_tokens,
                ),
                finish: wants(outer.return_finish_reason, inner.return_finish_reason),
            }),
        })
    }

    fn error(&self, _call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String) {
        let body = json!({"error": failure.message});
        (failure.fault.status(), body.to_string())
    }
}

/// How the answer looks, and the events of a stream.
#[derive(Debug)]
struct Events {
    input: bool,
    output: bool,
    finish: bool,
}

impl Events {
    /// An answer or a part of it, with so many tokens in it.
    fn answer(&self, facts: &Facts, text: &str, tokens: u64, is_last: bool) -> Value {
        let mut answer = json!({
            "model_name": facts.model,
            "model_version": "1",
            "text_output": text,
        });
        if facts.usage != UsageMode::Off {
            if self.input {
                answer["num_input_tokens"] = facts.prompt_tokens.into();
            }
            if self.output {
                answer["num_output_tokens"] = tokens.into();
            }
        }
        if self.finish {
            answer["finish_reason"] = match is_last {
                true => facts.finish.as_str().into(),
                false => Value::Null,
            };
        }
        answer
    }
}

impl Form for Events {
    fn piece(&mut self, out: &mut BytesMut, facts: &Facts, piece: &Piece) -> fmt::Result {
        let is_last = piece.sent == facts.tokens;
        let answer = self.answer(facts, piece.text, 1, is_last);
        write!(out, "data: {answer}\n\n")
    }

    fn end(&mut self, out: &mut BytesMut, facts: &Facts) -> fmt::Result {
        match facts.tokens {
            0 => write!(out, "data: {}\n\n", self.answer(facts, "", 0, true)),
            _ => Ok(()),
        }
    }

    fn plain(&mut self, facts: &Facts) -> String {
        self.answer(facts, &facts.answer(), facts.tokens, true)
            .to_string()
    }
}
