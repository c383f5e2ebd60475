//! The head of a response while its bytes come.

use super::error::{HttpError, LONGEST_HEAD};
use super::head::Head;

/// Up to this size the head of a response is looked at whenever bytes of it come, so that what is no HTTP is
/// noticed at once; beyond, when a line has ended.
pub(super) const SHORT_HEAD: usize = 1 << 10;

/// What has come of the head of a response. It is bounded where bytes are added, and no byte is looked at more than a
/// few times, however they come.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    pub(super) text: Vec<u8>,
    /// All bytes so far, those of interim answers too.
    pub(super) taken: usize,
    /// From this length on the text is parsed again, whether it has an end or not.
    parse_at: usize,
}

impl Incoming {
    /// Adds the bytes of a read. Gives back the head once it is whole, and what came behind it.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Option<(Head, Vec<u8>)>, HttpError> {
        if self.taken > LONGEST_HEAD {
            return Err(HttpError::HeadTooLong);
        }
        self.taken += bytes.len();
        // The empty line behind a head may have begun in an earlier read.
        let new = self.text.len().saturating_sub(3);
        self.text.extend_from_slice(bytes);
        let is_due = self.taken <= SHORT_HEAD
            || self.text.len() >= self.parse_at
            || has_empty_line(&self.text[new..]);
        if is_due {
            if let Some((head, length)) = Head::parse(&mut self.text)? {
                let rest = self.text.split_off(length);
                return Ok(Some((head, rest)));
            }
            self.parse_at = 2 * self.text.len().max(SHORT_HEAD);
        }
        if self.taken > LONGEST_HEAD {
            return Err(HttpError::HeadTooLong);
        }
        Ok(None)
    }
}

/// Whether a head may end within these bytes.
fn has_empty_line(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|end| {
        let rest = &bytes[end + 1..];
        rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes `text` in pieces of `size` bytes until the head is whole.
    fn head_of(text: &[u8], size: usize) -> Result<Option<(Head, Vec<u8>)>, HttpError> {
        let mut incoming = Incoming::default();
        for piece in text.chunks(size) {
            if let Some(whole) = incoming.push(piece)? {
                return Ok(Some(whole));
            }
        }
        Ok(None)
    }

    #[test]
    fn a_head_is_found_however_its_bytes_come() {
        let long = "x".repeat(5000);
        for text in [
            "HTTP/1.1 200 OK\r\na: b\r\n\r\n".to_owned(),
            format!("\r\n\r\nHTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\na: {long}\r\n\r\n"),
            format!("HTTP/1.1 200 OK\na: {long}\nb: {long}\n\n"),
            "HTTP/1.1 100 x\r\n\r\n\r\r\nHTTP/1.1 200 OK\r\n\r\n".to_owned(),
        ] {
            for size in [1, 2, 3, 7, 1000, 4096] {
                let (head, _) = head_of(text.as_bytes(), size).unwrap().unwrap();
                assert_eq!(head.status, 200);
            }
            let (_, rest) = head_of(format!("{text}body").as_bytes(), usize::MAX)
                .unwrap()
                .unwrap();
            assert_eq!(rest, b"body");
        }
    }

    #[test]
    fn a_head_without_an_end_is_stopped_where_its_bytes_are_added() {
        let line_ends = "\r\n".repeat(LONGEST_HEAD);
        let interim = "HTTP/1.1 100 x\r\n\r\n".repeat(LONGEST_HEAD / 8);
        let one_line = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(2 * LONGEST_HEAD));
        for text in [line_ends, interim, one_line] {
            for size in [2, 1000, 64 << 10] {
                let result = head_of(text.as_bytes(), size);
                assert!(matches!(result, Err(HttpError::HeadTooLong)), "{result:?}");
            }
        }
    }
}
