//! Arguments for the way to the server.

use super::usage::UsageError;
use crate::cli::values::{Secret, secret};
use clap::Args;
use llmuses_core::credential::{public_text_of_url, public_url};
use llmuses_core::plan::Route;
use std::path::PathBuf;
use url::Url;

/// Arguments for the way to the server.
#[derive(Debug, Clone, Args)]
pub(super) struct RouteArguments {
    /// Take TLS certificates without verifying them.
    #[arg(long, help_heading = "Endpoint")]
    insecure: bool,

    /// Trust the certificates of this file (PEM) beside those that the system trusts.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "insecure",
        help_heading = "Endpoint"
    )]
    ca_file: Option<PathBuf>,

    /// Show the server this certificate (PEM); its key may be in the same file.
    #[arg(long, value_name = "FILE", help_heading = "Endpoint")]
    client_cert: Option<PathBuf>,

    /// The key of --client-cert (PEM, not encrypted).
    #[arg(
        long,
        value_name = "FILE",
        requires = "client_cert",
        help_heading = "Endpoint"
    )]
    client_key: Option<PathBuf>,

    /// Connect to this socket of a server on this machine; --url says the path and the `host` header.
    #[arg(
        long,
        value_name = "PATH",
        conflicts_with = "proxy",
        help_heading = "Endpoint"
    )]
    unix_socket: Option<PathBuf>,

    /// Go through this HTTP proxy, http://[USER:PASSWORD@]HOST:PORT [default: none, whatever the environment says]
    #[arg(long, value_name = "URL", value_parser = secret, help_heading = "Endpoint")]
    proxy: Option<Secret>,
}

impl RouteArguments {
    /// The way to the server.
    ///
    /// # Errors
    /// Where the proxy is none.
    pub(super) fn route(&self) -> Result<Route, UsageError> {
        let proxy = self.proxy.as_ref().map(|text| proxy(text.reveal()));
        Ok(Route {
            insecure: self.insecure,
            ca_file: self.ca_file.clone(),
            client_cert: self.client_cert.clone(),
            client_key: self.client_key.clone(),
            unix_socket: self.unix_socket.clone(),
            proxy: proxy.transpose()?,
        })
    }
}

fn proxy(text: &str) -> Result<Url, UsageError> {
    let url = match text.contains("://") {
        true => Url::parse(text),
        false => Url::parse(&format!("http://{text}")),
    };
    let wrong = |reason: String| UsageError::Proxy {
        text: Url::parse(text).map_or_else(|_| public_text_of_url(text), |url| public_url(&url)),
        reason,
    };
    let url = url.map_err(|error| wrong(format!("not a URL ({error})")))?;
    match url.scheme() {
        "http" if url.has_host() => Ok(url),
        "http" => Err(wrong("it has no host".to_owned())),
        other => Err(wrong(format!(
            "only proxies that speak HTTP (http://HOST:PORT) are supported, not {other}:"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_speaks_http() {
        assert_eq!(proxy("http://h:3128").unwrap().port(), Some(3128));
        assert_eq!(
            proxy("10.0.0.1:3128").unwrap().as_str(),
            "http://10.0.0.1:3128/"
        );
        assert_eq!(proxy("localhost:3128").unwrap().port(), Some(3128));
        for text in ["socks5://me:key@h:1", "https://h", "http://"] {
            let error = proxy(text).unwrap_err().to_string();
            assert!(
                error.contains("--proxy") && !error.contains("key"),
                "{error}"
            );
        }
    }
}
