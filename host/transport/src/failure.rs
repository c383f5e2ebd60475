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
pub enum Stage {
    /// While a connection was opened.
    Connect,
    /// Before the head of the response was there.
    Head,
    /// While the body of the response was read.
    Body,
}

/// Sorts an error of reqwest.
pub fn classify(error: &reqwest::Error, stage: Stage) -> Failure {
    let chain: Vec<&(dyn Error + 'static)> = chain(error).collect();
    let connecting = error.is_connect().then(|| {
        if error.is_timeout() {
            FailureKind::TimeoutConnect
        } else if is_of_tcp(&chain) {
            FailureKind::Connect
        } else {
            // TCP was done, so it was in the handshake that the connection ended.
            FailureKind::Tls
        }
    });
    // The first is reqwest's own, which says no more than that there was an error, and for which URL.
    sort(&chain, connecting, stage, &chain[1..])
}

/// Whether it was TCP that failed. The connector has no type for that, only a description.
fn is_of_tcp(chain: &[&(dyn Error + 'static)]) -> bool {
    chain
        .iter()
        .any(|error| error.to_string().starts_with("tcp "))
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
pub fn broken_rules(error: &(dyn Error + 'static)) -> Failure {
    Failure::new(
        FailureKind::Protocol,
        describe(FailureKind::Protocol, false, &[error]),
    )
}

/// Sorts an error of the system.
pub fn classify_error(error: &(dyn Error + 'static), stage: Stage) -> Failure {
    let chain: Vec<&(dyn Error + 'static)> = chain(error).collect();
    let connecting = (stage == Stage::Connect).then_some(FailureKind::Connect);
    sort(&chain, connecting, stage, &chain)
}

fn sort(
    chain: &[&(dyn Error + 'static)],
    connecting: Option<FailureKind>,
    stage: Stage,
    told: &[&(dyn Error + 'static)],
) -> Failure {
    let kind = resource(chain)
        .or_else(|| named(chain))
        .or(connecting)
        .or_else(|| in_transit(chain))
        .unwrap_or(match stage {
            Stage::Connect => FailureKind::Connect,
            Stage::Head => FailureKind::Send,
            Stage::Body => FailureKind::Truncated,
        });
    let handshaking = stage == Stage::Connect || connecting.is_some();
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
            // hyper has no question for this one, only a description.
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
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::NotConnected => Some(FailureKind::Truncated),
        // Chunk sizes and such that break the rules of HTTP.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Some(FailureKind::Protocol),
        _ => None,
    })
}

const TRUNCATED: &str = "the connection ended before the response did";
const NOT_WRITTEN: &str = "the request could not be written";

/// What happened, from the outside in, without words that only say where in the client it happened.
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
        if !text.is_empty() && !last.contains(&text) && !is_filler(&text) {
            message.push_str(": ");
            message.push_str(&text);
            last = text;
        }
    }
    message
}

fn is_filler(text: &str) -> bool {
    matches!(
        text,
        "client error (Connect)"
            | "http2 error"
            | "client error (SendRequest)"
            | "tcp connect error"
            | "error reading a body from connection"
            // What was said before it in our own words.
            | "connection closed before message completed"
    )
}
