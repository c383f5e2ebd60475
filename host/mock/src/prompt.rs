//! The prompt of a request, in any of the forms that APIs know, borrowed from its body.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A piece of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part<'a> {
    /// A message of this role begins.
    Message(Cow<'a, str>),
    /// Text.
    Text(Cow<'a, str>),
    /// Numbers of tokens.
    Ids(Vec<u64>),
    /// So many tokens that are no text.
    Other(u64),
}

/// What a model would read for one answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Prompt<'a> {
    pub(super) parts: Vec<Part<'a>>,
}

impl<'a> Prompt<'a> {
    /// A prompt of a text alone.
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self {
            parts: vec![Part::Text(text.into())],
        }
    }

    /// Adds a message.
    pub(super) fn add(&mut self, role: &'static str, message: Prompt<'a>) {
        self.parts.push(Part::Message(role.into()));
        self.parts.extend(message.parts);
    }

    /// Whether it has messages.
    pub(super) fn is_conversation(&self) -> bool {
        let mut parts = self.parts.iter();
        parts.any(|part| matches!(part, Part::Message(_)))
    }

    /// The same as the content of one message.
    pub(super) fn without_messages(mut self) -> Self {
        self.parts.retain(|part| !matches!(part, Part::Message(_)));
        self
    }

    /// The first `most` characters of its text.
    pub(super) fn head(&self, most: usize) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_ref()),
            _ => None,
        });
        texts.flat_map(str::chars).take(most).collect()
    }

    /// Its text; of numbers, those with spaces between.
    pub(super) fn plain(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(more) => text.push_str(more),
                Part::Ids(ids) => {
                    let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
                    text.push_str(&ids.join(" "));
                }
                Part::Message(_) | Part::Other(_) => {}
            }
        }
        text
    }
}

/// A conversation: a text, or a list of messages, each with a `role` and a `content` (or `text`, `parts`, `output`) that is
/// a text or a list of parts. A list of texts or of numbers is taken for the content of one message.
impl<'de: 'a, 'a> Deserialize<'de> for Prompt<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut prompt = Self::default();
        let fill = Fill {
            prompt: &mut prompt,
            in_message: false,
        };
        fill.deserialize(deserializer)?;
        Ok(prompt)
    }
}

struct Fill<'p, 'a> {
    prompt: &'p mut Prompt<'a>,
    in_message: bool,
}

impl<'de: 'a, 'a> DeserializeSeed<'de> for Fill<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Key {
    Role,
    Content,
    Text,
    Parts,
    Output,
    #[serde(other)]
    Other,
}

impl<'de: 'a, 'a> Visitor<'de> for Fill<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a list of texts or a list of messages")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.prompt.parts.push(Part::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.prompt
            .parts
            .push(Part::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_u64<E>(self, token: u64) -> Result<(), E> {
        match self.prompt.parts.last_mut() {
            Some(Part::Ids(ids)) => ids.push(token),
            _ => self.prompt.parts.push(Part::Ids(vec![token])),
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        loop {
            let item = Fill {
                prompt: self.prompt,
                in_message: self.in_message,
            };
            if list.next_element_seed(item)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let begin = self.prompt.parts.len();
        if !self.in_message {
            self.prompt.parts.push(Part::Message(Cow::Borrowed("")));
        }
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                // The role may come after the content.
                Key::Role if !self.in_message => {
                    let role = map.next_value::<Text<'a>>()?;
                    self.prompt.parts[begin] = Part::Message(role.0);
                }
                Key::Content | Key::Text | Key::Parts | Key::Output => {
                    map.next_value_seed(Fill {
                        prompt: self.prompt,
                        in_message: true,
                    })?;
                }
                Key::Role | Key::Other => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

/// A text, borrowed where it has no escapes.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// One prompt or several: a text, a list of texts, a list of numbers, a list of lists of numbers, or a list of objects
/// with a `text`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Prompts<'a>(pub(super) Vec<Prompt<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Prompts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for One<'a> {
            type Value = Prompts<'a>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text, a list of texts or lists of token numbers")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Prompts<'a>, E> {
                Ok(Prompts(vec![Prompt::text(text)]))
            }

            fn visit_str<E>(self, text: &str) -> Result<Prompts<'a>, E> {
                Ok(Prompts(vec![Prompt::text(text.to_owned())]))
            }

            fn visit_unit<E>(self) -> Result<Prompts<'a>, E> {
                Ok(Prompts::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Prompts<'a>, A::Error> {
                let (mut prompts, mut is_numbers) = (Vec::new(), false);
                loop {
                    let item = Item {
                        prompts: &mut prompts,
                        is_numbers: &mut is_numbers,
                    };
                    if list.next_element_seed(item)?.is_none() {
                        return Ok(Prompts(prompts));
                    }
                }
            }
        }
        deserializer.deserialize_any(One(PhantomData))
    }
}

