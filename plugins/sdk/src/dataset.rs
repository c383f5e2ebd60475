//! The data set, entry by entry. The host reads the file and hands it over in batches; here the batches
//! become an iterator again, and each entry gets the number under which a person finds it.

use crate::host::{Host, host};
use crate::json::{explain, from_str};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// Entries asked of the host at a time: enough to make the crossing cheap, few enough for long prompts.
const BATCH: u32 = 64;

/// Opens the data set as lines of text, from its beginning.
///
/// # Errors
/// Where the host cannot open it; the text is the host's. Natively there is no host, and always an error.
pub fn dataset_lines() -> Result<Entries, String> {
    Ok(Entries::new("line", (opened()?.lines)()?))
}

/// Opens the data set as one JSON array, from its beginning. Each item comes as JSON text.
///
/// # Errors
/// As [`dataset_lines`].
pub fn dataset_items() -> Result<Entries, String> {
    Ok(Entries::new("item", (opened()?.items)()?))
}

/// The host; natively there is none.
fn opened() -> Result<&'static Host, String> {
    host().ok_or_else(|| "there is no host that could open the data set".to_owned())
}

/// What gives entries in batches: one of the host's readers, or a list in a test.
pub(crate) trait Reader {
    /// At most `max` further entries; none at the end. An error stands for one entry.
    fn read(&mut self, max: u32) -> Result<Vec<String>, String>;
}

/// A list that is handed over whole.
struct List(Vec<String>);

impl Reader for List {
    fn read(&mut self, _max: u32) -> Result<Vec<String>, String> {
        Ok(std::mem::take(&mut self.0))
    }
}

/// The entries of a data set, in order. An entry that the host could not read is an error with the host's
/// own text; it is counted like any other, and the iterator goes on behind it.
pub struct Entries {
    reader: Box<dyn Reader>,
    batch: std::vec::IntoIter<String>,
    unit: &'static str,
    number: u64,
    ended: bool,
}

impl Entries {
    pub(crate) fn new(unit: &'static str, reader: Box<dyn Reader>) -> Self {
        Self {
            reader,
            batch: Vec::new().into_iter(),
            unit,
            number: 0,
            ended: false,
        }
    }

    /// Entries out of these lines instead of a file, for tests of a parser.
    pub fn from_lines<T: Into<String>>(lines: impl IntoIterator<Item = T>) -> Self {
        Self::new(
            "line",
            Box::new(List(lines.into_iter().map(Into::into).collect())),
        )
    }

    /// Entries out of these JSON texts, as if they were the items of an array, for tests of a parser.
    pub fn from_items<T: Into<String>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::new(
            "item",
            Box::new(List(items.into_iter().map(Into::into).collect())),
        )
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.batch.len() == 0 && !self.ended {
            match self.reader.read(BATCH) {
                Ok(batch) => {
                    self.ended = batch.is_empty();
                    self.batch = batch.into_iter();
                }
                Err(error) => {
                    self.number += 1;
                    return Some(Err(error));
                }
            }
        }
        let text = self.batch.next()?;
        self.number += 1;
        Some(Ok(Entry {
            text,
            unit: self.unit,
            number: self.number,
        }))
    }
}

/// One entry of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    text: String,
    unit: &'static str,
    number: u64,
}

impl Entry {
    /// Its number in the data set, from 1. Lines that are blank or could not be read count too.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The line without its end, or the JSON text of the item.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same, for keeps.
    pub fn into_text(self) -> String {
        self.text
    }

    /// The text of an error about this entry: `line 17: ` or `item 17: `, and the message.
    pub fn error(&self, message: impl fmt::Display) -> String {
        format!("{} {}: {message}", self.unit, self.number)
    }

    /// The string in the field `name` of the JSON object that this entry is. Other fields are passed over
    /// without being kept, however long they are. Of a field given twice, the last counts.
    ///
    /// # Errors
    /// Where the entry is not JSON (the text names the column), not an object, without the field, or where
    /// the field is not a string.
    pub fn string_field(&self, name: &str) -> Result<String, String> {
        let mut reader = serde_json::Deserializer::from_slice(self.text.as_bytes());
        let found = Field(name)
            .deserialize(&mut reader)
            .and_then(|found| reader.end().map(|()| found));
        match found.map_err(|error| self.explained(&error))? {
            Found::String(text) => Ok(text),
            Found::Nothing => Err(self.error(format_args!("no field \"{name}\""))),
            Found::Other => Err(self.error(format_args!("\"{name}\" is not a string"))),
            Found::NoObject => Err(self.error("not a JSON object")),
        }
    }

    /// The entry read as JSON into a type of the author's.
    ///
    /// # Errors
    /// Where it is not JSON, or not of that type; the text names the column.
    pub fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, String> {
        from_str(&self.text).map_err(|error| self.explained(&error))
    }

    fn explained(&self, error: &serde_json::Error) -> String {
        explain(
            &format!("{} {}", self.unit, self.number),
            self.text.as_bytes(),
            error,
        )
    }
}

/// What there is under the name of a field.
enum Found {
    String(String),
    Nothing,
    Other,
    NoObject,
}

/// Looks for one field of an object, and builds nothing out of the others.
struct Field<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = Found::Nothing;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == self.0 {
                found = match map.next_value()? {
                    Value::String(text) => Found::String(text),
                    _ => Found::Other,
                };
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Found, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::NoObject)
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found::NoObject)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found, E> {
        Ok(Found::NoObject)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::NoObject)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::NoObject)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::NoObject)
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::NoObject)
    }
}

#[cfg(test)]
mod tests;
