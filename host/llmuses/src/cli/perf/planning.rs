//! From the arguments of `llmuses perf` to a plan that cannot be wrong.

use super::usage::UsageError;
use super::wandb::{self, Typed};
use super::{PerfArguments, SaveArgument, Transport};
use crate::cli::values::{Secret, header, listen_address, pair, parameter, parameter_warning};
use crate::run::Outputs;
use http::{HeaderMap, HeaderName, HeaderValue};
use llmuses_core::credential::{public_text_of_url, public_url};
use llmuses_core::plan::{
    Arrivals, LengthFilter, ParserChoice, Plan, PromptSource, Save, Timeouts, Warmup,
};
use llmuses_kernel_io::memory;
use llmuses_kernel_io::regular_file::read_regular_text;
use llmuses_observe::terminal;
use llmuses_plugin_host::{builtin, builtin_names};
use llmuses_render::compare::Bound;
use llmuses_render::{Target, Targets};
use llmuses_workload::{Dataset, HostTokenizer};
use serde_json::{Map, Value};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use url::Url;

impl PerfArguments {
    /// The plans that were meant, one for each load, and where their results go beside the database.
    ///
    /// # Errors
    /// What of it cannot be done.
    pub(in crate::cli) fn into_plans(self) -> Result<(Vec<Plan>, Outputs), UsageError> {
        let outputs = Outputs {
            targets: Targets::of(self.csv.as_deref(), self.documents.files())?,
            metrics: self
                .metrics_listen
                .as_deref()
                .map(|text| {
                    listen_address(text).map_err(|reason| UsageError::MetricsListen {
                        text: text.to_owned(),
                        reason,
                    })
                })
                .transpose()?,
        };
        let loads = self.loads();
        // Rows on the same terminal would be drawn over, and what --debug shows fills it anyway.
        let plain = self.no_progress
            || self.debug
            || (outputs.targets.csv == Some(Target::StandardOutput)
                && std::io::stdout().is_terminal());
        let live_view = if plain { None } else { terminal::live_view() };
        let mut plan = self.into_plan(loads[0])?;
        plan.summary_to_stderr = outputs.targets.take_stdout();
        plan.live_view = live_view;
        plan.runs = u32::try_from(loads.len()).unwrap_or(u32::MAX);
        let plans = (1..)
            .zip(loads)
            .map(|(run, arrivals)| {
                let mut plan = Plan {
                    run,
                    arrivals,
                    ..plan.clone()
                };
                // Each load of a sweep is a run of its own there.
                if let Some(wandb) = plan.wandb.as_mut().filter(|_| plan.runs > 1) {
                    wandb.run_name = format!("{} {}", plan.name, arrivals.name());
                }
                plan
            })
            .collect();
        Ok((plans, outputs))
    }

    /// The loads to be run, in the order in which they were typed; one at least.
    fn loads(&self) -> Vec<Arrivals> {
        let closed = |parallel: u32| Arrivals::Closed {
            parallel: parallel as usize,
        };
        let rates = self.rate.iter().map(|rate| {
            if *rate < 0.0 {
                Arrivals::AllAtOnce
            } else {
                Arrivals::Poisson { rate: *rate }
            }
        });
        let mut loads: Vec<Arrivals> = rates
            .chain(self.parallel.iter().copied().map(closed))
            .collect();
        if loads.is_empty() {
            loads.push(closed(1));
        }
        loads
    }

