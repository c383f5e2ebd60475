//! What chance does where many figures are judged at once.

use super::judgement::{Change, Judgement};
use llmuses_core::document::Run;
use llmuses_core::metric::{Better, QPS};
use llmuses_stats::{METRICS, Metric};

/// What comes with a request is equal within this share.
const EQUAL: f64 = 1e-3;

/// The rates that say the same as requests per second, since in both runs equally much of what they count came with a
/// request.
pub(super) fn followers(before: &Run, after: &Run) -> Vec<&'static Metric> {
    let of = |metric: &Metric, run: &Run| metric.per_request(run.totals.as_ref()?);
    METRICS
        .iter()
        .filter(|metric| {
            let both = of(metric, before).zip(of(metric, after));
            both.is_some_and(|(a, b)| a > 0.0 && (a - b).abs() <= EQUAL * a)
        })
        .collect()
}

/// Whether Holm's procedure is needed for a figure: it is estimated, and better one way.
fn is_tested(change: &Change) -> bool {
    change
        .change
        .is_some_and(|found| found.low.is_some() || found.high.is_some())
        && change.metric.better != Better::Neither
        && change.judgement != Judgement::NotComparable
}

/// The chance, over all figures of a comparison together, that any is called better or worse and is not.
pub(super) const ERROR: f64 = 0.05;

/// Takes back what chance may have done among so many figures (Holm, *Scandinavian Journal of Statistics* 6,
/// 1979: holds however the figures depend on one another). Gives back how many were tested.
pub(super) fn correct(changes: &mut [Change], margin: f64, followers: &[&Metric]) -> usize {
    let mut chances: Vec<(usize, f64)> = changes
        .iter()
        .enumerate()
        // One that follows another is no figure of its own.
        .filter(|(_, change)| is_tested(change) && !followers.contains(&change.metric))
        .filter_map(|(index, change)| Some((index, change.change?.chance(margin))))
        .collect();
    chances.sort_by(|a, b| a.1.total_cmp(&b.1));
    let tested = chances.len();
    let kept = chances
        .iter()
        .enumerate()
        .take_while(|(rank, (_, chance))| *chance <= ERROR / (tested - rank) as f64)
        .count();
    for (index, _) in &chances[kept..] {
        let judgement = &mut changes[*index].judgement;
        if matches!(judgement, Judgement::Better | Judgement::Worse) {
            *judgement = Judgement::Unclear;
        }
    }
    tested
}

/// Tokens per second are requests per second times tokens per request. Where the latter are equal, what differs is when
/// tokens fall into the parts of which the intervals are made.
pub(super) fn follow_requests(changes: &mut [Change], followers: &[&Metric]) {
    let Some((found, judgement)) = changes
        .iter()
        .find(|change| change.metric.name == QPS.name)
        .map(|change| (change.change, change.judgement))
    else {
        return;
    };
    let follows = |change: &&mut Change| {
        followers.contains(&change.metric) && change.judgement != Judgement::NotComparable
    };
    for change in changes.iter_mut().filter(follows) {
        (change.change, change.judgement) = (found, judgement);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support;
    use llmuses_core::document::Totals;

    fn run(input: u64, output: u64) -> Run {
        let mut totals = Totals::default();
        totals.requests.succeeded = 10;
        totals.tokens.input.tokens = Some(input);
        totals.tokens.output.tokens = Some(output);
        Run {
            totals: Some(totals),
            ..tests_support::run()
        }
    }

    #[test]
    fn rates_follow_requests_where_as_much_comes_with_each() {
        let names = |before: &Run, after: &Run| -> Vec<&'static str> {
            let found = followers(before, after).into_iter();
            found.map(|metric| metric.name.as_str()).collect()
        };
        let base = run(100, 50);
        assert_eq!(
            names(&base, &run(100, 50)),
            ["throughput", "input_throughput", "total_throughput"]
        );
        assert_eq!(names(&base, &run(100, 60)), ["input_throughput"]);
        assert!(names(&base, &run(0, 0)).is_empty());
        assert!(names(&run(0, 0), &run(0, 0)).is_empty());
    }
}
