//! Servers that repeat themselves: each chunk holds the text so far, where it should hold only what is new.

use crate::message::Kind;
use std::borrow::Cow;

/// So many times a chunk has to begin with the whole of the one before it, and add to it, until it is taken
/// for a repetition: the words of an answer may begin like the ones before them, but not again and again.
const EXTENSIONS: usize = 2;

/// Looks for repetition as chunks come by. The first chunk that does not begin with the one before it ends the
/// search, which is nearly always the second.
#[derive(Debug, Default)]
pub(crate) struct Repeats<'a> {
    disproved: bool,
    extensions: usize,
    /// Chunks that add nothing to the ones before them.
    idle: Vec<u32>,
    last: Vec<(u64, Kind, Cow<'a, [u8]>)>,
}

impl<'a> Repeats<'a> {
    /// Whether it is still of use to note chunks.
    pub(crate) fn is_open(&self) -> bool {
        !self.disproved
    }

    /// The stream has something that is no text, or more than one text in a chunk.
    pub(crate) fn disprove(&mut self) {
        *self = Self {
            disproved: true,
            ..Self::default()
        };
    }

    /// Notes the text that chunk `index` brings, which is not empty.
    pub(crate) fn note(&mut self, index: u32, choice: u64, kind: Kind, text: Cow<'a, [u8]>) {
        let found = self
            .last
            .iter_mut()
            .find(|(known, of, _)| (*known, *of) == (choice, kind));
        match found {
            None => self.last.push((choice, kind, text)),
            Some((_, _, last)) if text.starts_with(last) => {
                if text.len() > last.len() {
                    self.extensions += 1;
                } else {
                    self.idle.push(index);
                }
                *last = text;
            }
            Some(_) => self.disprove(),
        }
    }

    /// The chunks that add nothing, where the stream repeats itself.
    pub(crate) fn found(&self) -> Option<&[u32]> {
        (self.extensions >= EXTENSIONS).then_some(&self.idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(texts: &[&str]) -> Option<Vec<u32>> {
        let mut repeats = Repeats::default();
        for (index, text) in (0..).zip(texts) {
            if repeats.is_open() {
                repeats.note(index, 0, Kind::Text, Cow::Borrowed(text.as_bytes()));
            }
        }
        repeats.found().map(<[u32]>::to_vec)
    }

    #[test]
    fn text_that_grows_from_chunk_to_chunk_is_a_repetition() {
        assert_eq!(found(&["a", "a b", "a b c"]), Some(vec![]));
        assert_eq!(
            found(&["a", "a b", "a b", "a b c", "a b c"]),
            Some(vec![2, 4])
        );
        assert_eq!(found(&["a", "b", "a b"]), None);
        assert_eq!(found(&["ha", "haha"]), None);
        assert_eq!(found(&["ha", "ha", "ha"]), None);
        assert_eq!(found(&["a", "a b", "a b c", " d"]), None);
    }
}