/// An item of a list of prompts.
struct Item<'p, 'a> {
    prompts: &'p mut Vec<Prompt<'a>>,
    /// Whether the list is one of numbers, and so a single prompt.
    is_numbers: &'p mut bool,
}

impl<'a> Item<'_, 'a> {
    fn push<E: Error>(self, prompt: Prompt<'a>) -> Result<(), E> {
        if *self.is_numbers {
            return Err(E::custom("token numbers and other prompts are mixed"));
        }
        self.prompts.push(prompt);
        Ok(())
    }
}

impl<'de: 'a, 'a> DeserializeSeed<'de> for Item<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Item<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a token number or a list of them")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        self.push(Prompt::text(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.push(Prompt::text(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, token: u64) -> Result<(), E> {
        if self.prompts.is_empty() {
            *self.is_numbers = true;
            let parts = vec![Part::Ids(Vec::new())];
            self.prompts.push(Prompt { parts });
        }
        let first = self.prompts.first_mut();
        match first.and_then(|prompt| prompt.parts.first_mut()) {
            Some(Part::Ids(ids)) if *self.is_numbers => {
                ids.push(token);
                Ok(())
            }
            _ => Err(E::custom("token numbers and other prompts are mixed")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut ids = Vec::new();
        while let Some(id) = list.next_element::<u64>()? {
            ids.push(id);
        }
        let parts = vec![Part::Ids(ids)];
        self.push(Prompt { parts })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let mut prompt = Prompt::default();
        let fill = Fill {
            prompt: &mut prompt,
            in_message: true,
        };
        fill.visit_map(map)?;
        self.push(prompt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::count_prompt;

    /// Tokens and messages.
    fn conversation(json: &str) -> Option<(u64, usize)> {
        let prompt: Prompt<'_> = serde_json::from_str(json).ok()?;
        let is_message = |part: &&Part<'_>| matches!(part, Part::Message(_));
        let messages = prompt.parts.iter().filter(is_message).count();
        Some((count_prompt(&prompt, 0), messages))
    }

    #[test]
    fn every_form_of_a_conversation_is_read() {
        assert_eq!(conversation(r#""one two\n three""#), Some((3, 0)));
        assert_eq!(conversation("[101, 102, 103]"), Some((3, 0)));
        assert_eq!(conversation("[]"), Some((0, 0)));
        let messages = r#"[{"role": "system", "content": "be brief"},
            {"name": {"content": "no"}, "content": [{"type": "text", "text": "hi there"}, {"type": "image_url"}], "role": "user"},
            {"role": "assistant", "content": null}]"#;
        assert_eq!(conversation(messages), Some((4, 3)));
        let prompt: Option<Prompt<'_>> = serde_json::from_str(messages).ok();
        let roles: Vec<String> = prompt
            .iter()
            .flat_map(|prompt| &prompt.parts)
            .filter_map(|part| match part {
                Part::Message(role) => Some(role.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(roles, ["system", "user", "assistant"]);
        let gemini = r#"[{"role": "user", "parts": [{"text": "one \"two\""}, {"text": "three"}]}]"#;
        assert_eq!(conversation(gemini), Some((5, 1)));
        let results = r#"[{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "a b"}]}]}]"#;
        assert_eq!(conversation(results), Some((2, 1)));
    }

    #[test]
    fn what_is_no_prompt_is_an_error() {
        for wrong in ["true", "[{\"content\": false}]", "\"open"] {
            assert_eq!(conversation(wrong), None);
            assert!(serde_json::from_str::<Prompts<'_>>(wrong).is_err());
        }
        for wrong in ["[1, \"a\"]", "[\"a\", 1]", "[[1], 2]", "[[\"a\"]]"] {
            assert!(
                serde_json::from_str::<Prompts<'_>>(wrong).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn several_prompts_are_told_apart() {
        let read = |json: &str| -> Vec<u64> {
            let prompts: Option<Prompts<'_>> = serde_json::from_str(json).ok();
            let prompts = prompts.map(|prompts| prompts.0).unwrap_or_default();
            let count = prompts.iter().map(|prompt| count_prompt(prompt, 0));
            count.collect()
        };
        assert_eq!(read(r#""one two""#), [2]);
        assert_eq!(read(r#"["one two", "th\u0072ee"]"#), [2, 1]);
        assert_eq!(read("[5, 6, 7]"), [3]);
        assert_eq!(read("[[5, 6], [7]]"), [2, 1]);
        assert_eq!(read(r#"[{"text": "a b c"}, "d"]"#), [3, 1]);
        assert!(read("[]").is_empty());
        assert!(read("null").is_empty());
    }

    #[test]
    fn the_text_of_a_prompt_can_be_had() {
        let prompt: Option<Prompt<'_>> = serde_json::from_str(r#"["ab", [1, 2]]"#).ok();
        assert_eq!(
            prompt.map(|prompt| prompt.plain()),
            Some("ab1 2".to_owned())
        );
    }
}
