//! Totals against figures worked out by hand.

use super::*;
use llmuses_core::document::Percentile;
use llmuses_core::exchange::{FailureKind, TokenSource};
use llmuses_core::metric;
use llmuses_samples::{OutcomeBuilder, millis};

/// Two successes and a failure:
/// A: sent 1000, events 1100 1200 1300 1400, end 1400, outputs 1 and 2, tokens 10 and 5
/// B: sent 2000, events 2050 2150 2150 2250 2300, end 2350, outputs 0 to 3, tokens 20 and 9
/// C: sent 2100, fails at 5000
fn run(origin: Origin) -> RunStatistics {
    let mut statistics = RunStatistics::new(origin);
    for outcome in [
        OutcomeBuilder::at(990)
            .sent(1000)
            .connected_in(8)
            .events(&[1100, 1200, 1300, 1400])
            .end(1400)
            .outputs(&[1, 2])
            .tokens(10, 5, TokenSource::Server)
            .metric("cached", 4.0)
            .build(),
        OutcomeBuilder::at(2000)
            .sent(2000)
            .read_stamps()
            .events(&[2050, 2150, 2150, 2250, 2300])
            .end(2350)
            .outputs(&[0, 1, 2, 3])
            .tokens(20, 9, TokenSource::Tokenizer)
            .metric("cached", 8.0)
            .build(),
        OutcomeBuilder::at(2000)
            .sent(2100)
            .end(5000)
            .fails(FailureKind::TimeoutRead, "no byte for 2.9 seconds")
            .build(),
    ] {
        statistics.record(&outcome);
    }
    statistics
}

