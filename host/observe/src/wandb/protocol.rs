//! What is said to the service, and how its answers are read. Pure functions: nothing here waits.
//!
//! Two requests make a run. The GraphQL mutation `UpsertBucket` makes it, or finds it again where it is
//! repeated under the same name. After that, posts to its `file_stream` append lines to its files, each
//! at an offset, so that what is repeated is not there twice; the last of them says that it is complete.

use super::config::Config;
use super::trouble::Trouble;
use llmuses_core::wandb::WandbSettings;
use serde_json::{Map, Value, json};
use url::Url;

/// Makes a run. What the Python client asks for beyond this, it asks for its own purposes.
const UPSERT_BUCKET: &str = "mutation UpsertBucket($name: String, $project: String, $entity: String, \
    $displayName: String, $config: JSONString) { \
    upsertBucket(input: {name: $name, modelName: $project, entityName: $entity, \
    displayName: $displayName, config: $config}) { \
    bucket { name project { name entity { name } } } } }";

/// The body of the request that makes the run.
pub(super) fn upsert_bucket(settings: &WandbSettings, run_id: &str, config: &Config) -> Value {
    json!({
        "operationName": "UpsertBucket",
        "query": UPSERT_BUCKET,
        "variables": {
            "name": run_id,
            "project": settings.project,
            "entity": settings.entity,
            "displayName": settings.run_name,
            "config": config.to_text(),
        },
    })
}

/// Where a run lies, in the words of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bucket {
    entity: String,
    project: String,
    name: String,
}

impl Bucket {
    /// Reads the answer to [`upsert_bucket`].
    pub(super) fn of_answer(answer: &Value) -> Result<Self, Trouble> {
        if let Some(errors) = answer["errors"].as_array()
            && !errors.is_empty()
        {
            return Err(Trouble::NotTaken {
                words: message(answer),
            });
        }
        let bucket = &answer["data"]["upsertBucket"]["bucket"];
        let text = |value: &Value| {
            value
                .as_str()
                // Either would change the meaning of a path.
                .filter(|text| !matches!(*text, "" | "." | ".."))
                .map(str::to_owned)
                .ok_or(Trouble::Garbage("it names no run"))
        };
        Ok(Self {
            entity: text(&bucket["project"]["entity"]["name"])?,
            project: text(&bucket["project"]["name"])?,
            name: text(&bucket["name"])?,
        })
    }

    /// Where its lines go.
    pub(super) fn file_stream(&self, base: &Url) -> Url {
        below(
            base,
            &[
                "files",
                &self.entity,
                &self.project,
                &self.name,
                "file_stream",
            ],
        )
    }

    /// Where a person looks at it. The pages of the public service, and of those that are set up like
    /// it, are not on the host of the API.
    pub(super) fn page(&self, base: &Url) -> String {
        let mut pages = base.clone();
        let host = match base.host_str().and_then(|host| host.strip_prefix("api.")) {
            Some(rest) if rest.starts_with("wandb.") => Some(rest.to_owned()),
            Some(rest) => Some(format!("app.{rest}")),
            None => None,
        };
        if let Some(host) = host {
            // A part of a host name, which is a host name.
            let _ = pages.set_host(Some(&host));
        }
        below(&pages, &[&self.entity, &self.project, "runs", &self.name]).into()
    }
}

/// The GraphQL endpoint.
pub(super) fn graphql(base: &Url) -> Url {
    below(base, &["graphql"])
}

fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    // Only a URL that cannot have a path refuses, and that one is not http.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Complete {
    pub(super) exit_code: i32,
}

/// The body of a post to the file stream: lines of the history from `offset` on, and the summary as it
/// is by now.
pub(super) fn file_stream(
    offset: usize,
    lines: &[String],
    summary: &str,
    complete: Option<Complete>,
) -> Value {
    let mut files = Map::new();
    if !lines.is_empty() {
        files.insert(
            "wandb-history.jsonl".to_owned(),
            json!({ "offset": offset, "content": lines }),
        );
    }
    files.insert(
        "wandb-summary.json".to_owned(),
        json!({ "offset": 0, "content": [summary] }),
    );
    let mut body = json!({ "files": files });
    if let Some(Complete { exit_code }) = complete {
        body["complete"] = json!(true);
        body["exitcode"] = json!(exit_code);
    }
    body
}

/// Reads the body of an answer of any kind, and tells success from failure.
pub(super) fn answer(status: u16, body: &[u8]) -> Result<Value, Trouble> {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let words = || json.as_ref().map(message).unwrap_or_default();
    match status {
        200..=299 => match json {
            Some(json) if json.is_object() => Ok(json),
            _ => Err(Trouble::Garbage("it is no JSON object")),
        },
        300..=399 => Err(Trouble::Garbage("it redirects elsewhere")),
        401 | 403 => Err(Trouble::Refused {
            status,
            words: words(),
        }),
        _ => Err(Trouble::Status {
            status,
            words: words(),
        }),
    }
}

/// What an answer says about an error, in either form that is in use. It may quote the key.
fn message(answer: &Value) -> String {
    let words = answer["errors"][0]["message"]
        .as_str()
        .or_else(|| answer["error"].as_str())
        .or_else(|| answer["message"].as_str());
    words.unwrap_or_default().to_owned()
}
