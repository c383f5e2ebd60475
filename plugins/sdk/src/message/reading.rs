//! Responses as JSON, and the errors that servers report in them.

use crate::json::explain;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

/// The responses with what is not UTF-8 in them replaced, and escapes that are half a character: a model that
/// stops within a character makes servers send either, and the rest of the answer is as good as any.
pub(crate) fn readable(responses: &[Vec<u8>]) -> Cow<'_, [Vec<u8>]> {
    let is_good = |data: &Vec<u8>| str::from_utf8(data).is_ok() && half_escapes(data).is_empty();
    if responses.iter().all(is_good) {
        return Cow::Borrowed(responses);
    }
    let replaced = |data: &Vec<u8>| {
        let mut data = String::from_utf8_lossy(data).into_owned().into_bytes();
        for place in half_escapes(&data) {
            data[place..place + 6].copy_from_slice(b"\\ufffd");
        }
        data
    };
    Cow::Owned(responses.iter().map(replaced).collect())
}

/// Reads responses by `read_all`. Where one has what is not UTF-8 or half a character, or a member twice, which some servers
/// send, they are read once more without that: a look for it would cost more than all other reading.
pub(crate) fn leniently<T>(
    responses: &[Vec<u8>],
    read_all: impl Fn(&[Vec<u8>]) -> Result<T, String>,
) -> Result<T, String> {
    let mut read = read_all(responses);
    if read.is_ok() {
        return read;
    }
    let readable = readable(responses);
    if let Cow::Owned(readable) = &readable {
        read = read_all(readable);
    }
    match read {
        Err(error) if error.contains("duplicate field") => {
            let once = readable.iter().map(|data| with_single_members(data));
            read_all(&once.collect::<Vec<_>>())
        }
        read => read,
    }
}

/// A response without what [`leniently`] reads others over.
pub(crate) fn cleaned(response: &[u8]) -> Vec<u8> {
    let response = [response.to_vec()];
    let readable = readable(&response);
    readable
        .iter()
        .flat_map(|data| with_single_members(data))
        .collect()
}

/// Of a member that comes twice, the last one stays.
fn with_single_members(data: &[u8]) -> Vec<u8> {
    match serde_json::from_slice::<Value>(data) {
        Ok(value) => value.to_string().into_bytes(),
        Err(_) => data.to_vec(),
    }
}

/// Where `data` has an escape of six bytes (`\ud83d`) for half of a surrogate pair whose other half is missing.
fn half_escapes(data: &[u8]) -> Vec<usize> {
    let unit = |place: usize| {
        let digits = data.get(place..place + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut found = Vec::new();
    let mut place = 0;
    while let Some(step) = data[place..].iter().position(|&byte| byte == b'\\') {
        place += step;
        place += match unit(place) {
            Some(0xD800..=0xDBFF) if matches!(unit(place + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                found.push(place);
                6
            }
            _ => 2,
        };
        if place >= data.len() {
            break;
        }
    }
    found
}

/// Reads one response as JSON. `None` where it is blank, as an event that only keeps the stream alive, or an
/// empty value of another type than an object.
///
/// Errors name the response by its number among all of them, from 1.
pub(crate) fn read<'a, T: Deserialize<'a>>(
    responses: &'a [Vec<u8>],
    index: usize,
) -> Result<Option<T>, String> {
    let bytes = responses.get(index).map(Vec::as_slice).unwrap_or_default();
    let place = || match responses.len() {
        1 => "the response".to_owned(),
        _ => format!("chunk {}", index + 1),
    };
    let explained = |error: serde_json::Error| explain(&place(), bytes, &error);
    match bytes.trim_ascii_start().first() {
        None => Ok(None),
        Some(b'{') => serde_json::from_slice(bytes).map(Some).map_err(explained),
        // An array would pass for an object whose fields come in order, so that it must not get as far.
        Some(_) => match serde_json::from_slice::<Value>(bytes) {
            Ok(value) if says_nothing(&value) => Ok(None),
            Ok(_) => Err(format!("{} is not a JSON object", place())),
            Err(error) => Err(explained(error)),
        },
    }
}

/// Whether a value is one of those that stand for nothing, or is made of such.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(says_nothing),
        Value::Object(fields) => fields.values().all(says_nothing),
    }
}

/// What an `error` field says, or `None` where it says nothing: some servers always send it, empty.
pub fn failure(error: &Value) -> Option<String> {
    if says_nothing(error) {
        return None;
    }
    let message = match error {
        Value::String(text) => text.clone(),
        Value::Object(_) => {
            let mut message = match &error["message"] {
                Value::String(text) => text.clone(),
                _ => return Some(format!("the server reported an error: {error}")),
            };
            let details: Vec<String> = [&error["type"], &error["code"]]
                .into_iter()
                .filter_map(plain)
                .filter(|detail| detail != "error")
                .collect();
            if !details.is_empty() {
                message.push_str(&format!(" ({})", details.join(", ")));
            }
            message
        }
        other => other.to_string(),
    };
    Some(format!("the server reported an error: {message}"))
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
