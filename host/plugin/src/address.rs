//! From the URL of the user and the path that an API tells of itself to where requests go.

use super::parts::MODEL;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// What of a name is written as it is within a path: the unreserved characters of RFC 3986.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The URL of an API at `path`, which may have `{model}` in it and a query. Where the URL of the user has no path, or
/// ends with the beginning of this one (`https://host/v1`), it is completed. Any other is the whole already.
pub fn complete(user: &Url, path: &str, model: &str) -> Url {
    let path = path.replace(MODEL, &utf8_percent_encode(model, KEPT).to_string());
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path.as_str(), None),
    };
    let given = user.path().trim_end_matches('/');
    let Some(rest) = rest_of(path, given) else {
        return user.clone();
    };
    let mut url = user.clone();
    url.set_path(&format!("{given}{rest}"));
    let queries = [query, user.query()].map(|query| query.filter(|query| !query.is_empty()));
    match queries {
        [Some(own), Some(users)] => url.set_query(Some(&format!("{own}&{users}"))),
        [Some(own), None] => url.set_query(Some(own)),
        [None, _] => {}
    }
    url
}

/// What of `path` is missing behind `given`, where `given` is empty or ends with the beginning of `path`.
fn rest_of<'a>(path: &'a str, given: &str) -> Option<&'a str> {
    if given.is_empty() {
        return Some(path);
    }
    let ends = path
        .char_indices()
        .filter(|(at, character)| *character == '/' && *at > 0);
    let mut ends: Vec<usize> = ends.map(|(at, _)| at).collect();
    ends.reverse();
    ends.into_iter()
        .find(|end| given.ends_with(&path[..*end]))
        .map(|end| &path[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_completed_and_a_whole_one_is_left_alone() {
        let of =
            |url: &str, path: &str| complete(&Url::parse(url).unwrap(), path, "a/b:c").to_string();
        const CHAT: &str = "/v1/chat/completions";
        const GEMINI: &str = "/v1beta/models/{model}:streamGenerateContent?alt=sse";
        for (url, path, whole) in [
            ("http://h:1", CHAT, "http://h:1/v1/chat/completions"),
            ("http://h:1/", CHAT, "http://h:1/v1/chat/completions"),
            ("http://h:1/v1", CHAT, "http://h:1/v1/chat/completions"),
            ("http://h:1/v1/", CHAT, "http://h:1/v1/chat/completions"),
            (
                "http://h/x/v1?key=k",
                CHAT,
                "http://h/x/v1/chat/completions?key=k",
            ),
            ("http://h/v1/chat", CHAT, "http://h/v1/chat/completions"),
            (
                "http://h/v1/chat/completions",
                CHAT,
                "http://h/v1/chat/completions",
            ),
            ("http://h/other", CHAT, "http://h/other"),
            (
                "http://h",
                GEMINI,
                "http://h/v1beta/models/a%2Fb%3Ac:streamGenerateContent?alt=sse",
            ),
            (
                "http://h/v1beta?key=k",
                GEMINI,
                "http://h/v1beta/models/a%2Fb%3Ac:streamGenerateContent?alt=sse&key=k",
            ),
        ] {
            assert_eq!(of(url, path), whole, "{url}");
        }
    }
}
