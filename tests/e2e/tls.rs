//! TLS: a certificate that nobody vouches for is refused, unless `--insecure` says otherwise; and the
//! protocol is what both sides agree on.

use crate::misbehaving::{Failing, Run, TRANSPORTS, delta, event, none, problems};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// A server with a certificate of its own making, on a thread.
struct TlsServer {
    address: SocketAddr,
    versions: Arc<Mutex<Vec<Version>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TlsServer {
    /// Starts it with these protocols on offer.
    fn start(protocols: &[&str]) -> Self {
        let config = Arc::new(configuration(protocols));
        let versions = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let seen = Arc::clone(&versions);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                    .await
                    .expect("a free port");
                tell.send(listener.local_addr().expect("it is bound"))
                    .expect("the test waits for it");
                tokio::select! {
                    () = serve(listener, TlsAcceptor::from(config), seen) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address: told.recv().expect("the server starts"),
            versions,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/v1", self.address.port())
    }

    /// The HTTP versions of the requests that it saw.
    fn versions(&self) -> Vec<Version> {
        self.versions.lock().expect("no request panics").clone()
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

fn configuration(protocols: &[&str]) -> rustls::ServerConfig {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let own = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the usual versions")
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.into())
        .expect("key and certificate fit");
    config.alpn_protocols = protocols
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    config
}

/// Takes connections until it is dropped.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor, versions: Arc<Mutex<Vec<Version>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, versions) = (acceptor.clone(), Arc::clone(&versions));
        tokio::spawn(async move {
            // A client that refuses the certificate ends the handshake.
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = service_fn(|request: Request<Incoming>| {
                let versions = Arc::clone(&versions);
                async move {
                    versions
                        .lock()
                        .expect("no request panics")
                        .push(request.version());
                    // The whole request, before it is answered.
                    request.into_body().collect().await.ok();
                    let body = event(delta("x")) + &event("[DONE]");
                    let mut response = Response::new(Full::new(Bytes::from(body)));
                    response.headers_mut().insert(
                        "content-type",
                        http::HeaderValue::from_static("text/event-stream"),
                    );
                    Ok::<_, Infallible>(response)
                }
            });
            auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for() {
    let server = TlsServer::start(&["h2", "http/1.1"]);
    let expected = Failing {
        kind: "tls",
        says: vec!["the TLS handshake failed", "certificate"],
        ..Failing::default()
    };
    let found = TRANSPORTS.into_iter().map(|transport| {
        let run = Run::of(&server.url(), &["--transport", transport]);
        (transport.to_owned(), problems(&run, 1, &expected))
    });
    none(found.collect());
    assert!(server.versions().is_empty(), "a request went out");
}

#[test]
fn insecure_takes_any_certificate() {
    for (transport, protocols, version) in [
        ("socket", &["h2", "http/1.1"][..], Version::HTTP_11),
        ("socket", &[], Version::HTTP_11),
        ("reqwest", &["http/1.1"], Version::HTTP_11),
        ("reqwest", &["h2", "http/1.1"], Version::HTTP_2),
    ] {
        let name = format!("{transport}, {protocols:?}");
        let server = TlsServer::start(protocols);
        let run = Run::of(
            &server.url(),
            &[
                "--insecure",
                "--transport",
                transport,
                "-n",
                "6",
                "--parallel",
                "3",
            ],
        );
        assert_eq!(run.ended.code, Some(0), "{name}: {}", run.ended.stderr);
        let rows = run.rows();
        assert_eq!(rows.len(), 6, "{name}");
        for row in rows {
            assert!(row.success, "{name}: {}: {}", row.kind, row.error);
            assert_eq!(row.messages, [delta("x")], "{name}");
        }
        assert_eq!(server.versions(), vec![version; 6], "{name}");
    }
}

#[test]
fn a_server_that_speaks_http_2_alone() {
    let server = TlsServer::start(&["h2"]);
    let expected = Failing {
        kind: "tls",
        says: vec!["does not speak HTTP/1.1", "--transport reqwest"],
        ..Failing::default()
    };
    let run = Run::of(&server.url(), &["--insecure"]);
    none(vec![("socket".to_owned(), problems(&run, 1, &expected))]);
}
