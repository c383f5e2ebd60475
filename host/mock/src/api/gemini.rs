//! Google's Gemini: `generateContent`, and `streamGenerateContent` as events (`?alt=sse`) or as a JSON array.
//!
//! As there, every chunk of a stream tells usage (except with [`UsageMode::Off`]), and `candidatesTokenCount` leaves out
//! the thoughts.

use std::fmt::{self, Write};

use bytes::BytesMut;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{Api, Asked, Call, Facts, Failure, Fault, Form, Length, Piece, parameter};
use crate::config::UsageMode;
use crate::prompt::Prompt;

/// `/v1beta/models/{model}:generateContent` and `:streamGenerateContent`
#[derive(Debug)]
pub(super) struct Gemini;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow)]
    contents: Option<Prompt<'a>>,
    #[serde(borrow, alias = "system_instruction")]
    system_instruction: Option<Prompt<'a>>,
    #[serde(alias = "generation_config")]
    generation_config: Option<Generation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generation {
    #[serde(alias = "max_output_tokens")]
    max_output_tokens: Option<u64>,
}

/// The model and the method of a path such as `/v1beta/models/MODEL:METHOD`, after any prefix.
fn target(path: &str) -> Option<(&str, &str)> {
    let (_, target) = path.rsplit_once("/models/")?;
    let (model, method) = target.rsplit_once(':')?;
    let is_known = ["generateContent", "streamGenerateContent"].contains(&method);
    is_known.then_some((model, method))
}

/// Whether a call is for a stream that is one JSON array.
fn streams_an_array(call: &Call<'_>) -> bool {
    let streams = target(call.path).is_some_and(|(_, method)| method == "streamGenerateContent");
    streams && parameter(call.query, "alt") != Some("sse")
}

impl Api for Gemini {
    fn has(&self, path: &str) -> bool {
        target(path).is_some()
    }

    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String> {
        let body: Body<'a> = call.json()?;
        let contents = body.contents.filter(|contents| !contents.parts.is_empty());
        let contents = contents.ok_or("contents is not specified")?;
        let mut prompt = Prompt::default();
        if let Some(system) = body.system_instruction {
            prompt.add("system", system.without_messages());
        }
        prompt.parts.extend(contents.parts);
        let (model, method) = target(call.path).unwrap_or_default();
        let generation = body.generation_config.unwrap_or_default();
        Ok(Asked {
            prompts: vec![prompt],
            choices: 1,
            model: model.to_owned(),
            stream: method == "streamGenerateContent",
            length: Some(Length::up_to(&[generation.max_output_tokens])),
            reasons: true,
            form: Box::new(Chunks {
                is_array: streams_an_array(call),
                is_first: true,
                close: String::new(),
            }),
        })
    }

    fn error(&self, call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String) {
        let status = failure.fault.status();
        let name = match failure.fault {
            Fault::Invalid => "INVALID_ARGUMENT",
            Fault::Overloaded => "RESOURCE_EXHAUSTED",
            Fault::Internal => "INTERNAL",
        };
        let error = json!({"error": {"code": status.as_u16(), "message": failure.message,
            "status": name}});
        let body = match streams_an_array(call) {
            true => json!([error]),
            false => error,
        };
        (status, body.to_string())
    }
}

/// How the answer looks, and the chunks of a stream.
#[derive(Debug)]
struct Chunks {
    is_array: bool,
    is_first: bool,
    /// What ends a chunk.
    close: String,
}

/// A part of the answer in the JSON of a chunk. The text needs no escapes.
struct Text<'a> {
    text: &'a str,
    thought: bool,
}

impl Chunks {
    fn prepare(&mut self, facts: &Facts) {
        let model = json!(facts.model);
        self.close = format!(r#","modelVersion":{model},"responseId":"{}"}}"#, facts.id);
    }

    /// Writes the JSON of a chunk after so many tokens.
    fn write(
        &self,
        out: &mut impl Write,
        facts: &Facts,
        parts: &[Text<'_>],
        is_last: bool,
        sent: u64,
    ) -> fmt::Result {
        out.write_str(r#"{"candidates":[{"content":{"parts":["#)?;
        for (index, part) in parts.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let thought = if part.thought {
                r#","thought":true"#
            } else {
                ""
            };
            write!(out, r#"{comma}{{"text":"{}"{thought}}}"#, part.text)?;
        }
        out.write_str(r#"],"role":"model"},"#)?;
        if is_last {
            let finish = facts.finish.pick("STOP", "MAX_TOKENS");
            write!(out, r#""finishReason":"{finish}","#)?;
        }
        out.write_str(r#""index":0}]"#)?;
        if facts.usage != UsageMode::Off {
            let prompt = facts.prompt_tokens;
            let thoughts = sent.min(facts.reasoning);
            let (answer, total) = (sent - thoughts, prompt + sent);
            write!(
                out,
                r#","usageMetadata":{{"promptTokenCount":{prompt},"candidatesTokenCount":{answer},"totalTokenCount":{total}"#
            )?;
            if let Some(cached) = facts.cached {
                write!(out, r#","cachedContentTokenCount":{cached}"#)?;
            }
            if facts.reasoning > 0 {
                write!(out, r#","thoughtsTokenCount":{thoughts}"#)?;
            }
            out.write_str("}")?;
        }
        out.write_str(&self.close)
    }

    fn chunk(
        &mut self,
        out: &mut BytesMut,
        facts: &Facts,
        part: Text<'_>,
        is_last: bool,
        sent: u64,
    ) -> fmt::Result {
        out.write_str(match (self.is_array, self.is_first) {
            (false, _) => "data: ",
            (true, true) => "[",
            (true, false) => ",\r\n",
        })?;
        self.is_first = false;
        self.write(out, facts, &[part], is_last, sent)?;
        out.write_str(match (self.is_array, is_last) {
            (false, _) => "\r\n\r\n",
            (true, true) => "]",
            (true, false) => "",
        })
    }
}

impl Form for Chunks {
    fn content_type(&self) -> &'static str {
        match self.is_array {
            true => "application/json; charset=UTF-8",
            false => "text/event-stream",
        }
    }

    fn begin(&mut self, facts: &Facts) {
        self.prepare(facts);
    }

    fn room(&self) -> usize {
        320 + self.close.len()
    }

    fn piece(&mut self, out: &mut BytesMut, facts: &Facts, piece: &Piece) -> fmt::Result {
        let part = Text {
            text: piece.text,
            thought: piece.thought,
        };
        self.chunk(out, facts, part, false, piece.sent)
    }

    fn end(&mut self, out: &mut BytesMut, facts: &Facts) -> fmt::Result {
        let part = Text {
            text: "",
            thought: false,
        };
        self.chunk(out, facts, part, true, facts.tokens)
    }

    fn plain(&mut self, facts: &Facts) -> String {
        self.prepare(facts);
        let (thoughts, answer) = (facts.thoughts(), facts.answer());
        let parts = [(&thoughts, true), (&answer, false)];
        let parts: Vec<_> = parts
            .iter()
            .filter(|(text, thought)| !*thought || !text.is_empty())
            .map(|(text, thought)| Text {
                text,
                thought: *thought,
            })
            .collect();
        let mut out = String::new();
        // Writing to memory does not fail.
        self.write(&mut out, facts, &parts, true, facts.tokens).ok();
        out
    }
}
