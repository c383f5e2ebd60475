//! The JSON Schema of the document.

use super::Document;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

/// The JSON Schema of a document as this version writes it: every member that is always written is required, and no
/// other one is known.
pub fn schema() -> Value {
    let generator: SchemaGenerator = SchemaSettings::draft2020_12().for_serialize().into();
    let mut schema = generator.into_root_schema_for::<Document>();
    schema.insert("$id".to_owned(), json!("urn:llmuses:results:1"));
    RecursiveTransform(|schema: &mut Schema| {
        if schema.get("properties").is_some() {
            schema.insert("additionalProperties".to_owned(), json!(false));
        }
    })
    .transform(&mut schema);
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use boon::{Compiler, Schemas};

    /// Where the schema is published.
    const FILE: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../render/src/results.schema.json"
    );

    /// What the first version of this program wrote, with its lists cut short.
    const FIRST: &str = include_str!("first_version.json");

    fn is_valid(document: &Value) {
        const NAME: &str = "urn:llmuses:results:1";
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource(NAME, schema()).unwrap();
        let index = compiler.compile(NAME, &mut schemas).unwrap();
        if let Err(error) = schemas.validate(document, index) {
            panic!("{error:#}");
        }
    }

    /// Fails where `whole` lacks something that `part` has.
    fn has_all(whole: &Value, part: &Value, at: &str) {
        match part {
            Value::Object(members) => {
                for (name, member) in members {
                    has_all(&whole[name], member, &format!("{at}/{name}"));
                }
            }
            Value::Array(items) => {
                assert_eq!(whole.as_array().map(Vec::len), Some(items.len()), "{at}");
                for (place, item) in items.iter().enumerate() {
                    has_all(&whole[place], item, &format!("{at}/{place}"));
                }
            }
            part => assert_eq!(whole, part, "{at}"),
        }
    }

    #[test]
    fn the_published_schema_is_that_of_the_types() {
        let text = format!("{:#}\n", schema());
        if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
            std::fs::write(FILE, &text).unwrap();
        }
        let published = std::fs::read_to_string(FILE).unwrap();
        assert!(
            published == text,
            "{FILE} is not that of the types: run this test with INSTA_UPDATE=always"
        );
    }

    #[test]
    fn a_document_of_the_first_version_is_read_and_nothing_of_it_is_lost() {
        let first: Value = serde_json::from_str(FIRST).unwrap();
        let read: Document = serde_json::from_str(FIRST).unwrap();
        let written = Document {
            runs: Document::of(read.runs.clone()).runs,
            ..read.clone()
        };
        let again = serde_json::to_value(&written).unwrap();
        has_all(&again, &first, "");
        // With the members that came later, which the schema requires of what is written now.
        is_valid(&again);
        let once_more: Document = serde_json::from_str(&read.to_json()).unwrap();
        assert_eq!(once_more, read);
    }
}
