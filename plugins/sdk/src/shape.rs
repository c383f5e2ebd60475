//! What the chunks of a stream have in common, so that most of them need not be read as JSON.
//!
//! A server writes the chunks of a stream with one template: they differ in the piece of text that each
//! brings, and now and then in a field such as a time. So the bytes before and behind that piece are kept
//! from a chunk that was read. A chunk with the same bytes around another piece is the same object with
//! another string in it, as long as the piece is one string: no quote that would end it, no escape, no
//! control character, which JSON forbids. In any doubt a chunk is read as JSON.

use crate::message::Kind;
use std::borrow::Cow;

/// How many shapes are kept: the choices of one stream have each their own, reasoning has another than text.
const MOST_SHAPES: usize = 4;

/// A text within a chunk: what it is, and the choice that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Piece<'a> {
    pub(crate) choice: u64,
    pub(crate) kind: Kind,
    pub(crate) text: &'a [u8],
}

impl<'a> Piece<'a> {
    /// The text, with what is not UTF-8 in it replaced. Never empty.
    pub(crate) fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.text)
    }
}

/// A chunk that brings one text, without that text.
#[derive(Debug, Clone, Copy)]
struct Shape<'a> {
    choice: u64,
    kind: Kind,
    /// Up to and with the quote that opens the text.
    before: &'a [u8],
    /// From the quote that closes it.
    after: &'a [u8],
}

impl<'a> Shape<'a> {
    /// The text in `chunk` if all else in it is as in this shape.
    fn text_in<'b>(&self, chunk: &'b [u8]) -> Option<&'b [u8]> {
        let text_end = chunk.len().checked_sub(self.after.len())?;
        let text = chunk.get(self.before.len()..text_end)?;
        let fits = !text.is_empty()
            && same(&chunk[..self.before.len()], self.before)
            && same(&chunk[text_end..], self.after)
            && is_plain(text);
        fits.then_some(text)
    }
}

/// The shapes of the chunks read last.
#[derive(Debug)]
pub(crate) struct Shapes<'a> {
    /// The last one that was learned or met is in front.
    known: Vec<Shape<'a>>,
    most: usize,
}

impl<'a> Shapes<'a> {
    pub(crate) fn new() -> Self {
        Self {
            known: Vec::new(),
            most: MOST_SHAPES,
        }
    }

    /// Those that recognise nothing, so that every chunk is read as JSON.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self {
            known: Vec::new(),
            most: 0,
        }
    }

    /// The one text that `chunk` brings. `None`: its shape is not known.
    pub(crate) fn recognize<'b>(&mut self, chunk: &'b [u8]) -> Option<Piece<'b>> {
        for place in 0..self.known.len() {
            let shape = self.known[place];
            if let Some(text) = shape.text_in(chunk) {
                self.known.swap(0, place);
                return Some(Piece {
                    choice: shape.choice,
                    kind: shape.kind,
                    text,
                });
            }
        }
        None
    }

    /// Keeps the shape of `chunk`, whose reading gave `text` as all that it brings.
    ///
    /// A text that is not part of `chunk` as it is, for it has escapes or was put together, teaches nothing.
    pub(crate) fn learn(&mut self, chunk: &'a [u8], choice: u64, kind: Kind, text: &str) {
        // A text that is borrowed from the chunk is a string between its two quotes.
        let offset = text.as_ptr().addr().wrapping_sub(chunk.as_ptr().addr());
        let Some((before, rest)) = chunk.split_at_checked(offset) else {
            return;
        };
        let Some((inside, after)) = rest.split_at_checked(text.len()) else {
            return;
        };
        let is_string = before.ends_with(b"\"") && after.starts_with(b"\"") && !inside.is_empty();
        if !is_string || self.most == 0 {
            return;
        }
        self.known.truncate(self.most - 1);
        let shape = Shape {
            choice,
            kind,
            before,
            after,
        };
        self.known.insert(0, shape);
    }
}

/// Whether both are the same. `==` is a call of `memcmp`, which goes byte by byte in WebAssembly; a loop
/// that doesn't end early is made one over vectors.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}

/// Whether it may stand between two quotes and is its own meaning.
fn is_plain(text: &[u8]) -> bool {
    !text.iter().fold(false, |special, &byte| {
        special | (byte < 0x20) | (byte == b'"') | (byte == b'\\')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: &str = r#"{"a":"same","text":"same","b":1}"#;

    /// The shape of a chunk of which the second `same` is the text.
    fn learned() -> Shapes<'static> {
        let mut shapes = Shapes::new();
        shapes.learn(CHUNK.as_bytes(), 3, Kind::Text, &CHUNK[20..24]);
        shapes
    }

    #[test]
    fn only_another_string_in_the_same_place_is_recognized() {
        let recognized = |chunk: &[u8]| learned().recognize(chunk).map(|piece| piece.text.to_vec());
        let with = |text: &str| CHUNK.replace(r#""text":"same""#, &format!(r#""text":"{text}""#));
        for text in ["x", "same", "{[,:]}", "é 问\u{7f}"] {
            assert_eq!(recognized(with(text).as_bytes()), Some(text.into()));
        }
        for text in ["", r"\n", r"\", r#"","b":""#, "\"", "\n", "\0", "\u{1f}"] {
            assert_eq!(recognized(with(text).as_bytes()), None, "{text}");
        }
        let chunk = with("xyz");
        for end in 0..chunk.len() {
            assert_eq!(recognized(&chunk.as_bytes()[..end]), None);
        }
        for place in (0..20).chain(23..chunk.len()) {
            let mut other = chunk.clone().into_bytes();
            other[place] ^= 1;
            assert_eq!(recognized(&other), None, "{place}");
        }
        assert_eq!(recognized(format!("{chunk} ").as_bytes()), None);
    }

    #[test]
    fn what_is_not_utf_8_is_replaced() {
        let mut chunk = CHUNK.as_bytes().to_vec();
        chunk[22] = 0xff;
        let mut shapes = learned();
        let piece = shapes.recognize(&chunk).expect("the shape is known");
        assert_eq!((piece.choice, &*piece.text()), (3, "sa\u{fffd}e"));
    }

    #[test]
    fn a_text_from_elsewhere_teaches_nothing() {
        let mut shapes = Shapes::new();
        let copy = String::from("same");
        shapes.learn(CHUNK.as_bytes(), 0, Kind::Text, &copy);
        shapes.learn(CHUNK.as_bytes(), 0, Kind::Text, "");
        shapes.learn(CHUNK.as_bytes(), 0, Kind::Text, &CHUNK[21..24]);
        shapes.learn(CHUNK.as_bytes(), 0, Kind::Text, &CHUNK[20..20]);
        assert!(shapes.known.is_empty());
    }

    #[test]
    fn a_few_shapes_are_kept() {
        let chunks: Vec<String> = (0..6)
            .map(|n| format!(r#"{{"n":{n},"text":"x"}}"#))
            .collect();
        let mut shapes = Shapes::new();
        for (number, chunk) in (0..).zip(&chunks) {
            shapes.learn(chunk.as_bytes(), number, Kind::Text, &chunk[15..16]);
        }
        let choices: Vec<Option<u64>> = chunks
            .iter()
            .map(|chunk| Some(shapes.recognize(chunk.as_bytes())?.choice))
            .collect();
        assert_eq!(choices, [None, None, Some(2), Some(3), Some(4), Some(5)]);
    }
}
