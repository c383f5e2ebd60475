//! What most often lies behind a failure that looks like this: a few words that end its message.

use llmuses_core::exchange::{Exchange, FailureKind};
use url::Url;

/// The hint for a failed exchange with the endpoint `url`. `None`: there is none.
pub fn hint(exchange: &Exchange, url: &Url) -> Option<String> {
    let failure = exchange.failure.as_ref()?;
    if let Some(hint) = tls_hint(&failure.message) {
        return Some(hint.to_owned());
    }
    let plain_http = url.scheme() == "http";
    let body = exchange.response.iter().next().unwrap_or_default();
    let start = String::from_utf8_lossy(&body[..body.len().min(2048)]).to_ascii_lowercase();
    let refers_to_https =
        start.contains("https") && (start.contains("plain http") || start.contains("http request"));
    // What answers in HTTP speaks no TLS, however wrong the answer is.
    let is_no_http =
        failure.kind == FailureKind::Protocol && failure.message.contains("HTTP version");
    if plain_http && (is_no_http || refers_to_https) {
        return Some("if the server speaks TLS on this port, --url needs https://".to_owned());
    }
    let status = exchange.head.as_ref().map(|head| head.status);
    if matches!(status, Some(404 | 405)) && names_no_function(url) {
        return Some(format!(
            "the path of --url is used as it is, and `{}` names no function: did you mean \
             /v1/chat/completions?",
            url.path()
        ));
    }
    if matches!(status, Some(301 | 302 | 303 | 307 | 308)) {
        return Some("redirects are not followed: put the address itself into --url".to_owned());
    }
    let is_page =
        start.trim_start().starts_with("<!doctype html") || start.trim_start().starts_with("<html");
    if is_page {
        return Some(
            "this is a page for a browser, such as one to sign in: check the path in --url and the key".to_owned(),
        );
    }
    if failure.kind == FailureKind::NoOutput {
        let api = if start.contains("\"message_start\"") || start.contains("\"content_block") {
            "Anthropic's messages"
        } else if start.contains("\"response.") || start.contains("\"object\":\"response\"") {
            "OpenAI's responses"
        } else {
            return None;
        };
        return Some(format!(
            "this looks like the API of {api}, for which another --parser is needed"
        ));
    }
    None
}

/// The hint for a message of a TLS handshake that failed. `None`: there is none.
pub fn tls_hint(message: &str) -> Option<&'static str> {
    let says = |text: &str| message.contains(text);
    if says("UnknownIssuer") {
        return Some(
            "if the server has a CA of its own, name the file of its certificate with --ca-file, or in SSL_CERT_FILE",
        );
    }
    if says("CaUsedAsEndEntity") {
        return Some(
            "the server shows a certificate of a CA as its own, as self-made ones often are: make one for the server, or \
             use --insecure",
        );
    }
    if says("InvalidContentType") || says("WRONG_VERSION_NUMBER") {
        return Some("the server seems not to speak TLS on this port: try http:// in --url");
    }
    None
}

/// Whether the path is that of a whole API rather than of a function in it.
fn names_no_function(url: &Url) -> bool {
    matches!(
        url.path().trim_end_matches('/'),
        "" | "/v1" | "/api" | "/api/v1" | "/v1/chat"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_samples::OutcomeBuilder;

    fn hinted(kind: FailureKind, message: &str, url: &str) -> String {
        let outcome = OutcomeBuilder::at(0).fails(kind, message);
        let outcome = match kind {
            FailureKind::HttpStatus => outcome.status(404, 1).build(),
            _ => outcome.build(),
        };
        let url = Url::parse(url).expect("a URL");
        hint(&outcome.exchange, &url).unwrap_or_default()
    }

    #[test]
    fn common_mistakes_are_named() {
        use FailureKind::{HttpStatus, Protocol, Tls};
        let whole = "https://h/v1/chat/completions";
        for (kind, message, url, expected) in [
            (
                Tls,
                "invalid peer certificate: UnknownIssuer",
                whole,
                "SSL_CERT_FILE",
            ),
            (Tls, "CaUsedAsEndEntity", whole, "--insecure"),
            (Tls, "InvalidContentType", whole, "http://"),
            (
                Protocol,
                "the answer breaks the rules of HTTP: invalid HTTP version",
                "http://h/v1/chat/completions",
                "https://",
            ),
            (
                HttpStatus,
                "HTTP 404",
                "https://h/v1",
                "/v1/chat/completions",
            ),
            (HttpStatus, "HTTP 404", "https://h/", "/v1/chat/completions"),
        ] {
            let hint = hinted(kind, message, url);
            assert!(hint.contains(expected), "{message}: {hint}");
        }
        assert_eq!(hinted(HttpStatus, "HTTP 404", whole), "");
        let length = "the answer breaks the rules of HTTP: content-length is not one number";
        assert_eq!(hinted(Protocol, length, "http://h/v1/chat/completions"), "");
    }
}
