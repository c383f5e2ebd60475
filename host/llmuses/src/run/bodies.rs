//! What makes the bodies of a run: which plugin reads the data set, and which makes requests.

use super::RunError;
use super::parser::load_parser;
use llmuses_core::messages::Messages;
use llmuses_core::plan::{Limits, ParserChoice, Replay};
use llmuses_core::wording::excerpt;
use llmuses_plugin_host::{
    BuildOptions, CallError, FileOptions, InstanceContext, Offers, Parser, builtin_formats,
};
use llmuses_workload::generate::{GeneratedEntries, PromptMaker};
use llmuses_workload::{
    ApiSettings, Bodies, Dataset, EntrySource, Filling, FormatEntries, ItemBodies, OnePrompt,
    OwnBodies, SessionDraws,
};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// `--field` with a parser that reads the data set itself.
    #[error(
        "--field: parser `{parser}` reads data sets in a format of its own; use a parser that takes any format, such as \
         openai_chat"
    )]
    OwnField {
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
    /// Several models with a parser that makes requests by itself.
    #[error(
        "--model: parser `{parser}` makes its requests by itself, all of them for one model; use a parser that takes any \
         prompt, such as openai_chat, or give one --model"
    )]
    OneModel {
        /// The parser.
        parser: String,
    },
    /// Sessions with an API whose answers say nothing.
    #[error(
        "--turns: parser `{parser}` has no conversations: its answers are nothing that a later turn could go on from; leave \
         --turns out, or use a parser of an API that generates text, such as openai_chat"
    )]
    NoConversation {
        /// The parser.
        parser: String,
    },
    /// `--trace` with a parser that reads the data set itself.
    #[error(
        "--trace: parser `{parser}` reads data sets in a format of its own, which has no times; use a parser that takes \
         any format, such as openai_chat"
    )]
    NoTimes {
        /// The parser.
        parser: String,
    },
    /// Several URLs that are not of one API.
    #[error(
        "--url {url}: several URLs need the same path and query, since a request is made before it is known where it goes"
    )]
    OtherPath {
        /// The one that differs from the first, without credentials.
        url: String,
    },
    /// A format without a data set.
    #[error("{label} is a format of data sets: it needs a file to read (--dataset)")]
    NoDataset {
        /// The plugin.
        label: String,
    },
    /// The data set is in another coding of characters.
    #[error(
        "the data set {} is UTF-16, and data sets are read as UTF-8: convert it, such as by `iconv -f UTF-16 -t UTF-8`",
        path.display()
    )]
    Utf16 {
        /// The data set.
        path: PathBuf,
    },
    /// No built-in format recognises the data set.
    #[error(
        "no format recognises the data set {}{field}, which begins with `{begin}`; name one with --dataset-parser, or a \
         .wasm file, or the field that has the prompt with --field. Known are:{known}",
        path.display()
    )]
    Unknown {
        /// The data set.
        path: PathBuf,
        /// Its beginning.
        begin: String,
        /// The formats and what they read.
        known: String,
        /// The field that was named.
        field: String,
    },
}

/// A format of data sets, and what it is told of the file.
#[derive(Clone)]
pub struct DataFormat {
    /// The component that has it.
    pub component: Parser,
    /// What it is told.
    pub options: FileOptions,
}

impl DataFormat {
    /// The format `name` of a component, or the one of its formats that recognises the file, else its first.
    fn of(
        component: Parser,
        name: Option<&str>,
        mut options: FileOptions,
        head: &[u8],
    ) -> Result<Self, CallError> {
        let formats = &component.info().formats;
        let named = name.filter(|name| formats.iter().any(|format| format.name == *name));
        options.format = match named {
            Some(name) => Some(name.to_owned()),
            None if formats.len() == 1 => None,
            None => {
                let mut instance = component.instantiate(InstanceContext::default())?;
                instance.recognises(head, &options)?
            }
        };
        Ok(Self { component, options })
    }

    /// Its name and what it reads, by its own account.
    pub fn info(&self) -> (String, &str) {
        let info = self.component.info();
        let name = self.options.format.as_ref();
        let format = match name {
            Some(name) => info.formats.iter().find(|format| format.name == *name),
            None => info.formats.first(),
        };
        match format {
            Some(format) => (format.name.clone(), format.description.trim()),
            None => (name.unwrap_or(&info.name).clone(), ""),
        }
    }

    /// The same format, with what it may log counted from the beginning.
    pub fn for_another_run(&self) -> Self {
        Self {
            component: self.component.for_another_run(),
            options: self.options.clone(),
        }
    }
}

/// The format of this name in a component, or the one that recognises the data set.
///
/// # Errors
/// Where the data set cannot be read, or the component breaks.
pub fn format_in(
    component: &Parser,
    name: &str,
    dataset: &Dataset,
) -> Result<DataFormat, RunError> {
    let head = dataset.head()?;
    let options = file_options(dataset, &head, None);
    Ok(DataFormat::of(
        component.clone(),
        Some(name),
        options,
        &head,
    )?)
}

/// What a format is told of a data set.
pub fn file_options(dataset: &Dataset, head: &[u8], field: Option<&str>) -> FileOptions {
    FileOptions {
        file_name: dataset.file_name(),
        head: String::from_utf8_lossy(head).into_owned(),
        format: None,
        field: field.map(str::to_owned),
    }
}

