//! Doubts about the client: what it sent or read late, and what it waited for.

use super::*;

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
