//! What the client threads of a run note about its connections.

use llmuses_core::document::MOST_SERVERS;
use llmuses_core::wording::one_line;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// A server that had closed a kept connection before a request came has told so within this time after the client began to
/// send it: a way there and back, but around the world. One that tells it later took the request and dropped it.
pub(crate) const CLOSED_BEFORE: Duration = Duration::from_millis(100);

/// The longest name of a server that is noted, in characters.
const LONGEST_SERVER: usize = 100;

/// In how many responses the name of the server is looked for, beside those on new connections.
const LOOKS: u32 = 1000;

/// Counts of a run, shared by all transports.
#[derive(Debug, Default)]
pub struct ConnectionNotes {
    opened: AtomicU64,
    resent: AtomicU64,
    ended_at_done: AtomicU64,
    one_request_each: AtomicBool,
    versions: AtomicU8,
    waited_for_stream: AtomicU64,
    servers: RwLock<Vec<String>>,
    /// Responses in which its name was looked for.
    looks: AtomicU32,
}

/// The versions of HTTP that are told apart; the place of each is its bit in the notes.
const VERSIONS: [(http::Version, &str); 3] = [
    (http::Version::HTTP_10, "HTTP/1.0"),
    (http::Version::HTTP_11, "HTTP/1.1"),
    (http::Version::HTTP_2, "HTTP/2"),
];

fn bit(version: http::Version) -> u8 {
    let place = VERSIONS.iter().position(|(known, _)| *known == version);
    place.map_or(0, |place| 1 << place)
}

impl ConnectionNotes {
    /// A connection was opened.
    pub fn note_opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections that were opened, before the first request too.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// A request goes out once more, since the kept connection that carried it had been closed by the server.
    pub fn note_resent(&self) {
        self.resent.fetch_add(1, Ordering::Relaxed);
    }

    /// A response said `[DONE]`, and its body did not end in order behind that.
    pub fn note_ended_at_done(&self) {
        self.ended_at_done.fetch_add(1, Ordering::Relaxed);
    }

    /// The server closes each connection behind its first answer: each request has one of its own from now on.
    pub fn note_one_request_each(&self) {
        self.one_request_each.store(true, Ordering::Relaxed);
    }

