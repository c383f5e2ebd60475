//! Credentials that come in pieces: a stream brings an answer a few letters at a time, and so one that the server says
//! back. In the chunks that are kept nobody would find it, but whoever joins them has it.

use super::texts::{Text, Texts};
use crate::exchange::ResponseLog;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// What joined texts may take before they are looked at, beside what is kept for what comes.
const AT_ONCE: usize = 1 << 20;

/// Texts under different names that are joined each by itself. Of what has more, all texts are joined one behind the other
/// still.
const MOST_JOINED: usize = 1 << 10;

/// An escape takes so many times the bytes of what it means.
const ESCAPED: usize = 6;

/// A text from this length on that comes twice in a row under the same names is one that all events have, such as an id.
const REPEATED: usize = 8;

/// Pieces that are told apart. A response with more of them keeps no text.
const MOST_PIECES: usize = 1 << 18;

/// Where in a response credentials are in pieces.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pieces {
    /// At these places of these events, in ascending order and apart from each other.
    At(Vec<(usize, Range<usize>)>),
    /// In so many places that no text of the response is kept.
    Everywhere,
}

/// Texts, one behind the other.
#[derive(Debug, Clone, Default)]
struct Joined {
    text: Vec<u8>,
    parts: Vec<Part>,
}

/// A part of a joined text, up to the next one.
#[derive(Debug, Clone)]
struct Part {
    /// Where it begins in the joined text.
    at: usize,
    event: usize,
    /// Where it begins in its event.
    from: usize,
}

impl Joined {
    fn push(&mut self, event: usize, from: usize, text: &[u8]) {
        self.parts.push(Part {
            at: self.text.len(),
            event,
            from,
        });
        self.text.extend_from_slice(text);
    }

    /// Adds a text of which no more than its beginning and its end can be part of anything.
    fn add(&mut self, event: usize, data: &[u8], place: &Range<usize>, kept: usize) {
        let (start, end) = (place.start, place.end);
        if place.len() <= 2 * kept {
            self.push(event, start, &data[start..end]);
            return;
        }
        self.push(event, start, &data[start..start + kept]);
        // Of no credential.
        self.text.push(b'\n');
        self.push(event, end - kept, &data[end - kept..end]);
    }

    fn repeats(&self, text: &[u8]) -> bool {
        text.len() >= REPEATED
            && self
                .parts
                .last()
                .is_some_and(|last| self.text[last.at..] == *text)
    }

    /// Notes the parts that make up what is found, and keeps only the end.
    fn look(
        &mut self,
        find: &impl Fn(&[u8]) -> Vec<Range<usize>>,
        kept: usize,
        found: &mut Vec<(usize, Range<usize>)>,
    ) {
        // Within one text it would have been found before.
        if self.parts.len() > 1 {
            for place in find(&self.text) {
                let first = self.parts.partition_point(|part| part.at <= place.start);
                let first = first.saturating_sub(1);
                for (index, part) in self.parts.iter().enumerate().skip(first) {
                    if part.at >= place.end {
                        break;
                    }
                    let next = self.parts.get(index + 1);
                    let end = next.map_or(self.text.len(), |next| next.at).min(place.end);
                    let start = part.at.max(place.start);
                    let from = part.from + (start - part.at);
                    found.push((part.event, from..from + (end - start)));
                }
            }
        }
        let Some(cut) = self.text.len().checked_sub(kept).filter(|cut| *cut > 0) else {
            return;
        };
        let gone = self.parts.partition_point(|part| part.at <= cut);
        self.parts.drain(..gone.saturating_sub(1));
        self.text.drain(..cut);
        for part in &mut self.parts {
            part.from += cut.saturating_sub(part.at);
            part.at = part.at.saturating_sub(cut);
        }
    }
}

/// Joins the texts of a response: those under the same names, those of each answer where there are several, and all that
/// events do not have in common.
struct Joining<F> {
    find: F,
    /// What is kept of a joined text for what comes behind it.
    kept: usize,
    by_names: HashMap<u64, Joined>,
    all: Joined,
    /// Whether events bring several answers.
    has_several: bool,
    bytes: usize,
    found: Vec<(usize, Range<usize>)>,
}

impl<F: Fn(&[u8]) -> Vec<Range<usize>>> Joining<F> {
    fn new(longest: usize, find: F) -> Self {
        Self {
            find,
            kept: ESCAPED * longest,
            by_names: HashMap::new(),
            all: Joined::default(),
            has_several: false,
            bytes: 0,
            found: Vec::new(),
        }
    }

    fn add_event(&mut self, event: usize, data: &[u8], texts: &mut Texts) {
        texts.of(data, |found| {
            for text in found.texts {
                self.add(event, data, text, found.answer);
            }
        });
    }

    /// Whether so many pieces are found that no text is kept: then nothing more is looked for.
    fn is_full(&self) -> bool {
        self.found.len() > MOST_PIECES
    }

