//! From the arguments of `llmuses perf` to a plan that cannot be wrong.

use super::usage::UsageError;
#[cfg(feature = "wandb")]
use super::wandb;
use super::{PerfArguments, SaveArgument, Transport};
use crate::cli::values::{Pair, Secret, header, listen_address, parameter, parameter_warning};
use crate::run::{Outputs, Save};
use http::{HeaderMap, HeaderName, HeaderValue};
use llmuses_core::plan::{
    Arrivals, LengthFilter, Limits, Load, ParserChoice, PromptSource, Sweep, Target, Timeouts,
    TransportSettings, Warmup, Work, public_url,
};
use llmuses_kernel_io::regular_file::read_regular_text;
use llmuses_observe::terminal;
use llmuses_plugin_host::{Offers, builtin, builtin_formats, builtin_names};
use llmuses_render::compare::Bound;
use llmuses_render::{OutputFile, OutputFiles};
use llmuses_workload::{Dataset, HostTokenizer};
use serde_json::{Map, Value};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use url::Url;

impl PerfArguments {
    /// The runs that were asked for, and where their results go.
    ///
    /// # Errors
    /// What of it cannot be done.
    pub(in crate::cli) fn into_sweep(self) -> Result<(Sweep, Outputs), UsageError> {
        self.check_load()?;
        if let Some(text) = self.fail_if.iter().find_map(Bound::of_a_change) {
            return Err(UsageError::ChangeBound {
                text: text.to_owned(),
            });
        }
        let files = OutputFiles::of(self.csv.as_deref(), self.documents.files())?;
        let metrics = self
            .metrics_listen
            .as_deref()
            .map(|text| {
                listen_address(text).map_err(|reason| UsageError::MetricsListen {
                    text: text.to_owned(),
                    reason,
                })
            })
            .transpose()?;
        let work = self.work()?;
        let sweep = Sweep {
            target: self.target(&work.parser)?,
            work,
            transport: self.transport(),
            loads: self.loads(),
            limits: Limits {
                parser: self.bounds.clone().into_bounds(),
                compile_cache: !self.no_compile_cache,
            },
        };
        Ok((sweep, self.outputs(files, metrics)?))
    }

    /// What of the load contradicts itself.
    fn check_load(&self) -> Result<(), UsageError> {
        if let (Some(Warmup::Requests(warmup)), Some(requests)) = (self.warmup, self.number)
            && warmup >= requests
        {
            return Err(UsageError::AllWarmup { warmup, requests });
        }
        if let (Some(Warmup::Time(warmup)), Some(duration)) = (self.warmup, self.duration)
            && warmup >= duration
        {
            return Err(UsageError::LongWarmup { warmup, duration });
        }
        if self.duration.is_some()
            && self.number.is_none()
            && self.rate.contains(&Arrivals::AllAtOnce)
        {
            return Err(UsageError::EndlessAtOnce);
        }
        Ok(())
    }

    /// The loads to be run, in the order in which they were given; one at least.
    fn loads(&self) -> Vec<Load> {
        let closed = |parallel: u32| Arrivals::Closed {
            parallel: parallel as usize,
        };
        let mut arrivals: Vec<Arrivals> = self.rate.clone();
        arrivals.extend(self.parallel.iter().copied().map(closed));
        if arrivals.is_empty() {
            arrivals.push(closed(1));
        }
        arrivals
            .into_iter()
            .map(|arrivals| Load {
                arrivals,
                seed: self.seed,
                requests: self.number,
                duration: self.duration,
                drain: self.drain_timeout,
                warmup: self.warmup.unwrap_or_default(),
                objectives: self.goodput,
            })
            .collect()
    }

    fn target(&self, parser: &ParserChoice) -> Result<Target, UsageError> {
        let mut headers = headers(self.headers.iter().chain(&self.header))?;
        if let Some(name) = &self.api_key_env {
            let key = std::env::var(name).unwrap_or_default();
            add_api_key(&mut headers, name, &key)?;
        }
        Ok(Target {
            model: self.model.clone(),
            url: with_path(
                endpoint(self.url.as_deref().unwrap_or(DEFAULT_URL))?,
                parser,
            ),
            url_is_default: self.url.is_none(),
            headers,
            insecure: self.insecure,
        })
    }

