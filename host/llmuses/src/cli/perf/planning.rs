//! From the arguments of `llmuses perf` to a plan that cannot be wrong.

mod models;
mod names;
mod target;
mod work;

pub(in crate::cli) use names::database;
pub(in crate::cli) use work::{parameters, parser};

use super::model;
use super::usage::UsageError;
#[cfg(feature = "wandb")]
use super::wandb;
use super::{PerfArguments, SaveArgument, Transport, UrlPolicyArgument};
use crate::cli::values::listen_address;
use crate::run::{Outputs, ProgressEvery, Save};
use llmuses_core::command_line::public_command_line;
use llmuses_core::plan::{
    Arrivals, Gaps, LengthFilter, Limits, Load, ParserChoice, PromptSource, Shard, ShareOf, Staged,
    Stages, StopRule, Sweep, Target, Timeouts, TransportSettings, UrlPolicy, Warmup, Work,
};
use llmuses_kernel_io::memory;
use llmuses_kernel_io::regular_file::read_regular_text;
use llmuses_observe::terminal;
use llmuses_render::OutputFiles;
use llmuses_render::compare::Bound;
use llmuses_render::forms::rows_take_stdout;
use llmuses_workload::HostTokenizer;
use names::{database_of_part, default_name};
use std::io::IsTerminal;
use std::net::SocketAddr;
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
        let several = self.rate.len().max(self.parallel.len()) > 1 || self.repeats.repeat.is_some();
        if self.repeats.cool_down.is_some() && !several {
            return Err(UsageError::NothingToCoolDown);
        }
        if self.duration.is_some()
            && self.number.is_none()
            && self.rate.contains(&Arrivals::AllAtOnce)
        {
            return Err(UsageError::EndlessAtOnce);
        }
        let stages = self.stages()?;
        if let Some(stages) = self.stages.as_ref().filter(|stages| !stages.have_figures()) {
            let stages = stages.count();
            return Err(UsageError::ManyStages { stages });
        }
        let has_gaps = !self.rate.is_empty()
            || (stages.as_ref()).is_some_and(|stages| stages.of() == Staged::Rate);
        let has_replay = self.replay()?.is_some();
        let is_open = has_gaps || has_replay;
        for (flag, given, of_load) in [
            ("--arrival", self.arrival != Gaps::default(), has_gaps),
            ("--max-in-flight", self.max_in_flight.is_some(), is_open),
        ] {
            if given && !of_load {
                return Err(UsageError::OnlyOpen { flag });
            }
        }
        if self.ramp_up.is_some() && (is_open || stages.is_some()) {
            return Err(UsageError::OnlyClosed { flag: "--ramp-up" });
        }
        if let (Some(Warmup::Time(warmup)), Some(stages)) = (self.warmup, &stages)
            && warmup >= stages.length()
        {
            let duration = stages.length();
            return Err(UsageError::LongWarmup { warmup, duration });
        }
        if self.arrival != Gaps::default() && self.rate.contains(&Arrivals::AllAtOnce) {
            return Err(UsageError::GapsAtOnce);
        }
        if self.stop_if.contains(&StopRule::Saturated) && !is_open {
            return Err(UsageError::SaturatedClosed);
        }
        let is_of_goodput =
            |rule: &StopRule| matches!(rule, StopRule::Share(bound) if bound.of == ShareOf::MetAll);
        if self.stop_if.iter().any(is_of_goodput) && self.goodput.is_none() {
            return Err(UsageError::NoGoodput);
        }
        Ok(())
    }

    /// The loads to be run, in the order in which they were given; one at least.
    ///
    /// # Errors
    /// What of them cannot be done.
    pub(super) fn loads(&self, shard: Shard) -> Result<Vec<Load>, UsageError> {
        let closed = |parallel: u32| Arrivals::Closed {
            parallel: parallel as usize,
        };
        let with_gaps = |arrivals: &Arrivals| match *arrivals {
            Arrivals::Open { rate, .. } => Arrivals::Open {
                rate,
                gaps: self.arrival,
            },
            other => other,
        };
        let mut arrivals: Vec<Arrivals> = self.rate.iter().map(with_gaps).collect();
        arrivals.extend(self.parallel.iter().copied().map(closed));
        let stages = self.stages()?;
        if let Some(stages) = &stages {
            let peak = stages.peak();
            arrivals.push(match stages.of() {
                Staged::Rate => Arrivals::Open {
                    rate: peak,
                    gaps: self.arrival,
                },
                Staged::Parallel => Arrivals::Closed {
                    parallel: peak as usize,
                },
            });
        }
        arrivals.extend(self.replay()?.map(Arrivals::Trace));
        if arrivals.is_empty() {
            arrivals.push(closed(1));
        }
        let repeats = self.repeats.repeat.unwrap_or(1);
        let loads = arrivals.into_iter().flat_map(|arrivals| {
            // Each run has bursts and pauses of its own.
            (0..repeats).map(move |repeat| (arrivals, repeat))
        });
        Ok(loads
            .map(|(arrivals, repeat)| Load {
                arrivals,
                repeat: self.repeats.repeat.map(|_| u64::from(repeat) + 1),
                stages: stages.clone(),
                rate_from: self.rate_from.clone(),
                ramp_up: self.ramp_up,
                max_in_flight: self.max_in_flight.map(u64::from),
                seed: self.seed.wrapping_add(u64::from(repeat)),
                requests: self.number,
                sessions: self.sessions.number,
                duration: self.duration.or_else(|| Some(stages.as_ref()?.length())),
                drain: self.drain_timeout,
                keep_going: self.keep_going,
                warmup: self.warmup.unwrap_or_default(),
                objectives: self.goodput,
                shard,
                start_at: self.parts.start_at,
                stop_if: self.stop_if.clone(),
                cancel: self.cancel.clone(),
            })
            .collect())
    }

    /// The stages of the load, be they given or read from a table.
    ///
    /// # Errors
    /// What of the table cannot be used.
    fn stages(&self) -> Result<Option<Stages>, UsageError> {
        /// A table of the most rows has a tenth of that.
        const MOST_BYTES: u64 = 4 << 20;
        let Some(path) = self.rate_from.clone() else {
            return Ok(self.stages.clone());
        };
        let text = match read_regular_text(&path, MOST_BYTES) {
            Ok(text) => text,
            Err(reason) => return Err(UsageError::RateFile { path, reason }),
        };
        match Stages::of_table(&text) {
            Ok(stages) => Ok(Some(stages)),
            Err(reason) => Err(UsageError::RateTable { path, reason }),
        }
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
            None => model::only_one(&url, &headers, self.connect_timeout, &route)?,
        };
        if models.len() == 1 {
            models.clear();
        }
        Ok(Target {
            model,
            models,
            url,
            more_urls,
            url_policy: match self.url_policy {
                UrlPolicyArgument::RoundRobin => UrlPolicy::RoundRobin,
                UrlPolicyArgument::LeastInFlight => UrlPolicy::LeastInFlight,
                UrlPolicyArgument::Session => UrlPolicy::Session,
            },
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

    /// The parser. The default one is named after `--prompt`; made-up prompts, later turns and several models go to the API by
    /// its own name.
    fn parser_for(&self, prompts: &PromptSource) -> Result<ParserChoice, UsageError> {
        match (prompts, self.parser.as_str()) {
            (PromptSource::Generated(_), "openai_prompt") => parser("openai_chat"),
            (_, "openai_prompt")
                if self.sessions.has_turns()
                    || self.model.len() > 1
                    || self.replay()?.is_some() =>
            {
                parser("openai_chat")
            }
            (_, name) => parser(name),
        }
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
        metrics: Option<SocketAddr>,
    ) -> Result<Outputs, UsageError> {
        let name = self.name.unwrap_or_else(|| default_name(model));
        let database = match self.parts.shard()? {
            shard if shard.is_whole() => database(&name),
            shard => database_of_part(&name, shard.part()),
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
            save: match self.save {
                SaveArgument::None => Save::Nothing,
                SaveArgument::Summary => Save::Summary,
                SaveArgument::Full => Save::Full,
            },
            files,
            record: self.record,
            require_valid: self.require_valid,
            objectives: self.objective,
            search: None,
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
    use llmuses_core::plan::RunPlace;
    use llmuses_render::OutputFile;
    use serde_json::Value;
    use std::path::PathBuf;
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
    }
}
