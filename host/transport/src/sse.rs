//! Server-sent events out of a byte stream, as the HTML standard frames them: lines end in LF, CRLF or
//! CR; a line, a line end, a character or the byte-order mark may be split across reads; several
//! `data` lines make one event; comments and unknown fields are passed over.
//!
//! Servers take liberties. Some end an event with one line end in place of two: a `data` line with an object
//! behind one with a whole object is the next event, since no JSON has one object right behind another. And
//! some report an error outside of `data` lines: a line that is JSON or has the field `error` is an event too.
//!
//! The splitter works on bytes and never decodes them, so invalid UTF-8 reaches the parser as it came.
//! It is handed the bytes of one read after the other, and an event comes out within the call that
//! brought its last byte: that read's stamp is the event's.

use memchr::{memchr, memchr2};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The value of its `event` field; empty where it has none.
    pub name: &'a [u8],
    /// Its `data` lines, joined by line feeds.
    pub data: &'a [u8],
    /// It was complete before the read that showed it to be.
    pub was_complete: bool,
}

/// A line or an event grew past the bound that the splitter was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTooLong;

/// Splits a byte stream into events.
#[derive(Debug)]
pub struct EventSplitter {
    /// The most bytes that an unfinished line and an unfinished event may have together.
    limit: usize,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// The data of the event under way.
    data: Vec<u8>,
    /// Where its data without blanks around it is.
    trimmed: Trimmed,
    /// Whether the event under way has a data line, which may be an empty one.
    has_data: bool,
    /// Its last data line ended within the bytes that were handed over last.
    data_is_new: bool,
    /// This server ends an event with one line end.
    ends_with_line: bool,
    /// Lines of JSON outside of any field.
    stray: Vec<u8>,
    /// Whether it is more than one line.
    stray_has_lines: bool,
    /// The name of the event under way.
    name: Vec<u8>,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_carriage_return: bool,
    /// No line has ended yet: the first one may begin with a byte-order mark.
    at_start: bool,
}

