//! `llmuses perf`: its arguments, and how they become a plan.

use super::Outcome;
use super::bounds::BoundsArguments;
use super::values::{Pair, count, count_of_slots, pair, parameter, rate, seconds};
use crate::plan::{
    Arrivals, LengthFilter, ParserChoice, Plan, PromptSource, Save, Timeouts, TransportChoice,
    default_client_threads, public_url,
};
use crate::plugin::{builtin, builtin_names};
use crate::workload::{Dataset, DatasetError, HostTokenizer, TokenizerError};
use clap::{Args, ValueEnum};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// What was typed cannot be done. Ends the program with code 2.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The URL is none, or not one of a web service.
    #[error("--url {text}: {reason}")]
    Url {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Neither a prompt nor a data set.
    #[error("there is nothing to send: give --prompt TEXT, or --dataset FILE")]
    NoPrompts,
    /// The file of `--prompt @FILE` cannot be read.
    #[error("--prompt @{}", path.display())]
    PromptFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data set cannot be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The tokenizer is not there.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// No such parser.
    #[error(
        "there is no parser `{name}`: it is neither a file nor one of the built-in parsers ({})",
        known.join(", ")
    )]
    Parser {
        /// What was typed.
        name: String,
        /// The built-in ones.
        known: Vec<&'static str>,
    },
    /// A header that cannot be sent.
    #[error("--headers {name}: {reason}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key was given twice.
    #[error("{flag} gives `{key}` twice")]
    Twice {
        /// The flag.
        flag: &'static str,
        /// The key.
        key: String,
    },
    /// The length bounds leave nothing.
    #[error(
        "no prompt is longer than {min} and shorter than {max} characters at once: \
         --min-prompt-length and --max-prompt-length leave nothing"
    )]
    Lengths {
        /// The lower bound.
        min: u64,
        /// The upper bound.
        max: u64,
    },
    /// The recorded response of `plugin check` cannot be read.
    #[error("--responses {}: {source}", path.display())]
    Responses {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database is there already.
    #[error(
        "{} is there already, and results are never overwritten: give another --name, or move it away",
        path.display()
    )]
    DatabaseExists {
        /// The file.
        path: PathBuf,
    },
}

/// Arguments of `llmuses perf`.
#[derive(Debug, Args)]
#[command(
    next_line_help = false,
    after_help = "Exit codes: 0 the run was carried out; 1 it failed, was ended early, or is not valid \
                  where --require-valid asks for that; 2 what was typed cannot be done."
)]
pub(super) struct PerfArguments {
    /// Name of the model to ask for.
    #[arg(long, help_heading = "Endpoint")]
    model: String,

