//! The flags of a run as a TOML file that `--config` takes, without credentials.

use super::values::as_given;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use llmuses_core::command_line::public_value;
use toml::{Table, Value};

/// Flags that are none of the run's own: they name files that are there once it is over, or hold for one time alone.
const NOT_KEPT: [&str; 11] = [
    "config",
    "csv",
    "dry-run",
    "html",
    "json",
    "markdown",
    "name",
    "record",
    "save-config",
    "shard",
    "start-at",
];

/// The flags of a run that were typed, or stand in its `--config`.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// The subcommand.
    command: String,
    /// The flags and their values, in the order of the help.
    flags: Vec<(String, Value)>,
    /// What is not among them, for a person to read.
    left_out: Vec<String>,
}

impl Settings {
    /// The flags that `matches` has of `command`.
    pub(super) fn of(command: &Command, matches: &ArgMatches) -> Self {
        let mut settings = Self {
            command: command.get_name().to_owned(),
            ..Self::default()
        };
        for arg in command.get_arguments() {
            let id = arg.get_id().as_str();
            let Some(name) = arg.get_long() else { continue };
            if matches.value_source(id) == Some(ValueSource::CommandLine) {
                settings.add(name, arg, matches);
            }
        }
        settings
    }

    fn add(&mut self, name: &str, arg: &Arg, matches: &ArgMatches) {
        if NOT_KEPT.contains(&name) {
            self.left_out.push(format!("--{name}"));
            return;
        }
        let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
        if !takes_value {
            self.flags.push((name.to_owned(), Value::Boolean(true)));
            return;
        }
        let typed = matches.get_raw(arg.get_id().as_str());
        let mut values = Vec::new();
        for typed in typed.into_iter().flatten() {
            let typed = typed.to_string_lossy();
            let public = public_value(&format!("--{name}"), &typed);
            if public == typed {
                values.push(value_of(&typed));
            } else {
                self.left_out.push(format!("--{name} {public}"));
            }
        }
        match values.len() {
            0 => {}
            1 => self
                .flags
                .extend(values.pop().map(|value| (name.to_owned(), value))),
            _ => self.flags.push((name.to_owned(), Value::Array(values))),
        }
    }

    /// The file. `model`: the one that the server was found to have, where none was given.
    pub(super) fn to_toml(&self, model: &str) -> String {
        let mut text = format!(
            "# The flags of a run: llmuses {} --config THIS_FILE repeats it.\n",
            self.command
        );
        if !self.left_out.is_empty() {
            text.push_str("# Left out, since they may be credentials, or name files of results, a part or a time of one run:\n");
        }
        for left_out in &self.left_out {
            // A comment ends with its line.
            let line = left_out.replace(|c: char| c.is_control(), " ");
            text.push_str(&format!("#   {line}\n"));
        }
        let is_set = |name: &str| self.flags.iter().any(|(known, _)| known == name);
        let mut flags = self.flags.clone();
        if !is_set("model") {
            flags.insert(0, ("model".to_owned(), Value::String(as_given(model))));
        }
        for (name, value) in flags {
            let member = Table::from_iter([(name, value)]);
            text.push_str(&member.to_string());
        }
        text
    }
}

/// A value as TOML: a number where it reads back as it was given.
fn value_of(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => Value::Integer(number),
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    fn saved(typed: &[&str]) -> String {
        saved_with(typed, "found")
    }

    fn saved_with(typed: &[&str], model: &str) -> String {
        let command = Cli::command();
        let all = ["llmuses", "perf"].iter().chain(typed);
        let matches = command.clone().try_get_matches_from(all).unwrap();
        let (name, matches) = matches.subcommand().unwrap();
        let perf = command.find_subcommand(name).unwrap();
        Settings::of(perf, matches).to_toml(model)
    }

    #[test]
    fn a_model_that_looks_like_a_weight_is_kept_as_a_name() {
        let text = saved_with(&["--prompt", "x"], "lora=2");
        assert!(text.contains("model = \"lora=2=1\"\n"), "{text}");
    }

    #[test]
    fn flags_are_members_as_they_were_typed() {
        let text = saved(&[
            "--prompt",
            "a \"b\"\nc",
            "-n",
            "007",
            "--parallel",
            "1,8",
            "--duration",
            "10s",
            "--insecure",
            "--parameters",
            "max_tokens=5",
            "x=1",
            "--headers",
            "@headers.txt",
            "--api-key-env",
            "KEY",
        ]);
        let table: Table = text.parse().unwrap();
        let expected: Table = "model = 'found'\nprompt = \"a \\\"b\\\"\\nc\"\nnumber = '007'\nparallel = [1, 8]\n\
                               duration = '10s'\ninsecure = true\nparameters = ['max_tokens=5', 'x=1']\n\
                               headers = '@headers.txt'\napi-key-env = 'KEY'\n"
            .parse()
            .unwrap();
        assert_eq!(table, expected);
        assert!(
            text.starts_with("# The flags of a run: llmuses perf --config"),
            "{text}"
        );
        assert!(!text.contains("Left out"), "{text}");
    }

    #[test]
    fn credentials_and_files_are_left_out_and_named() {
        const KEY: &str = "sk-0123456789abcdef";
        let text = saved(&[
            "--model",
            "m",
            "--url",
            "http://me:hidden@host/v1",
            "http://other/v1",
            "--prompt",
            KEY,
            "--headers",
            "X-Any=plain value",
            "--parameters",
            "api_key=mine",
            "n=2",
            "--json",
            "out.json",
        ]);
        for secret in ["hidden", KEY, "plain value", "mine"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        for named in [
            "#   --headers X-Any=***",
            "#   --parameters api_key=***",
            "#   --url http://host/v1",
            "#   --prompt ***",
            "#   --json",
        ] {
            assert!(text.contains(named), "{named} is not in {text}");
        }
        let table: Table = text.parse().unwrap();
        let expected: Table = "model = 'm'\nurl = 'http://other/v1'\nparameters = 'n=2'\n"
            .parse()
            .unwrap();
        assert_eq!(table, expected);
    }
}
