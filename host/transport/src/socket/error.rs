//! What goes wrong on a connection.

use crate::failure::{RequestPhase, ResolveError, classify_error, no_tunnel};
use llmuses_core::exchange::{Failure, FailureKind};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The most bytes that the head of a response may have.
pub(super) const LONGEST_HEAD: usize = 256 << 10;

/// What a server sent is not HTTP.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// The head is none.
    #[error("{0} in the head of the response")]
    Head(#[from] httparse::Error),
    /// The head does not end.
    #[error("the head of the response is longer than {} KiB", LONGEST_HEAD >> 10)]
    HeadTooLong,
    /// The length is no number, or there are several.
    #[error("content-length is not one number")]
    Length,
    /// HTTP/1.0 has no chunks.
    #[error("transfer-encoding in a response of HTTP/1.0")]
    Coding,
    /// A chunk does not begin with its size.
    #[error("no size where a chunk should begin")]
    ChunkSize,
    /// A chunk goes on where it should end.
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    /// The lines behind the last chunk are none.
    #[error("what follows the last chunk is not a trailer")]
    Trailer,
    /// Extensions or trailers without end.
    #[error("too many bytes beside the data of chunks")]
    Overhead,
}

/// A connection was not opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name did not resolve.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// No address could be reached.
    #[error("{address}: {source}")]
    Tcp {
        /// The last address that was tried.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The socket cannot be reached.
    #[error("{}: {source}", path.display())]
    Unix {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The proxy opens no tunnel.
    #[error("{}", no_tunnel(.0))]
    Proxy(String),
    /// The TLS handshake failed.
    #[error("{0}")]
    Tls(#[source] io::Error),
    /// The name is none that a certificate could be for.
    #[error("no certificate can be for the name {0}")]
    Name(String),
    /// It took too long.
    #[error("no connection within {} s (--connect-timeout)", .0.as_secs_f64())]
    Timeout(Duration),
}

impl ConnectError {
    /// The failure of the request that needed the connection.
    pub(super) fn into_failure(self) -> Failure {
        match &self {
            Self::Resolve(_) => {
                Failure::new(FailureKind::Dns, format!("no address for the host: {self}"))
            }
            Self::Timeout(_) => Failure::new(FailureKind::TimeoutConnect, self.to_string()),
            Self::Name(_) => Failure::new(FailureKind::Tls, self.to_string()),
            Self::Proxy(_) => Failure::new(FailureKind::Connect, self.to_string()),
            Self::Tcp { source, .. } | Self::Unix { source, .. } => {
                let kind = classify_error(source, RequestPhase::Connect).kind;
                let what = if kind == FailureKind::ClientResource {
                    "this machine ran out of a resource"
                } else {
                    "no connection"
                };
                Failure::new(kind, format!("{what}: {self}"))
            }
            Self::Tls(source) => Failure::new(
                FailureKind::Tls,
                format!("the TLS handshake failed: {source}{}", hint(source)),
            ),
        }
    }
}

/// What to do about a handshake that failed, where that is known.
fn hint(error: &io::Error) -> &'static str {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol)) => {
            " (the server does not speak HTTP/1.1; --transport reqwest speaks HTTP/2)"
        }
        _ => "",
    }
}
