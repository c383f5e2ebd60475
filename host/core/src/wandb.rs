//! Where a run goes and under which name, and the key.

use crate::document::WandbRecord;
use crate::wording::BLANK;
use base64::Engine;
use http::HeaderValue;
use std::fmt;
use std::path::PathBuf;
use url::Url;

/// The longest key that is taken. Keys have 40 or 86 characters today; those that carry claims have
/// some hundreds.
const LONGEST_KEY: usize = 4096;

/// What is needed to log a run.
#[derive(Debug, Clone)]
pub struct WandbSettings {
    /// Service or folder.
    pub target: WandbTarget,
    /// The user or team that the project belongs to; `None` is what the key stands for.
    pub entity: Option<String>,
    /// The project.
    pub project: String,
    /// The name under which the run is shown.
    pub run_name: String,
}

/// Where a run is logged to.
#[derive(Debug, Clone)]
pub enum WandbTarget {
    /// A service, as the run goes.
    Online {
        /// The root of its API: http or https, without user information and query.
        base_url: Url,
        /// The key.
        api_key: ApiKey,
    },
    /// A folder in which the folder of the run is made.
    Offline {
        /// That folder; made where it is missing.
        folder: PathBuf,
    },
}

impl WandbSettings {
    /// What a document may know of it.
    pub fn to_record(&self) -> WandbRecord {
        let mode = match self.target {
            WandbTarget::Online { .. } => "online",
            WandbTarget::Offline { .. } => "offline",
        };
        WandbRecord {
            mode: mode.to_owned(),
            project: self.project.clone(),
        }
    }
}

/// A key of Weights & Biases. It is shown as `***`, and cannot be serialised.
#[derive(Clone)]
pub struct ApiKey(String);

/// Why a text is no key. Does not say what the text was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// There is none.
    #[error("the key is empty")]
    Empty,
    /// A space, a line end or another character that no key has.
    #[error(
        "the key has characters that no key has: only letters, digits and signs of ASCII are taken"
    )]
    Characters,
    /// Too long for a header.
    #[error("the key is longer than {LONGEST_KEY} characters")]
    Length,
}

impl ApiKey {
    /// Takes a text as a key. Whether it is the right one is for the service to say.
    ///
    /// # Errors
    /// Where it cannot be a key.
    pub fn new(text: &str) -> Result<Self, ApiKeyError> {
        if text.is_empty() {
            return Err(ApiKeyError::Empty);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ApiKeyError::Characters);
        }
        if text.len() > LONGEST_KEY {
            return Err(ApiKeyError::Length);
        }
        Ok(Self(text.to_owned()))
    }

    /// The value of the header `Authorization`: user `api`, the key as password.
    pub fn authorization(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(&format!("Basic {}", self.encoded()))
            // Base64 has no character that a header may not have.
            .unwrap_or_else(|_| HeaderValue::from_static("Basic"));
        value.set_sensitive(true);
        value
    }

    /// A text of the service without the key, which an answer may quote.
    pub fn blank(&self, text: &str) -> String {
        text.replace(&self.encoded(), BLANK).replace(&self.0, BLANK)
    }

    fn encoded(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(format!("api:{}", self.0))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(BLANK)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(BLANK)
    }
}
