//! `llmuses demo`: a real load test with nothing to set up. A server of known timing runs in a process
//! of its own, prompts of random lengths go to it, and at the end stands what the server says it did beside what was
//! measured, and how many tokens it counted beside what was asked for.

use super::CommandOutcome;
use super::perf::database;
use super::server_process::ServerProcess;
use crate::ground_truth::comparison;
use crate::run::{Outputs, RunResult, Save, run};
use clap::Args;
use llmuses_core::document::{AskedLength, AskedLengths};
use llmuses_core::lengths::LengthError;
use llmuses_core::plan::{Arrivals, Generated, ParserChoice, Plan, PromptSource};
use llmuses_observe::terminal;

/// The tokenizer that ships in the program; the server counts its words as this one does.
const TOKENIZER: &[u8] = include_bytes!("../../../../datasets/tokenizer/tokenizer.json");

/// Tokens of the prompts.
const INPUT: &str = "uniform:200..1000";

/// Tokens of each output.
const OUTPUT: &str = "100";

/// Requests in flight at once.
const PARALLEL: usize = 48;

/// Requests in all: about ten seconds at the timing below, and enough for a p99.
const REQUESTS: u64 = 480;

/// How the server behaves: role chunks come at once, and must not be taken for first tokens.
const SERVER: [&str; 11] = [
    "--ttft",
    "50ms",
    "--ttft-jitter",
    "20ms",
    "--itl",
    "9ms",
    "--itl-jitter",
    "3ms",
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
    /// The tokenizer could not be written to the folder for temporary files.
    #[error("the tokenizer could not be written to the folder for temporary files")]
    Tokenizer(#[source] std::io::Error),
    /// A length is none.
    #[error(transparent)]
    Length(#[from] LengthError),
}

/// Runs `llmuses demo`.
pub(super) fn execute(arguments: &DemoArguments) -> anyhow::Result<CommandOutcome> {
    let folder = tempfile::tempdir().map_err(DemoError::Tokenizer)?;
    let tokenizer = folder.path().join("tokenizer.json");
    std::fs::write(&tokenizer, TOKENIZER).map_err(DemoError::Tokenizer)?;
    let server = ServerProcess::start(&SERVER)?;
    terminal::say(format!(
        "A server of known timing listens at {}; {REQUESTS} prompts of 200 to 1000 random tokens go to it, {PARALLEL} at a \
         time, each for {OUTPUT} tokens.",
        server.address()
    ));
    let mut plan = Plan::new("mock".to_owned(), server.at("/v1/chat/completions"));
    plan.work.parser = ParserChoice::Builtin("openai_chat");
    plan.work.prompts = PromptSource::Generated(Generated {
        input: INPUT.parse().map_err(DemoError::Length)?,
        output: Some(OUTPUT.parse().map_err(DemoError::Length)?),
        prefixes: None,
        text: None,
        as_token_ids: false,
    });
    plan.work.tokenizer = Some(tokenizer);
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
        let mut text = comparison(&truth, &result.statistics);
        if let Some(lengths) = &result.circumstances.lengths_asked {
            text.push_str(&lengths_in_words(&lengths.to_document()));
        }
        terminal::print(text);
    }
    Ok(if results.iter().all(RunResult::is_good) {
        CommandOutcome::Done
    } else {
        CommandOutcome::Failed
    })
}

/// How many tokens the server counted beside what was asked for.
fn lengths_in_words(lengths: &AskedLengths) -> String {
    let part = |length: &AskedLength| {
        let exact = length.requests - length.different;
        format!(
            "{exact} of {} with the tokens asked for ({:.1} on average)",
            length.requests,
            length.mean_counted_tokens.unwrap_or_default()
        )
    };
    format!(
        "\nWhat the server counted:\n prompts: {}\n outputs: {}\n",
        part(&lengths.input),
        part(&lengths.output)
    )
}
