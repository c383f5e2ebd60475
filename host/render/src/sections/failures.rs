//! Failed requests by kind and status.

use super::number::{Number, Part, at};
use llmuses_core::document::Totals;
use std::cmp::Reverse;

/// Requests that failed with one kind, and one status where the kind is a refusal.
pub(crate) struct Failures<'a> {
    /// The kind.
    pub(crate) kind: &'a str,
    /// The HTTP status, of requests that were refused by it.
    pub(crate) status: Option<u16>,
    /// How many.
    pub(crate) count: u64,
    /// The same with its place in the document.
    pub(crate) requests: Number,
    /// The message of the first.
    pub(crate) message: &'a str,
}

/// The failures by kind and status, the most frequent first.
pub(crate) fn failures<'a>(totals: &Part<'a, Totals>) -> Vec<Failures<'a>> {
    let of = |kind, status, requests: Part<'a, u64>, message| Failures {
        kind,
        status,
        count: *requests.value(),
        requests: requests.whole(),
        message,
    };
    let mut found = Vec::new();
    for (kind, failure) in at!(totals, failures).members() {
        if failure.value().by_status.is_empty() {
            let message = failure.value().first_message.as_str();
            found.push(of(kind, None, at!(failure, requests), message));
        }
        for part in at!(failure, by_status).items() {
            let (status, message) = (part.value().status, part.value().first_message.as_str());
            found.push(of(kind, status, at!(part, requests), message));
        }
    }
    found.sort_by_key(|failures| Reverse(failures.count));
    found
}
