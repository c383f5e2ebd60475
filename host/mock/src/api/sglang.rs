//! SGLang's own `/generate`.
//!
//! As there, each event of a stream repeats the text so far and has `meta_info` (its counts are left out with
//! [`UsageMode::Off`]), that of the last token says why it ended, and several prompts have an `index`.

use std::fmt::{self, Write};

use bytes::BytesMut;
use http::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{Api, Asked, Call, Facts, Failure, Finish, Form, Length, Piece};
use crate::config::UsageMode;
use crate::prompt::Prompts;

/// `/generate`, where the body has `text` or `input_ids`.
#[derive(Debug)]
pub(super) struct SgLang;

#[derive(Debug, Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    text: Option<Prompts<'a>>,
    #[serde(borrow)]
    input_ids: Option<Prompts<'a>>,
    sampling_params: Option<Sampling>,
    stream: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
struct Sampling {
    max_new_tokens: Option<u64>,
    min_new_tokens: Option<u64>,
    ignore_eos: Option<bool>,
}

/// What tells a body from those of others that have the same path.
#[derive(Debug, Default, Deserialize)]
struct Kind {
    text: Option<IgnoredAny>,
    input_ids: Option<IgnoredAny>,
    sampling_params: Option<IgnoredAny>,
}

/// The limit of a request that names none.
const MOST: u64 = 128;

impl Api for SgLang {
    fn has(&self, path: &str) -> bool {
        path == "/generate"
    }

    fn takes(&self, call: &Call<'_>) -> bool {
        let kind: Kind = call.json().unwrap_or_default();
        kind.text.is_some() || kind.input_ids.is_some() || kind.sampling_params.is_some()
    }

    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String> {
        let body: Body<'a> = call.json()?;
        let prompts = match (body.text, body.input_ids) {
            (Some(prompts), None) | (None, Some(prompts)) => prompts.0,
            _ => return Err("Either text or input_ids should be provided.".to_owned()),
        };
        let sampling = body.sampling_params.unwrap_or_default();
        let most = sampling.max_new_tokens.unwrap_or(MOST);
        Asked {
            choices: 1,
            model: String::new(),
            stream: body.stream.unwrap_or(false),
            length: Some(
                Length::up_to(&[Some(most)]).and(sampling.min_new_tokens, sampling.ignore_eos),
            ),
            reasons: false,
            form: Box::new(Events {
                text: String::new(),
            }),
            prompts,
        }
        .check()
    }

    fn error(&self, _call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String) {
        let body = json!({"error": {"message": failure.message}});
        (failure.fault.status(), body.to_string())
    }
}

/// How the answer looks, and the events of a stream.
#[derive(Debug)]
struct Events {
    /// The text so far.
    text: String,
}

/// What is told of an answer after so many tokens.
fn meta_info(facts: &Facts, choice: u64, sent: u64) -> Value {
    let is_last = sent == facts.tokens;
    let finish = match facts.finish {
        _ if !is_last => Value::Null,
        Finish::Stop => json!({"type": "stop", "matched": 2}),
        Finish::Length => json!({"type": "length", "length": sent}),
    };
    let mut info = json!({
        "id": format!("{}-{choice}", facts.id),
        "finish_reason": finish,
        "weight_version": "default",
    });
    if facts.usage != UsageMode::Off {
        let place = usize::try_from(choice).ok();
        let (prompt, cached) = place
            .and_then(|place| facts.prompts.get(place).copied())
            .unwrap_or_default();
        info["prompt_tokens"] = prompt.into();
        info["completion_tokens"] = sent.into();
        info["cached_tokens"] = cached.into();
    }
    if is_last {
        info["e2e_latency"] = facts.arrival.elapsed().as_secs_f64().into();
    }
    info
}

fn answer(facts: &Facts, choice: u64, text: &str, sent: u64) -> Value {
    json!({"text": text, "meta_info": meta_info(facts, choice, sent)})
}

impl Form for Events {
    fn room(&self) -> usize {
        384 + self.text.len()
    }

    fn piece(&mut self, out: &mut BytesMut, facts: &Facts, piece: &Piece) -> fmt::Result {
        if piece.choice == 0 {
            self.text.push_str(piece.text);
        }
        let mut event = answer(facts, piece.choice, &self.text, piece.sent);
        if facts.choices > 1 {
            event["index"] = piece.choice.into();
        }
        write!(out, "data: {event}\n\n")
    }

    fn end(&mut self, out: &mut BytesMut, facts: &Facts) -> fmt::Result {
        if facts.tokens == 0 {
            write!(out, "data: {}\n\n", answer(facts, 0, "", 0))?;
        }
        out.write_str("data: [DONE]\n\n")
    }

    fn plain(&mut self, facts: &Facts) -> String {
        let text = facts.answer();
        let answers = (0..facts.choices).map(|choice| answer(facts, choice, &text, facts.tokens));
        let mut answers: Vec<Value> = answers.collect();
        match answers.len() {
            1 => answers.remove(0).to_string(),
            _ => Value::Array(answers).to_string(),
        }
    }
}
