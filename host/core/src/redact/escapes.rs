//! Escapes of JSON (`\/`, `\u002f`), of other quoted text (`\x2f`, `\057`, `\u{2f}`), of URLs (`%2f`) and of HTML
//! (`&#47;`, `&#x2f;`, `&amp;`), undone, and where in the text with escapes a place of the text without them is.

use memchr::memchr3;
use std::ops::Range;

/// A character as it stands in the text: the bytes that it takes there, and those that are meant.
struct Unit {
    taken: usize,
    meant: [u8; 4],
    len: usize,
}

/// The text without escapes. `None`: there are none.
pub(super) fn undone(data: &[u8]) -> Option<Vec<u8>> {
    let first = memchr3(b'\\', b'%', b'&', data)?;
    let mut plain = Vec::with_capacity(data.len());
    plain.extend_from_slice(&data[..first]);
    let mut at = first;
    let mut changed = false;
    while at < data.len() {
        let unit = unit(&data[at..]);
        changed |= unit.taken != unit.len;
        plain.extend_from_slice(&unit.meant[..unit.len]);
        at += unit.taken;
        let run = memchr3(b'\\', b'%', b'&', &data[at..]).unwrap_or(data.len() - at);
        plain.extend_from_slice(&data[at..at + run]);
        at += run;
    }
    changed.then_some(plain)
}

/// Where places of the text without escapes are in the text with them. `places` are in ascending order and apart.
pub(super) fn places_before(data: &[u8], places: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut at, mut plain) = (0, 0);
    for place in places {
        let mut start = None;
        while plain < place.end && at < data.len() {
            let unit = unit(&data[at..]);
            if start.is_none() && plain + unit.len > place.start {
                start = Some(at);
            }
            plain += unit.len;
            at += unit.taken;
        }
        if let Some(start) = start {
            found.push(start..at);
        }
    }
    found
}

/// The first character of data that is not empty.
fn unit(data: &[u8]) -> Unit {
    match data {
        [b'\\', b'u', b'{', digits @ ..] => {
            let end = digits.iter().take(7).position(|byte| *byte == b'}');
            let number = end.and_then(|end| std::str::from_utf8(&digits[..end]).ok());
            let character = number
                .and_then(|number| u32::from_str_radix(number, 16).ok())
                .and_then(char::from_u32);
            character.zip(end).map_or_else(
                || same(data[0]),
                |(character, end)| of_char(character, end + 4),
            )
        }
        [
            b'\\',
            high @ b'0'..=b'3',
            middle @ b'0'..=b'7',
            low @ b'0'..=b'7',
            ..,
        ] => Unit {
            taken: 4,
            meant: [(high & 3) << 6 | (middle & 7) << 3 | (low & 7), 0, 0, 0],
            len: 1,
        },
        [b'\\', b'u', ..] => code(&data[2..])
            .and_then(|first| match first {
                0xd800..=0xdbff => {
                    let second = data.get(6..8).filter(|next| *next == b"\\u");
                    let second = second.and_then(|_| code(&data[8..]))?;
                    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    Some((
                        char::from_u32(0x10000 + ((first - 0xd800) << 10) + low)?,
                        12,
                    ))
                }
                first => Some((char::from_u32(first)?, 6)),
            })
            .map_or_else(
                || same(data[0]),
                |(character, taken)| of_char(character, taken),
            ),
        [b'\\', b'x', high, low, ..] | [b'%', high, low, ..] => match (hex(*high), hex(*low)) {
            (Some(high), Some(low)) => Unit {
                taken: if data[0] == b'%' { 3 } else { 4 },
                meant: [high << 4 | low, 0, 0, 0],
                len: 1,
            },
            _ => same(data[0]),
        },
        [b'&', rest @ ..] => {
            entity(rest).map_or_else(|| same(b'&'), |(meant, taken)| of_char(meant, taken + 1))
        }
        [b'\\', next, ..] => Unit {
            taken: 2,
            meant: [control(*next), 0, 0, 0],
            len: 1,
        },
        _ => same(data[0]),
    }
}

/// The names of characters in HTML that are written so, or that keys have.
const NAMES: [(&str, char); 12] = [
    ("amp;", '&'),
    ("lt;", '<'),
    ("gt;", '>'),
    ("quot;", '"'),
    ("apos;", '\''),
    ("sol;", '/'),
    ("plus;", '+'),
    ("equals;", '='),
    ("colon;", ':'),
    ("period;", '.'),
    ("lowbar;", '_'),
    ("dash;", '-'),
];

/// The character that an entity of HTML means, and the bytes that it takes behind its `&`.
fn entity(data: &[u8]) -> Option<(char, usize)> {
    /// Digits of the largest character, and as many zeros as somebody may write before them.
    const MOST_DIGITS: usize = 8;
    let Some(number) = data.strip_prefix(b"#") else {
        let found = NAMES
            .iter()
            .find(|(name, _)| data.starts_with(name.as_bytes()))?;
        return Some((found.1, found.0.len()));
    };
    let (digits, radix) = match number {
        [b'x' | b'X', digits @ ..] => (digits, 16),
        digits => (digits, 10),
    };
    let end = digits
        .iter()
        .take(MOST_DIGITS + 1)
        .position(|digit| *digit == b';')?;
    let text = std::str::from_utf8(&digits[..end]).ok()?;
    let is_number = text.chars().all(|digit| digit.is_digit(radix));
    let code = u32::from_str_radix(text, radix)
        .ok()
        .filter(|_| is_number)?;
    Some((char::from_u32(code)?, data.len() - digits.len() + end + 1))
}

/// What a letter behind a backslash stands for, and other characters for themselves.
fn control(letter: u8) -> u8 {
    match letter {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'f' => 0x0c,
        other => other,
    }
}

fn same(byte: u8) -> Unit {
    Unit {
        taken: 1,
        meant: [byte, 0, 0, 0],
        len: 1,
    }
}

fn of_char(character: char, taken: usize) -> Unit {
    let mut meant = [0; 4];
    let len = character.encode_utf8(&mut meant).len();
    Unit { taken, meant, len }
}

fn code(data: &[u8]) -> Option<u32> {
    data.get(..4)?
        .iter()
        .try_fold(0, |code, byte| Some(code << 4 | u32::from(hex(*byte)?)))
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}
