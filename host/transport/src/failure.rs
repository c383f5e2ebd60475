//! Which kind of failure an error of the HTTP client is, and what to tell the user.

use llmuses_core::exchange::{Failure, FailureKind};
use std::error::Error;
use std::io;

/// A name that did not resolve. Carried through the HTTP client, so that it can be told from a
/// connection that was refused.
#[derive(Debug, thiserror::Error)]
#[error("the name {name} did not resolve: {source}")]
pub struct ResolveError {
    /// The name.
    pub name: String,
    /// What the resolver said.
    pub source: io::Error,
}

/// The part of a request during which an error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestPhase {
    /// While a connection was opened.
    Connect,
    /// Before the head of the response was there.
    Head,
    /// While the body of the response was read.
    Body,
}

/// Sorts an error of reqwest.
pub fn classify(error: reqwest::Error, stage: RequestPhase) -> Failure {
    let is_tls = error.url().is_some_and(|url| url.scheme() == "https");
    let error = error.without_url();
    let chain: Vec<&(dyn Error + 'static)> = chain(&error).collect();
    let connecting = error.is_connect().then(|| match error.is_timeout() {
        true => FailureKind::TimeoutConnect,
        false => of_connecting(&chain, is_tls),
    });
    // The first is reqwest's own, which says no more than that there was an error, and for which URL.
    let mut failure = sort(&chain, connecting, stage, &chain[1..]);
    if failure.kind == FailureKind::Connect && is_of_tunnel(&chain) {
        let why = chain.last().map(ToString::to_string).unwrap_or_default();
        failure.message = no_tunnel(why.strip_prefix(TUNNEL).unwrap_or(&why));
    }
    failure
}

/// Which kind of failure it is that a connection was not opened.
fn of_connecting(chain: &[&(dyn Error + 'static)], is_tls: bool) -> FailureKind {
    if !is_tls || is_of_tcp(chain) || is_of_tunnel(chain) {
        FailureKind::Connect
    } else {
        // TCP was done, so it was in the handshake that the connection ended.
        FailureKind::Tls
    }
}

/// How the client begins the message of a tunnel that a proxy did not open. It has no type for that which could be
/// asked for; a test notices another text.
const TUNNEL: &str = "tunnel error: ";

fn is_of_tunnel(chain: &[&(dyn Error + 'static)]) -> bool {
    chain
        .iter()
        .any(|error| error.to_string().starts_with(TUNNEL))
}

/// What to tell where a proxy opens no tunnel.
pub fn no_tunnel(why: &str) -> String {
    format!("no connection through the proxy (--proxy): {why}")
}

/// Whether it was TCP that failed: the system says so, and not of a connection that was there and has ended, as one does
/// in the middle of a handshake.
fn is_of_tcp(chain: &[&(dyn Error + 'static)]) -> bool {
    os_errors(chain)
        .any(|error| error.raw_os_error().is_some() && !is_end_of_connection(error.kind()))
}

fn is_end_of_connection(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::NotConnected
    )
}

/// Whether the server ended this request alone, and told so: an answer, if none that anybody wants.
pub fn is_stream_reset(error: &reqwest::Error) -> bool {
    let chain: Vec<&(dyn Error + 'static)> = chain(error).collect();
    find::<h2::Error>(&chain).is_some_and(h2::Error::is_reset)
}

/// The failure of a request that the connection had not taken whole when it ended.
pub fn not_taken(mut failure: Failure) -> Failure {
    if failure.kind == FailureKind::Truncated {
        failure.kind = FailureKind::Send;
        failure.message = failure.message.replacen(TRUNCATED, NOT_WRITTEN, 1);
    }
    failure
}

/// The failure of a request whose connection ended before the response did.
pub fn truncated() -> Failure {
    Failure::new(FailureKind::Truncated, TRUNCATED)
}

/// The failure of a request that was answered with something else than HTTP.
pub fn broken_rules(error: &dyn Error) -> Failure {
    let what = describe(FailureKind::Protocol, false, &[]);
    Failure::new(FailureKind::Protocol, format!("{what}: {error}"))
}

/// Sorts an error of the system.
pub fn classify_error(error: &(dyn Error + 'static), stage: RequestPhase) -> Failure {
    let chain: Vec<&(dyn Error + 'static)> = chain(error).collect();
    let connecting = (stage == RequestPhase::Connect).then_some(FailureKind::Connect);
    sort(&chain, connecting, stage, &chain)
}

fn sort(
    chain: &[&(dyn Error + 'static)],
    connecting: Option<FailureKind>,
    stage: RequestPhase,
    told: &[&(dyn Error + 'static)],
) -> Failure {
    let kind = resource(chain)
        .or_else(|| named(chain))
        .or(connecting)
        .or_else(|| in_transit(chain))
        .unwrap_or(match stage {
            RequestPhase::Connect => FailureKind::Connect,
            RequestPhase::Head => FailureKind::Send,
            RequestPhase::Body => FailureKind::Truncated,
        });
    let handshaking = stage == RequestPhase::Connect || connecting.is_some();
    Failure::new(kind, describe(kind, handshaking, told))
}

/// An error and its causes, outermost first.
fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> + 'a {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        // An `io::Error` made from another error gives that error's cause as its own, and so hides
        // the error itself.
        if let Some(io) = error.downcast_ref::<io::Error>()
            && let Some(inner) = io.get_ref()
        {
            return Some(inner as &(dyn Error + 'static));
        }
        error.source()
    })
}

fn find<'a, E: Error + 'static>(chain: &[&'a (dyn Error + 'static)]) -> Option<&'a E> {
    chain.iter().find_map(|error| error.downcast_ref::<E>())
}

fn os_errors<'a>(chain: &'a [&(dyn Error + 'static)]) -> impl Iterator<Item = &'a io::Error> {
    chain
        .iter()
        .filter_map(|error| error.downcast_ref::<io::Error>())
}

/// This machine ran out of files, ports, buffers or memory.
fn resource(chain: &[&(dyn Error + 'static)]) -> Option<FailureKind> {
    const SHORTAGES: [i32; 5] = [
        libc::EMFILE,
        libc::ENFILE,
        libc::EADDRNOTAVAIL,
        libc::ENOBUFS,
        libc::ENOMEM,
    ];
    os_errors(chain)
        .filter_map(io::Error::raw_os_error)
        .any(|code| SHORTAGES.contains(&code))
        .then_some(FailureKind::ClientResource)
}

/// Errors whose type alone says what they are.
fn named(chain: &[&(dyn Error + 'static)]) -> Option<FailureKind> {
    if find::<ResolveError>(chain).is_some() {
        return Some(FailureKind::Dns);
    }
    find::<rustls::Error>(chain).map(|_| FailureKind::Tls)
}

fn in_transit(chain: &[&(dyn Error + 'static)]) -> Option<FailureKind> {
    for error in chain {
        if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
            if hyper.is_incomplete_message() {
                return Some(FailureKind::Truncated);
            }
            if hyper.is_parse() || hyper.is_parse_too_large() {
                return Some(FailureKind::Protocol);
            }
            // hyper has no question for this one, only a description; a test notices another one.
            if hyper.to_string().starts_with("error writing") {
                return Some(FailureKind::Send);
            }
        }
        if let Some(http2) = error.downcast_ref::<h2::Error>() {
            // The server reset the stream, sent the client away, or was gone: it ended the answer. What
            // this side found wrong with the frames is a breach of the rules.
            return Some(if http2.is_remote() || http2.is_io() {
                FailureKind::Truncated
            } else {
                FailureKind::Protocol
            });
        }
    }
    os_errors(chain).find_map(|error| match error.kind() {
        // The system says so of a write. Without the system's code it is HTTP/2 that speaks of a connection
        // which was closed under a stream.
        io::ErrorKind::BrokenPipe if error.raw_os_error().is_some() => Some(FailureKind::Send),
        kind if is_end_of_connection(kind) => Some(FailureKind::Truncated),
        // Chunk sizes and such that break the rules of HTTP.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Some(FailureKind::Protocol),
        _ => None,
    })
}

const TRUNCATED: &str = "the connection ended before the response did";
const NOT_WRITTEN: &str = "the request could not be written";

/// What happened, and why: of the errors of the HTTP client the last cause, for the others only say where in the client
/// it happened.
fn describe(kind: FailureKind, handshaking: bool, told: &[&(dyn Error + 'static)]) -> String {
    let what = match kind {
        FailureKind::Dns => "no address for the host",
        FailureKind::Connect => "no connection",
        FailureKind::Tls if handshaking => "the TLS handshake failed",
        FailureKind::Tls => "the TLS connection broke",
        FailureKind::Send => NOT_WRITTEN,
        FailureKind::TimeoutConnect => "no connection in time (--connect-timeout)",
        FailureKind::Protocol => "the answer breaks the rules of HTTP",
        FailureKind::Truncated => TRUNCATED,
        FailureKind::ClientResource => "this machine ran out of a resource",
        _ => "the request failed",
    };
    let mut message = what.to_owned();
    let mut last = String::new();
    for error in told {
        let text = error.to_string();
        if !text.is_empty() && !last.contains(&text) && says_why(*error) {
            message.push_str(": ");
            message.push_str(&text);
            last = text;
        }
    }
    message
}

fn says_why(error: &(dyn Error + 'static)) -> bool {
    if let Some(hyper) = error.downcast_ref::<hyper::Error>()
        && hyper.is_incomplete_message()
    {
        // What was said before it in our own words.
        return false;
    }
    let is_last = chain(error).nth(1).is_none();
    is_last || error.is::<ResolveError>() || error.is::<rustls::Error>() || error.is::<h2::Error>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// A connection on which nothing can be written.
    struct Unwritable;

    impl hyper::rt::Read for Unwritable {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: hyper::rt::ReadBufCursor<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl hyper::rt::Write for Unwritable {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Fails where hyper calls an error of a write something else.
    #[test]
    fn a_write_that_fails_is_told_from_a_read() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let error = runtime.block_on(async {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(Unwritable)
                .await
                .unwrap();
            let request = http::Request::post("/")
                .header("host", "h")
                .body(reqwest::Body::from("{}"))
                .unwrap();
            let (answered, _) = tokio::join!(sender.send_request(request), connection);
            answered.unwrap_err()
        });
        let failure = classify_error(&error, RequestPhase::Head);
        assert_eq!(failure.kind, FailureKind::Send, "{error:?}");
        assert_eq!(failure.message, format!("{NOT_WRITTEN}: connection reset"));
    }

    #[test]
    fn tcp_that_fails_is_told_from_a_handshake() {
        let of_tcp = |error: io::Error| is_of_tcp(&[&error]);
        for code in [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::EACCES] {
            assert!(of_tcp(io::Error::from_raw_os_error(code)), "{code}");
        }
        assert!(!of_tcp(io::Error::from_raw_os_error(libc::ECONNRESET)));
        assert!(!of_tcp(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "tls handshake eof"
        )));
        let certificate = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        assert!(!of_tcp(io::Error::new(
            io::ErrorKind::InvalidData,
            certificate
        )));
    }

    #[test]
    fn a_handshake_fails_where_there_is_one() {
        let reset = io::Error::from_raw_os_error(libc::ECONNRESET);
        let kind = |is_tls| of_connecting(&[&reset], is_tls);
        assert_eq!(kind(true), FailureKind::Tls);
        assert_eq!(kind(false), FailureKind::Connect);
    }

    #[test]
    fn the_cause_is_told_and_not_where_in_the_client_it_was() {
        let certificate = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let error = io::Error::new(io::ErrorKind::InvalidData, certificate);
        let failure = classify_error(&error, RequestPhase::Connect);
        assert_eq!(failure.kind, FailureKind::Tls);
        assert_eq!(
            failure.message,
            "the TLS handshake failed: invalid peer certificate: Expired"
        );
        let error = ResolveError {
            name: "nowhere".to_owned(),
            source: io::Error::other("no such name"),
        };
        let failure = classify_error(&error, RequestPhase::Connect);
        assert_eq!(failure.kind, FailureKind::Dns);
        assert_eq!(
            failure.message,
            "no address for the host: the name nowhere did not resolve: no such name"
        );
    }
}
