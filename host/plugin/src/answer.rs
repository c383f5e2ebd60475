//! What a response that came whole is worth: whether the server reports an error in it, and whether nothing in
//! it is meant so. Knows no API: errors look much the same wherever they come from.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use llmuses_core::exchange::{Exchange, ResponseLog};
use llmuses_core::wording::one_line;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// How much of a response a message shows, in characters.
const EXCERPT: usize = 80;

/// How an answer ends that is over as it should be.
const ENDED_WELL: [&str; 6] = [
    "stop",
    "end_turn",
    "stop_sequence",
    "eos",
    "eos_token",
    "completed",
];

/// How an answer ends that the server gave up.
const GIVEN_UP: [&str; 13] = [
    "error",
    "abort",
    "aborted",
    "cancelled",
    "canceled",
    "failed",
    "exception",
    "timeout",
    "timed_out",
    "network_error",
    "server_error",
    "internal_error",
    "insufficient_system_resource",
];

/// Members that hold what a model says, or a part of a protocol that brings it. An object with one of them is
/// not an error as a whole.
const OF_ANSWERS: [&str; 10] = [
    "choices",
    "output",
    "candidates",
    "content",
    "delta",
    "response",
    "generated_text",
    "token",
    "text",
    "usage",
];

/// How sure it must be that it is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Other events of the response bring output, or may: an object that has a `message` and nothing else can be
    /// a part of the protocol.
    Some,
    /// The response has no output at all.
    Strong,
}

/// What an event holds, as text in small letters or large ones, that reports an error beside output: a member or a value of
/// [`in_object`], or an escape that may be a letter of one.
const SIGNS: [&str; 16] = [
    "\"err",
    "_error\"",
    "\"fault",
    "exception\"",
    "errormessage\"",
    "\"abort",
    "\"cancel",
    "\"failed\"",
    "\"timeout\"",
    "\"timed_out\"",
    "\"insufficient_",
    "\"base_resp\"",
    "code\"",
    "\"detail\"",
    "\"success\"",
    "\"status\"",
];
const ESCAPED_LETTER: &str = "\\u00";

/// Finds the first of them. A table of states reads each byte once; to look for rare bytes first, as is done where nothing
/// is said, takes twice as long in JSON, where quotes are not rare. `None` where it cannot be made.
static SIGN: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .prefilter(false)
        .build(SIGNS.iter().chain([&ESCAPED_LETTER]))
        .ok()
});

/// Whether an event may report an error beside output. Nearly none does, and to read its JSON would cost more than
/// everything else that is done here with a response.
fn may_report_an_error(data: &[u8]) -> bool {
    SIGN.as_ref().is_none_or(|sign| sign.is_match(data))
}

/// The error that an event or body reports, with its code. `None`: it reports none.
pub fn server_error(data: &[u8], suspicion: Suspicion) -> Option<String> {
    let told = match serde_json::from_slice(data).ok()? {
        Value::Object(members) => in_object(&members, suspicion),
        // Google's errors come in a list of one.
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_object)
            .find_map(|members| in_object(members, suspicion)),
        _ => None,
    }?;
    Some(format!(
        "the server reported an error in its response: {told}"
    ))
}

/// The same of a whole response, of which these events carry output. They are not looked at, but for the last.
pub fn error_beside(response: &ResponseLog, outputs: &[u32]) -> Option<String> {
    let suspicion = match outputs {
        [] => Suspicion::Strong,
        _ => Suspicion::Some,
    };
    let last = response.len().checked_sub(1);
    let mut outputs = outputs.iter().copied().peekable();
    response.iter().enumerate().find_map(|(index, data)| {
        let is_output = outputs
            .next_if(|output| *output as usize == index)
            .is_some();
        let is_looked_at = !is_output || Some(index) == last;
        (is_looked_at && (suspicion == Suspicion::Strong || may_report_an_error(data)))
            .then(|| server_error(data, suspicion))
            .flatten()
    })
}

