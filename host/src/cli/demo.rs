//! `llmuses demo`: a real load test with nothing to set up. A server of known timing runs in a process
//! of its own, the built-in open-qa parser makes requests of the sample data set, and at the end stands
//! what the server says it did beside what was measured.

use super::Outcome;
use crate::ground_truth::{GroundTruth, comparison};
use crate::plan::{Arrivals, LengthFilter, ParserChoice, Plan, PromptSource, Timeouts};
use crate::run::{RunResult, run};
use clap::Args;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use url::Url;

/// The sample that ships in the program.
const SAMPLE: &[u8] = include_bytes!("../../../datasets/open_qa.jsonl");

/// Requests in flight at once.
const PARALLEL: usize = 8;

/// Requests in all: about ten seconds at the timing below.
const REQUESTS: u64 = 80;

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
    /// The server could not be started.
    #[error("the demo's server could not be started: {0}")]
    Start(#[source] std::io::Error),
    /// The server ended, or said something else than its address.
    #[error("the demo's server did not say where it listens; it said {0:?}")]
    Address(String),
    /// The sample could not be written to the folder for temporary files.
    #[error("the sample data set could not be written: {0}")]
    Sample(#[source] std::io::Error),
    /// The server did not tell what it did.
    #[error("the demo's server did not tell what it did: {0}")]
    Truth(String),
}

/// A mock server in a process of its own, ended with this value.
struct Server {
    child: Child,
    address: Url,
}

impl Server {
    fn start() -> Result<Self, DemoError> {
        let program = std::env::current_exe().map_err(DemoError::Start)?;
        let mut child = Command::new(program)
            .args(["mock-server", "--until-stdin-closes"])
            .args(["--ttft", "50ms", "--ttft-jitter", "20ms"])
            .args(["--itl", "9ms", "--itl-jitter", "3ms"])
            .args(["--tokens", "100", "--role-chunk", "--seed", "7"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(DemoError::Start)?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output)
                .read_line(&mut line)
                .map_err(DemoError::Start)?;
        }
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .and_then(|address| Url::parse(address).ok());
        match address {
            Some(address) => Ok(Self { child, address }),
            None => {
                // It is of no use, and may be gone already.
                let _ = child.kill();
                let _ = child.wait();
                Err(DemoError::Address(line))
            }
        }
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.address.clone();
        url.set_path(path);
        url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `llmuses demo`.
pub(super) fn execute(arguments: &DemoArguments) -> anyhow::Result<Outcome> {
    let folder = tempfile::tempdir().map_err(DemoError::Sample)?;
    let dataset = folder.path().join("open_qa.jsonl");
    std::fs::write(&dataset, SAMPLE).map_err(DemoError::Sample)?;
    let database = match &arguments.name {
        Some(name) => PathBuf::from(format!("{name}.db")),
        None => folder.path().join("demo.db"),
    };
    let server = Server::start()?;
    eprintln!(
        "A server of known timing listens at {}; {REQUESTS} questions of the sample data set go to it, \
         {PARALLEL} at a time.",
        server.address
    );
    let result = run(plan(&server, dataset, database))?;
    let truth = GroundTruth::fetch(&server.at("/truth")).map_err(DemoError::Truth)?;
    print!("{}", comparison(&truth, &result.statistics));
    Ok(good(&result))
}

fn good(result: &RunResult) -> Outcome {
    if result.is_good() {
        Outcome::Done
    } else {
        Outcome::Failed
    }
}

fn plan(server: &Server, dataset: PathBuf, database: PathBuf) -> Plan {
    Plan {
        model: "mock".to_owned(),
        url: server.at("/v1/chat/completions"),
        headers: http::HeaderMap::new(),
        parser: ParserChoice::Builtin("openai_openqa_qwen"),
        prompts: PromptSource::Dataset(dataset),
        lengths: LengthFilter {
            min: 0,
            max: u64::MAX,
        },
        parameters: serde_json::Map::new(),
        requests: Some(REQUESTS),
        arrivals: Arrivals::Closed { parallel: PARALLEL },
        seed: 42,
        timeouts: Timeouts {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            total: None,
        },
        log_every: 10,
        name: "demo".to_owned(),
        database,
        tokenizer: None,
        skip_bad_lines: false,
        insecure: false,
        debug: false,
        client_threads: 1,
        compile_cache: true,
        bounds: crate::plugin::Bounds::default(),
    }
}
