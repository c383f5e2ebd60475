//! `llmuses demo`: a real load test with nothing to set up. A server of known timing runs in a process
//! of its own, the built-in open-qa parser makes requests of the sample data set, and at the end stands
//! what the server says it did beside what was measured.

use super::CommandOutcome;
use super::perf::database;
use super::server_process::ServerProcess;
use crate::ground_truth::comparison;
use crate::run::{Outputs, RunResult, Save, run};
use clap::Args;
use llmuses_core::plan::{Arrivals, ParserChoice, Plan, PromptSource};
use llmuses_observe::terminal;

/// The sample that ships in the program.
const SAMPLE: &[u8] = include_bytes!("../../../../datasets/open_qa.jsonl");

/// Requests in flight at once.
const PARALLEL: usize = 8;

/// Requests in all: about ten seconds at the timing below.
const REQUESTS: u64 = 80;

/// How the server behaves: role chunks come at once, and must not be taken for first tokens.
const SERVER: [&str; 13] = [
    "--ttft",
    "50ms",
    "--ttft-jitter",
    "20ms",
    "--itl",
    "9ms",
    "--itl-jitter",
    "3ms",
    "--tokens",
    "100",
    "--role-chunk",
    "--seed",
    "7",
];

/// Arguments of `llmuses demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Keep the results in NAME.db [default: they are thrown away]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// The demo could not be given.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The sample could not be written to the folder for temporary files.
    #[error("the sample data set could not be written")]
    Sample(#[source] std::io::Error),
}

/// Runs `llmuses demo`.
pub(super) fn execute(arguments: &DemoArguments) -> anyhow::Result<CommandOutcome> {
    let folder = tempfile::tempdir().map_err(DemoError::Sample)?;
    let dataset = folder.path().join("open_qa.jsonl");
    std::fs::write(&dataset, SAMPLE).map_err(DemoError::Sample)?;
    let server = ServerProcess::start(&SERVER)?;
    terminal::say(format!(
        "A server of known timing listens at {}; {REQUESTS} questions of the sample data set go to it, \
         {PARALLEL} at a time.",
        server.address()
    ));
    let mut plan = Plan::new("mock".to_owned(), server.at("/v1/chat/completions"));
    plan.work.parser = ParserChoice::Builtin("openai_openqa_qwen");
    plan.work.prompts = PromptSource::Dataset(dataset);
    plan.load.requests = Some(REQUESTS);
    plan.load.arrivals = Arrivals::Closed { parallel: PARALLEL };
    plan.transport.client_threads = Some(1);
    let mut outputs = Outputs {
        live_view: terminal::live_view(),
        ..Outputs::printed()
    };
    if let Some(name) = &arguments.name {
        outputs.name.clone_from(name);
        outputs.database = database(name);
        outputs.save = Save::Full;
    }
    let results = run(&plan.into(), &outputs)?;
    let truth = server.truth()?;
    for result in &results {
        terminal::print(comparison(&truth, &result.statistics));
    }
    Ok(if results.iter().all(RunResult::is_good) {
        CommandOutcome::Done
    } else {
        CommandOutcome::Failed
    })
}
