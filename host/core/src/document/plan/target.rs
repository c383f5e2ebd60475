//! Where requests went.

use super::group::{group, is_told};

group! {
    /// Where requests went, without credentials. Two targets are what one compares.
    #[derive(Default)]
    pub struct TargetRecord {
        /// The model; the first of several.
        model: String => is_told("--model"),
        /// All models and their weights (`NAME=WEIGHT`), where there are several.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        models: Vec<String> => is_told("several --model"),
        /// The endpoint, without user information and without the values of its query.
        url: String => is_told("--url"),
        /// The further endpoints among which requests were shared out.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        more_urls: Vec<String> => is_told("further --url"),
        /// How they were: `round-robin`, `least-in-flight` or `session`.
        #[serde(skip_serializing_if = "Option::is_none")]
        url_policy: Option<String> => is_told("--url-policy"),
        /// The names of the user's headers; their values may be credentials.
        header_names: Vec<String> => is_told("names of --headers"),
        /// Whether TLS certificates were taken unverified.
        insecure: bool => is_told("--insecure"),
        /// Whether the client showed a certificate.
        #[serde(default)]
        client_certificate: bool => is_told("--client-cert"),
        /// The socket of the server, in place of host and port of the URL.
        #[serde(default)]
        unix_socket: Option<String> => is_told("--unix-socket"),
        /// The proxy, without user information.
        #[serde(default)]
        proxy: Option<String> => is_told("--proxy"),
        /// The header of a response that says who answered.
        #[serde(skip_serializing_if = "Option::is_none")]
        label_header: Option<String> => is_told("--label-header"),
        /// The header of a request that names its session.
        #[serde(skip_serializing_if = "Option::is_none")]
        session_header: Option<String> => is_told("--session-header"),
        /// The header of a request that names the request.
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id_header: Option<String> => is_told("--request-id-header"),
    }
}

impl TargetRecord {
    /// The model, or all of several with their weights.
    pub fn model_text(&self) -> String {
        match self.models.is_empty() {
            true => self.model.clone(),
            false => self.models.join(" "),
        }
    }

    /// The endpoint, or all of several.
    pub fn url_text(&self) -> String {
        let all = std::iter::once(&self.url).chain(&self.more_urls);
        all.map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}