    /// Endpoint that the requests go to.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8000/v1/chat/completions",
        help_heading = "Endpoint"
    )]
    url: String,

    /// Extra HTTP headers for every request, such as Authorization='Bearer KEY'.
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., value_parser = pair, help_heading = "Endpoint")]
    headers: Vec<Pair>,

    /// Extra members of every request body, such as max_tokens=100 temperature=0.7. Values: bool_true,
    /// bool_false, numbers, any JSON value, else a string; null removes a default of the parser.
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., value_parser = pair, help_heading = "Endpoint")]
    parameters: Vec<Pair>,

    /// Take TLS certificates without verifying them.
    #[arg(long, help_heading = "Endpoint")]
    insecure: bool,

    /// Data set to take prompts from; the parser says in which format.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "prompt",
        help_heading = "Prompts"
    )]
    dataset: Option<PathBuf>,

    /// Prompt for every request; @FILE takes the content of a file.
    #[arg(long, value_name = "TEXT|@FILE", help_heading = "Prompts")]
    prompt: Option<String>,

    /// Only prompts of the data set that have more Unicode characters than this.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Prompts")]
    min_prompt_length: u64,

    /// Only prompts of the data set that have fewer Unicode characters than this [default: no limit]
    #[arg(long, value_name = "N", help_heading = "Prompts")]
    max_prompt_length: Option<u64>,

    /// Count entries of the data set that are broken and pass over them, instead of ending the run.
    #[arg(long, help_heading = "Prompts")]
    skip_bad_lines: bool,

    /// Parser that makes requests and reads responses: the name of a built-in one, or a .wasm file.
    #[arg(
        long,
        value_name = "NAME|FILE",
        default_value = "openai_prompt",
        long_help = parser_help(),
        help_heading = "Prompts"
    )]
    parser: String,

    /// Folder with tokenizer.json, or that file, to count tokens with where the server does not.
    #[arg(long, value_name = "PATH", help_heading = "Prompts")]
    tokenizer_path: Option<PathBuf>,

    /// Requests to make. A data set that has fewer is used again from its start [default: one pass over
    /// the data set, or one request for a prompt]
    #[arg(
        short = 'n',
        long = "number",
        value_name = "N",
        value_parser = count,
        help_heading = "Load"
    )]
    number: Option<u64>,

    /// Closed loop: requests in flight at once [default: 1]
    #[arg(
        long,
        value_name = "N",
        value_parser = count_of_slots,
        conflicts_with = "rate",
        help_heading = "Load"
    )]
    parallel: Option<u32>,

    /// Open loop: requests per second, as a Poisson process, however many are in flight; -1 sends all at
    /// once.
    #[arg(
        long,
        value_name = "R",
        allow_negative_numbers = true,
        value_parser = rate,
        help_heading = "Load"
    )]
    rate: Option<f64>,

    /// Seed of the arrival times.
    #[arg(long, value_name = "N", default_value_t = 42, help_heading = "Load")]
    seed: u64,

    /// What carries requests.
    #[arg(long, value_enum, default_value = "auto", help_heading = "Client")]
    transport: Transport,

    /// Open the connections of a closed loop as they are needed, not before it begins.
    #[arg(long, help_heading = "Client")]
    no_warm_connections: bool,

    /// Threads that carry requests [default: one for each processor, at most 8]
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=512),
        help_heading = "Client"
    )]
    client_threads: Option<u16>,

    /// Seconds to wait for a connection: name, TCP and TLS together.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "120",
        value_parser = seconds,
        help_heading = "Time-outs"
    )]
    connect_timeout: Duration,

    /// Seconds that the server may be silent, before its answer and within it.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "120",
        value_parser = seconds,
        help_heading = "Time-outs"
    )]
    read_timeout: Duration,

    /// Seconds that a request may take as a whole [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Time-outs")]
    total_timeout: Option<Duration>,

    /// Name of the run; results go to NAME.db [default: {model}_{time}]
    #[arg(long, value_name = "NAME", help_heading = "Results")]
    name: Option<String>,

    /// What the database keeps.
    #[arg(long, value_enum, default_value = "full", help_heading = "Results")]
    save: SaveArgument,

    /// End with code 1 where anything speaks against the numbers (the verdict at the end of the summary).
    #[arg(long, help_heading = "Results")]
    require_valid: bool,

    /// A progress line on standard error after this many requests.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        value_parser = count,
        help_heading = "Results"
    )]
    log_every_n_query: u64,

    /// Show requests and responses on standard error, credentials blanked.
    #[arg(long, help_heading = "Results")]
    debug: bool,

    /// Do not keep compiled parsers for the next run.
    #[arg(long, help_heading = "Client")]
    no_compile_cache: bool,

    #[command(flatten)]
    bounds: BoundsArguments,
}

/// What was typed for `--save`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SaveArgument {
    /// There is no database.
    None,
    /// The run and its totals.
    Summary,
    /// The run, its totals, and a row for each request.
    Full,
}

/// What was typed for `--transport`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Transport {
    /// What measures best for the URL: `socket`, for http and https alike.
    Auto,
    /// HTTP/1.1; arrivals by the kernel's clock, and so right however busy this machine is.
    Socket,
    /// HTTP/1.1, and HTTP/2 where a TLS server offers it; arrivals as reads return.
    Reqwest,
}

impl Transport {
    /// What will carry requests.
    pub(super) fn choice(self) -> TransportChoice {
        match self {
            Self::Auto | Self::Socket => TransportChoice::Socket,
            Self::Reqwest => TransportChoice::Reqwest,
        }
    }
}

fn parser_help() -> String {
    let names: Vec<&str> = builtin_names().collect();
    format!(
        "Parser that makes requests and reads responses: the name of a built-in one, or a .wasm file.\n\
         Built in: {}.",
        names.join(", ")
    )
}

/// Runs `llmuses perf`.
pub(super) fn execute(arguments: PerfArguments) -> anyhow::Result<Outcome> {
    let plan = arguments.into_plan()?;
    Ok(if crate::run::run(plan)?.is_good() {
        Outcome::Done
    } else {
        Outcome::Failed
    })
}

