//! The model of a run without `--model`: the only one that the server lists.

use super::usage::UsageError;
use http::HeaderMap;
use http::header::{ACCEPT, HeaderValue, USER_AGENT};
use llmuses_core::credential::public_url;
use llmuses_core::plan::{Route, Target};
use llmuses_core::redact::Secrets;
use llmuses_core::wording::{counted, excerpt, one_line};
use llmuses_observe::terminal;
use llmuses_plugin_host::hints::tls_hint;
use llmuses_transport::question;
use serde::Deserialize;
use std::time::Duration;
use url::Url;

/// How long the list may take, the connection included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Models that an error names; some gateways have hundreds.
const MOST_NAMES: usize = 20;

/// The longest name in an error, in characters.
const LONGEST_NAME: usize = 100;

/// The model that the server of `url` has, if it has one. Says which. The times are how long a connection may take, and
/// the server may be silent.
///
/// # Errors
/// Where the server does not list its models, or lists none or several.
pub(super) fn only_one(
    url: &Url,
    headers: &HeaderMap,
    [connect, read]: [Duration; 2],
    route: &Route,
) -> Result<String, UsageError> {
    llmuses_transport::check_files(route)?;
    let list = list_of(url);
    let shown = public_url(&list);
    let model = ask(&list, headers, [connect, read], route)
        .and_then(|names| chosen(&names).map_err(NotTold::of_the_list))
        .map_err(|NotTold { reason, advice }| UsageError::Model {
            url: shown.clone(),
            reason,
            advice,
        })?;
    terminal::say(format!(
        "Model: {}, the only one of {shown}",
        one_line(&model, LONGEST_NAME)
    ));
    Ok(model)
}

/// Why the server does not tell which model it has, and what to do.
#[derive(Debug)]
struct NotTold {
    reason: String,
    advice: &'static str,
}

impl NotTold {
    fn of_the_list(reason: String) -> Self {
        let advice = "give --model NAME";
        Self { reason, advice }
    }

    fn unreachable(reason: String) -> Self {
        let advice = "see whether the server runs and --url is right";
        Self { reason, advice }
    }

    fn of_status(status: u16, body: &[u8]) -> Self {
        Self {
            reason: format!("status {status}: {}", excerpt(body)),
            advice: match status {
                401 | 403 => "give the key by --api-key-env NAME or a header",
                _ => "give --model NAME",
            },
        }
    }
}

/// Where a server with this endpoint lists its models.
fn list_of(url: &Url) -> Url {
    let path = url.path().trim_end_matches('/');
    let base = match path.rfind("/v1/") {
        Some(at) => &path[..at + "/v1".len()],
        None if path.ends_with("/v1") => path,
        None => ["/chat/completions", "/completions", "/responses"]
            .iter()
            .find_map(|end| path.strip_suffix(end))
            .unwrap_or("/v1"),
    };
    let mut list = url.clone();
    list.set_path(&format!("{base}/models"));
    list
}

fn ask(
    list: &Url,
    headers: &HeaderMap,
    [connect, read]: [Duration; 2],
    route: &Route,
) -> Result<Vec<String>, NotTold> {
    let mut all = HeaderMap::new();
    all.insert(ACCEPT, HeaderValue::from_static("*/*"));
    let agent = HeaderValue::from_static(concat!("llmuses/", env!("CARGO_PKG_VERSION")));
    all.insert(USER_AGENT, agent);
    let asked = Target {
        headers: headers.clone(),
        ..Target::new(String::new(), list.clone())
    };
    let secrets = Secrets::of(&asked, &serde_json::Map::new());
    // Those of the user in the place of ours.
    all.extend(headers.clone());
    let answer = question::get(list, all, connect, read.min(ANSWER_TIMEOUT), route);
    let (status, body) = answer.map_err(|failure| {
        let hint = tls_hint(&failure.message);
        let hint = hint.map_or_else(String::new, |hint| format!(" ({hint})"));
        NotTold::unreachable(format!("{}: {}{hint}", failure.kind, failure.message))
    })?;
    // What the server says may repeat a key.
    let body = secrets.blank_bytes(&body);
    if !(200..300).contains(&status) {
        return Err(NotTold::of_status(status, &body));
    }
    names(&body)
        .ok_or_else(|| NotTold::of_the_list(format!("it is no list of models: {}", excerpt(&body))))
}

/// The models of a list. `None`: it is none.
fn names(body: &[u8]) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct List {
        data: Vec<Model>,
    }

    #[derive(Deserialize)]
    struct Model {
        id: String,
    }

    let list: List = serde_json::from_slice(body).ok()?;
    Some(list.data.into_iter().map(|model| model.id).collect())
}

fn chosen(names: &[String]) -> Result<String, String> {
    match names {
        [] => Err("it lists none".to_owned()),
        [model] => Ok(model.clone()),
        _ => {
            let known: Vec<String> = names
                .iter()
                .take(MOST_NAMES)
                .map(|name| one_line(name, LONGEST_NAME))
                .collect();
            let mut text = format!(
                "it lists {}: {}",
                counted(names.len() as u64, "model"),
                known.join(", ")
            );
            if let Some(more) = names.len().checked_sub(MOST_NAMES).filter(|more| *more > 0) {
                text += &format!(" and {more} more");
            }
            Err(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_listed_beside_the_endpoint() {
        for (endpoint, list) in [
            ("http://h/v1/chat/completions", "http://h/v1/models"),
            (
                "http://h/a/v1/chat/completions?k=v",
                "http://h/a/v1/models?k=v",
            ),
            (
                "http://h/api/paas/v4/chat/completions",
                "http://h/api/paas/v4/models",
            ),
            ("http://h/api/v1/services/x", "http://h/api/v1/models"),
            ("http://h/a/v1/", "http://h/a/v1/models"),
            ("http://h/generate", "http://h/v1/models"),
        ] {
            assert_eq!(list_of(&Url::parse(endpoint).unwrap()).as_str(), list);
        }
    }

    #[test]
    fn one_model_is_used_and_others_are_named() {
        let of = |body: &str| names(body.as_bytes()).map(|names| chosen(&names));
        let one = r#"{"object":"list","data":[{"id":"a/b","object":"model"}]}"#;
        assert_eq!(of(one), Some(Ok("a/b".to_owned())));
        let none = of(r#"{"data":[]}"#).unwrap().unwrap_err();
        assert!(none.contains("none"), "{none}");
        let two = of(r#"{"data":[{"id":"a"},{"id":"b"}]}"#)
            .unwrap()
            .unwrap_err();
        assert!(two.contains("2 models: a, b"), "{two}");
        assert!(of("<html>").is_none());
        let many: Vec<String> = (0..25).map(|number| number.to_string()).collect();
        let many = chosen(&many).unwrap_err();
        assert!(many.ends_with("18, 19 and 5 more"), "{many}");
    }
}
