//! The way through an HTTP proxy: a tunnel for TLS, whole URLs in request lines for plain HTTP.

use super::error::ConnectError;
use llmuses_core::plan::Route;
use llmuses_core::redact::basic_credentials;
use llmuses_core::wording::excerpt;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::{Host, Url};

/// The longest head of the proxy's answer.
const LONGEST_HEAD: usize = 16 << 10;

/// The proxy.
#[derive(Debug)]
pub(super) struct Proxy {
    /// Its host.
    pub(super) host: Host<String>,
    /// Its port.
    pub(super) port: u16,
    /// The value of `proxy-authorization`.
    pub(super) authorization: Option<String>,
}

impl Proxy {
    /// The proxy of a route.
    pub(super) fn of(route: &Route) -> Option<Self> {
        let url = route.proxy.as_ref()?;
        Some(Self {
            host: url.host()?.to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            authorization: basic_credentials(url).map(|pair| format!("Basic {pair}")),
        })
    }

    /// Has the proxy open a tunnel over `stream` to the host of `url`.
    pub(super) async fn tunnel(
        &self,
        stream: &mut TcpStream,
        url: &Url,
    ) -> Result<(), ConnectError> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(443);
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("proxy-authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        let failed = |source: io::Error| ConnectError::Proxy(source.to_string());
        stream.write_all(request.as_bytes()).await.map_err(failed)?;
        let mut head = Vec::new();
        // Byte by byte, so that nothing of what follows is taken: it belongs to TLS.
        while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
            if head.len() > LONGEST_HEAD {
                return Err(ConnectError::Proxy("its answer is too long".to_owned()));
            }
            head.push(stream.read_u8().await.map_err(failed)?);
        }
        let status = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut parts = status.split(|byte| *byte == b' ');
        let is_http = parts
            .next()
            .is_some_and(|version| version.starts_with(b"HTTP/1."));
        if is_http && parts.next().is_some_and(|code| code.starts_with(b"2")) {
            return Ok(());
        }
        Err(ConnectError::Proxy(format!(
            "it answered {}",
            excerpt(status.trim_ascii_end())
        )))
    }
}
