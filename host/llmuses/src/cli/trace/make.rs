//! `llmuses trace make`: a run, or a file of bodies with times, as a trace without texts.

mod prompt;
mod sources;

use crate::cli::CommandOutcome;
use crate::cli::bounds::BoundsArguments;
use crate::cli::perf::UsageError;
use crate::cli::values::file_name;
use clap::{Args, ValueEnum};
use llmuses_core::wording::counted;
use llmuses_kernel_io::private_file;
use llmuses_observe::terminal;
use llmuses_workload::{BlockHashes, HostTokenizer, cuts_by_bytes, cuts_by_tokens};
use serde_json::{Value, json};
use sources::{Sent, Source};
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `llmuses trace make`.
#[derive(Debug, Args)]
pub(super) struct MakeArguments {
    /// Database of a run (RUN.db), or a file of request bodies with times in a format that `perf --trace` replays.
    #[arg(value_name = "RUN.db|FILE")]
    file: PathBuf,

    /// Format of the trace.
    #[arg(long, value_enum, default_value = "bailian")]
    format: TraceFormat,

    /// New file for the trace [default: standard output]
    #[arg(long, value_name = "FILE", value_parser = file_name)]
    out: Option<PathBuf>,

    /// Run of the database [default: the only one]
    #[arg(long, value_name = "ID")]
    run: Option<u32>,

    /// Folder with tokenizer.json, or that file: blocks are then cut by tokens. Without it those of a run are cut by
    /// bytes, as many for a token as its prompts had on average.
    #[arg(long, value_name = "PATH")]
    tokenizer_path: Option<PathBuf>,

    #[command(flatten)]
    bounds: BoundsArguments,
}

/// The formats in which traces are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TraceFormat {
    /// Of Bailian: seconds, blocks of 16 tokens, conversations.
    Bailian,
    /// Of Mooncake: whole milliseconds, blocks of 512 tokens.
    Mooncake,
}

impl TraceFormat {
    /// The tokens of a block.
    fn block(self) -> u64 {
        match self {
            Self::Bailian => 16,
            Self::Mooncake => 512,
        }
    }
}

/// No trace can be made.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum MakeError {
    /// The database has several runs.
    #[error("{} has the runs {}: say which one with --run", path.display(), ids.join(", "))]
    WhichRun {
        /// The database.
        path: PathBuf,
        /// Their ids.
        ids: Vec<String>,
    },
    /// It has no such run.
    #[error("{} has no run {id}, but {}", path.display(), ids.join(", "))]
    NoRun {
        /// The database.
        path: PathBuf,
        /// What was asked for.
        id: u32,
        /// The ids that there are.
        ids: Vec<String>,
    },
    /// Nobody knows how long prompts are.
    #[error(
        "{} does not tell how many tokens its prompts have: give the folder of the model's tokenizer as --tokenizer-path",
        path.display()
    )]
    NoTokenizer {
        /// The file.
        path: PathBuf,
    },
    /// Nothing is left.
    #[error("no request of {} can be in a trace: {passed}", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// What was passed over.
        passed: String,
    },
    /// There is no salt.
    #[error("{0}")]
    Salt(String),
    /// The tokenizer fails on a prompt.
    #[error("no trace can be made, since a prompt cannot be cut into blocks of tokens: {0}")]
    Tokenizer(String),
    /// The trace cannot be written.
    #[error("{}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
}

impl MakeError {
    /// Whether the arguments are at fault.
    pub(in crate::cli) fn is_usage(&self) -> bool {
        match self {
            Self::WhichRun { .. } | Self::NoRun { .. } | Self::NoTokenizer { .. } => true,
            Self::Write { reason, .. } => reason.kind() == std::io::ErrorKind::AlreadyExists,
            Self::Nothing { .. } | Self::Salt(_) | Self::Tokenizer(_) => false,
        }
    }
}

