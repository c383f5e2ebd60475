//! Whole summaries, of runs whose figures are made up and can be worked out by hand.

use super::details::push_doubt;
use super::text::columns_of;
use super::{Look, summary};
use crate::tests_support;
use llmuses_core::backlog::{PipelineStage, Waits};
use llmuses_core::cost::{CallCost, ParserCost};
use llmuses_core::document::{LoadRecord, PlanRecord, Reason, Run};
use llmuses_core::exchange::{FailureKind, TokenSource};
use llmuses_core::plan::Arrivals;
use llmuses_samples::OutcomeBuilder;
use llmuses_stats::{Circumstances, DatasetUse, Origin, RunStatistics, judge, totals, verdict};
use std::time::Duration;

const CLOSED: Arrivals = Arrivals::Closed { parallel: 2 };

/// A stream of eleven events: the role after 40 ms, nine outputs 10 ms apart from 50 ms on, the usage at
/// 131 ms, the end at 132 ms. `slower` ms are added to all of them.
fn stream(intended: u64, sent: u64, slower: u64) -> OutcomeBuilder {
    let events: Vec<u64> = [40]
        .into_iter()
        .chain((0..9).map(|output| 50 + output * 10))
        .chain([131])
        .map(|at| sent + slower + at)
        .collect();
    OutcomeBuilder::at(intended)
        .sent(sent)
        .events(&events)
        .end(sent + slower + 132)
        .outputs(&[1, 2, 3, 4, 5, 6, 7, 8, 9])
}

fn circumstances(issued: u64) -> Circumstances {
    Circumstances {
        asked: Some(issued),
        issued,
        client_busy: vec![0.12, 0.08],
        peak_in_flight: 2,
        transport: "socket".to_owned(),
        transport_reason: Some("HTTP/1.1, stamped by the kernel".to_owned()),
        ..Circumstances::default()
    }
}

fn statistics(origin: Origin, samples: impl IntoIterator<Item = OutcomeBuilder>) -> RunStatistics {
    let mut statistics = RunStatistics::new(origin);
    for sample in samples {
        statistics.record(&sample.build());
    }
    statistics
}

/// The whole summary.
fn report(
    statistics: &RunStatistics,
    circumstances: &Circumstances,
    arrivals: &Arrivals,
) -> String {
    let look = Look::of(None, true);
    let text = summary(&run(statistics, circumstances, arrivals), look).text;
    assert_fits(&text, 100);
    text
}

fn assert_fits(text: &str, columns: usize) {
    for line in text.lines() {
        assert!(columns_of(line) <= columns, "too wide: {line}");
    }
}

fn run(statistics: &RunStatistics, circumstances: &Circumstances, arrivals: &Arrivals) -> Run {
    let (arrivals, parallel, rate) = match arrivals {
        Arrivals::Closed { parallel } => ("closed", Some(*parallel as u64), None),
        Arrivals::Open { rate, .. } => ("poisson", None, Some(*rate)),
        Arrivals::AllAtOnce | Arrivals::Trace(_) => ("all-at-once", None, None),
    };
    Run {
        plan: PlanRecord {
            load: LoadRecord {
                arrivals: arrivals.to_owned(),
                parallel,
                rate,
                ..LoadRecord::default()
            },
            ..PlanRecord::default()
        },
        totals: Some(totals(statistics, circumstances)),
        verdict: Some(verdict(&judge(statistics, circumstances))),
        ..tests_support::run()
    }
}

/// 500 requests on two slots, 150 ms apart, the first two with a connection to be opened.
fn closed_run() -> RunStatistics {
    let samples = (0..500_u64).map(|number| {
        let free = 1000 + number / 2 * 150;
        let sample = stream(free, free + 1, number % 10)
            .number(number)
            .tokens(20 + number % 2, 9, TokenSource::Server)
            .metric("cached tokens", (number % 3) as f64 * 16.0);
        if number < 2 {
            sample.connected_in(1)
        } else {
            sample
        }
    });
    statistics(Origin::Sent, samples)
}

#[test]
fn a_typical_closed_run() {
    let mut circumstances = circumstances(500);
    circumstances.dataset = Some(DatasetUse {
        passes: 0.8,
        entries_read: 640,
        skipped: vec![
            ("shorter than the minimum".to_owned(), 100),
            ("longer than the maximum".to_owned(), 40),
        ],
        bad_entries: 0,
    });
    insta::assert_snapshot!(report(&closed_run(), &circumstances, &CLOSED));
}

