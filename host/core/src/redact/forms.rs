//! The forms in which a secret is looked for. Escapes are none of them: they are undone before it is looked for.

use crate::wording::hexadecimal;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;

/// Shorter values are left alone: blanking every `1` of a text would hide nothing and spoil all.
const SHORTEST_SECRET: usize = 6;

/// Shorter pieces of base64 are left alone.
const SHORTEST_BASE64: usize = 12;

/// Of a value from this length on, parts are looked for too.
const LONG: usize = 32;

/// A part of a long value from this length on is looked for, wherever in the value it is.
const SHORTEST_PART: usize = 20;

/// The beginning of a long value is looked for from this length on: it is what messages show of a key.
const SHORTEST_BEGINNING: usize = 16;

/// Values longer than this have no parts that are looked for: there would be one for each byte.
const LONGEST_WITH_PARTS: usize = 4 << 10;

/// Different bytes of a part, or it is a row of dashes or zeros as any text may have one.
const MIXED: usize = 8;

/// Each value as it is, in base64 and as the numbers of its bytes, and the parts of a long one. Small letters stand for large
/// ones too.
pub(super) fn forms(values: Vec<String>) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    let decoded: Vec<String> = values
        .iter()
        .filter(|value| value.contains('%'))
        .map(|value| percent_decode_str(value).decode_utf8_lossy().into_owned())
        .collect();
    for value in values.iter().chain(&decoded) {
        let value = value.trim();
        if is_too_short(value) || value == crate::wording::BLANK {
            continue;
        }
        let value = value.as_bytes();
        forms.extend(in_base64(value));
        forms.extend(in_numbers(value));
        forms.extend(parts(value));
        forms.push(value.to_vec());
    }
    forms.sort();
    forms.dedup();
    forms
}

/// Whether a value is too short to be looked for.
pub(super) fn is_too_short(value: &str) -> bool {
    value.len() < SHORTEST_SECRET
}

/// What is found of a value where only a part of it stands in a text. Parts of the shortest length are enough: those of a
/// longer one overlap.
fn parts(value: &[u8]) -> Vec<Vec<u8>> {
    // What has blanks in it is several words, of which those that matter are values themselves.
    let is_one_word = !value.iter().any(u8::is_ascii_whitespace);
    if !(LONG..=LONGEST_WITH_PARTS).contains(&value.len()) || !is_one_word {
        return Vec::new();
    }
    let beginnings = (SHORTEST_BEGINNING..SHORTEST_PART).map(|length| &value[..length]);
    value
        .windows(SHORTEST_PART)
        .chain(beginnings)
        .filter(|part| is_mixed(part))
        .map(<[u8]>::to_vec)
        .collect()
}

fn is_mixed(part: &[u8]) -> bool {
    let mut different = part.to_vec();
    different.sort_unstable();
    different.dedup();
    different.len() >= MIXED
}

/// The numbers of the bytes of a value: in hexadecimal digits, and as lists.
fn in_numbers(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![hexadecimal(value).into_bytes()];
    if value.len() > LONGEST_WITH_PARTS {
        return forms;
    }
    for between in [":", " ", "-", ", 0x", ",0x"] {
        let digits: Vec<String> = value.iter().map(|byte| hexadecimal(&[*byte])).collect();
        forms.push(digits.join(between).into_bytes());
    }
    for between in [", ", ",", " "] {
        let numbers: Vec<String> = value.iter().map(u8::to_string).collect();
        forms.push(numbers.join(between).into_bytes());
    }
    forms
}

/// A value as it stands in the base64 of any text around it: of six bits each, a character can begin at three places of
/// a byte. Characters that hold bits of what is around it are left out.
fn in_base64(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let mut text = vec![0; before];
        text.extend_from_slice(value);
        // Whole characters behind those of what is before, and before those of what is behind.
        let first = (before * 8).div_ceil(6);
        let end = text.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            if let Some(form) = encoded.get(first..end)
                && form.len() >= SHORTEST_BASE64
            {
                forms.push(form.as_bytes().to_vec());
            }
        }
    }
    forms
}
