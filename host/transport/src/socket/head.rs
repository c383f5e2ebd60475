//! The heads on a connection: the request's as it is written, the response's as it is read.

use super::body::Body;
use super::error::{HttpError, LONGEST_HEAD};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::mem::MaybeUninit;
use std::time::Duration;

/// The most headers that a response may have.
const MOST_HEADERS: usize = 128;

/// The head of a response, and how far its body has come.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) body: Body,
    /// Whether the connection may carry another request afterwards.
    pub(super) keeps_open: bool,
    pub(super) version: http::Version,
    /// The lines of the head as they came. Three of them are ever asked for, once: a map would take more
    /// memory for as long as the stream lasts.
    lines: Box<[u8]>,
}

impl Head {
    /// The head at the beginning of `bytes` and how many bytes it takes; `None` where it has not come whole.
    /// Interim answers and empty lines before a head are passed over: their bytes are taken out of `bytes`.
    ///
    /// # Errors
    /// Where the bytes are no head.
    pub(super) fn parse(bytes: &mut Vec<u8>) -> Result<Option<(Self, usize)>, HttpError> {
        loop {
            let blank = bytes
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                .count();
            bytes.drain(..blank);
            let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
            let mut response = httparse::Response::new(&mut []);
            let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
                &mut response,
                bytes,
                &mut headers,
            );
            let length = match parsed? {
                httparse::Status::Complete(length) => length,
                httparse::Status::Partial if bytes.len() > LONGEST_HEAD => {
                    return Err(HttpError::HeadTooLong);
                }
                httparse::Status::Partial => return Ok(None),
            };
            // Both are there in a head that is complete.
            let status = response.code.unwrap_or_default();
            let version = response.version.unwrap_or_default();
            // 101 changes the protocol, and nothing interim follows it.
            if (100..200).contains(&status) && status != 101 {
                bytes.drain(..length);
                continue;
            }
            let body = match status {
                101 | 204 | 304 => Body::Over,
                _ => framing(response.headers, version)?,
            };
            let keeps_open =
                status != 101 && body != Body::UntilClose && stays_open(response.headers, version);
            return Ok(Some((
                Self {
                    status,
                    body,
                    keeps_open,
                    version: match version {
                        0 => http::Version::HTTP_10,
                        _ => http::Version::HTTP_11,
                    },
                    lines: bytes[..length].into(),
                },
                length,
            )));
        }
    }

    /// What the server says of how long it keeps the connection (`Keep-Alive: timeout=5, max=100`).
    pub(super) fn keep_alive(&self) -> KeepAlive {
        KeepAlive::parse(self.header("keep-alive").unwrap_or_default())
    }

    /// The first value of a header, without blanks around it; `None` where it is absent or not text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        // The status has no end before it; nor has an empty line before that a name.
        memchr::memchr_iter(b'\n', &self.lines).find_map(|end| {
            let (found, rest) = self.lines[end + 1..].split_at_checked(name.len())?;
            let rest = rest.strip_prefix(b":")?;
            found.eq_ignore_ascii_case(name.as_bytes()).then(|| {
                let value = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
                std::str::from_utf8(value.trim_ascii()).ok()
            })
        })?
    }
}

/// How long a server keeps a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KeepAlive {
    /// How long it may be idle.
    pub(crate) timeout: Option<Duration>,
    /// How many requests it carries.
    pub(crate) max: Option<u32>,
}

impl KeepAlive {
    /// Reads the value of a `Keep-Alive` header. What it does not know says nothing.
    pub(crate) fn parse(value: &str) -> Self {
        let mut found = Self::default();
        for (name, number) in value.split(',').filter_map(|part| part.split_once('=')) {
            let Ok(number) = number.trim().trim_matches('"').parse::<u32>() else {
                continue;
            };
            match name.trim().to_ascii_lowercase().as_str() {
                "timeout" => found.timeout = Some(Duration::from_secs(number.into())),
                "max" => found.max = Some(number),
                _ => {}
            }
        }
        found
    }

