//! The calls of version 0.2 of the contract: an API makes requests of items, a format makes entries of a data set.

use super::bindings::second::exports::llmuses::perf::perf_plugin as api;
use super::bindings::second::llmuses::perf::types;
use super::instance::{CallError, Exports, ParserInstance, Told};
use super::offers::FormatInfo;
use super::summary::{Summary, reasons};
use super::text::{shown, shown_name};
use bytes::Bytes;
use http::HeaderValue;
use http::uri::PathAndQuery;
use llmuses_core::document::Task;
use llmuses_core::exchange::{Framing, Reading, ResponseLog, TokenCount, TokenSource};
use llmuses_core::item::Entry;
use serde::Serialize;
use wasmtime::component::ResourceAny;

/// The longest path and the longest content type that a plugin may give, in bytes.
const LONGEST_PATH: usize = 2 << 10;
const LONGEST_CONTENT_TYPE: usize = 256;

/// The content type that nearly every body has.
const JSON: &str = "application/json";

/// A request as an API made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginRequest {
    /// The body.
    pub body: Bytes,
    /// What the body is. `None`: JSON.
    pub content_type: Option<HeaderValue>,
    /// The path, where it is not the one that the API has told of itself.
    pub path: Option<String>,
}

/// What a format is told of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FileOptions {
    /// The name of the file without the folder.
    pub file_name: String,
    /// The beginning of the file as text.
    pub head: String,
    /// Which of the formats of the component it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The field that has the prompt, where the user names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Entries of a data set under way in an instance.
#[derive(Debug, Clone, Copy)]
pub struct OpenEntries(ResourceAny);

impl ParserInstance {
    /// One request of each item, or why there is none of it. `items` are JSON texts.
    ///
    /// # Errors
    /// Where the plugin breaks.
    pub fn requests_of(
        &mut self,
        items: &[String],
        model: &str,
        parameters: &str,
    ) -> Result<Vec<Result<PluginRequest, String>>, CallError> {
        let texts: Vec<&str> = items.iter().map(String::as_str).collect();
        let options = api::RequestOptions { model, parameters };
        let made = self.call("build-request", |exports, store| {
            exports.api()?.call_build_request(store, &texts, options)
        })?;
        if made.len() != items.len() {
            return Err(self.broken(format!(
                "made {} requests of {} items",
                made.len(),
                items.len()
            )));
        }
        let size = |made: &Result<types::Request, String>| match made {
            Ok(request) => size_of::<types::Request>() + request.body.len(),
            Err(message) => message.len(),
        };
        self.count_moved("build-request", made.iter().map(size).sum())?;
        made.into_iter()
            .map(|made| match made {
                Ok(request) => checked(request)
                    .map(Ok)
                    .map_err(|reason| self.broken(reason)),
                Err(message) => Ok(Err(self.reason(&message))),
            })
            .collect()
    }

    /// The name of the format that a file is likely to be of, by its beginning.
    ///
    /// # Errors
    /// Where the plugin breaks.
    pub fn recognises(
        &mut self,
        head: &[u8],
        options: &FileOptions,
    ) -> Result<Option<String>, CallError> {
        let options = serde_json::to_string(options).unwrap_or_default();
        self.call("recognises", |exports, store| {
            exports.format()?.call_recognises(store, head, &options)
        })
    }

    /// Begins to read the data set.
    ///
    /// # Errors
    /// Where the plugin refuses, or breaks.
    pub fn open(&mut self, options: &FileOptions) -> Result<OpenEntries, CallError> {
        // Values of JSON are always text.
        let options = serde_json::to_string(options).unwrap_or_default();
        self.call("open", |exports, store| {
            exports.format()?.call_open(store, &options)
        })?
        .map(OpenEntries)
        .map_err(|message| self.refused(&message))
    }

