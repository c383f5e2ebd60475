//! Why a request failed.

use super::response_log::ResponseLog;
use crate::clean::printable;
use crate::wording::{cut, excerpt};

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What sort of failure it is.
    pub kind: FailureKind,
    /// What happened, for a person to read. A terminal acts on nothing in it. As long as the response has not been
    /// read by the plugin, it may hold a credential that the server said back.
    pub message: String,
    /// The event of the response whose beginning ends the message, once credentials are blanked in both.
    pub quoted: Option<u32>,
}

/// The longest message of a failure, in characters.
const LONGEST_MESSAGE: usize = 600;

impl Failure {
    /// A failure of `kind` with its message.
    pub fn new(kind: FailureKind, message: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: printable(message.as_ref()),
            quoted: None,
        }
    }

    /// The same, whose message ends with the beginning of an event.
    #[must_use]
    pub fn quoting(mut self, event: u32) -> Self {
        self.quoted = Some(event);
        self
    }

    /// Cuts a message that is too long and ends it with what is quoted of the response. Not before credentials are
    /// blanked in both: a part of one would not be known.
    pub fn cut_and_quote(&mut self, response: &ResponseLog) {
        self.message = cut(&self.message, LONGEST_MESSAGE);
        let quoted = self.quoted.take();
        if let Some(data) = quoted.and_then(|event| response.data(event as usize))
            && !data.is_empty()
        {
            self.message.push_str(": ");
            self.message.push_str(&excerpt(data));
        }
    }
}

/// The sorts of failure, each one told apart from the others wherever it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// The name of the host did not resolve.
    Dns,
    /// The TCP connection was not made: refused, unreachable, reset.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The request could not be written.
    Send,
    /// The server answered with a status other than 2xx.
    HttpStatus,
    /// No connection within `--connect-timeout`.
    TimeoutConnect,
    /// Silence of the server for longer than `--read-timeout`.
    TimeoutRead,
    /// The request as a whole took longer than `--total-timeout`.
    TimeoutTotal,
    /// What arrived is not HTTP, or breaks a rule of it.
    Protocol,
    /// The connection ended before the response did.
    Truncated,
    /// The server reported an error inside a response that had begun well.
    StreamError,
    /// The response came whole and holds nothing that the model produced.
    NoOutput,
    /// The parser could not make sense of the response.
    Parse,
    /// It was in flight when the run was ended.
    Cancelled,
    /// This machine ran out of something: open files, ports, memory.
    ClientResource,
    /// The client broke it off, as the plan has it. No failure: such requests are a class of their own.
    Disconnected,
}

impl FailureKind {
    /// Every kind, in the order in which reports list them.
    pub const ALL: [Self; 16] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Send,
        Self::HttpStatus,
        Self::TimeoutConnect,
        Self::TimeoutRead,
        Self::TimeoutTotal,
        Self::Protocol,
        Self::Truncated,
        Self::StreamError,
        Self::NoOutput,
        Self::Parse,
        Self::Cancelled,
        Self::ClientResource,
        Self::Disconnected,
    ];

    /// The name of the kind, as in the database and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::HttpStatus => "http-status",
            Self::TimeoutConnect => "timeout-connect",
            Self::TimeoutRead => "timeout-read",
            Self::TimeoutTotal => "timeout-total",
            Self::Protocol => "protocol",
            Self::Truncated => "truncated",
            Self::StreamError => "stream-error",
            Self::NoOutput => "no-output",
            Self::Parse => "parse",
            Self::Cancelled => "cancelled",
            Self::ClientResource => "client-resource",
            Self::Disconnected => "disconnected",
        }
    }

    /// Whether a request that ended so has failed.
    pub fn is_failure(self) -> bool {
        self != Self::Disconnected
    }

    /// Whether it is that the connection was closed, or not taken.
    pub const fn is_closed_connection(self) -> bool {
        matches!(self, Self::Connect | Self::Send | Self::Truncated)
    }

    /// The kind of a name, as of [`Self::as_str`].
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl std::fmt::Display for FailureKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own() {
        let names: std::collections::HashSet<_> =
            FailureKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), FailureKind::ALL.len());
    }
}
