//! The column `response_messages`, both ways: the data of all events as a JSON list of strings. The events of a
//! stream say the same over and over, so a longer list is stored as a Zstandard frame.

use llmuses_core::clock::Moment;
use llmuses_core::exchange::ResponseLog;
use rusqlite::types::{ToSqlOutput, Type, ValueRef};
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::Serializer as _;
use std::fmt::{self, Write as _};
use std::io::{Read, Write};

/// Shorter lists stay text: a plain response is short, and to compress it would save little.
const COMPRESSED_FROM: usize = 1024;

/// The fastest ordinary level. The lists become ten times smaller with it; higher ones gain little.
const LEVEL: i32 = 1;

/// No list is longer: six bytes for one of the data, and quotes and a comma for each event.
const MOST_BYTES: u64 =
    6 * ResponseLog::LIMIT_BYTES as u64 + 3 * ResponseLog::LIMIT_EVENTS as u64 + 2;

/// Longer lists are compressed while they are made: in JSON, a byte of data may take six.
const AT_ONCE: usize = 4 << 20;

/// Writes the column, with buffers that are used again for every row.
#[derive(Default)]
pub(super) struct Messages {
    list: Vec<u8>,
    frame: Vec<u8>,
    compressor: Option<zstd::bulk::Compressor<'static>>,
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

impl Messages {
    /// The value of the column for `response`.
    ///
    /// # Errors
    /// Where the compressor has no memory.
    pub(super) fn of(&mut self, response: &ResponseLog) -> std::io::Result<ToSqlOutput<'_>> {
        self.list.clear();
        self.frame.clear();
        // Of one large response.
        self.frame.shrink_to(2 * AT_ONCE);
        if most_bytes(response) > AT_ONCE {
            let length = length(response);
            if length > AT_ONCE as u64 {
                let frame = std::mem::take(&mut self.frame);
                let mut encoder = zstd::Encoder::new(frame, LEVEL)?;
                // It stands in the frame, and whoever reads that knows how much memory it takes.
                encoder.set_pledged_src_size(Some(length))?;
                let mut buffer = std::io::BufWriter::with_capacity(64 << 10, encoder);
                write(response, &mut buffer)?;
                let encoder = buffer.into_inner().map_err(|error| error.into_error())?;
                self.frame = encoder.finish()?;
                return Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.frame)));
            }
        }
        write(response, &mut self.list)?;
        if self.list.len() < COMPRESSED_FROM {
            return Ok(ToSqlOutput::Borrowed(ValueRef::Text(&self.list)));
        }
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => none.insert(zstd::bulk::Compressor::new(LEVEL)?),
        };
        self.frame
            .reserve(zstd::zstd_safe::compress_bound(self.list.len()));
        compressor.compress_to_buffer(&self.list, &mut self.frame)?;
        Ok(ToSqlOutput::Borrowed(ValueRef::Blob(&self.frame)))
    }
}

/// No list of this response is longer.
fn most_bytes(response: &ResponseLog) -> usize {
    6 * response.bytes() + 3 * response.len() + 2
}

/// Writes the list of `response`.
fn write(response: &ResponseLog, mut list: impl Write) -> std::io::Result<()> {
    list.write_all(b"[")?;
    for (index, data) in response.iter().enumerate() {
        if index > 0 {
            list.write_all(b",")?;
        }
        match std::str::from_utf8(data) {
            // Nearly always, and found out far faster than what would have to be replaced.
            Ok(text) => serde_json::to_writer(&mut list, text),
            Err(_) => serde_json::Serializer::new(&mut list).collect_str(&Lossy(data)),
        }?;
    }
    list.write_all(b"]")
}

/// Bytes as text, invalid UTF-8 replaced.
struct Lossy<'a>(&'a [u8]);

impl fmt::Display for Lossy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

/// The bytes of the list of `response`, as [`write`] makes it.
fn length(response: &ResponseLog) -> u64 {
    let events = response.iter().map(|data| {
        let bytes: u64 = data
            .utf8_chunks()
            .map(|chunk| {
                let replaced = if chunk.invalid().is_empty() { 0 } else { 3 };
                replaced + chunk.valid().bytes().map(in_json).sum::<u64>()
            })
            .sum();
        // Quotes, and the comma before all but the first.
        bytes + 3
    });
    // Brackets.
    (events.sum::<u64>() + 2).saturating_sub(u64::from(!response.is_empty()))
}

/// The bytes of a byte in a text of JSON.
fn in_json(byte: u8) -> u64 {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..=0x1f => 6,
        _ => 1,
    }
}