impl PerfArguments {
    /// The plan that was meant.
    ///
    /// # Errors
    /// What of it cannot be done.
    pub(super) fn into_plan(self) -> Result<Plan, UsageError> {
        let url = endpoint(&self.url)?;
        let headers = headers(&self.headers)?;
        let parameters = parameters(&self.parameters)?;
        let parser = parser(&self.parser)?;
        let prompts = prompts(self.prompt, self.dataset)?;
        let lengths = LengthFilter {
            min: self.min_prompt_length,
            max: self.max_prompt_length.unwrap_or(u64::MAX),
        };
        if matches!(prompts, PromptSource::Dataset(_))
            && lengths.max.saturating_sub(lengths.min) < 2
        {
            return Err(UsageError::Lengths {
                min: lengths.min,
                max: lengths.max,
            });
        }
        let tokenizer = self
            .tokenizer_path
            .as_deref()
            .map(HostTokenizer::find)
            .transpose()?;
        let name = self.name.unwrap_or_else(|| default_name(&self.model));
        let database = database(&name);
        if self.save != SaveArgument::None && database.symlink_metadata().is_ok() {
            return Err(UsageError::DatabaseExists { path: database });
        }
        let arrivals = match self.rate {
            Some(rate) if rate < 0.0 => Arrivals::AllAtOnce,
            Some(rate) => Arrivals::Poisson { rate },
            None => Arrivals::Closed {
                parallel: self.parallel.unwrap_or(1) as usize,
            },
        };
        let client_threads = self
            .client_threads
            .map_or_else(default_client_threads, usize::from);
        Ok(Plan {
            model: self.model,
            url,
            headers,
            parser,
            prompts,
            lengths,
            parameters,
            requests: self.number,
            arrivals,
            seed: self.seed,
            timeouts: Timeouts {
                connect: self.connect_timeout,
                read: self.read_timeout,
                total: self.total_timeout,
            },
            log_every: self.log_every_n_query,
            name,
            database,
            tokenizer,
            skip_bad_lines: self.skip_bad_lines,
            insecure: self.insecure,
            debug: self.debug,
            transport: self.transport.choice(),
            warm_connections: !self.no_warm_connections,
            client_threads,
            compile_cache: !self.no_compile_cache,
            save: match self.save {
                SaveArgument::None => Save::Nothing,
                SaveArgument::Summary => Save::Summary,
                SaveArgument::Full => Save::Full,
            },
            require_valid: self.require_valid,
            quiet: false,
            bounds: self.bounds.into_bounds(),
        })
    }
}

fn endpoint(text: &str) -> Result<Url, UsageError> {
    // What is no URL at all is shown as it was typed; of a URL, what may be a credential is left out.
    let wrong = |reason: String| UsageError::Url {
        text: Url::parse(text).map_or_else(|_| text.to_owned(), |url| public_url(&url)),
        reason,
    };
    let url = Url::parse(text).map_err(|error| {
        wrong(format!(
            "not a URL ({error}); it should be like http://HOST:PORT/v1/chat/completions"
        ))
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(format!(
            "it should begin with http:// or https://, not {}:",
            url.scheme()
        )));
    }
    Ok(url)
}

fn headers(pairs: &[Pair]) -> Result<HeaderMap, UsageError> {
    /// The client sets these itself; another value would break the request.
    const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "connection"];
    let mut headers = HeaderMap::new();
    for pair in pairs {
        let wrong = |reason: &str| UsageError::Header {
            name: pair.key.clone(),
            reason: reason.to_owned(),
        };
        let name =
            HeaderName::from_bytes(pair.key.as_bytes()).map_err(|_| wrong("not a header name"))?;
        if FRAMING.contains(&name.as_str()) {
            return Err(wrong("the client sets this one itself"));
        }
        let mut value = HeaderValue::from_str(&pair.value)
            .map_err(|_| wrong("its value has characters that no header may have"))?;
        value.set_sensitive(true);
        if headers.insert(name, value).is_some() {
            return Err(UsageError::Twice {
                flag: "--headers",
                key: pair.key.clone(),
            });
        }
    }
    Ok(headers)
}

