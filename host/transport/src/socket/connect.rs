//! From an endpoint to an open connection: name, TCP, TLS, each timed.

use super::connection::{Connection, Room};
use super::error::ConnectError;
use super::io::Stream;
use super::proxy::Proxy;
use super::tls::{TlsError, client_config};
use crate::failure::ResolveError;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use llmuses_core::exchange::ConnectionOpening;
use llmuses_core::plan::{Target, Timeouts};
use llmuses_kernel_io::StampedStream;
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// Where connections go.
#[derive(Debug)]
pub(super) struct Endpoint {
    url: Url,
    host: Host<String>,
    port: u16,
    tls: Option<Arc<rustls::ClientConfig>>,
    /// The socket of a server on this machine.
    unix_socket: Option<PathBuf>,
    proxy: Option<Proxy>,
    timeout: Duration,
}

impl Endpoint {
    /// The endpoint of a target.
    pub(super) fn of(target: &Target, timeouts: &Timeouts) -> Result<Self, TlsError> {
        let host = match target.url.host() {
            Some(Host::Domain(name)) => Host::Domain(name.to_owned()),
            Some(Host::Ipv4(address)) => Host::Ipv4(address),
            Some(Host::Ipv6(address)) => Host::Ipv6(address),
            // The plan takes no URL without a host.
            None => Host::Domain(String::new()),
        };
        let tls = match target.url.scheme() {
            "https" => Some(client_config(&target.route)?),
            _ => None,
        };
        Ok(Self {
            port: target.url.port_or_known_default().unwrap_or(80),
            url: target.url.clone(),
            host,
            tls,
            unix_socket: target.route.unix_socket.clone(),
            proxy: Proxy::of(&target.route),
            timeout: timeouts.connect,
        })
    }

    /// The proxy that wants whole URLs in request lines: one that has nothing else to know where they go.
    pub(super) fn forwarding_proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| self.tls.is_none())
    }

    /// Host and port for the `host` header; the port only where it is not the usual one.
    pub(super) fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// The TCP or Unix stream to the server, or to the proxy before it. Gives back how long the name took too.
    async fn stream(&self) -> Result<(TcpStream, Option<Duration>), ConnectError> {
        if let Some(path) = &self.unix_socket {
            return Ok((unix_stream(path).await?, None));
        }
        let Some(proxy) = &self.proxy else {
            let (addresses, dns) = addresses(&self.host, self.port).await?;
            return Ok((reach(&self.host, &addresses).await?, dns));
        };
        let (addresses, dns) = addresses(&proxy.host, proxy.port).await?;
        let mut stream = reach(&proxy.host, &addresses).await?;
        if self.tls.is_some() {
            proxy.tunnel(&mut stream, &self.url).await?;
        }
        Ok((stream, dns))
    }
}

/// The addresses of a host, and how long it took to find them where it is a name.
async fn addresses(
    host: &Host<String>,
    port: u16,
) -> Result<(Vec<SocketAddr>, Option<Duration>), ResolveError> {
    let literal = |address: IpAddr| (vec![SocketAddr::new(address, port)], None);
    match host {
        Host::Ipv4(address) => Ok(literal((*address).into())),
        Host::Ipv6(address) => Ok(literal((*address).into())),
        Host::Domain(name) => {
            let begun = Instant::now();
            let addresses = tokio::net::lookup_host((name.as_str(), port))
                .await
                .map_err(|source| ResolveError {
                    name: name.clone(),
                    source,
                })?;
            Ok((addresses.collect(), Some(begun.elapsed())))
        }
    }
}

/// A connection to a socket of this machine. A `TcpStream` is a descriptor whose bytes are read and written by the
/// calls for any stream socket, so it carries this one too; what only TCP has (`TCP_NODELAY`, addresses) fails on it,
/// and the kernel stamps nothing.
#[cfg(unix)]
async fn unix_stream(path: &Path) -> Result<TcpStream, ConnectError> {
    let open = async {
        let stream = tokio::net::UnixStream::connect(path).await?.into_std()?;
        TcpStream::from_std(std::os::fd::OwnedFd::from(stream).into())
    };
    open.await.map_err(|source| ConnectError::Unix {
        path: path.to_owned(),
        source,
    })
}

