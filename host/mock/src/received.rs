//! What clients sent last, for tests that compare it with what they meant to send.
//!
//! `GET /last` tells the last POST to any path: `{"method", "path", "headers", "bytes", "cut", "body"}`, or null before the
//! first. Header names are in lower case and in the order of their first appearance, each value as a pair of
//! its own. `GET /bodies?limit=N` tells the last bodies, at most N (all that are kept without it), oldest
//! first: `{"seen", "bodies": [{"path", "bytes", "cut", "body"}]}`, `seen` being the number of POSTs so far.
//!
//! The last 1,000 bodies are kept, of each the first 64 KiB; `bytes` is the true size and `cut` says whether some is
//! missing. `body` is the JSON itself where it is that and whole, else a text.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::request::Parts;
use serde::Serialize;
use serde_json::value::RawValue;

/// The most bodies that are kept.
const BODIES: usize = 1_000;
/// The most that is kept of one.
const BODY_BYTES: usize = 64 * 1024;

#[derive(Debug, Default)]
struct Kept {
    path: String,
    /// How long the body was.
    bytes: usize,
    /// Its first bytes.
    body: Vec<u8>,
}

impl Kept {
    fn told(&self) -> ToldBody<'_> {
        let cut = self.bytes > self.body.len();
        let body = match serde_json::from_slice::<&RawValue>(&self.body) {
            Ok(json) if !cut => Body::Json(json),
            _ => Body::Text(String::from_utf8_lossy(&self.body).into_owned()),
        };
        ToldBody {
            path: &self.path,
            bytes: self.bytes,
            cut,
            body,
        }
    }
}

#[derive(Debug, Default)]
struct Memory {
    seen: u64,
    last: Option<Arc<Parts>>,
    bodies: VecDeque<Kept>,
}

/// The requests that were seen last.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Memory>);

impl Seen {
    /// Remembers a request.
    pub(super) fn keep(&self, parts: &Arc<Parts>, body: &[u8]) {
        let mut memory = self.memory();
        memory.seen += 1;
        memory.last = Some(Arc::clone(parts));
        // The oldest makes room, and its buffers serve the new one.
        let mut kept = match memory.bodies.len() {
            BODIES => memory.bodies.pop_front().unwrap_or_default(),
            _ => Kept::default(),
        };
        kept.path.clear();
        kept.path
            .push_str(parts.uri.path_and_query().map_or("", |path| path.as_str()));
        kept.bytes = body.len();
        kept.body.clear();
        kept.body
            .extend_from_slice(&body[..body.len().min(BODY_BYTES)]);
        memory.bodies.push_back(kept);
    }

    /// The answer of `GET /last`.
    pub(super) fn last(&self) -> serde_json::Result<Vec<u8>> {
        let memory = self.memory();
        let last = memory.last.as_ref().zip(memory.bodies.back());
        serde_json::to_vec(&last.map(|(parts, kept)| {
            Last {
                method: parts.method.as_str(),
                headers: parts
                    .headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
                    .collect(),
                body: kept.told(),
            }
        }))
    }

    /// The answer of `GET /bodies`.
    pub(super) fn bodies(&self, limit: usize) -> serde_json::Result<Vec<u8>> {
        let memory = self.memory();
        let skip = memory.bodies.len().saturating_sub(limit);
        serde_json::to_vec(&Bodies {
            seen: memory.seen,
            bodies: memory.bodies.iter().skip(skip).map(Kept::told).collect(),
        })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // What is remembered is whole even where a thread ended while it held it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Json(&'a RawValue),
    Text(String),
}

#[derive(Serialize)]
struct ToldBody<'a> {
    path: &'a str,
    bytes: usize,
    cut: bool,
    body: Body<'a>,
}

#[derive(Serialize)]
struct Last<'a> {
    method: &'a str,
    headers: Vec<(&'a str, std::borrow::Cow<'a, str>)>,
    #[serde(flatten)]
    body: ToldBody<'a>,
}

#[derive(Serialize)]
struct Bodies<'a> {
    seen: u64,
    bodies: Vec<ToldBody<'a>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn keep(seen: &Seen, path: &str, body: &[u8]) {
        let request = http::Request::post(path)
            .header("X-Two", "b")
            .header("X-One", "a")
            .body(());
        if let Ok(request) = request {
            seen.keep(&Arc::new(request.into_parts().0), body);
        }
    }

    fn json(answer: serde_json::Result<Vec<u8>>) -> Value {
        answer
            .and_then(|json| serde_json::from_slice(&json))
            .unwrap_or_default()
    }

    #[test]
    fn the_last_request_is_told_whole() {
        let seen = Seen::default();
        assert_eq!(json(seen.last()), Value::Null);
        keep(&seen, "/a", b"no json");
        keep(&seen, "/b?c=d", br#"{"z": 1, "a": [2.50]}"#);
        let expected = json!({"method": "POST", "headers": [["x-two", "b"], ["x-one", "a"]],
            "path": "/b?c=d", "bytes": 21, "cut": false, "body": {"z": 1, "a": [2.5]}});
        assert_eq!(json(seen.last()), expected);
        let bodies = json(seen.bodies(usize::MAX));
        assert_eq!(bodies["seen"], 2);
        assert_eq!(bodies["bodies"][0]["body"], "no json");
        assert_eq!(
            json(seen.bodies(1))["bodies"],
            json!([bodies["bodies"][1].clone()])
        );
    }

    #[test]
    fn memory_is_bounded_and_says_where_it_was() {
        let seen = Seen::default();
        keep(&seen, "/", format!("\"{}\"", "x".repeat(70_000)).as_bytes());
        let last = json(seen.last());
        assert_eq!(
            (&last["bytes"], &last["cut"]),
            (&json!(70_002), &json!(true))
        );
        assert_eq!(last["body"].as_str().map(str::len), Some(BODY_BYTES));
        for number in 0..1_500 {
            keep(&seen, "/", number.to_string().as_bytes());
        }
        let bodies = json(seen.bodies(usize::MAX));
        assert_eq!(bodies["seen"], 1_501);
        assert_eq!(bodies["bodies"].as_array().map(Vec::len), Some(BODIES));
        assert_eq!(bodies["bodies"][0]["body"], 500);
        assert_eq!(bodies["bodies"][999]["body"], 1_499);
    }
}