    fn into_plan(self, arrivals: Arrivals) -> Result<Plan, UsageError> {
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
        if self.duration.is_some() && self.number.is_none() && self.rate.contains(&-1.0) {
            return Err(UsageError::EndlessAtOnce);
        }
        if let Some(text) = self.fail_if.iter().find_map(Bound::of_a_change) {
            return Err(UsageError::ChangeBound {
                text: text.to_owned(),
            });
        }
        let parser = parser(&self.parser)?;
        let url = with_path(endpoint(&self.url)?, &parser);
        let mut headers = headers(self.headers.iter().chain(&self.header))?;
        if let Some(name) = &self.api_key_env {
            let key = std::env::var(name).unwrap_or_default();
            add_api_key(&mut headers, name, &key)?;
        }
        let parameters = parameters(&self.parameters)?;
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
        let wandb = Typed {
            api_key: self.wandb_api_key,
            offline: self.wandb_offline,
            none: self.no_wandb,
        };
        let wandb = wandb::settings(wandb, &name, |name| std::env::var(name).ok())?;
        Ok(Plan {
            model: self.model,
            url,
            headers,
            parser,
            prompts,
            lengths,
            parameters,
            requests: self.number,
            duration: self.duration,
            drain: self.drain_timeout,
            warmup: self.warmup.unwrap_or_default(),
            objectives: self.goodput,
            arrivals,
            seed: self.seed,
            timeouts: Timeouts {
                connect: self.connect_timeout,
                read: self.read_timeout,
                total: self.total_timeout,
            },
            log_every: self.log_every_n_query,
            name,
            run: 1,
            runs: 1,
            database,
            tokenizer,
            skip_bad_lines: self.skip_bad_lines,
            insecure: self.insecure,
            debug: self.debug,
            transport: self.transport.choice(),
            transport_by_auto: self.transport == Transport::Auto,
            warm_connections: !self.no_warm_connections,
            keep_alive: !self.no_keep_alive,
            client_threads: self.client_threads.map(usize::from),
            compile_cache: !self.no_compile_cache,
            save: match self.save {
                SaveArgument::None => Save::Nothing,
                SaveArgument::Summary => Save::Summary,
                SaveArgument::Full => Save::Full,
            },
            require_valid: self.require_valid,
            quiet: false,
            live_view: None,
            summary_to_stderr: false,
            bounds: self.bounds.into_bounds(),
            memory_limit: self.memory_limit.unwrap_or_else(share_of_memory),
            wandb,
        })
    }
}

/// A quarter of the memory of this machine, or of the control group of this process.
fn share_of_memory() -> u64 {
    /// Of a machine that has next to none.
    const LEAST: u64 = 64 << 20;
    memory::available().map_or(u64::MAX, |bytes| (bytes / 4).max(LEAST))
}

