//! `llmuses plugin check`: a parser at work, without a server. It is loaded under its bounds, makes a few
//! bodies, and reads a response: a recorded one, or samples of the APIs that the built-in parsers know.

use super::super::bounds::BoundsArguments;
use super::super::perf::{UsageError, parameters};
use super::super::{CommandOutcome, values};
use super::recording::{events, recorded};
use crate::run::{Asked, DataFormat, FormatError, RunError, bodies, format_in, format_of};
use clap::Args;
use llmuses_core::cost::CallCost;
use llmuses_core::exchange::{Reading, ResponseLog, TokenCount};
use llmuses_observe::terminal::{messages, print};
use llmuses_plugin_host::{
    CallError, InstanceContext, Offers, Parser, ParserInstance, TokenCounter,
};
use llmuses_workload::{ApiSettings, Dataset, HostTokenizer};
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;

/// Requests or entries that are shown.
const ENTRIES: usize = 3;

/// The longest part of a body that is shown, in characters.
const BODY_CHARS: usize = 400;

/// How often a response is read to tell what that costs.
const READINGS: u32 = 200;

/// The prompt where neither a prompt nor a data set is given.
const SAMPLE_PROMPT: &str = "Say hello.";

/// Responses as servers give them, one event a line.
const SAMPLES: [(&str, &str); 2] = [
    (
        "OpenAI, streamed",
        concat!(
            r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            "\n",
            r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}"#,
            "\n",
            r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"."},"finish_reason":null}]}"#,
            "\n",
            r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            "\n",
            r#"{"id":"c","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#,
        ),
    ),
    (
        "DashScope, streamed",
        concat!(
            r#"{"output":{"choices":[{"message":{"role":"assistant","content":"Hello"},"finish_reason":"null"}]},"usage":{"input_tokens":9,"output_tokens":1,"total_tokens":10},"request_id":"r"}"#,
            "\n",
            r#"{"output":{"choices":[{"message":{"role":"assistant","content":"."},"finish_reason":"stop"}]},"usage":{"input_tokens":9,"output_tokens":2,"total_tokens":11},"request_id":"r"}"#,
        ),
    ),
];

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

/// Has a format read the first entries of a data set.
fn check_format(format: &DataFormat, context: InstanceContext) -> CommandOutcome {
    let mut text = String::new();
    let result = read_entries(format, context, &mut text);
    print(text);
    match result {
        Ok(0) => print("FAILED: it gave no entry\n"),
        Ok(_) => {
            print("it works\n");
            return CommandOutcome::Done;
        }
        Err(error) => print(format!("FAILED: {error}\n")),
    }
    CommandOutcome::Failed
}

fn read_entries(
    format: &DataFormat,
    context: InstanceContext,
    text: &mut String,
) -> Result<usize, CallError> {
    let mut instance = format.component.instantiate(context)?;
    let entries = instance.open(&format.options)?;
    let mut shown = 0;
    while shown < ENTRIES {
        let more = instance.next_entries(entries, (ENTRIES - shown) as u32)?;
        if more.is_empty() {
            break;
        }
        for entry in more {
            shown += 1;
            let json = serde_json::to_string(&entry).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "entry {shown}: {}", cut(&json));
        }
    }
    tell_skipped(text, &instance.skipped_entries(entries)?);
    instance.drop_entries(entries)?;
    let _ = writeln!(text, "cost of entries: {}", cost(instance.cost()));
    Ok(shown)
}

fn tell_skipped(text: &mut String, skipped: &[(String, u64)]) {
    for (reason, count) in skipped {
        let _ = writeln!(text, "passed over so far: {count} {reason}");
    }
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

fn describe(text: &mut String, reading: &Reading, events: usize) {
    let count = |count: Option<TokenCount>| match count {
        Some(count) => format!("{}, counted by {}", count.tokens, count.source.as_str()),
        None => "unknown".to_owned(),
    };
    let _ = writeln!(text, "  prompt tokens: {}", count(reading.prompt));
    let _ = writeln!(text, "  completion tokens: {}", count(reading.completion));
    let outputs: Vec<String> = reading.outputs.iter().map(u32::to_string).collect();
    let _ = writeln!(
        text,
        "  events with output: {} of {events} ({})",
        outputs.len(),
        cut(&outputs.join(", "))
    );
    if let Some(answers) = &reading.answers {
        let answers: Vec<String> = answers.iter().map(u32::to_string).collect();
        let _ = writeln!(
            text,
            "  of these with a part of the answer: {} ({})",
            answers.len(),
            cut(&answers.join(", "))
        );
    }
    if let Some(tokens) = &reading.tokens_so_far {
        let tokens: Vec<String> = tokens.iter().map(u32::to_string).collect();
        let _ = writeln!(text, "  tokens so far: {}", cut(&tokens.join(", ")));
    }
    for (name, value) in [
        ("finish reason", &reading.finish_reason),
        ("reply", &reading.reply),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name}: {}", cut(value));
        }
    }
    for (name, value) in &reading.metrics {
        let _ = writeln!(text, "  {name}: {value}");
    }
    if reading.metrics_cut > 0 {
        let _ = writeln!(
            text,
            "  and {} further figures, which a run leaves out",
            reading.metrics_cut
        );
    }
}

fn cost(cost: CallCost) -> String {
    let mean = cost.mean().unwrap_or_default();
    format!("{} calls, {} each", cost.calls, shown(mean))
}

fn shown(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1e-3 {
        format!("{:.1} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.1} s")
    }
}

/// Text of a parser on one line, and no more of it than is of use.
fn cut(text: &str) -> String {
    let clean = |text: &str| text.replace(char::is_control, " ");
    match text.char_indices().nth(BODY_CHARS) {
        Some((end, _)) => format!("{}… ({} bytes)", clean(&text[..end]), text.len()),
        None => clean(text),
    }
}
