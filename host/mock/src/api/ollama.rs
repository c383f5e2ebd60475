//! Ollama's chat and generate: lines of JSON, streamed unless the request says otherwise.
//!
//! The last line has the counts (except with [`UsageMode::Off`]) and the durations. As there, tokens from the cache are
//! not told apart, and thoughts are counted with the answer.

use std::fmt::{self, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Api, Asked, Call, Facts, Failure, Form, Length, Piece};
use crate::config::UsageMode;
use crate::prompt::Prompt;

/// `/api/chat`
#[derive(Debug)]
pub(super) struct Chat;

/// `/api/generate`
#[derive(Debug)]
pub(super) struct Generate;

#[derive(Debug, Deserialize)]
struct Body<'a> {
    model: Option<String>,
    stream: Option<bool>,
    options: Option<Options>,
    #[serde(borrow)]
    messages: Option<Prompt<'a>>,
    #[serde(borrow)]
    system: Option<Prompt<'a>>,
    #[serde(borrow)]
    prompt: Option<Prompt<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct Options {
    /// Negative: no limit.
    num_predict: Option<i64>,
}

impl<'a> Body<'a> {
    fn asked(self, prompt: Prompt<'a>, is_chat: bool) -> Result<Asked<'a>, String> {
        if prompt.parts.is_empty() {
            return Err("There is no prompt.".to_owned());
        }
        let options = self.options.unwrap_or_default();
        let limit = options
            .num_predict
            .and_then(|most| u64::try_from(most).ok());
        Ok(Asked {
            prompts: vec![prompt],
            choices: 1,
            model: self.model.ok_or("model is required")?,
            stream: self.stream.unwrap_or(true),
            length: Some(Length::up_to(&[limit])),
            reasons: true,
            form: Box::new(Lines {
                is_chat,
                model: String::new(),
                first: None,
            }),
        })
    }
}

impl Api for Chat {
    fn has(&self, path: &str) -> bool {
        path == "/api/chat"
    }

    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String> {
        let mut body: Body<'a> = call.json()?;
        let messages = body.messages.take().unwrap_or_default();
        body.asked(messages, true)
    }

    fn error(&self, _call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String) {
        failed(failure)
    }
}

impl Api for Generate {
    fn has(&self, path: &str) -> bool {
        path == "/api/generate"
    }

    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String> {
        let mut body: Body<'a> = call.json()?;
        let mut prompt = Prompt::default();
        if let Some(system) = body.system.take() {
            prompt.add("system", system);
        }
        if let Some(text) = body.prompt.take() {
            prompt.add("user", text);
        }
        body.asked(prompt, false)
    }

    fn error(&self, _call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String) {
        failed(failure)
    }
}

fn failed(failure: &Failure<'_>) -> (StatusCode, String) {
    let body = json!({"error": failure.message});
    (failure.fault.status(), body.to_string())
}

/// How the answer looks, and the lines of a stream.
#[derive(Debug)]
struct Lines {
    is_chat: bool,
    /// The model's name in JSON.
    model: String,
    /// When the first token was written.
    first: Option<Instant>,
}

impl Lines {
    /// Writes the beginning of a line, with a text that needs no escapes.
    fn write(&self, out: &mut impl Write, text: &str, thought: bool) -> fmt::Result {
        write!(out, r#"{{"model":{},"created_at":""#, self.model)?;
        write_time(out, SystemTime::now())?;
        let (thinking, text) = match thought {
            true => (text, ""),
            false => ("", text),
        };
        out.write_str(match self.is_chat {
            true => r#"","message":{"role":"assistant","content":""#,
            false => r#"","response":""#,
        })?;
        write!(out, "{text}\"")?;
        if !thinking.is_empty() {
            write!(out, r#","thinking":"{thinking}""#)?;
        }
        out.write_str(if self.is_chat { "}" } else { "" })
    }

    /// The members that end an answer.
    fn summary(&self, facts: &Facts) -> Map<String, Value> {
        let now = Instant::now();
        let first = self.first.unwrap_or(facts.first);
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut members = json!({
            "done": true,
            "done_reason": facts.finish.as_str(),
            "total_duration": nanos(now - facts.arrival),
            "load_duration": 0,
            "prompt_eval_duration": nanos(first - facts.arrival),
            "eval_duration": nanos(now - first),
        });
        if facts.usage != UsageMode::Off {
            members["prompt_eval_count"] = facts.prompt_tokens.into();
            members["eval_count"] = facts.tokens.into();
        }
        match members {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }
}

impl Form for Lines {
    fn content_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn begin(&mut self, facts: &Facts) {
        self.model = json!(facts.model).to_string();
    }

    fn room(&self) -> usize {
        self.model.len() + 192
    }

    fn piece(&mut self, out: &mut BytesMut, _facts: &Facts, piece: &Piece) -> fmt::Result {
        self.first.get_or_insert_with(Instant::now);
        self.write(out, piece.text, piece.thought)?;
        out.write_str(",\"done\":false}\n")
    }

    fn end(&mut self, out: &mut BytesMut, facts: &Facts) -> fmt::Result {
        self.write(out, "", false)?;
        for (name, value) in self.summary(facts) {
            write!(out, r#","{name}":{value}"#)?;
        }
        out.write_str("}\n")
    }

    fn plain(&mut self, facts: &Facts) -> String {
        let mut created = String::new();
        // Writing to memory does not fail.
        write_time(&mut created, SystemTime::now()).ok();
        let mut answer = json!({"model": facts.model, "created_at": created});
        let mut message = json!({});
        if self.is_chat {
            message["role"] = "assistant".into();
        }
        message[if self.is_chat { "content" } else { "response" }] = facts.answer().into();
        if facts.reasoning > 0 {
            message["thinking"] = facts.thoughts().into();
        }
        if self.is_chat {
            answer["message"] = message;
        } else if let (Value::Object(answer), Value::Object(message)) = (&mut answer, message) {
            answer.extend(message);
        }
        if let Value::Object(answer) = &mut answer {
            answer.extend(self.summary(facts));
        }
        answer.to_string()
    }
}

/// Writes a time as RFC 3339 has it, in UTC.
fn write_time(out: &mut impl Write, time: SystemTime) -> fmt::Result {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days: years begin in March, so that
    // the leap day is the last.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = match month_from_march {
        0..=9 => month_from_march + 3,
        _ => month_from_march - 9,
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:09}Z",
        since.subsec_nanos()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000005Z"),
            (951_782_400, "2000-02-29T00:00:00.000000005Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000005Z"),
        ] {
            let mut out = String::new();
            let time = UNIX_EPOCH + Duration::new(seconds, 5);
            assert!(write_time(&mut out, time).is_ok());
            assert_eq!(out, text);
        }
    }
}