#[cfg(not(unix))]
async fn unix_stream(path: &Path) -> Result<TcpStream, ConnectError> {
    Err(ConnectError::Unix {
        path: path.to_owned(),
        source: io::ErrorKind::Unsupported.into(),
    })
}

/// Opens a connection, within the time that connecting may take.
pub(super) async fn open(
    endpoint: &Endpoint,
    room: &Room,
) -> Result<(Connection, ConnectionOpening), ConnectError> {
    match tokio::time::timeout(endpoint.timeout, open_unbounded(endpoint, room)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Timeout(endpoint.timeout)),
    }
}

async fn open_unbounded(
    endpoint: &Endpoint,
    room: &Room,
) -> Result<(Connection, ConnectionOpening), ConnectError> {
    let begun = Instant::now();
    let (stream, dns) = endpoint.stream().await?;
    let stream = StampedStream::new(stream);
    let (stream, tls) = match &endpoint.tls {
        None => (Stream::Plain(stream), None),
        Some(config) => {
            let tls_begun = Instant::now();
            let name = server_name(&endpoint.host)?;
            let connector = TlsConnector::from(Arc::clone(config));
            let stream = connector
                .connect(name, stream)
                .await
                .map_err(ConnectError::Tls)?;
            (Stream::Tls(Box::new(stream)), Some(tls_begun.elapsed()))
        }
    };
    let connection = Connection::new(stream, room.clone());
    let opening = ConnectionOpening {
        dns,
        tls,
        total: begun.elapsed(),
    };
    Ok((connection, opening))
}

/// How long an address may be silent before the next one is tried beside it (RFC 8305, section 5).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// Connects to the first address that answers. One that says nothing does not keep the others from being tried.
async fn reach(host: &Host<String>, addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut last = None;
    let mut to_come = addresses.iter();
    let mut attempts = FuturesUnordered::new();
    loop {
        if let Some(address) = to_come.next() {
            attempts.push(async move { (*address, TcpStream::connect(address).await) });
        } else if attempts.is_empty() {
            break;
        }
        let ended = match to_come.len() {
            0 => attempts.next().await,
            _ => tokio::time::timeout(NEXT_ADDRESS, attempts.next())
                .await
                .unwrap_or_default(),
        };
        match ended {
            Some((_, Ok(stream))) => {
                // Without it the kernel may hold back the end of a request. A stream works without.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Some((address, Err(source))) => last = Some(ConnectError::Tcp { address, source }),
            // Nothing has answered so far.
            None => {}
        }
    }
    Err(last.unwrap_or_else(|| {
        ConnectError::Resolve(ResolveError {
            name: host.to_string(),
            source: io::Error::new(io::ErrorKind::NotFound, "it has no address"),
        })
    }))
}

fn server_name(host: &Host<String>) -> Result<ServerName<'static>, ConnectError> {
    match host {
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::from(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::from(*address))),
        Host::Domain(name) => {
            ServerName::try_from(name.clone()).map_err(|_| ConnectError::Name(name.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::net::{TcpListener, TcpSocket};

    #[test]
    fn an_address_that_says_nothing_does_not_hide_the_next() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            // The kernel completes handshakes for a queue that nobody empties; once it is full, it answers no further one.
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(any).unwrap();
            let silent = socket.listen(0).unwrap();
            let silent_address = silent.local_addr().unwrap();
            let mut queue = Vec::new();
            while let Ok(Ok(stream)) = tokio::time::timeout(
                Duration::from_millis(200),
                TcpStream::connect(silent_address),
            )
            .await
            {
                queue.push(stream);
            }
            let good = TcpListener::bind(any).await.unwrap();
            let good_address = good.local_addr().unwrap();
            let refused = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
            let addresses = [silent_address, refused, good_address];
            let host = Host::Domain("h".to_owned());
            let reached = tokio::time::timeout(Duration::from_secs(20), reach(&host, &addresses));
            let stream = reached.await.unwrap().unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good_address);
        });
    }
}