fn in_object(members: &Map<String, Value>, suspicion: Suspicion) -> Option<String> {
    let named = ["error", "errors", "Error", "err", "fault"]
        .into_iter()
        .filter_map(|name| members.get(name))
        .find(|error| says_something(error));
    if let Some(error) = named {
        return Some(told(error, members));
    }
    // As the services of AWS name the errors in their streams.
    let exception = members
        .iter()
        .find(|(name, error)| name.ends_with("Exception") && error.is_object());
    if let Some((name, error)) = exception {
        return Some(told(
            error,
            &Map::from_iter([("code".to_owned(), name.as_str().into())]),
        ));
    }
    // Where Groq reports errors of a stream.
    if let Some(Value::Object(of_groq)) = members.get("x_groq")
        && let Some(error) = of_groq.get("error").filter(|error| says_something(error))
    {
        return Some(told(error, of_groq));
    }
    let kind = |name| members.get(name).and_then(Value::as_str);
    if kind("object") == Some("error") || kind("type") == Some("error") {
        return Some(message_of(members));
    }
    if let Some(reason) = in_choices(members) {
        return Some(reason);
    }
    let brings_an_answer = OF_ANSWERS
        .iter()
        .filter_map(|name| members.get(*name))
        .any(says_something);
    if brings_an_answer {
        return None;
    }
    let base = members.get("base_resp").and_then(Value::as_object);
    if let Some(base) = base
        && base.get("status_code").is_some_and(is_bad_code)
    {
        return Some(message_of(base));
    }
    const CODES: [&str; 6] = [
        "code",
        "error_code",
        "err_code",
        "errcode",
        "status_code",
        "statusCode",
    ];
    // A code interpreter of OpenAI's Responses has its program in `code`.
    let is_event = kind("type").is_some_and(|kind| kind.starts_with("response."));
    let is_bad = |name: &&str| members.get(*name).is_some_and(is_bad_code);
    // Beside a good code such a message says that all is well: `"errcode": 0, "errmsg": "ok"`.
    let has_good_code = CODES
        .iter()
        .any(|name| members.contains_key(*name) && !is_bad(name));
    let has_error_message = || {
        let mut messages = ERROR_MESSAGES.iter().filter_map(|name| members.get(*name));
        messages.any(|message| says_something(message) && !says_all_is_well(message))
    };
    let is_told = (!is_event && CODES.iter().any(is_bad))
        || (!has_good_code && has_error_message())
        || members.get("detail").is_some_and(says_something)
        || members.get("status").is_some_and(is_http_error)
        || members.get("success") == Some(&Value::Bool(false))
        || kind("status").is_some_and(is_given_up);
    let is_message = suspicion == Suspicion::Strong
        && ["message", "msg"].iter().any(|name| {
            members
                .get(*name)
                .is_some_and(|text| text.is_string() && says_something(text))
        });
    (is_told || is_message).then(|| message_of(members))
}

/// What is wrong with one of the choices: an error of its own, or an end that is none.
fn in_choices(members: &Map<String, Value>) -> Option<String> {
    let output = members.get("output").and_then(Value::as_object);
    let choices = [Some(members), output]
        .into_iter()
        .flatten()
        .filter_map(|holder| holder.get("choices")?.as_array())
        .flatten()
        .filter_map(Value::as_object);
    for choice in choices.chain(output) {
        if let Some(error) = choice.get("error")
            && says_something(error)
        {
            return Some(told(error, choice));
        }
        let reason = choice.get("finish_reason").and_then(Value::as_str);
        if let Some(reason) = reason.filter(|reason| is_given_up(reason)) {
            return Some(format!("the answer ended with finish_reason `{reason}`"));
        }
    }
    None
}

/// Whether an end, or a state, is that of an answer which the server gave up.
pub fn is_given_up(end: &str) -> bool {
    GIVEN_UP.iter().any(|known| end.eq_ignore_ascii_case(known))
}

/// Whether an answer that ends so is over as it should be.
pub fn is_good_end(end: &str) -> bool {
    ENDED_WELL
        .iter()
        .any(|known| end.eq_ignore_ascii_case(known))
}

/// An error as it was given, and the code beside it.
fn told(error: &Value, beside: &Map<String, Value>) -> String {
    let shown = match error {
        Value::String(text) => text.clone(),
        Value::Object(members) if members.get("message").is_some_and(Value::is_string) => {
            return message_of(members);
        }
        other => other.to_string(),
    };
    let mut codes = ["code", "error_type"]
        .into_iter()
        .filter_map(|name| beside.get(name));
    match codes.find(|code| says_something(code)) {
        Some(code) => with_code(&shown, &plain(code)),
        None => one_line(&shown, 300),
    }
}

