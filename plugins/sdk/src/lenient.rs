//! JSON read leniently: where a value is of another type than it should be, there is nothing. Servers write
//! `null`, `[]`, `{}`, `""` or 0 where they have nothing to say, and no answer is worse for that.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// An object, or nothing where anything else stands in its place.
#[derive(Debug, PartialEq)]
pub(crate) struct Object<T>(Option<T>);

impl<T> Object<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// The objects of a list; nothing where something else than a list stands in its place.
#[derive(Debug, PartialEq)]
pub(crate) struct List<T>(Vec<T>);

impl<T> List<T> {
    pub(crate) fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// What stands for nothing in a visitor, whatever simple value it is.
macro_rules! simple_values_are {
    ($nothing:expr) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| Object(Some(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Object(None))
    }

    simple_values_are!(Object(None));
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Object(element)) = seq.next_element::<Object<T>>()? {
            all.extend(element);
        }
        Ok(List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(List(Vec::new()))
    }

    simple_values_are!(List(Vec::new()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct One {
        a: u8,
    }

    #[test]
    fn what_has_another_type_is_nothing() {
        for other in ["null", "[]", "[1]", "\"\"", "0", "-1", "1.5", "true"] {
            let object: Object<One> = serde_json::from_str(other).expect("valid JSON");
            assert_eq!(object.get(), None, "{other}");
        }
        for other in [
            "null",
            "{}",
            r#"{"a":1}"#,
            "\"\"",
            "0",
            "true",
            "[null,0,\"\"]",
        ] {
            let list: List<One> = serde_json::from_str(other).expect("valid JSON");
            assert_eq!(list.as_slice(), [], "{other}");
        }
        let list: List<One> = serde_json::from_str(r#"[{"a":1},null,{"a":2}]"#).expect("valid");
        assert_eq!(list.as_slice(), [One { a: 1 }, One { a: 2 }]);
    }
}
