//! The headers that a parser wishes for.

use super::text::shown_name;
use http::{HeaderMap, HeaderName, HeaderValue};
use llmuses_core::credential::is_credential;

/// The most headers that a parser may wish for.
const MOST_HEADERS: usize = 32;

/// The longest value of a header, in bytes. Servers take some kilobytes of headers together.
const LONGEST_VALUE_BYTES: usize = 1024;

/// Checks the headers that a parser wishes for.
pub(super) fn headers(wishes: &[(String, String)]) -> Result<HeaderMap, String> {
    if wishes.len() > MOST_HEADERS {
        return Err(format!(
            "{} headers, where {MOST_HEADERS} are the most",
            wishes.len()
        ));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in wishes {
        let (name, value) = header(name, value)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// What an API may need to be told that is no business of the person who runs the test. Whatever carries credentials,
/// names somebody, steers the connection or changes what the request means to a proxy is not among it.
const ALLOWED: [&str; 8] = [
    "accept",
    "accept-language",
    "anthropic-beta",
    "anthropic-version",
    "content-type",
    "openai-beta",
    "prefer",
    "user-agent",
];

/// How the headers of one API begin that its built-in parser needs.
const ALLOWED_PREFIX: &str = "x-dashscope-";

/// Checks one header.
fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let shown = shown_name(name);
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("`{shown}` is not a header name"))?;
    if value.len() > LONGEST_VALUE_BYTES {
        return Err(format!(
            "the value of `{shown}` has {} bytes, where {LONGEST_VALUE_BYTES} are the most",
            value.len()
        ));
    }
    let checked = HeaderValue::from_str(value)
        .map_err(|_| format!("the value of `{shown}` has bytes that no header may have"))?;
    let is_known =
        ALLOWED.contains(&parsed.as_str()) || parsed.as_str().starts_with(ALLOWED_PREFIX);
    if !is_known {
        return Err(format!(
            "`{shown}` is none of {}, {ALLOWED_PREFIX}*; if the API needs it, give it with --headers",
            ALLOWED.join(", ")
        ));
    }
    if is_credential(&parsed, value) {
        return Err(format!("`{shown}` carries a credential"));
    }
    Ok((parsed, checked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsers_get_no_headers_with_credentials() {
        assert!(header("X-DashScope-SSE", "enable").is_ok());
        for (name, value) in [
            ("Accept", "Bearer abc"),
            ("User-Agent", "sk-0123456789abc"),
            ("X-DashScope-Token", "x"),
            ("X-Api-Key", "x"),
            ("api-key", "x"),
            ("openai-organization", "x"),
            ("X-Forwarded-For", "x"),
            ("X-HTTP-Method-Override", "x"),
            ("Authorization", "x"),
            ("HOST", "x"),
            ("a b", "x"),
            ("x", "a\r\nb: c"),
            ("x\r\ny: z", "a"),
            ("", "x"),
        ] {
            assert!(header(name, value).is_err(), "{name}");
        }
    }

    #[test]
    fn headers_are_few_and_short() {
        let many = vec![("prefer".to_owned(), "y".to_owned()); 33];
        assert!(headers(&many).is_err());
        assert_eq!(headers(&many[..32]).unwrap().len(), 32);
        assert!(headers(&[("prefer".to_owned(), "y".repeat(1025))]).is_err());
    }
}
