//! Each doubt on both sides of its limit.

mod answers;
mod client;

use super::*;
use crate::circumstances::{DatasetUse, StoppedBy, asked_output_tokens};
use crate::pauses::{OtherRuns, ProcessorWaits};
use crate::verdict;
use crate::workers::UnlikeWorker;
use llmuses_core::backlog::Waits;
use llmuses_core::document::{Task, UnsentRequests, WorkerFigures};
use llmuses_core::exchange::{Outcome, TokenSource};
use llmuses_core::late_reads::LateReads;
use llmuses_samples::OutcomeBuilder;

fn success() -> OutcomeBuilder {
    OutcomeBuilder::at(0)
        .sent(0)
        .events(&[100, 200, 300])
        .end(300)
        .outputs(&[0, 1, 2])
        .tokens(5, 3, TokenSource::Server)
}

fn failure() -> Outcome {
    OutcomeBuilder::at(0)
        .sent(0)
        .end(10)
        .fails(FailureKind::HttpStatus, "HTTP 503")
        .build()
}

fn statistics(successes: u64, others: impl IntoIterator<Item = Outcome>) -> RunStatistics {
    let mut statistics = RunStatistics::new(Origin::Sent);
    let success = success().build();
    for _ in 0..successes {
        statistics.record(&success);
    }
    for outcome in others {
        statistics.record(&outcome);
    }
    statistics
}

fn circumstances() -> Circumstances {
    Circumstances {
        asked: Some(500),
        issued: 500,
        client_busy: vec![0.2, 0.70],
        peak_in_flight: 1,
        transport: "sockets".to_owned(),
        ..Circumstances::default()
    }
}

fn codes(statistics: &RunStatistics, circumstances: &Circumstances) -> Vec<&'static str> {
    judge(statistics, circumstances)
        .iter()
        .map(Doubt::code)
        .collect()
}

#[test]
fn requests_that_the_client_broke_off_are_over_too() {
    let waits = Circumstances {
        backlog_waits: Waits::default().with(PipelineStage::Plugin, 1),
        ..circumstances()
    };
    let disconnected = OutcomeBuilder::at(0).sent(0).end(10);
    let disconnected = disconnected
        .fails(FailureKind::Disconnected, "left")
        .build();
    let found = |others| {
        let others = std::iter::repeat_n(disconnected.clone(), others);
        codes(&statistics(99, others), &waits).contains(&"parser-behind")
    };
    // One wait in 99 requests is more than 1 %, and one in 100 is not.
    assert!(found(0));
    assert!(!found(1));
}

fn workers() -> Circumstances {
    let worker = |name: &str, boot: &str| WorkerFigures {
        name: name.to_owned(),
        boot: Some(boot.to_owned()),
        clock_bound_seconds: Some(0.001),
        clock_drift_seconds: Some(0.001),
        ..WorkerFigures::default()
    };
    Circumstances {
        workers: vec![worker("n1", "a"), worker("n2", "b")],
        ..circumstances()
    }
}

#[test]
fn workers_raise_their_doubts() {
    // The run takes 300 ms, 1 % of which is 3 ms.
    let statistics = statistics(500, []);
    let found = |change: fn(&mut Circumstances)| {
        let mut circumstances = workers();
        change(&mut circumstances);
        codes(&statistics, &circumstances)
    };
    assert_eq!(found(|_| ()), Vec::<&str>::new());
    let apart = found(|run| run.workers[1].clock_drift_seconds = Some(0.0021));
    assert_eq!(apart, ["workers-apart"]);
    let same = |run: &mut Circumstances| run.workers[1].boot = Some("a".to_owned());
    assert_eq!(found(same), ["workers-on-one-machine"]);
    let meant = found(|run| {
        run.workers[1].boot = Some("a".to_owned());
        run.workers_share_a_machine = true;
    });
    assert_eq!(meant, Vec::<&str>::new());
    let unknown = found(|run| run.workers.iter_mut().for_each(|worker| worker.boot = None));
    assert_eq!(unknown, Vec::<&str>::new());
    let lost = found(|run| {
        run.interrupted = true;
        run.workers[0].lost = Some("its output ended".to_owned());
        run.workers[0].lost_after_seconds = Some(2.0);
    });
    assert_eq!(lost, ["lost-worker"]);
    let unlike = found(|run| {
        run.unlike_workers = vec![UnlikeWorker {
            name: "n1".to_owned(),
            mean_seconds: 0.2,
            difference_seconds: 0.05,
            half_width_seconds: 0.01,
        }];
    });
    assert_eq!(unlike, ["unlike-workers"]);
}

#[test]
fn nothing_speaks_against_a_good_run() {
    assert_eq!(judge(&statistics(500, []), &circumstances()), []);
}

