//! Errors in JSON, told so that a person finds the place.

use serde::Deserialize;
use serde_json::error::Category;

/// Reads a text as JSON.
///
/// Through its bytes, as responses are read: `serde_json` has a reader for texts too, but the code for both
/// would make each component a tenth bigger.
pub(crate) fn from_str<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    serde_json::from_slice(text.as_bytes())
}

/// One sentence about `error`, which `serde_json` gave for the bytes of `source`.
///
/// `place` names the text within its file or stream (`line 17`). The column counts characters from 1. Only a
/// text that itself has several lines gets a line of its own, so that it isn't taken for that of the file.
pub(crate) fn explain(place: &str, source: &[u8], error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let reason = message.strip_suffix(&position).unwrap_or(&message);
    let kind = match error.classify() {
        Category::Data => "",
        Category::Io | Category::Syntax | Category::Eof => "not valid JSON: ",
    };
    let column = column(source, error.line(), error.column());
    match error.line() {
        0 => format!("{place}: {kind}{reason}"),
        1 => format!("{place}, column {column}: {kind}{reason}"),
        line => format!("{place}, its line {line}, column {column}: {kind}{reason}"),
    }
}

/// The column in characters for one in bytes; both count from 1, and 0 stays 0.
fn column(source: &[u8], line: usize, bytes: usize) -> usize {
    let text = source
        .split(|&byte| byte == b'\n')
        .nth(line.saturating_sub(1))
        .unwrap_or_default();
    let before = text.get(..bytes).unwrap_or(text);
    // Bytes that continue a character are not counted. What is past the end, such as the place of the
    // missing rest of a text cut short, is not in `before`, and counts as it is.
    let continued = before.iter().filter(|&&byte| byte & 0xC0 == 0x80).count();
    bytes - continued
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn explained(source: &str) -> String {
        match from_str::<Value>(source) {
            Ok(_) => String::new(),
            Err(error) => explain("line 17", source.as_bytes(), &error),
        }
    }

    #[test]
    fn the_place_in_the_file_replaces_that_of_the_parser() {
        assert_eq!(
            explained("[1, x]"),
            "line 17, column 5: not valid JSON: expected value"
        );
    }

    #[test]
    fn a_text_cut_short_is_named_at_its_end() {
        assert_eq!(
            explained("[1, "),
            "line 17, column 4: not valid JSON: EOF while parsing a value"
        );
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(
            explained("[\"问答\" x]"),
            "line 17, column 7: not valid JSON: expected `,` or `]`"
        );
    }

    #[test]
    fn a_text_of_several_lines_names_its_own() {
        assert_eq!(
            explained("[1,\n x]"),
            "line 17, its line 2, column 2: not valid JSON: expected value"
        );
    }

    #[test]
    fn a_wrong_type_is_not_called_invalid_json() {
        let source = "[true]";
        let error = from_str::<Vec<u8>>(source).expect_err("a bool is no number");
        assert_eq!(
            explain("line 2", source.as_bytes(), &error),
            "line 2, column 5: invalid type: boolean `true`, expected u8"
        );
    }
}