    fn add(&mut self, event: usize, data: &[u8], text: &Text, answer: u64) {
        if self.is_full() {
            return;
        }
        let part = &data[text.place.clone()];
        if !self.has_several && (answer != 0 || text.positions != 0) {
            // Until here there was one alone.
            self.has_several = true;
            let of_first = self
                .by_names
                .iter()
                .map(|(path, joined)| (of_answer(*path, 0, 0), joined.clone()));
            let of_first: Vec<_> = of_first.collect();
            self.by_names.extend(of_first);
        }
        let own = self
            .has_several
            .then(|| of_answer(text.path, text.positions, answer));
        let mut repeats = false;
        for path in [Some(text.path), own].into_iter().flatten() {
            let has_room = self.by_names.len() < MOST_JOINED;
            let joined = match self.by_names.get_mut(&path) {
                Some(joined) => joined,
                None if has_room => self.by_names.entry(path).or_default(),
                None => continue,
            };
            if joined.repeats(part) {
                repeats = true;
                continue;
            }
            joined.add(event, data, &text.place, self.kept);
            self.bytes += part.len().min(2 * self.kept) + size_of::<Part>();
        }
        if !repeats {
            self.all.add(event, data, &text.place, self.kept);
            self.bytes += part.len().min(2 * self.kept) + size_of::<Part>();
        }
        if self.bytes > AT_ONCE {
            self.look();
        }
    }

    fn look(&mut self) {
        let by_names = self.by_names.values_mut();
        for joined in by_names.chain([&mut self.all]) {
            joined.look(&self.find, self.kept, &mut self.found);
        }
        // What is found twice is no more.
        self.found
            .sort_by_key(|(event, place)| (*event, place.start, place.end));
        self.found.dedup_by(|next, before| {
            let overlaps = next.0 == before.0 && next.1.start < before.1.end;
            if overlaps {
                before.1.end = before.1.end.max(next.1.end);
            }
            overlaps
        });
        // What is kept is not counted again: there would be no end of looking at it.
        self.bytes = 0;
    }
}

/// The texts under these names at these positions of one answer.
fn of_answer(path: u64, positions: u64, answer: u64) -> u64 {
    let answer = answer.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    !path ^ positions.rotate_left(23) ^ answer.rotate_left(41)
}

/// Where a response has credentials in pieces, of which `find` finds those in a text and the longest takes so many bytes.
pub(super) fn pieces(
    response: &ResponseLog,
    longest: usize,
    find: impl Fn(&[u8]) -> Vec<Range<usize>>,
) -> Pieces {
    let mut joining = Joining::new(longest, find);
    let mut texts = Texts::default();
    for (event, data) in response.iter().enumerate() {
        joining.add_event(event, data, &mut texts);
        if joining.is_full() {
            return Pieces::Everywhere;
        }
    }
    joining.look();
    match joining.is_full() {
        true => Pieces::Everywhere,
        false => Pieces::At(joining.found),
    }
}

/// An event without the pieces that it has, and without what says the same again: equal texts, and numbers that stand for
/// letters or tokens. `None`: it has none.
pub(super) fn without(data: &[u8], pieces: &Pieces, event: usize) -> Option<Vec<u8>> {
    let mut texts = Texts::default();
    let mut edits: Vec<(Range<usize>, &str)> = Vec::new();
    match pieces {
        Pieces::Everywhere => texts.of(data, |found| {
            edits.extend(found.texts.iter().map(|text| (text.place.clone(), "***")));
        }),
        Pieces::At(places) => {
            let first = places.partition_point(|place| place.0 < event);
            let end = places.partition_point(|place| place.0 <= event);
            let places = &places[first..end];
            if places.is_empty() {
                return None;
            }
            let mut with_piece: HashSet<&[u8]> = HashSet::new();
            texts.of(data, |found| {
                with_piece.extend(
                    found
                        .texts
                        .iter()
                        .filter(|text| has_one(places, &text.place))
                        .map(|text| &data[text.place.clone()]),
                );
            });
            edits.extend(places.iter().map(|(_, place)| (place.clone(), "***")));
            texts.of(data, |found| {
                let equal = found.texts.iter().filter(|text| {
                    with_piece.contains(&data[text.place.clone()]) && !has_one(places, &text.place)
                });
                edits.extend(equal.map(|text| (text.place.clone(), "***")));
            });
        }
    }
    texts.integers(data, |place| edits.push((place, "0")));
    edits.sort_by_key(|(place, _)| place.start);
    let mut blanked = Vec::with_capacity(data.len());
    let mut done = 0;
    for (place, with) in edits {
        blanked.extend_from_slice(&data[done..place.start]);
        // No longer than it was.
        blanked.extend_from_slice(&with.as_bytes()[..with.len().min(place.len())]);
        done = place.end;
    }
    blanked.extend_from_slice(&data[done..]);
    Some(blanked)
}

/// Whether one of the places, in ascending order, is within a text.
fn has_one(places: &[(usize, Range<usize>)], text: &Range<usize>) -> bool {
    let next = places.partition_point(|(_, place)| place.end <= text.start);
    places
        .get(next)
        .is_some_and(|(_, place)| place.start < text.end)
}

#[cfg(test)]
mod tests;
