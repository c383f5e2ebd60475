//! The command line of a run, to repeat it, without credentials.

use crate::credential::{flag_holds_credential, names_credential, public_text_of_url, public_url};
use crate::redact::Secrets;
use crate::wording::BLANK;
use url::Url;

/// The flags whose values are headers: any of them may be a credential.
const HEADER_FLAGS: [&str; 2] = ["--headers", "--header"];

/// The command line of these arguments, of which the first is the program, as a shell takes it. Values of headers and of
/// the query of a URL are blanked, and what looks like a credential.
pub fn public_command_line(arguments: &[String]) -> String {
    let secrets = Secrets::of_arguments(arguments.iter().cloned());
    // What the flag before an argument says of it.
    let mut kind = Value::Open;
    let public = arguments.iter().skip(1).map(|argument| {
        let shown = match argument.split_once('=') {
            _ if !argument.starts_with('-') => kind.public(argument),
            Some((flag, value)) => format!("{flag}={}", Value::of(flag).public(value)),
            None => argument.clone(),
        };
        if argument.starts_with('-') {
            kind = Value::of(argument);
        }
        quoted(&secrets.blank_text(&shown))
    });
    let mut line = "llmuses".to_owned();
    for argument in public {
        line.push(' ');
        line.push_str(&argument);
    }
    line
}

/// One value of a flag, without what may be a credential: the same text where there is nothing to hide.
pub fn public_value(flag: &str, value: &str) -> String {
    let secrets = Secrets::of_arguments([value.to_owned()].into_iter());
    let public = Value::of(flag).public(value);
    secrets.blank_text(&public).into_owned()
}

/// What the values of a flag are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// Headers, or files that have some.
    Header,
    /// A credential.
    Credential,
    /// Anything else, also a pair of a name and a value.
    Open,
}

impl Value {
    fn of(flag: &str) -> Self {
        if HEADER_FLAGS.contains(&flag) {
            Self::Header
        } else if flag_holds_credential(flag) {
            Self::Credential
        } else {
            Self::Open
        }
    }

    fn public(self, text: &str) -> String {
        let pair = text.find(['=', ':']);
        match (self, pair) {
            (Self::Header, _) if text.starts_with('@') => text.to_owned(),
            (Self::Header, Some(at)) => format!("{}{BLANK}", &text[..=at]),
            (Self::Header | Self::Credential, _) => BLANK.to_owned(),
            (Self::Open, Some(at)) if names_credential(&text[..at]) => {
                format!("{}{BLANK}", &text[..=at])
            }
            (Self::Open, _) => address(text),
        }
    }
}

/// A URL without what may be a credential; any other text as it is.
fn address(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.has_host() => {
            let public = public_url(&url);
            // As it was given, where there is nothing to hide: a URL gets a path by being read.
            if public == url.as_str() {
                text.to_owned()
            } else {
                public
            }
        }
        Ok(_) => text.to_owned(),
        Err(_) if text.contains("://") => public_text_of_url(text),
        Err(_) => text.to_owned(),
    }
}

/// An argument in quotes, where a shell of POSIX would take it apart without them.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(arguments: &[&str]) -> String {
        let all = ["/usr/bin/llmuses"].iter().chain(arguments);
        public_command_line(&all.map(|text| (*text).to_owned()).collect::<Vec<String>>())
    }

    #[test]
    fn a_shell_takes_it_as_it_was_typed() {
        assert_eq!(
            line(&[
                "perf",
                "--url",
                "http://a:1",
                "--prompt",
                "it's 1 < 2",
                "-n",
                "5",
                "--name="
            ]),
            "llmuses perf --url http://a:1 --prompt 'it'\\''s 1 < 2' -n 5 --name="
        );
        assert_eq!(line(&["perf", "--prompt", ""]), "llmuses perf --prompt ''");
    }

    #[test]
    fn no_credential_is_in_it() {
        const KEY: &str = "sk-0123456789abcdef";
        let typed = [
            ["--headers", "X-Any=plain value"],
            ["--header", "X-Other: another"],
            ["--header=X-Third: more", "--headers=Fourth=most"],
            ["--url", "http://me:hidden@host/v1?api-version=now"],
            ["--parameters", "api_key=mine"],
            ["--wandb-api-key", "given"],
            ["--prompt", KEY],
        ];
        let found = line(&typed.concat());
        for secret in [
            "plain value",
            "another",
            "more",
            "most",
            "hidden",
            "now",
            "mine",
            "given",
            KEY,
        ] {
            assert!(!found.contains(secret), "{secret} is in {found}");
        }
        for kept in ["'X-Any=***'", "'X-Other:***'", "http://host/v1?api-version"] {
            assert!(found.contains(kept), "{kept} is not in {found}");
        }
        assert!(line(&["--headers", "@keys.txt", "--insecure"]).contains("@keys.txt --insecure"));
        let open = ["--sessions", "60", "--session-header=x-s"];
        assert_eq!(line(&open), "llmuses --sessions 60 --session-header=x-s");
    }
}
