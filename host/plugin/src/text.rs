//! Words of a parser, made fit for a terminal: on one line, of a sane length, and without anything that
//! a terminal would act on.

use llmuses_core::clean::printable;

/// The longest error text or description that is shown, in characters.
const TEXT_CHARS: usize = 300;

/// The longest name, version or reason that is shown, in characters.
const NAME_CHARS: usize = 80;

/// An error text or description as it is shown.
pub(super) fn shown(text: &str) -> String {
    cut(text, TEXT_CHARS)
}

/// Why a parser refuses something, as it is shown: also where it says nothing that can be.
pub(super) fn shown_reason(text: &str) -> String {
    match shown(text) {
        nothing if nothing.trim().is_empty() => "it gave no reason".to_owned(),
        reason => reason,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_without_words_says_so() {
        assert_eq!(shown_reason("no"), "no");
        for nothing in ["", " \n", "\u{1b}[2J"] {
            assert_eq!(shown_reason(nothing), "it gave no reason");
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
