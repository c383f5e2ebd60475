//! Where requests go.

use super::models::WeightedModel;
use crate::credential::public_url;
use crate::document::TargetRecord;
use std::path::PathBuf;
use url::Url;

/// Where requests go: whoever opens connections, writes the head of a request or names the server needs this.
#[derive(Debug, Clone)]
pub struct Target {
    /// The model to ask for; the first of several.
    pub model: String,
    /// All models where there are several: the sessions are shared out among them by their weights. Else empty.
    pub models: Vec<WeightedModel>,
    /// The endpoint.
    pub url: Url,
    /// Further endpoints, with the same path: requests are shared out among all of them.
    pub more_urls: Vec<Url>,
    /// How they are shared out.
    pub url_policy: UrlPolicy,
    /// Whether the user gave none: then only host and port are meant, and the API knows its path.
    pub url_is_default: bool,
    /// Headers of the user, for every request. May hold credentials.
    pub headers: http::HeaderMap,
    /// By which way connections get there.
    pub route: Route,
    /// The header of a response that says who answered: figures are told apart by its value.
    pub label_header: Option<http::HeaderName>,
    /// The header of a request that names its session.
    pub session_header: Option<http::HeaderName>,
    /// The header of a request that names the request.
    pub request_id_header: Option<http::HeaderName>,
}

/// By which way connections get to a server, and how the two know each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// Whether TLS certificates are taken unverified.
    pub insecure: bool,
    /// Certificates (PEM) that are trusted beside those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The certificate of this client (PEM), with its key in the same file where `client_key` names none.
    pub client_cert: Option<PathBuf>,
    /// The key of this client (PEM).
    pub client_key: Option<PathBuf>,
    /// The socket of a server on this machine, in place of the host and port of the URL.
    pub unix_socket: Option<PathBuf>,
    /// An HTTP proxy. May hold a credential.
    pub proxy: Option<Url>,
}

/// How requests are shared out among several endpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UrlPolicy {
    /// One after another.
    #[default]
    RoundRobin,
    /// To the one that has the fewest requests of this run under way.
    LeastInFlight,
    /// One session after another, all turns of a session to the same one.
    Session,
}

impl UrlPolicy {
    /// As a document says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastInFlight => "least-in-flight",
            Self::Session => "session",
        }
    }
}

impl Target {
    /// A model at an endpoint, without headers of the user.
    pub fn new(model: String, url: Url) -> Self {
        Self {
            model,
            models: Vec::new(),
            url,
            more_urls: Vec::new(),
            url_policy: UrlPolicy::default(),
            url_is_default: false,
            headers: http::HeaderMap::new(),
            route: Route::default(),
            label_header: None,
            session_header: None,
            request_id_header: None,
        }
    }

    /// The model, or the names of all of several.
    pub fn model_names(&self) -> String {
        if self.models.is_empty() {
            return self.model.clone();
        }
        let names: Vec<&str> = self.models.iter().map(|model| &*model.name).collect();
        names.join(" ")
    }

    /// All endpoints.
    pub fn urls(&self) -> impl Iterator<Item = &Url> {
        std::iter::once(&self.url).chain(&self.more_urls)
    }

    /// The target of each endpoint alone.
    pub fn of_each_url(&self) -> impl Iterator<Item = Self> {
        self.urls().map(|url| Self {
            url: url.clone(),
            more_urls: Vec::new(),
            ..self.clone()
        })
    }

    /// As it stands in a document. Values of headers are left out, and what may be a credential in the URL.
    pub(super) fn to_record(&self) -> TargetRecord {
        TargetRecord {
            model: self.model.clone(),
            models: self.models.iter().map(ToString::to_string).collect(),
            url: public_url(&self.url),
            more_urls: self.more_urls.iter().map(public_url).collect(),
            url_policy: (!self.more_urls.is_empty()).then(|| self.url_policy.as_str().to_owned()),
            header_names: self.headers.keys().map(ToString::to_string).collect(),
            insecure: self.route.insecure,
            client_certificate: self.route.client_cert.is_some(),
            unix_socket: self
                .route
                .unix_socket
                .as_ref()
                .map(|path| path.display().to_string()),
            proxy: self.route.proxy.as_ref().map(public_url),
            label_header: self.label_header.as_ref().map(ToString::to_string),
            session_header: self.session_header.as_ref().map(ToString::to_string),
            request_id_header: self.request_id_header.as_ref().map(ToString::to_string),
        }
    }
}
