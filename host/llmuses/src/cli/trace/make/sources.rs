//! Where the requests of a trace come from: a database of results, or a file of bodies with times.

use super::super::entries::each_entry;
use super::prompt::{most_output, prompt_of};
use super::{MakeArguments, MakeError};
use crate::cli::perf::UsageError;
use llmuses_core::item::{Entry, Turn};
use llmuses_kernel_io::regular_file::open_regular;
use llmuses_plugin_host::TokenCounter;
use llmuses_store::results::ResultsDatabase;
use llmuses_workload::{Dataset, HostTokenizer};
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

/// A request.
#[derive(Debug)]
pub(super) struct Sent {
    /// When it was sent, in seconds from some time on.
    pub(super) at: f64,
    pub(super) prompt: String,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    /// Its conversation: that of all requests with this number.
    pub(super) session: Option<u64>,
}

/// Requests that are in no trace, by reason.
#[derive(Debug, Default)]
pub(super) struct Passed(BTreeMap<Cow<'static, str>, u64>);

impl Passed {
    fn count(&mut self, reason: &'static str) {
        self.add(reason, 1);
    }

    fn add(&mut self, reason: impl Into<Cow<'static, str>>, count: u64) {
        *self.0.entry(reason.into()).or_default() += count;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        if self.is_empty() {
            return "there are none".to_owned();
        }
        let reasons = self
            .0
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"));
        format!("passed over: {}", reasons.collect::<Vec<_>>().join(", "))
    }
}

/// Where requests come from.
pub(super) enum Source {
    /// A run of a database, and how many bytes its prompts have for a token.
    Database(ResultsDatabase, u32, f64),
    /// The requests of a file.
    File(Vec<Sent>, Passed),
}

impl Source {
    /// Opens the file of the arguments.
    ///
    /// # Errors
    /// Where it is none of both, or does not tell enough.
    pub(super) fn open(
        arguments: &MakeArguments,
        tokenizer: Option<&HostTokenizer>,
    ) -> anyhow::Result<Self> {
        if is_database(&arguments.file) {
            let database = ResultsDatabase::open(&arguments.file)?;
            let run = chosen(&database, arguments.run, &arguments.file)?;
            let (mut bytes, mut tokens) = (0, 0);
            database.each_sent(run, |sent| {
                if let Some(input) = sent.input_tokens.filter(|_| sent.success && !sent.is_cut) {
                    bytes += prompt_of(&sent.body).len();
                    tokens += input;
                }
            })?;
            let bytes_of_a_token = bytes as f64 / tokens.max(1) as f64;
            return Ok(Self::Database(database, run, bytes_of_a_token));
        }
        let dataset = Dataset::open(&arguments.file).map_err(UsageError::Dataset)?;
        let Some(tokenizer) = tokenizer else {
            let path = arguments.file.clone();
            return Err(MakeError::NoTokenizer { path }.into());
        };
        let (mut all, mut passed) = (Vec::new(), Passed::default());
        let mut sessions = BTreeMap::new();
        let whole = each_entry(dataset, None, &arguments.bounds, |entry| {
            let names = sessions.len() as u64;
            let session = entry.session.clone();
            let session = session.map(|name| *sessions.entry(name).or_insert(names));
            match of_entry(&entry, session, tokenizer) {
                Ok(sent) => all.push(sent),
                Err(reason) => passed.count(reason),
            }
        })?;
        for (reason, count) in whole.skipped {
            passed.add(reason, count);
        }
        all.sort_by(|one, other| one.at.total_cmp(&other.at));
        Ok(Self::File(all, passed))
    }

    /// How many bytes prompts have for a token, on average.
    pub(super) fn bytes_of_a_token(&self) -> f64 {
        match self {
            Self::Database(.., bytes) => *bytes,
            // There is a tokenizer.
            Self::File(..) => 1.0,
        }
    }

    /// Hands over all requests in the order of their times, and gives back what was passed over.
    ///
    /// # Errors
    /// Where the database cannot be read on.
    pub(super) fn each(self, take: &mut dyn FnMut(Sent)) -> anyhow::Result<Passed> {
        match self {
            Self::File(all, passed) => {
                all.into_iter().for_each(take);
                Ok(passed)
            }
            Self::Database(database, run, _) => {
                let mut passed = Passed::default();
                database.each_sent(run, |sent| {
                    let tokens = sent.input_tokens.zip(sent.output_tokens);
                    match tokens.filter(|(input, _)| *input > 0) {
                        _ if sent.is_disconnected => passed.count("that the client cancelled"),
                        _ if !sent.success => passed.count("that failed"),
                        _ if sent.body.is_empty() => passed.count(
                            "whose texts are not in this database (workers keep theirs: `llmuses merge` brings them together)",
                        ),
                        _ if sent.is_cut => passed.count(
                            "of more than 1 MiB, of whose bodies the database has the beginning alone",
                        ),
                        None => passed.count("whose tokens nobody counted"),
                        Some((_, 0)) => passed.count("without output tokens"),
                        Some((input_tokens, output_tokens)) => take(Sent {
                            at: sent.sent_unix_seconds,
                            prompt: prompt_of(&sent.body),
                            input_tokens,
                            output_tokens,
                            session: Some(sent.session),
                        }),
                    }
                })?;
                Ok(passed)
            }
        }
    }
}

fn is_database(path: &std::path::Path) -> bool {
    let mut first = Vec::new();
    let read = open_regular(path).and_then(|file| file.take(6).read_to_end(&mut first));
    read.is_ok() && first == b"SQLite"
}

/// The run that is meant.
fn chosen(
    database: &ResultsDatabase,
    asked: Option<u32>,
    path: &std::path::Path,
) -> anyhow::Result<u32> {
    let runs: Vec<u32> = database.runs()?.iter().map(|run| run.id).collect();
    let ids = runs.iter().map(ToString::to_string).collect();
    let path = PathBuf::from(path);
    match (asked, runs.as_slice()) {
        (None, [run]) => Ok(*run),
        (None, _) => Err(MakeError::WhichRun { path, ids }.into()),
        (Some(id), runs) if runs.contains(&id) => Ok(id),
        (Some(id), _) => Err(MakeError::NoRun { path, id, ids }.into()),
    }
}

/// The request of an entry.
fn of_entry(
    entry: &Entry,
    session: Option<u64>,
    tokenizer: &HostTokenizer,
) -> Result<Sent, &'static str> {
    let at = entry.at.ok_or("without a time")?;
    let [turn] = entry.turns.as_slice() else {
        return Err("of several turns");
    };
    let (prompt, most) = of_turn(entry, turn)?;
    let output_tokens = turn.output_tokens.or(most).filter(|tokens| *tokens > 0);
    let input_tokens = tokenizer
        .count(&prompt)
        .map_err(|_| "whose tokens the tokenizer could not count")?;
    Ok(Sent {
        at,
        prompt,
        input_tokens: input_tokens.max(1),
        output_tokens: output_tokens.ok_or("without a number of output tokens")?,
        session,
    })
}

/// The prompt of a turn, and the most output tokens that its body asks for.
fn of_turn(entry: &Entry, turn: &Turn) -> Result<(String, Option<u64>), &'static str> {
    if turn.asks_nothing() {
        return Err("without a text: it is of a trace already");
    }
    let asked = serde_json::Value::Object(entry.parameters.clone());
    if let Some(body) = &turn.body {
        return Ok((prompt_of(&body.to_string()), most_output(body)));
    }
    let body = match &turn.prompt {
        Some(prompt) => json!({"system": entry.system, "prompt": prompt}),
        None => json!({"system": entry.system, "messages": turn.messages}),
    };
    Ok((prompt_of(&body.to_string()), most_output(&asked)))
}
