//! What is a credential, by the name of what holds it or by the look of its value: headers, parts of a URL, members of a
//! request body.

use crate::wording::BLANK;
use http::HeaderName;
use serde_json::{Map, Value};
use url::Url;

/// How keys begin that are given out under these names.
const PREFIXES: [&str; 19] = [
    "sk-",
    "sk_",
    "pk-",
    "rk_",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "hf_",
    "gsk_",
    "nvapi-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "AIza",
    "eyJ",
    "r8_",
    "pplx-",
];

/// A text that begins as a key does and is shorter than this is none.
const SHORTEST_KEY: usize = 12;

/// Letters and digits in a row, well mixed, that are no word or number any more.
const SHORTEST_MIXTURE: usize = 20;

/// Whether a header carries a credential, by its name or the look of its value.
pub fn is_credential(name: &HeaderName, value: &str) -> bool {
    names_credential(name.as_str())
        || looks_like_key(value)
        || value
            .split_once(' ')
            .is_some_and(|(scheme, _)| is_scheme(scheme))
}

/// The flags that are named as what holds a credential is, and hold none: a number, the name of a header, a file.
const OPEN_FLAGS: [&str; 3] = ["--sessions", "--session-header", "--client-key"];

/// Whether the value of a flag is a credential, by the name of the flag. Of one that ends with `-env` it is a variable.
pub(crate) fn flag_holds_credential(flag: &str) -> bool {
    names_credential(flag) && !flag.ends_with("-env") && !OPEN_FLAGS.contains(&flag)
}

/// Whether what has this name (a header, a member of a query or of a body) holds a credential.
pub fn names_credential(name: &str) -> bool {
    /// Anywhere in a word of the name.
    const WITHIN: [&str; 8] = [
        "secret",
        "cookie",
        "password",
        "passwd",
        "credential",
        "session",
        "signature",
        "authoriz",
    ];
    /// At the end of a word.
    const AT_END: [&str; 3] = ["key", "token", "auth"];
    const WORDS: [&str; 13] = [
        "pass",
        "passphrase",
        "authentication",
        "authenticate",
        "jwt",
        "sig",
        "code",
        "pwd",
        "sid",
        "otp",
        "pat",
        "sas",
        "assertion",
    ];
    // What chooses where a prompt is cached is no key to anything.
    const HARMLESS: [&str; 3] = ["prompt_cache_key", "finish_code", "status_code"];
    if HARMLESS.contains(&name) {
        return false;
    }
    words(name).any(|word| {
        WITHIN.iter().any(|part| word.contains(part))
            || AT_END.iter().any(|end| word.ends_with(end))
            || WORDS.contains(&word.as_str())
    })
}

/// The words of a name in lower case: `apiKey`, `api-key` and `api_key` have two.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for character in name.chars() {
        let begins = before.is_lowercase() && character.is_uppercase();
        if (begins || !character.is_alphanumeric())
            && let Some(last) = words.last()
            && !last.is_empty()
        {
            words.push(String::new());
        }
        if character.is_alphanumeric()
            && let Some(last) = words.last_mut()
        {
            last.extend(character.to_lowercase());
        }
        before = character;
    }
    words.into_iter()
}

/// Whether a text is a key by its look: it begins as keys do, or is a long mixture of letters and digits.
pub fn looks_like_key(text: &str) -> bool {
    if text.len() >= SHORTEST_KEY
        && PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        && !text.contains(char::is_whitespace)
    {
        return true;
    }
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(is_mixture)
}

fn is_mixture(run: &str) -> bool {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let changes = run
        .as_bytes()
        .windows(2)
        .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit())
        .count();
    run.len() >= SHORTEST_MIXTURE && digits >= 3 && run.len() - digits >= 3 && changes >= 4
}

/// The parts of a path that are credentials, as they stand there: keys by their look, what follows `key` or `token`,
/// and the values of `name=value` with such a name.
pub fn in_path(path: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut before = "";
    for segment in path.split('/') {
        for part in segment.split(';') {
            let named = part
                .split_once('=')
                .filter(|(name, _)| names_credential(name));
            let follows = names_credential(before)
                && part.len() >= 8
                && part.bytes().any(|byte| byte.is_ascii_digit());
            match named {
                // A key may have an equals sign in it.
                _ if follows || looks_like_key(part) => found.push(part),
                Some((_, value)) if !value.is_empty() => found.push(value),
                _ => {}
            }
        }
        before = segment;
    }
    found
}

/// The values of members that are credentials by their name, in a text that is JSON, or was to be and is broken:
/// `{"api_key": "x"`, `{'token': 'x'}`. A value ends at its quote, or with the text.
pub fn in_text_of_members(text: &str) -> Vec<&str> {
    const QUOTES: [char; 2] = ['"', '\''];
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(QUOTES) {
        let (quote, behind) = (&rest[at..=at], &rest[at + 1..]);
        let Some((name, behind)) = behind.split_once(quote) else {
            break;
        };
        rest = behind;
        let value = behind
            .trim_start()
            .strip_prefix(':')
            .map(str::trim_start)
            .filter(|_| names_credential(name));
        if let Some(value) = value {
            let value = match value.strip_prefix(QUOTES) {
                Some(inner) => inner.split(&value[..1]).next(),
                None => value.split([',', '}']).next(),
            };
            found.extend(value.map(str::trim).filter(|value| !value.is_empty()));
        }
    }
    found
}

