//! Texts to embed, and documents to rank.

use crate::record::{Members, begins_with};
use llmuses_plugin::{Conversation, Entry, Format, Head, Source, Value};

/// `query` with `documents`.
pub(crate) struct Rerank;

/// `texts`, or `input` of several.
pub(crate) struct Texts;

const DOCUMENTS: [&str; 3] = ["documents", "passages", "texts"];
const TEXTS: [&str; 2] = ["texts", "input"];

impl Format for Rerank {
    const NAME: &'static str = "documents";
    const DESCRIPTION: &'static str =
        "JSON lines or one JSON array with `query`, and `documents`, `passages` or `texts` to rank";
    const SOURCE: Source = Source::Json;

    fn recognises(head: &Head<'_>) -> bool {
        begins_with(head, ranking)
    }

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        let mut members: Members = entry.json()?;
        ranking(&mut members).map_err(|reason| entry.error(reason))
    }
}

impl Format for Texts {
    const NAME: &'static str = "texts";
    const DESCRIPTION: &'static str =
        "JSON lines or one JSON array with a list of texts in `texts` or `input`, to embed";
    const SOURCE: Source = Source::Json;

    fn recognises(head: &Head<'_>) -> bool {
        begins_with(head, texts)
    }

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        let mut members: Members = entry.json()?;
        texts(&mut members).map_err(|reason| entry.error(reason))
    }
}

fn ranking(members: &mut Members) -> Result<Conversation, String> {
    let query = match members.remove("query") {
        Some(Value::String(query)) => query,
        Some(_) => return Err("\"query\" is not a string".to_owned()),
        None => return Err("no field \"query\"".to_owned()),
    };
    let (name, documents) = found(members, &DOCUMENTS)?;
    let is_document = |document: &Value| document.is_string() || document.is_object();
    match documents {
        Value::Array(documents) if !documents.is_empty() && documents.iter().all(is_document) => {
            Ok(Conversation::default()
                .turn("query", query.into())
                .also("documents", Value::Array(documents)))
        }
        _ => Err(format!("\"{name}\" is not a list of documents")),
    }
}

fn texts(members: &mut Members) -> Result<Conversation, String> {
    match found(members, &TEXTS)? {
        (_, Value::Array(texts)) if !texts.is_empty() && texts.iter().all(Value::is_string) => {
            Ok(Conversation::default().turn("texts", Value::Array(texts)))
        }
        (name, _) => Err(format!("\"{name}\" is not a list of texts")),
    }
}

fn found<'n>(members: &mut Members, names: &[&'n str]) -> Result<(&'n str, Value), String> {
    names
        .iter()
        .find_map(|name| Some((*name, members.remove(*name)?)))
        .ok_or_else(|| format!("none of the fields {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{head, read};
    use llmuses_plugin::json;

    #[test]
    fn documents_have_three_names() {
        for name in DOCUMENTS {
            let record = json!({"query": "q", name: ["a", {"text": "b"}]});
            assert_eq!(
                read::<Rerank>(&record),
                Ok(json!({"turns": [{"query": "q", "documents": ["a", {"text": "b"}]}]}))
            );
            assert!(Rerank::recognises(&head(&record.to_string())));
        }
        assert_eq!(
            read::<Rerank>(&json!({"query": "q"})),
            Err("line 1: none of the fields documents, passages, texts".to_owned())
        );
    }

    #[test]
    fn several_texts_are_one_request() {
        for name in TEXTS {
            let record = json!({name: ["a", "b"]});
            assert_eq!(
                read::<Texts>(&record),
                Ok(json!({"turns": [{"texts": ["a", "b"]}]}))
            );
            assert!(Texts::recognises(&head(&record.to_string())));
        }
        assert!(!Texts::recognises(&head("{\"input\": \"a\"}")));
    }
}