fn parameters(pairs: &[Pair]) -> Result<Map<String, Value>, UsageError> {
    let mut parameters = Map::new();
    for pair in pairs {
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

pub(super) fn parser(text: &str) -> Result<ParserChoice, UsageError> {
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

fn prompts(prompt: Option<String>, dataset: Option<PathBuf>) -> Result<PromptSource, UsageError> {
    match (prompt, dataset) {
        (Some(prompt), _) => match prompt.strip_prefix('@') {
            Some(path) => std::fs::read_to_string(path)
                .map(PromptSource::Prompt)
                .map_err(|source| UsageError::PromptFile {
                    path: PathBuf::from(path),
                    source,
                }),
            None => Ok(PromptSource::Prompt(prompt)),
        },
        (None, Some(path)) => {
            Dataset::open(&path)?;
            Ok(PromptSource::Dataset(path))
        }
        (None, None) => Err(UsageError::NoPrompts),
    }
}

/// `{model}_{time}`, with what a file name should not hold replaced.
fn default_name(model: &str) -> String {
    let model: String = model
        .chars()
        .map(|character| match character {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            character if character.is_control() || character.is_whitespace() => '_',
            character => character,
        })
        .take(100)
        .collect();
    // A name of dots would be hidden, or a folder.
    let model = model.trim_start_matches('.');
    let time = jiff::Zoned::now().strftime("%Y%m%d_%H%M%S");
    format!("{}_{time}", if model.is_empty() { "model" } else { model })
}

/// The database of a run of this name.
pub(super) fn database(name: &str) -> PathBuf {
    match name.strip_suffix(".db") {
        Some(_) => PathBuf::from(name),
        None => PathBuf::from(format!("{name}.db")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn plan(arguments: &[&str]) -> Result<Plan, UsageError> {
        let all = ["llmuses", "perf", "--model", "m"];
        let cli = Cli::try_parse_from(all.iter().chain(arguments)).unwrap();
        match cli.command {
            Command::Perf(arguments) => arguments.into_plan(),
            _ => unreachable!("perf was typed"),
        }
    }

    #[test]
    fn defaults_are_those_of_the_specification() {
        let plan = plan(&["--prompt", "hi"]).unwrap();
        assert_eq!(
            plan.url.as_str(),
            "http://127.0.0.1:8000/v1/chat/completions"
        );
        assert_eq!(plan.parser, ParserChoice::Builtin("openai_prompt"));
        assert_eq!(plan.arrivals, Arrivals::Closed { parallel: 1 });
        assert_eq!(plan.timeouts.read, Duration::from_secs(120));
        assert_eq!(plan.timeouts.total, None);
        assert_eq!(plan.log_every, 10);
        assert_eq!(plan.requests, None);
        assert!(plan.name.starts_with("m_20"), "{}", plan.name);
        assert_eq!(plan.database, PathBuf::from(format!("{}.db", plan.name)));
    }

    #[test]
    fn pairs_may_share_a_flag_or_repeat_it() {
        let plan = plan(&[
            "--prompt",
            "hi",
            "--parameters",
            "a=1",
            "b=x=y",
            "--parameters",
            "c=null",
            "--headers",
            "X-A=1",
            "Authorization=Bearer k=",
        ])
        .unwrap();
        assert_eq!(
            Value::Object(plan.parameters),
            serde_json::json!({"a": 1, "b": "x=y", "c": null})
        );
        assert_eq!(plan.headers["authorization"], "Bearer k=");
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        for (arguments, said) in [
            (&["--prompt", "x", "--url", "localhost:80"][..], "http://"),
            (&["--prompt", "x", "--url", "http://"], "not a URL"),
            (&[], "nothing to send"),
            (&["--prompt", "@/no/such"], "--prompt @/no/such"),
            (&["--dataset", "/no/such"], "/no/such cannot be read"),
            (
                &["--prompt", "x", "--parser", "nope"],
                "openai_longalpaca_12k_llama3",
            ),
            (
                &["--prompt", "x", "--tokenizer-path", "/no/such"],
                "/no/such cannot be read",
            ),
            (
                &["--prompt", "x", "--headers", "a b=1"],
                "not a header name",
            ),
            (
                &["--prompt", "x", "--headers", "Content-Length=1"],
                "sets this one itself",
            ),
            (&["--prompt", "x", "--headers", "a=1", "A=2"], "twice"),
            (&["--prompt", "x", "--parameters", "a=1", "a=2"], "twice"),
        ] {
            let error = plan(arguments).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn names_are_made_fit_for_files() {
        assert!(default_name("Qwen/Qwen2 7B:x").starts_with("Qwen_Qwen2_7B_x_"));
        assert!(default_name("..").starts_with("model_"));
        assert_eq!(database("run"), PathBuf::from("run.db"));
        assert_eq!(database("run.db"), PathBuf::from("run.db"));
    }
}
