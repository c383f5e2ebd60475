//! What makes the bodies of a run: which plugin reads the data set, and which makes requests.

use super::RunError;
use super::format_error::FormatError;
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
use std::sync::Arc;

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

/// What a file is that is no text, by its first bytes, and what to do with it. `None`: it is none that is known.
fn no_text(head: &[u8]) -> Option<(&'static str, &'static str)> {
    const CONVERT: &str = "convert it to JSON lines, as pandas, polars and DuckDB can";
    const UNPACK: &str = "unpack it, or pack it with gzip or Zstandard";
    let kinds: [(&[u8], _, _); 6] = [
        (b"PAR1", "a Parquet file", CONVERT),
        (b"ARROW1", "an Arrow file", CONVERT),
        (b"SQLite format 3\0", "an SQLite database", CONVERT),
        (b"PK\x03\x04", "a ZIP archive", UNPACK),
        (b"BZh", "packed with bzip2", UNPACK),
        (b"\xFD7zXZ\0", "packed with xz", UNPACK),
    ];
    let found = kinds.iter().find(|(begin, _, _)| head.starts_with(begin));
    found.map(|(_, kind, help)| (*kind, *help))
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
    if let Some((kind, help)) = no_text(&head) {
        let path = dataset.path().to_owned();
        return Err(FormatError::NoText { path, kind, help }.into());
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
