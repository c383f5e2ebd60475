//! `llmuses worker`: sends a part of a load for the coordinator at its standard input and output.

use super::perf::UsageError;
use super::{Cli, Command, CommandOutcome};
use crate::interrupt;
use crate::run::{RunError, run_as_worker};
use clap::Args;
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::plan::PromptSource;
use llmuses_core::redact::Secrets;
use llmuses_fleet::{Hello, PROTOCOL, Session, SessionError, WorkPlan};
use llmuses_kernel_io::{machine, memory};
use std::ffi::OsString;
use std::io::{BufReader, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a load may go on once the coordinator is gone: requests in flight end, then they are given up, and then the
/// parsers.
const LONGEST_END: Duration = Duration::from_secs(15);

/// Arguments of `llmuses worker`.
#[derive(Debug, Args)]
#[command(
    after_help = "It is started by `llmuses perf --on COMMAND --hosts ...`, takes what it should do from standard input, and \
                  sends what it measures to standard output. Where nothing comes from the coordinator for 5 s, it sends no \
                  more requests, and ends.\n\
                  Exit codes: 0 done; 1 it could not go on, or the coordinator is gone; 2 the arguments are wrong."
)]
pub(super) struct WorkerArguments {
    /// Do nothing until a signal comes: for a pod in which `kubectl exec` starts workers.
    #[arg(long)]
    idle: bool,
}

/// Runs `llmuses worker`.
pub(super) fn execute(arguments: &WorkerArguments) -> anyhow::Result<CommandOutcome> {
    if arguments.idle {
        let ended = interrupt::quiet_flag()?;
        while !ended.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
        }
        return Ok(CommandOutcome::Done);
    }
    if std::io::stdin().is_terminal() {
        return Err(UsageError::WorkerByHand.into());
    }
    let clock = Clock::start();
    let input = BufReader::new(std::io::stdin());
    let session = Arc::new(Session::begin(
        clock,
        hello(clock),
        input,
        std::io::stdout(),
    )?);
    end_with_coordinator(&session)?;
    match serve(&session) {
        Ok(outcome) => Ok(outcome),
        Err(error) if is_end(&error) => Ok(CommandOutcome::Done),
        Err(error) if session.lost().is_some() => Err(error),
        Err(error) => {
            // The coordinator says it.
            session.fail(&format!("{error:#}"));
            Ok(CommandOutcome::Failed)
        }
    }
}

/// Whether there was no further load.
fn is_end(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        matches!(cause.downcast_ref(), Some(SessionError::End))
            || matches!(
                cause.downcast_ref(),
                Some(RunError::Session(SessionError::End))
            )
    })
}

/// What this worker is.
fn hello(clock: Clock) -> Hello {
    let machine = machine::this_one();
    Hello {
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        program_sha256: super::perf::own_digest(),
        build: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        host: machine.host,
        boot: machine::boot(),
        processors: machine.processors,
        memory: memory::available(),
        open_files: llmuses_transport::capacity::raise_open_file_limit().ok(),
        unix_nanos: clock.unix_nanos(Moment::default()),
    }
}

/// Ends this program some time after the coordinator is gone, whatever still goes on then.
fn end_with_coordinator(session: &Arc<Session>) -> std::io::Result<()> {
    let session = Arc::clone(session);
    let watch = move || {
        while session.lost().is_none() {
            std::thread::sleep(Duration::from_millis(100));
        }
        std::thread::sleep(LONGEST_END);
        std::process::exit(1);
    };
    let thread = std::thread::Builder::new().name("end".to_owned());
    thread.spawn(watch).map(drop)
}

/// Does what the coordinator asks for.
fn serve(session: &Session) -> anyhow::Result<CommandOutcome> {
    let plan = session.plan()?;
    // A machine that has no such folder has its files where it was started, or by whole paths.
    let elsewhere = plan.folder.as_deref().and_then(|folder| {
        let reason = std::env::set_current_dir(folder).err()?;
        let here = std::env::current_dir().unwrap_or_default();
        Some(format!(
            "the folder {folder} cannot be used here ({reason}), so that relative paths are from {}",
            here.display()
        ))
    });
    carry_out(session, plan).map_err(|error| match elsewhere {
        Some(elsewhere) if !is_end(&error) && session.lost().is_none() => {
            anyhow::anyhow!("{error:#}; {elsewhere}")
        }
        _ => error,
    })
}

fn carry_out(session: &Session, plan: WorkPlan) -> anyhow::Result<CommandOutcome> {
    let origin = Duration::from_nanos(plan.unix_nanos);
    let clock = session.clock().told_from(origin);
    let (mut sweep, mut outputs) = arguments(&plan)?.into_sweep()?;
    if let Some(prompt) = plan.prompt {
        sweep.work.prompts = PromptSource::Prompt(prompt);
    }
    outputs.quiet = true;
    outputs.live_view = None;
    super::perf::make_folder(&outputs)?;
    let results = run_as_worker(&sweep, &outputs, session, clock)?;
    let ended = results
        .iter()
        .all(|result| !result.circumstances.interrupted);
    Ok(if ended {
        CommandOutcome::Done
    } else {
        CommandOutcome::Failed
    })
}

/// The arguments of the run.
fn arguments(plan: &WorkPlan) -> anyhow::Result<super::perf::PerfArguments> {
    let typed = ["llmuses", "perf"].into_iter().map(str::to_owned);
    let all: Vec<String> = typed.chain(plan.arguments.iter().cloned()).collect();
    let secrets = Secrets::of_arguments(all.iter().cloned());
    let cli = Cli::of_arguments(all.into_iter().map(OsString::from)).map_err(|error| {
        let text = error.render().to_string();
        anyhow::anyhow!("{}", secrets.blank_text(&text))
    })?;
    match cli.command {
        Command::Perf(arguments) => Ok(*arguments),
        _ => anyhow::bail!("the coordinator asks for something that is no run"),
    }
}
