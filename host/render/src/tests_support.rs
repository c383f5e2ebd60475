//! A made-up run, for the tests of everything that is drawn from runs.

use llmuses_core::document::{
    LoadRecord, ParserIdentity, PlanRecord, Run, RunState, TargetRecord, Versions,
};

/// A run of a closed loop as it stands in a document before it has ended.
pub(crate) fn run() -> Run {
    Run {
        id: 1,
        state: RunState::Running,
        started_unix_seconds: 1.8e9,
        finished_unix_seconds: None,
        schedule_seed: u64::MAX.to_string(),
        versions: Versions {
            llmuses: "0.1.0".to_owned(),
            contract: "1.0.0".to_owned(),
            wasmtime: "48.0.0".to_owned(),
        },
        parser: ParserIdentity {
            name: "openai".to_owned(),
            version: "2.0.0".to_owned(),
            sha256: "00ff".to_owned(),
            source: "built in".to_owned(),
        },
        plan: PlanRecord {
            target: TargetRecord {
                model: "qwen".to_owned(),
                ..TargetRecord::default()
            },
            load: LoadRecord {
                arrivals: "closed".to_owned(),
                parallel: Some(1),
                ..LoadRecord::default()
            },
            ..PlanRecord::default()
        },
        verdict: None,
        totals: None,
        rows: None,
    }
}
