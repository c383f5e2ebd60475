//! TLS: a certificate that nobody vouches for is refused, unless `--insecure` says otherwise; and the
//! protocol is what both sides agree on.

use crate::misbehaving::{Failing, Run, TRANSPORTS, delta, event, none, perf, problems};
use crate::support::{self, Bench};
use crate::tls_server::{self, Identity, NAMES, configuration};
use base64::Engine;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A server that answers every request, and notes in which version of HTTP it came.
struct TlsServer {
    server: tls_server::TlsServer,
    versions: Arc<Mutex<Vec<Version>>>,
}

impl TlsServer {
    /// Starts it with a certificate of its own making and these protocols on offer.
    fn start(protocols: &[&str]) -> Self {
        Self::with(Identity::self_signed(), protocols)
    }

    /// Starts it with this certificate.
    fn with(identity: Identity, protocols: &[&str]) -> Self {
        let versions = Arc::default();
        let seen = Arc::clone(&versions);
        let serve = move |stream| serve(stream, Arc::clone(&seen));
        Self {
            server: tls_server::TlsServer::start(configuration(identity, protocols), serve),
            versions,
        }
    }

    fn url(&self) -> String {
        self.server.url()
    }

    /// The HTTP versions of the requests that it saw.
    fn versions(&self) -> Vec<Version> {
        self.versions.lock().expect("no request panics").clone()
    }
}

async fn serve(stream: TlsStream<TcpStream>, versions: Arc<Mutex<Vec<Version>>>) {
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
}

/// A block of a PEM file.
fn pem(label: &str, content: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(content);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// An authority that the program is told to trust.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names are good names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Self { issuer }
    }

    /// A certificate for these names that ends with a year.
    fn vouches_for(&self, names: &[&str], last_year: i32) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("good names");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity {
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        }
    }

    /// The certificate and key of a client, and what a server needs to ask for them.
    fn of_a_client(&self) -> (String, rustls::ServerConfig) {
        let params = CertificateParams::new(["client".to_owned()]).expect("a good name");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(self.issuer.der().clone())
            .expect("a certificate that can be trusted");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&provider),
        );
        let identity = self.vouches_for(&NAMES, 2090);
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the usual versions")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(vec![identity.certificate], identity.key)
            .expect("key and certificate fit");
        let client =
            pem("CERTIFICATE", certificate.der()) + &pem("PRIVATE KEY", &key.serialize_der());
        (client, config)
    }

    /// Its own certificate as files of trusted ones hold it.
    fn pem(&self) -> String {
        pem("CERTIFICATE", self.issuer.der())
    }

    /// Runs `perf` against a server with this identity, as somebody who trusts the authority.
    fn run(&self, identity: Identity, transport: &str) -> Run {
        let server = TlsServer::with(identity, &["h2", "http/1.1"]);
        let bench = Bench::new();
        let trusted = bench.file("trusted.pem", self.pem());
        let mut command = perf(&bench, &server.url(), &["--transport", transport]);
        let ended = support::run(command.env("SSL_CERT_FILE", trusted));
        Run { bench, ended }
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

#[test]
fn a_certificate_that_is_trusted_and_does_not_fit() {
    let authority = Authority::new();
    let mut found = Vec::new();
    for transport in TRANSPORTS {
        let good = authority.run(authority.vouches_for(&NAMES, 2999), transport);
        assert_eq!(
            good.ended.code,
            Some(0),
            "{transport}: {}",
            good.ended.stderr
        );
        for (name, identity, says) in [
            (
                "expired",
                authority.vouches_for(&NAMES, 2001),
                "certificate expired",
            ),
            (
                "of another name",
                authority.vouches_for(&["example.com"], 2999),
                "not valid for name",
            ),
        ] {
            let expected = Failing {
                kind: "tls",
                says: vec!["the TLS handshake failed", says],
                ..Failing::default()
            };
            let run = authority.run(identity, transport);
            found.push((
                format!("{name} over {transport}"),
                problems(&run, 1, &expected),
            ));
        }
    }
    none(found);
}

#[test]
fn an_authority_of_the_user_is_trusted_by_ca_file() {
    let authority = Authority::new();
    for transport in TRANSPORTS {
        let server = TlsServer::with(authority.vouches_for(&NAMES, 2090), &["http/1.1"]);
        let bench = Bench::new();
        bench.file("ca.pem", authority.pem());
        let trusting = ["--transport", transport, "--ca-file", "ca.pem"];
        let ended = support::run(&mut perf(&bench, &server.url(), &trusting));
        assert_eq!(ended.code, Some(0), "{transport}: {}", ended.stderr);
        let others = ["--transport", transport];
        let ended = support::run(&mut perf(&Bench::new(), &server.url(), &others));
        assert_eq!(ended.code, Some(1), "{transport}: {}", ended.stderr);
    }
}

#[test]
fn a_client_shows_its_certificate() {
    let authority = Authority::new();
    for transport in TRANSPORTS {
        let (pem, config) = authority.of_a_client();
        let versions = Arc::default();
        let serve = move |stream| serve(stream, Arc::clone(&versions));
        let server = tls_server::TlsServer::start(config, serve);
        let bench = Bench::new();
        bench.file("ca.pem", authority.pem());
        bench.file("client.pem", pem);
        let trusting = ["--transport", transport, "--ca-file", "ca.pem"];
        let with = [&trusting[..], &["--client-cert", "client.pem"]].concat();
        let ended = support::run(&mut perf(&bench, &server.url(), &with));
        assert_eq!(ended.code, Some(0), "{transport}: {}", ended.stderr);
        let next = Bench::new();
        next.file("ca.pem", authority.pem());
        let ended = support::run(&mut perf(&next, &server.url(), &trusting));
        assert_eq!(ended.code, Some(1), "{transport}: {}", ended.stderr);
        let wrong = [&trusting[..], &["--client-cert", "ca.pem"]].concat();
        let last = Bench::new();
        last.file("ca.pem", authority.pem());
        let ended = support::run(&mut perf(&last, &server.url(), &wrong));
        assert_eq!(ended.code, Some(2), "{transport}: {}", ended.stderr);
        assert!(
            ended
                .stderr
                .contains("--client-cert ca.pem: it has no private key"),
            "{}",
            ended.stderr
        );
    }
}