#[test]
fn circumstances_raise_their_doubts() {
    let statistics = statistics(500, []);
    let with = |change: &dyn Fn(&mut Circumstances)| {
        let mut circumstances = circumstances();
        change(&mut circumstances);
        codes(&statistics, &circumstances)
    };
    assert_eq!(with(&|c| c.client_busy.push(0.71)), ["client-busy"]);
    assert_eq!(with(&|c| c.issued = 499), ["stopped-early"]);
    assert_eq!(with(&|c| c.interrupted = true), ["interrupted"]);
    assert_eq!(
        with(&|c| {
            c.interrupted = true;
            c.issued = 499;
        }),
        ["interrupted"]
    );
    assert_eq!(
        with(&|c| c.stop_reason = Some("the disk is full".to_owned())),
        ["stopped-early"]
    );
    assert_eq!(
        with(&|c| c.backlog_waits = Waits::default().with(PipelineStage::Plugin, 6)),
        ["parser-behind"]
    );
    assert_eq!(
        with(&|c| c.backlog_waits = Waits::default().with(PipelineStage::Plugin, 5)),
        [""; 0]
    );
    assert_eq!(
        with(&|c| c.wall_clock_step_seconds = -0.011),
        ["wall-clock-stepped"]
    );
    assert_eq!(with(&|c| c.wall_clock_step_seconds = 0.010), [""; 0]);
    let used = |passes| DatasetUse {
        passes,
        ..DatasetUse::default()
    };
    assert_eq!(with(&|c| c.dataset = Some(used(1.0))), [""; 0]);
    assert_eq!(with(&|c| c.dataset = Some(used(1.5))), ["data-set-reused"]);
}

#[test]
fn failures_count_above_one_percent() {
    let circumstances = circumstances();
    let failures = |count| std::iter::repeat_with(failure).take(count);
    assert_eq!(
        codes(&statistics(495, failures(5)), &circumstances),
        [""; 0]
    );
    let doubts = judge(&statistics(494, failures(6)), &circumstances);
    assert_eq!(doubts.len(), 1);
    assert_eq!(
        doubts[0].figure(),
        "1.2 % of the requests failed (6 of 500, limit 1 %), 6 of them with http-status"
    );
    let doubts = judge(&statistics(0, failures(2)), &circumstances);
    assert_eq!(
        doubts[0].figure(),
        "none of 2 requests succeeded; 2 failed with http-status: HTTP 503"
    );
    assert_eq!(doubts.len(), 1);
    assert_eq!(
        judge(&statistics(0, failures(1)), &circumstances)[0].figure(),
        "the only request failed with http-status: HTTP 503"
    );
    assert_eq!(
        codes(&statistics(0, []), &circumstances),
        ["nothing-succeeded"]
    );
}

#[test]
fn coalesced_chunks_count_above_a_fifth() {
    let together = OutcomeBuilder::at(0)
        .sent(0)
        .events(&[100, 100, 100])
        .end(100)
        .outputs(&[0, 1, 2])
        .tokens(5, 3, TokenSource::Server)
        .build();
    let run = |count| {
        statistics(
            500 - count as u64,
            std::iter::repeat_n(together.clone(), count),
        )
    };
    assert_eq!(codes(&run(100), &circumstances()), [""; 0]);
    assert_eq!(codes(&run(101), &circumstances()), ["coalesced-chunks"]);
    // A client that did not run for a tenth of the run may have merged them itself.
    let blamed = |lost: Duration| {
        let mut circumstances = circumstances();
        circumstances.pauses.total = lost;
        let doubts = judge(&run(101), &circumstances);
        assert_eq!(doubts[0].code(), "lost-time");
        assert_eq!(doubts[1].code(), "coalesced-chunks");
        doubts[1].likely_cause().contains("this program")
    };
    let wall = run(101).wall().unwrap();
    assert!(blamed(wall.mul_f64(0.11)));
    assert!(!blamed(wall.mul_f64(0.05)));
}

#[test]
fn a_run_that_was_killed_is_not_blamed_on_its_prompts() {
    let mut circumstances = circumstances();
    circumstances.stop_reason = Some("its program was killed".to_owned());
    let statistics = statistics(500, []);
    let blamed = judge(&statistics, &circumstances).remove(0);
    assert!(blamed.likely_cause().contains("prompts"));
    circumstances.stopped_by = Some(StoppedBy::Kill);
    let told = judge(&statistics, &circumstances).remove(0);
    assert_eq!(told.code(), "stopped-early");
    assert!(told.figure().starts_with("the run did not end"));
    assert!(told.likely_cause().contains("SIGKILL"));
    assert!(!told.likely_cause().contains("prompts") && !told.remedy().contains("prompts"));
}

#[test]
fn short_percentiles_are_named() {
    let doubts = judge(&statistics(458, []), &circumstances());
    assert_eq!(
        doubts,
        [Doubt::FewSamples {
            samples: 458,
            short: vec![("p99".to_owned(), 459)]
        }]
    );
    let doubts = judge(&statistics(50, []), &circumstances());
    assert_eq!(
        doubts[0].figure(),
        "50 succeeded requests, but p95 needs 90, p98 needs 228, p99 needs 459"
    );
}

#[test]
fn a_verdict_is_stored_with_its_words() {
    let doubts = judge(&statistics(50, []), &circumstances());
    let stored = verdict(&doubts);
    assert!(!stored.trusted);
    assert_eq!(stored.doubts[0].reason, "few-samples");
    assert_eq!(stored.doubts[0].figure, doubts[0].figure());
    assert!(verdict(&[]).trusted);
}
