//! Counting the words of a prompt without keeping it.
//!
//! A server for tests has no tokenizer. It takes each word between white space for a token, which a
//! test can count as well.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The words of a prompt in any of the shapes that the interfaces know: a text, a list of texts, a list of
/// token numbers (one word each), a list of messages whose `content` is a text or a list of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Prompt {
    /// How many words there are in all.
    pub(super) words: u64,
    /// How many things are on the outermost list; 1 for a text alone.
    pub(super) items: u64,
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Count)
    }
}

fn words(text: &str) -> u64 {
    // Most prompts are ASCII, for which the simpler search is several times as fast.
    let count = if text.is_ascii() {
        text.split_ascii_whitespace().count()
    } else {
        text.split_whitespace().count()
    };
    count as u64
}

struct Count;

impl<'de> Visitor<'de> for Count {
    type Value = Prompt;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a list of texts or a list of messages")
    }

    fn visit_str<E>(self, text: &str) -> Result<Prompt, E> {
        let words = words(text);
        Ok(Prompt { words, items: 1 })
    }

    fn visit_u64<E>(self, _token: u64) -> Result<Prompt, E> {
        Ok(Prompt { words: 1, items: 1 })
    }

    fn visit_unit<E>(self) -> Result<Prompt, E> {
        Ok(Prompt::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Prompt, A::Error> {
        let mut sum = Prompt::default();
        while let Some(item) = list.next_element::<Prompt>()? {
            sum.words += item.words;
            sum.items += 1;
        }
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Prompt, A::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Key {
            Content,
            Text,
            #[serde(other)]
            Other,
        }
        let mut sum = Prompt { words: 0, items: 1 };
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Content | Key::Text => sum.words += map.next_value::<Prompt>()?.words,
                Key::Other => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(json: &str) -> Option<(u64, u64)> {
        let prompt: Option<Prompt> = serde_json::from_str(json).ok();
        prompt.map(|prompt| (prompt.words, prompt.items))
    }

    #[test]
    fn every_shape_of_a_prompt_is_counted() {
        assert_eq!(count(r#""one two\n three""#), Some((3, 1)));
        assert_eq!(count("\"\u{e9}t\u{e9} \u{3000}deux\""), Some((2, 1)));
        assert_eq!(count(r#"["one two", "three"]"#), Some((3, 2)));
        assert_eq!(count("[101, 102, 103]"), Some((3, 3)));
        assert_eq!(count("[]"), Some((0, 0)));
        let messages = r#"[{"role": "system", "content": "be brief"},
            {"role": "user", "name": {"content": "no"}, "content": [{"type": "text", "text": "hi there"}, {"type": "image_url"}]},
            {"role": "assistant", "content": null}]"#;
        assert_eq!(count(messages), Some((4, 3)));
    }

    #[test]
    fn what_is_no_prompt_is_an_error() {
        assert_eq!(count("true"), None);
        assert_eq!(count("[{\"content\": false}]"), None);
        assert_eq!(count("\"open"), None);
    }
}
