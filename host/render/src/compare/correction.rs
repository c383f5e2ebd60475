//! What chance does where many figures are judged at once.

use super::judgement::{Change, Judgement};
use super::metric::Better;

/// The figure that says the same as requests per second where requests have equally many tokens.
const FOLLOWS: &str = "throughput";

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
pub(super) fn correct(changes: &mut [Change], margin: f64, same_tokens: bool) -> usize {
    let mut chances: Vec<(usize, f64)> = changes
        .iter()
        .enumerate()
        // One that follows another is no figure of its own.
        .filter(|(_, change)| is_tested(change) && !(same_tokens && change.metric.name == FOLLOWS))
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

/// Output tokens per second are requests per second times tokens per request. Where the latter are equal, what
/// differs is when tokens fall into the parts of which the intervals are made.
pub(super) fn follow_requests(changes: &mut [Change]) {
    let Some((found, judgement)) = changes
        .iter()
        .find(|change| change.metric.name == "qps")
        .map(|change| (change.change, change.judgement))
    else {
        return;
    };
    for change in changes
        .iter_mut()
        .filter(|change| change.metric.name == FOLLOWS)
    {
        (change.change, change.judgement) = (found, judgement);
    }
}
