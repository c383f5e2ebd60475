//! What makes the bodies of a run: which plugin reads the data set, and which makes requests.

use super::RunError;
use super::preparation::load_parser;
use llmuses_core::messages::Messages;
use llmuses_core::plan::{Limits, ParserChoice};
use llmuses_core::wording::excerpt;
use llmuses_plugin_host::{
    BuildOptions, CallError, InstanceContext, Offers, Parser, builtin_formats,
};
use llmuses_workload::generate::{GeneratedEntries, PromptMaker};
use llmuses_workload::{
    ApiSettings, Bodies, Dataset, Entries, FormatEntries, ItemBodies, OnePrompt, OwnBodies,
    SessionDraws,
};
use std::path::PathBuf;

/// The plugins that were chosen do not fit together, or none fits the data set.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// `--dataset-parser` with a parser that reads the data set itself.
    #[error(
        "--dataset-parser: parser `{parser}` reads data sets in a format of its own; leave --dataset-parser out, or \
         use a parser that takes any format, such as openai_chat"
    )]
    OfItsOwn {
        /// The parser.
        parser: String,
    },
    /// `--dataset-parser` names something else.
    #[error("--dataset-parser: {label} is no format of data sets, but {offers}")]
    NoFormat {
        /// The plugin.
        label: String,
        /// What it is.
        offers: &'static str,
    },
    /// `--parser` names a format.
    #[error(
        "--parser: {label} reads data sets and knows no API: name it with --dataset-parser, and the API with --parser"
    )]
    NoApi {
        /// The plugin.
        label: String,
    },
    /// `--input-tokens` with a parser that makes requests by itself.
    #[error(
        "--input-tokens: parser `{parser}` makes its requests by itself, of a prompt or a data set; use a parser that \
         takes any prompt, such as openai_chat"
    )]
    MakesItsOwn {
        /// The parser.
        parser: String,
    },
    /// Sessions with a parser that makes requests by itself.
    #[error(
        "--turns: parser `{parser}` makes its requests by itself, each of one turn; use a parser that takes any \
         conversation, such as openai_chat"
    )]
    OneTurnEach {
        /// The parser.
        parser: String,
    },
    /// A format without a data set.
    #[error("{label} is a format of data sets: it needs a file to read (--dataset)")]
    NoDataset {
        /// The plugin.
        label: String,
    },
    /// No built-in format recognises the data set.
    #[error(
        "no format recognises the data set {}, which begins with `{begin}`. Known are {known}; name one with \
         --dataset-parser, or a .wasm file",
        path.display()
    )]
    Unknown {
        /// The data set.
        path: PathBuf,
        /// Its beginning.
        begin: String,
        /// The formats and what they read.
        known: String,
    },
}

/// The format that reads the data set for an API: the one that was chosen, that of the plugin itself, or the built-in
/// one that recognises the file.
///
/// # Errors
/// Where there is none, or it cannot be loaded.
pub fn format_of(
    parser: &Parser,
    choice: Option<&ParserChoice>,
    dataset: &Dataset,
    limits: &Limits,
) -> Result<Option<Parser>, RunError> {
    let info = parser.info();
    match (info.offers, choice) {
        (Offers::Format, _) => Err(FormatError::NoApi {
            label: info.name.clone(),
        }
        .into()),
        (Offers::OwnRequests, Some(_)) => Err(FormatError::OfItsOwn {
            parser: info.name.clone(),
        }
        .into()),
        (Offers::OwnRequests, None) => Ok(None),
        (_, Some(choice)) => {
            let format = load_parser(choice, limits)?;
            if !format.info().offers.has_format() {
                return Err(FormatError::NoFormat {
                    label: choice.label(),
                    offers: format.info().offers.as_str(),
                }
                .into());
            }
            Ok(Some(format))
        }
        (Offers::ApiAndFormat, None) => Ok(Some(parser.clone())),
        (Offers::Api, None) => recognised(dataset, limits).map(Some),
    }
}

/// The first built-in format that recognises the data set.
fn recognised(dataset: &Dataset, limits: &Limits) -> Result<Parser, RunError> {
    let head = dataset.head()?;
    let mut known = Vec::new();
    for component in builtin_formats() {
        let choice = ParserChoice::Builtin(component.name);
        let format = load_parser(&choice, limits)?;
        let mut instance = format.instantiate(InstanceContext::default())?;
        if instance.recognises(&head, &dataset.file_name())? {
            return Ok(format);
        }
        let info = format.info();
        known.push(format!("{} ({})", info.name, info.description));
    }
    let line = head.trim_ascii_start().split(|byte| *byte == b'\n').next();
    Err(FormatError::Unknown {
        path: dataset.path().to_owned(),
        begin: excerpt(line.unwrap_or_default()),
        known: known.join(", "),
    }
    .into())
}

/// What is asked of the plugins.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `--prompt`, where there is no data set.
    pub prompt: Option<String>,
    /// What makes prompts, where they are made up.
    pub prompts: Option<PromptMaker>,
    /// What is drawn for each session.
    pub draws: SessionDraws,
    /// What an API is told.
    pub api: ApiSettings,
}

/// What makes the bodies of a run with this parser, and this format where it takes one.
///
/// # Errors
/// Where a plugin breaks as it starts.
pub fn bodies(
    parser: &Parser,
    format: Option<&Parser>,
    dataset: Option<&Dataset>,
    context: &InstanceContext,
    asked: Asked,
    messages: &Messages,
) -> Result<Box<dyn Bodies>, CallError> {
    let Asked {
        prompt,
        prompts,
        draws,
        api,
    } = asked;
    if parser.info().offers == Offers::OwnRequests {
        let instance = parser.instantiate(context.clone())?;
        let options = BuildOptions {
            model: api.model,
            has_dataset: dataset.is_some(),
            prompt,
            min_length: api.min_length,
            max_length: api.max_length,
            parameters: api.parameters,
        };
        return Ok(Box::new(OwnBodies::new(instance, options)));
    }
    let entries: Box<dyn Entries> = match (format, dataset, prompts) {
        (_, _, Some(prompts)) => Box::new(GeneratedEntries::new(prompts, draws)),
        (Some(format), Some(dataset), None) => Box::new(FormatEntries::new(
            format.instantiate(context.clone())?,
            dataset.file_name(),
            messages.clone(),
        )),
        _ => Box::new(OnePrompt::new(prompt.unwrap_or_default(), draws)),
    };
    // An API makes requests of items, and reads no file.
    let instance = parser.instantiate(InstanceContext {
        dataset: None,
        ..context.clone()
    })?;
    Ok(Box::new(ItemBodies::new(instance, api, entries)))
}
