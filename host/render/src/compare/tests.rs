//! Runs compared, from documents to judgements.

use super::*;
use crate::tests_support;
use llmuses_core::document::{
    ByPercentile, GroupFigures, LoadRecord, PlanRecord, RepeatFigures, Run, RunState, TargetRecord,
    Totals, Verdict,
};
use llmuses_core::metric::TTFT;

fn results(name: &str, parallel: u64, median: f64, half: f64) -> Results {
    let mut totals = Totals::default();
    totals.requests.completed = 1000;
    totals.requests.succeeded = 1000;
    let ttft = &mut totals.times.0[TTFT];
    ttft.figures.percentiles.0[0] = Some(median);
    let mut intervals = ByPercentile::default();
    intervals.0[0] = [Some(median - half), Some(median + half)];
    ttft.intervals_of_95_percent = Some(intervals);
    Results {
        name: name.to_owned(),
        runs: vec![Run {
            plan: PlanRecord {
                target: TargetRecord {
                    url: name.to_owned(),
                    ..TargetRecord::default()
                },
                load: LoadRecord {
                    arrivals: "closed".to_owned(),
                    parallel: Some(parallel),
                    ..LoadRecord::default()
                },
                ..PlanRecord::default()
            },
            verdict: Some(Verdict {
                trusted: true,
                doubts: Vec::new(),
            }),
            totals: Some(totals),
            ..tests_support::run()
        }],
    }
}

fn judged(before: &Results, after: &Results) -> Judgement {
    let (comparisons, alone) = compare(before, std::slice::from_ref(after), 0.01);
    assert!(alone.is_empty());
    comparisons[0]
        .changes
        .iter()
        .find(|change| change.metric.name == "ttft_p50")
        .unwrap()
        .judgement
}

#[test]
fn a_change_is_judged_by_its_interval() {
    let base = results("a", 8, 0.050, 0.0001);
    assert_eq!(
        judged(&base, &results("b", 8, 0.060, 0.0001)),
        Judgement::Worse
    );
    assert_eq!(
        judged(&base, &results("b", 8, 0.040, 0.0001)),
        Judgement::Better
    );
    assert_eq!(
        judged(&base, &results("b", 8, 0.0501, 0.0001)),
        Judgement::Same
    );
    assert_eq!(
        judged(&base, &results("b", 8, 0.052, 0.004)),
        Judgement::Unclear
    );
}

#[test]
fn a_change_within_the_margin_is_neither_better_nor_worse() {
    let base = results("a", 8, 0.050, 0.00001);
    // One percent and a half, for certain: above a margin of one, and not above two.
    let other = results("b", 8, 0.05075, 0.00001);
    let of = |margin| {
        let (comparisons, _) = compare(&base, std::slice::from_ref(&other), margin);
        let changes = &comparisons[0].changes;
        changes
            .iter()
            .find(|change| change.metric.name == "ttft_p50")
            .unwrap()
            .judgement
    };
    assert_eq!(of(0.01), Judgement::Worse);
    assert_eq!(of(0.02), Judgement::Same);
    // Nobody knows on which side of the margin it lies.
    assert_eq!(of(0.015), Judgement::Unclear);
}

#[test]
fn the_same_content_is_the_same_work_wherever_it_lies() {
    let with = |name: &str, path: &str, digest: Option<&str>| {
        let mut results = results(name, 8, 0.050, 0.0001);
        let plan = &mut results.runs[0].plan;
        plan.dataset.path = Some(path.to_owned());
        plan.dataset.sha256 = digest.map(ToOwned::to_owned);
        results
    };
    let work = |a: &Results, b: &Results| {
        let (comparisons, _) = compare(a, std::slice::from_ref(b), 0.01);
        comparisons[0].different_work.clone()
    };
    let base = with("a", "x/set", Some("0123456789abcdef"));
    assert!(work(&base, &with("b", "y/set", Some("0123456789abcdef"))).is_empty());
    assert_eq!(
        work(&base, &with("b", "x/set", Some("fedcba9876543210"))),
        ["content of --dataset: x/set (sha256 0123456789ab) and x/set (sha256 fedcba987654)"]
    );
    assert_eq!(
        work(&base, &with("b", "y/set", None)),
        ["--dataset: x/set and y/set"]
    );
}

#[test]
fn limits_and_headers_that_differ_are_told() {
    let base = results("a", 8, 0.050, 0.0001);
    let mut other = results("a", 8, 0.050, 0.0001);
    other.runs[0].plan.transport.read_timeout_seconds = Some(5.0);
    other.runs[0].plan.target.header_names = vec!["x-pool".to_owned()];
    let (comparisons, _) = compare(&base, &[other], 0.01);
    assert!(comparisons[0].is_comparable());
    assert_eq!(
        comparisons[0].different_circumstances,
        [
            "names of --headers: none and [\"x-pool\"]",
            "--read-timeout: none and 5.0"
        ]
    );
}

fn said(alone: &[NotCompared]) -> Vec<String> {
    alone.iter().map(NotCompared::to_string).collect()
}

#[test]
fn runs_of_the_same_load_meet_in_their_order() {
    let twice = |name: &str, medians: [f64; 2]| {
        let mut all = results(name, 8, medians[0], 0.0001);
        all.runs.extend(results(name, 8, medians[1], 0.0001).runs);
        all
    };
    let (base, other) = (twice("a", [0.050, 0.080]), twice("b", [0.050, 0.080]));
    let (comparisons, alone) = compare(&base, std::slice::from_ref(&other), 0.01);
    let places: Vec<(usize, usize)> = comparisons
        .iter()
        .map(|comparison| (comparison.places.before, comparison.places.after))
        .collect();
    assert_eq!(places, [(0, 0), (1, 1)]);
    assert!(alone.is_empty());
    let (comparisons, alone) = compare(&base, &[results("b", 8, 0.050, 0.0001), other], 0.01);
    assert_eq!(comparisons.len(), 3);
    assert_eq!(said(&alone), ["parallel 8 is in a alone"]);
}

