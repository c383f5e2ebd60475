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
pub struct TooLong;

/// Splits a byte stream into events.
#[derive(Debug)]
pub struct EventSplitter {
    /// The most bytes that an unfinished line and an unfinished event may have together.
    limit: usize,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    /// The data of the event under way.
    data: Vec<u8>,
    /// Whether the event under way has a data line, which may be an empty one.
    has_data: bool,
    /// Its last data line ended within the bytes that were handed over last.
    data_is_new: bool,
    /// This server ends an event with one line end.
    ends_with_line: bool,
    /// Lines of JSON outside of any field.
    stray: Vec<u8>,
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
            has_data: false,
            data_is_new: false,
            ends_with_line: false,
            stray: Vec::new(),
            name: Vec::new(),
            after_carriage_return: false,
            at_start: true,
        }
    }

    /// Takes the bytes of one read, and hands every event that they complete to `each`, in order.
    ///
    /// # Errors
    /// [`TooLong`] where an unfinished event is larger than the limit. Nothing useful comes after it.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Event<'_>),
    ) -> Result<(), TooLong> {
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
                    return Err(TooLong);
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
                return Err(TooLong);
            }
        }
        if self.line.len() + bytes.len() + self.data.len() + self.stray.len() > self.limit {
            return Err(TooLong);
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
                    if is_object(&self.data) && begins_event(value) {
                        self.ends_with_line = true;
                        self.dispatch(each);
                    } else {
                        self.data.push(b'\n');
                    }
                }
                self.has_data = true;
                self.data_is_new = true;
                self.data.extend_from_slice(value);
                if self.ends_with_line && (is_object(&self.data) || is_done(&self.data)) {
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
        }
        self.dispatch(each);
        self.stray.extend_from_slice(line);
        // One that is whole in a line need not wait for the next.
        if !self.stray.contains(&b'\n') && is_object(&self.stray) {
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
        }
    }

    fn dispatch(&mut self, each: &mut impl FnMut(Event<'_>)) {
        if self.has_data {
            each(Event {
                name: &self.name,
                data: &self.data,
                was_complete: !self.data_is_new && is_object(&self.data),
            });
        }
        self.has_data = false;
        self.data.clear();
        self.name.clear();
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Owned = Vec<(Vec<u8>, Vec<u8>)>;

    /// The events of `stream`, handed over in pieces that end at `cuts`.
    fn events(stream: &[u8], cuts: &[usize]) -> Owned {
        let mut splitter = EventSplitter::new(1 << 20);
        let mut out = Owned::new();
        let mut start = 0;
        for &cut in cuts.iter().chain([&stream.len()]) {
            let cut = cut.clamp(start, stream.len());
            splitter
                .push(&stream[start..cut], |event| {
                    out.push((event.name.to_vec(), event.data.to_vec()));
                })
                .unwrap();
            start = cut;
        }
        splitter.finish(|event| out.push((event.name.to_vec(), event.data.to_vec())));
        out
    }

    fn data(stream: &[u8]) -> Vec<String> {
        events(stream, &[])
            .into_iter()
            .map(|(_, data)| String::from_utf8_lossy(&data).into_owned())
            .collect()
    }

    #[test]
    fn all_line_ends_are_line_ends() {
        assert_eq!(data(b"data: a\n\ndata: b\n\n"), ["a", "b"]);
        assert_eq!(data(b"data: a\r\n\r\ndata: b\r\n\r\n"), ["a", "b"]);
        assert_eq!(data(b"data: a\r\rdata: b\r\r"), ["a", "b"]);
        assert_eq!(data(b"data: a\r\n\ndata: b\n\r\n"), ["a", "b"]);
    }

    #[test]
    fn one_space_behind_the_colon_is_not_data() {
        assert_eq!(data(b"data:a\n\ndata: b\n\ndata:  c\n\n"), ["a", "b", " c"]);
    }

    #[test]
    fn data_lines_are_joined() {
        assert_eq!(data(b"data: a\ndata: b\ndata\n\n"), ["a\nb\n"]);
        assert_eq!(data(b"data\n\n"), [""]);
    }

    #[test]
    fn comments_and_other_fields_are_passed_over() {
        assert_eq!(
            data(b": keep-alive\n\nid: 7\nretry: 3\nother\ndata: a\n\n"),
            ["a"]
        );
    }

    #[test]
    fn one_line_end_ends_an_event_with_an_object() {
        assert_eq!(
            data(b"data: {\"a\":1}\ndata: {\"b\":2}\ndata: [DONE]\n"),
            ["{\"a\":1}", "{\"b\":2}", "[DONE]"]
        );
        // An object over several lines stays one.
        assert_eq!(
            data(b"data: {\ndata: \"a\":{}\ndata: }\n\ndata: x\n\n"),
            ["{\n\"a\":{}\n}", "x"]
        );
        let mut splitter = EventSplitter::new(100);
        let mut events = Vec::new();
        for line in ["data: {1}\n", "data: {2}\n", "data: {3}\n"] {
            splitter
                .push(line.as_bytes(), |event| {
                    events.push((event.data.to_vec(), event.was_complete));
                })
                .unwrap();
        }
        let expected = [("{1}", true), ("{2}", false), ("{3}", false)];
        assert_eq!(
            events,
            expected.map(|(data, was)| (data.as_bytes().to_vec(), was))
        );
    }

    #[test]
    fn what_a_server_says_outside_of_data_is_an_event() {
        assert_eq!(
            data(b"data: a\n\n{\"error\":1}\n\ndata: b\n\n"),
            ["a", "{\"error\":1}", "b"]
        );
        assert_eq!(
            data(b"data: {}\n{\n \"error\": 1\n}"),
            ["{}", "{\n \"error\": 1\n}"]
        );
        let got = events(b"data: a\n\nerror: no more\n\nerror:\n\n", &[]);
        assert_eq!(got[1], (b"error".to_vec(), b"no more".to_vec()));
        assert_eq!(got.len(), 2);
    }

    #[test]
    fn names_belong_to_their_event_alone() {
        let got = events(
            b"event: error\ndata: a\n\ndata: b\n\nevent: x\n\ndata: c\n\n",
            &[],
        );
        let names: Vec<&[u8]> = got.iter().map(|(name, _)| name.as_slice()).collect();
        assert_eq!(names, [b"error".as_slice(), b"", b""]);
    }

    #[test]
    fn a_byte_order_mark_is_dropped_at_the_start_only() {
        assert_eq!(data(b"\xEF\xBB\xBFdata: a\n\n"), ["a"]);
        assert!(data(b"\n\xEF\xBB\xBFdata: a\n\n").is_empty());
    }

    #[test]
    fn an_end_without_a_blank_line_keeps_the_last_event() {
        assert_eq!(data(b"data: a\n\ndata: b"), ["a", "b"]);
        assert_eq!(data(b"data: a\n\ndata: b\n"), ["a", "b"]);
        assert_eq!(data(b"data: a\n\n"), ["a"]);
    }

    #[test]
    fn an_event_comes_out_with_the_read_that_brings_its_last_byte() {
        let mut splitter = EventSplitter::new(100);
        let mut count = 0;
        splitter.push(b"data: a\r", |_| count += 1).unwrap();
        splitter.push(b"\n\r", |_| count += 1).unwrap();
        assert_eq!(
            count, 1,
            "the second CR ends the event; its LF need not be waited for"
        );
        splitter.push(b"\n", |_| count += 1).unwrap();
        assert_eq!(count, 1);
    }

    #[test]
    fn an_endless_event_is_stopped() {
        let mut splitter = EventSplitter::new(64);
        let got = (0..100).try_for_each(|_| splitter.push(b"0123456789", |_| ()));
        assert_eq!(got, Err(TooLong));
        let mut splitter = EventSplitter::new(64);
        let got = (0..100).try_for_each(|_| splitter.push(b"data: 0123456789\n", |_| ()));
        assert_eq!(got, Err(TooLong));
        // Whole, and in one piece.
        let mut splitter = EventSplitter::new(10);
        let mut push = |bytes: &[u8]| splitter.push(bytes, |_| ());
        assert_eq!(push(b"data: 0\n\ndata: 0123456789\n\n"), Ok(()));
        assert_eq!(push(b"data: 0123456789a\n\n"), Err(TooLong));
    }

    #[test]
    fn streams_are_told_from_plain_bodies() {
        assert_eq!(looks_like_events(b"data: {}"), Some(true));
        assert_eq!(looks_like_events(b"\xEF\xBB\xBF: hello"), Some(true));
        assert_eq!(looks_like_events(b"\r\nevent: x"), Some(true));
        assert_eq!(looks_like_events(b"{\"id\""), Some(false));
        assert_eq!(looks_like_events(b"dat"), None);
        assert_eq!(looks_like_events(b""), None);
        assert_eq!(looks_like_events(b"date"), Some(false));
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_events(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "data: ", "data:", "event: error", "event", ": note", "id: 1", "\n", "\r", "\r\n",
                    "\n\n", "[DONE]", "{\"a\":1}", "{", "error: x", "\u{feff}", "ö", "🙂", "data", " ", "x:y",
                ]),
                0..60,
            ),
            raw in prop::collection::vec(any::<u8>(), 0..20),
            cuts in prop::collection::vec(0usize..400, 0..40),
        ) {
            let mut stream = pieces.concat().into_bytes();
            stream.extend_from_slice(&raw);
            let mut cuts = cuts;
            cuts.sort_unstable();
            let every_byte: Vec<usize> = (0..stream.len()).collect();
            let whole = events(&stream, &[]);
            prop_assert_eq!(&events(&stream, &cuts), &whole);
            prop_assert_eq!(&events(&stream, &every_byte), &whole);
        }
    }
}
