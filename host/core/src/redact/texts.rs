//! The texts and the integers of an event, wherever they stand in its JSON: broken JSON and what is none have them too.

use memchr::memchr2;
use std::ops::Range;

/// Objects and lists within each other that are told apart. What is deeper counts as what is there.
const DEEPEST: usize = 64;

/// What is told of an event at once.
const AT_ONCE: usize = 16 << 10;

/// Members that say to which of several answers an event belongs.
const INDICES: [&[u8]; 3] = [b"index", b"output_index", b"content_index"];

/// A text as it stands in an event, with its escapes and without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// Its place within the event.
    pub(super) place: Range<usize>,
    /// The same for texts under the same names.
    pub(super) path: u64,
    /// Its positions in the lists around it. 0: it is the first in each.
    pub(super) positions: u64,
}

/// What is found in an event. Its memory is used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Texts {
    frames: Vec<Frame>,
    deeper: usize,
    texts: Vec<Text>,
}

/// What is found of an event at once.
pub(super) struct Found<'a> {
    pub(super) texts: &'a [Text],
    /// Which of several answers the event brings. 0: the first.
    pub(super) answer: u64,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    is_list: bool,
    path: u64,
    positions: u64,
    /// The place in the list.
    at: u64,
}

impl Frame {
    /// Around all of an event.
    const WHOLE: Self = Self {
        is_list: false,
        path: 1,
        positions: 0,
        at: 0,
    };
}

