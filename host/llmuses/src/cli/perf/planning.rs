//! From the arguments of `llmuses perf` to a plan that cannot be wrong.

mod load;
mod models;
mod names;
mod target;
mod work;

pub(in crate::cli) use names::{database, database_of_part};
pub(in crate::cli) use work::{parameters, parser};

use super::PerfArguments;
use super::choices::{SaveArgument, Transport};
use super::model;
use super::usage::UsageError;
#[cfg(feature = "wandb")]
use super::wandb;
use crate::calibration::beyond;
use crate::cli::values::listen_address;
use crate::run::{Outputs, ProgressEvery};
use llmuses_core::command_line::public_command_line;
use llmuses_core::plan::{
    LengthFilter, Limits, ParserChoice, PromptSource, Sweep, Target, Timeouts, TransportSettings,
    Work,
};
use llmuses_kernel_io::memory;
use llmuses_observe::terminal;
use llmuses_render::OutputFiles;
use llmuses_render::compare::Bound;
use llmuses_render::forms::rows_take_stdout;
use llmuses_workload::HostTokenizer;
use names::default_name;
use std::io::IsTerminal;
use std::num::NonZeroU32;
use std::time::Duration;
use target::{add_api_key, endpoint, fit_together};
use url::Url;
use work::{format, prompts};

pub(super) use target::{endpoints, headers};