    fn work(&self) -> Result<Work, UsageError> {
        let prompts = prompts(self.prompt.clone(), self.dataset.clone())?;
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
        Ok(Work {
            parser: parser(&self.parser)?,
            dataset_parser: self.dataset_parser.as_deref().map(format).transpose()?,
            prompts,
            lengths,
            parameters: parameters(&self.parameters)?,
            tokenizer: self
                .tokenizer_path
                .as_deref()
                .map(HostTokenizer::find)
                .transpose()?,
            skip_bad_lines: self.skip_bad_lines,
        })
    }

    fn transport(&self) -> TransportSettings {
        TransportSettings {
            choice: self.transport.choice(),
            by_auto: self.transport == Transport::Auto,
            warm_connections: !self.no_warm_connections,
            keep_alive: !self.no_keep_alive,
            client_threads: self.client_threads.map(usize::from),
            timeouts: Timeouts {
                connect: self.connect_timeout,
                read: self.read_timeout,
                total: self.total_timeout,
            },
        }
    }

    fn outputs(
        self,
        files: OutputFiles,
        metrics: Option<SocketAddr>,
    ) -> Result<Outputs, UsageError> {
        let name = self.name.unwrap_or_else(|| default_name(&self.model));
        let database = database(&name);
        if self.save != SaveArgument::None && database.symlink_metadata().is_ok() {
            return Err(UsageError::DatabaseExists { path: database });
        }
        #[cfg(feature = "wandb")]
        let wandb = wandb::settings(self.wandb, &name, |name| std::env::var(name).ok())?;
        #[cfg(not(feature = "wandb"))]
        let wandb = None;
        // Rows on the same terminal would be drawn over, and what --debug shows fills it anyway.
        let plain = self.no_progress
            || self.debug
            || (files.csv == Some(OutputFile::StandardOutput) && std::io::stdout().is_terminal());
        Ok(Outputs {
            name,
            database,
            save: match self.save {
                SaveArgument::None => Save::Nothing,
                SaveArgument::Summary => Save::Summary,
                SaveArgument::Full => Save::Full,
            },
            files,
            require_valid: self.require_valid,
            quiet: false,
            log_every: self.log_every_n_query,
            live_view: if plain { None } else { terminal::live_view() },
            debug: self.debug,
            metrics,
            wandb,
        })
    }
}

/// Where requests go if nothing else is said.
const DEFAULT_URL: &str = "http://127.0.0.1:8000/v1/chat/completions";

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

/// A base URL, such as http://HOST:PORT or one that ends with /v1, with the path of the parser's API. A parser that
/// tells its path is asked for it once it is loaded.
fn with_path(mut url: Url, parser: &ParserChoice) -> Url {
    const OPENAI: [&str; 2] = ["/v1", "/chat/completions"];
    const DASHSCOPE: [&str; 2] = ["/api/v1", "/services/aigc/text-generation/generation"];
    let [base, rest] = match parser {
        ParserChoice::Builtin(name) if name.starts_with("dashscope") => DASHSCOPE,
        ParserChoice::Builtin(name) if tells_its_path(name) => return url,
        ParserChoice::Builtin(_) => OPENAI,
        // Only its author knows the path.
        ParserChoice::File(_) => return url,
    };
    let path = url.path().trim_end_matches('/');
    if path.is_empty() {
        url.set_path(&format!("{base}{rest}"));
    } else if path.ends_with(base) {
        url.set_path(&format!("{path}{rest}"));
    }
    url
}

fn tells_its_path(name: &str) -> bool {
    builtin(name).is_some_and(|component| component.offers != Offers::OwnRequests)
}

