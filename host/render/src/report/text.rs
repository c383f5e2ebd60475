//! Text of a width, counted in columns of a terminal: a Chinese character takes two of them.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns that a text takes.
pub(super) fn columns_of(text: &str) -> usize {
    text.width()
}

/// The text in so many columns, with spaces before it.
pub(super) fn to_the_right(text: &str, columns: usize) -> String {
    format!("{}{text}", padding(text, columns))
}

/// The text in so many columns, with spaces behind it.
pub(super) fn to_the_left(text: &str, columns: usize) -> String {
    format!("{text}{}", padding(text, columns))
}

fn padding(text: &str, columns: usize) -> String {
    " ".repeat(columns.saturating_sub(text.width()))
}

/// Appends text, broken at spaces before `width`: `first` before its first line, as many spaces before the others. A
/// word that is longer than a line is broken where the line ends.
pub(crate) fn push_wrapped(out: &mut String, first: &str, text: &str, width: usize) {
    let indent = first.width();
    let room = width.saturating_sub(indent).max(1);
    let mut line = String::new();
    let mut lines = Vec::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.width() + 1 + word.width() > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for character in word.chars() {
            if !line.is_empty() && line.width() + character.width().unwrap_or(0) > room {
                lines.push(std::mem::take(&mut line));
            }
            line.push(character);
        }
    }
    lines.push(line);
    out.push_str(first);
    out.push_str(&lines.join(&format!("\n{}", " ".repeat(indent))));
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_the_width() {
        let mut out = String::new();
        push_wrapped(&mut out, " - ", &"word ".repeat(30), 100);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with(" - word"));
        assert!(lines[1].starts_with("   word"));
        assert!(lines.iter().all(|line| line.len() <= 100));
    }

    #[test]
    fn text_without_spaces_is_broken_too_and_wide_characters_count_twice() {
        let mut out = String::new();
        push_wrapped(&mut out, "- ", &"测试".repeat(10), 20);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| columns_of(line) <= 20), "{out}");
        assert_eq!(lines[0], "- 测试测试测试测试测");
    }

    #[test]
    fn columns_are_filled_by_what_a_terminal_shows() {
        assert_eq!(to_the_left("测试", 6), "测试  ");
        assert_eq!(to_the_right("测试", 6), "  测试");
        assert_eq!(to_the_right("too long", 3), "too long");
    }
}
