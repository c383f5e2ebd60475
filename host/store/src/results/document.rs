//! A run that has just ended, as it stands in a document.

use crate::sink::{FinishedRun, RunRecord, unix_seconds};
use llmuses_core::document::{ParserIdentity, Run, Versions};

/// The document's part of a run that has just ended, before anything is known of its rows.
pub fn run_of(record: &RunRecord, finished: &FinishedRun) -> Run {
    let unix = |moment| unix_seconds(&record.clock, moment);
    Run {
        id: record.id,
        state: finished.state,
        started_unix_seconds: unix(record.started),
        finished_unix_seconds: Some(unix(finished.finished)),
        schedule_seed: record.schedule_seed.to_string(),
        versions: Versions {
            llmuses: record.llmuses_version.clone(),
            contract: record.contract_version.clone(),
            wasmtime: record.wasmtime_version.clone(),
        },
        parser: ParserIdentity {
            name: record.plugin_name.clone(),
            version: record.plugin_version.clone(),
            sha256: record.plugin_sha256.clone(),
            source: record.plugin_source.clone(),
        },
        plan: record.plan.clone(),
        verdict: Some(finished.verdict.clone()),
        totals: Some(finished.totals.clone()),
        rows: None,
    }
}
