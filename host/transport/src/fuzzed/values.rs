//! What is fuzzed of JSON values in a stream.

use crate::cut_input::{cuts_and_stream, pieces};
use crate::json_stream::{JsonSplitter, ValueTooLong};

/// Larger than any input.
const ROOM: usize = 1 << 24;

/// The values of a stream that comes in these pieces, and what is left of one that has no end.
fn split<'a>(
    mut splitter: JsonSplitter,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limit: usize,
) -> Result<(Vec<Vec<u8>>, Vec<u8>), ValueTooLong> {
    let mut values = Vec::new();
    for piece in pieces {
        splitter.push(piece, |value| values.push(value.to_vec()))?;
        assert!(
            splitter.unfinished().len() <= limit,
            "more is held than is allowed"
        );
    }
    Ok((values, splitter.unfinished().to_vec()))
}

/// The lines of a stream that have more than what JSON calls white space, without that around them.
fn lines(stream: &[u8]) -> Vec<&[u8]> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    stream
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let begin = line.iter().position(|byte| !is_blank(byte))?;
            let end = line.iter().rposition(|byte| !is_blank(byte))?;
            line.get(begin..=end)
        })
        .collect()
}

/// JSON values, one a line or the elements of an array: the same however their bytes are cut, and those that a JSON
/// parser finds.
pub fn values(input: &[u8]) {
    let Some(&count) = input.first() else {
        return;
    };
    let (cuts, stream) = cuts_and_stream(input);
    for splitter in [JsonSplitter::lines, JsonSplitter::array] {
        let whole = split(splitter(ROOM), [stream], ROOM);
        assert_eq!(
            split(splitter(ROOM), pieces(stream, cuts), ROOM),
            whole,
            "cut at {cuts:?}"
        );
        assert_eq!(
            split(splitter(ROOM), stream.chunks(1), ROOM),
            whole,
            "cut at every byte"
        );
        let limit = usize::from(count);
        if let Ok(found) = split(splitter(limit), stream.chunks(1), limit) {
            assert_eq!(Ok(found), whole, "a bound of {count}");
        }
    }
    let lines = lines(stream);
    let is_object = |line: &&[u8]| {
        line.starts_with(b"{") && serde_json::from_slice::<serde_json::Value>(line).is_ok()
    };
    if lines.iter().all(is_object) {
        let lines = lines.into_iter().map(<[u8]>::to_vec).collect();
        assert_eq!(
            split(JsonSplitter::lines(ROOM), [stream], ROOM),
            Ok((lines, Vec::new()))
        );
    }
    if let Ok(elements) =
        serde_json::from_slice::<Vec<serde_json::Map<String, serde_json::Value>>>(stream)
    {
        let found = split(JsonSplitter::array(ROOM), [stream], ROOM).map(|(values, _)| {
            values
                .iter()
                .map(|value| serde_json::from_slice(value).unwrap_or_default())
                .collect::<Vec<_>>()
        });
        assert_eq!(found, Ok(elements));
    }
}
