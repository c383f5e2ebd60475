//! What may stand within a credential and is not seen, or is taken away before somebody sees it: ends of lines (of base64,
//! of headers, of quoted-printable text), what a terminal acts on, bytes of zero (as UTF-16 has them), and what has no width.
//! Beside it the bytes of quoted-printable text (`=2F`).

use crate::clean::{Characters, acts};
use std::ops::Range;

/// The text without what is not seen. `None`: all of it is seen.
pub(super) fn left_out(data: &[u8]) -> Option<Vec<u8>> {
    let first = data
        .iter()
        .position(|byte| MAY_BE_UNSEEN[usize::from(*byte)])?;
    let mut seen = Vec::with_capacity(data.len());
    seen.extend_from_slice(&data[..first]);
    let mut changed = false;
    let mut end = first;
    // A character begins there: none of these bytes is within one.
    each_seen(&data[first..], &mut |place, byte| {
        changed |= byte.is_some() || first + place.start != end;
        end = first + place.end;
        match byte {
            Some(byte) => seen.push(byte),
            None => seen.extend_from_slice(&data[first + place.start..end]),
        }
        true
    });
    (changed || end != data.len()).then_some(seen)
}

/// Where places of the text without what is not seen are in the text with it. `places` are in ascending order and apart.
pub(super) fn places_before(data: &[u8], places: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut places = places.iter();
    let mut place = places.next();
    let mut start = None;
    let mut seen = 0;
    each_seen(data, &mut |taken, byte| {
        seen += byte.map_or(taken.len(), |_| 1);
        while let Some(next) = place {
            if seen <= next.start {
                break;
            }
            let begin = *start.get_or_insert(taken.start);
            if seen < next.end {
                break;
            }
            found.push(begin..taken.end);
            start = None;
            place = places.next();
        }
        place.is_some()
    });
    found
}

/// Bytes with which something begins that may be left out: no byte within a character is one of them.
const MAY_BE_UNSEEN: [bool; 256] = {
    let mut may = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        may[byte] = true;
        byte += 1;
    }
    may[b'\t' as usize] = false;
    may[b'=' as usize] = true;
    may[0x7f] = true;
    // The first bytes of controls, soft hyphens, marks of direction, and of what has no width.
    may[0xc2] = true;
    may[0xd8] = true;
    may[0xe2] = true;
    may[0xef] = true;
    may[0xf3] = true;
    may
};

/// Hands over the place of each character that is seen, and the byte that it means where it is one of quoted-printable
/// text, until `take` wants no more.
fn each_seen(data: &[u8], take: &mut impl FnMut(Range<usize>, Option<u8>) -> bool) {
    let mut before = 0;
    for chunk in data.utf8_chunks() {
        let valid = chunk.valid();
        if !each_seen_of(valid, before, take) {
            return;
        }
        before += valid.len();
        for _ in chunk.invalid() {
            if !take(before..before + 1, None) {
                return;
            }
            before += 1;
        }
    }
}

fn each_seen_of(
    text: &str,
    before: usize,
    take: &mut impl FnMut(Range<usize>, Option<u8>) -> bool,
) -> bool {
    let bytes = text.as_bytes();
    let mut characters = Characters::of(text);
    // Up to there it was told, or is left out.
    let mut done = 0;
    while let Some(shown) = characters.next() {
        let at = characters.at();
        if at < done {
            continue;
        }
        let character = match shown {
            // Or what stands for a character that a terminal acts on.
            ' ' => text[at..].chars().next().unwrap_or(' '),
            other => other,
        };
        if matches!(character, '\n' | '\r') {
            // A header goes on behind blanks.
            let blanks = bytes[at + 1..].iter();
            let blanks = blanks.take_while(|byte| byte.is_ascii_whitespace());
            done = at + 1 + blanks.count();
            continue;
        }
        if acts(character) || matches!(character, '\u{ad}' | '\u{200c}' | '\u{200d}') {
            continue;
        }
        if character == '=' {
            match bytes[at + 1..] {
                [b'\n', ..] | [b'\r', b'\n', ..] => continue,
                [high, low, ..] => {
                    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
                    if let (Some(high), Some(low)) = (digit(high), digit(low)) {
                        done = at + 3;
                        if !take(before + at..before + done, Some(high << 4 | low)) {
                            return false;
                        }
                        continue;
                    }
                }
                _ => {}
            }
        }
        let end = before + at + character.len_utf8();
        if !take(before + at..end, None) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What of a text is what so many bytes of it are that are seen.
    fn whole_of(data: &[u8], seen: usize) -> &[u8] {
        let found = places_before(data, std::slice::from_ref(&(0..seen)));
        let [place] = found.as_slice() else {
            panic!("not one place: {found:?}");
        };
        &data[place.clone()]
    }

    #[test]
    fn what_is_not_seen_is_left_out_and_places_are_found_again() {
        for (data, seen) in [
            ("plain ä 日本 \t x", None),
            ("a=b c=", None),
            ("a\nb", Some("ab")),
            ("a\r\n \tb\n\nc\n", Some("abc")),
            ("a=\r\nb=\nc", Some("abc")),
            ("=73=6B=2d=0", Some("sk-=0")),
            (
                "a\0b\u{200b}c\u{ad}d\u{202e}e\u{85}f\u{8}g\u{7f}",
                Some("abcdefg"),
            ),
            ("a\u{1b}[31mb\u{1b}]0;title\u{7}c\u{9b}1md", Some("abcd")),
            ("é\u{feff}日\u{1b}", Some("é日")),
            ("", None),
        ] {
            let found = left_out(data.as_bytes());
            let found = found.map(|found| String::from_utf8(found).unwrap());
            assert_eq!(found.as_deref(), seen, "{data:?}");
            let Some(seen) = seen else { continue };
            let taken = whole_of(data.as_bytes(), seen.len());
            let without = left_out(taken).unwrap_or_else(|| taken.to_vec());
            assert_eq!(without, seen.as_bytes(), "{data:?}");
        }
        let data = "ab\ncd\0ef";
        assert_eq!(places_before(data.as_bytes(), &[0..2, 3..5]), [0..2, 4..7]);
        assert_eq!(left_out(b"\xff\n\xfe").as_deref(), Some(&b"\xff\xfe"[..]));
        assert_eq!(whole_of(b"\xff\n\xfe", 2), b"\xff\n\xfe");
    }
}
