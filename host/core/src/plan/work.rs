//! What is sent.

use super::generated::Generated;
use super::sessions::Sessions;
use crate::credential::public_members;
use crate::document::{DatasetRecord, WorkRecord};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What is sent: the source of requests and the parser need this, and nobody who carries a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// The parser.
    pub parser: ParserChoice,
    /// What reads the data set. `None`: the parser itself, or the built-in format that recognises the file.
    pub dataset_parser: Option<ParserChoice>,
    /// The field of the entries of the data set that has the prompt. `None`: one of the usual names.
    pub field: Option<String>,
    /// The folder of the images that a data set names. `None`: the folder of the data set.
    pub image_folder: Option<PathBuf>,
    /// Where prompts come from.
    pub prompts: PromptSource,
    /// How conversations of several turns go.
    pub sessions: Sessions,
    /// Which prompts of a data set are wanted.
    pub lengths: LengthFilter,
    /// Extra members of every request body.
    pub parameters: Map<String, Value>,
    /// The `tokenizer.json`.
    pub tokenizer: Option<PathBuf>,
    /// Whether entries of the data set from which no request can be made are counted and passed over.
    pub skip_bad_lines: bool,
}

impl Default for Work {
    /// An empty prompt, by the default parser.
    fn default() -> Self {
        Self {
            parser: ParserChoice::Builtin("openai_prompt"),
            dataset_parser: None,
            field: None,
            image_folder: None,
            prompts: PromptSource::Prompt(String::new()),
            sessions: Sessions::default(),
            lengths: LengthFilter::default(),
            parameters: Map::new(),
            tokenizer: None,
            skip_bad_lines: false,
        }
    }
}

impl Work {
    /// As it stands in a document, but for the data set, and without credentials among the parameters.
    pub(super) fn to_record(&self) -> WorkRecord {
        let prompt = match &self.prompts {
            PromptSource::Prompt(text) => Some(text.clone()),
            PromptSource::Dataset(_) | PromptSource::Generated(_) => None,
        };
        let generated = match &self.prompts {
            PromptSource::Generated(generated) => Some(generated),
            _ => None,
        };
        let prefixes = generated.and_then(|generated| generated.prefixes);
        WorkRecord {
            parser: Some(self.parser.label()),
            field: self.field.clone(),
            image_folder: self.image_folder.as_deref().map(path_text),
            prompt,
            min_prompt_length: Some(self.lengths.min),
            max_prompt_length: (self.lengths.max != u64::MAX).then_some(self.lengths.max),
            parameters: public_members(&self.parameters),
            input_tokens: generated.map(|generated| generated.input.to_string()),
            output_tokens: generated
                .and_then(|generated| generated.output.map(|output| output.to_string())),
            prefixes: prefixes.map(|prefixes| prefixes.to_string()),
            text: generated.and_then(|generated| generated.text.as_deref().map(path_text)),
            send_token_ids: generated.is_some_and(|generated| generated.as_token_ids),
            turns: self.sessions.turns.map(|turns| turns.to_string()),
            think_time: (self.sessions.think_time.as_ref()).map(|time| time.to_string()),
            recorded_replies: self.sessions.recorded_replies,
            prompt_order: Some("as in the data set".to_owned()),
            tokenizer: self.tokenizer.as_deref().map(path_text),
            skip_bad_lines: self.skip_bad_lines,
            ..WorkRecord::default()
        }
    }

    /// The data set as it stands in a document. It has not been read, so that its digest is not known.
    pub(super) fn dataset_record(&self) -> DatasetRecord {
        DatasetRecord {
            path: match &self.prompts {
                PromptSource::Prompt(_) | PromptSource::Generated(_) => None,
                PromptSource::Dataset(file) => Some(path_text(file)),
            },
            sha256: None,
            parser: self.dataset_parser.as_ref().map(ParserChoice::label),
        }
    }
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

/// Which parser to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParserChoice {
    /// One of the parsers inside this program, by name.
    Builtin(&'static str),
    /// A component in a file.
    File(PathBuf),
}

impl ParserChoice {
    /// The name or the path, as a person would type it.
    pub fn label(&self) -> String {
        match self {
            Self::Builtin(name) => (*name).to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// Where prompts come from.
#[derive(Debug, Clone, PartialEq)]
pub enum PromptSource {
    /// The same text for every request.
    Prompt(String),
    /// A file that the parser knows how to read.
    Dataset(PathBuf),
    /// Texts that are made.
    Generated(Generated),
}

/// Bounds of the length of a prompt, in Unicode scalar values; both bounds themselves are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LengthFilter {
    /// Prompts must be longer than this.
    pub min: u64,
    /// Prompts must be shorter than this.
    pub max: u64,
}

impl Default for LengthFilter {
    /// Every prompt that has any text.
    fn default() -> Self {
        Self {
            min: 0,
            max: u64::MAX,
        }
    }
}
