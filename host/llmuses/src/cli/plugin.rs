//! `llmuses plugin`: what parsers there are, what one of them is, and whether it works.

mod check;
mod new;
mod recording;

pub use new::NewError;

use super::CommandOutcome;
use super::bounds::BoundsArguments;
use super::perf::parser;
use crate::run::load_parser;
use clap::{Args, Subcommand};
use llmuses_core::bounds::Bounds;
use llmuses_core::exchange::Framing;
use llmuses_core::plan::{Limits, ParserChoice};
use llmuses_observe::terminal::print;
use llmuses_plugin_host::{
    CONTRACT_VERSION, Offers, Parser, ParserInfo, any_builtin, builtin_formats, builtin_names,
};
use std::fmt::Write;

/// Arguments of `llmuses plugin`.
#[derive(Debug, Args)]
pub(super) struct PluginArguments {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// List the plugins inside this program.
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
    /// Name of a built-in plugin, or a .wasm file.
    #[arg(value_name = "NAME|FILE")]
    parser: String,

    #[command(flatten)]
    bounds: BoundsArguments,
}

/// Runs `llmuses plugin`.
pub(super) fn execute(arguments: PluginArguments) -> anyhow::Result<CommandOutcome> {
    match arguments.command {
        PluginCommand::List => print(list()?),
        PluginCommand::Inspect(arguments) => {
            let parser = load(&arguments.parser, &arguments.bounds.into_bounds())?;
            print(inspection(parser.info()));
        }
        PluginCommand::Check(arguments) => return check::execute(*arguments),
        PluginCommand::New(arguments) => new::execute(&arguments).map(drop)?,
    }
    Ok(CommandOutcome::Done)
}

/// Loads a plugin by its name or path.
fn load(text: &str, bounds: &Bounds) -> anyhow::Result<Parser> {
    let choice = match any_builtin(text) {
        Some(component) => ParserChoice::Builtin(component.name),
        None => parser(text)?,
    };
    Ok(load_parser(&choice, &limits_of(bounds), false)?)
}

/// The default limits, with these bounds of a plugin.
pub(super) fn limits_of(bounds: &Bounds) -> Limits {
    Limits {
        parser: *bounds,
        ..Limits::default()
    }
}

fn list() -> anyhow::Result<String> {
    let load = |name| load_parser(&ParserChoice::Builtin(name), &Limits::default(), false);
    let apis = builtin_names().map(load).collect::<Result<Vec<_>, _>>()?;
    let formats = builtin_formats()
        .map(|component| load(component.name))
        .collect::<Result<Vec<_>, _>>()?;
    let apis: Vec<[&str; 3]> = apis
        .iter()
        .map(|api| {
            let info = api.info();
            [&*info.name, &*info.version, &*info.description]
        })
        .collect();
    let of_component = |component: &'_ Parser| {
        let info = component.info();
        info.formats
            .iter()
            .map(|format| {
                [
                    format.name.clone(),
                    info.version.clone(),
                    format.description.clone(),
                ]
            })
            .collect::<Vec<_>>()
    };
    let formats: Vec<[String; 3]> = formats.iter().flat_map(of_component).collect();
    let formats: Vec<[&str; 3]> = formats
        .iter()
        .map(|parts| parts.each_ref().map(String::as_str))
        .collect();
    let width = |part: usize| {
        let parts = apis.iter().chain(&formats).map(|parts| parts[part]);
        parts.map(|part| part.chars().count()).max().unwrap_or(0)
    };
    let (name_width, version_width) = (width(0), width(1));
    let line = |[name, version, description]: &[&str; 3]| {
        format!("{name:name_width$}  {version:version_width$}  {description}\n")
    };
    let apis: String = apis.iter().map(line).collect();
    let formats: String = formats.iter().map(line).collect();
    Ok(format!(
        "{apis}\nFormats of data sets, for --dataset-parser:\n{formats}"
    ))
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
    let contract = format!("llmuses:perf@{}", info.contract_version);
    row(
        &mut text,
        "Contract",
        &match contract == CONTRACT_VERSION {
            true => contract,
            false => format!("{contract}, an older version that goes on working"),
        },
    );
    row(&mut text, "Offers", info.offers.as_str());
    if matches!(info.offers, Offers::Api | Offers::ApiAndFormat) {
        row(&mut text, "Path", info.path.as_deref().unwrap_or("none"));
        row(&mut text, "Task", info.task.as_str());
        row(
            &mut text,
            "Framing",
            match info.framing {
                Framing::ByContentType => "by content type",
                Framing::Sse => "server-sent events",
                Framing::JsonLines => "JSON lines",
                Framing::JsonArray => "one JSON array",
                Framing::Plain => "one body",
            },
        );
    }
    if info.formats.len() > 1 {
        let names = info.formats.iter().map(|format| format.name.clone());
        rows(&mut text, "Formats", names);
    }
    row(&mut text, "Size", &format!("{} bytes", info.size));
    row(&mut text, "SHA-256", &info.sha256);
    row(&mut text, "Strict", strict);
    rows(&mut text, "Exports", info.exports.iter().cloned());
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

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_plugin_host::format_names;

    #[test]
    fn built_in_formats_have_the_names_that_the_program_knows_them_by() {
        for component in builtin_formats() {
            let choice = ParserChoice::Builtin(component.name);
            let loaded = load_parser(&choice, &Limits::default(), false).unwrap();
            let told = loaded.info().formats.iter().map(|format| &*format.name);
            assert!(told.eq(component.formats.iter().copied()));
        }
        let list = list().unwrap();
        let (_, formats) = list.split_once("--dataset-parser:\n").unwrap();
        let listed = formats.lines().map(|line| line.split(' ').next().unwrap());
        assert!(listed.eq(format_names()));
    }
}