/// The specified block of [`closed_run`].
fn block() -> &'static str {
    // The mean of 50 to 59 ms is 54.5 ms, which in binary is a little less and is rounded down.
    // The last two end at 1000 + 249 × 150 + 1 + 132 + 9 = 38492, the first was sent at 1001.
    "\
Benchmarking summary: 
 Time taken for tests: 37.491 seconds
 Expected number of requests: 500
 Number of concurrency: 2
 Total requests: 500
 Succeed requests: 500
 Failed requests: 0
 Average QPS: 13.337
 Average latency: 0.137
 Throughput(average output tokens per second): 120.029
 Average time to first token: 0.054
 Average input tokens per request: 20.500
 Average output tokens per request: 9.000
 Average time per output token: 0.00833
 Average package per request: 11.000
 Average package latency: 0.010
 Percentile of time to first token: 
     p50: 0.0540
     p66: 0.0560
     p75: 0.0570
     p80: 0.0570
     p90: 0.0580
     p95: 0.0590
     p98: 0.0590
     p99: 0.0590
 Percentile of request latency: 
     p50: 0.1360
     p66: 0.1380
     p75: 0.1390
     p80: 0.1390
     p90: 0.1400
     p95: 0.1410
     p98: 0.1410
     p99: 0.1410
"
}

#[test]
fn the_specified_block_to_the_letter() {
    let statistics = closed_run();
    let run = run(&statistics, &circumstances(500), &CLOSED);
    for details in [false, true] {
        for columns in [None, Some(40), Some(200)] {
            let text = summary(&run, Look::of(columns, details)).text;
            assert_eq!(text[..block().len()], *block());
            assert_eq!(text.as_bytes()[block().len()], b'\n');
        }
    }
}

#[test]
fn an_open_loop_with_failures() {
    let successes = (0..100_u64).map(|number| {
        // The client falls behind now and then, and every fourth stream arrives two by two.
        let intended = number * 97;
        let sent = intended + if number % 20 == 0 { 12 } else { 0 };
        let source = if number < 90 {
            TokenSource::Server
        } else {
            TokenSource::Tokenizer
        };
        let sample = stream(intended, sent, number % 7)
            .number(number)
            .connected_in(3)
            .tokens(31, 9, source);
        if number % 4 == 0 {
            let start = sent + 60;
            sample.events(&[
                start,
                start,
                start,
                start + 20,
                start + 20,
                start + 40,
                start + 40,
                start + 60,
                start + 60,
                start + 80,
                start + 80,
            ])
        } else {
            sample
        }
    });
    let failures = [
        OutcomeBuilder::at(500).sent(500).status(503, 510).end(511).fails(
            FailureKind::HttpStatus,
            "HTTP 503 Service Unavailable: {\"error\":{\"message\":\"the engine is overloaded, please retry later\",\r\n\"type\":\"overloaded\"}}",
        ),
        OutcomeBuilder::at(600).sent(600).status(503, 610).end(611).fails(FailureKind::HttpStatus, "HTTP 503"),
        OutcomeBuilder::at(700).end(5700).fails(
            FailureKind::TimeoutConnect,
            "no connection within 5 seconds (--connect-timeout)",
        ),
        stream(9700, 9700, 0).end(9800).fails(
            FailureKind::Cancelled,
            "in flight when the run was ended",
        ),
    ];
    let statistics = statistics(Origin::Intended, successes.chain(failures));
    let circumstances = Circumstances {
        asked: Some(200),
        issued: 104,
        dataset: Some(DatasetUse {
            passes: 2.08,
            entries_read: 54,
            skipped: vec![("longer than the maximum".to_owned(), 3)],
            bad_entries: 1,
        }),
        client_busy: vec![0.91, 0.55],
        peak_in_flight: 37,
        connections: llmuses_stats::ConnectionUse {
            opened: None,
            resent: 2,
            ended_at_done: 1,
            one_request_each: true,
            http_versions: ["HTTP/1.1", "HTTP/2"].map(str::to_owned).to_vec(),
            servers: vec!["uvicorn".to_owned()],
            waited_for_stream: 31,
        },
        wall_clock_step_seconds: -1.25,
        interrupted: true,
        transport: "reqwest".to_owned(),
        transport_reason: None,
        backlog_waits: Waits::default().with(PipelineStage::Plugin, 17),
        parser_cost: ParserCost {
            requests: CallCost {
                calls: 16,
                time: Duration::from_micros(900),
            },
            responses: CallCost {
                calls: 104,
                time: Duration::from_micros(104_000),
            },
            ..ParserCost::default()
        },
        stop_reason: None,
        ..Circumstances::default()
    };
    let arrivals = Arrivals::poisson(10.0);
    insta::assert_snapshot!(report(&statistics, &circumstances, &arrivals));
}

