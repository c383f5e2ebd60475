//! What is sent: prompts, the parser that makes requests of them, and parameters.

use super::super::usage::UsageError;
use crate::cli::values::{Secret, pair, parameter, parameter_warning};
use llmuses_core::plan::{ParserChoice, PromptSource};
use llmuses_kernel_io::regular_file::read_regular_text;
use llmuses_observe::terminal;
use llmuses_plugin_host::{builtin, builtin_format, builtin_names, format_names};
use llmuses_workload::Dataset;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

pub(in crate::cli) fn parameters(typed: &[Secret]) -> Result<Map<String, Value>, UsageError> {
    let mut parameters = Map::new();
    for text in typed {
        let pair = pair(text).map_err(UsageError::ParameterForm)?;
        if let Some(warning) = parameter_warning(&pair) {
            terminal::say(format!("warning: {warning}"));
        }
        if parameters
            .insert(pair.key.clone(), parameter(&pair.value))
            .is_some()
        {
            return Err(UsageError::Twice {
                flag: "--parameters",
                key: pair.key.clone(),
            });
        }
    }
    Ok(parameters)
}

pub(in crate::cli) fn parser(text: &str) -> Result<ParserChoice, UsageError> {
    if let Some(component) = builtin(text) {
        return Ok(ParserChoice::Builtin(component.name));
    }
    let path = Path::new(text);
    if path.exists() {
        return Ok(ParserChoice::File(path.to_owned()));
    }
    Err(UsageError::Parser {
        name: text.to_owned(),
        known: builtin_names().collect(),
    })
}

/// What `--dataset-parser` names.
pub(super) fn format(text: &str) -> Result<ParserChoice, UsageError> {
    if let Some(name) = builtin_format(text) {
        return Ok(ParserChoice::Builtin(name));
    }
    let path = Path::new(text);
    if path.exists() {
        return Ok(ParserChoice::File(path.to_owned()));
    }
    Err(UsageError::DatasetParser {
        name: text.to_owned(),
        known: format_names().collect(),
    })
}

/// The largest file of `--prompt @FILE`.
const MOST_PROMPT_BYTES: u64 = 64 << 20;

/// Where prompts come from.
pub(super) fn prompts(
    prompt: Option<String>,
    dataset: Option<PathBuf>,
) -> Result<PromptSource, UsageError> {
    match (prompt, dataset) {
        (Some(prompt), _) => match prompt.strip_prefix('@') {
            Some(path) => read_regular_text(Path::new(path), MOST_PROMPT_BYTES)
                .map(|text| {
                    // The mark of a file is no part of its text.
                    PromptSource::Prompt(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
                })
                .map_err(|source| UsageError::PromptFile {
                    path: PathBuf::from(path),
                    source,
                }),
            None => Ok(PromptSource::Prompt(prompt)),
        },
        (None, Some(path)) => {
            Dataset::check(&path)?;
            Ok(PromptSource::Dataset(path))
        }
        (None, None) => Err(UsageError::NoPrompts),
    }
}