#[test]
fn repetitions_that_did_not_finish_count_nowhere() {
    let repeated = |name: &str, states: [RunState; 3]| {
        let mut all = results(name, 8, 0.050, 0.0001);
        let first = all.runs.remove(0);
        for (repeat, state) in (1..).zip(states) {
            let mut run = first.clone();
            (run.id, run.state) = (repeat, state);
            run.plan.load.repeat = Some(repeat.into());
            run.plan.load.seed = repeat.into();
            all.runs.push(run);
        }
        all
    };
    let (finished, interrupted) = (RunState::Finished, RunState::Interrupted);
    let base = repeated("a", [finished, interrupted, finished]);
    let other = repeated("b", [finished; 3]);
    assert_eq!(RepeatFigures::of(&base.runs)[0].runs, [1, 3]);
    let (comparisons, alone) = compare(&base, &[other], 0.01);
    assert_eq!(comparisons.len(), 1);
    assert_eq!(comparisons[0].repeats, [2, 3]);
    let unfinished = "repetition 2 of parallel 8 in a, which did not finish";
    assert_eq!(said(&alone), [unfinished]);
    // Where none finished, each stands for itself.
    let base = repeated("a", [interrupted; 3]);
    assert!(RepeatFigures::of(&base.runs).is_empty());
    let (comparisons, _) = compare(&base, std::slice::from_ref(&base), 0.01);
    assert_eq!(comparisons.len(), 3);
}

/// Runs of one and the same server, with times that chance alone makes different.
#[test]
fn runs_of_one_server_are_rarely_called_better_or_worse() {
    use llmuses_core::exchange::TokenSource;
    use llmuses_samples::OutcomeBuilder;
    use llmuses_stats::{Circumstances, Origin, RunStatistics, totals};
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |most: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % most
    };
    let mut run = |name: &str| {
        let mut statistics = RunStatistics::new(Origin::Sent);
        let mut free = [0; 8];
        for number in 0..600 {
            let slot = &mut free[number % 8];
            let first = *slot + 40 + random(40) + if random(20) == 0 { random(100) } else { 0 };
            let (second, third) = (first + 5 + random(10), first + 15 + random(10));
            let outcome = OutcomeBuilder::at(*slot)
                .sent(*slot)
                .events(&[first, second, third])
                .end(third)
                .outputs(&[0, 1, 2])
                .tokens(9, 3, TokenSource::Server);
            statistics.record(&outcome.build());
            *slot = third;
        }
        let mut results = results(name, 8, 0.0, 0.0);
        results.runs[0].totals = Some(totals(&statistics, &Circumstances::default()));
        results
    };
    let (mut rows, mut called) = (0, 0);
    for _ in 0..20 {
        let (a, b) = (run("a"), run("b"));
        // No margin at all: chance alone is to be held back.
        let (comparisons, _) = compare(&a, &[b], 0.0);
        assert!(comparisons[0].tested > 15);
        for change in &comparisons[0].changes {
            rows += 1;
            called += usize::from(matches!(
                change.judgement,
                Judgement::Better | Judgement::Worse
            ));
        }
    }
    assert!(called * 20 <= rows, "{called} of {rows}");
}

#[test]
fn another_load_is_not_comparable_and_says_so() {
    let base = results("a", 8, 0.050, 0.0001);
    let other = results("b", 64, 0.060, 0.0001);
    assert_eq!(judged(&base, &other), Judgement::NotComparable);
    let (comparisons, _) = compare(&base, &[other], 0.01);
    assert_eq!(comparisons[0].different_work, ["--parallel: 8 and 64"]);
    assert_eq!(comparisons[0].different_circumstances, ["--url: a and b"]);
}

#[test]
fn sweeps_meet_load_by_load() {
    let mut base = results("a", 8, 0.050, 0.0001);
    base.runs.extend(results("a", 64, 0.070, 0.0001).runs);
    let other = results("b", 64, 0.090, 0.0001);
    let (comparisons, alone) = compare(&base, &[other], 0.01);
    assert_eq!(comparisons.len(), 1);
    assert_eq!(comparisons[0].load, "parallel 64");
    assert_eq!(said(&alone), ["parallel 8 is in a alone"]);
}

#[test]
fn stages_of_one_name_meet_in_their_order() {
    let staged = |name: &str, succeeded: [u64; 3]| {
        let mut results = results(name, 8, 0.050, 0.0001);
        let totals = results.runs[0].totals.as_mut().unwrap();
        let stages = ["4@60s", "8@60s", "4@60s"].into_iter().zip(succeeded);
        totals.groups = stages
            .map(|(name, succeeded)| GroupFigures {
                by: "stage".to_owned(),
                name: name.to_owned(),
                seconds: Some(60.0),
                succeeded,
                completed: succeeded,
                ..GroupFigures::default()
            })
            .collect();
        results
    };
    let (before, after) = (staged("a", [60, 120, 180]), staged("b", [60, 120, 240]));
    let (comparisons, _) = compare(&before, std::slice::from_ref(&after), 0.01);
    let rates: Vec<[f64; 2]> = comparisons[0]
        .groups
        .iter()
        .map(|group| {
            let mut changes = group.changes.iter();
            let rate = changes.find(|change| change.metric.name == "qps").unwrap();
            [rate.before, rate.after].map(|side| side.unwrap().value)
        })
        .collect();
    assert_eq!(rates, [[1.0, 1.0], [2.0, 2.0], [3.0, 4.0]]);
}
