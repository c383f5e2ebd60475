//! Groups of the plan in a document, and how those of two runs are compared.

use crate::wording::one_line;
use serde::Serialize;
use serde_json::Value;

/// Something that differs between the plans of two runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The flag and both values, as a person reads them.
    pub text: String,
    /// Whether figures of the two runs cannot be compared for it: another thing was asked of the server.
    pub other_work: bool,
}

/// Defines a group: its members, and for each how it is compared and under which name. A member without that does not
/// compile.
macro_rules! group {
    (
        $(#[$about:meta])*
        pub struct $name:ident {
            $( $(#[$of_member:meta])* $member:ident: $type:ty => $compared:ident($words:literal), )*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $( $(#[$of_member])* pub $member: $type, )*
        }

        impl $name {
            /// What differs between this and another one, in the order of the members.
            pub(super) fn differences(
                &self,
                other: &Self,
            ) -> Vec<$crate::document::plan::group::Difference> {
                let mut found = Vec::new();
                $( found.extend($compared($words, &self.$member, &other.$member)); )*
                found
            }
        }
    };
}

pub(super) use group;

/// For a member without which figures mean something else: where it differs, runs cannot be compared.
pub(super) fn is_work<T: PartialEq + Serialize>(
    name: &str,
    before: &T,
    after: &T,
) -> Option<Difference> {
    Some(Difference {
        other_work: true,
        ..is_told(name, before, after)?
    })
}

/// For a member that is what one compares, or that changes how well figures are known and not what they are: a
/// difference is told.
pub(super) fn is_told<T: PartialEq + Serialize>(
    name: &str,
    before: &T,
    after: &T,
) -> Option<Difference> {
    (before != after).then(|| Difference {
        text: format!("{name}: {} and {}", short(before), short(after)),
        other_work: false,
    })
}

/// For a member that says which of several equal things it is.
pub(super) fn is_no_difference<T>(_: &str, _: &T, _: &T) -> Option<Difference> {
    None
}

/// A value in a few characters.
fn short(value: &impl Serialize) -> String {
    match serde_json::to_value(value).unwrap_or_default() {
        Value::Null => "none".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::String(text) => cut(&text),
        other => cut(&other.to_string()),
    }
}

/// The beginning of a text, on one line.
pub(super) fn cut(text: &str) -> String {
    one_line(text, 60)
}
