//! The settings of the clients of reqwest: time-outs, certificates, keys, socket and proxy.

use super::connecting::{TimedConnecting, TimedResolver};
use crate::connection_notes::ConnectionNotes;
use crate::socket::{Credentials, TlsError};
use llmuses_core::plan::Route;
use std::sync::Arc;
use std::time::Duration;

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientBuildError {
    /// By the settings that this program chose.
    #[error("the HTTP client could not be set up: {0}")]
    Client(#[from] reqwest::Error),
    /// By the files of certificates that the user named.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What all clients of a transport have alike.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) connect_timeout: Duration,
    pub(super) route: Route,
    /// What the files of the route have, read once.
    pub(super) credentials: Arc<Credentials>,
    pub(super) keep_alive: bool,
    pub(super) notes: Arc<ConnectionNotes>,
}

impl Settings {
    /// A client. `keeps`: whether it keeps connections; `longest_idle`: how long one may be idle.
    pub(super) fn client(
        &self,
        keeps: bool,
        longest_idle: Option<Duration>,
    ) -> Result<reqwest::Client, ClientBuildError> {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // None of the environment: what is measured must not depend on it.
            .no_proxy()
            .referer(false)
            .tcp_nodelay(true)
            .connect_timeout(self.connect_timeout)
            // Where the server does not say how long it keeps a connection, one is used again however long it was
            // idle.
            .pool_idle_timeout(longest_idle)
            .pool_max_idle_per_host(if keeps { usize::MAX } else { 0 })
            .tls_danger_accept_invalid_certs(self.route.insecure)
            .dns_resolver(TimedResolver)
            .connector_layer(TimedConnecting {
                notes: Arc::clone(&self.notes),
            });
        Ok(self.with_route(builder)?.build()?)
    }

    /// Certificates, keys, socket and proxy of the route.
    fn with_route(
        &self,
        mut builder: reqwest::ClientBuilder,
    ) -> Result<reqwest::ClientBuilder, ClientBuildError> {
        let credentials = &self.credentials;
        if !credentials.roots.is_empty() {
            let roots = credentials.roots.iter();
            let roots = roots.map(|root| reqwest::Certificate::from_der(root));
            builder = builder.tls_certs_merge(roots.collect::<Result<Vec<_>, _>>()?);
        }
        if let Some(own) = &credentials.own {
            builder = builder.identity(reqwest::Identity::from_pem(&own.pem)?);
        }
        #[cfg(unix)]
        if let Some(path) = &self.route.unix_socket {
            builder = builder.unix_socket(path.as_path());
        }
        if let Some(url) = &self.route.proxy {
            // Credentials in its URL are sent to it.
            builder = builder.proxy(reqwest::Proxy::all(url.clone())?);
        }
        Ok(builder)
    }
}

/// Whether the certificates and keys that a route names can be read and used.
///
/// # Errors
/// The file, and what is wrong with it.
pub fn check_files(route: &Route) -> Result<(), ClientBuildError> {
    Credentials::of(route)?;
    Ok(())
}

/// A client with the settings of a transport that keeps no connections.
pub(crate) fn plain_client(
    connect_timeout: Duration,
    route: &Route,
) -> Result<reqwest::Client, ClientBuildError> {
    crate::provide_cryptography();
    let settings = Settings {
        connect_timeout,
        route: route.clone(),
        credentials: Arc::new(Credentials::of(route)?),
        keep_alive: false,
        notes: Arc::default(),
    };
    settings.client(false, None)
}
