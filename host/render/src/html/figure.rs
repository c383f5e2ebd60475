//! Parts of the document of results, and their numbers as they stand on a page: text with the digits of the
//! text report, and beside it the full value and the place in the document where it came from.

use crate::report::{UNKNOWN, fixed};
use askama::Template;
use serde_json::Value;

static NULL: Value = Value::Null;

/// A part of a document, and its place there as a JSON pointer.
#[derive(Debug, Clone)]
pub(super) struct Part<'a> {
    value: &'a Value,
    pointer: String,
}

impl<'a> Part<'a> {
    /// The whole of a document.
    pub(super) fn root(value: &'a Value) -> Self {
        Self {
            value,
            pointer: String::new(),
        }
    }

    /// A member, or a member of a member: names of our own, separated by `/`.
    pub(super) fn at(&self, path: &str) -> Self {
        path.split('/').fold(self.clone(), |part, name| {
            let value = part.value.get(name).unwrap_or(&NULL);
            Self {
                value,
                pointer: format!("{}/{name}", part.pointer),
            }
        })
    }

    /// The members of an object, whatever their names are, or none.
    pub(super) fn members(&self) -> Vec<(&'a str, Self)> {
        let Some(object) = self.value.as_object() else {
            return Vec::new();
        };
        object
            .iter()
            .map(|(name, value)| {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                let part = Self {
                    value,
                    pointer: format!("{}/{escaped}", self.pointer),
                };
                (name.as_str(), part)
            })
            .collect()
    }

    /// The items of a list, or none.
    pub(super) fn items(&self) -> Vec<Self> {
        let Some(items) = self.value.as_array() else {
            return Vec::new();
        };
        let item = |(index, value)| Self {
            value,
            pointer: format!("{}/{index}", self.pointer),
        };
        items.iter().enumerate().map(item).collect()
    }

    /// What stands there.
    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    /// The number that stands there.
    pub(super) fn number(&self) -> Option<f64> {
        self.value.as_f64()
    }

    /// The count that stands there; 0 for none.
    pub(super) fn count(&self) -> u64 {
        self.value.as_u64().unwrap_or_default()
    }

    /// The text that stands there; empty for none.
    pub(super) fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    /// The value with a text of its own.
    pub(super) fn shown(&self, text: String) -> Figure {
        Figure {
            value: self.value.to_string(),
            pointer: self.pointer.clone(),
            text,
            marked: false,
        }
    }

    /// The number, all its digits.
    pub(super) fn whole(&self) -> Figure {
        self.shown(match self.value {
            Value::Null => UNKNOWN.to_owned(),
            value => value.to_string(),
        })
    }

    /// The number with that many decimals.
    pub(super) fn fixed(&self, decimals: usize) -> Figure {
        self.shown(fixed(self.number(), decimals))
    }

    /// Seconds as milliseconds with that many decimals.
    pub(super) fn millis(&self, decimals: usize) -> Figure {
        self.shown(fixed(self.number().map(|seconds| seconds * 1e3), decimals))
    }
}

/// A number on a page.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = r#"<data value="{{ value }}" data-at="{{ pointer }}">{{ text }}</data>{% if marked %}<span class="mark">*</span>{% endif %}"#
)]
pub(super) struct Figure {
    value: String,
    pointer: String,
    text: String,
    marked: bool,
}

impl askama::filters::HtmlSafe for Figure {}

impl Figure {
    /// The same, with a mark where there were too few samples for it.
    pub(super) fn marked(self, marked: bool) -> Self {
        Self { marked, ..self }
    }

    /// Whether there were too few samples for it.
    pub(super) fn is_marked(&self) -> bool {
        self.marked
    }

    /// Whether the document has no value there.
    pub(super) fn is_unknown(&self) -> bool {
        self.text == UNKNOWN
    }

    /// What is read on the page.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_figure_knows_its_value_and_its_place() {
        let document = json!({ "a": { "b": [0.012_345_678, null] }, "x/y~<\"": 1 });
        let root = Part::root(&document);
        let items = root.at("a/b").items();
        assert_eq!(
            items[0].millis(3).marked(true).to_string(),
            "<data value=\"0.012345678\" data-at=\"/a/b/0\">12.346</data><span class=\"mark\">*</span>"
        );
        assert_eq!(items[1].fixed(3).text(), "n/a");
        assert_eq!(root.at("no/such").whole().text(), "n/a");
        let (_, odd) = &root.members()[1];
        let html = odd.whole().to_string();
        assert!(html.contains("data-at=\"/x~1y~0&#60;&#34;\""), "{html}");
        assert_eq!(document.pointer("/x~1y~0<\"").unwrap(), 1);
    }
}
