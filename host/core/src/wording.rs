//! Words for a line of ours: counts with their nouns, and what comes from outside (a server, a data set, a
//! parser).

/// What stands where a credential stood.
pub const BLANK: &str = "***";

/// What is printed where a run does not know a figure.
pub const UNKNOWN: &str = "n/a";

/// A count with its noun, in the singular or with an `s`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Text on one line, at most `most` characters of it and then an ellipsis: words are parted by single
/// spaces, and no control character gets to a terminal.
pub fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut characters = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        let space = if line.is_empty() { None } else { Some(' ') };
        for character in space.into_iter().chain(word.chars()) {
            if characters == most {
                line.push('…');
                return line;
            }
            line.push(character);
            characters += 1;
        }
    }
    line
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
    fn text_from_outside_stays_on_one_line() {
        assert_eq!(one_line("a\r\n\u{1b}[31m b", 50), "a [31m b");
        assert_eq!(one_line(" a\n b\x1b[31m\tc ", 50), "a b [31m c");
        assert_eq!(one_line("äöüäöü", 3), "äöü…");
        assert_eq!(one_line("ab cd", 3), "ab …");
        assert_eq!(one_line(&"x ".repeat(1000), 200).chars().count(), 201);
        assert_eq!(one_line("ab cd", 5), "ab cd");
        assert_eq!(one_line("", 5), "");
    }

    #[test]
    fn an_excerpt_is_short_and_on_one_line() {
        assert_eq!(
            excerpt(b"<html>\n  <b>no\x1b[31m</b>"),
            "<html> <b>no [31m</b>"
        );
        let long = excerpt("ö".repeat(1000).as_bytes());
        assert_eq!(long.chars().count(), 301);
        assert!(long.ends_with('…'));
    }
}
