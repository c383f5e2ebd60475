//! The JSON document: everything of the summary, with units in the names, plan, seeds, versions, the
//! identity of the parser and the verdict. Its schema is `results.schema.json` beside this file.

use crate::sink::{FinishedRun, RunRecord, SinkSummary};
use serde_json::{Value, json};

/// What the document says that it is.
pub const FORMAT: &str = "llmuses.results";

/// The version of the document. It changes when a name goes or changes its meaning, not when one comes.
pub const FORMAT_VERSION: u32 = 1;

/// A run as it stands in a database, or would stand there.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRun {
    /// Its place in its document, from 1.
    pub id: u32,
    /// `running`, `finished`, `interrupted` or `failed`.
    pub state: String,
    /// The start in Unix seconds.
    pub started: f64,
    /// The end in Unix seconds. `None`: the program was ended before it could say.
    pub finished: Option<f64>,
    /// When requests began to be issued. `None`: they never did, or an older version did not note it.
    pub first_due: Option<f64>,
    /// The plan, as of [`crate::plan::Plan::to_json`].
    pub plan: Value,
    /// The seed of the schedule.
    pub schedule_seed: String,
    /// The versions of this program, of the contract with parsers, and of wasmtime.
    pub versions: [String; 3],
    /// Name, version, SHA-256 and source of the parser.
    pub parser: [String; 4],
    /// The totals, as of [`crate::stats::totals_json`]. `None`: the program was ended before it could say.
    pub totals: Option<Value>,
    /// The verdict, as of [`crate::stats::verdict_json`].
    pub verdict: Option<Value>,
    /// The summary as it was printed. `None`: a run that did not print one.
    pub summary: Option<String>,
    /// What became of the rows. `None`: no database, or one that was never finished.
    pub rows: Option<Rows>,
}

/// What became of the rows of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Requests with a row.
    pub kept: u64,
    /// Requests that should have one and do not.
    pub not_kept: u64,
    /// Why: the first error, in the words of SQLite.
    pub write_error: Option<String>,
}

impl StoredRun {
    /// A run that has just ended.
    pub fn of(record: &RunRecord, finished: &FinishedRun, stored: Option<&SinkSummary>) -> Self {
        Self {
            id: record.id,
            state: finished.state.as_str().to_owned(),
            started: crate::sink::unix_seconds(&record.clock, record.started),
            finished: Some(crate::sink::unix_seconds(&record.clock, finished.finished)),
            // Needed only where totals are made again.
            first_due: None,
            plan: record.plan.clone(),
            schedule_seed: record.schedule_seed.to_string(),
            versions: [
                record.llmuses_version.clone(),
                record.contract_version.clone(),
                record.wasmtime_version.clone(),
            ],
            parser: [
                record.plugin_name.clone(),
                record.plugin_version.clone(),
                record.plugin_sha256.clone(),
                record.plugin_source.clone(),
            ],
            totals: Some(finished.totals.clone()),
            verdict: Some(finished.verdict.clone()),
            summary: Some(finished.summary.clone()),
            rows: stored.map(|stored| Rows {
                kept: stored.rows,
                not_kept: stored.not_kept,
                write_error: stored.first_error.clone(),
            }),
        }
    }

    /// The run as JSON.
    pub fn to_json(&self) -> Value {
        let [llmuses, contract, wasmtime] = &self.versions;
        let [name, version, sha256, source] = &self.parser;
        json!({
            "id": self.id,
            "state": self.state,
            "started_unix_seconds": self.started,
            "finished_unix_seconds": self.finished,
            "schedule_seed": self.schedule_seed,
            "versions": { "llmuses": llmuses, "contract": contract, "wasmtime": wasmtime },
            "parser": { "name": name, "version": version, "sha256": sha256, "source": source },
            "plan": self.plan,
            "verdict": self.verdict,
            "totals": self.totals,
            "rows": self.rows.as_ref().map(|rows| json!({
                "kept": rows.kept,
                "not_kept": rows.not_kept,
                "write_error": rows.write_error,
            })),
        })
    }
}

/// The document of one run, or of several that belong together.
pub fn document(runs: &[StoredRun]) -> Value {
    json!({
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "written_by": concat!("llmuses ", env!("CARGO_PKG_VERSION")),
        "runs": runs.iter().map(StoredRun::to_json).collect::<Vec<Value>>(),
    })
}
