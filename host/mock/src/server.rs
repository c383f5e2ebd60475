//! Listening, accepting, and the runtime below.
//!
//! One thread does everything, since the server often shares a small machine with the client that it is
//! there to measure.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use llmuses_kernel_io::{StampedStream, ask_for_stamps};

use super::config::{MockConfig, MockError};
use super::connection::{Outbox, Stamper};
use super::log::Log;
use super::service::Server;

/// More than systems allow; they cut it to what they do. A thousand clients that start at once must all
/// be let in.
const BACKLOG: i32 = 65_535;

/// How long to wait before accepting again when the system has no descriptor or memory to spare.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Binds the address and starts to queue connections.
pub(super) fn listen(address: SocketAddr) -> Result<TcpListener, MockError> {
    let open = || -> io::Result<TcpListener> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        // Windows means something else by this option: there it would let two servers share a port.
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // Accepted sockets inherit the wish, so that not even the first request lacks a stamp.
        ask_for_stamps(&socket);
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().map_err(|source| MockError::Listen { address, source })
}

/// Something that is over when the process is told to end.
#[cfg(unix)]
pub(super) fn end_signal() -> Result<impl Future<Output = ()>, MockError> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(MockError::Start)?;
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("mock-signals".to_owned())
        .spawn(move || {
            if signals.forever().next().is_some() {
                tell.send(()).ok();
            }
        })
        .map_err(MockError::Start)?;
    Ok(async {
        told.await.ok();
    })
}

/// Something that is never over: here the system ends the process by itself.
#[cfg(not(unix))]
pub(super) fn end_signal() -> Result<impl Future<Output = ()>, MockError> {
    Ok(std::future::pending())
}

/// Serves until `end` is over; open connections are cut off then.
pub(super) fn run(
    listener: TcpListener,
    config: MockConfig,
    on_listening: impl FnOnce(SocketAddr),
    end: impl Future<Output = ()>,
) -> Result<(), MockError> {
    let log = match &config.log {
        Some(path) => Some(Log::open(path).map_err(|source| MockError::Log {
            path: path.clone(),
            source,
        })?),
        None => None,
    };
    let tls = if config.tls {
        Some(super::tls::acceptor()?)
    } else {
        None
    };
    // Each connection takes a descriptor. If the limit cannot be raised, accepting waits when it is reached.
    rlimit::increase_nofile_limit(u64::MAX).ok();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(MockError::Start)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(MockError::Start)?;
        on_listening(listener.local_addr().map_err(MockError::Start)?);
        tokio::select! {
            () = accept(listener, Arc::new(Server::new(config, log)), tls) => {}
            () = end => {}
        }
        Ok(())
    })
}

async fn accept(listener: tokio::net::TcpListener, server: Arc<Server>, tls: Option<TlsAcceptor>) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Chunks are small: to copy one into the write buffer costs less than to hand over its parts.
    builder.http1().writev(false);
    let builder = Arc::new(builder);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                server.truth.connected();
                let (server, builder) = (Arc::clone(&server), Arc::clone(&builder));
                tokio::spawn(converse(stream, server, builder, tls.clone()));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Serves one connection to its end.
async fn converse(
    stream: TcpStream,
    server: Arc<Server>,
    builder: Arc<auto::Builder<TokioExecutor>>,
    tls: Option<TlsAcceptor>,
) {
    // A token must not wait for the acknowledgement of the one before. It only fails on a dead connection.
    stream.set_nodelay(true).ok();
    let outbox = Arc::new(Outbox::default());
    let mut stream = StampedStream::with_hook(stream, Stamper::new(Arc::clone(&outbox)));
    let stamps = stream.handle();
    let service = service_fn(move |request| {
        Arc::clone(&server).answer(request, stamps.clone(), Arc::clone(&outbox))
    });
    // A client that goes away, or does not trust the certificate, is its own business; the truth counts the
    // requests that it left.
    match tls {
        None => {
            let serving = builder.serve_connection(TokioIo::new(stream), service);
            serving.await.ok();
        }
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                let serving = builder.serve_connection(TokioIo::new(stream), service);
                serving.await.ok();
            }
        }
    }
}
