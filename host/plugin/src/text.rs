//! Words of a parser, made fit for a terminal: on one line, of a sane length, and without anything that
//! a terminal would act on.

/// The longest error text or description that is shown, in characters.
const TEXT_CHARS: usize = 300;

/// The longest name, version or reason that is shown, in characters.
const NAME_CHARS: usize = 80;

/// An error text or description as it is shown.
pub(super) fn shown(text: &str) -> String {
    cut(text, TEXT_CHARS)
}

/// A name as it is shown.
pub(super) fn shown_name(text: &str) -> String {
    cut(text, NAME_CHARS)
}

fn cut(text: &str, most: usize) -> String {
    // No character of the result takes more than four bytes of the text, but for what is dropped; so
    // megabytes are not cleaned to show a line of them. Escape sequences may make the result shorter.
    let end = text.floor_char_boundary(most.saturating_mul(16).min(text.len()));
    let clean = printable(&text[..end]);
    match clean.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None if end < text.len() => clean + "…",
        None => clean,
    }
}

/// Text without escape sequences, with a space for every other character that a terminal would act on.
pub(super) fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => match characters.next() {
                Some('[') => skip_control_sequence(&mut characters),
                // Operating system commands, device controls and the like: up to their terminator.
                Some(']' | 'P' | 'X' | '^' | '_') => skip_string(&mut characters),
                // Any other escape is of two characters.
                _ => {}
            },
            '\u{9b}' => skip_control_sequence(&mut characters),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut characters),
            character if acts(character) => clean.push(' '),
            character => clean.push(character),
        }
    }
    clean
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Parameters up to the final letter. What is no part of a sequence stays.
fn skip_control_sequence(characters: &mut Characters<'_>) {
    while characters.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    let _ = characters.next_if(|c| matches!(c, '@'..='~'));
}

fn skip_string(characters: &mut Characters<'_>) {
    while let Some(character) = characters.next() {
        match character {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                let _ = characters.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

/// Controls, line and paragraph ends, and what turns the direction of the text around it.
fn acts(character: char) -> bool {
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
    fn long_words_are_cut_and_say_so() {
        assert_eq!(shown("short"), "short");
        let long = shown(&"ä".repeat(1_000_000));
        assert_eq!(long.chars().count(), TEXT_CHARS + 1);
        assert!(long.ends_with('…'));
        assert!(shown(&"\u{1b}[0m".repeat(1_000_000)).ends_with('…'));
    }
}