fn endpoint(text: &str) -> Result<Url, UsageError> {
    let wrong = |reason: String| UsageError::Url {
        text: Url::parse(text).map_or_else(|_| public_text_of_url(text), |url| public_url(&url)),
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

/// A base URL, such as http://HOST:PORT or one that ends with /v1, with the path of the parser's API.
fn with_path(mut url: Url, parser: &ParserChoice) -> Url {
    const OPENAI: [&str; 2] = ["/v1", "/chat/completions"];
    const DASHSCOPE: [&str; 2] = ["/api/v1", "/services/aigc/text-generation/generation"];
    let [base, rest] = match parser {
        ParserChoice::Builtin(name) if name.starts_with("dashscope") => DASHSCOPE,
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

/// The largest file of `--headers @FILE`.
const MOST_HEADER_BYTES: u64 = 1 << 20;

/// Headers with those in place that files give: one on each line, without empty lines and those that begin with `#`.
fn with_files<'a>(typed: impl Iterator<Item = &'a Secret>) -> Result<Vec<Secret>, UsageError> {
    let mut headers = Vec::new();
    for text in typed {
        let Some(path) = text.reveal().strip_prefix('@') else {
            headers.push(text.clone());
            continue;
        };
        let content = read_regular_text(Path::new(path), MOST_HEADER_BYTES).map_err(|source| {
            UsageError::HeaderFile {
                path: PathBuf::from(path),
                source,
            }
        })?;
        let content = content.strip_prefix('\u{feff}').unwrap_or(&content);
        let lines = content.lines().map(str::trim);
        headers.extend(
            lines
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(Secret::new),
        );
    }
    Ok(headers)
}

fn headers<'a>(typed: impl Iterator<Item = &'a Secret>) -> Result<HeaderMap, UsageError> {
    /// The client sets these itself; another value would break the request.
    const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "connection"];
    let mut headers = HeaderMap::new();
    for text in with_files(typed)?.iter() {
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
    use std::time::Duration;

    fn plan(arguments: &[&str]) -> Result<Plan, UsageError> {
        Ok(plans(arguments)?.0.remove(0))
    }

    fn plans(arguments: &[&str]) -> Result<(Vec<Plan>, Outputs), UsageError> {
        let all = ["llmuses", "perf", "--model", "m"];
        let cli = Cli::try_parse_from(all.iter().chain(arguments)).unwrap();
        match cli.command {
            Command::Perf(arguments) => arguments.into_plans(),
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
    fn several_loads_are_several_plans() {
        let (plans, outputs) =
            plans(&["--prompt", "x", "--parallel", "1,8", "--json", "-"]).unwrap();
        let parallel: Vec<Arrivals> = plans.iter().map(|plan| plan.arrivals).collect();
        let closed = |parallel| Arrivals::Closed { parallel };
        assert_eq!(parallel, [closed(1), closed(8)]);
        assert_eq!((plans[1].run, plans[1].runs), (2, 2));
        assert_eq!(plans[0].database, plans[1].database);
        assert!(plans[0].summary_to_stderr);
        assert_eq!(
            outputs.targets.documents,
            [("--json", Target::StandardOutput)]
        );
        let (plans, _) = self::plans(&["--prompt", "x", "--rate", "0.5,-1"]).unwrap();
        assert_eq!(plans[0].arrivals, Arrivals::Poisson { rate: 0.5 });
        assert_eq!(plans[1].arrivals, Arrivals::AllAtOnce);
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
                &["--prompt", "x", "--headers", "@/no/such"],
                "--headers @/no/such",
            ),
            (&["--prompt", "x", "--parameters", "a"], "KEY=VALUE"),
            (
                &["--prompt", "x", "--metrics-listen", "nowhere"],
                "--metrics-listen nowhere: it should be",
            ),
        ] {
            let error = plan(arguments).unwrap_err().to_string();
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
            let plan = plan(&["--prompt", "hi", "--parser", parser, "--url", url]).unwrap();
            assert_eq!(plan.url.as_str(), whole);
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
    fn headers_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        let content = "\u{feff}# mine\nAuthorization: Bearer a:b=c\n\r\n  X-A=1 \n";
        std::fs::write(&path, content).unwrap();
        let file = format!("@{}", path.display());
        for flag in ["--headers", "--header"] {
            let plan = plan(&["--prompt", "hi", flag, &file, "--headers", "X-B=2"]).unwrap();
            assert_eq!(plan.headers["authorization"], "Bearer a:b=c");
            assert_eq!(plan.headers["x-a"], "1");
            assert_eq!(plan.headers["x-b"], "2");
        }
        std::fs::write(&path, "verysecret\n").unwrap();
        let error = plan(&["--prompt", "hi", "--headers", &file]).unwrap_err();
        assert!(!error.to_string().contains("verysecret"), "{error}");
    }

    #[test]
    fn no_error_repeats_a_key() {
        for arguments in [
            &["--prompt", "x", "--parameters", "verysecret"][..],
            &["--prompt", "x", "--headers", "verysecret"],
            &["--prompt", "x", "--url", "h:1/v1?api_key=verysecret"],
            &["--prompt", "x", "--url", "ftp://me:verysecret@h/v1"],
            &["--prompt", "x", "--url", "me:verysecret@h/v1"],
        ] {
            let error = plan(arguments).unwrap_err().to_string();
            assert!(!error.contains("verysecret"), "{error}");
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