fn close(found: Option<f64>, expected: f64) {
    let found = found.expect("a figure");
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

#[test]
fn totals_follow_their_formulas() {
    let statistics = run(Origin::Sent);
    let counts = statistics.counts();
    assert_eq!(
        (counts.completed, counts.succeeded, counts.failed),
        (3, 2, 1)
    );
    // First sent at 1.0 s, last end at 5.0 s: the failed request counts.
    assert_eq!(statistics.wall(), Some(millis(4000)));
    close(metric::QPS.of(&statistics.sums()), 0.5);
    close(metric::THROUGHPUT.of(&statistics.sums()), 14.0 / 4.0);
    close(metric::TIME_PER_TOKEN.of(&statistics.sums()), 4.0 / 14.0);
    close(counts.prompt.mean(), 15.0);
    close(counts.completion.mean(), 7.0);
    close(metric::PACKAGES.of(&statistics.sums()), 4.5);
    // A: 1300 − 1100 over 2 gaps; B: 2250 − 2050 over 3.
    close(statistics.average_package_latency(), 0.4 / 5.0);
    // A has one gap between outputs; B three, of which one is zero.
    close(statistics.coalesced_share(), 0.25);
    close(metric::FAILED_SHARE.of(&statistics.sums()), 1.0 / 3.0);
    assert_eq!(counts.own_connections, 1);
    assert_eq!((counts.kernel_stamped, counts.read_stamped), (1, 1));
    assert_eq!(counts.bytes_received, 9 * r#"{"i":0}"#.len() as u64);
    assert_eq!(counts.prompt.by_server, 1);
    assert_eq!(counts.completion.by_tokenizer, 1);
    // Three sent between 1000 and 2100.
    close(statistics.sent_rate(None), 2.0 / 1.1);
    // Others were due until 6000, and not sent.
    close(statistics.sent_rate(Some(millis(6000))), 2.0 / 5.0);
    close(statistics.sent_rate(Some(millis(1500))), 2.0 / 1.1);
    close(statistics.scheduled_rate(), 2.0 / 1.01);
}

#[test]
fn times_are_those_of_succeeded_requests() {
    let statistics = run(Origin::Sent);
    assert_eq!(statistics.time(metric::LATENCY).samples(), 2);
    close(statistics.time(metric::LATENCY).mean_seconds(), 0.375);
    assert_eq!(statistics.time(metric::LATENCY).max(), Some(millis(400)));
    close(
        statistics.time(metric::TTFT).mean_seconds(),
        (0.2 + 0.05) / 2.0,
    );
    close(
        statistics.time(metric::FIRST_PACKAGE).mean_seconds(),
        (0.1 + 0.05) / 2.0,
    );
    // A: 100 ms over 4; B: 200 ms over 8.
    close(statistics.time(metric::TPOT).mean_seconds(), 0.025);
    assert_eq!(statistics.time(metric::ITL).samples(), 4);
    close(statistics.time(metric::ITL).mean_seconds(), 0.3 / 4.0);
    assert_eq!(statistics.time(metric::CONNECT).samples(), 1);
    // The lag is of everything that was sent: 10, 0 and 100 ms, of which 8 ms went into a connection.
    close(
        statistics.time(metric::DISPATCH_LAG).mean_seconds(),
        0.11 / 3.0,
    );
    close(
        statistics.time(metric::CLIENT_LAG).mean_seconds(),
        0.102 / 3.0,
    );
    let median = statistics
        .time(metric::CLIENT_LAG)
        .percentile(Percentile::P50);
    assert_eq!(median, Some(millis(2)));
    let cached = &statistics.metrics().named()[0];
    assert_eq!((cached.0.as_str(), cached.1.mean()), ("cached", 6.0));
}

#[test]
fn an_open_loop_counts_from_the_intention() {
    let statistics = run(Origin::Intended);
    close(
        statistics.time(metric::LATENCY).mean_seconds(),
        (0.41 + 0.35) / 2.0,
    );
    close(
        statistics.time(metric::TTFT).mean_seconds(),
        (0.21 + 0.05) / 2.0,
    );
    close(statistics.time(metric::TPOT).mean_seconds(), 0.025);
}

#[test]
fn unknown_tokens_are_absent_and_partly_known_ones_are_counted() {
    let mut statistics = RunStatistics::new(Origin::Sent);
    let unknown = OutcomeBuilder::at(0)
        .sent(0)
        .events(&[10, 20])
        .end(1000)
        .outputs(&[0, 1]);
    statistics.record(&unknown.clone().build());
    assert_eq!(metric::THROUGHPUT.of(&statistics.sums()), None);
    assert_eq!(metric::TIME_PER_TOKEN.of(&statistics.sums()), None);
    assert_eq!(statistics.counts().prompt.mean(), None);
    assert_eq!(statistics.time(metric::TPOT).samples(), 0);

    statistics.record(&unknown.tokens(3, 6, TokenSource::Parser).build());
    assert_eq!(statistics.counts().completion.requests(), 1);
    close(statistics.counts().completion.mean(), 6.0);
    close(metric::THROUGHPUT.of(&statistics.sums()), 6.0);
}

#[test]
fn a_run_that_never_sent_has_a_wall_but_no_rates() {
    let mut statistics = RunStatistics::new(Origin::Intended);
    assert_eq!(statistics.wall(), None);
    assert_eq!(metric::QPS.of(&statistics.sums()), None);
    for number in 0..3 {
        let outcome = OutcomeBuilder::at(number * 10)
            .end(number * 10 + 5)
            .fails(FailureKind::Connect, "refused")
            .build();
        statistics.record(&outcome);
    }
    assert_eq!(statistics.wall(), Some(millis(25)));
    assert_eq!(metric::QPS.of(&statistics.sums()), Some(0.0));
    assert_eq!(statistics.sent_rate(None), None);
    assert_eq!(statistics.average_package_latency(), None);
    assert_eq!(statistics.time(metric::LATENCY).samples(), 0);
}

#[test]
fn failures_are_told_apart_and_the_first_message_stays() {
    let mut statistics = RunStatistics::new(Origin::Sent);
    let long = "é".repeat(400);
    for (kind, message) in [
        (FailureKind::Cancelled, "first"),
        (FailureKind::HttpStatus, long.as_str()),
        (FailureKind::HttpStatus, "second"),
    ] {
        statistics.record(&OutcomeBuilder::at(0).end(1).fails(kind, message).build());
    }
    let failures = statistics.failures();
    assert_eq!(failures.len(), 2);
    assert_eq!(
        (failures[0].kind, failures[0].count),
        (FailureKind::HttpStatus, 2)
    );
    assert_eq!(failures[0].example, "é".repeat(300));
    assert_eq!(failures[1].example, "first");
}
