//! Two runs compared: what differs in their plans, and in their figures.

use super::correction::{correct, follow_requests, followers};
use super::judgement::{Change, judge};
use crate::report::load_of;
use llmuses_core::document::{Difference, GroupFigures, Run, Totals};
use llmuses_core::wording::one_line;
use llmuses_stats::METRICS;

/// Where the two runs of a comparison stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    /// The first run, among the runs of the first file.
    pub before: usize,
    /// The file of the other run, among all files: 0 is the first one.
    pub file: usize,
    /// The other run, among the runs of its file.
    pub after: usize,
}

/// Two runs compared with one another.
#[derive(Debug, Clone, PartialEq)]
pub struct RunComparison {
    /// The file of the first run.
    pub before: String,
    /// The file of the other.
    pub after: String,
    /// The load of both in words.
    pub load: String,
    /// Where both stand.
    pub places: Places,
    /// What of the work differs; runs are comparable where it is empty. Names with both values.
    pub different_work: Vec<String>,
    /// What else differs.
    pub different_circumstances: Vec<String>,
    /// Which of the two speak against themselves: file and number of reasons.
    pub doubted: Vec<(String, usize)>,
    /// The figures that at least one of the runs has.
    pub changes: Vec<Change>,
    /// How the figures of groups of requests that both runs have changed, each corrected by itself.
    pub groups: Vec<GroupChanges>,
    /// How many of them were tested at once; what is better or worse is corrected for that.
    pub tested: usize,
}

impl RunComparison {
    /// Whether the work was the same.
    pub fn is_comparable(&self) -> bool {
        self.different_work.is_empty()
    }

    /// Compares two runs, each with the name of its file. `margin`: changes up to this share are no difference.
    pub(super) fn of(
        before: (&str, &Run),
        after: (&str, &Run),
        places: Places,
        margin: f64,
    ) -> Self {
        let doubted = [before, after]
            .into_iter()
            .filter_map(|(name, run)| {
                let doubts = run
                    .verdict
                    .as_ref()
                    .map_or(0, |verdict| verdict.doubts.len());
                (doubts > 0).then(|| (name.to_owned(), doubts))
            })
            .collect();
        let ((before_name, before), (after_name, after)) = (before, after);
        let (different_work, different_circumstances) = differences(before, after);
        let comparable = different_work.is_empty();
        let (changes, tested) = corrected(before, after, comparable, margin);
        let groups = groups(before, after, comparable, margin);
        Self {
            before: before_name.to_owned(),
            after: after_name.to_owned(),
            load: load_of(after),
            places,
            different_work,
            different_circumstances,
            doubted,
            changes,
            groups,
            tested,
        }
    }
}

/// The figures of a group of requests of two runs compared.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupChanges {
    /// What tells requests of one group from those of another.
    pub by: String,
    /// What its requests have in common.
    pub name: String,
    /// The figures that at least one of the runs has.
    pub changes: Vec<Change>,
}

/// The groups that both runs have.
fn groups(before: &Run, after: &Run, comparable: bool, margin: f64) -> Vec<GroupChanges> {
    let of = |run: &Run| run.totals.as_ref().map(|totals| totals.groups.clone());
    let (ours, theirs) = (
        of(before).unwrap_or_default(),
        of(after).unwrap_or_default(),
    );
    let alone = |group: &GroupFigures| Run {
        totals: Some(Totals {
            task: before
                .totals
                .as_ref()
                .map_or_else(Default::default, |totals| totals.task),
            ..group.totals()
        }),
        ..before.clone()
    };
    let pairs = ours.iter().filter_map(|group| {
        let same = |other: &&GroupFigures| (&other.by, &other.name) == (&group.by, &group.name);
        Some((group, theirs.iter().find(same)?))
    });
    pairs
        .map(|(group, other)| GroupChanges {
            by: group.by.clone(),
            name: group.name.clone(),
            changes: corrected(&alone(group), &alone(other), comparable, margin).0,
        })
        .collect()
}

/// The figures compared, corrected for how many of them were tested, and that number.
fn corrected(before: &Run, after: &Run, comparable: bool, margin: f64) -> (Vec<Change>, usize) {
    let mut changes = changes(before, after, comparable, margin);
    let followers = followers(before, after);
    let tested = correct(&mut changes, margin, &followers);
    follow_requests(&mut changes, &followers);
    (changes, tested)
}

/// What differs of the work, and what else differs.
fn differences(before: &Run, after: &Run) -> (Vec<String>, Vec<String>) {
    let (work, circumstances): (Vec<Difference>, Vec<Difference>) = before
        .plan
        .differences(&after.plan)
        .into_iter()
        .partition(|found| found.other_work);
    let text = |found: Vec<Difference>| found.into_iter().map(|found| found.text).collect();
    let (mut work, mut circumstances): (Vec<String>, Vec<String>) =
        (text(work), text(circumstances));
    if before.plan.work.parser == after.plan.work.parser {
        let sha256 = |run: &Run| run.parser.sha256.clone();
        work.extend(other(
            "the parser is not the same component",
            sha256(before),
            sha256(after),
        ));
    }
    let (a, b) = (&before.versions, &after.versions);
    for (name, before, after) in [
        ("version of llmuses", &a.llmuses, &b.llmuses),
        ("version of wasmtime", &a.wasmtime, &b.wasmtime),
    ] {
        circumstances.extend(other(name, before.clone(), after.clone()));
    }
    (work, circumstances)
}

fn other(name: &str, before: String, after: String) -> Option<String> {
    (before != after).then(|| {
        format!(
            "{name}: {} and {}",
            one_line(&before, 60),
            one_line(&after, 60)
        )
    })
}

/// The figures that at least one of the runs has, each judged by itself.
fn changes(before: &Run, after: &Run, comparable: bool, margin: f64) -> Vec<Change> {
    METRICS
        .iter()
        .map(|metric| {
            let of = |run: &Run| metric.of(run.totals.as_ref()?);
            let (a, b) = (of(before), of(after));
            let change = a.zip(b).and_then(|(a, b)| a.change_to(&b));
            Change {
                metric,
                before: a,
                after: b,
                change,
                judgement: judge(metric, a, b, change, comparable, margin),
            }
        })
        .filter(|change| change.before.is_some() || change.after.is_some())
        .collect()
}
