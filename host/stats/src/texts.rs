//! The text of a prompt and of an answer, as far as their JSON can be read without knowing the API: for somebody who looks
//! at single requests. What is not found is shown as it was sent.

use llmuses_core::clean::printable_lines;
use llmuses_core::exchange::Outcome;
use llmuses_core::wording::cut;
use serde_json::Value;

/// Characters that are kept of a text.
const LONGEST: usize = 2_000;

/// Bytes of a body that is read as JSON: a longer one would hold up the totals of the run.
const MOST_READ: usize = 256 << 10;

/// Members under which APIs have the text of an answer, or a part of it.
const TEXTS: [&str; 9] = [
    "content",
    "text",
    "reasoning_content",
    "reasoning",
    "thinking",
    "delta",
    "response",
    "generated_text",
    "output_text",
];

/// Members under which APIs have a prompt.
const PROMPTS: [&str; 6] = [
    "messages", "prompt", "input", "inputs", "contents", "system",
];

/// The beginning of the prompt of a request.
pub(super) fn prompt(outcome: &Outcome) -> String {
    let body = outcome.exchange.request_text();
    let mut found = String::new();
    if body.len() <= MOST_READ
        && let Ok(Value::Object(members)) = serde_json::from_str(&body)
    {
        for value in PROMPTS.iter().filter_map(|name| members.get(*name)) {
            collect(value, true, &mut found, "\n");
        }
    }
    printed(if found.is_empty() { &body } else { &found })
}

/// The beginning of the answer, of the events that carried output. `None`: there is none.
pub(super) fn answer(outcome: &Outcome) -> Option<String> {
    let response = &outcome.exchange.response;
    let outputs = &outcome.reading.as_ref()?.outputs;
    let mut found = String::new();
    let mut raw = String::new();
    for index in outputs {
        let Some(data) = response.data(*index as usize) else {
            continue;
        };
        // More than is kept of a text of four bytes each.
        if found.len() > 8 * LONGEST || raw.len() > 8 * LONGEST {
            break;
        }
        if let Ok(value) = serde_json::from_slice(data) {
            collect(&value, false, &mut found, "");
        }
        if found.is_empty() {
            raw.push_str(&String::from_utf8_lossy(data));
        }
    }
    let text = if found.is_empty() { raw } else { found };
    (!text.is_empty()).then(|| printed(&text))
}

/// Appends the texts within a value, in its order. `is_text`: whether a string here is one.
fn collect(value: &Value, is_text: bool, found: &mut String, parted_by: &str) {
    match value {
        Value::String(text) if is_text => {
            if !found.is_empty() {
                found.push_str(parted_by);
            }
            found.push_str(text);
        }
        Value::Array(items) => {
            for item in items {
                collect(item, is_text, found, parted_by);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                collect(member, TEXTS.contains(&name.as_str()), found, parted_by);
            }
        }
        _ => {}
    }
}

/// A text that may be shown, or its beginning.
fn printed(text: &str) -> String {
    cut(&printable_lines(text), LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::exchange::ResponseLog;
    use llmuses_samples::{OutcomeBuilder, moment};

    fn outcome(request: &str, events: &[&str]) -> Outcome {
        let indices: Vec<u32> = (0..).zip(events).map(|(index, _)| index).collect();
        let mut outcome = OutcomeBuilder::at(0)
            .sent(0)
            .end(9)
            .outputs(&indices)
            .build();
        outcome.exchange.request = request.to_owned().into();
        outcome.exchange.response = ResponseLog::default();
        for event in events {
            assert!(outcome.exchange.response.push(event.as_bytes(), moment(1)));
        }
        outcome
    }

    #[test]
    fn the_texts_of_common_apis_are_found() {
        let chat = outcome(
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"Why?"}]}]}"#,
            &[
                r#"{"id":"x","choices":[{"delta":{"role":"assistant","content":"Be"}}]}"#,
                r#"{"id":"x","choices":[{"delta":{"content":"cause"},"finish_reason":null}]}"#,
            ],
        );
        assert_eq!(prompt(&chat), "Why?");
        assert_eq!(answer(&chat).as_deref(), Some("Because"));
        for (request, event) in [
            (
                r#"{"prompt":"Why?"}"#,
                r#"{"choices":[{"text":"Because"}]}"#,
            ),
            (
                r#"{"input":"Why?"}"#,
                r#"{"type":"response.output_text.delta","delta":"Because"}"#,
            ),
            (
                r#"{"prompt":"Why?"}"#,
                r#"{"response":"Because","done":false}"#,
            ),
            (
                r#"{"contents":[{"parts":[{"text":"Why?"}]}]}"#,
                r#"{"candidates":[{"content":{"parts":[{"text":"Because"}]}}]}"#,
            ),
        ] {
            let found = outcome(request, &[event]);
            assert_eq!(prompt(&found), "Why?", "{request}");
            assert_eq!(answer(&found).as_deref(), Some("Because"), "{event}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_shown_as_it_was() {
        let odd = outcome("not JSON\u{1b}[1m", &["tok", "ens"]);
        assert!(prompt(&odd).starts_with("not JSON"));
        assert!(!prompt(&odd).contains('\u{1b}'));
        assert_eq!(answer(&odd).as_deref(), Some("tokens"));
        assert_eq!(answer(&outcome("{}", &[])), None);
    }

    #[test]
    fn a_long_text_is_cut() {
        let long = "x".repeat(50_000);
        let found = outcome(&format!(r#"{{"prompt":"{long}"}}"#), &[&long]);
        assert_eq!(prompt(&found).chars().count(), LONGEST + 1);
        assert_eq!(
            answer(&found).map(|text| text.chars().count()),
            Some(LONGEST + 1)
        );
    }
}
