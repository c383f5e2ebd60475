//! How it was sent.

use super::group::{group, is_told, is_work};

group! {
    /// How it was sent.
    pub struct TransportRecord {
        /// What carries requests.
        #[serde(rename = "transport")]
        choice: String => is_told("--transport"),
        /// Whether the connections of a closed loop are opened before it begins.
        warm_connections: bool => is_work("--no-warm-connections"),
        /// Whether a connection carries more than one request.
        keep_alive: bool => is_told("kept connections (--no-keep-alive)"),
        /// The most requests that a connection carries.
        #[serde(skip_serializing_if = "Option::is_none")]
        requests_per_connection: Option<u32> => is_told("--requests-per-connection"),
        /// How many threads carry requests.
        client_threads: Option<u64> => is_told("--client-threads"),
        /// How long to wait for a connection.
        connect_timeout_seconds: Option<f64> => is_told("--connect-timeout"),
        /// How long the server may be silent.
        read_timeout_seconds: Option<f64> => is_told("--read-timeout"),
        /// How long a request may take.
        total_timeout_seconds: Option<f64> => is_told("--total-timeout"),
    }
}

impl Default for TransportRecord {
    /// What holds where a document does not say: connections were always kept before that could be chosen.
    fn default() -> Self {
        Self {
            choice: String::new(),
            warm_connections: false,
            keep_alive: true,
            requests_per_connection: None,
            client_threads: None,
            connect_timeout_seconds: None,
            read_timeout_seconds: None,
            total_timeout_seconds: None,
        }
    }
}