impl PerfArguments {
    /// The runs that were asked for, and where their results go.
    ///
    /// # Errors
    /// What of it cannot be done.
    pub(in crate::cli) fn into_sweep(self) -> Result<(Sweep, Outputs), UsageError> {
        self.check_load()?;
        self.check_parts()?;
        if let Some(text) = self.fail_if.iter().find_map(Bound::of_a_change) {
            return Err(UsageError::ChangeBound {
                text: text.to_owned(),
            });
        }
        let files = OutputFiles::of(self.documents.files())?;
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
            target: self.target()?,
            work,
            transport: self.transport(),
            loads: self.loads(self.parts.shard()?)?,
            cool_down: self.repeats.cool_down.unwrap_or_default(),
            limits: Limits {
                parser: self.bounds.clone().into_bounds(),
                compile_cache: !self.no_compile_cache,
                memory: self.memory_limit.unwrap_or_else(share_of_memory),
            },
        };
        let outputs = self.outputs(&sweep.target.model, files, metrics)?;
        Ok((sweep, outputs))
    }

    fn target(&self) -> Result<Target, UsageError> {
        let mut headers = headers(self.headers.iter().chain(&self.header))?;
        if let Some(name) = &self.api_key_env {
            let key = std::env::var(name).unwrap_or_default();
            add_api_key(&mut headers, name, &key)?;
        }
        let mut urls = endpoints(&self.url)?.into_iter();
        // There is one at least.
        let url = urls.next().map_or_else(|| endpoint(None), Ok)?;
        let more_urls: Vec<Url> = urls.collect();
        fit_together(&url, &more_urls)?;
        let route = self.route.route()?;
        if route.unix_socket.is_some() && !more_urls.is_empty() {
            return Err(UsageError::UrlsOfOneSocket);
        }
        let [session_header, request_id_header] = self.header_names.of_requests(&headers)?;
        let mut models = models::weighted(&self.model)?;
        let model = match models.first() {
            Some(model) => model.name.to_string(),
            None => {
                let times = [self.connect_timeout, self.read_timeout];
                model::only_one(&url, &headers, times, &route)?
            }
        };
        if models.len() == 1 {
            models.clear();
        }
        Ok(Target {
            model,
            models,
            url,
            more_urls,
            url_policy: self.url_policy.policy(),
            url_is_default: self.url.is_empty(),
            headers,
            route,
            label_header: self.header_names.label_header.clone(),
            session_header,
            request_id_header,
        })
    }

    fn work(&self) -> Result<Work, UsageError> {
        let prompts = match self.made_up.generated()? {
            Some(generated) => PromptSource::Generated(generated),
            None => prompts(self.prompt.clone(), self.dataset.clone())?,
        };
        let lengths = LengthFilter {
            min: self.min_prompt_length,
            max: self.max_prompt_length.unwrap_or(u64::MAX),
        };
        self.check_dataset_flags(&prompts, lengths)?;
        let tokenizer = self
            .tokenizer_path
            .as_deref()
            .map(HostTokenizer::find)
            .transpose()?;
        if let Some(folder) = tokenizer.as_deref().filter(|path| path.is_dir()) {
            terminal::say(format!(
                "The tokenizer is made of vocab.json and merges.txt in {}",
                folder.display()
            ));
        }
        Ok(Work {
            parser: self.parser_for(&prompts)?,
            dataset_parser: self.dataset_parser.as_deref().map(format).transpose()?,
            sessions: self.sessions.plan(&prompts)?,
            field: self.field.clone(),
            image_folder: self.image_folder.clone(),
            prompts,
            lengths,
            parameters: parameters(&self.parameters)?,
            tokenizer,
            skip_bad_lines: self.skip_bad_lines,
        })
    }

    /// What only data sets have a use for: entries, and bounds of their lengths.
    fn check_dataset_flags(
        &self,
        prompts: &PromptSource,
        lengths: LengthFilter,
    ) -> Result<(), UsageError> {
        let LengthFilter { min, max } = lengths;
        if let PromptSource::Dataset(_) = prompts {
            return match max.saturating_sub(min) < 2 {
                true => Err(UsageError::Lengths { min, max }),
                false => Ok(()),
            };
        }
        // clap does not look where another flag excludes --dataset.
        let of_entries = [
            ("--dataset-parser", self.dataset_parser.is_some()),
            ("--field", self.field.is_some()),
            ("--image-folder", self.image_folder.is_some()),
        ];
        let of_lengths = [
            ("--min-prompt-length", min > 0),
            ("--max-prompt-length", self.max_prompt_length.is_some()),
        ];
        let given = |flags: &[(&'static str, bool)]| {
            let mut given = flags.iter().filter(|(_, is_given)| *is_given);
            given.next().map(|(flag, _)| *flag)
        };
        if let Some(flag) = given(&of_entries) {
            return Err(UsageError::OnlyDataset { flag });
        }
        // A prompt that was chosen by hand has any length.
        match given(&of_lengths) {
            Some(flag) if matches!(prompts, PromptSource::Generated(_)) => {
                Err(UsageError::OnlyDataset { flag })
            }
            _ => Ok(()),
        }
    }

    /// The parser. The default one is named after `--prompt`; data sets, made-up prompts, later turns, several models and
    /// traces go to the API by its own name.
    fn parser_for(&self, prompts: &PromptSource) -> Result<ParserChoice, UsageError> {
        if let Some(name) = &self.parser {
            return parser(name);
        }
        let of_the_api = !matches!(prompts, PromptSource::Prompt(_))
            || self.sessions.has_turns()
            || self.model.len() > 1
            || self.replay()?.is_some();
        parser(match of_the_api {
            true => "openai_chat",
            false => "openai_prompt",
        })
    }

    fn transport(&self) -> TransportSettings {
        TransportSettings {
            choice: self.transport.choice(),
            by_auto: self.transport == Transport::Auto,
            warm_connections: !self.no_warm_connections,
            keep_alive: !self.no_keep_alive,
            requests_per_connection: self.requests_per_connection.and_then(NonZeroU32::new),
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
        model: &str,
        files: OutputFiles,
        metrics: Option<String>,
    ) -> Result<Outputs, UsageError> {
        let name = self.name.unwrap_or_else(|| default_name(model));
        let database = match self.parts.is_part() {
            false => database(&name),
            true => database_of_part(&name, self.parts.shard()?.part()),
        };
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
            || (rows_take_stdout(&files) && std::io::stdout().is_terminal());
        Ok(Outputs {
            name,
            command: Some(command_line()),
            settings: self.settings.map(|settings| settings.to_toml(model)),
            database,
            save: self.save.save(),
            files,
            record: self.record,
            require_valid: self.require_valid,
            objectives: self.objective,
            search: None,
            beyond: Some(beyond),
            quiet: false,
            details: self.details,
            progress: match self.log_every_n_query {
                Some(requests) => ProgressEvery {
                    requests,
                    at_least: Duration::ZERO,
                },
                None => ProgressEvery::default(),
            },
            live_view: if plain { None } else { terminal::live_view() },
            debug: self.debug,
            metrics,
            wandb,
        })
    }
}

/// The command line of this program, without credentials.
fn command_line() -> String {
    let arguments = std::env::args_os().map(|text| text.to_string_lossy().into_owned());
    public_command_line(&arguments.collect::<Vec<String>>())
}

/// An eighth of the memory of this machine, or of the control group of this process.
fn share_of_memory() -> u64 {
    /// Of a machine that has next to none.
    const LEAST: u64 = 64 << 20;
    /// More than healthy answers ever take.
    const MOST: u64 = 2 << 30;
    memory::available().map_or(MOST, |bytes| (bytes / 8).clamp(LEAST, MOST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;
    use llmuses_core::plan::{Arrivals, Gaps, Load, RunPlace};
    use llmuses_render::OutputFile;
    use serde_json::Value;
    use std::path::PathBuf;
    use std::time::Duration;

    fn sweep(arguments: &[&str]) -> Result<(Sweep, Outputs), UsageError> {
        let all = ["llmuses", "perf", "--model", "m"];
        let cli = Cli::try_parse_from(all.iter().chain(arguments)).unwrap();
        match cli.command {
            Command::Perf(arguments) => arguments.into_sweep(),
            _ => unreachable!("the command is perf"),
        }
    }

    #[test]
    fn a_parser_that_is_named_is_taken_whatever_the_prompts() {
        let made_up = ["--input-tokens", "20", "-n", "4"];
        let of = |more: &[&str]| {
            let arguments = [&made_up[..], more].concat();
            sweep(&arguments).unwrap().0.work.parser
        };
        assert_eq!(of(&[]), ParserChoice::Builtin("openai_chat"));
        let named = of(&["--parser", "openai_prompt"]);
        assert_eq!(named, ParserChoice::Builtin("openai_prompt"));
    }

    #[test]
    fn every_open_loop_can_be_saturated() {
        let trace = tempfile::NamedTempFile::new().unwrap();
        let trace = trace.path().to_str().unwrap();
        for load in [
            &["--prompt", "x", "--rate", "5"][..],
            &["--prompt", "x", "--stages", "rate:5@10s"],
            &["--dataset", trace, "--trace"],
        ] {
            sweep(&[load, &["--stop-if", "saturated"]].concat()).unwrap();
        }
        let closed = [
            "--prompt",
            "x",
            "--stages",
            "parallel:5@10s",
            "--stop-if",
            "saturated",
        ];
        let error = sweep(&closed).unwrap_err();
        assert!(matches!(error, UsageError::SaturatedClosed), "{error}");
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
        assert!(sweep.limits.memory >= 64 << 20);
        let limits = Limits {
            // A share of this machine.
            memory: Limits::default().memory,
            ..sweep.limits
        };
        assert_eq!(limits, Limits::default());
        assert_eq!(sweep.loads[0].arrivals, Arrivals::Closed { parallel: 1 });
        assert_eq!(sweep.transport.timeouts.read, Duration::from_secs(120));
        assert_eq!(sweep.transport.timeouts.total, None);
        assert_eq!(outputs.progress, ProgressEvery::default());
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
        let places: Vec<RunPlace> = closed.plans().map(|plan| plan.place).collect();
        assert_eq!(
            places,
            [RunPlace { run: 1, runs: 2 }, RunPlace { run: 2, runs: 2 }]
        );
        assert!(outputs.summary_to_stderr());
        assert_eq!(
            outputs.files.files,
            [("--json", OutputFile::StandardOutput)]
        );
        let (bursts, _) = sweep(&["--prompt", "x", "--rate", "2", "--arrival", "gamma:3"]).unwrap();
        let gaps = Gaps::Gamma { cv: 3.0 };
        assert_eq!(arrivals(&bursts), [Arrivals::Open { rate: 2.0, gaps }]);
        let (open, _) = sweep(&["--prompt", "x", "--rate", "0.5,-1"]).unwrap();
        assert_eq!(
            arrivals(&open),
            [Arrivals::poisson(0.5), Arrivals::AllAtOnce]
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
            (
                &["--prompt", "x", "--url", "http://a", "http://a/"],
                "twice",
            ),
            (&[], "nothing to send"),
            (&["--prompt", "@/no/such"], "--prompt @/no/such"),
            (&["--dataset", "/no/such"], "/no/such cannot be read"),
            (
                &["--prompt", "x", "--parser", "nope"],
                "openai_longalpaca_12k_llama3",
            ),
            (
                &["--dataset", "Cargo.toml", "--dataset-parser", "nope"],
                "json_lines, json_array, csv",
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
            (&["--prompt", "x", "--shard", "2/2"], "--shard 2/2"),
            (
                &["--prompt", "x", "--shard", "0/2", "--parallel", "1"],
                "--parallel 1 cannot be split into 2 parts",
            ),
            (&["--prompt", "x", "--start-at", "5"], "s ago"),
            (
                &["--prompt", "x", "--start-at", "9e9", "--rate", "1,2"],
                "one --rate",
            ),
            (&["--prompt", "x", "-n", "5", "--warmup", "5"], "--warmup 5"),
            (
                &["--prompt", "x", "--duration", "5", "--warmup", "5s"],
                "--warmup",
            ),
            (&["--prompt", "x", "--duration", "5", "--rate", "-1"], "-n"),
            (
                &["--prompt", "x", "--rate", "-1", "--arrival", "constant"],
                "no gaps",
            ),
            (&["--prompt", "x", "--fail-if", "ttft_p99>+5%"], "no change"),
            (&["--prompt", "x", "--stop-if", "saturated"], "--rate"),
            (
                &["--prompt", "x", "--stop-if", "goodput_share<90%"],
                "--goodput",
            ),
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
            let error = sweep(arguments).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        // Whether a host has an address is asked when it is listened at.
        let unknown = [
            "--prompt",
            "x",
            "--metrics-listen",
            "no-such-host.invalid:1",
        ];
        assert!(sweep(&unknown).is_ok());
    }
}
