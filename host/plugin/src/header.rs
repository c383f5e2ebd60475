//! The headers that a parser wishes for.

use super::text::shown_name;
use http::{HeaderMap, HeaderName, HeaderValue};

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

/// Checks one header.
fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    /// Credentials, and what steers the connection or the framing of the message.
    const REFUSED: [&str; 14] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "host",
        "connection",
        "proxy-connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "content-length",
        "accept-encoding",
    ];
    let shown = shown_name(name);
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("`{shown}` is not a header name"))?;
    if REFUSED.contains(&parsed.as_str()) {
        return Err(format!(
            "`{shown}` carries credentials or steers the connection"
        ));
    }
    if value.len() > LONGEST_VALUE_BYTES {
        return Err(format!(
            "the value of `{shown}` has {} bytes, where {LONGEST_VALUE_BYTES} are the most",
            value.len()
        ));
    }
    let value = HeaderValue::from_str(value)
        .map_err(|_| format!("the value of `{shown}` has bytes that no header may have"))?;
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsers_get_no_headers_with_credentials() {
        assert!(header("X-DashScope-SSE", "enable").is_ok());
        for (name, value) in [
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
        let many = vec![("x".to_owned(), "y".to_owned()); 33];
        assert!(headers(&many).is_err());
        assert_eq!(headers(&many[..32]).unwrap().len(), 32);
        assert!(headers(&[("x".to_owned(), "y".repeat(1025))]).is_err());
    }
}