    /// How long a connection may have been idle to be used again: somewhat shorter than the server waits, since the
    /// request is on its way for a while, and the server's clock began to run earlier.
    pub(crate) fn longest_idle(self) -> Option<Duration> {
        const AHEAD: Duration = Duration::from_secs(1);
        self.timeout.map(|timeout| timeout - AHEAD.min(timeout / 2))
    }
}

fn values<'a>(
    headers: &'a [httparse::Header<'a>],
    name: &http::HeaderName,
) -> impl DoubleEndedIterator<Item = &'a [u8]> + 'a {
    let name = name.clone();
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name.as_str()))
        .flat_map(|header| header.value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

fn framing(headers: &[httparse::Header<'_>], version: u8) -> Result<Body, HttpError> {
    if let Some(last) = values(headers, &TRANSFER_ENCODING).next_back() {
        if version == 0 {
            return Err(HttpError::Coding);
        }
        // It goes before a length. Behind any other coding only the end of the connection is an end.
        return Ok(if last.eq_ignore_ascii_case(b"chunked") {
            Body::in_chunks()
        } else {
            Body::UntilClose
        });
    }
    let mut length = None;
    for value in values(headers, &CONTENT_LENGTH) {
        let number = std::str::from_utf8(value)
            .ok()
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u64>().ok())
            .ok_or(HttpError::Length)?;
        if length.is_some_and(|length| length != number) {
            return Err(HttpError::Length);
        }
        length = Some(number);
    }
    Ok(length.map_or(Body::UntilClose, Body::of_length))
}

fn stays_open(headers: &[httparse::Header<'_>], version: u8) -> bool {
    let says =
        |what: &[u8]| values(headers, &CONNECTION).any(|value| value.eq_ignore_ascii_case(what));
    match version {
        0 => says(b"keep-alive"),
        _ => !says(b"close"),
    }
}

/// The head of every request of a run, up to the length of its body.
#[derive(Debug)]
pub(super) struct RequestHead {
    text: Vec<u8>,
    /// Whether the connection may carry another request afterwards.
    pub(super) keeps_open: bool,
}

impl RequestHead {
    /// The head of a POST to `path` with these headers.
    pub(super) fn new(path: &str, headers: &HeaderMap) -> Self {
        let mut text = format!("POST {path} HTTP/1.1\r\n").into_bytes();
        for (name, value) in headers {
            // The body is sent whole, and its length is what it is.
            if *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING {
                continue;
            }
            push_header(&mut text, name, value);
        }
        let closes = headers
            .get_all(CONNECTION)
            .iter()
            .any(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        Self {
            text,
            keeps_open: !closes,
        }
    }

    /// The head for a body of `length` bytes, with `more` headers. `is_last`: whether the server is to close the connection
    /// behind its answer.
    pub(super) fn for_body(
        &self,
        more: &[(HeaderName, HeaderValue)],
        is_last: bool,
        length: usize,
    ) -> Vec<u8> {
        let length = length.to_string();
        let lengths = more
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4);
        let room = self.text.len() + lengths.sum::<usize>() + length.len() + 40;
        let mut head = Vec::with_capacity(room);
        head.extend_from_slice(&self.text);
        for (name, value) in more {
            push_header(&mut head, name, value);
        }
        if is_last && self.keeps_open {
            push_header(&mut head, &CONNECTION, &HeaderValue::from_static("close"));
        }
        head.extend_from_slice(b"content-length: ");
        head.extend_from_slice(length.as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
        head
    }
}

fn push_header(text: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    text.extend_from_slice(name.as_str().as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value.as_bytes());
    text.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Option<(Head, usize)>, HttpError> {
        Head::parse(&mut text.as_bytes().to_vec())
    }

    fn head(text: &str) -> Head {
        parsed(text).unwrap().unwrap().0
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream \r\nX:y\r\ncontent-length: 7\r\n\r\nbody";
        let whole = text.len() - "body".len();
        for length in 0..whole {
            assert!(parsed(&text[..length]).unwrap().is_none(), "{length}");
        }
        let (head, length) = parsed(text).unwrap().unwrap();
        assert_eq!((head.status, length), (200, whole));
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        assert_eq!(head.header("x"), Some("y"));
        assert_eq!(head.header("retry-after"), None);
        assert_eq!(head.body, Body::of_length(7));
        assert!(head.keeps_open);
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let head = head(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\na: b\r\n\r\nHTTP/1.1 404 no\r\n\r\n",
        );
        assert_eq!(head.status, 404);
        assert_eq!(head.header("a"), None);
    }

    #[test]
    fn the_framing_is_what_the_headers_say() {
        for (lines, body, keeps_open) in [
            ("transfer-encoding: chunked\r\n", Body::in_chunks(), true),
            (
                "transfer-encoding: gzip, Chunked\r\ncontent-length: 5\r\n",
                Body::in_chunks(),
                true,
            ),
            ("transfer-encoding: gzip\r\n", Body::UntilClose, false),
            ("content-length: 5\r\n", Body::of_length(5), true),
            (
                "content-length: 5, 5\r\ncontent-length: 5\r\n",
                Body::of_length(5),
                true,
            ),
            (
                "content-length: 0\r\nConnection: x, Close\r\n",
                Body::Over,
                false,
            ),
            ("", Body::UntilClose, false),
        ] {
            let head = head(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n"));
            assert_eq!(head.body, body, "{lines}");
            assert_eq!(head.keeps_open, keeps_open, "{lines}");
        }
        assert_eq!(head("HTTP/1.1 204 none\r\n\r\n").body, Body::Over);
        let old = |lines: &str| {
            head(&format!(
                "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n{lines}\r\n"
            ))
        };
        assert!(!old("").keeps_open);
        assert!(old("connection: Keep-Alive\r\n").keeps_open);
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for text in [
            "SSH-2.0-OpenSSH_9.6\r\n",
            "\u{16}\u{3}\u{1}",
            "HTTP/1.1 OK\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        ] {
            assert!(parsed(text).is_err(), "{text:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(LONGEST_HEAD));
        assert!(matches!(parsed(&endless), Err(HttpError::HeadTooLong)));
    }

    #[test]
    fn how_long_a_connection_is_kept_is_read_and_what_is_unknown_says_nothing() {
        let keep = KeepAlive::parse("timeout=5, max=100");
        assert_eq!(keep.max, Some(100));
        assert_eq!(keep.longest_idle(), Some(Duration::from_secs(4)));
        let short = KeepAlive::parse("Timeout=\"1\"").longest_idle();
        assert_eq!(short, Some(Duration::from_millis(500)));
        for nothing in ["", "timeout", "timeout=x, max=-1", "a=1"] {
            assert_eq!(KeepAlive::parse(nothing), KeepAlive::default());
        }
        let head = head("HTTP/1.1 200 OK\r\nKeep-Alive: max=1\r\n\r\n");
        assert_eq!(head.keep_alive().max, Some(1));
    }

    #[test]
    fn the_head_of_a_request_has_the_length_of_its_body() {
        let mut headers = HeaderMap::new();
        headers.insert("x-a", "b".parse().unwrap());
        headers.insert(CONTENT_LENGTH, "99".parse().unwrap());
        let head = RequestHead::new("/v1?a=b", &headers);
        assert!(head.keeps_open);
        assert_eq!(
            String::from_utf8(head.for_body(&[], false, 12)).unwrap(),
            "POST /v1?a=b HTTP/1.1\r\nx-a: b\r\ncontent-length: 12\r\n\r\n"
        );
        let own = (
            HeaderName::from_static("x-id"),
            HeaderValue::from_static("7"),
        );
        assert_eq!(
            String::from_utf8(head.for_body(&[own], true, 0)).unwrap(),
            "POST /v1?a=b HTTP/1.1\r\nx-a: b\r\nx-id: 7\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        headers.insert(CONNECTION, "close".parse().unwrap());
        assert!(!RequestHead::new("/", &headers).keeps_open);
    }
}
