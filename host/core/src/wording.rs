//! Words for a line of ours: counts with their nouns, and what comes from outside (a server, a data set, a
//! parser).

use crate::clean::Characters;

/// What stands where a credential stood.
pub const BLANK: &str = "***";

/// What is printed where a run does not know a figure.
pub const UNKNOWN: &str = "n/a";

/// A count with its noun, in the singular or with an `s`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Bytes in hexadecimal, such as those of a digest.
pub fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// Text on one line, at most `most` characters of it and then an ellipsis: words are parted by single
/// spaces, and nothing that a terminal acts on is left.
pub fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut count = 0;
    let mut parted = false;
    for character in Characters::of(text) {
        if character.is_whitespace() {
            parted = !line.is_empty();
            continue;
        }
        let space = parted.then_some(' ');
        parted = false;
        for character in space.into_iter().chain([character]) {
            if count == most {
                line.push('…');
                return line;
            }
            line.push(character);
            count += 1;
        }
    }
    line
}

/// Text, or its beginning and an ellipsis where it has more than `most` characters.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The beginning of a body for a message: text on one line, at most 300 characters.
pub fn excerpt(body: &[u8]) -> String {
    const LIMIT: usize = 300;
    // A character has four bytes at the most; the ellipsis of what is longer comes of the cut, or here.
    let start = &body[..body.len().min(4 * LIMIT)];
    let mut line = one_line(&String::from_utf8_lossy(start), LIMIT);
    if body.len() > start.len() && !line.ends_with('…') {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_two_digits() {
        assert_eq!(hexadecimal(&[0, 0x0a, 0xf0, 0xff]), "000af0ff");
    }

    #[test]
    fn text_from_outside_stays_on_one_line() {
        assert_eq!(one_line("a\r\n\u{1b}[31m b", 50), "a b");
        assert_eq!(one_line(" a\n b\x1b[31m\tc ", 50), "a b c");
        assert_eq!(one_line("äöüäöü", 3), "äöü…");
        assert_eq!(one_line("ab cd", 3), "ab …");
        assert_eq!(one_line(&"x ".repeat(1000), 200).chars().count(), 201);
        assert_eq!(one_line("ab cd", 5), "ab cd");
        assert_eq!(one_line("", 5), "");
    }

    #[test]
    fn an_excerpt_is_short_and_on_one_line() {
        assert_eq!(excerpt(b"<html>\n  <b>no\x1b[31m</b>"), "<html> <b>no</b>");
        let long = excerpt("ö".repeat(1000).as_bytes());
        assert_eq!(long.chars().count(), 301);
        assert!(long.ends_with('…'));
    }
}