#[test]
fn no_tokens_known() {
    let mut streams: Vec<OutcomeBuilder> = (0..20)
        .map(|number| {
            stream(number * 100, number * 100, 0)
                .number(number)
                .read_stamps()
        })
        .collect();
    streams.push(
        OutcomeBuilder::at(2000)
            .sent(2000)
            .events(&[2150])
            .end(2150)
            .outputs(&[0]),
    );
    let statistics = statistics(Origin::Sent, streams);
    insta::assert_snapshot!(report(&statistics, &circumstances(21), &CLOSED));
}

#[test]
fn nothing_succeeded() {
    let samples = (0..3_u64).map(|number| {
        OutcomeBuilder::at(number)
            .number(number)
            .end(number + 20)
            .fails(FailureKind::Connect, "127.0.0.1:8000: connection refused")
    });
    let statistics = statistics(Origin::Intended, samples);
    let mut circumstances = circumstances(3);
    circumstances.peak_in_flight = 3;
    insta::assert_snapshot!(report(&statistics, &circumstances, &Arrivals::AllAtOnce));
}

#[test]
fn nothing_came_at_all() {
    let statistics = statistics(Origin::Sent, []);
    let circumstances = Circumstances {
        transport: "reqwest".to_owned(),
        transport_reason: None,
        stop_reason: Some("the data set has no entry of the wanted length".to_owned()),
        ..Circumstances::default()
    };
    insta::assert_snapshot!(report(&statistics, &circumstances, &CLOSED));
}

#[test]
fn a_short_summary_fits_every_terminal_and_says_where_the_rest_is() {
    let statistics = closed_run();
    let run = run(&statistics, &circumstances(500), &CLOSED);
    for columns in 60..160 {
        let text = summary(&run, Look::of(Some(columns), false)).text;
        assert_fits(&text, columns);
        let added = text.lines().count() - block().lines().count();
        assert!(columns < 76 || added <= 25, "{columns}: {text}");
    }
    let text = summary(&run, Look::of(Some(80), false)).text;
    insta::assert_snapshot!(text[block().len()..].to_owned());
}

#[test]
fn a_short_summary_says_which_entries_of_the_data_set_were_not_sent() {
    let told = |dataset: DatasetUse| {
        let mut circumstances = circumstances(500);
        circumstances.dataset = Some(dataset);
        let run = run(&closed_run(), &circumstances, &CLOSED);
        let text = summary(&run, Look::of(None, false)).text;
        let line = text.lines().find(|line| line.contains("Data set"));
        line.map(|line| line.trim().to_owned())
    };
    let all_sent = DatasetUse {
        passes: 1.0,
        entries_read: 500,
        skipped: Vec::new(),
        bad_entries: 0,
    };
    assert_eq!(told(all_sent.clone()), None);
    let too_long = told(DatasetUse {
        skipped: vec![("longer than the maximum".to_owned(), 3)],
        ..all_sent.clone()
    });
    assert!(
        too_long
            .as_ref()
            .is_some_and(|line| line.contains("3 skipped: longer")),
        "{too_long:?}"
    );
    let bad = told(DatasetUse {
        bad_entries: 2,
        ..all_sent
    });
    assert!(
        bad.as_ref()
            .is_some_and(|line| line.contains("2 passed over")),
        "{bad:?}"
    );
}

#[test]
fn a_doubt_begins_with_a_capital_where_it_begins_a_line() {
    let doubt = Reason {
        reason: "late".to_owned(),
        figure: "the send delay reached 9 ms".to_owned(),
        likely_cause: "a busy machine".to_owned(),
        what_to_do: "wait".to_owned(),
    };
    let line = |whose: &str| {
        let mut out = String::new();
        push_doubt(
            &mut out,
            "  1. ",
            whose,
            &doubt,
            false,
            Look::of(None, true),
        );
        out
    };
    assert_eq!(line(""), "  1. The send delay reached 9 ms.\n");
    assert_eq!(
        line("parallel 4: "),
        "  1. parallel 4: the send delay reached 9 ms.\n"
    );
}
