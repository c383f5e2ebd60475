//! `llmuses plugin check`: a parser at work, without a server. It is loaded under its bounds, makes a few
//! bodies, and reads a response: a recorded one, or samples of the APIs that the built-in parsers know.

mod format;
mod samples;
mod text;

use super::super::bounds::BoundsArguments;
use super::super::perf::{UsageError, parameters};
use super::super::{CommandOutcome, values};
use super::recording::{events, recorded};
use crate::run::{Asked, DataFormat, FormatError, RunError, bodies, format_in, format_of};
use clap::Args;
use format::check_format;
use llmuses_core::exchange::{Reading, ResponseLog};
use llmuses_observe::terminal::{messages, print};
use llmuses_plugin_host::{
    CallError, InstanceContext, Offers, Parser, ParserInstance, TokenCounter,
};
use llmuses_workload::{ApiSettings, Dataset, HostTokenizer};
use samples::SAMPLES;
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use text::{cost, cut, describe, shown, tell_skipped};
use url::Url;

/// Requests or entries that are shown.
const ENTRIES: usize = 3;

/// How often a response is read to tell what that costs.
const READINGS: u32 = 200;

/// The prompt where neither a prompt nor a data set is given.
const SAMPLE_PROMPT: &str = "Say hello.";

/// Arguments of `llmuses plugin check`.
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Name of a built-in plugin, or a .wasm file.
    #[arg(value_name = "NAME|FILE")]
    parser: String,

    /// Data set to make requests of; a format of data sets needs one.
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    dataset: Option<PathBuf>,

    /// Prompt to make a request of [default: "Say hello.", where there is no data set]
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,

    /// Recorded response, as `curl -i -N` or `llmuses perf --record` writes it; or its body alone; or the data of a
    /// stream, one event a line [default: samples of the OpenAI and DashScope APIs, of which one must be readable]
    #[arg(long, value_name = "FILE")]
    responses: Option<PathBuf>,

    /// Name of the model in the requests.
    #[arg(long, default_value = "model")]
    model: String,

    /// Extra members of every request body, as in `llmuses perf`.
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., value_parser = values::secret)]
    parameters: Vec<values::Secret>,

    /// Folder with tokenizer.json, or that file.
    #[arg(long, value_name = "PATH")]
    tokenizer_path: Option<PathBuf>,

    #[command(flatten)]
    bounds: BoundsArguments,
}

/// Runs `llmuses plugin check`.
pub(super) fn execute(arguments: CheckArguments) -> anyhow::Result<CommandOutcome> {
    let dataset = match &arguments.dataset {
        Some(path) => Some(Arc::new(Dataset::open(path).map_err(UsageError::Dataset)?)),
        None => None,
    };
    let tokenizer = match &arguments.tokenizer_path {
        Some(path) => {
            let path = HostTokenizer::find(path).map_err(UsageError::Tokenizer)?;
            let tokenizer = HostTokenizer::load(&path).map_err(UsageError::Tokenizer)?;
            Some(Arc::new(tokenizer) as Arc<dyn TokenCounter>)
        }
        None => None,
    };
    let parameters = parameters(&arguments.parameters)?;
    let began = Instant::now();
    let bounds = arguments.bounds.into_bounds();
    let parser = super::load(&arguments.parser, &bounds)?;
    let info = parser.info();
    print(format!(
        "loaded {} {} within its bounds in {}\n",
        info.name,
        info.version,
        shown(began.elapsed())
    ));
    let context = InstanceContext {
        dataset: dataset.clone().map(|dataset| dataset as _),
        tokenizer,
        debug: true,
        ..InstanceContext::default()
    };
    if info.offers == Offers::Format {
        let Some(dataset) = &dataset else {
            let error = FormatError::NoDataset {
                label: info.name.clone(),
            };
            return Err(RunError::from(error).into());
        };
        let format = format_in(&parser, &arguments.parser, dataset)?;
        return Ok(check_format(&format, context));
    }
    let responses = match &arguments.responses {
        Some(path) => {
            let recorded = recorded(path, info.framing)?;
            if let Some(failure) = &recorded.failure {
                print(format!(
                    "{}: a run counts this response as failed: {failure}\n",
                    path.display()
                ));
            }
            vec![(path.display().to_string(), recorded.log)]
        }
        None => SAMPLES
            .iter()
            .map(|(label, text)| ((*label).to_owned(), events(text)))
            .collect(),
    };
    let format = match &dataset {
        Some(dataset) => format_of(
            &parser,
            None,
            None,
            dataset,
            &super::limits_of(&bounds),
            false,
        )?,
        None => None,
    };
    let prompt = match (&dataset, arguments.prompt) {
        (Some(_), _) => None,
        (None, prompt) => Some(prompt.unwrap_or_else(|| SAMPLE_PROMPT.to_owned())),
    };
    let check = Check {
        parser: &parser,
        format,
        dataset: dataset.clone(),
        context,
        asked: Asked {
            draws: llmuses_workload::SessionDraws::new(Default::default(), 0),
            prompt,
            prompts: None,
            filling: Arc::default(),
            replay: None,
            api: ApiSettings {
                model: arguments.model,
                models: Default::default(),
                parameters: Value::Object(parameters).to_string(),
                url: Url::parse("http://host")?,
                path: info.path.clone(),
                has_content_type: false,
                lengths: Default::default(),
            },
        },
    };
    let (text, requests) = check.requests();
    print(text);
    let bodies = match requests {
        Ok(bodies) => bodies,
        Err(error) => {
            print(format!("FAILED: {error}\n"));
            return Ok(CommandOutcome::Failed);
        }
    };
    let request = bodies.first().map_or("{}".as_bytes(), Vec::as_slice);
    let is_recorded = arguments.responses.is_some();
    let mut readable = 0;
    let mut broken = false;
    for (label, response) in &responses {
        let (text, reading) = check.response(label, response, request);
        print(text);
        // A parser of another API may read a response without making anything of it. In a recording, a count of tokens
        // is something; the samples have output that each parser of their API must find.
        readable += usize::from(reading.as_ref().is_ok_and(|reading| {
            !reading.outputs.is_empty() || (is_recorded && reading.completion.is_some())
        }));
        broken |= matches!(reading, Err(CallError::Broken { .. }));
    }
    let works = readable > 0 && !broken && !bodies.is_empty();
    if works {
        print("it works\n");
    } else if bodies.is_empty() {
        print("FAILED: it made no request\n");
    } else if broken {
        print("FAILED: it broke\n");
    } else if !is_recorded {
        print(
            "FAILED: it found no output in the samples, which are of the OpenAI and DashScope APIs; for another API, give \
             a response of it with --responses FILE, such as one that `llmuses perf --record FILE` or `curl -i -N` wrote\n",
        );
    } else {
        print("FAILED: it found neither output nor a count of output tokens in the response\n");
    }
    Ok(if works {
        CommandOutcome::Done
    } else {
        CommandOutcome::Failed
    })
}