    /// A response came in this version of HTTP.
    pub fn note_version(&self, version: http::Version) {
        let bit = bit(version);
        // All threads read this for each response; only the first of a version writes.
        if self.versions.load(Ordering::Relaxed) & bit != bit {
            self.versions.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether the name of the server is to be looked for in a response: in the first ones, and in those on a connection
    /// that was opened for them. To look for it in each would cost a client thread more than all else that is noted.
    pub fn wants_server(&self, on_new_connection: bool) -> bool {
        let is_early = self.looks.load(Ordering::Relaxed) < LOOKS;
        if is_early {
            self.looks.fetch_add(1, Ordering::Relaxed);
        }
        is_early || on_new_connection
    }

    /// A server called itself so in the head of a response.
    pub fn note_server(&self, name: &str) {
        let known = |servers: &[String]| {
            servers.len() >= MOST_SERVERS || servers.iter().any(|server| server == name)
        };
        // All threads read this for each response; only the first of a name writes.
        if known(&self.servers.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let name = one_line(name, LONGEST_SERVER);
        let mut servers = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        if servers.len() < MOST_SERVERS && !name.is_empty() && !servers.contains(&name) {
            servers.push(name);
        }
    }

    /// What servers call themselves, in the order in which each first answered.
    pub fn servers(&self) -> Vec<String> {
        let servers = self.servers.read().unwrap_or_else(PoisonError::into_inner);
        servers.clone()
    }

    /// A request waited until the connection of HTTP/2 had a stream for it.
    pub fn note_waited_for_stream(&self) {
        self.waited_for_stream.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that waited until the connection of HTTP/2 had a stream for them.
    pub fn waited_for_stream(&self) -> u64 {
        self.waited_for_stream.load(Ordering::Relaxed)
    }

    /// Requests that were sent once more.
    pub fn resent(&self) -> u64 {
        self.resent.load(Ordering::Relaxed)
    }

    /// Responses that ended with `[DONE]`, since their body did not end in order.
    pub fn ended_at_done(&self) -> u64 {
        self.ended_at_done.load(Ordering::Relaxed)
    }

    /// Whether the server was found to close each connection behind its first answer.
    pub fn has_one_request_each(&self) -> bool {
        self.one_request_each.load(Ordering::Relaxed)
    }

    /// Whether any response came.
    pub fn has_response(&self) -> bool {
        self.versions.load(Ordering::Relaxed) != 0
    }

    /// Whether a response came in HTTP/2.
    pub fn speaks_http_2(&self) -> bool {
        self.versions.load(Ordering::Relaxed) & bit(http::Version::HTTP_2) != 0
    }

    /// The versions of HTTP in which responses came, the oldest first.
    pub fn versions(&self) -> Vec<&'static str> {
        let bits = self.versions.load(Ordering::Relaxed);
        VERSIONS
            .iter()
            .enumerate()
            .filter(|(place, _)| bits & (1 << place) != 0)
            .map(|(_, (_, name))| *name)
            .collect()
    }
}

/// Finds out whether a server ever lets a connection carry a second request.
#[derive(Debug, Default)]
pub(super) struct Reuse {
    /// How often the server had closed a connection behind its first answer.
    closed: std::cell::Cell<u32>,
    /// Whether a kept connection has ever carried another request well.
    works: std::cell::Cell<bool>,
}

impl Reuse {
    /// So many connections that were closed, with none that could be used again, are no accident.
    const ENOUGH: u32 = 3;

    /// A kept connection has carried another request.
    pub(super) fn note_works(&self) {
        self.works.set(true);
    }

    /// The server had closed a kept connection.
    pub(super) fn note_closed(&self, notes: &ConnectionNotes) {
        self.closed.set(self.closed.get().saturating_add(1));
        if self.is_useless() {
            notes.note_one_request_each();
        }
    }

    /// Whether connections are not to be kept, since the server closes each of them.
    pub(super) fn is_useless(&self) -> bool {
        !self.works.get() && self.closed.get() >= Self::ENOUGH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_server_is_looked_for_at_first_and_on_new_connections() {
        let notes = ConnectionNotes::default();
        assert!((0..LOOKS).all(|_| notes.wants_server(false)));
        assert!(!notes.wants_server(false));
        assert!(notes.wants_server(true));
    }

    #[test]
    fn a_server_is_learned_only_where_no_connection_was_ever_used_again() {
        let notes = ConnectionNotes::default();
        let (closing, mostly_closing) = (Reuse::default(), Reuse::default());
        mostly_closing.note_works();
        for _ in 0..2 {
            closing.note_closed(&notes);
        }
        for _ in 0..100 {
            mostly_closing.note_closed(&notes);
        }
        assert!(!closing.is_useless() && !mostly_closing.is_useless());
        assert!(!notes.has_one_request_each());
        closing.note_closed(&notes);
        assert!(closing.is_useless() && notes.has_one_request_each());
    }

    #[test]
    fn a_few_servers_are_told_once_each() {
        let notes = ConnectionNotes::default();
        for name in [
            "uvicorn",
            "a  b\u{1b}[1m",
            "uvicorn",
            "",
            "c",
            "d",
            "e",
            "f",
        ] {
            notes.note_server(name);
        }
        assert_eq!(notes.servers().len(), MOST_SERVERS);
        assert_eq!(notes.servers()[0], "uvicorn");
        assert!(notes.servers().iter().all(|name| !name.contains('\u{1b}')));
    }

    #[test]
    fn versions_are_told_once_each() {
        let notes = ConnectionNotes::default();
        assert!(!notes.has_response());
        for version in [
            http::Version::HTTP_2,
            http::Version::HTTP_11,
            http::Version::HTTP_2,
        ] {
            notes.note_version(version);
        }
        assert_eq!(notes.versions(), ["HTTP/1.1", "HTTP/2"]);
        assert!(notes.speaks_http_2());
    }
}
