//! What is fuzzed of server-sent events.

use crate::cut_input::{cuts_and_stream, pieces};
use crate::sse::{EventSplitter, EventTooLong, looks_like_events};

/// Name and data of an event.
type Event = (Vec<u8>, Vec<u8>);

/// Larger than any input.
const ROOM: usize = 1 << 24;

/// The events of a stream that comes in these pieces.
fn split<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limit: usize,
) -> Result<Vec<Event>, EventTooLong> {
    let mut splitter = EventSplitter::new(limit);
    let mut events = Vec::new();
    let mut keep =
        |event: crate::sse::Event<'_>| events.push((event.name.to_vec(), event.data.to_vec()));
    for piece in pieces {
        splitter.push(piece, &mut keep)?;
        assert!(
            splitter.unfinished(usize::MAX).len() <= limit + 1,
            "more is held than is allowed"
        );
    }
    splitter.finish(&mut keep);
    Ok(events)
}

/// The lines of a stream, each without its end: LF, CRLF or CR.
fn lines(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = stream.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        lines.push(&stream[..end]);
        let size = if stream[end..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        stream = &stream[end + size..];
    }
    if !stream.is_empty() {
        lines.push(stream);
    }
    lines
}

/// What the standard says, with the one liberty that an event at the end needs no blank line.
fn by_the_standard(stream: &[u8]) -> Vec<Event> {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let (mut events, mut name, mut data) = (Vec::new(), Vec::new(), Vec::<&[u8]>::new());
    for line in lines(stream).into_iter().chain([&b""[..]]) {
        if line.is_empty() {
            if !data.is_empty() {
                events.push((name, data.join(&b'\n')));
            }
            (name, data) = (Vec::new(), Vec::new());
            continue;
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let field = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => data.push(value),
            b"event" => name = value.to_vec(),
            _ => {}
        }
    }
    events
}

/// Whether nothing in the stream is one of the liberties that the splitter knows: JSON or an error outside of
/// `data`, and events that end with one line end.
fn is_standard(stream: &[u8]) -> bool {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    lines(stream).into_iter().all(|line| {
        !line.trim_ascii_start().starts_with(b"{")
            && !line.starts_with(b"error:")
            && !line.trim_ascii_end().ends_with(b"}")
    })
}

/// Server-sent events: the same however their bytes are cut, and the same as a reader finds that takes the standard
/// line by line.
pub fn events(input: &[u8]) {
    let Some(&count) = input.first() else {
        return;
    };
    let (cuts, stream) = cuts_and_stream(input);
    let whole = split([stream], ROOM);
    if is_standard(stream) {
        assert_eq!(whole, Ok(by_the_standard(stream)), "not by the standard");
    }
    assert_eq!(split(pieces(stream, cuts), ROOM), whole, "cut at {cuts:?}");
    assert_eq!(split(stream.chunks(1), ROOM), whole, "cut at every byte");
    // A bound may end a stream, and must not change what came before it.
    if let Ok(events) = split(stream.chunks(1), usize::from(count)) {
        assert_eq!(Ok(events), whole, "a bound of {count}");
    }
    // Whether it is a stream does not depend on how much of it is there, once that is known.
    let told = looks_like_events(stream);
    for end in 0..stream.len().min(32) {
        if let Some(earlier) = looks_like_events(&stream[..end]) {
            assert_eq!(Some(earlier), told, "after {end} bytes");
        }
    }
}
