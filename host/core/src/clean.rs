//! Text from outside (a server, a plugin, a file, a database) made fit for a terminal: without anything that a terminal
//! acts on.

use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write;
use std::iter::Peekable;
use std::str::CharIndices;

/// Text without escape sequences, with a space for every other character that a terminal acts on, line ends and tabs
/// among them.
pub fn printable(text: &str) -> String {
    Characters::of(text)
        .map(|character| match character {
            '\n' | '\t' => ' ',
            character => character,
        })
        .collect()
}

/// The same where the text may have several lines: line ends and tabs stay.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(Characters::of(text).collect())
}

/// JSON with [`printable_lines`] for every text in it, names of members among them.
pub fn printable_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(printable_lines(&text).into_owned()),
        Value::Array(items) => Value::Array(items.into_iter().map(printable_json).collect()),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| (printable_lines(&name).into_owned(), printable_json(value)))
                .collect(),
        ),
        other => other,
    }
}

/// Whether a byte is a character by itself that no terminal acts on, or a line end or tab.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\t')
}

/// The characters of a text as [`printable_lines`] gives them.
pub struct Characters<'a> {
    text: Peekable<CharIndices<'a>>,
    at: usize,
}

impl<'a> Characters<'a> {
    /// Of this text, from its beginning.
    pub fn of(text: &'a str) -> Self {
        Self {
            text: text.char_indices().peekable(),
            at: 0,
        }
    }

    /// Where the last character begins that was given.
    pub fn at(&self) -> usize {
        self.at
    }

    fn next_if(&mut self, is: impl Fn(char) -> bool) -> bool {
        self.text.next_if(|(_, character)| is(*character)).is_some()
    }

    /// Parameters up to the final letter. What is no part of a sequence stays.
    fn skip_control_sequence(&mut self) {
        while self.next_if(|c| matches!(c, ' '..='?')) {}
        self.next_if(|c| matches!(c, '@'..='~'));
    }

    /// Up to the end of a string that is meant for the terminal.
    fn skip_string(&mut self) {
        while let Some((_, character)) = self.text.next() {
            match character {
                '\u{7}' | '\u{9c}' => return,
                '\u{1b}' => {
                    self.next_if(|c| c == '\\');
                    return;
                }
                _ => {}
            }
        }
    }
}

impl Iterator for Characters<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            let (at, character) = self.text.next()?;
            self.at = at;
            match character {
                '\u{1b}' => match self.text.next().map(|(_, character)| character) {
                    Some('[') => self.skip_control_sequence(),
                    // Operating system commands, device controls and the like.
                    Some(']' | 'P' | 'X' | '^' | '_') => self.skip_string(),
                    // Any other escape is of two characters.
                    _ => {}
                },
                '\u{9b}' => self.skip_control_sequence(),
                '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => self.skip_string(),
                character @ ('\n' | '\t') => return Some(character),
                character if acts(character) => return Some(' '),
                character => return Some(character),
            }
        }
    }
}

/// JSON as it was written, with escapes for every character in its texts that a terminal acts on: whoever reads it has the
/// same texts.
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    // Line ends are between its texts: within them they are escaped already.
    let is_escaped = |character: char| acts(character) && character != '\n';
    if !json.chars().any(is_escaped) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + json.len() / 16);
    for character in json.chars() {
        if !is_escaped(character) {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    Cow::Owned(escaped)
}

/// Whether a terminal acts on a character: controls, line and paragraph ends, and what turns the direction of the text
/// around it.
pub fn acts(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left() {
        for (text, clean) in [
            ("plain äöü 日本", "plain äöü 日本"),
            ("a\r\nb\tc", "a  b c"),
            ("\u{1b}[31;1mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]52;c;cm0gLXJmCg==\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
            ("\u{9b}2Jgone \u{9d}x\u{9c}y", "gone y"),
            ("\u{1b}cfull reset", "full reset"),
            ("\u{202e}txt.exe\u{2066}", " txt.exe "),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
            ("\0\u{7f}\u{85}", "   "),
        ] {
            assert_eq!(printable(text), clean, "{text:?}");
        }
    }

    #[test]
    fn json_has_escapes_for_what_a_terminal_acts_on() {
        let value = serde_json::json!({"a\u{9b}": ["\u{202e}\u{7f}\u{e0041}\u{1b}", "äöü 日本"]});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let escaped = escaped_json(&text);
        assert!(
            escaped.contains(r"\u202e\u007f\udb40\udc41\u001b"),
            "{escaped}"
        );
        assert_eq!(printable_lines(&escaped), escaped);
        assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap(), value);
        assert!(matches!(escaped_json("{\n \"a\": 1}"), Cow::Borrowed(_)));
    }

    #[test]
    fn lines_stay_lines() {
        assert!(matches!(printable_lines("a\n\tb ~"), Cow::Borrowed(_)));
        assert_eq!(printable_lines("a\n\tb\r\u{1b}[2Jc\n"), "a\n\tb c\n");
        assert_eq!(printable_lines("ä\u{202e}\n"), "ä \n");
    }

    #[test]
    fn json_is_cleaned_at_any_depth() {
        let value = serde_json::json!({"a\u{1b}[2J": ["\u{9b}1mb", {"c": "\u{202e}"}, 1.5]});
        let clean = serde_json::json!({"a": ["b", {"c": " "}, 1.5]});
        assert_eq!(printable_json(value), clean);
    }
}
