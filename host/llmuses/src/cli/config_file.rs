//! Flags from a file: `--config FILE.toml` stands for the flags in it. Those on the command line come first.

use clap::{Arg, ArgAction, Command};
use llmuses_core::wording::one_line;
use llmuses_kernel_io::regular_file::read_regular_text;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;
use toml::{Table, Value};

/// The largest file that is read.
const MOST_BYTES: u64 = 1 << 20;

/// The file cannot stand for flags.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("--config {}: it cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no TOML.
    #[error("--config {}: {reason}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A member of it is no flag, or has no value of a flag.
    #[error("--config {}: `{name}`: {reason}", path.display())]
    Member {
        /// The file.
        path: PathBuf,
        /// The member.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The longest name of a member that is shown, in characters.
const LONGEST_NAME: usize = 60;

/// These arguments with those of the files that `--config` names behind them. Of a flag that is on the command line,
/// what the file says is left out. `command` knows the flags of each subcommand.
///
/// # Errors
/// Where a file cannot be read, or has what is no flag.
pub fn expanded(arguments: Vec<OsString>, command: &Command) -> Result<Vec<OsString>, ConfigError> {
    let name = arguments.get(1).and_then(|name| name.to_str());
    let Some(command) = name.and_then(|name| command.find_subcommand(name)) else {
        return Ok(arguments);
    };
    let Some(path) = config_of(&arguments) else {
        return Ok(arguments);
    };
    if !command
        .get_arguments()
        .any(|arg| arg.get_long() == Some("config"))
    {
        return Ok(arguments);
    }
    let text = read_regular_text(&path, MOST_BYTES).map_err(|source| ConfigError::Read {
        path: path.clone(),
        source,
    })?;
    let table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| ConfigError::Toml {
            path: path.clone(),
            reason: where_and_why(&text, &error),
        })?;
    let typed = typed(&arguments, command);
    let mut all = arguments;
    for (name, value) in table {
        let wrong = |reason: String| ConfigError::Member {
            path: path.clone(),
            name: one_line(&name, LONGEST_NAME),
            reason,
        };
        let flag = name.replace('_', "-");
        let arg = command
            .get_arguments()
            .find(|arg| longs(arg).any(|long| long == flag) && flag != "config")
            .ok_or_else(|| wrong(unknown(&one_line(&flag, LONGEST_NAME), command)))?;
        if !typed.contains(arg.get_id().as_str()) {
            all.extend(flags_of(&flag, arg, value).map_err(wrong)?);
        }
    }
    Ok(all)
}

/// The members of the file that `--config` names, as arguments, for what must not be shown of them. Empty: there is no
/// such file, or it cannot be read.
pub fn members(arguments: &[OsString]) -> Vec<String> {
    let table: Option<Table> = config_of(arguments)
        .and_then(|path| read_regular_text(&path, MOST_BYTES).ok())
        .and_then(|text| text.parse().ok());
    let mut all = Vec::new();
    for (name, value) in table.unwrap_or_default() {
        let flag = name.replace('_', "-");
        all.extend([name.clone(), flag.clone()]);
        let values = match value {
            Value::Array(values) => values,
            Value::Table(members) => {
                let pairs = members.into_iter().filter_map(|(name, value)| {
                    Some(format!("{name}={}", member_text(value).ok()?))
                });
                pairs.map(Value::String).collect()
            }
            value => vec![value],
        };
        let texts = values.into_iter().filter_map(|value| text_of(value).ok());
        all.extend(texts.map(|text| format!("--{flag}={text}")));
    }
    all
}

/// Where and why a text is no TOML. The error itself would show the line, which may be long, or have a key in it.
fn where_and_why(text: &str, error: &toml::de::Error) -> String {
    /// The longest reason, in characters.
    const LONGEST: usize = 200;
    let reason = one_line(error.message(), LONGEST);
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return reason;
    };
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    format!("line {line}, column {column}: {reason}")
}

/// The file that `--config` names.
fn config_of(arguments: &[OsString]) -> Option<PathBuf> {
    let mut all = arguments.iter().skip(2);
    while let Some(argument) = all.next() {
        match argument.to_str() {
            Some("--") => return None,
            Some("--config") => return all.next().map(PathBuf::from),
            Some(text) => {
                if let Some(path) = text.strip_prefix("--config=") {
                    return Some(PathBuf::from(path));
                }
            }
            None => {}
        }
    }
    None
}

/// The names of a flag, without its dashes.
fn longs(arg: &Arg) -> impl Iterator<Item = &str> {
    let aliases = arg.get_all_aliases().unwrap_or_default();
    arg.get_long().into_iter().chain(aliases)
}

/// The flags that are on the command line, by their ids.
fn typed<'a>(arguments: &[OsString], command: &'a Command) -> HashSet<&'a str> {
    let texts = arguments.iter().skip(2).filter_map(|text| text.to_str());
    let texts: Vec<&str> = texts.take_while(|text| *text != "--").collect();
    let is_set = |arg: &&Arg| {
        texts.iter().any(|text| {
            let long = text
                .strip_prefix("--")
                .map(|text| text.split_once('=').map_or(text, |(name, _)| name));
            let short = text.strip_prefix('-').and_then(|text| text.chars().next());
            long.is_some_and(|long| longs(arg).any(|name| name == long))
                || (long.is_none() && short.is_some() && short == arg.get_short())
        })
    };
    let arguments = command.get_arguments().filter(is_set);
    arguments.map(|arg| arg.get_id().as_str()).collect()
}

