//! How fast finished requests are counted, and how fast they become rows of the database.

use criterion::{Criterion, Throughput};
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::document::{PlanRecord, RunState, TargetRecord, Task, Totals, Verdict};
use llmuses_core::exchange::{
    ConnectionOpening, Exchange, Outcome, Reading, ResponseHead, ResponseLog, StampQuality,
    TokenCount, TokenSource,
};
use llmuses_stats::{Origin, RunStatistics, Sample};
use llmuses_store::sink::{Database, FinishedRun, RunRecord};
use std::time::Duration;

fn millis(count: u64) -> Moment {
    Moment::from_nanos(count * 1_000_000)
}

/// A streamed request that succeeded.
fn outcome(chunks: u64) -> Outcome {
    let mut response = ResponseLog::default();
    response.set_streamed();
    for chunk in 0..chunks {
        let data = format!(r#"{{"i":{chunk}}}"#);
        assert!(response.push(data.as_bytes(), millis(150 + chunk * 10)));
    }
    let count = |tokens| {
        Some(TokenCount {
            tokens,
            source: TokenSource::Server,
        })
    };
    Outcome {
        exchange: Exchange {
            number: 0,
            place: llmuses_core::turn::TurnPlace::alone(0),
            model: None,
            request_id: None,
            url: None,
            request: r#"{"model":"qwen"}"#.into(),
            intended: millis(100),
            body_wait: Duration::ZERO,
            held_up: Duration::ZERO,
            sent: Some(millis(110)),
            connection: Some(ConnectionOpening {
                total: Duration::from_millis(8),
                ..ConnectionOpening::default()
            }),
            head: Some(ResponseHead {
                status: 200,
                at: millis(150),
                content_type: None,
                label: None,
            }),
            response,
            end: millis(2000),
            stamps: StampQuality::Kernel,
            failure: None,
            held: Default::default(),
        },
        reading: Some(Reading {
            prompt: count(7),
            completion: count(chunks),
            outputs: (1..chunks as u32).collect(),
            ..Reading::default()
        }),
    }
}

fn record() -> RunRecord {
    RunRecord {
        id: 1,
        clock: Clock::start(),
        started: millis(0),
        plan: PlanRecord {
            target: TargetRecord {
                model: "qwen".to_owned(),
                ..TargetRecord::default()
            },
            ..PlanRecord::default()
        },
        schedule_seed: 0,
        llmuses_version: String::new(),
        contract_version: String::new(),
        wasmtime_version: String::new(),
        plugin_name: "openai".to_owned(),
        plugin_version: String::new(),
        plugin_sha256: String::new(),
        plugin_source: "built in".to_owned(),
        task: Task::Generate,
        transport: "sockets".to_owned(),
        stamps: StampQuality::Kernel,
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();

    let mut group = criterion.benchmark_group("recording/statistics");
    for chunks in [5, 100] {
        let outcome = outcome(chunks);
        let mut statistics = RunStatistics::new(Origin::Sent);
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{chunks}_chunks"), |bencher| {
            bencher.iter(|| statistics.record(&outcome));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("recording/database");
    for (chunks, rows) in [(5, 10_000), (100, 2_000)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database =
            Database::create(&folder.path().join("run.db"), &record()).expect("a new file");
        let mut outcome = outcome(chunks);
        group.throughput(Throughput::Elements(rows));
        // The queue before the writer is full nearly all the time: what is measured is the writer.
        group.bench_function(format!("{chunks}_chunks"), |bencher| {
            bencher.iter(|| {
                for _ in 0..rows {
                    database.send(Sample::of(outcome.clone(), Origin::Sent, false));
                    outcome.exchange.number += 1;
                }
            });
        });
        let summary = database
            .finish(&FinishedRun {
                finished: millis(9000),
                state: RunState::Finished,
                totals: Totals::default(),
                verdict: Verdict {
                    trusted: true,
                    doubts: Vec::new(),
                },
                summary: String::new(),
            })
            .expect("it is completed");
        assert_eq!(
            (summary.rows, summary.not_kept),
            (outcome.exchange.number, 0)
        );
    }
    group.finish();
    criterion.final_summary();
}
