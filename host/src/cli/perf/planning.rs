//! From what was typed for `llmuses perf` to a plan that cannot be wrong.

use super::usage::UsageError;
use super::wandb::{self, Typed};
use super::{PerfArguments, SaveArgument, Transport};
use crate::cli::values::{Pair, parameter};
use crate::plan::{
    Arrivals, LengthFilter, ParserChoice, Plan, PromptSource, Save, Timeouts, Warmup, public_url,
};
use crate::plugin::{builtin, builtin_names};
use crate::report::load_name;
use crate::results::{Target, Targets};
use crate::run::Outputs;
use crate::terminal;
use crate::workload::{Dataset, HostTokenizer};
use http::{HeaderMap, HeaderName, HeaderValue};
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
            metrics: self.metrics_listen,
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
                    wandb.run_name = format!("{} {}", plan.name, load_name(&arrivals));
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
            wandb,
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
