//! Text with some of its parts in colour.

use std::ops::Range;

/// What a part of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// A bar of a chart.
    Bar,
    /// All is well.
    Good,
    /// To be read with care.
    Careful,
    /// Something failed.
    Bad,
}

impl Colour {
    /// What switches it on at a terminal ("Select Graphic Rendition" of ECMA-48).
    pub fn sequence(self) -> &'static str {
        match self {
            Self::Bar => "\x1b[36m",
            Self::Good => "\x1b[1;32m",
            Self::Careful => "\x1b[1;33m",
            Self::Bad => "\x1b[31m",
        }
    }
}

/// Text of which parts may be in colour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Painted {
    pub(super) text: String,
    /// Ascending, and apart from one another.
    parts: Vec<(Range<usize>, Colour)>,
}

impl Painted {
    /// The text without colour.
    pub fn plain(&self) -> &str {
        &self.text
    }

    /// Its pieces in their order, each with its colour.
    pub fn pieces(&self) -> Vec<(Option<Colour>, &str)> {
        let mut pieces = Vec::new();
        let mut end = 0;
        for (range, colour) in &self.parts {
            pieces.push((None, &self.text[end..range.start]));
            pieces.push((Some(*colour), &self.text[range.clone()]));
            end = range.end;
        }
        pieces.push((None, &self.text[end..]));
        pieces.retain(|(_, text)| !text.is_empty());
        pieces
    }

    /// Appends text in a colour.
    pub(super) fn push(&mut self, colour: Colour, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.parts.push((start..self.text.len(), colour));
    }

    /// Appends another text.
    pub(super) fn append(&mut self, other: Self) {
        let start = self.text.len();
        self.text.push_str(&other.text);
        let moved = other.parts.into_iter();
        self.parts
            .extend(moved.map(|(range, colour)| (range.start + start..range.end + start, colour)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_text_in_its_order() {
        let mut painted = Painted::default();
        painted.text.push_str("a ");
        painted.push(Colour::Bad, "b");
        let mut all = Painted::default();
        all.push(Colour::Good, "!");
        all.append(painted);
        all.text.push('c');
        assert_eq!(all.plain(), "!a bc");
        assert_eq!(
            all.pieces(),
            [
                (Some(Colour::Good), "!"),
                (None, "a "),
                (Some(Colour::Bad), "b"),
                (None, "c")
            ]
        );
    }
}