impl Texts {
    /// Hands over the texts of an event in their order, many at once.
    pub(super) fn of(&mut self, data: &[u8], mut take: impl FnMut(Found<'_>)) {
        self.read(data, &mut take, &mut |_| {});
    }

    /// Hands over the places of integers that may stand for text too: those in lists, and ids.
    pub(super) fn integers(&mut self, data: &[u8], mut take: impl FnMut(Range<usize>)) {
        self.read(data, &mut |_| {}, &mut take);
    }

    fn read(
        &mut self,
        data: &[u8],
        take: &mut impl FnMut(Found<'_>),
        take_integer: &mut impl FnMut(Range<usize>),
    ) {
        self.frames.clear();
        self.deeper = 0;
        self.texts.clear();
        let mut answer = 0;
        let begins = data.iter().position(|byte| !byte.is_ascii_whitespace());
        let Some(first) = begins else {
            return;
        };
        if !matches!(data[first], b'{' | b'[' | b'"') {
            let whole = Text {
                place: 0..data.len(),
                path: 0,
                positions: 0,
            };
            take(Found {
                texts: &[whole],
                answer,
            });
            return;
        }
        let mut at = first;
        let mut name: &[u8] = &[];
        while let Some(byte) = data.get(at) {
            at += 1;
            match byte {
                b'"' => {
                    let begin = at;
                    let end = end_of_text(data, begin);
                    at = (end + 1).min(data.len());
                    let behind = data[at..].iter().find(|byte| !byte.is_ascii_whitespace());
                    if behind == Some(&b':') {
                        name = &data[begin..end];
                    } else if end > begin {
                        self.push(begin..end, name);
                        if self.texts.len() >= AT_ONCE {
                            take(Found {
                                texts: &self.texts,
                                answer,
                            });
                            self.texts.clear();
                        }
                    }
                }
                b'{' | b'[' => {
                    self.enter(*byte == b'[', name);
                    name = &[];
                }
                b'}' | b']' => {
                    name = &[];
                    match self.deeper {
                        0 => drop(self.frames.pop()),
                        _ => self.deeper -= 1,
                    }
                }
                b',' => {
                    name = &[];
                    if let Some(frame) = self.frames.last_mut()
                        && frame.is_list
                        && self.deeper == 0
                    {
                        frame.at += 1;
                    }
                }
                b'0'..=b'9' => {
                    let begin = at - 1;
                    let digits = data[at..]
                        .iter()
                        .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'.');
                    at = digits.map_or(data.len(), |digits| at + digits);
                    if !data[begin..at].iter().all(u8::is_ascii_digit) {
                        continue;
                    }
                    if INDICES.contains(&name) {
                        answer = hash(
                            answer,
                            data[begin..at]
                                .strip_prefix(b"0")
                                .unwrap_or(&data[begin..at]),
                        );
                    }
                    let is_id = matches!(name, b"id" | b"token_id");
                    if is_id || self.frames.last().is_some_and(|frame| frame.is_list) {
                        take_integer(begin..at);
                    }
                }
                _ => {}
            }
        }
        if !self.texts.is_empty() {
            take(Found {
                texts: &self.texts,
                answer,
            });
        }
    }

    fn top(&self) -> Frame {
        self.frames.last().copied().unwrap_or(Frame::WHOLE)
    }

    fn push(&mut self, place: Range<usize>, name: &[u8]) {
        let top = self.top();
        self.texts.push(Text {
            place,
            path: hash(top.path, name),
            positions: positions(top),
        });
    }

    fn enter(&mut self, is_list: bool, name: &[u8]) {
        if self.frames.len() >= DEEPEST {
            self.deeper += 1;
            return;
        }
        let top = self.top();
        self.frames.push(Frame {
            is_list,
            path: hash(top.path, name),
            positions: positions(top),
            at: 0,
        });
    }
}

/// The positions of what stands in a frame now.
fn positions(frame: Frame) -> u64 {
    match frame.at {
        0 => frame.positions,
        at => mixed(frame.positions ^ at),
    }
}

/// Where a text ends that begins here: at its quote, or with the data.
fn end_of_text(data: &[u8], begin: usize) -> usize {
    let mut at = begin;
    while let Some(found) = memchr2(b'"', b'\\', &data[at.min(data.len())..]) {
        if data[at + found] == b'"' {
            return at + found;
        }
        at += found + 2;
    }
    data.len()
}

/// Bytes in a number, on top of others. No bytes change nothing.
fn hash(before: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(before, |hash, byte| mixed(hash ^ u64::from(*byte)))
}

fn mixed(number: u64) -> u64 {
    number.rotate_left(5).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(data: &str) -> Vec<(String, u64, u64)> {
        let mut found = Vec::new();
        Texts::default().of(data.as_bytes(), |part| {
            for text in part.texts {
                found.push((
                    data[text.place.clone()].to_owned(),
                    text.path,
                    text.positions,
                ));
            }
        });
        found
    }

    #[test]
    fn texts_are_found_in_anything() {
        for (data, expected) in [
            ("", vec![]),
            ("  ", vec![]),
            ("plain", vec!["plain"]),
            (r#""alone""#, vec!["alone"]),
            (
                r#"{"a": "x", "b" : ["y", "", {"c": "z\"\\"}]}"#,
                vec!["x", "y", "z\\\"\\\\"],
            ),
            (r#"{"a": "cut of"#, vec!["cut of"]),
            (r#"{"a": "cut \"#, vec!["cut \\"]),
            (r#"{"a": "#, vec![]),
            (r#"]}],"a""#, vec![r#"]}],"a""#]),
            (r#"{]}],"a""#, vec!["a"]),
        ] {
            let found: Vec<String> = texts(data).into_iter().map(|text| text.0).collect();
            assert_eq!(found, expected, "{data}");
        }
        let deep = format!("{}\"x\"{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(texts(&deep).len(), 1);
        let many = format!("[{}\"x\"]", "\"y\",".repeat(AT_ONCE));
        assert_eq!(texts(&many).len(), AT_ONCE + 1);
    }

    #[test]
    fn texts_under_the_same_names_have_one_path() {
        let found = texts(r#"{"c":[{"d":"x"},{"d":"y"}],"e":{"d":"z"}}"#);
        assert_eq!(found[0].1, found[1].1);
        assert_ne!(found[0].1, found[2].1);
        assert_eq!((found[0].2, found[2].2), (0, 0));
        assert_ne!(found[1].2, 0);
        let other = texts(r#"{"id":"1","c":[{"role":"r","d":"x"}]}"#);
        assert_eq!(found[0].1, other[2].1);
    }

    #[test]
    fn integers_that_may_be_text_are_found() {
        let data = r#"{"id":17,"created":1,"bytes":[115, 107],"at":[1.5,2e3],"x":{"id":4}}"#;
        let mut found = Vec::new();
        Texts::default().integers(data.as_bytes(), |place| found.push(&data[place]));
        assert_eq!(found, ["17", "115", "107", "4"]);
    }

    #[test]
    fn an_event_says_to_which_answer_it_belongs() {
        let answer = |data: &str| {
            let mut answer = None;
            Texts::default().of(data.as_bytes(), |found| answer = Some(found.answer));
            answer
        };
        assert_eq!(answer(r#"{"d":"x"}"#), Some(0));
        assert_eq!(answer(r#"{"index":0,"d":"x"}"#), Some(0));
        assert_ne!(answer(r#"{"d":"x","index":1}"#), Some(0));
        assert_eq!(
            answer(r#"{"d":"x","index":2}"#),
            answer(r#"{"index": 2,"d":"y"}"#)
        );
    }
}