/// The message in an object that is an error, with its type and code; the whole object where it has none.
fn message_of(members: &Map<String, Value>) -> String {
    const CODES: [&str; 7] = [
        "type",
        "code",
        "error_code",
        "err_code",
        "errcode",
        "status_code",
        "statusCode",
    ];
    let message = MESSAGES
        .iter()
        .chain(&ERROR_MESSAGES)
        .filter_map(|name| members.get(*name))
        .find(|message| says_something(message));
    let Some(message) = message else {
        return one_line(&Value::Object(members.clone()).to_string(), 300);
    };
    let codes: Vec<String> = CODES
        .iter()
        .filter_map(|name| members.get(*name))
        .filter(|code| says_something(code) && code.as_str() != Some("error"))
        .map(plain)
        .collect();
    with_code(&plain(message), &codes.join(", "))
}

/// Members that hold the message of an error and nothing else.
const ERROR_MESSAGES: [&str; 4] = ["error_msg", "errmsg", "error_message", "errorMessage"];

/// Members that hold the message of an error, or another one.
const MESSAGES: [&str; 4] = ["message", "msg", "detail", "status_msg"];

fn with_code(message: &str, code: &str) -> String {
    let message = one_line(message, 300);
    if code.is_empty() {
        return message;
    }
    format!("{message} ({})", one_line(code, 60))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a status is one of HTTP that stands for an error, as a number or as text.
fn is_http_error(status: &Value) -> bool {
    let number = match status {
        Value::String(text) => text.trim().parse().ok(),
        status => status.as_u64(),
    };
    number.is_some_and(|status| (400..600).contains(&status))
}

/// Whether a code is one of an error: not zero, and no status of success.
fn is_bad_code(code: &Value) -> bool {
    let number = match code {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => return false,
    };
    match number {
        Some(number) => number != 0.0 && !(100.0..300.0).contains(&number),
        None => !says_all_is_well(code),
    }
}

/// Whether a text is one of those that stand where nothing is wrong.
fn says_all_is_well(text: &Value) -> bool {
    const GOOD: [&str; 5] = ["", "ok", "success", "null", "none"];
    GOOD.contains(&plain(text).trim().to_ascii_lowercase().as_str())
}

/// Whether a value says anything: servers write `null`, `[]`, `{}`, `""` or 0 where they have nothing to say.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(members) => members.values().any(says_something),
    }
}

/// Whether a response without output says that its answer is over as it should be.
pub fn ended_well(response: &ResponseLog) -> bool {
    response
        .iter()
        .any(|data| serde_json::from_slice(data).is_ok_and(|value: Value| has_good_end(&value)))
}

fn has_good_end(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_good_end),
        Value::Object(members) => members.iter().any(|(name, value)| {
            let is_end = matches!(
                name.as_str(),
                "finish_reason" | "stop_reason" | "finishReason" | "done_reason"
            );
            match value {
                Value::String(reason) => is_end && is_good_end(reason),
                other => has_good_end(other),
            }
        }),
        _ => false,
    }
}

/// What came, for a message: the type of the response and its beginning.
pub fn excerpt(exchange: &Exchange) -> String {
    let kind = exchange
        .head
        .as_ref()
        .and_then(|head| head.content_type.as_deref());
    let kind = match (kind, exchange.response.is_streamed()) {
        (_, true) => "an event stream".to_owned(),
        (Some(kind), false) => format!("a body of {}", one_line(kind, EXCERPT)),
        (None, false) => "a body".to_owned(),
    };
    // What is no JSON is why a parser gives up.
    let told = exchange
        .response
        .iter()
        .find(|data| serde_json::from_slice::<serde::de::IgnoredAny>(data).is_err())
        .or_else(|| exchange.response.iter().next())
        .unwrap_or_default();
    let start = &told[..told.len().min(8 * EXCERPT)];
    let beginning = one_line(&String::from_utf8_lossy(start), EXCERPT);
    if beginning.is_empty() {
        return format!("what came is {kind} without any text");
    }
    format!("what came is {kind} with: {beginning}")
}

#[cfg(test)]
mod tests;
