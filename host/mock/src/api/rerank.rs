//! Reranking, as Cohere, Jina and vLLM spell it (`documents`) and as Text Embeddings Inference does (`texts`).
//!
//! A model reads each document together with the query, so the query counts once for each.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Asked, Call, Facts, Failure, Fault, Form};
use crate::config::UsageMode;
use crate::prompt::{Prompt, Prompts};

/// `/rerank`, `/v1/rerank` and `/v2/rerank`
#[derive(Debug)]
pub(super) struct Rerank;

#[derive(Debug, Deserialize)]
struct Body<'a> {
    model: Option<String>,
    #[serde(borrow)]
    query: Option<Prompt<'a>>,
    #[serde(borrow)]
    documents: Option<Prompts<'a>>,
    #[serde(borrow)]
    texts: Option<Prompts<'a>>,
    top_n: Option<usize>,
    return_documents: Option<bool>,
    return_text: Option<bool>,
}

impl Api for Rerank {
    fn has(&self, path: &str) -> bool {
        ["/rerank", "/v1/rerank", "/v2/rerank"].contains(&path)
    }

    fn read<'a>(&self, call: &Call<'a>) -> Result<Asked<'a>, String> {
        let body: Body<'a> = call.json()?;
        let query = body.query.filter(|query| !query.parts.is_empty());
        let query = query.ok_or("There is no query.")?;
        let (documents, is_bare) = match (body.documents, body.texts) {
            (Some(documents), None) => (documents.0, false),
            (None, Some(texts)) => (texts.0, true),
            _ => return Err("There must be documents or texts.".to_owned()),
        };
        let returns = match is_bare {
            true => body.return_text.unwrap_or(false),
            // vLLM and Jina do unless told not to; Cohere has no such wish any more.
            false => body.return_documents.unwrap_or(call.path != "/v2/rerank"),
        };
        let texts = match returns {
            true => documents.iter().map(Prompt::plain).collect(),
            false => Vec::new(),
        };
        let prompts = documents.into_iter().map(|document| {
            let mut prompt = query.clone();
            prompt.parts.extend(document.parts);
            prompt
        });
        Asked {
            prompts: prompts.collect(),
            choices: 1,
            model: body.model.unwrap_or_else(|| "mock".to_owned()),
            stream: false,
            length: None,
            reasons: false,
            form: Box::new(Ranking {
                is_bare,
                texts,
                most: body.top_n.unwrap_or(usize::MAX),
            }),
        }
        .check()
    }

    fn error(&self, call: &Call<'_>, failure: &Failure<'_>) -> (StatusCode, String) {
        let body = match call.path {
            "/rerank" => {
                let kind = match failure.fault {
                    Fault::Invalid => "Validation",
                    Fault::Overloaded => "Overloaded",
                    Fault::Internal => "Backend",
                };
                json!({"error": failure.message, "error_type": kind})
            }
            _ => json!({"id": failure.id, "message": failure.message}),
        };
        (failure.fault.status(), body.to_string())
    }
}

/// How the answer looks.
#[derive(Debug)]
struct Ranking {
    /// Whether it is a list alone.
    is_bare: bool,
    /// The documents, where they are wanted back.
    texts: Vec<String>,
    most: usize,
}

impl Form for Ranking {
    fn plain(&mut self, facts: &Facts) -> String {
        let score = "relevance_score";
        let score = if self.is_bare { "score" } else { score };
        let mut results: Vec<(f64, Value)> = (0..facts.choices)
            .map(|index| {
                // Some order that is not that of the documents.
                let number = ((index * 7 + 3) % 97) as f64 / 97.0;
                let mut result = json!({"index": index, score: number});
                let place = usize::try_from(index).ok();
                if let Some(text) = place.and_then(|place| self.texts.get(place)) {
                    match self.is_bare {
                        true => result["text"] = text.as_str().into(),
                        false => result["document"] = json!({"text": text}),
                    }
                }
                (number, result)
            })
            .collect();
        results.sort_by(|one, other| other.0.total_cmp(&one.0));
        let results = results.into_iter().map(|(_, result)| result);
        if self.is_bare {
            return Value::Array(results.collect()).to_string();
        }
        let results: Vec<Value> = results.take(self.most).collect();
        let mut answer = json!({
            "id": format!("rerank-{}", facts.id),
            "model": facts.model,
            "results": results,
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
        });
        if facts.usage != UsageMode::Off {
            let tokens = facts.prompt_tokens;
            answer["usage"] = json!({"prompt_tokens": tokens, "total_tokens": tokens});
        }
        answer.to_string()
    }
}
