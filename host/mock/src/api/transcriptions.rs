//! OpenAI's transcriptions: an audio file in a multipart form.
//!
//! The file is not listened to. It counts a token for every 3,200 bytes begun, which is a tenth of a second of 16-bit
//! samples at 16 kHz; the `prompt` counts as text.

use std::fmt::{self, Write};

use bytes::BytesMut;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{Api, Asked, Call, Facts, Failure, Form, Length, Piece, openai};
use crate::config::UsageMode;
use crate::prompt::{Part, Prompt};

/// `/v1/audio/transcriptions` and `/v1/audio/translations`
#[derive(Debug)]
pub(super) struct Transcriptions;

const BYTES_PER_TOKEN: u64 = 3_200;

/// A field of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field<'a> {
    name: &'a str,
    value: &'a [u8],
}

/// The fields of a `multipart/form-data` body (RFC 7578).
fn fields<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Field<'a>>, String> {
    let wrong = |what: &str| format!("The body is not a multipart form: {what}.");
    let boundary = content_type
        .split(';')
        .filter_map(|part| part.trim().strip_prefix("boundary="))
        .map(|boundary| boundary.trim_matches('"'))
        .next()
        .filter(|boundary| !boundary.is_empty())
        .ok_or_else(|| wrong("its content type has no boundary"))?;
    let delimiter = format!("--{boundary}");
    let mut fields = Vec::new();
    let mut rest = body
        .strip_prefix(delimiter.as_bytes())
        .ok_or_else(|| wrong("it does not begin with the boundary"))?;
    let between = format!("\r\n{delimiter}");
    loop {
        if rest.starts_with(b"--") {
            return Ok(fields);
        }
        let part = rest
            .strip_prefix(b"\r\n")
            .ok_or_else(|| wrong("no line ends behind a boundary"))?;
        let end =
            find(part, between.as_bytes()).ok_or_else(|| wrong("its last boundary is missing"))?;
        let head = find(part, b"\r\n\r\n")
            .filter(|head| *head < end)
            .ok_or_else(|| wrong("a part has no head"))?;
        let name = std::str::from_utf8(&part[..head])
            .ok()
            .and_then(|head| {
                head.split("; ")
                    .find_map(|item| item.strip_prefix("name=\""))
            })
            .and_then(|name| name.split('"').next())
            .ok_or_else(|| wrong("a part has no name"))?;
        fields.push(Field {
            name,
            value: &part[head + 4..end],
        });
        rest = &part[end + between.len()..];
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    // Audio has few line ends: to look for the first byte alone passes over nearly all of it.
    let first = *wanted.first()?;
    let mut at = 0;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == first)?;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
}

impl Api for Transcriptions {
    fn has(&self, path: &str) -> bool {
        ["/v1/audio/transcriptions", "/v1/audio/translations"].contains(&path)
    }

    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String> {
        let content_type = call.headers.get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let fields = fields(content_type.unwrap_or_default(), call.body)?;
        let field = |name: &str| fields.iter().find(|field| field.name == name);
        let text = |name: &str| {
            let field = field(name)?;
            std::str::from_utf8(field.value).ok()
        };
        let file = field("file").ok_or("There is no file.")?;
        if file.value.is_empty() {
            return Err("The file is empty.".to_owned());
        }
        let model = text("model").ok_or("There is no model.")?;
        let audio_tokens = (file.value.len() as u64).div_ceil(BYTES_PER_TOKEN);
        let mut parts = vec![Part::Other(audio_tokens)];
        if let Some(prompt) = text("prompt") {
            parts.push(Part::Text(prompt.into()));
        }
        let format = match text("response_format") {
            None | Some("json") => Format::Json,
            Some("text") => Format::Text,
            Some("verbose_json") => Format::Verbose,
            Some(other) => return Err(format!("There is no response_format {other} here.")),
        };
        Ok(Asked {
            prompts: vec![Prompt { parts }],
            choices: 1,
            model: model.to_owned(),
            stream: text("stream").is_some_and(|stream| ["true", "True", "1"].contains(&stream)),
            length: Some(Length::up_to(&[])),
            reasons: false,
            form: Box::new(Transcript {
                format,
                audio_tokens,
            }),
        })
    }

    fn error(&self, _call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String) {
        openai::failed(failure)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Text,
    Verbose,
}

/// How the answer looks, and the events of a stream.
#[derive(Debug)]
struct Transcript {
    format: Format,
    audio_tokens: u64,
}

impl Transcript {
    /// Members and the usage.
    fn with_usage(&self, mut members: Value, facts: &Facts) -> Value {
        if facts.usage != UsageMode::Off {
            let (audio, all) = (self.audio_tokens, facts.prompt_tokens);
            members["usage"] = json!({
                "type": "tokens",
                "input_tokens": all,
                "input_token_details": {"text_tokens": all - audio, "audio_tokens": audio},
                "output_tokens": facts.tokens,
                "total_tokens": all + facts.tokens,
            });
        }
        members
    }
}

impl Form for Transcript {
    fn piece(&mut self, out: &mut BytesMut, _facts: &Facts, piece: &Piece) -> fmt::Result {
        write!(
            out,
            "data: {{\"type\":\"transcript.text.delta\",\"delta\":\"{}\"}}\n\n",
            piece.text
        )
    }

    fn end(&mut self, out: &mut BytesMut, facts: &Facts) -> fmt::Result {
        let done = json!({"type": "transcript.text.done", "text": facts.answer()});
        write!(out, "data: {}\n\n", self.with_usage(done, facts))
    }

    fn plain_type(&self) -> &'static str {
        match self.format {
            Format::Text => "text/plain; charset=utf-8",
            Format::Json | Format::Verbose => "application/json",
        }
    }

    fn plain(&mut self, facts: &Facts) -> String {
        let text = facts.answer();
        let members = match self.format {
            Format::Text => return text + "\n",
            Format::Json => json!({"text": text}),
            Format::Verbose => {
                let seconds = self.audio_tokens as f64 / 10.0;
                json!({"task": "transcribe", "language": "english", "duration": seconds,
                    "text": text, "segments": [{"id": 0, "start": 0.0, "end": seconds, "text": text}]})
            }
        };
        self.with_usage(members, facts).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_taken_apart() {
        let kind = "multipart/form-data; boundary=\"xx\"";
        let body = b"--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
            Content-Type: audio/wav\r\n\r\n\r\n-\0\r\n-\r\n--xx\r\n\
            Content-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--xx--\r\n";
        let file = Field {
            name: "file",
            value: b"\r\n-\0\r\n-",
        };
        let model = Field {
            name: "model",
            value: b"whisper",
        };
        assert_eq!(fields(kind, body), Ok(vec![file, model]));
        for (kind, body, part) in [
            ("multipart/form-data", &body[..], "no boundary"),
            ("a; boundary=yy", body, "does not begin"),
            (kind, &body[..80], "last boundary"),
            (kind, b"--xx\r\nx\r\n--xx--", "no head"),
            (kind, b"--xx\r\nx: y\r\n\r\nz\r\n--xx--", "no name"),
        ] {
            let error = fields(kind, body).err().unwrap_or_default();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