/// The schemes before a credential in a header.
const SCHEMES: [&str; 5] = ["bearer", "basic", "token", "apikey", "digest"];

/// Whether a word is the name of a scheme: a credential follows.
pub(crate) fn is_scheme(word: &str) -> bool {
    SCHEMES
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// A URL without what may be a credential: user information and fragment are dropped, the values of its query are
/// blanked, and so are keys in its path.
pub fn public_url(url: &Url) -> String {
    if url.cannot_be_a_base() {
        return public_text_of_url(url.as_str());
    }
    let mut public = url.clone();
    // Both fail only for a URL without a host, which has no user information either.
    let _ = public.set_username("");
    let _ = public.set_password(None);
    // It is not sent.
    public.set_fragment(None);
    let mut path = url.path().to_owned();
    for part in in_path(url.path()) {
        path = path.replace(part, BLANK);
    }
    public.set_path(&path);
    if url.query().is_some() {
        let parts = parts_of_query(url.query().unwrap_or_default());
        let public_parts = parts.map(|part| match part.split_once('=') {
            Some((name, _)) if !looks_like_key(name) => format!("{name}={BLANK}"),
            Some(_) => format!("{BLANK}={BLANK}"),
            // It may be all that there is of a key.
            None => BLANK.to_owned(),
        });
        let query: Vec<String> = public_parts.collect();
        public.set_query(Some(&query.join("&")));
    }
    public.to_string()
}

/// The parts of a query, which some part with semicolons.
pub(crate) fn parts_of_query(query: &str) -> impl Iterator<Item = &str> {
    query.split(['&', ';']).filter(|part| !part.is_empty())
}

/// What stands behind the name of a scheme, and is one word: `Bearer KEY`.
pub(crate) fn with_scheme(value: &str) -> Option<&str> {
    let (scheme, rest) = value.trim().split_once(' ')?;
    let rest = rest.trim();
    (is_scheme(scheme) && !rest.contains(char::is_whitespace)).then_some(rest)
}

/// Whether a text is a URL with a credential.
fn is_url_with_credential(text: &str) -> bool {
    let Some(url) = Url::parse(text).ok().filter(|_| text.contains("://")) else {
        return false;
    };
    let in_query = [url.query(), url.fragment()].into_iter().flatten();
    !url.username().is_empty()
        || url.password().is_some()
        || !in_path(url.path()).is_empty()
        || in_query.flat_map(parts_of_query).any(|part| {
            let (name, value) = part.split_once('=').unwrap_or(("", part));
            names_credential(name) || looks_like_key(value)
        })
}

/// What was given as a URL and is none, without what may be a credential.
pub fn public_text_of_url(text: &str) -> String {
    let (place, rest) = match text.find(['?', '#']) {
        Some(at) => (&text[..at], &text[at..=at]),
        None => (text, ""),
    };
    let mut shown = match place.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            let parted = if scheme.is_empty() { "" } else { "://" };
            format!("{scheme}{parted}{BLANK}@{host}")
        }
        None => place.to_owned(),
    };
    for part in in_path(place) {
        shown = shown.replace(part, BLANK);
    }
    if !rest.is_empty() {
        shown.push_str(rest);
        shown.push_str(BLANK);
    }
    shown
}

/// Members of a body with the texts blanked that are credentials by their name or their look, at any depth.
pub fn public_members(members: &Map<String, Value>) -> Map<String, Value> {
    let mut public = members.clone();
    for_each_in(&mut public, &mut |value| *value = BLANK.into());
    public
}

