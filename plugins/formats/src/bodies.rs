//! Whole request bodies, as they were recorded.

use crate::record::{Members, begins_with};
use llmuses_plugin::{Conversation, Entry, Format, Head, Source, Value};

/// `body`, or a record that is the body itself.
pub(crate) struct Bodies;

impl Format for Bodies {
    const NAME: &'static str = "bodies";
    const DESCRIPTION: &'static str = "JSON lines or one JSON array of whole request bodies, each in `body` or the record \
                                       itself (then name this format)";
    const SOURCE: Source = Source::Json;

    fn recognises(head: &Head<'_>) -> bool {
        begins_with(head, |members| {
            as_body(members.remove("body").unwrap_or_default())
        })
    }

    fn conversation(entry: Entry) -> Result<Conversation, String> {
        let mut members: Members = entry.json()?;
        let body = match members.remove("body") {
            Some(body) => as_body(body).map_err(|reason| entry.error(reason))?,
            None => Value::Object(members),
        };
        Ok(Conversation::default().turn("body", body))
    }
}

/// A body as JSON. Some records have it as text.
pub(crate) fn as_body(body: Value) -> Result<Value, String> {
    let body = match body {
        Value::String(text) => text
            .parse()
            .map_err(|error| format!("the text in \"body\" is not JSON: {error}"))?,
        body => body,
    };
    match body {
        Value::Object(_) => Ok(body),
        _ => Err("\"body\" is not a JSON object".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{head, read};
    use llmuses_plugin::json;

    #[test]
    fn a_body_is_an_object_a_text_or_the_record() {
        let body = json!({"model": "x", "prompt": "a"});
        let turns = Ok(json!({"turns": [{"body": body}]}));
        for record in [json!({"body": body}), json!({"body": body.to_string()})] {
            assert_eq!(read::<Bodies>(&record), turns);
            assert!(Bodies::recognises(&head(&record.to_string())));
        }
        assert_eq!(read::<Bodies>(&body), turns);
        assert!(!Bodies::recognises(&head(&body.to_string())));
        assert_eq!(
            read::<Bodies>(&json!({"body": "x"})).unwrap_err(),
            "line 1: the text in \"body\" is not JSON: expected value at line 1 column 1"
        );
    }
}