/// Adds the key that a variable holds.
fn add_api_key(headers: &mut HeaderMap, name: &str, key: &str) -> Result<(), UsageError> {
    let wrong = |reason| UsageError::ApiKeyEnv {
        name: name.to_owned(),
        reason,
    };
    let key = key.trim();
    if key.is_empty() {
        return Err(wrong("the variable is not set, or is empty"));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
        .map_err(|_| wrong("its value has characters that no header may have"))?;
    value.set_sensitive(true);
    if headers.insert(http::header::AUTHORIZATION, value).is_some() {
        return Err(wrong(
            "an Authorization header is given too: give one of the two",
        ));
    }
    Ok(())
}

fn headers<'a>(typed: impl Iterator<Item = &'a Secret>) -> Result<HeaderMap, UsageError> {
    /// The client sets these itself; another value would break the request.
    const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "connection"];
    let mut headers = HeaderMap::new();
    for text in typed {
        let pair = header(text).map_err(UsageError::HeaderForm)?;
        let wrong = |reason: &str| UsageError::Header {
            name: pair.key.clone(),
            reason: reason.to_owned(),
        };
        let name =
            HeaderName::from_bytes(pair.key.as_bytes()).map_err(|_| wrong("not a header name"))?;
        let closes = name == http::header::CONNECTION && pair.value.eq_ignore_ascii_case("close");
        if FRAMING.contains(&name.as_str()) && !closes {
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

pub(in crate::cli) fn parameters(pairs: &[Pair]) -> Result<Map<String, Value>, UsageError> {
    let mut parameters = Map::new();
    for pair in pairs {
        if let Some(warning) = parameter_warning(pair) {
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

fn format(text: &str) -> Result<ParserChoice, UsageError> {
    if let Some(component) = builtin_formats().find(|component| component.name == text) {
        return Ok(ParserChoice::Builtin(component.name));
    }
    let path = Path::new(text);
    if path.exists() {
        return Ok(ParserChoice::File(path.to_owned()));
    }
    Err(UsageError::DatasetParser {
        name: text.to_owned(),
        known: builtin_formats().map(|component| component.name).collect(),
    })
}

/// The largest file of `--prompt @FILE`.
const MOST_PROMPT_BYTES: u64 = 64 << 20;

fn prompts(prompt: Option<String>, dataset: Option<PathBuf>) -> Result<PromptSource, UsageError> {
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

/// `{model}_{time}`, with what a file name should not hold replaced.
fn default_name(model: &str) -> String {
    /// Bytes of the model in a name. File systems take 255 for a name in all.
    const LONGEST_MODEL: usize = 150;
    let model: String = model
        .chars()
        .map(|character| match character {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            character if character.is_control() || character.is_whitespace() => '_',
            character => character,
        })
        .scan(0, |bytes, character: char| {
            *bytes += character.len_utf8();
            (*bytes <= LONGEST_MODEL).then_some(character)
        })
        .collect();
    // A name of dots would be hidden, or a folder.
    let model = model.trim_start_matches('.');
    let time = jiff::Zoned::now().strftime("%Y%m%d_%H%M%S");
    let name = format!("{}_{time}", if model.is_empty() { "model" } else { model });
    // Runs that begin within one second are told apart by a number.
    let further = (2..).map(|number: u64| format!("{name}_{number}"));
    std::iter::once(name.clone())
        .chain(further)
        .find(|name| database(name).symlink_metadata().is_err())
        .unwrap_or(name)
}

/// The database of a run of this name.
pub(in crate::cli) fn database(name: &str) -> PathBuf {
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
    use llmuses_core::plan::Place;
    use std::time::Duration;

    fn sweep(arguments: &[&str]) -> Result<(Sweep, Outputs), UsageError> {
        let all = ["llmuses", "perf", "--model", "m"];
        let cli = Cli::try_parse_from(all.iter().chain(arguments)).unwrap();
        match cli.command {
            Command::Perf(arguments) => arguments.into_sweep(),
            _ => unreachable!("perf was typed"),
        }
    }

    #[test]
    fn defaults_are_those_of_the_specification() {
        let (sweep, outputs) = sweep(&["--prompt", "hi"]).unwrap();
        assert_eq!(
            sweep.target.url.as_str(),
            "http://127.0.0.1:8000/v1/chat/completions"
        );
        assert_eq!(sweep.work.parser, ParserChoice::Builtin("openai_prompt"));
        // What the flags say where they are not given is what the groups have where nobody sets them.
        assert_eq!(sweep.loads, [Load::default()]);
        assert_eq!(sweep.transport, TransportSettings::default());
        assert_eq!(sweep.limits, Limits::default());
        assert_eq!(sweep.loads[0].arrivals, Arrivals::Closed { parallel: 1 });
        assert_eq!(sweep.transport.timeouts.read, Duration::from_secs(120));
        assert_eq!(sweep.transport.timeouts.total, None);
        assert_eq!(outputs.log_every, 10);
        assert_eq!(sweep.loads[0].requests, None);
        let name = &outputs.name;
        assert!(name.starts_with("m_20"), "{name}");
        assert_eq!(outputs.database, PathBuf::from(format!("{name}.db")));
    }

    #[test]
    fn several_loads_are_one_sweep() {
        let arrivals = |sweep: &Sweep| -> Vec<Arrivals> {
            sweep.plans().map(|plan| plan.load.arrivals).collect()
        };
        let (closed, outputs) =
            sweep(&["--prompt", "x", "--parallel", "1,8", "--json", "-"]).unwrap();
        assert_eq!(
            arrivals(&closed),
            [1, 8].map(|parallel| Arrivals::Closed { parallel })
        );
        let places: Vec<Place> = closed.plans().map(|plan| plan.place).collect();
        assert_eq!(
            places,
            [Place { run: 1, runs: 2 }, Place { run: 2, runs: 2 }]
        );
        assert!(outputs.summary_to_stderr());
        assert_eq!(
            outputs.files.documents,
            [("--json", OutputFile::StandardOutput)]
        );
        let (open, _) = sweep(&["--prompt", "x", "--rate", "0.5,-1"]).unwrap();
        assert_eq!(
            arrivals(&open),
            [Arrivals::Poisson { rate: 0.5 }, Arrivals::AllAtOnce]
        );
    }

    #[test]
    fn pairs_may_share_a_flag_or_repeat_it() {
        let (sweep, _) = sweep(&[
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
            Value::Object(sweep.work.parameters),
            serde_json::json!({"a": 1, "b": "x=y", "c": null})
        );
        assert_eq!(sweep.target.headers["authorization"], "Bearer k=");
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
                &["--dataset", "Cargo.toml", "--dataset-parser", "nope"],
                "json_lines, lines",
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
            (
                &["--prompt", "x", "--json", "-", "--csv", "-"],
                "standard output",
            ),
            (&["--prompt", "x", "-n", "5", "--warmup", "5"], "--warmup 5"),
            (
                &["--prompt", "x", "--duration", "5", "--warmup", "5s"],
                "--warmup",
            ),
            (&["--prompt", "x", "--duration", "5", "--rate", "-1"], "-n"),
            (&["--prompt", "x", "--fail-if", "ttft_p99>+5%"], "no change"),
            (&["--prompt", "x", "--headers", "X-A:", "1"], "NAME=VALUE"),
            (
                &["--prompt", "x", "--metrics-listen", "nowhere"],
                "--metrics-listen nowhere: it should be",
            ),
        ] {
            let error = sweep(arguments).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_base_url_gets_the_path_of_the_api() {
        for (parser, url, whole) in [
            (
                "openai_prompt",
                "http://h:1",
                "http://h:1/v1/chat/completions",
            ),
            (
                "openai_prompt",
                "http://h:1/",
                "http://h:1/v1/chat/completions",
            ),
            (
                "openai_prompt",
                "http://h/a/v1/",
                "http://h/a/v1/chat/completions",
            ),
            ("openai_prompt", "http://h/v1/mine", "http://h/v1/mine"),
            (
                "dashscope_line_by_line",
                "http://h/api/v1",
                "http://h/api/v1/services/aigc/text-generation/generation",
            ),
        ] {
            let (sweep, _) = sweep(&["--prompt", "hi", "--parser", parser, "--url", url]).unwrap();
            assert_eq!(sweep.target.url.as_str(), whole);
        }
    }

    #[test]
    fn a_key_of_the_environment_is_sent_and_never_shown() {
        let mut headers = HeaderMap::new();
        add_api_key(&mut headers, "KEY", "sk-secret\n").unwrap();
        assert_eq!(headers["authorization"], "Bearer sk-secret");
        assert!(headers["authorization"].is_sensitive());
        for (key, said) in [
            ("", "not set"),
            ("sk\u{7f}secret", "characters"),
            ("sk-secret", "one of the two"),
        ] {
            let error = add_api_key(&mut headers, "KEY", key)
                .unwrap_err()
                .to_string();
            assert!(error.contains(said) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn names_are_made_fit_for_files() {
        assert!(default_name("Qwen/Qwen2 7B:x").starts_with("Qwen_Qwen2_7B_x_"));
        assert!(default_name("..").starts_with("model_"));
        assert!(default_name(&"\u{6a21}".repeat(90)).len() < 200);
        assert_eq!(database("run"), PathBuf::from("run.db"));
        assert_eq!(database("run.db"), PathBuf::from("run.db"));
    }
}
