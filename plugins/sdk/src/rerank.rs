//! APIs that rank documents by a query, in their several spellings.

use crate::{Item, Request, Response, Settings, Summary, Tokens, Value, json};

/// The name under which the host looks for the number of documents that were ranked.
const DOCUMENTS: &str = "documents";

/// The request of an item. `documents`: what the API calls them. `has_model`: whether the body names the model.
///
/// # Errors
/// Where the item has no query or no documents.
pub fn request(
    mut item: Item,
    settings: &Settings,
    documents: &str,
    has_model: bool,
) -> Result<Request, String> {
    item.without_length()?;
    if item.body.is_some() {
        return Ok(settings.request_of(&mut item, Value::Null));
    }
    item.spell_sampling("", &[]);
    let query = item
        .query
        .take()
        .filter(|_| !item.documents.is_empty())
        .ok_or("this API takes a query and documents, as a data set has them, and the item has not both")?;
    let mut body = json!({});
    if has_model {
        body["model"] = settings.model(&item).into();
    }
    body["query"] = query.into();
    let mut all = std::mem::take(&mut item.documents);
    if documents == "texts" {
        // That API has texts only.
        for document in &mut all {
            if let Some(text) = document["text"].as_str() {
                *document = text.into();
            }
        }
        if !all.iter().all(Value::is_string) {
            return Err(
                "this API ranks texts, and a document is none and has no \"text\"".to_owned(),
            );
        }
    }
    body[documents] = all.into();
    Ok(settings.request_of(&mut item, body))
}

/// Reads one finished response: a list of results, or an object that has one in `results`. The metric `documents` is the
/// number of those in the request.
///
/// # Errors
/// Where it is not JSON, reports an error, or has no results.
pub fn response(response: &Response<'_>) -> Result<Summary, String> {
    let body: Value = response.json(0)?;
    if let Some(error) = crate::message::failure(&body["error"]) {
        return Err(error);
    }
    let results = [&body["results"], &body["data"], &body]
        .into_iter()
        .find_map(Value::as_array)
        .ok_or("the response has no results")?;
    let is_scored = |result: &Value| {
        let scores = ["relevance_score", "score"];
        result["index"].is_u64() && scores.iter().any(|name| result[name].is_number())
    };
    if results.is_empty() || !results.iter().all(is_scored) {
        return Err("a result has no index or no score, or there is none".to_owned());
    }
    let request = response.request_json();
    let asked = ["documents", "texts", "passages"]
        .iter()
        .find_map(|name| request[name].as_array());
    let mut summary = Summary::new(prompt_tokens(&body), Tokens::Unknown).output(0);
    if let Some(documents) = asked {
        summary = summary.metric(DOCUMENTS, documents.len() as f64);
    }
    Ok(summary)
}

/// The tokens that the server has read, wherever it reports them.
fn prompt_tokens(body: &Value) -> Tokens {
    let usage = &body["usage"];
    [
        &usage["prompt_tokens"],
        &usage["input_tokens"],
        &usage["total_tokens"],
        &body["meta"]["tokens"]["input_tokens"],
        &body["meta"]["billed_units"]["input_tokens"],
    ]
    .into_iter()
    .find_map(Value::as_u64)
    .map_or(Tokens::Unknown, Tokens::Usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Summary, String> {
        response(&Response {
            request: br#"{"query":"q","documents":["a","b"]}"#,
            ..Response::of(&[body.as_bytes().to_vec()])
        })
    }

    #[test]
    fn results_and_tokens_are_found_however_they_are_spelled() {
        for (body, tokens) in [
            (
                r#"{"id":"x","results":[{"index":1,"relevance_score":0.9}],"meta":{"tokens":{"input_tokens":7}}}"#,
                Tokens::Usage(7),
            ),
            (
                r#"{"model":"m","usage":{"total_tokens":9},"results":[{"index":0,"relevance_score":0.9,"document":{"text":"a"}}]}"#,
                Tokens::Usage(9),
            ),
            (
                r#"{"data":[{"index":0,"relevance_score":1}],"usage":{"total_tokens":3}}"#,
                Tokens::Usage(3),
            ),
            (
                r#"[{"index":1,"score":0.9},{"index":0,"score":-2}]"#,
                Tokens::Unknown,
            ),
        ] {
            let summary = Summary::new(tokens, Tokens::Unknown)
                .output(0)
                .metric("documents", 2.0);
            assert_eq!(read(body), Ok(summary), "{body}");
        }
    }

    #[test]
    fn what_ranks_nothing_is_an_error() {
        for body in [
            "{}",
            "[]",
            r#"{"results":[]}"#,
            r#"{"results":[{"index":0}]}"#,
            r#"{"results":[{"score":1}]}"#,
        ] {
            assert!(read(body).is_err(), "{body}");
        }
        let error = read(r#"{"error":"too long","error_type":"Validation"}"#).unwrap_err();
        assert_eq!(error, "the server reported an error: too long");
    }
}
