//! `llmuses plugin`: what parsers there are, what one of them is, and whether it works.

mod check;
mod new;
mod recording;

pub use new::NewError;

use super::Outcome;
use super::bounds::BoundsArguments;
use super::perf::parser;
use crate::run::load_parser;
use clap::{Args, Subcommand};
use llmuses_core::bounds::Bounds;
use llmuses_core::plan::{Limits, ParserChoice};
use llmuses_observe::terminal::print;
use llmuses_plugin_host::{Parser, ParserInfo, builtin_names};
use std::fmt::Write;

/// Arguments of `llmuses plugin`.
#[derive(Debug, Args)]
pub(super) struct PluginArguments {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// List the parsers inside this program.
    List,
    /// Say what a parser is, what it imports and which headers it wants.
    Inspect(InspectArguments),
    /// Load a parser under its bounds, have it make requests and read a response. Exit code 0: it works.
    Check(Box<check::CheckArguments>),
    /// Make a folder with a new parser that builds with the two commands of its README.
    New(new::NewArguments),
}

#[derive(Debug, Args)]
struct InspectArguments {
    /// Name of a built-in parser, or a .wasm file.
    #[arg(value_name = "NAME|FILE")]
    parser: String,

    #[command(flatten)]
    bounds: BoundsArguments,
}

/// Runs `llmuses plugin`.
pub(super) fn execute(arguments: PluginArguments) -> anyhow::Result<Outcome> {
    match arguments.command {
        PluginCommand::List => print(list()?),
        PluginCommand::Inspect(arguments) => {
            let parser = load(&arguments.parser, &arguments.bounds.into_bounds())?;
            print(inspection(parser.info()));
        }
        PluginCommand::Check(arguments) => return check::execute(*arguments),
        PluginCommand::New(arguments) => new::execute(&arguments).map(drop)?,
    }
    Ok(Outcome::Done)
}

/// Loads a plugin by its name or path.
fn load(text: &str, bounds: &Bounds) -> anyhow::Result<Parser> {
    let limits = Limits {
        parser: *bounds,
        ..Limits::default()
    };
    Ok(load_parser(&parser(text)?, &limits)?)
}

fn list() -> anyhow::Result<String> {
    let parsers = builtin_names()
        .map(|name| load_parser(&ParserChoice::Builtin(name), &Limits::default()))
        .collect::<Result<Vec<_>, _>>()?;
    let width = |of: fn(&ParserInfo) -> &str| {
        let widths = parsers
            .iter()
            .map(|parser| of(parser.info()).chars().count());
        widths.max().unwrap_or(0)
    };
    let (name_width, version_width) = (width(|info| &info.name), width(|info| &info.version));
    let mut text = String::new();
    for parser in &parsers {
        let info = parser.info();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:name_width$}  {:version_width$}  {}",
            info.name, info.version, info.description
        );
    }
    Ok(text)
}

fn inspection(info: &ParserInfo) -> String {
    let strict = if info.is_strict() {
        "yes, it imports nothing but the contract (--sandbox strict takes it)"
    } else {
        "no, it imports WASI (--sandbox strict refuses it)"
    };
    let mut text = String::new();
    row(&mut text, "Name", &info.name);
    row(&mut text, "Version", &info.version);
    row(&mut text, "Description", &info.description);
    row(&mut text, "Source", &info.source.to_string());
    row(
        &mut text,
        "Contract",
        &format!("llmuses:perf@{}", info.contract_version),
    );
    row(&mut text, "Size", &format!("{} bytes", info.size));
    row(&mut text, "SHA-256", &info.sha256);
    row(&mut text, "Strict", strict);
    rows(&mut text, "Imports", info.imports.iter().cloned());
    let headers = info
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("(not text)")));
    rows(&mut text, "Headers", headers);
    text
}

/// Appends a label and its value.
fn row(text: &mut String, label: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{label:<12} {value}");
}

/// Appends one value a line, the first behind the label.
fn rows(text: &mut String, label: &str, values: impl Iterator<Item = String>) {
    let mut label = Some(label);
    for value in values {
        row(text, label.take().unwrap_or_default(), &value);
    }
    if let Some(label) = label {
        row(text, label, "none");
    }
}
