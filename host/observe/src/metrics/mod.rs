//! Live figures for Prometheus, `--metrics-listen`: a small server on a thread of its own, that steps back
//! behind the threads that stamp and only ever reads what hangs on the [`Board`].
//!
//! `text` knows the format, `figures` what is told, `server` HTTP. A scraper that is slow, or hangs, costs
//! one of a few connections for a few seconds, and the run nothing.

mod figures;
mod server;
mod text;

pub use figures::About;

use crate::live::Board;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Why live figures cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The name of the host has no address.
    #[error(
        "--metrics-listen {address}: the host has no address: {source}; {}",
        THIS_MACHINE
    )]
    Resolve {
        /// The value that was given.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The address cannot be listened at.
    #[error("--metrics-listen {address}: {source}; {}", what_to_do(source))]
    Listen {
        /// The value that was given.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system refuses a thread or an event queue.
    #[error("live figures cannot be served: {0}")]
    Start(#[source] io::Error),
}

const THIS_MACHINE: &str =
    "give an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all its networks";

fn what_to_do(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => {
            "another program listens there: give another port, or port 0 for any free one"
        }
        ErrorKind::AddrNotAvailable => THIS_MACHINE,
        ErrorKind::PermissionDenied => "give a port above 1023",
        _ => "give another address or port",
    }
}

/// The server. It stops when this is dropped.
#[derive(Debug)]
pub struct Exporter {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Serves what hangs on the board at this address, `HOST:PORT`; port 0 lets the system choose.
    ///
    /// # Errors
    /// Where the host has no address, it cannot be listened at, or the system refuses what the server needs.
    pub fn start(address: &str, about: About, board: Board) -> Result<Self, MetricsError> {
        let resolved = address.to_socket_addrs();
        let resolved: Vec<SocketAddr> = resolved
            .map_err(|source| MetricsError::Resolve {
                address: address.to_owned(),
                source,
            })?
            .collect();
        let listen = || {
            let listener = TcpListener::bind(&*resolved)?;
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        };
        let (bound, listener) = listen().map_err(|source| MetricsError::Listen {
            address: address.to_owned(),
            source,
        })?;
        let (stop, stopped) = oneshot::channel();
        let thread = server::spawn(listener, about, board, stopped).map_err(MetricsError::Start)?;
        Ok(Self {
            address: bound,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where the figures are.
    pub fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What went wrong in a server that is no longer wanted concerns nobody.
            let _ = thread.join();
        }
    }
}
