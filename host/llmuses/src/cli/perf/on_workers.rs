//! Arguments for a load that workers send, and what of the other arguments they are told.

use super::PerfArguments;
use super::choices::SaveArgument;
use super::usage::UsageError;
use crate::cli::values::as_given;
use crate::cli::values::seconds;
use crate::run::digest_of_files;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command};
use llmuses_core::plan::{PromptSource, Shard, Sweep};
use llmuses_fleet::{FleetSettings, Launcher, OwnProgram, WorkPlan};
use llmuses_render::forms::RENDERERS;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments for a load that workers send.
#[derive(Debug, Clone, Args)]
pub(super) struct OnWorkersArguments {
    /// Have workers send the load, each started by this command with a name of --hosts in place of {}, such as 'ssh {}',
    /// 'srun --overlap -N1 -n1 -w {}' or 'kubectl exec -i {} --'; `env` starts them on this machine. All that they send
    /// together is one run.
    #[arg(
        long,
        value_name = "COMMAND",
        requires = "hosts",
        conflicts_with_all = ["shard", "start_at", "record", "debug"],
        help_heading = "Many machines"
    )]
    pub(super) on: Option<String>,

    /// Machines of the workers of --on, one worker on each.
    #[arg(
        long,
        value_name = "HOST[,HOST...]",
        value_delimiter = ',',
        requires = "on",
        help_heading = "Many machines"
    )]
    pub(super) hosts: Vec<String>,

    /// This program on the machines of --hosts [default: llmuses; of --on env, this one]
    #[arg(
        long,
        value_name = "PATH",
        requires = "on",
        help_heading = "Many machines"
    )]
    pub(super) worker_program: Option<String>,

    /// Time until all workers have to be ready; where one is not, nothing is sent.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "60s",
        value_parser = seconds,
        requires = "on",
        help_heading = "Many machines"
    )]
    pub(super) workers_timeout: Duration,
}

/// Flags of which workers are told nothing, or something else: where results go, what ends a run, and what the
/// coordinator finds out for all.
const OF_THE_COORDINATOR: [&str; 31] = [
    "on",
    "hosts",
    "worker_program",
    "workers_timeout",
    "config",
    "wait_ready",
    "model",
    "headers",
    "header",
    "api_key_env",
    "prompt",
    "dry_run",
    "keep_going",
    "shard",
    "start_at",
    "name",
    "save",
    "record",
    "goodput",
    "require_valid",
    "fail_if",
    "stop_if",
    "objective",
    "details",
    "log_every_n_query",
    "no_progress",
    "metrics_listen",
    "debug",
    "wandb_api_key",
    "wandb_offline",
    "no_wandb",
];

/// The flags that were typed, or stand in the file of `--config`, and that workers are told: one text each.
pub(in crate::cli) fn flags_for_workers(command: &Command, matches: &ArgMatches) -> Vec<OsString> {
    let is_told = |id: &str| {
        !OF_THE_COORDINATOR.contains(&id) && !RENDERERS.iter().any(|form| form.flag() == id)
    };
    let mut typed = Vec::new();
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        let Some(long) = arg.get_long().filter(|_| is_told(id)) else {
            continue;
        };
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        if !arg.get_action().takes_values() {
            typed.push(format!("--{long}").into());
            continue;
        }
        for value in matches.get_raw(id).into_iter().flatten() {
            let mut text = OsString::from(format!("--{long}="));
            text.push(value);
            typed.push(text);
        }
    }
    typed
}

impl PerfArguments {
    /// How many parts the load has.
    pub(super) fn parts_of_load(&self, shard: Shard) -> u32 {
        let hosts = u32::try_from(self.workers.hosts.len()).unwrap_or(u32::MAX);
        shard.parts().max(hosts)
    }