/// A parser and what it is asked.
struct Check<'a> {
    parser: &'a Parser,
    format: Option<DataFormat>,
    dataset: Option<Arc<Dataset>>,
    context: InstanceContext,
    asked: Asked,
}

impl Check<'_> {
    /// The first bodies, and what it cost to make them.
    fn requests(&self) -> (String, Result<Vec<Vec<u8>>, CallError>) {
        let mut text = String::new();
        let result = self.make_requests(&mut text);
        (text, result)
    }

    fn make_requests(&self, text: &mut String) -> Result<Vec<Vec<u8>>, CallError> {
        let mut source = bodies(
            self.parser,
            self.format.as_ref(),
            self.dataset.as_deref(),
            &self.context,
            self.asked.clone(),
            &messages(),
        )?;
        source.begin()?;
        let mut made = Vec::new();
        while made.len() < ENTRIES {
            let more = source.next((ENTRIES - made.len()) as u32)?;
            if more.is_empty() {
                break;
            }
            made.extend(more);
        }
        let skipped = source.skipped()?;
        source.end()?;
        for (index, made) in made.iter().enumerate() {
            let head = made.own_head.as_deref();
            let path = head.and_then(|head| head.path.as_deref());
            let kind = head.and_then(|head| head.content_type.as_ref()?.to_str().ok());
            let head: String = path
                .into_iter()
                .chain(kind)
                .map(|part| format!("{part} "))
                .collect();
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "request {}: {head}{}",
                index + 1,
                cut(&String::from_utf8_lossy(&made.body))
            );
        }
        tell_skipped(text, &skipped);
        let _ = writeln!(text, "cost of requests: {}", cost(source.cost()));
        Ok(made.into_iter().map(|made| made.body.to_vec()).collect())
    }

    /// What it reads in a response, and what that costs.
    fn response(
        &self,
        label: &str,
        response: &ResponseLog,
        request: &[u8],
    ) -> (String, Result<Reading, CallError>) {
        let mut text = String::new();
        let started = self.parser.instantiate(self.context.clone());
        let result = started.and_then(|mut instance| {
            let read = |instance: &mut ParserInstance| {
                instance.parse_responses(response, request, &self.asked.api.parameters, true)
            };
            let reading = read(&mut instance)?;
            for _ in 1..READINGS {
                read(&mut instance)?;
            }
            let events = response.len();
            let _ = writeln!(text, "response ({label}), {events} events:");
            describe(&mut text, &reading, events);
            let _ = writeln!(text, "  cost: {}", cost(instance.cost()));
            Ok(reading)
        });
        if let Err(error) = &result {
            let _ = writeln!(text, "response ({label}): not read: {error}");
        }
        (text, result)
    }
}