impl EventSplitter {
    /// A splitter that holds at most about `limit` bytes of an unfinished event.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            data: Vec::new(),
            trimmed: Trimmed::default(),
            has_data: false,
            data_is_new: false,
            ends_with_line: false,
            stray: Vec::new(),
            stray_has_lines: false,
            name: Vec::new(),
            after_carriage_return: false,
            at_start: true,
        }
    }

    /// Takes the bytes of one read, and hands every event that they complete to `each`, in order.
    ///
    /// # Errors
    /// [`EventTooLong`] where an unfinished event is larger than the limit. Nothing useful comes after it.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Event<'_>),
    ) -> Result<(), EventTooLong> {
        self.data_is_new = false;
        if self.after_carriage_return && !bytes.is_empty() {
            self.after_carriage_return = false;
            if bytes[0] == b'\n' {
                bytes = &bytes[1..];
            }
        }
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            if let Some((value, length)) = self.whole_event(bytes, end) {
                if value.len() > self.limit {
                    return Err(EventTooLong);
                }
                each(Event {
                    name: &self.name,
                    data: value,
                    was_complete: false,
                });
                self.name.clear();
                bytes = &bytes[length..];
                continue;
            }
            if self.line.is_empty() {
                self.take_line(&bytes[..end], &mut each);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&bytes[..end]);
                self.take_line(&line, &mut each);
                line.clear();
                self.line = line;
            }
            let is_carriage_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if is_carriage_return {
                match bytes.first() {
                    Some(b'\n') => bytes = &bytes[1..],
                    Some(_) => {}
                    None => self.after_carriage_return = true,
                }
            }
            if self.data.len() + self.stray.len() > self.limit {
                return Err(EventTooLong);
            }
        }
        if self.line.len() + bytes.len() + self.data.len() + self.stray.len() > self.limit {
            return Err(EventTooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// Says that the stream ended well. The standard drops an event without its blank line; servers
    /// that forget the blank line behind the last event exist, so what is there is handed out.
    pub fn finish(&mut self, mut each: impl FnMut(Event<'_>)) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.take_line(&line, &mut each);
        }
        self.dispatch(&mut each);
        self.dispatch_stray(&mut each);
    }

    /// The bytes that are held of the event under way.
    pub fn held(&self) -> usize {
        self.line.len() + self.data.len() + self.stray.len() + self.name.len()
    }

    /// Whether an event is under way whose last line so far ended within the bytes that were handed over last.
    pub fn holds_new_data(&self) -> bool {
        self.has_data && self.data_is_new
    }

    /// What has arrived of the event under way: its data so far, and the line that has no end yet as it
    /// came, up to `most` bytes. For a stream that was cut short.
    pub fn unfinished(&self, most: usize) -> Vec<u8> {
        let beginning = |part: &[u8], room: usize| part[..part.len().min(room)].to_vec();
        let mut rest = beginning(&self.data, most);
        for part in [&self.stray, &self.line] {
            if !part.is_empty() {
                if !rest.is_empty() && rest.len() < most {
                    rest.push(b'\n');
                }
                rest.extend(beginning(part, most - rest.len()));
            }
        }
        rest
    }

    /// The usual event at the beginning of `bytes`, whose first line ends at `end`: one data line with the empty
    /// line behind it. Gives back its data and how many bytes it takes. What lies in one piece need not be put together
    /// elsewhere first.
    fn whole_event<'a>(&self, bytes: &'a [u8], end: usize) -> Option<(&'a [u8], usize)> {
        if self.at_start || self.has_data || !self.line.is_empty() || !self.stray.is_empty() {
            return None;
        }
        let value = bytes[..end].strip_prefix(b"data:")?;
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let ends: [&[u8]; 2] = [b"\n\n", b"\r\n\r\n"];
        let found = ends
            .into_iter()
            .find(|ends| bytes[end..].starts_with(ends))?;
        Some((value, end + found.len()))
    }

    fn take_line(&mut self, mut line: &[u8], each: &mut impl FnMut(Event<'_>)) {
        if self.at_start {
            self.at_start = false;
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch(each);
            self.dispatch_stray(each);
            return;
        }
        if self.take_stray(line, each) {
            return;
        }
        let (field, value) = match memchr(b':', line) {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &line[line.len()..]),
        };
        match field {
            b"data" => {
                self.dispatch_stray(each);
                if self.has_data {
                    if self.trimmed.is_object(&self.data) && begins_event(value) {
                        self.ends_with_line = true;
                        self.dispatch(each);
                    } else {
                        self.data.push(b'\n');
                    }
                }
                self.has_data = true;
                self.data_is_new = true;
                self.trimmed.add(self.data.len(), value);
                self.data.extend_from_slice(value);
                let data = self.trimmed.of(&self.data);
                if self.ends_with_line && (is_object(data) || is_done(data)) {
                    self.dispatch(each);
                }
            }
            b"error" if !value.trim_ascii().is_empty() => {
                self.dispatch(each);
                each(Event {
                    name: b"error",
                    data: value,
                    was_complete: false,
                });
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            // A comment has an empty field name; `id` and `retry` matter to reconnecting clients only.
            _ => {}
        }
    }

    /// Takes a line of JSON outside of any field. Gives back whether it was one.
    fn take_stray(&mut self, line: &[u8], each: &mut impl FnMut(Event<'_>)) -> bool {
        let text = line.trim_ascii_start();
        if self.stray.is_empty() {
            if !text.starts_with(b"{") {
                return false;
            }
        } else if text.starts_with(b"data:") || text.starts_with(b"event:") {
            self.dispatch_stray(each);
            return false;
        } else {
            self.stray.push(b'\n');
            self.stray_has_lines = true;
        }
        self.dispatch(each);
        self.stray.extend_from_slice(line);
        // One that is whole in a line need not wait for the next.
        if !self.stray_has_lines && is_object(&self.stray) {
            self.dispatch_stray(each);
        }
        true
    }

    fn dispatch_stray(&mut self, each: &mut impl FnMut(Event<'_>)) {
        if !self.stray.is_empty() {
            each(Event {
                name: b"",
                data: &self.stray,
                was_complete: false,
            });
            self.stray.clear();
            self.stray_has_lines = false;
        }
    }

    fn dispatch(&mut self, each: &mut impl FnMut(Event<'_>)) {
        if self.has_data {
            each(Event {
                name: &self.name,
                data: &self.data,
                was_complete: !self.data_is_new && self.trimmed.is_object(&self.data),
            });
        }
        self.has_data = false;
        self.data.clear();
        self.trimmed = Trimmed::default();
        self.name.clear();
    }
}

/// Where the data of an event is but for blanks at both ends, found out line by line: data of many lines is not looked at
/// again for each.
#[derive(Debug, Clone, Copy, Default)]
struct Trimmed {
    start: usize,
    end: usize,
}

impl Trimmed {
    /// Takes a line that is put behind the first `before` bytes.
    fn add(&mut self, before: usize, line: &[u8]) {
        let trimmed = line.trim_ascii_end();
        let text = trimmed.trim_ascii_start();
        if text.is_empty() {
            return;
        }
        if self.end == 0 {
            self.start = before + trimmed.len() - text.len();
        }
        self.end = before + trimmed.len();
    }

    /// The data without blanks around it.
    fn of(self, data: &[u8]) -> &[u8] {
        data.get(self.start..self.end).unwrap_or_default()
    }

    fn is_object(self, data: &[u8]) -> bool {
        is_object(self.of(data))
    }
}

/// Whether it looks like a whole object.
fn is_object(data: &[u8]) -> bool {
    let data = data.trim_ascii();
    data.starts_with(b"{") && data.ends_with(b"}")
}

/// Whether it looks like the beginning of the data of an event.
fn begins_event(data: &[u8]) -> bool {
    data.trim_ascii_start().starts_with(b"{") || is_done(data)
}

fn is_done(data: &[u8]) -> bool {
    data.trim_ascii() == b"[DONE]"
}

/// Whether a body that begins with `start` is a stream of events, for servers that label theirs
/// wrongly. `None`: too few bytes to tell.
///
/// JSON cannot begin with any of these words, so a plain answer is never taken for a stream.
pub fn looks_like_events(start: &[u8]) -> Option<bool> {
    let start = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start);
    let begin = start
        .iter()
        .position(|byte| !matches!(byte, b'\n' | b'\r'))?;
    let start = &start[begin..];
    const BEGINNINGS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];
    if BEGINNINGS.iter().any(|begin| start.starts_with(begin)) {
        return Some(true);
    }
    let undecided = BEGINNINGS.iter().any(|begin| begin.starts_with(start))
        || BYTE_ORDER_MARK.starts_with(start);
    (!undecided).then_some(false)
}

#[cfg(test)]
mod tests;
