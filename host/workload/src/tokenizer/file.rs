//! What the file of a tokenizer says of how it reads a text, as far as memory depends on it: how much longer its normalizer
//! makes a text, and whether a text may be read in pieces.

use serde::Deserialize;
use serde_json::Value;

/// So much longer a normalizer may make a text at most. Those of real ones put a sign of three bytes for a space.
const MOST_GROWTH: usize = 1024;

/// The longest text, in bytes, that may be put before each text or in place of each unknown one.
const LONGEST_ADDED: usize = 1 << 10;

/// A piece has so many bytes at least, but for the last.
const PIECE_BYTES: usize = 64 << 10;

/// Expressions that split a text, as files have them: of Llama 3 and of Qwen 2 and 3. That of GPT-2 is a part of the
/// pre-tokenizer `ByteLevel`. In each of them, no alternative goes from a letter to a space, or looks behind itself, or beyond
/// what is no space behind a space.
const KNOWN_EXPRESSIONS: [&str; 2] = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    model: Model,
}

#[derive(Deserialize)]
struct AddedToken {
    #[serde(default)]
    content: String,
    #[serde(default)]
    rstrip: bool,
}

#[derive(Default, Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    dropout: Option<f64>,
    unk_token: Option<String>,
}

/// What memory depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// How many bytes the normalizer makes of one at most, about.
    pub(super) growth: usize,
    /// Whether a text may be read in [`pieces`].
    in_pieces: bool,
}

impl Shape {
    /// That of a file. What is no file of a tokenizer has the smallest one: the library says what is wrong with it.
    ///
    /// # Errors
    /// Where the file would have short texts take any memory.
    pub(super) fn of(json: &[u8]) -> Result<Self, String> {
        let Ok(file) = serde_json::from_slice::<File>(json) else {
            return Ok(Self {
                growth: 1,
                in_pieces: false,
            });
        };
        let growth = growth_of(&file.normalizer);
        if growth > MOST_GROWTH {
            return Err(format!(
                "its normalizer can make a text more than {MOST_GROWTH} times longer"
            ));
        }
        let unknown = file.model.unk_token.as_deref().unwrap_or_default();
        if longest_prepended(&file.normalizer).max(unknown.len()) > LONGEST_ADDED {
            return Err(format!(
                "what it puts before each text, or in place of what it does not know, is longer than {LONGEST_ADDED} bytes"
            ));
        }
        Ok(Self {
            growth,
            in_pieces: is_known(&file),
        })
    }

    /// The text in parts whose tokens, one after another, are those of the text.
    pub(super) fn pieces<'a>(&self, text: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        let least = if self.in_pieces {
            PIECE_BYTES
        } else {
            text.len()
        };
        let mut rest = Some(text);
        std::iter::from_fn(move || {
            let text = rest.take()?;
            match end_of_piece(text, least) {
                None => Some(text),
                Some(end) => {
                    let (piece, others) = text.split_at(end);
                    rest = Some(others);
                    Some(piece)
                }
            }
        })
    }
}

/// Where a piece of `least` bytes or more may end: between two words of Latin letters, before the space.
fn end_of_piece(text: &str, least: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let behind = bytes.get(least.max(1) - 1..)?;
    let between_words = |bytes: &[u8]| {
        bytes[0].is_ascii_alphabetic() && bytes[1] == b' ' && bytes[2].is_ascii_alphabetic()
    };
    let letter = behind.windows(3).position(between_words)?;
    Some(least.max(1) + letter)
}

/// Whether the tokens of a text never depend on what is beyond a single space between two Latin letters: nothing normalizes
/// across it, the text is split before it, each part is read by itself, and no token that was added reaches across it.
fn is_known(file: &File) -> bool {
    let kind = |value: &Value| value["type"].as_str().unwrap_or_default().to_owned();
    let is_normalizer = file.normalizer.is_null() || kind(&file.normalizer) == "NFC";
    let of_bytes = |value: &Value, with_expression: bool| {
        kind(value) == "ByteLevel"
            && value["use_regex"].as_bool().unwrap_or(true) == with_expression
    };
    let is_split = |value: &Value| {
        let expression = value["pattern"]["Regex"].as_str();
        kind(value) == "Split"
            && value["behavior"] == "Isolated"
            && value["invert"] == false
            && expression.is_some_and(|known| KNOWN_EXPRESSIONS.contains(&known))
    };
    let before = &file.pre_tokenizer;
    let is_pre_tokenizer = of_bytes(before, true)
        || match before["pretokenizers"].as_array().map(Vec::as_slice) {
            Some([split, bytes]) => {
                kind(before) == "Sequence" && is_split(split) && of_bytes(bytes, false)
            }
            _ => false,
        };
    let is_model = file.model.kind.as_deref() == Some("BPE")
        && file.model.dropout.is_none_or(|dropout| dropout == 0.0);
    let reaches_across = |token: &AddedToken| {
        token.content.is_empty()
            || token.content.contains(char::is_whitespace)
            || (token.rstrip
                && token
                    .content
                    .ends_with(|last: char| last.is_ascii_alphabetic()))
    };
    is_normalizer && is_pre_tokenizer && is_model && !file.added_tokens.iter().any(reaches_across)
}

