use super::*;
use llmuses_core::document::{ObjectiveOutcome, Percentile};
use llmuses_core::exchange::{FailureKind, TokenSource};
use llmuses_core::metric::{
    BODY_WAIT, CACHED_SHARE, INPUT_THROUGHPUT, LATENCY, TOTAL_THROUGHPUT, TTFT,
};
use llmuses_samples::OutcomeBuilder;

#[test]
fn what_is_unknown_is_absent() {
    let statistics = RunStatistics::new(Origin::Intended);
    let totals = totals(&statistics, &Circumstances::default());
    assert_eq!(totals.origin, "intended");
    assert_eq!(totals.wall_seconds, None);
    assert_eq!(totals.rates, Rates::default());
    assert_eq!(totals.tokens, Tokens::default());
    assert_eq!(totals.times[LATENCY].percentile(Percentile::P50), None);
    assert_eq!(totals.times[LATENCY].mean_seconds, None);
    assert_eq!(totals.data_set, None);
}

#[test]
fn totals_have_the_figures_of_their_requests() {
    let mut statistics = RunStatistics::new(Origin::Sent);
    let outcome = OutcomeBuilder::at(0)
        .sent(0)
        .events(&[10, 20, 30])
        .end(500)
        .outputs(&[0, 1, 2])
        .tokens(4, 3, TokenSource::Server)
        .metric("cached", 2.0)
        .metric("cached_tokens", 3.0)
        .build();
    statistics.record(&outcome);
    let totals = totals(&statistics, &Circumstances::default());
    for (figure, expected) in [
        (QPS, 2.0),
        (INPUT_THROUGHPUT, 8.0),
        (TOTAL_THROUGHPUT, 14.0),
        (CACHED_SHARE, 0.75),
    ] {
        assert_eq!(
            totals.figures.get(figure),
            Some(expected),
            "{}",
            figure.name
        );
        assert_eq!(
            figure.of(&statistics.sums()),
            Some(expected),
            "{}",
            figure.name
        );
    }
    assert_eq!(totals.timeline.input_tokens.iter().sum::<u64>(), 4);
    assert_eq!(totals.wall_seconds, Some(0.5));
    assert_eq!(totals.rates.output_tokens_per_second, Some(6.0));
    assert_eq!(totals.tokens.output.requests_by_source.server, 1);
    assert_eq!(totals.times[TTFT].percentile(Percentile::P999), Some(0.01));
    let cached = totals.parser_metrics.named.get("cached").unwrap();
    assert_eq!(cached.mean, 2.0);
    assert_eq!(totals.times[BODY_WAIT].samples, 1);
}

#[test]
fn rates_of_a_probe_are_by_the_time_of_sending_in_an_open_loop_alone() {
    let rate = |origin, lost: Option<&str>| {
        let mut statistics = RunStatistics::new(origin);
        for number in 0..4 {
            let at = number * 100;
            let outcome = OutcomeBuilder::at(at).number(number).sent(at).end(at + 500);
            statistics.record(&outcome.build());
        }
        let probe = ProbeFigures {
            load: 10.0,
            outcome: ObjectiveOutcome::Met,
            repeats: false,
            error: 0.05,
            lost: lost.map(str::to_owned),
            shares: Vec::new(),
        };
        time_of_rates(&statistics, Some(&probe)).map(|time| time.as_millis())
    };
    assert_eq!(rate(Origin::Intended, None), Some(400));
    assert_eq!(rate(Origin::Intended, Some("the queue grew")), Some(800));
    assert_eq!(rate(Origin::Sent, None), Some(800));
}

#[test]
fn refused_requests_are_told_apart_by_their_status() {
    let mut statistics = RunStatistics::new(Origin::Sent);
    for _ in 0..2 {
        let refused = OutcomeBuilder::at(0)
            .sent(0)
            .status(503, 10)
            .end(10)
            .fails(FailureKind::HttpStatus, "HTTP 503");
        statistics.record(&refused.build());
    }
    let silent = OutcomeBuilder::at(0).sent(0).end(10);
    statistics.record(&silent.fails(FailureKind::TimeoutRead, "silent").build());
    let totals = totals(&statistics, &Circumstances::default());
    let refused = totals.failures.get("http-status").unwrap();
    let of_503 = StatusFigures {
        status: Some(503),
        requests: 2,
        first_message: "HTTP 503".to_owned(),
    };
    assert_eq!(refused.by_status, [of_503]);
    let silent = totals.failures.get("timeout-read").unwrap();
    assert_eq!(silent.by_status, []);
}
