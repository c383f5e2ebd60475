//! What all loads of a command share: parser, data set, tokenizer and the schedule of a trace.

use super::bodies::{DataFormat, format_of};
use super::error::RunError;
use super::format_error::FormatError;
use super::made_up;
use super::made_up::PromptKind;
use super::outputs::Outputs;
use super::parser::load_parser;
use super::schedule::{self, TraceSchedule};
use llmuses_core::credential::public_url;
use llmuses_core::document::Task;
use llmuses_core::item::Item;
use llmuses_core::plan::{Arrivals, LengthFilter, Plan, PromptSource, Target};
use llmuses_core::wording::hexadecimal;
use llmuses_kernel_io::regular_file::open_regular;
use llmuses_observe::terminal;
use llmuses_plugin_host::{CallError, InstanceContext, Offers, Parser, complete};
use llmuses_workload::generate::{ChatTemplate, Line, Words};
use llmuses_workload::{Dataset, Filling, HostTokenizer};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// What all loads of a command share, loaded once: a later load begins as the first one does.
pub(super) struct Loaded {
    pub(super) parser: Parser,
    /// What reads the data set, where the parser does not do that by itself.
    pub(super) format: Option<DataFormat>,
    pub(super) tokenizer: Option<Arc<HostTokenizer>>,
    /// What made-up prompts are made of.
    pub(super) words: Option<Words>,
    /// By what line the server counts their tokens, where no tokenizer does.
    pub(super) learned: Option<Line>,
    pub(super) dataset: Option<Dataset>,
    pub(super) dataset_sha256: Option<String>,
    /// When the requests of a trace are due.
    pub(super) schedule: Option<TraceSchedule>,
    /// What requests are made from, with its digests, once that was asked for.
    made_from: Option<Vec<(String, String)>>,
}

impl Loaded {
    pub(super) fn of(plan: &Plan, outputs: &Outputs) -> Result<Self, RunError> {
        let work = &plan.work;
        let parser = load_parser(&work.parser, &plan.limits, outputs.debug)?;
        let tokenizer = match &work.tokenizer {
            Some(path) => Some(Arc::new(
                HostTokenizer::load(path)?.with_messages(terminal::messages()),
            )),
            None => None,
        };
        if work.sessions.turns.is_some() && parser.info().offers == Offers::OwnRequests {
            return Err(FormatError::OneTurnEach {
                parser: parser.info().name.clone(),
            }
            .into());
        }
        if !plan.target.models.is_empty() && parser.info().offers == Offers::OwnRequests {
            return Err(FormatError::OneModel {
                parser: parser.info().name.clone(),
            }
            .into());
        }
        if work.sessions.turns.is_some() && parser.info().task != Task::Generate {
            return Err(FormatError::NoConversation {
                parser: parser.info().name.clone(),
            }
            .into());
        }
        let words = match &work.prompts {
            PromptSource::Generated(_) if parser.info().offers == Offers::OwnRequests => {
                return Err(FormatError::MakesItsOwn {
                    parser: parser.info().name.clone(),
                }
                .into());
            }
            PromptSource::Generated(generated) => {
                let tokenizer = work.tokenizer.as_deref().zip(tokenizer.as_ref());
                if generated.as_token_ids {
                    ensure_token_ids(&parser, plan)?;
                }
                let kind = PromptKind {
                    // Around ids a server puts nothing.
                    has_template: parser.info().has_template && !generated.as_token_ids,
                    has_later_turns: work.sessions.turns.is_some(),
                };
                Some(made_up::words(generated, tokenizer, kind)?)
            }
            _ => None,
        };
        let dataset = match &work.prompts {
            PromptSource::Dataset(path) => Some(Dataset::open(path)?),
            PromptSource::Prompt(_) | PromptSource::Generated(_) => None,
        };
        let format = format_for(plan, outputs, &parser, dataset.as_ref())?;
        let words = match (words, &format, &dataset) {
            (None, Some(format), Some(dataset)) if tokenizer.is_none() => {
                has_lengths_alone(format, dataset)?.then(made_up::common_words)
            }
            (words, ..) => words,
        };
        let mut loaded = Self {
            parser,
            format,
            tokenizer,
            words,
            learned: None,
            dataset_sha256: dataset.as_ref().and_then(digest_of),
            dataset,
            schedule: None,
            made_from: None,
        };
        loaded.schedule = loaded.read_schedule(plan)?;
        Ok(loaded)
    }

