//! Servers that speak TLS, on a thread of the test: certificates made for the occasion, and whatever a test
//! wants done with each connection.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The names that all certificates are for, unless a test says otherwise.
pub const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// A certificate and its key.
pub struct Identity {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// One that nobody vouches for but itself.
    pub fn self_signed() -> Self {
        let names = NAMES.map(str::to_owned);
        let own = rcgen::generate_simple_self_signed(names).expect("a certificate");
        Self {
            certificate: own.cert.der().clone(),
            key: PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()).into(),
        }
    }
}

/// A server's side of TLS with these protocols on offer.
pub fn configuration(identity: Identity, protocols: &[&str]) -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the usual versions")
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate], identity.key)
        .expect("key and certificate fit");
    config.alpn_protocols = protocols
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    config
}

/// A server that hands each connection to a function, once its handshake is done.
pub struct TlsServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TlsServer {
    /// Starts it.
    pub fn start<S, F>(config: rustls::ServerConfig, serve: S) -> Self
    where
        S: Fn(TlsStream<TcpStream>) -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            LocalSet::new().block_on(&runtime, async move {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                    .await
                    .expect("a free port");
                tell.send(listener.local_addr().expect("it is bound"))
                    .expect("the test waits for it");
                tokio::select! {
                    () = accept(listener, acceptor, serve) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address: told.recv().expect("the server starts"),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The URL of an endpoint, by a name that the certificates are for.
    pub fn url(&self) -> String {
        self.url_of("localhost")
    }

    /// The URL of an endpoint, by this name.
    pub fn url_of(&self, host: &str) -> String {
        format!("https://{host}:{}/v1", self.address.port())
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Takes connections until it is dropped.
async fn accept<F>(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    serve: impl Fn(TlsStream<TcpStream>) -> F,
) where
    F: Future<Output = ()> + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).ok();
        let accepted = acceptor.accept(stream);
        // A client that refuses the certificate ends the handshake, which holds up no other: none of
        // the tests has two at once that do.
        if let Ok(stream) = accepted.await {
            tokio::task::spawn_local(serve(stream));
        }
    }
}
