//! Keeps credentials out of what is stored and shown. Servers do repeat them: an answer to a wrong key
//! often quotes the key.

use crate::exchange::{Exchange, ResponseLog};
use crate::plan::Target;
pub use crate::wording::BLANK;
use http::HeaderName;
use memchr::memmem;
use percent_encoding::percent_decode_str;
use url::Url;

/// Shorter values are left alone: blanking every `1` of a text would hide nothing and spoil all.
const SHORTEST_SECRET: usize = 6;

/// The credentials of a run.
#[derive(Debug, Default)]
pub struct Secrets {
    values: Vec<String>,
}

impl Secrets {
    /// The credentials in the headers and the URL of a target.
    pub fn of(target: &Target) -> Self {
        let mut values = Vec::new();
        for (name, value) in &target.headers {
            if let Ok(value) = value.to_str()
                && is_credential(name, value)
            {
                values.push(value.to_owned());
                // `Bearer KEY`: servers quote the key alone.
                if let Some((_, key)) = value.split_once(' ') {
                    values.push(key.trim().to_owned());
                }
            }
        }
        values.extend(of_user(&target.url));
        values.extend(of_query(&target.url));
        // As they stand in JSON.
        let escaped: Vec<String> = values
            .iter()
            .map(|value| serde_json::Value::from(value.as_str()).to_string())
            .map(|quoted| quoted[1..quoted.len() - 1].to_owned())
            .collect();
        values.extend(escaped);
        values.retain(|value| value.len() >= SHORTEST_SECRET);
        // The longest first, so that no secret is cut up by a shorter one within it.
        values.sort_by(|one, other| (other.len(), one).cmp(&(one.len(), other)));
        values.dedup();
        Self { values }
    }

    /// Blanks the credentials in what an exchange brought from the server.
    pub fn blank(&self, exchange: &mut Exchange) {
        if self.values.is_empty() {
            return;
        }
        if let Some(failure) = &mut exchange.failure {
            failure.message = self.blank_text(&failure.message);
        }
        if exchange.response.iter().any(|data| self.are_in(data)) {
            let mut blanked = ResponseLog::default();
            for index in 0..exchange.response.len() {
                if let (Some(data), Some(arrival)) = (
                    exchange.response.data(index),
                    exchange.response.arrival(index),
                ) {
                    // No longer than it was (a secret is longer than what stands for it), so it fits again.
                    let _ = blanked.push(&self.blank_bytes(data), arrival);
                }
            }
            if exchange.response.is_streamed() {
                blanked.set_streamed();
            }
            if let Some(done) = exchange.response.done() {
                blanked.set_done(done);
            }
            exchange.response = blanked;
        }
    }

    fn are_in(&self, data: &[u8]) -> bool {
        self.values
            .iter()
            .any(|value| memmem::find(data, value.as_bytes()).is_some())
    }

    /// As they came but for the secrets: bytes that are no text stay what they are.
    fn blank_bytes(&self, data: &[u8]) -> Vec<u8> {
        self.values.iter().fold(data.to_owned(), |data, value| {
            let mut blanked = Vec::with_capacity(data.len());
            let mut done = 0;
            for place in memmem::find_iter(&data, value.as_bytes()) {
                blanked.extend_from_slice(&data[done..place]);
                blanked.extend_from_slice(BLANK.as_bytes());
                done = place + value.len();
            }
            blanked.extend_from_slice(&data[done..]);
            blanked
        })
    }

    fn blank_text(&self, text: &str) -> String {
        self.values
            .iter()
            .fold(text.to_owned(), |text, value| text.replace(value, BLANK))
    }
}

/// What stands before the host of a URL, as it is there, without its encoding, and as the header in which
/// it is sent. A name without a password is a key.
fn of_user(url: &Url) -> Vec<String> {
    let Some(encoded) = basic_credentials(url) else {
        return Vec::new();
    };
    let secret = url.password().unwrap_or(url.username());
    vec![
        secret.to_owned(),
        percent_decode_str(secret).decode_utf8_lossy().into_owned(),
        encoded,
    ]
}

/// Name and password of a URL as the `Basic` scheme of HTTP carries them (RFC 7617), without its name.
/// `None`: the URL has neither.
pub fn basic_credentials(url: &Url) -> Option<String> {
    use base64::Engine;
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let pair = [url.username(), url.password().unwrap_or_default()]
        .map(|part| percent_decode_str(part).collect::<Vec<u8>>())
        .join(&b':');
    Some(base64::engine::general_purpose::STANDARD.encode(pair))
}

/// The credentials in the query of a URL, as they are there and without their encoding.
fn of_query(url: &Url) -> Vec<String> {
    let mut values = Vec::new();
    for part in url.query().unwrap_or_default().split('&') {
        for (name, value) in url::form_urlencoded::parse(part.as_bytes()) {
            if names_credential(&name) {
                let raw = part.split_once('=').map_or("", |(_, raw)| raw);
                values.push(raw.to_owned());
                values.push(value.into_owned());
            }
        }
    }
    values
}

/// Whether a header carries a credential, by its name or the look of its value.
pub fn is_credential(name: &HeaderName, value: &str) -> bool {
    names_credential(name.as_str())
        || ["bearer ", "basic ", "sk-"].iter().any(|begin| {
            value
                .get(..begin.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(begin))
        })
}

fn names_credential(name: &str) -> bool {
    const WORDS: [&str; 9] = [
        "auth",
        "key",
        "token",
        "secret",
        "cookie",
        "password",
        "credential",
        "session",
        "signature",
    ];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_with_credentials_are_known() {
        let is = |name: &str, value: &str| {
            is_credential(&HeaderName::from_bytes(name.as_bytes()).unwrap(), value)
        };
        assert!(is("authorization", "x"));
        assert!(is("X-Api-Key", "x"));
        assert!(is("x-other", "Bearer abc"));
        assert!(!is("content-type", "application/json"));
    }

    #[test]
    fn a_key_that_a_server_repeats_is_blanked() {
        let secrets = Secrets {
            values: vec!["Bearer sk-123456".to_owned(), "sk-123456".to_owned()],
        };
        assert_eq!(secrets.blank_text("wrong key sk-123456!"), "wrong key ***!");
        assert!(secrets.are_in(b"{\"key\": \"sk-123456\"}"));
        // Bytes that are no text neither grow nor change.
        assert_eq!(
            secrets.blank_bytes(b"\xff sk-123456\xfe Bearer sk-123456"),
            b"\xff ***\xfe ***"
        );
    }
}
