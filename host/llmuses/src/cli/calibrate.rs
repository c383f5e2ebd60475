//! `llmuses calibrate`: shows on the user's own machine how right the measurements are. At each level of
//! load the mock server runs as a process of its own, a real run measures it, and what was measured is
//! compared with what the server did.

use super::CommandOutcome;
use super::perf::{Transport, UsageError};
use super::server_process::ServerProcess;
use super::values::{duration, file_name, rate};
use crate::calibration::{self, Kept, Level, TruthComparison};
use crate::run::{Outputs, run};
use clap::Args;
use llmuses_core::plan::{Arrivals, Plan, PromptSource};
use llmuses_observe::terminal;
use llmuses_transport::capacity;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `llmuses calibrate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each level is a run against a server on this machine that records when it really wrote \
                  each token. The figures are what was measured less what the server did."
)]
pub(super) struct CalibrateArguments {
    /// Streams at once, one level each.
    #[arg(
        long,
        value_name = "N,...",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(1..),
        default_value = "1,10,100,500,1000"
    )]
    parallel: Vec<u32>,

    /// Requests per second of an open loop, one level each, after those of --parallel.
    #[arg(long, value_name = "R,...", value_delimiter = ',', value_parser = rate)]
    rate: Vec<Arrivals>,

    /// Time to first token of the server.
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = duration)]
    ttft: Duration,

    /// Time from one token to the next of the server.
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = duration)]
    itl: Duration,

    /// Tokens of an answer.
    #[arg(long, value_name = "N", default_value_t = 100)]
    tokens: u64,

    /// Runs of each level; the figures are medians over the runs.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    runs: u32,

    /// What carries requests.
    #[arg(long, value_enum, default_value = "auto")]
    transport: Transport,

    /// Measure over TLS.
    #[arg(long)]
    tls: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    /// Write up to which load this machine measures right to this new file [default: llmuses/calibration.json in
    /// XDG_STATE_HOME or ~/.local/state, where `llmuses perf` looks and warns of a load beyond that]
    #[arg(long, value_name = "FILE", value_parser = file_name)]
    out: Option<PathBuf>,
}

/// Requests of each slot of a closed loop: the first meets an idle server, the later ones do not.
const REQUESTS_PER_SLOT: u64 = 2;

/// Seconds of an open loop.
const OPEN_LOOP_SECONDS: f64 = 5.0;

/// Runs `llmuses calibrate`.
pub(super) fn execute(arguments: &CalibrateArguments) -> anyhow::Result<CommandOutcome> {
    // Not after minutes of measuring.
    if let Some(path) = arguments
        .out
        .as_ref()
        .filter(|path| path.symlink_metadata().is_ok())
    {
        let path = path.clone();
        return Err(UsageError::OutExists { path }.into());
    }
    let closed = arguments.parallel.iter().map(|streams| Arrivals::Closed {
        parallel: *streams as usize,
    });
    let levels: Vec<Arrivals> = closed.chain(arguments.rate.iter().copied()).collect();
    for arrivals in &levels {
        // Refused now, not after minutes of the smaller levels.
        if let Arrivals::Closed { parallel } = arrivals {
            capacity::ensure(*parallel as u64).map_err(crate::run::RunError::from)?;
        }
    }
    let mut measured = Vec::new();
    for arrivals in levels {
        let mut runs = Vec::new();
        for number in 1..=arguments.runs {
            let level = calibration::describe(&arrivals);
            terminal::say(format!("{level}: run {number} of {}", arguments.runs));
            match measure(arguments, arrivals)? {
                Some(comparison) => runs.push(comparison),
                None => return Ok(CommandOutcome::Failed),
            }
        }
        measured.push(Level { arrivals, runs });
    }
    let transport = arguments.transport.choice();
    let kept = Kept::of(&measured, transport.as_str(), arguments.tls);
    match kept.write(arguments.out.as_deref()) {
        Ok(path) => terminal::say(format!(
            "Up to which load this machine measures right is written to {}",
            path.display()
        )),
        Err(error) if arguments.out.is_some() => return Err(error.into()),
        Err(error) => terminal::say(format!(
            "warning: what was found is not kept for `llmuses perf`: {error}"
        )),
    }
    if arguments.json {
        terminal::print(format!("{}\n", calibration::to_json(&measured)));
    } else {
        terminal::print(calibration::table(&measured));
    }
    Ok(CommandOutcome::Done)
}

/// One run; `None` where it was interrupted.
fn measure(
    arguments: &CalibrateArguments,
    arrivals: Arrivals,
) -> anyhow::Result<Option<TruthComparison>> {
    let micros = |time: Duration| format!("{}us", time.as_micros());
    let (ttft, itl) = (micros(arguments.ttft), micros(arguments.itl));
    let tokens = arguments.tokens.to_string();
    let mut flags = vec!["--ttft", &ttft, "--itl", &itl, "--tokens", &tokens];
    if arguments.tls {
        flags.push("--tls");
    }
    let server = ServerProcess::start(&flags)?;
    let mut plan = Plan::new("mock".to_owned(), server.at("/v1/chat/completions"));
    plan.work.prompts = PromptSource::Prompt("How right are you?".to_owned());
    plan.load.arrivals = arrivals;
    plan.load.requests = Some(match arrivals {
        Arrivals::Closed { parallel } => parallel as u64 * REQUESTS_PER_SLOT,
        Arrivals::Open { rate, .. } => (rate * OPEN_LOOP_SECONDS).ceil().max(1.0) as u64,
        Arrivals::AllAtOnce | Arrivals::Trace(_) => 100,
    });
    plan.transport.choice = arguments.transport.choice();
    plan.target.route.insecure = arguments.tls;
    let outputs = Outputs {
        quiet: true,
        ..Outputs::printed()
    };
    let result = run(&plan.into(), &outputs)?.pop();
    match result.filter(|result| !result.circumstances.interrupted) {
        Some(result) => Ok(Some(TruthComparison::of(&server.truth()?, &result))),
        None => Ok(None),
    }
}