    /// The workers that are to send the load, and what each is to do, by its number. `None`: this process sends it.
    ///
    /// # Errors
    /// What of it cannot be done with workers.
    pub(super) fn on_workers(
        &self,
        sweep: &Sweep,
        name: &str,
    ) -> Result<Option<(FleetSettings, impl Fn(u32) -> WorkPlan + use<>)>, UsageError> {
        let Some(command) = &self.workers.on else {
            return Ok(None);
        };
        let hosts = &self.workers.hosts;
        let wrong = |reason: &str| UsageError::OnWorkers {
            reason: reason.to_owned(),
        };
        if let Some(host) = hosts.iter().find(|host| host.trim().is_empty()) {
            return Err(wrong(&format!(
                "--hosts: {host:?} is the name of no machine"
            )));
        }
        match &sweep.work.prompts {
            PromptSource::Dataset(path) if path == Path::new("-") => {
                return Err(wrong(
                    "--dataset -: standard input has one reader, and every worker reads the data set: give a file that all \
                     machines have",
                ));
            }
            _ => {}
        }
        let program = match &self.workers.worker_program {
            Some(program) => program.clone(),
            None if command.trim() == "env" => own_program()?,
            None => env!("CARGO_PKG_NAME").to_owned(),
        };
        let launcher = Launcher::new(command, &program).map_err(UsageError::OnCommand)?;
        let mut arguments: Vec<String> = Vec::new();
        for text in &self.typed {
            let text = text.to_str().ok_or_else(|| {
                let shown = text.to_string_lossy().into_owned();
                let flag = shown.split('=').next().unwrap_or_default();
                wrong(&format!("{flag}: workers take UTF-8 only"))
            })?;
            arguments.push(text.to_owned());
        }
        if self.model.is_empty() {
            arguments.push(format!("--model={}", as_given(&sweep.target.model)));
        }
        let models = self.model.iter();
        arguments.extend(models.map(|model| format!("--model={model}")));
        for (key, value) in &sweep.target.headers {
            // They were made of texts.
            let value = String::from_utf8_lossy(value.as_bytes());
            arguments.push(format!("--headers={key}={value}"));
        }
        arguments.push(format!("--name={name}"));
        arguments.push(match self.save {
            // The rows of the workers have the texts.
            SaveArgument::Full => "--save=full".to_owned(),
            SaveArgument::None | SaveArgument::Summary => "--save=none".to_owned(),
        });
        // Whether it makes sense to go on is seen by all requests together.
        arguments.push("--keep-going".to_owned());
        if cfg!(feature = "wandb") {
            arguments.push("--no-wandb".to_owned());
        }
        let prompt = match &sweep.work.prompts {
            PromptSource::Prompt(text) => Some(text.clone()),
            PromptSource::Dataset(_) | PromptSource::Generated(_) => None,
        };
        if prompt.is_some() {
            arguments.push("--prompt=".to_owned());
        }
        let folder = std::env::current_dir().ok();
        let folder = folder.and_then(|folder| folder.to_str().map(str::to_owned));
        let parts = hosts.len();
        let settings = FleetSettings {
            launcher,
            hosts: hosts.clone(),
            timeout: self.workers.workers_timeout,
            program: OwnProgram {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                sha256: own_digest(),
            },
            // Workers get the key of the server over standard input, and none of Weights & Biases.
            credentials: std::iter::once("WANDB_API_KEY".to_owned())
                .chain(self.api_key_env.clone())
                .collect(),
        };
        Ok(Some((settings, move |part| {
            let mut arguments = arguments.clone();
            arguments.push(format!("--shard={part}/{parts}"));
            WorkPlan {
                arguments,
                prompt: prompt.clone(),
                folder: folder.clone(),
                unix_nanos: 0,
                run_id: String::new(),
            }
        })))
    }
}

/// SHA-256 of this program. `None`: its file cannot be read.
pub(in crate::cli) fn own_digest() -> Option<String> {
    // What runs, though another file may have its name by now.
    let of = |path| digest_of_files(&[path]).ok();
    of(PathBuf::from("/proc/self/exe")).or_else(|| of(std::env::current_exe().ok()?))
}

fn own_program() -> Result<String, UsageError> {
    let path: PathBuf = std::env::current_exe().unwrap_or_default();
    match path.to_str() {
        Some(path) if !path.is_empty() => Ok(path.to_owned()),
        _ => Err(UsageError::OnWorkers {
            reason: "where this program lies is not known: give --worker-program".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    #[test]
    fn flags_of_the_coordinator_are_flags_of_perf() {
        let command = Cli::command();
        let perf = command.find_subcommand("perf").unwrap();
        for id in OF_THE_COORDINATOR {
            let is_there = perf.get_arguments().any(|arg| arg.get_id() == id);
            let may_lack = cfg!(not(feature = "wandb")) && id.contains("wandb");
            assert!(is_there || may_lack, "{id}");
        }
    }
}
