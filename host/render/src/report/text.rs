//! Text of a width.

use std::fmt::Write;

/// The width of a report in columns.
pub(super) const WIDTH: usize = 100;

/// Appends text, broken at spaces before [`WIDTH`]: `first` before its first line, as many spaces before
/// the others.
pub(super) fn push_wrapped(out: &mut String, first: &str, text: &str) {
    let indent = first.chars().count();
    out.push_str(first);
    let mut column = indent;
    for (index, word) in text.split_whitespace().enumerate() {
        let width = word.chars().count();
        if index > 0 {
            if column + 1 + width > WIDTH {
                // Writing to a string does not fail.
                let _ = write!(out, "\n{:indent$}", "");
                column = indent;
            } else {
                out.push(' ');
                column += 1;
            }
        }
        out.push_str(word);
        column += width;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_the_width() {
        let mut out = String::new();
        push_wrapped(&mut out, " - ", &"word ".repeat(30));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with(" - word"));
        assert!(lines[1].starts_with("   word"));
        assert!(lines.iter().all(|line| line.len() <= WIDTH));
    }
}