/// Reads the column into a log, with one of `arrivals` for each event, within the bounds of a log: a frame of a few
/// bytes may hold gigabytes.
///
/// # Errors
/// Where the column does not hold what this program writes there.
pub fn read_messages(
    column: usize,
    value: ValueRef<'_>,
    arrivals: &[Moment],
) -> rusqlite::Result<ResponseLog> {
    let damaged = |error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, value.data_type(), error)
    };
    let read = |list: &mut dyn Read| {
        let mut json = serde_json::Deserializer::from_reader(std::io::BufReader::new(list));
        let log = Events(arrivals).deserialize(&mut json)?;
        json.end().map(|()| log)
    };
    match value {
        ValueRef::Text(mut list) => read(&mut list).map_err(|error| damaged(error.into())),
        ValueRef::Blob(frame) => {
            let list = zstd::Decoder::new(frame).map_err(|error| damaged(error.into()))?;
            let mut list = list.take(MOST_BYTES);
            read(&mut list).map_err(|error| damaged(error.into()))
        }
        other => Err(rusqlite::Error::InvalidColumnType(
            column,
            "response_messages".to_owned(),
            match other {
                ValueRef::Null => Type::Null,
                ValueRef::Integer(_) => Type::Integer,
                _ => Type::Real,
            },
        )),
    }
}

/// Puts the strings of a list into a log.
struct Events<'a>(&'a [Moment]);

impl<'de> DeserializeSeed<'de> for Events<'_> {
    type Value = ResponseLog;

    fn deserialize<D: Deserializer<'de>>(self, list: D) -> Result<ResponseLog, D::Error> {
        list.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Events<'_> {
    type Value = ResponseLog;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings, one for each arrival")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ResponseLog, A::Error> {
        let mut log = ResponseLog::default();
        for arrival in self.0 {
            let data: String = list
                .next_element()?
                .ok_or_else(|| A::Error::custom("fewer events than arrivals"))?;
            if !log.push(data.as_bytes(), *arrival) {
                return Err(A::Error::custom("more than a response may have"));
            }
        }
        match list.next_element::<serde::de::IgnoredAny>()? {
            None => Ok(log),
            Some(_) => Err(A::Error::custom("more events than arrivals")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(events: &[&[u8]]) -> ResponseLog {
        let mut response = ResponseLog::default();
        for data in events {
            assert!(response.push(data, Moment::default()));
        }
        response
    }

    #[test]
    fn messages_are_strings_whatever_their_bytes() {
        let response = log(&[b"{\"a\":\"\\n\"}", b"", b"\xff\x00x"]);
        let mut messages = Messages::default();
        messages.of(&response).unwrap();
        let read: Vec<String> = serde_json::from_slice(&messages.list).unwrap();
        assert_eq!(read, [r#"{"a":"\n"}"#, "", "\u{fffd}\0x"]);
    }

    /// In JSON each of these bytes takes six.
    #[test]
    fn a_large_response_is_stored_without_a_list_of_it_in_memory() {
        for event in [vec![0; 8 << 20], vec![0xff; 8 << 20]] {
            let response = log(&[&event, b"end"]);
            let mut messages = Messages::default();
            let ToSqlOutput::Borrowed(ValueRef::Blob(frame)) = messages.of(&response).unwrap()
            else {
                panic!("a frame");
            };
            assert!(frame.len() < 1 << 20, "{}", frame.len());
            // As others read it: the length is in it.
            let length = zstd::zstd_safe::get_frame_content_size(frame).unwrap();
            assert_eq!(length, Some(super::length(&response)));
            let value = ValueRef::Blob(frame);
            let read = read_messages(0, value, &[Moment::default(); 2]).unwrap();
            assert_eq!(read.data(1), Some(b"end".as_slice()));
            let expected = String::from_utf8_lossy(&event);
            assert!(read.data(0) == Some(expected.as_bytes()));
            assert!(messages.list.capacity() < 1 << 20);
        }
    }

    #[test]
    fn the_length_of_a_list_is_known_before_it_is_written() {
        let every: Vec<u8> = (0..=255).collect();
        for events in [
            vec![],
            vec![b"".as_slice()],
            vec![b"", b"a\"b"],
            vec![
                &every,
                "é\u{1f600}\u{7f}".as_bytes(),
                b"\xf0\x9f\x98",
                b"\xff\xff\xe2\x82x",
            ],
        ] {
            let response = log(&events);
            let mut list = Vec::new();
            write(&response, &mut list).unwrap();
            assert_eq!(length(&response), list.len() as u64, "{events:?}");
        }
    }

    #[test]
    fn short_and_long_lists_are_read_as_they_were_written() {
        let mut messages = Messages::default();
        let event: &[u8] = br#"{"choices":[{"delta":{"content":" token"}}]}"#;
        for (count, kind) in [(0, Type::Text), (3, Type::Text), (500, Type::Blob)] {
            let response = log(&vec![event; count]);
            let arrivals: Vec<Moment> = response.arrivals().collect();
            let ToSqlOutput::Borrowed(value) = messages.of(&response).unwrap() else {
                panic!("borrowed");
            };
            assert_eq!(value.data_type(), kind);
            let read = read_messages(0, value, &arrivals).unwrap();
            assert!(read.iter().eq(response.iter()));
            if let ValueRef::Blob(frame) = value {
                assert!(frame.len() < count * event.len() / 10, "{}", frame.len());
                let cut = ValueRef::Blob(&frame[..frame.len() - 1]);
                read_messages(0, cut, &arrivals).unwrap_err();
            }
        }
        let fewer = ValueRef::Text(b"[\"a\"]");
        read_messages(0, fewer, &[Moment::default(); 2]).unwrap_err();
        read_messages(0, fewer, &[]).unwrap_err();
        read_messages(0, ValueRef::Null, &[]).unwrap_err();
    }
}
