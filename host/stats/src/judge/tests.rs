//! Each doubt on both sides of its limit.

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
fn more_output_tokens_than_bytes_are_a_doubt() {
    let bytes = 3 * r#"{"i":0}"#.len() as u64;
    let counts = |tokens| success().tokens(5, tokens, TokenSource::Server).build();
    let found = |tokens| codes(&statistics(500, [counts(tokens)]), &circumstances());
    assert!(!found(bytes).contains(&"more-tokens-than-bytes"));
    assert!(found(bytes + 1).contains(&"more-tokens-than-bytes"));
    let doubts = judge(&statistics(500, [counts(1 << 31)]), &circumstances());
    let expected = Doubt::MoreTokensThanBytes {
        requests: 1,
        succeeded: 501,
        tokens: 1 << 31,
        bytes,
    };
    assert!(doubts.contains(&expected), "{doubts:?}");
    // Tokens of reasoning that the server says it did not send have no bytes.
    let mut hidden = counts(1 << 31);
    let reading = hidden.reading.as_mut().unwrap();
    let name = llmuses_core::exchange::HIDDEN_REASONING.to_owned();
    reading.metrics.push((name, f64::from(1_u32 << 31)));
    let doubts = codes(&statistics(500, [hidden]), &circumstances());
    assert!(!doubts.contains(&"more-tokens-than-bytes"), "{doubts:?}");
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
fn lateness_counts_above_its_limit_and_without_connections() {
    let late = |sent: u64| {
        OutcomeBuilder::at(0)
            .sent(sent)
            .events(&[sent + 100, sent + 101, sent + 102])
            .end(sent + 102)
            .outputs(&[0, 1, 2])
            .tokens(5, 3, TokenSource::Server)
    };
    let run = |sample: OutcomeBuilder| {
        let outcome = sample.build();
        statistics(494, std::iter::repeat_n(outcome, 6))
    };
    assert_eq!(codes(&run(late(5)), &circumstances()), [""; 0]);
    assert_eq!(codes(&run(late(6)), &circumstances()), ["dispatch-lag"]);
    assert_eq!(
        codes(&run(late(6).connected_in(2)), &circumstances()),
        [""; 0]
    );

    // A shortest time to first token of 1 s allows 10 ms.
    let slow = |sent: u64| {
        let outcome = OutcomeBuilder::at(0)
            .sent(sent)
            .events(&[sent + 1000])
            .streamed()
            .end(sent + 1000)
            .outputs(&[0])
            .tokens(5, 3, TokenSource::Server)
            .build();
        statistics(0, std::iter::repeat_n(outcome, 500))
    };
    assert_eq!(codes(&slow(10), &circumstances()), [""; 0]);
    assert_eq!(codes(&slow(11), &circumstances()), ["dispatch-lag"]);
}

#[test]
fn a_limit_of_streams_is_told_from_a_client_without_a_processor() {
    let late = OutcomeBuilder::at(0)
        .sent(50)
        .events(&[150, 151, 152])
        .end(152)
        .outputs(&[0, 1, 2])
        .tokens(5, 3, TokenSource::Server)
        .build();
    let run = statistics(400, std::iter::repeat_n(late, 100));
    let with = |waited| {
        let mut circumstances = circumstances();
        circumstances.connections.waited_for_stream = waited;
        judge(&run, &circumstances)
    };
    let doubts = with(6);
    assert_eq!(doubts.len(), 1);
    assert_eq!(doubts[0].code(), "few-streams");
    assert_eq!(
        doubts[0].figure(),
        "6 of 500 requests waited for a stream of HTTP/2; the send delay reached 50.000 ms at p99"
    );
    assert_eq!(with(5)[0].code(), "dispatch-lag");
    let mut circumstances = circumstances();
    circumstances.connections.waited_for_stream = 400;
    assert_eq!(judge(&statistics(500, []), &circumstances), []);
}

#[test]
fn other_runs_count_where_they_do_harm() {
    let good = statistics(500, []);
    let with = |same_server, runs, busy| {
        let mut circumstances = circumstances();
        circumstances.other_runs = Some(OtherRuns { same_server, runs });
        circumstances.client_busy = vec![busy];
        judge(&good, &circumstances)
    };
    assert_eq!(with(0, 0, 0.5), []);
    assert_eq!(with(0, 3, 0.5), []);
    let doubts = with(0, 3, 0.9);
    assert_eq!(doubts[0].code(), "client-busy");
    assert_eq!(
        doubts[1].figure(),
        "there were 3 other runs of this program on the machine when this one began or ended"
    );
    assert_eq!(doubts.len(), 2);
    let doubts = with(1, 1, 0.5);
    assert_eq!(
        doubts[0].figure(),
        "there was 1 other run of this program on the machine when this one began or ended, 1 against the same server"
    );
    assert_eq!(doubts.len(), 1);
    assert_eq!(with(0, 0, 0.9).len(), 1);
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

fn with_length(tokens: u64) -> OutcomeBuilder {
    success().tokens(100, tokens, TokenSource::Server)
}

#[test]
fn a_wait_for_a_body_is_not_the_clients() {
    let late = OutcomeBuilder::at(0)
        .sent(9)
        .body_after(8)
        .events(&[100, 200, 300])
        .end(300)
        .outputs(&[0, 1, 2])
        .tokens(5, 3, TokenSource::Server)
        .build();
    let doubts = judge(
        &statistics(490, std::iter::repeat_n(late, 10)),
        &circumstances(),
    );
    assert_eq!(
        doubts[0].figure(),
        "10 of 500 requests waited for their bodies, 8.000 ms at p99 (limit 5.000 ms)"
    );
    assert_eq!(doubts.len(), 1);
}

#[test]
fn bodies_that_waited_for_memory_are_not_the_plugins_fault() {
    let late = || {
        OutcomeBuilder::at(0)
            .sent(900)
            .body_after(900)
            .events(&[1_000, 1_100])
            .end(1_100)
            .outputs(&[0, 1])
            .tokens(5, 2, TokenSource::Server)
            .build()
    };
    let statistics = statistics(480, (0..20).map(|_| late()));
    let mut circumstances = circumstances();
    let mut judged = |for_memory| {
        circumstances.waited_for_memory = for_memory;
        let doubts = judge(&statistics, &circumstances);
        let found = doubts
            .into_iter()
            .find(|doubt| doubt.code() == "bodies-late");
        found.unwrap()
    };
    assert!(judged(0).likely_cause().contains("the plugin makes bodies"));
    assert!(
        judged(10)
            .likely_cause()
            .contains("the plugin makes bodies")
    );
    let for_memory = judged(11);
    assert!(
        for_memory
            .figure()
            .ends_with("; 11 of them for memory (--memory-limit)")
    );
    assert!(for_memory.likely_cause().contains("--memory-limit"));
    assert!(!for_memory.likely_cause().contains("plugin"));
    assert!(for_memory.remedy().contains("raise --memory-limit"));
}

#[test]
fn late_bodies_are_no_doubt_where_nothing_succeeded() {
    let failed = || {
        OutcomeBuilder::at(0)
            .sent(900)
            .body_after(900)
            .end(910)
            .fails(FailureKind::HttpStatus, "HTTP 503")
            .build()
    };
    let found = codes(&statistics(0, (0..500).map(|_| failed())), &circumstances());
    assert!(found.contains(&"nothing-succeeded"), "{found:?}");
    assert!(!found.contains(&"bodies-late"), "{found:?}");
}

#[test]
fn a_wait_for_a_place_is_neither_the_clients_nor_forgotten() {
    let late = |number: usize| {
        let outcome = OutcomeBuilder::at(0)
            .sent(2_009)
            .held_up(2_008)
            .events(&[2_100, 2_200, 2_300])
            .end(2_300)
            .outputs(&[0, 1, 2])
            .tokens(5, 3, TokenSource::Server)
            .build();
        statistics(500 - number as u64, std::iter::repeat_n(outcome, number))
    };
    let mut circumstances = circumstances();
    circumstances.max_in_flight = Some(8);
    assert_eq!(judge(&late(5), &circumstances), []);
    let doubts = judge(&late(6), &circumstances);
    assert_eq!(
        doubts[0].figure(),
        "6 of 500 requests were held up by --max-in-flight 8, 2.008 s at the longest: the arrivals are not those of \
         the schedule"
    );
    assert_eq!(doubts.len(), 1);
    circumstances.due_and_not_sent = 5;
    assert_eq!(judge(&late(5), &circumstances), []);
    circumstances.due_and_not_sent = 6;
    let doubts = judge(&late(5), &circumstances);
    assert_eq!(
        doubts[0].figure(),
        "6 of 506 requests that were due had not been sent when the run ended; no other figure has them"
    );
    assert_eq!(doubts.len(), 1);
    circumstances.interrupted = true;
    assert_eq!(codes(&late(5), &circumstances), ["interrupted"]);
}

#[test]
fn what_requests_waited_for_that_were_not_sent_is_named() {
    let mut circumstances = circumstances();
    circumstances.due_and_not_sent = 100;
    let mut judged = |place_in_flight, body, processor| {
        circumstances.due_and_not_sent_waited_for = UnsentRequests {
            place_in_flight,
            body,
            memory: 0,
            processor,
        };
        let mut doubts = judge(&statistics(500, []), &circumstances);
        assert_eq!(doubts.len(), 1);
        doubts.remove(0)
    };
    for (doubt, cause, remedy) in [
        (judged(100, 0, 0), "--max-in-flight", "--max-in-flight"),
        (judged(0, 100, 0), "bodies", "plugin"),
        (judged(0, 0, 100), "no processor", "more cores"),
    ] {
        assert!(doubt.likely_cause().contains(cause), "{doubt:?}");
        assert!(doubt.remedy().contains(remedy), "{doubt:?}");
        for other in ["--max-in-flight", "bodies", "no processor"] {
            assert_eq!(doubt.likely_cause().contains(other), other == cause);
        }
    }
    let mixed = judged(70, 30, 0);
    assert!(mixed.likely_cause().contains("--max-in-flight"));
    assert_eq!(
        mixed.figure(),
        "100 of 600 requests that were due had not been sent when the run ended (70 waited until fewer were in flight \
         (--max-in-flight), 30 waited for their bodies); no other figure has them"
    );
    // Of a file of an earlier version.
    assert!(judged(0, 0, 0).likely_cause().contains("did not count"));
}

#[test]
fn who_holds_up_responses_is_named() {
    let statistics = statistics(500, []);
    for (stage, code, figure) in [
        (PipelineStage::Plugin, "parser-behind", "for the parser"),
        (PipelineStage::Database, "output-behind", "for the database"),
        (PipelineStage::Csv, "output-behind", "for the rows of --csv"),
        (
            PipelineStage::Terminal,
            "output-behind",
            "for standard error",
        ),
    ] {
        let mut circumstances = circumstances();
        circumstances.backlog_waits = Waits::default().with(stage, 6);
        let doubts = judge(&statistics, &circumstances);
        assert_eq!(doubts.len(), 1);
        assert_eq!(doubts[0].code(), code);
        assert!(doubts[0].figure().contains(figure), "{:?}", doubts[0]);
    }
}

#[test]
fn an_overloaded_server_does_not_excuse_the_client() {
    let mut run = RunStatistics::new(Origin::Sent);
    for number in 0..500 {
        // From 100 ms to 5 s, and 9 ms late.
        let first = 100 + number * 10;
        let outcome = OutcomeBuilder::at(0)
            .sent(9)
            .events(&[first + 9, first + 10])
            .end(first + 10)
            .outputs(&[0, 1])
            .tokens(5, 2, TokenSource::Server);
        run.record(&outcome.build());
    }
    assert_eq!(codes(&run, &circumstances()), ["dispatch-lag"]);
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
fn what_stood_still_counts_above_one_percent() {
    let statistics = statistics(500, []);
    let mut circumstances = circumstances();
    // The run takes 300 ms.
    circumstances.pauses.total = Duration::from_millis(3);
    assert_eq!(codes(&statistics, &circumstances), [""; 0]);
    circumstances.pauses.total = Duration::from_millis(4);
    assert_eq!(codes(&statistics, &circumstances), ["lost-time"]);
    assert!(
        judge(&statistics, &circumstances)[0]
            .likely_cause()
            .contains("stopped")
    );
    circumstances.pauses.total = Duration::ZERO;
    circumstances.pauses.throttled = Some(Duration::from_millis(4));
    assert!(
        judge(&statistics, &circumstances)[0]
            .likely_cause()
            .contains("container")
    );
}

/// Of a run of 300 ms whose requests take 13 ms and more.
#[test]
fn a_client_that_waits_for_a_processor_is_named() {
    let statistics = statistics(500, []);
    let latency = statistics.time(metric::LATENCY);
    let latency = latency.percentile(Percentile::P50).unwrap();
    let with = |total: Duration, mean: Duration| {
        let mut circumstances = circumstances();
        circumstances.pauses.waits = Some(ProcessorWaits { total, mean });
        judge(&statistics, &circumstances)
    };
    let long = latency.mul_f64(0.02);
    let doubts = with(Duration::from_millis(4), long);
    assert_eq!(doubts[0].code(), "processor-waits");
    let figure = doubts[0].figure();
    assert!(
        figure.contains("waited for a processor for 0.00 of 0.30 seconds (limit 1 %)"),
        "{figure}"
    );
    assert!(figure.contains("2.0 % of the median latency"), "{figure}");
    assert!(doubts[0].likely_cause().contains("no times of the server"));
    // Few waits, or short ones, as a thread has that is woken often.
    assert_eq!(with(Duration::from_millis(3), long), []);
    assert_eq!(with(Duration::from_millis(200), latency.mul_f64(0.01)), []);
    // What stood still too is told once.
    let mut circumstances = circumstances();
    circumstances.pauses.total = Duration::from_millis(4);
    circumstances.pauses.waits = Some(ProcessorWaits {
        total: Duration::from_millis(4),
        mean: long,
    });
    assert_eq!(codes(&statistics, &circumstances), ["lost-time"]);
}

/// The mean latency is 300 ms.
#[test]
fn what_is_read_late_delays_the_next_request_of_a_closed_loop() {
    let late = |micros: u64| Circumstances {
        late_reads: LateReads {
            responses: 100,
            total: Duration::from_micros(100 * micros),
        },
        ..circumstances()
    };
    let closed = statistics(500, []);
    assert_eq!(judge(&closed, &late(3_000)), []);
    let doubts = judge(&closed, &late(6_000));
    assert_eq!(doubts[0].code(), "late-reads");
    assert_eq!(
        doubts[0].figure(),
        "the last bytes of a response had been there for 6.000 ms on average when this program read them (limit 3.000 ms), 2.0 % of the mean latency"
    );
    assert!(
        doubts[0]
            .likely_cause()
            .contains("times do not have this in them")
    );
    // A client that is busy is told as that.
    let mut busy = late(6_000);
    busy.client_busy.push(0.71);
    assert_eq!(codes(&closed, &busy), ["client-busy"]);
    // Requests of an open loop are due when they are due.
    let mut open = RunStatistics::new(Origin::Intended);
    (0..500).for_each(|_| open.record(&success().build()));
    assert!(!codes(&open, &late(6_000)).contains(&"late-reads"));
}

#[test]
fn a_client_that_did_not_run_is_no_overloaded_server() {
    let mut run = RunStatistics::new(Origin::Intended);
    for number in 0..1000 {
        let due = number * 10;
        let first = due + 20 + number * 5;
        let outcome = OutcomeBuilder::at(due)
            .sent(due)
            .events(&[first, first + 10])
            .end(first + 10)
            .outputs(&[0, 1])
            .tokens(5, 2, TokenSource::Server);
        run.record(&outcome.build());
    }
    let wall = run.wall().unwrap();
    let with = |share: f64| {
        let mut circumstances = circumstances();
        circumstances.pauses.total = wall.mul_f64(share);
        codes(&run, &circumstances)
    };
    assert_eq!(with(0.0), ["saturated"]);
    assert_eq!(with(0.05), ["lost-time", "saturated"]);
    assert_eq!(with(0.11), ["lost-time"]);
}

#[test]
fn a_prompt_sent_again_may_be_cached_unless_the_server_tells() {
    let with = |cached: Option<f64>, prompt: u64| {
        let mut sample = success().tokens(prompt, 3, TokenSource::Server);
        if let Some(cached) = cached {
            sample = sample.metric("cached_tokens", cached);
        }
        let outcome = sample.build();
        let run = statistics(0, std::iter::repeat_n(outcome, 500));
        let mut circumstances = circumstances();
        circumstances.one_prompt = Some(300);
        judge(&run, &circumstances)
    };
    assert_eq!(with(Some(0.0), 100), []);
    assert_eq!(with(None, 63), []);
    assert_eq!(
        with(None, 64)[0].figure(),
        "all 500 requests had the same prompt"
    );
    let known = with(Some(72.0), 100);
    assert_eq!(
        known[0].figure(),
        "all 500 requests had the same prompt; 72.0 % of the tokens of prompts came from the cache of the server"
    );
    assert_ne!(known[0].likely_cause(), with(None, 64)[0].likely_cause());
}

#[test]
fn a_data_set_that_the_server_has_in_its_cache_is_noticed() {
    let with = |cached: Option<f64>, turn: u32, passes: f64| {
        let mut sample = success()
            .turn(0, turn, 2)
            .tokens(100, 3, TokenSource::Server);
        if let Some(cached) = cached {
            sample = sample.metric("cached_tokens", cached);
        }
        let run = statistics(0, std::iter::repeat_n(sample.build(), 500));
        let mut circumstances = circumstances();
        circumstances.dataset = Some(DatasetUse {
            passes,
            ..DatasetUse::default()
        });
        let doubts = judge(&run, &circumstances);
        let found = doubts
            .into_iter()
            .find(|doubt| matches!(doubt, Doubt::DatasetCached { .. }));
        (found, circumstances, run)
    };
    let found = with(Some(95.0), 0, 1.0).0.expect("a doubt");
    assert_eq!(
        found.figure(),
        "95.0 % of the tokens of prompts of first turns came from the cache of the server, though no entry of the data set was sent \
         twice"
    );
    assert!(found.likely_cause().contains("sent to this server before"));
    assert_eq!(with(Some(50.0), 0, 0.3).0, None);
    assert_eq!(with(None, 0, 1.0).0, None);
    // Later turns are to be found there; and a data set that is used again is another doubt.
    assert_eq!(with(Some(95.0), 1, 1.0).0, None);
    assert_eq!(with(Some(95.0), 0, 2.0).0, None);
    // Where hits are predicted, they are judged by that.
    let (_, mut circumstances, run) = with(Some(95.0), 0, 1.0);
    circumstances.lengths_asked = Some(crate::LengthsAsked::default());
    let doubts = judge(&run, &circumstances);
    assert!(
        !doubts
            .iter()
            .any(|doubt| matches!(doubt, Doubt::DatasetCached { .. }))
    );
}

#[test]
fn outputs_are_judged_by_what_was_asked_for() {
    let run = |tokens| statistics(0, std::iter::repeat_n(with_length(tokens).build(), 500));
    let asked =
        |parameters: serde_json::Value| asked_output_tokens(parameters.as_object().unwrap());
    assert_eq!(asked(serde_json::json!({"max_tokens": 9})), None);
    assert_eq!(
        asked(serde_json::json!({"max_tokens": 9, "ignore_eos": true})),
        Some(9)
    );
    assert_eq!(
        asked(serde_json::json!({"max_tokens": 9, "min_tokens": 4})),
        Some(4)
    );
    let mut circumstances = circumstances();
    circumstances.asked_output = Some(4);
    assert_eq!(
        codes(&run(4), &circumstances)[..],
        ["chunks-are-not-tokens"; 0]
    );
    assert_eq!(codes(&run(3), &circumstances), ["shorter-than-asked"]);
    let ended = |reason: &str| {
        let statistics = RunStatistics::new(Origin::Sent).with_asked_output(Some(4));
        let statistics = (0..500).fold(statistics, |mut statistics, _| {
            statistics.record(&with_length(3).finish_reason(reason).build());
            statistics
        });
        let doubts = judge(&statistics, &circumstances);
        let [doubt] = &doubts[..] else {
            panic!("{doubts:?}");
        };
        (doubt.figure(), doubt.likely_cause())
    };
    let (figure, by_model) = ended("stop");
    assert_eq!(
        figure,
        "outputs have 3.0 tokens on average, 3 at least; the parameters ask for 4; of 500 shorter ones 500 ended with stop"
    );
    assert!(by_model.starts_with("the model ended"), "{by_model}");
    let (_, by_limit) = ended("length");
    assert!(by_limit.starts_with("the server ended"), "{by_limit}");
    assert_eq!(
        codes(&run(0), &circumstances),
        [
            "shorter-than-asked",
            "no-output-tokens",
            "chunks-are-not-tokens"
        ]
    );
}

#[test]
fn chunks_that_are_not_tokens_are_told() {
    let run = |tokens| statistics(0, std::iter::repeat_n(with_length(tokens).build(), 500));
    // Three chunks; the fourth token ends the text.
    for (tokens, doubted) in [(3, false), (4, false), (5, true), (2, true)] {
        let codes = codes(&run(tokens), &circumstances());
        assert_eq!(
            codes == ["chunks-are-not-tokens"],
            doubted,
            "{tokens}: {codes:?}"
        );
        assert!(doubted || codes.is_empty());
    }
}

#[test]
fn streams_that_do_not_say_that_they_are_over_are_a_doubt() {
    let cut = |source| success().tokens(10, 4, source).without_end().build();
    let run = |outcome| statistics(0, std::iter::repeat_n(outcome, 500));
    let by_tokenizer = run(cut(TokenSource::Tokenizer));
    assert_eq!(
        codes(&by_tokenizer, &circumstances()),
        ["streams-without-end"]
    );
    // Usage comes at the end.
    let by_server = run(cut(TokenSource::Server));
    assert_eq!(codes(&by_server, &circumstances()), [""; 0]);
    let mut finished = cut(TokenSource::Tokenizer);
    finished.reading.as_mut().unwrap().finish_reason = Some("stop".into());
    assert_eq!(codes(&run(finished), &circumstances()), [""; 0]);
}

#[test]
fn tokens_that_nobody_counted_are_a_doubt() {
    let mut unknown = success().build();
    unknown.reading.as_mut().unwrap().prompt = None;
    unknown.reading.as_mut().unwrap().completion = None;
    let run = statistics(0, std::iter::repeat_n(unknown, 500));
    assert_eq!(codes(&run, &circumstances()), ["tokens-unknown"]);
    let mut without_output = success().build();
    without_output.reading.as_mut().unwrap().completion = None;
    let prompts_only = statistics(0, std::iter::repeat_n(without_output, 500));
    assert_eq!(codes(&prompts_only, &circumstances()), ["tokens-unknown"]);
    let mut ranking = circumstances();
    ranking.task = Task::Rerank;
    assert_eq!(codes(&run, &ranking), [""; 0]);
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
fn tokens_counted_in_two_ways_or_for_some_only() {
    let other = success().tokens(5, 3, TokenSource::Tokenizer).build();
    let doubts = judge(&statistics(499, [other]), &circumstances());
    assert_eq!(doubts.len(), 2);
    assert_eq!(
        doubts[1].figure(),
        "output tokens were counted in more than one way: 499 by usage of the server, 1 by tokenizer"
    );
    let mut unknown = success().build();
    if let Some(reading) = &mut unknown.reading {
        reading.completion = None;
    }
    let doubts = judge(&statistics(499, [unknown]), &circumstances());
    assert_eq!(
        doubts[0].figure(),
        "output tokens are known for 499 of 500 succeeded requests"
    );
    assert_eq!(doubts.len(), 1);
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