    /// The schedule of a trace, where there is one.
    pub(super) fn read_schedule(&self, plan: &Plan) -> Result<Option<TraceSchedule>, RunError> {
        let Arrivals::Trace(replay) = plan.load.arrivals else {
            return Ok(None);
        };
        let Some((format, dataset)) = self.format.as_ref().zip(self.dataset.as_ref()) else {
            return Err(FormatError::NoTimes {
                parser: self.parser.info().name.clone(),
            }
            .into());
        };
        let work = &plan.work;
        let mut filling = Filling::default();
        // A text that is made of a length is never empty; how many characters it has is asked for bounds alone.
        if work.lengths != LengthFilter::default() {
            let has_template = self.parser.info().has_template;
            let (tokenizer, words) = (self.tokenizer.as_ref(), self.words.as_ref());
            let (seed, run) = (plan.load.seed, plan.place.run);
            filling.lengths =
                made_up::filling(work, tokenizer, words, has_template, seed, run).lengths;
        }
        schedule::read(work, replay, plan.load.split(), format, dataset, filling).map(Some)
    }

    /// Whether it is still to be learned how many tokens made-up prompts have, or those of a trace.
    pub(super) fn must_learn(&self) -> bool {
        self.words.is_some() && self.tokenizer.is_none() && self.learned.is_none()
    }

    /// What requests are made from, each with its SHA-256: the same on all machines, or they send something else. Images
    /// and audio that a data set names are not among it: they are read when they are sent.
    ///
    /// # Errors
    /// Where a file cannot be read any more.
    pub(super) fn made_from(&mut self, plan: &Plan) -> Result<Vec<(String, String)>, RunError> {
        if self.made_from.is_none() {
            self.made_from = Some(self.digests(plan)?);
        }
        Ok(self.made_from.clone().unwrap_or_default())
    }

    fn digests(&self, plan: &Plan) -> Result<Vec<(String, String)>, RunError> {
        let work = &plan.work;
        let mut digests = vec![("parser", self.parser.info().sha256.clone())];
        let dataset = self.dataset_sha256.clone();
        digests.extend(dataset.map(|digest| ("data set", digest)));
        let format = self.format.as_ref();
        digests.extend(format.map(|format| {
            (
                "format of the data set",
                format.component.info().sha256.clone(),
            )
        }));
        let text = match &work.prompts {
            PromptSource::Generated(generated) => generated.text.clone(),
            PromptSource::Prompt(_) | PromptSource::Dataset(_) => None,
        };
        if let Some(text) = text {
            digests.push(("text of prompts", digest_of_files(&[text])?));
        }
        if let Some(path) = &work.tokenizer {
            digests.push(("tokenizer", digest_of_files(&HostTokenizer::files(path))?));
            let template = ChatTemplate::files_beside(path);
            if !template.is_empty() && self.may_count_template(plan) {
                digests.push(("chat template", digest_of_files(&template)?));
            }
        }
        // The table itself was read with the arguments.
        if let (Some(_), Some(stages)) = (&plan.load.rate_from, &plan.load.stages) {
            let digest = Sha256::digest(stages.to_string());
            digests.push(("table of rates", hexadecimal(&digest)));
        }
        let named = digests.into_iter();
        Ok(named
            .map(|(what, digest)| (what.to_owned(), digest))
            .collect())
    }

    /// Whether the tokens of a chat template can be part of the lengths of prompts: of entries of lengths alone they are, and
    /// one may stand anywhere in a data set.
    fn may_count_template(&self, plan: &Plan) -> bool {
        let may_have_lengths = match &plan.work.prompts {
            PromptSource::Generated(_) => true,
            PromptSource::Dataset(_) => self.format.is_some(),
            PromptSource::Prompt(_) => false,
        };
        may_have_lengths && self.parser.info().has_template
    }

    /// The plan with the whole URL, as the API completes it.
    ///
    /// # Errors
    /// Where several URLs have different paths or queries.
    pub(super) fn addressed(&self, plan: &Plan) -> Result<Plan, FormatError> {
        let mut addressed = plan.clone();
        if let Some(path) = &self.parser.info().path {
            let target = &mut addressed.target;
            target.url = complete(&given_url(&plan.target), path, &plan.target.model);
            for url in &mut target.more_urls {
                *url = complete(url, path, &plan.target.model);
            }
        }
        let target = &addressed.target;
        let differs =
            |other: &&Url| other.path() != target.url.path() || other.query() != target.url.query();
        match target.more_urls.iter().find(differs) {
            Some(other) => Err(FormatError::OtherPath {
                url: public_url(other),
            }),
            None => Ok(addressed),
        }
    }
}