/// The format that reads the data set for an API: the one that was chosen, that of the plugin itself, or the built-in
/// one that recognises the file.
///
/// # Errors
/// Where there is none, or it cannot be loaded.
pub fn format_of(
    parser: &Parser,
    choice: Option<&ParserChoice>,
    field: Option<&str>,
    dataset: &Dataset,
    limits: &Limits,
    debug: bool,
) -> Result<Option<DataFormat>, RunError> {
    let info = parser.info();
    let chosen = |component: Parser, name: Option<&str>| {
        let head = dataset.head()?;
        let options = file_options(dataset, &head, field);
        Ok::<_, RunError>(Some(DataFormat::of(component, name, options, &head)?))
    };
    match (info.offers, choice) {
        (Offers::Format, _) => Err(FormatError::NoApi {
            label: info.name.clone(),
        }
        .into()),
        (Offers::OwnRequests, Some(_)) => Err(FormatError::OfItsOwn {
            parser: info.name.clone(),
        }
        .into()),
        (Offers::OwnRequests, None) if field.is_some() => Err(FormatError::OwnField {
            parser: info.name.clone(),
        }
        .into()),
        (Offers::OwnRequests, None) => Ok(None),
        (_, Some(choice)) => {
            let format = load_parser(choice, limits, debug)?;
            if !format.info().offers.has_format() {
                return Err(FormatError::NoFormat {
                    label: choice.label(),
                    offers: format.info().offers.as_str(),
                }
                .into());
            }
            match choice {
                ParserChoice::Builtin(name) => chosen(format, Some(name)),
                ParserChoice::File(_) => chosen(format, None),
            }
        }
        (Offers::ApiAndFormat, None) => chosen(parser.clone(), None),
        (Offers::Api, None) => recognised(dataset, field, limits).map(Some),
    }
}

/// The first built-in format that recognises the data set.
///
/// # Errors
/// Where there is none, or it cannot be loaded.
pub fn recognised(
    dataset: &Dataset,
    field: Option<&str>,
    limits: &Limits,
) -> Result<DataFormat, RunError> {
    let head = dataset.head()?;
    if head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") {
        let path = dataset.path().to_owned();
        return Err(FormatError::Utf16 { path }.into());
    }
    let mut options = file_options(dataset, &head, field);
    let mut known = String::new();
    for component in builtin_formats() {
        let choice = ParserChoice::Builtin(component.name);
        let format = load_parser(&choice, limits, false)?;
        let mut instance = format.instantiate(InstanceContext::default())?;
        if let Some(name) = instance.recognises(&head, &options)? {
            options.format = Some(name);
            return Ok(DataFormat {
                component: format,
                options,
            });
        }
        for format in &format.info().formats {
            // Writing to a string cannot fail.
            let _ = write!(known, "\n  {}: {}", format.name, format.description);
        }
    }
    let line = head.trim_ascii_start().split(|byte| *byte == b'\n').next();
    Err(FormatError::Unknown {
        path: dataset.path().to_owned(),
        begin: excerpt(line.unwrap_or_default()),
        known,
        field: field.map_or(String::new(), |field| format!(" with --field {field}")),
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
    /// What is put into the turns of a data set.
    pub filling: Arc<Filling>,
    /// How the data set is replayed by its times. `None`: it is not.
    pub replay: Option<Replay>,
    /// What an API is told.
    pub api: ApiSettings,
}

/// What makes the bodies of a run with this parser, and this format where it takes one.
///
/// # Errors
/// Where a plugin breaks as it starts.
pub fn bodies(
    parser: &Parser,
    format: Option<&DataFormat>,
    dataset: Option<&Dataset>,
    context: &InstanceContext,
    asked: Asked,
    messages: &Messages,
) -> Result<Box<dyn Bodies>, CallError> {
    let Asked {
        prompt,
        prompts,
        draws,
        filling,
        replay,
        api,
    } = asked;
    if parser.info().offers == Offers::OwnRequests {
        let instance = parser.instantiate(context.clone())?;
        let options = BuildOptions {
            model: api.model,
            has_dataset: dataset.is_some(),
            prompt,
            min_length: api.lengths.min,
            max_length: api.lengths.max,
            parameters: api.parameters,
        };
        return Ok(Box::new(OwnBodies::new(instance, options)));
    }
    let entries: Box<dyn EntrySource> = match (format, dataset, prompts) {
        (_, _, Some(prompts)) => Box::new(GeneratedEntries::new(prompts, draws)),
        (Some(format), Some(_), None) => Box::new(
            FormatEntries::new(
                format.component.instantiate(context.clone())?,
                format.options.clone(),
                filling,
                messages.clone(),
            )
            .replayed(replay),
        ),
        _ => Box::new(OnePrompt::new(prompt.unwrap_or_default(), draws)),
    };
    // An API makes requests of items, and reads no file.
    let instance = parser.instantiate(InstanceContext {
        dataset: None,
        ..context.clone()
    })?;
    Ok(Box::new(ItemBodies::new(instance, api, entries)))
}
