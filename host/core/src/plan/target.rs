//! Where requests go.

use crate::credential::public_url;
use crate::document::TargetRecord;
use url::Url;

/// Where requests go: whoever opens connections, writes the head of a request or names the server needs this.
#[derive(Debug, Clone)]
pub struct Target {
    /// The model to ask for.
    pub model: String,
    /// The endpoint.
    pub url: Url,
    /// Whether the user gave none: then only host and port are meant, and the API knows its path.
    pub url_is_default: bool,
    /// Headers of the user, for every request. May hold credentials.
    pub headers: http::HeaderMap,
    /// Whether TLS certificates are taken unverified.
    pub insecure: bool,
}

impl Target {
    /// A model at an endpoint, without headers of the user.
    pub fn new(model: String, url: Url) -> Self {
        Self {
            model,
            url,
            url_is_default: false,
            headers: http::HeaderMap::new(),
            insecure: false,
        }
    }

    /// As it stands in a document. Values of headers are left out, and what may be a credential in the URL.
    pub(super) fn to_record(&self) -> TargetRecord {
        TargetRecord {
            model: self.model.clone(),
            url: public_url(&self.url),
            header_names: self.headers.keys().map(ToString::to_string).collect(),
            insecure: self.insecure,
        }
    }
}