/// The URL as the user gave it: of the default one, only host and port.
pub(super) fn given_url(target: &Target) -> Url {
    let mut url = target.url.clone();
    if target.url_is_default {
        url.set_path("");
    }
    url
}

/// Whether an API takes prompts as the ids of their tokens: it is to make a request of one.
///
/// # Errors
/// Where it makes none.
fn ensure_token_ids(parser: &Parser, plan: &Plan) -> Result<(), RunError> {
    let item = Item {
        prompt_token_ids: vec![1],
        ..Item::default()
    };
    // Values of JSON are always text.
    let item = serde_json::to_string(&item).unwrap_or_default();
    let parameters = serde_json::Value::Object(plan.work.parameters.clone()).to_string();
    let mut instance = parser.instantiate(InstanceContext::default())?;
    let made = instance.requests_of(&[item], &plan.target.model, &parameters)?;
    match made.into_iter().find_map(Result::err) {
        Some(reason) => Err(FormatError::NoTokenIds {
            parser: parser.info().name.clone(),
            reason,
        }
        .into()),
        None => Ok(()),
    }
}

/// Entries of a data set that are looked at to see whether it is a trace of lengths alone.
const LOOKED_AT: u32 = 16;

/// Whether some of the first entries of a data set tell only lengths. Entries that cannot be read are said when they are
/// to be sent.
fn has_lengths_alone(format: &DataFormat, dataset: &Dataset) -> Result<bool, CallError> {
    let dataset = dataset.for_another_run(&Arc::default());
    let mut instance = format.component.instantiate(InstanceContext {
        dataset: Some(Arc::new(dataset)),
        ..InstanceContext::default()
    })?;
    let entries = match instance.open(&format.options) {
        Ok(entries) => instance.next_entries(entries, LOOKED_AT),
        Err(error) => Err(error),
    };
    let turns = entries.iter().flatten().flat_map(|entry| &entry.turns);
    Ok(turns
        .into_iter()
        .any(|turn| turn.asks_nothing() && turn.input_tokens.is_some()))
}

/// What reads the data set of a plan for its parser, and says so.
fn format_for(
    plan: &Plan,
    outputs: &Outputs,
    parser: &Parser,
    dataset: Option<&Dataset>,
) -> Result<Option<DataFormat>, RunError> {
    let Some(dataset) = dataset else {
        return match parser.info().offers.has_api() {
            true => Ok(None),
            false => Err(FormatError::NoApi {
                label: parser.info().name.clone(),
            }
            .into()),
        };
    };
    let choice = plan.work.dataset_parser.as_ref();
    let field = plan.work.field.as_deref();
    let format = format_of(parser, choice, field, dataset, &plan.limits, outputs.debug)?;
    // Of a parser with a format of its own there is nothing to say.
    let is_its_own = choice.is_none() && parser.info().offers == Offers::ApiAndFormat;
    if let Some(format) = format.as_ref().filter(|_| !outputs.quiet && !is_its_own) {
        let (name, description) = format.info();
        let described = match description {
            "" => String::new(),
            text => format!(" ({text})"),
        };
        terminal::say(format!(
            "Data set {} read as {name}{described}",
            dataset.path().display(),
        ));
    }
    Ok(format)
}

/// The digest of a data set. `None`: it cannot be read, which the run then says.
fn digest_of(dataset: &Dataset) -> Option<String> {
    let mut digest = Sha256::new();
    add(&mut digest, dataset.file().ok()?).ok()?;
    Some(hexadecimal(&digest.finalize()))
}

/// The digest of files, one behind the other.
///
/// # Errors
/// Where one cannot be read.
pub fn digest_of_files(paths: &[PathBuf]) -> Result<String, RunError> {
    let mut digest = Sha256::new();
    for path in paths {
        open_regular(path)
            .and_then(|file| add(&mut digest, file))
            .map_err(|source| RunError::Digest {
                path: path.clone(),
                source,
            })?;
    }
    Ok(hexadecimal(&digest.finalize()))
}

fn add(digest: &mut Sha256, mut content: impl Read) -> std::io::Result<()> {
    let mut piece = vec![0; 64 << 10];
    loop {
        match content.read(&mut piece)? {
            0 => return Ok(()),
            read => digest.update(&piece[..read]),
        }
    }
}
