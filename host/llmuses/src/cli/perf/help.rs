//! The help of `llmuses perf`, which has more flags than somebody who reads it for the first time wants to see: `--help`
//! shows examples and the common ones, `--help-all` all of them.

use clap::{Arg, ArgAction, Command};

/// The flags that `--help` shows.
const COMMON: [&str; 30] = [
    "help",
    "help-all",
    "model",
    "url",
    "headers",
    "api-key-env",
    "parameters",
    "dataset",
    "prompt",
    "min-prompt-length",
    "max-prompt-length",
    "parser",
    "tokenizer-path",
    "number",
    "parallel",
    "rate",
    "duration",
    "warmup",
    "connect-timeout",
    "read-timeout",
    "name",
    "json",
    "html",
    "goodput",
    "fail-if",
    "objective",
    "details",
    "log-every-n-query",
    "wandb-api-key",
    "debug",
];

const EXAMPLES: &str = r#"Examples:
  200 requests, always 8 at a time:
    llmuses perf --url http://127.0.0.1:8000 --prompt "Why is the sky blue?" \
        --parallel 8 -n 200
  5 requests per second for a minute, with a key, and a page of results:
    llmuses perf --url https://HOST/v1 --api-key-env OPENAI_API_KEY --model NAME \
        --prompt @prompt.txt --rate 5 --duration 1m --html result.html
  Three loads one after another, prompts from a file with one on each line:
    llmuses perf --url http://127.0.0.1:8000 --dataset prompts.txt \
        --parser openai_line_by_line --parallel 1,8,64 --duration 30s --warmup 5s
"#;

const EXIT_CODES: &str = "Exit codes: 0 the run was carried out; 1 it failed, was ended early, or is not valid \
     where --require-valid asks for that, or a --fail-if holds, or an --objective is not met; 2 the arguments are wrong.";

/// `perf` with its two flags for help.
pub(in crate::cli) fn with_help(perf: Command) -> Command {
    let more = "Further flags, for TLS, client threads, files of results, live figures and the bounds of a parser: \
                llmuses perf --help-all";
    perf.disable_help_flag(true)
        .before_help(EXAMPLES)
        .after_help(format!("{more}\n\n{EXIT_CODES}"))
        .after_long_help(EXIT_CODES)
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .action(ArgAction::HelpShort)
                .help_heading(None::<&str>)
                .help("Print examples and the common flags"),
        )
        .arg(
            Arg::new("help-all")
                .long("help-all")
                .action(ArgAction::HelpLong)
                .help_heading(None::<&str>)
                .help("Print all flags"),
        )
}

/// The same, whose `--help` leaves out what is not common.
pub(in crate::cli) fn with_short_help(perf: Command) -> Command {
    with_help(perf).mut_args(|flag| match flag.get_long() {
        Some(name) if COMMON.contains(&name) => flag,
        _ => flag.hide_short_help(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    fn perf() -> Command {
        let all = Cli::command();
        with_short_help(all.find_subcommand("perf").unwrap().clone())
    }

    /// The flags of the specification.
    const SPECIFIED: [&str; 19] = [
        "-h, --help",
        "--model",
        "--url",
        "--dataset",
        "--connect-timeout",
        "--read-timeout",
        "--max-prompt-length",
        "--min-prompt-length",
        "--prompt",
        "-n, --number",
        "--parallel",
        "--rate",
        "--log-every-n-query",
        "--parameters",
        "--headers",
        "--parser",
        "--name",
        "--debug",
        "--tokenizer-path",
    ];

    #[test]
    fn the_help_begins_with_examples_and_has_the_flags_of_the_specification() {
        let help = perf().render_help().to_string();
        assert!(help.starts_with("Examples:\n"), "{help}");
        assert_eq!(help.matches("    llmuses perf ").count(), 3, "{help}");
        for flag in SPECIFIED {
            assert!(help.contains(&format!("{flag} ")), "{flag}: {help}");
        }
        assert!(!help.contains("--plugin-memory-mib"), "{help}");
    }

    #[test]
    fn the_whole_help_has_every_flag() {
        let command = perf();
        let help = perf().render_long_help().to_string();
        for flag in command.get_opts() {
            let name = flag.get_long().unwrap();
            assert!(help.contains(&format!("--{name}")), "{name}");
        }
        for name in COMMON.iter().filter(|name| **name != "wandb-api-key") {
            let known = command
                .get_arguments()
                .any(|flag| flag.get_long() == Some(name));
            assert!(known, "{name}");
        }
    }

    #[test]
    fn the_examples_are_commands() {
        let lines = EXAMPLES.replace("\\\n", "");
        let mut checked = 0;
        for line in lines.lines().filter(|line| line.starts_with("    llmuses")) {
            let line = line.replace('"', "'");
            // What is in quotes is one argument.
            let arguments: Vec<&str> = line
                .split('\'')
                .enumerate()
                .flat_map(|(index, part)| match index % 2 {
                    0 => part.split_whitespace().collect(),
                    _ => vec![part],
                })
                .collect();
            Cli::command().try_get_matches_from(arguments).unwrap();
            checked += 1;
        }
        assert_eq!(checked, 3);
    }
}