/// Runs `llmuses trace make`.
pub(super) fn execute(arguments: MakeArguments) -> anyhow::Result<CommandOutcome> {
    let tokenizer = match &arguments.tokenizer_path {
        Some(path) => {
            let path = HostTokenizer::find(path).map_err(UsageError::Tokenizer)?;
            Some(HostTokenizer::load(&path).map_err(UsageError::Tokenizer)?)
        }
        None => None,
    };
    let source = Source::open(&arguments, tokenizer.as_ref())?;
    let hashes = BlockHashes::with_a_salt_of_its_own().map_err(MakeError::Salt)?;
    let mut maker = Maker {
        format: arguments.format,
        hashes,
        bytes_of_a_token: source.bytes_of_a_token(),
        tokenizer,
        last_of_session: HashMap::new(),
        first: None,
        requests: 0,
        tokenizer_failed: None,
    };
    let mut text = Vec::new();
    let passed = source.each(&mut |sent| {
        let line = maker.line(&sent);
        // Writing to memory does not fail.
        let _ = writeln!(text, "{line}");
    })?;
    if let Some(reason) = maker.tokenizer_failed {
        return Err(MakeError::Tokenizer(reason).into());
    }
    if maker.requests == 0 {
        return Err(MakeError::Nothing {
            path: arguments.file.clone(),
            passed: passed.describe(),
        }
        .into());
    }
    write(&arguments, &text)?;
    let mut said = format!(
        "{} of {} as a trace of the format {}; texts became lengths and salted hashes of blocks of {} tokens, and the \
         salt is not kept",
        counted(maker.requests, "request"),
        arguments.file.display(),
        match arguments.format {
            TraceFormat::Bailian => "bailian",
            TraceFormat::Mooncake => "mooncake",
        },
        arguments.format.block(),
    );
    if !passed.is_empty() {
        said.push_str(&format!("; {}", passed.describe()));
    }
    terminal::say(said);
    Ok(CommandOutcome::Done)
}

fn write(arguments: &MakeArguments, text: &[u8]) -> Result<(), MakeError> {
    let Some(path) = &arguments.out else {
        terminal::print(String::from_utf8_lossy(text));
        return Ok(());
    };
    let failed = |reason| MakeError::Write {
        path: path.clone(),
        reason,
    };
    let mut file = private_file::create_new(path).map_err(failed)?;
    file.write_all(text).map_err(failed)
}

/// Makes the lines of a trace.
struct Maker {
    format: TraceFormat,
    hashes: BlockHashes,
    tokenizer: Option<HostTokenizer>,
    /// On average, where no tokenizer tells.
    bytes_of_a_token: f64,
    /// The last request of each session, and its turn.
    last_of_session: HashMap<u64, (u64, u64)>,
    /// When the first request was sent.
    first: Option<f64>,
    requests: u64,
    /// Why there is no trace, where the tokenizer failed on a prompt.
    tokenizer_failed: Option<String>,
}

impl Maker {
    fn line(&mut self, sent: &Sent) -> Value {
        let block = self.format.block();
        let cuts = match &self.tokenizer {
            Some(tokenizer) => match tokenizer.token_ends(&sent.prompt) {
                Ok(ends) => cuts_by_tokens(&ends, block as usize),
                Err(reason) => {
                    self.tokenizer_failed.get_or_insert(reason);
                    Vec::new()
                }
            },
            None => cuts_by_bytes(&sent.prompt, self.bytes_of_a_token * block as f64),
        };
        let blocks = sent.input_tokens.div_ceil(block);
        let hash_ids = self.hashes.of(&sent.prompt, &cuts, blocks);
        let at = sent.at - *self.first.get_or_insert(sent.at);
        let id = self.requests;
        self.requests += 1;
        match self.format {
            TraceFormat::Mooncake => json!({
                "timestamp": (at * 1e3).round() as u64,
                "input_length": sent.input_tokens,
                "output_length": sent.output_tokens,
                "hash_ids": hash_ids,
            }),
            TraceFormat::Bailian => {
                let before = sent
                    .session
                    .and_then(|session| self.last_of_session.get(&session).copied());
                let turn = before.map_or(1, |(_, turn)| turn + 1);
                if let Some(session) = sent.session {
                    self.last_of_session.insert(session, (id, turn));
                }
                let parent = before.map_or(json!(-1), |(id, _)| json!(id));
                json!({
                    "chat_id": id,
                    "parent_chat_id": parent,
                    "timestamp": (at * 1e6).round() / 1e6,
                    "input_length": sent.input_tokens,
                    "output_length": sent.output_tokens,
                    "type": "text",
                    "turn": turn,
                    "hash_ids": hash_ids,
                })
            }
        }
    }
}
