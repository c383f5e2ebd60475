//! The content of a message: a text, or parts of which some are reasoning.

use super::Text;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The texts of a content. Mistral's models put what they think into parts of it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Content<'a> {
    pub(super) text: Text<'a>,
    pub(super) reasoning: Text<'a>,
}

impl<'a> Content<'a> {
    fn of_text(text: impl Into<Cow<'a, str>>) -> Self {
        Self {
            text: Text(text.into()),
            ..Self::default()
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or the parts of one")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Content::of_text(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Content::of_text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut all = Content::default();
        while let Some(part) = seq.next_element::<Content<'de>>()? {
            all.text.0 += part.text.0;
            all.reasoning.0 += part.reasoning.0;
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = Content::default();
        let mut is_reasoning = false;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "text" | "refusal" | "summary" | "content" => {
                    let Text(part) = map.next_value()?;
                    all.text.0 += part;
                }
                "thinking" | "reasoning" => {
                    let Text(part) = map.next_value()?;
                    all.reasoning.0 += part;
                }
                "type" => {
                    let kind: Text<'_> = map.next_value()?;
                    is_reasoning = matches!(kind.as_str(), "thinking" | "reasoning");
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if is_reasoning {
            all.reasoning.0 += std::mem::take(&mut all.text.0);
        }
        Ok(all)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Content::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Content::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Content::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Content::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Content::default())
    }
}