    /// At most `max` further entries; an empty list is the end.
    ///
    /// # Errors
    /// Where the plugin refuses (that is one bad part of the data set), or breaks.
    pub fn next_entries(
        &mut self,
        entries: OpenEntries,
        max: u32,
    ) -> Result<Vec<Entry>, CallError> {
        let texts = self
            .call("next", |exports, store| {
                exports.format()?.entries().call_next(store, entries.0, max)
            })?
            .map_err(|message| self.refused(&message))?;
        if texts.len() > max as usize {
            return Err(self.broken(format!(
                "gave {} entries where at most {max} were asked for",
                texts.len()
            )));
        }
        let bytes = texts.iter().map(|text| size_of::<String>() + text.len());
        self.count_moved("next", bytes.sum())?;
        let mut read = Vec::with_capacity(texts.len());
        for text in &texts {
            match serde_json::from_str::<Entry>(text) {
                Ok(entry) if entry.turns.is_empty() => {
                    return Err(self.broken("gave an entry without turns".to_owned()));
                }
                Ok(entry) => read.push(entry),
                Err(error) => {
                    return Err(self.broken(format!(
                        "gave an entry that is none (wit/entry.schema.json): {error}"
                    )));
                }
            }
        }
        Ok(read)
    }

    /// What of the data set was passed over so far, by reason.
    ///
    /// # Errors
    /// Where the plugin breaks.
    pub fn skipped_entries(
        &mut self,
        entries: OpenEntries,
    ) -> Result<Vec<(String, u64)>, CallError> {
        let skipped = self.call("skipped", |exports, store| {
            exports.format()?.entries().call_skipped(store, entries.0)
        })?;
        Ok(reasons(skipped, self.secrets()))
    }

    /// Lets go of entries.
    ///
    /// # Errors
    /// Where the plugin breaks.
    pub fn drop_entries(&mut self, entries: OpenEntries) -> Result<(), CallError> {
        self.call("dropping its entries", |_, store| {
            entries.0.resource_drop(store)
        })
    }

    pub(super) fn describe_parts(&mut self) -> Result<Told, CallError> {
        let (has_api, has_format) = match self.exports() {
            Exports::Own(_) => (false, false),
            Exports::Parts { api, format } => (api.is_some(), format.is_some()),
        };
        let mut told = Told::default();
        if has_format {
            let formats = self.call("describe", |exports, store| {
                exports.format()?.call_describe(store)
            })?;
            let Some(first) = formats.first() else {
                return Err(self.broken("has no format of data sets".to_owned()));
            };
            told.version.clone_from(&first.version);
            match &formats[..] {
                [format] => {
                    told.name.clone_from(&format.name);
                    told.description.clone_from(&format.description);
                }
                several => told.description = format!("{} formats of data sets", several.len()),
            }
            told.formats = formats
                .into_iter()
                .map(|format| FormatInfo {
                    name: shown_name(format.name.trim()),
                    description: shown(&format.description),
                })
                .collect();
        }
        if has_api {
            let api = self.call("describe", |exports, store| {
                exports.api()?.call_describe(store)
            })?;
            let path = api.path.map(|path| path_pattern(&path)).transpose();
            told = Told {
                name: api.name,
                version: api.version,
                description: api.description,
                headers: api.headers,
                path: path.map_err(|reason| self.broken(reason))?,
                framing: match api.framing {
                    types::Framing::ByContentType => Framing::ByContentType,
                    types::Framing::Sse => Framing::Sse,
                    types::Framing::Ndjson => Framing::JsonLines,
                    types::Framing::JsonArray => Framing::JsonArray,
                    types::Framing::Plain => Framing::Plain,
                },
                task: match api.task {
                    types::Task::Generate => Task::Generate,
                    types::Task::Embed => Task::Embed,
                    types::Task::Rerank => Task::Rerank,
                    types::Task::Other => Task::Other,
                },
                formats: told.formats,
            };
        }
        Ok(told)
    }

    pub(super) fn parse_parts(
        &mut self,
        response: &ResponseLog,
        request: &[u8],
        parameters: &str,
        reply: bool,
    ) -> Result<Reading, CallError> {
        let responses: Vec<&[u8]> = response.iter().collect();
        let options = types::ResponseOptions { parameters, reply };
        let told = self
            .call("parse-responses", |exports, store| {
                let api = exports.api()?;
                api.call_parse_responses(store, &responses, request, options)
            })?
            .map_err(|message| self.refused(&message))?;
        let told = Summary {
            prompt: told.prompt_tokens.map(token_count),
            completion: told.completion_tokens.map(token_count),
            outputs: told.outputs,
            answers: told.answers,
            tokens_so_far: told.tokens_so_far,
            finish_reason: told.finish_reason,
            // It is not kept where nobody wants it.
            reply: told.reply.filter(|_| reply),
            metrics: told.metrics,
        };
        self.read(told, response.len())
    }
}

