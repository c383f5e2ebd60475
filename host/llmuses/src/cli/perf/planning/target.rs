//! Where requests go: the URL and the headers.

use super::super::usage::UsageError;
use crate::cli::values::{Secret, header};
use http::{HeaderMap, HeaderName, HeaderValue};
use llmuses_core::credential::{public_text_of_url, public_url};
use llmuses_kernel_io::regular_file::read_regular_text;
use std::path::{Path, PathBuf};
use url::Url;

/// Where requests go if nothing else is said.
const DEFAULT_URL: &str = "http://127.0.0.1:8000/v1/chat/completions";

/// The URLs of `--url`: one at least.
pub(in crate::cli::perf) fn endpoints(texts: &[String]) -> Result<Vec<Url>, UsageError> {
    match texts {
        [] => Ok(vec![endpoint(None)?]),
        texts => texts.iter().map(|text| endpoint(Some(text))).collect(),
    }
}

/// Whether these can be told apart. Whether their paths are the same is seen once the API has completed them.
pub(super) fn fit_together(url: &Url, others: &[Url]) -> Result<(), UsageError> {
    for (index, other) in others.iter().enumerate() {
        let shown = public_url(other);
        let wrong = |reason: &str| UsageError::Url {
            text: shown.clone(),
            reason: reason.to_owned(),
        };
        let before = std::iter::once(url).chain(&others[..index]);
        // Those that differ in what is a credential alone could not be told apart in the results.
        if before.map(public_url).any(|before| before == shown) {
            return Err(wrong("it is given twice"));
        }
    }
    Ok(())
}

/// The URL of `--url`.
pub(super) fn endpoint(text: Option<&str>) -> Result<Url, UsageError> {
    let text = text.unwrap_or(DEFAULT_URL);
    let wrong = |reason: String| UsageError::Url {
        text: Url::parse(text).map_or_else(|_| public_text_of_url(text), |url| public_url(&url)),
        reason,
    };
    let url = Url::parse(text).map_err(|error| {
        wrong(format!(
            "not a URL ({error}); it should be like http://HOST:PORT/v1/chat/completions"
        ))
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(format!(
            "it should begin with http:// or https://, not {}:",
            url.scheme()
        )));
    }
    Ok(url)
}

/// Adds the key that a variable holds.
pub(super) fn add_api_key(
    headers: &mut HeaderMap,
    name: &str,
    key: &str,
) -> Result<(), UsageError> {
    let wrong = |reason| UsageError::ApiKeyEnv {
        name: shown_name(name).to_owned(),
        reason,
    };
    let key = key.trim();
    if key.is_empty() {
        return Err(wrong("the variable is not set, or is empty"));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
        .map_err(|_| wrong("its value has characters that no header may have"))?;
    value.set_sensitive(true);
    if headers.insert(http::header::AUTHORIZATION, value).is_some() {
        return Err(wrong(
            "an Authorization header is given too: give one of the two",
        ));
    }
    Ok(())
}

/// The name of a variable. What is none may be a key, given in its place.
fn shown_name(name: &str) -> &str {
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    match name.bytes().all(is_name) && name.len() <= 64 {
        true => name,
        false => "(not shown, since it may be a key in place of the name of a variable)",
    }
}

/// The largest file of `--headers @FILE`.
const MOST_HEADER_BYTES: u64 = 1 << 20;

/// Headers with those in place that files give: one on each line, without empty lines and those that begin with `#`.
fn with_files<'a>(typed: impl Iterator<Item = &'a Secret>) -> Result<Vec<Secret>, UsageError> {
    let mut headers = Vec::new();
    for text in typed {
        let Some(path) = text.reveal().strip_prefix('@') else {
            headers.push(text.clone());
            continue;
        };
        let content = read_regular_text(Path::new(path), MOST_HEADER_BYTES).map_err(|source| {
            UsageError::HeaderFile {
                path: PathBuf::from(path),
                source,
            }
        })?;
        let content = content.strip_prefix('\u{feff}').unwrap_or(&content);
        let lines = content.lines().map(str::trim);
        headers.extend(
            lines
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(Secret::new),
        );
    }
    Ok(headers)
}

/// The headers of the user.
pub(in crate::cli::perf) fn headers<'a>(
    typed: impl Iterator<Item = &'a Secret>,
) -> Result<HeaderMap, UsageError> {
    /// The client sets these itself; another value would break the request.
    const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "connection"];
    let mut headers = HeaderMap::new();
    for text in &with_files(typed)? {
        let pair = header(text).map_err(UsageError::HeaderForm)?;
        let wrong = |reason: &str| UsageError::Header {
            name: pair.key.clone(),
            reason: reason.to_owned(),
        };
        let name =
            HeaderName::from_bytes(pair.key.as_bytes()).map_err(|_| wrong("not a header name"))?;
        let closes = name == http::header::CONNECTION && pair.value.eq_ignore_ascii_case("close");
        if FRAMING.contains(&name.as_str()) && !closes {
            return Err(wrong("the client sets this one itself"));
        }
        let mut value = HeaderValue::from_str(&pair.value)
            .map_err(|_| wrong("its value has characters that no header may have"))?;
        value.set_sensitive(true);
        if headers.insert(name, value).is_some() {
            return Err(UsageError::Twice {
                flag: "--headers",
                key: pair.key.clone(),
            });
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_the_environment_is_sent_and_never_shown() {
        let mut headers = HeaderMap::new();
        add_api_key(&mut headers, "KEY", "sk-secret\n").unwrap();
        assert_eq!(headers["authorization"], "Bearer sk-secret");
        assert!(headers["authorization"].is_sensitive());
        for (key, said) in [
            ("", "not set"),
            ("sk\u{7f}secret", "characters"),
            ("sk-secret", "one of the two"),
        ] {
            let error = add_api_key(&mut headers, "KEY", key)
                .unwrap_err()
                .to_string();
            assert!(error.contains(said) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_key_in_place_of_the_name_of_its_variable_is_not_repeated() {
        let error = add_api_key(&mut HeaderMap::new(), "sk-verysecret", "");
        let error = error.unwrap_err().to_string();
        assert!(!error.contains("verysecret"), "{error}");
    }

    #[test]
    fn headers_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        let content = "\u{feff}# mine\nAuthorization: Bearer a:b=c\n\r\n  X-A=1 \n";
        std::fs::write(&path, content).unwrap();
        let file = Secret::new(&format!("@{}", path.display()));
        let found = headers([&file, &Secret::new("X-B=2")].into_iter()).unwrap();
        assert_eq!(found["authorization"], "Bearer a:b=c");
        assert_eq!(
            (&found["x-a"], &found["x-b"]),
            (
                &HeaderValue::from_static("1"),
                &HeaderValue::from_static("2")
            )
        );
        std::fs::write(&path, "verysecret\n").unwrap();
        let error = headers([&file].into_iter()).unwrap_err().to_string();
        assert!(!error.contains("verysecret"), "{error}");
    }

    #[test]
    fn no_error_about_a_url_repeats_a_key() {
        for url in [
            "h:1/v1?api_key=verysecret",
            "ftp://me:verysecret@h/v1",
            "me:verysecret@h/v1",
        ] {
            let error = endpoint(Some(url)).unwrap_err().to_string();
            assert!(!error.contains("verysecret"), "{error}");
        }
    }
}
