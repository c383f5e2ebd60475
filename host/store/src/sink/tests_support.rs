//! The record of a made-up run, for the tests of databases and of results.

use super::{FinishedRun, RunRecord};
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::document::{
    LoadRecord, PlanRecord, RunState, TargetRecord, Task, Totals, Verdict,
};
use llmuses_core::exchange::Outcome;
use llmuses_core::exchange::StampQuality;
use llmuses_stats::{Origin, Sample};

/// A run of a closed loop that started at moment zero.
pub(crate) fn record() -> RunRecord {
    RunRecord {
        id: 1,
        clock: Clock::start(),
        started: Moment::default(),
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
        schedule_seed: u64::MAX,
        llmuses_version: "0.1.0".to_owned(),
        contract_version: "1.0.0".to_owned(),
        wasmtime_version: "48.0.0".to_owned(),
        plugin_name: "openai".to_owned(),
        plugin_version: "2.0.0".to_owned(),
        plugin_sha256: "00ff".to_owned(),
        plugin_source: "built in".to_owned(),
        task: Task::Rerank,
        transport: "sockets".to_owned(),
        stamps: StampQuality::Kernel,
    }
}

/// The end of that run.
pub(crate) fn finished() -> FinishedRun {
    FinishedRun {
        finished: Moment::from_nanos(9_000_000_000),
        state: RunState::Finished,
        totals: Totals {
            origin: "sent".to_owned(),
            ..Totals::default()
        },
        verdict: Verdict {
            trusted: true,
            doubts: Vec::new(),
        },
        summary: "Benchmarking summary".to_owned(),
    }
}

/// An outcome, counted from when it was sent.
pub(crate) fn measured(outcome: Outcome, warmup: bool) -> Sample {
    Sample::of(outcome, Origin::Sent, warmup)
}
