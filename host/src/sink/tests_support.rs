//! The record of a made-up run, for the tests of databases and of results.

use super::RunRecord;
use crate::clock::Clock;
use crate::document::{ParserIdentity, PlanRecord, Run, RunState, Versions};
use crate::exchange::StampQuality;
use crate::stats::Origin;
use crate::stats::samples::moment;

/// A run of a closed loop that started at moment zero.
pub(crate) fn record() -> RunRecord {
    RunRecord {
        id: 1,
        clock: Clock::start(),
        origin: Origin::Sent,
        started: moment(0),
        plan: PlanRecord {
            model: "qwen".to_owned(),
            arrivals: "closed".to_owned(),
            parallel: Some(1),
            ..PlanRecord::default()
        },
        schedule_seed: u64::MAX,
        llmuses_version: "0.1.0".to_owned(),
        contract_version: "1.0.0".to_owned(),
        wasmtime_version: "48.0.0".to_owned(),
        plugin_name: "openai".to_owned(),
        plugin_version: "2.0.0".to_owned(),
        plugin_sha256: "00ff".to_owned(),
        plugin_source: "built in".to_owned(),
        transport: "sockets".to_owned(),
        stamps: StampQuality::Kernel,
    }
}

/// The same run as it stands in a document before it has ended.
pub(crate) fn run() -> Run {
    let record = record();
    Run {
        id: 1,
        state: RunState::Running,
        started_unix_seconds: 1.8e9,
        finished_unix_seconds: None,
        schedule_seed: record.schedule_seed.to_string(),
        versions: Versions {
            llmuses: record.llmuses_version,
            contract: record.contract_version,
            wasmtime: record.wasmtime_version,
        },
        parser: ParserIdentity {
            name: record.plugin_name,
            version: record.plugin_version,
            sha256: record.plugin_sha256,
            source: record.plugin_source,
        },
        plan: record.plan,
        verdict: None,
        totals: None,
        rows: None,
    }
}