/// How many bytes a normalizer makes of one at most, about.
fn growth_of(normalizer: &Value) -> usize {
    let content = normalizer["content"].as_str().unwrap_or_default().len();
    match normalizer["type"].as_str() {
        Some("Sequence") => members(normalizer)
            .iter()
            .map(growth_of)
            .fold(1, usize::saturating_mul),
        Some("Replace") => {
            let pattern = &normalizer["pattern"];
            match (pattern["String"].as_str(), pattern["Regex"].as_str()) {
                (Some(""), _) => content + 1,
                (Some(text), _) => content.div_ceil(text.len()).max(1),
                // One that may match nothing does so before each character.
                (None, Some(expression)) if may_be_empty(expression) => content + 1,
                _ => content.max(1),
            }
        }
        _ => 1,
    }
}

/// Whether an expression may match an empty text; some that cannot are taken for those that may.
fn may_be_empty(expression: &str) -> bool {
    let cannot = [r"\s+", " {2,}", r"\s{2,}"].contains(&expression);
    let may =
        expression.is_empty() || expression.contains(['*', '?', '|', '(', '{', '^', '$', '\\']);
    may && !cannot
}

fn longest_prepended(normalizer: &Value) -> usize {
    let own = normalizer["prepend"].as_str().unwrap_or_default().len();
    let of_members = members(normalizer).iter().map(longest_prepended).max();
    own.max(of_members.unwrap_or_default())
}

fn members(sequence: &Value) -> &[Value] {
    sequence["normalizers"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shape(normalizer: Value) -> Result<Shape, String> {
        Shape::of(&serde_json::to_vec(&json!({"normalizer": normalizer})).unwrap())
    }

    fn replace(pattern: Value, content: &str) -> Value {
        json!({"type": "Replace", "pattern": pattern, "content": content})
    }

    #[test]
    fn normalizers_that_let_a_text_grow_without_bound_are_refused() {
        let space = replace(json!({"String": " "}), "\u{2581}");
        let spaces = replace(json!({"Regex": " {2,}"}), "\u{2581}");
        let known = json!({"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u{2581}"}, space, spaces, {"type": "NFKC"}
        ]});
        assert_eq!(shape(known).unwrap().growth, 9);
        let long = replace(json!({"String": "l"}), &"x".repeat(2000));
        let thirty = replace(json!({"String": "x"}), &"x".repeat(30));
        let steps = json!({"type": "Sequence", "normalizers": [thirty, thirty, thirty]});
        let anywhere = replace(json!({"Regex": "a*"}), &"x".repeat(1024));
        for grows in [long, steps, anywhere] {
            let error = shape(grows).unwrap_err();
            assert!(error.contains("times longer"), "{error}");
        }
        let prepended = json!({"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "a".repeat(5000)}
        ]});
        assert!(shape(prepended).unwrap_err().contains("longer than"));
    }

    #[test]
    fn pieces_end_before_a_single_space_between_latin_letters() {
        let words = "one two 3 four  five\nsix seven, éa b ".repeat(20_000);
        let in_pieces = Shape {
            growth: 1,
            in_pieces: true,
        };
        let pieces: Vec<&str> = in_pieces.pieces(&words).collect();
        assert!(pieces.len() > 5);
        assert_eq!(pieces.concat(), words);
        for pair in pieces.windows(2) {
            assert!(pair[0].ends_with(|last: char| last.is_ascii_alphabetic()));
            assert!(pair[0].len() >= PIECE_BYTES && pair[0].len() < PIECE_BYTES + 100);
            let mut begin = pair[1].chars();
            assert_eq!(begin.next(), Some(' '));
            assert!(begin.next().unwrap().is_ascii_alphabetic());
        }
        let whole = Shape {
            growth: 1,
            in_pieces: false,
        };
        for (shape, text) in [
            (whole, &words[..]),
            (in_pieces, ""),
            (whole, ""),
            (in_pieces, &"é".repeat(99_999)),
        ] {
            assert_eq!(shape.pieces(text).collect::<Vec<_>>(), [text]);
        }
    }

    #[test]
    fn only_tokenizers_that_are_known_read_in_pieces() {
        let of = |change: fn(&mut Value)| {
            let mut file = json!({
                "normalizer": {"type": "NFC"},
                "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": KNOWN_EXPRESSIONS[1]}, "behavior": "Isolated", "invert": false},
                    {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}
                ]},
                "added_tokens": [{"id": 1, "content": "<|end|>", "rstrip": true}, {"id": 2, "content": "end", "rstrip": false}],
                "model": {"type": "BPE", "vocab": {}, "merges": []}
            });
            change(&mut file);
            Shape::of(&serde_json::to_vec(&file).unwrap())
                .unwrap()
                .in_pieces
        };
        assert!(of(|_| {}));
        assert!(of(
            |file| file["pre_tokenizer"] = json!({"type": "ByteLevel"})
        ));
        for change in [
            (|file| file["normalizer"] = json!({"type": "NFKC"})) as fn(&mut Value),
            |file| file["pre_tokenizer"] = Value::Null,
            |file| file["pre_tokenizer"] = json!({"type": "Metaspace"}),
            |file| {
                file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = json!(r"\w+ \w+")
            },
            |file| file["pre_tokenizer"]["pretokenizers"][0]["behavior"] = json!("Removed"),
            |file| file["added_tokens"][0]["content"] = json!("of the"),
            |file| file["added_tokens"][1]["rstrip"] = json!(true),
            |file| file["model"]["type"] = json!("Unigram"),
            |file| file["model"]["dropout"] = json!(0.1),
        ] {
            assert!(!of(change));
        }
    }
}