/// The credentials among the members of a body.
pub fn in_members(members: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for_each_in(&mut members.clone(), &mut |value| {
        found.push(match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
    });
    found
}

fn for_each_in(members: &mut Map<String, Value>, take: &mut impl FnMut(&mut Value)) {
    for (name, value) in members {
        for_each_of(names_credential(name), value, take);
    }
}

fn for_each_of(named: bool, value: &mut Value, take: &mut impl FnMut(&mut Value)) {
    /// A number of less digits is a count, as of a `budget_token`.
    const DIGITS: usize = 8;
    match value {
        Value::String(text) if named || holds_credential(text) => take(value),
        Value::Number(number) if named && number.to_string().len() >= DIGITS => take(value),
        Value::Array(items) => {
            for item in items {
                for_each_of(named, item, take);
            }
        }
        Value::Object(members) => for_each_in(members, take),
        _ => {}
    }
}

/// Whether a text holds a credential, by its look.
fn holds_credential(text: &str) -> bool {
    looks_like_key(text)
        || with_scheme(text).is_some()
        || is_url_with_credential(text)
        || !in_text_of_members(text).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers_with_credentials_are_known() {
        let is = |name: &str, value: &str| {
            is_credential(&HeaderName::from_bytes(name.as_bytes()).unwrap(), value)
        };
        for name in [
            "authorization",
            "Proxy-Authorization",
            "X-Api-Key",
            "api-key",
            "apikey",
            "X-Auth-Token",
            "X-Jwt",
            "Cookie",
            "X-Amz-Security-Token",
            "Ocp-Apim-Subscription-Key",
            "x-goog-api-key",
            "X-Session-Id",
        ] {
            assert!(is(name, "x"), "{name}");
        }
        assert!(is("x-other", "Bearer abc"));
        assert!(is("x-other", "sk-0123456789"));
        for name in [
            "content-type",
            "x-author",
            "x-design",
            "x-encoding",
            "x-max-tokens",
        ] {
            assert!(!is(name, "application/json"), "{name}");
        }
    }

    #[test]
    fn keys_have_a_look() {
        for key in [
            "sk-proj-AbC",
            "hf_abcdefghijk",
            "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        ] {
            assert!(looks_like_key(key) || key.len() < SHORTEST_KEY, "{key}");
        }
        for word in [
            "meta-llama-3.1-8b-instruct-turbo-2024-07-18",
            "123e4567-e89b-12d3-a456-426614174000",
            "chatcompletionsforeverybody",
            "20260101120000000000",
        ] {
            assert!(!looks_like_key(word), "{word}");
        }
    }

    #[test]
    fn a_public_url_holds_no_credential() {
        for (url, public) in [
            (
                "https://me:secret@example.com/v1?api_key=hidden&x=1",
                "https://example.com/v1?api_key=***&x=***",
            ),
            (
                "https://h/v1/sk-proj-0123456789/chat#access_token=abc",
                "https://h/v1/***/chat",
            ),
            (
                "https://h/v1?a=1;key=hidden&bare-secret&sk-0123456789=1",
                "https://h/v1?a=***&key=***&***&***=***",
            ),
            ("https://h/sk-my_secret-0123=Zq/v1", "https://h/***/v1"),
            ("https://h/key/abcdefg1/chat;sig=abc", "https://h/***"),
            (
                "https://h/a/token/abcdefg1/chat;sig=abc",
                "https://h/a/token/***/chat;sig=***",
            ),
            (
                "http://h/v1/chat/completions",
                "http://h/v1/chat/completions",
            ),
        ] {
            let shown = public_url(&Url::parse(url).unwrap());
            if public == "https://h/***" {
                assert!(!shown.contains("abc"), "{shown}");
            } else {
                assert_eq!(shown, public);
            }
        }
        assert_eq!(
            public_text_of_url("htp:/me:secret@h/v1?key=a"),
            "***@h/v1?***"
        );
        assert_eq!(public_text_of_url("localhost:80"), "localhost:80");
    }

    #[test]
    fn members_with_credentials_are_blanked_at_any_depth() {
        let members = json!({
            "api_key": "abc", "max_tokens": 5, "stop": "x", "a": [{"clientSecret": "d"}, "sk-0123456789"],
            "prompt_cache_key": "mine", "pin_code": 12345678, "code": 5, "b": "Bearer e", "c": "Basic needs of all",
            "d": ["http://me:f@h/", "http://h/?token=g", "http://h/?page=1", "data:text/plain,x"]
        });
        let members = members.as_object().unwrap();
        assert_eq!(
            Value::Object(public_members(members)),
            json!({
                "api_key": "***", "max_tokens": 5, "stop": "x", "a": [{"clientSecret": "***"}, "***"],
                "prompt_cache_key": "mine", "pin_code": "***", "code": 5, "b": "***", "c": "Basic needs of all",
                "d": ["***", "***", "http://h/?page=1", "data:text/plain,x"]
            })
        );
        let found = [
            "abc",
            "d",
            "sk-0123456789",
            "12345678",
            "Bearer e",
            "http://me:f@h/",
            "http://h/?token=g",
        ];
        assert_eq!(in_members(members), found);
    }

    #[test]
    fn credentials_in_broken_json_are_known() {
        for (text, found) in [
            (
                r#"{"a": 1, "api_key": "plain secret", "b""#,
                vec!["plain secret"],
            ),
            (r#"{"api_key":"cut off"#, vec!["cut off"]),
            (r#"{'a': 'b', 'token' : 'x'}"#, vec!["x"]),
            (r#"[{"password": 12345, "x": "api_key"}]"#, vec!["12345"]),
            (r#"{"stop": "x""#, vec![]),
            (r#"it's a token: "x""#, vec![]),
            ("\"", vec![]),
        ] {
            assert_eq!(in_text_of_members(text), found, "{text}");
        }
        let members = json!({"a": r#"{"api_key":"cut off"#, "b": r#"{"stop":"#});
        let public = public_members(members.as_object().unwrap());
        assert_eq!(
            Value::Object(public),
            json!({"a": "***", "b": r#"{"stop":"#})
        );
    }
}