/// A request that an HTTP client can send.
fn checked(request: types::Request) -> Result<PluginRequest, String> {
    let content_type = match request.content_type.as_str() {
        JSON => None,
        other => Some(content_type(other)?),
    };
    if content_type.as_ref().is_none_or(is_json)
        && let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&request.body)
    {
        return Err(format!("made a request body that is not JSON: {error}"));
    }
    Ok(PluginRequest {
        body: request.body.into(),
        content_type,
        path: match request.path {
            Some(path) => Some(path_of(&path)?),
            None => None,
        },
    })
}

fn is_json(content_type: &HeaderValue) -> bool {
    let text = content_type.to_str().unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case(JSON)
}

fn content_type(text: &str) -> Result<HeaderValue, String> {
    let is_kind = text.split(';').next().unwrap_or_default().contains('/');
    match HeaderValue::from_str(text) {
        Ok(value) if is_kind && text.len() <= LONGEST_CONTENT_TYPE => Ok(value),
        _ => Err(format!(
            "gave the content type `{}`, which is none",
            shown_name(text)
        )),
    }
}

/// A path as it stands in a request.
fn path_of(text: &str) -> Result<String, String> {
    let is_path = text.starts_with('/')
        && text.len() <= LONGEST_PATH
        && !text.contains('#')
        && text.parse::<PathAndQuery>().is_ok();
    match is_path {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "gave the path `{}`, which is none",
            shown_name(text)
        )),
    }
}

/// A path in which the name of the model may be missing.
fn path_pattern(text: &str) -> Result<String, String> {
    path_of(&text.replace(MODEL, "m")).map(|_| text.to_owned())
}

/// What stands in a path for the name of the model.
pub(super) const MODEL: &str = "{model}";

fn token_count(count: types::TokenCount) -> TokenCount {
    TokenCount {
        tokens: count.tokens,
        source: match count.source {
            types::TokenSource::Server => TokenSource::Server,
            types::TokenSource::Tokenizer => TokenSource::Tokenizer,
            types::TokenSource::Plugin => TokenSource::Parser,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &str, content_type: &str, path: Option<&str>) -> types::Request {
        types::Request {
            body: body.into(),
            content_type: content_type.to_owned(),
            path: path.map(str::to_owned),
        }
    }

    #[test]
    fn only_what_can_be_sent_is_a_request() {
        let json = checked(request("{}", JSON, None)).unwrap();
        assert_eq!((json.content_type, json.path), (None, None));
        let form = checked(request(
            "\u{ff}",
            "multipart/form-data; boundary=x",
            Some("/a?b=c"),
        ))
        .unwrap();
        assert_eq!(
            form.content_type.unwrap(),
            "multipart/form-data; boundary=x"
        );
        assert_eq!(form.path.unwrap(), "/a?b=c");
        for (body, content_type, path, said) in [
            ("{", JSON, None, "not JSON"),
            ("{", "application/json; charset=utf-8", None, "not JSON"),
            ("{}", "", None, "which is none"),
            ("{}", "text/x\r\na: b", None, "which is none"),
            ("{}", JSON, Some("a"), "the path `a`"),
            ("{}", JSON, Some("/a b\r\nc: d"), "which is none"),
            ("{}", JSON, Some("http://other/"), "which is none"),
            ("{}", JSON, Some(""), "which is none"),
        ] {
            let error = checked(request(body, content_type, path)).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        assert!(checked(request("{}", JSON, Some(&format!("/{}", "a".repeat(4000))))).is_err());
    }

    #[test]
    fn a_path_may_leave_room_for_the_model() {
        assert!(path_pattern("/v1beta/models/{model}:streamGenerateContent").is_ok());
        assert!(path_pattern("v1").is_err());
    }
}
