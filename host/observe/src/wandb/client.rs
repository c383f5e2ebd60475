//! The HTTP client of this room: one host, no redirect, no proxy, nothing repeated, every answer bounded.

use super::protocol;
use super::trouble::{LONGEST_WORDS, Trouble};
use http::HeaderValue;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use llmuses_core::wandb::ApiKey;
use llmuses_core::wording::one_line;
use llmuses_transport::provide_cryptography;
use serde_json::Value;
use std::error::Error;
use std::time::Duration;
use url::Url;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers are a few hundred bytes; of more than this, nothing is read.
const LONGEST_ANSWER: usize = 1 << 20;

/// Posts JSON with the key, and waits for the answer on the calling thread.
#[derive(Debug)]
pub(super) struct Client {
    runtime: Option<tokio::runtime::Runtime>,
    http: reqwest::Client,
    api_key: ApiKey,
    authorization: HeaderValue,
}

impl Client {
    pub(super) fn new(api_key: ApiKey) -> Result<Self, Trouble> {
        provide_cryptography();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Trouble::Client(error.to_string()))?;
        // A redirect would carry the key, or the run, to a host that nobody named.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .user_agent(concat!("llmuses/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| Trouble::Client(innermost(&error)))?;
        Ok(Self {
            runtime: Some(runtime),
            http,
            authorization: api_key.authorization(),
            api_key,
        })
    }

    /// Posts `body` and reads the answer, within `timeout`.
    pub(super) fn post(&self, url: Url, body: &Value, timeout: Duration) -> Result<Value, Trouble> {
        let Some(runtime) = &self.runtime else {
            return Err(Trouble::Client("it is being taken down".to_owned()));
        };
        let request = self
            .http
            .post(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string())
            .timeout(timeout);
        let answered = runtime.block_on(async {
            let mut response = request.send().await.map_err(|error| no_answer(&error))?;
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(|error| no_answer(&error))? {
                if body.len() + piece.len() > LONGEST_ANSWER {
                    return Err(Trouble::Garbage("it has no end"));
                }
                body.extend_from_slice(&piece);
            }
            protocol::answer(response.status().as_u16(), &body)
        });
        answered.map_err(|trouble| self.without_key(trouble))
    }

    /// Without the key, which a service may quote; then cut to a line, so that no cut hides half of it.
    pub(super) fn without_key(&self, trouble: Trouble) -> Trouble {
        let blank = |words: String| one_line(&self.api_key.blank(&words), LONGEST_WORDS);
        match trouble {
            Trouble::Refused { status, words } => Trouble::Refused {
                status,
                words: blank(words),
            },
            Trouble::Status { status, words } => Trouble::Status {
                status,
                words: blank(words),
            },
            Trouble::NotTaken { words } => Trouble::NotTaken {
                words: blank(words),
            },
            other => other,
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A plain drop would wait for a resolver that hangs.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn no_answer(error: &reqwest::Error) -> Trouble {
    Trouble::NoAnswer(if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connect() {
        format!("no connection: {}", innermost(error))
    } else {
        format!("no whole answer: {}", innermost(error))
    })
}

/// The last cause: those before it name the URL and the layers between.
fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    one_line(&error.to_string(), LONGEST_WORDS)
}
