//! Where requests went.

use super::group::{group, is_told};

group! {
    /// Where requests went, without credentials. Two targets are what one compares.
    #[derive(Default)]
    pub struct TargetRecord {
        /// The model.
        model: String => is_told("--model"),
        /// The endpoint, without user information and without the values of its query.
        url: String => is_told("--url"),
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
    }
}