/// What to say of a member that is no flag.
fn unknown(flag: &str, command: &Command) -> String {
    let names = command.get_arguments().filter_map(Arg::get_long);
    let near = names
        .map(|name| (strsim::jaro_winkler(name, flag), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    match near {
        Some((_, name)) => format!("there is no flag --{flag}; --{name} is one"),
        None => format!("there is no flag --{flag}"),
    }
}

/// A member of the file as arguments.
fn flags_of(flag: &str, arg: &Arg, value: Value) -> Result<Vec<OsString>, String> {
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if !takes_value {
        return match value {
            Value::Boolean(true) => Ok(vec![format!("--{flag}").into()]),
            Value::Boolean(false) => Ok(Vec::new()),
            _ => Err(format!("--{flag} takes no value: write true or false")),
        };
    }
    let values: Vec<String> = match value {
        Value::Array(values) => values.into_iter().map(text_of).collect::<Result<_, _>>()?,
        // `[parameters]` and `[headers]`: a member for each.
        Value::Table(members) => members
            .into_iter()
            .map(|(name, value)| Ok(format!("{name}={}", member_text(value)?)))
            .collect::<Result<_, String>>()?,
        value => vec![text_of(value)?],
    };
    // With `=`, so that a value may begin with a dash.
    Ok(values
        .into_iter()
        .map(|value| format!("--{flag}={value}").into())
        .collect())
}

fn text_of(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(_) => Err("it takes a value, not true or false".to_owned()),
        _ => Err("it takes a text, a number, or a list of these".to_owned()),
    }
}

/// The value of a parameter: text as it is, everything else as JSON.
fn member_text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        value => serde_json::to_string(&value).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    fn with_file(text: &str, more: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.toml");
        std::fs::write(&file, text).unwrap();
        let mut arguments: Vec<OsString> = ["llmuses", "perf", "--config"].map(Into::into).into();
        arguments.push(file.into());
        arguments.extend(more.iter().map(Into::into));
        let own = arguments.len();
        let all = expanded(arguments, &Cli::command()).map_err(|error| error.to_string())?;
        Ok(all[own..]
            .iter()
            .map(|text| text.to_str().unwrap().to_owned())
            .collect())
    }

    #[test]
    fn what_is_no_toml_is_told_by_its_place_and_not_shown() {
        let told = |text: &str| with_file(text, &[]).unwrap_err();
        let key = told("model = \"m\"\napi-key = \"sk-secret-of-mine\n");
        assert!(key.contains("line 2, column "), "{key}");
        assert!(!key.contains("sk-"), "{key}");
        for text in [
            format!("a = {}", "[".repeat(100_000)),
            format!("{} = 1", vec!["a"; 100_000].join(".")),
            format!("a = 1\n{} = 1", "b".repeat(100_000)),
        ] {
            let long = told(&text);
            assert!(long.len() < 500, "{} bytes", long.len());
        }
    }

    #[test]
    fn keys_in_the_file_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.toml");
        let text = "rate = \"Bearer first-secret\"\nhf_abcdefghijklmnop = 1\n\
                    prompt = [\"x\", \"api_key=second-secret\"]\n[parameters]\ntoken = \"third-secret\"\n";
        std::fs::write(&file, text).unwrap();
        let arguments = [
            "llmuses".into(),
            "perf".into(),
            "--config".into(),
            file.into(),
        ];
        let secrets = crate::cli::credentials_of(&arguments);
        let shown = secrets.blank_text(
            "first-secret second-secret third-secret hf_abcdefghijklmnop prompt rate x",
        );
        assert_eq!(shown, "*** *** *** *** prompt rate x");
    }

    #[test]
    fn members_are_flags() {
        let text = "prompt = \"-x\"\nnumber = 5\nrate = [1, 2.5]\ninsecure = true\nno-progress = false\n\
                    [parameters]\nmax_tokens = 7\nstop = [\"a\"]\n";
        let flags = with_file(text, &[]).unwrap();
        for flag in [
            "--prompt=-x",
            "--number=5",
            "--rate=1",
            "--rate=2.5",
            "--insecure",
            "--parameters=max_tokens=7",
            "--parameters=stop=[\"a\"]",
        ] {
            assert!(flags.iter().any(|other| other == flag), "{flags:?}");
        }
        assert_eq!(flags.len(), 7, "{flags:?}");
    }

    #[test]
    fn the_command_line_comes_first() {
        let text = "number = 5\nprompt = \"x\"\nmodel = \"a\"\n";
        let flags = with_file(text, &["-n3", "--model=b"]).unwrap();
        assert_eq!(flags, ["--prompt=x"]);
    }

    #[test]
    fn what_is_no_flag_is_named() {
        for (text, said) in [
            (
                "numbr = 5",
                "`numbr`: there is no flag --numbr; --number is one",
            ),
            (
                "number = true",
                "`number`: it takes a value, not true or false",
            ),
            ("insecure = 3", "--insecure takes no value"),
            ("number = ", "line 1"),
            ("config = \"x\"", "there is no flag --config"),
        ] {
            let error = with_file(text, &[]).unwrap_err();
            assert!(
                error.contains("--config") && error.contains(said),
                "{error}"
            );
        }
    }
}
