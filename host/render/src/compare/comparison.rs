//! Two runs compared: what differs in their plans, and in their figures.

use super::correction::{correct, follow_requests, followers};
use super::judgement::{Change, judge};
use crate::report::load_of;
use llmuses_core::document::{Difference, GroupFigures, RepeatedFigure, Run, Totals};
use llmuses_core::wording::one_line;
use llmuses_stats::{Estimate, METRICS, Metric};

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
    /// Over how many runs of each the figures are means; the intervals are then those between runs. 1: one run, and the
    /// intervals are those within it.
    pub repeats: [usize; 2],
    /// Where both stand, or the first runs of both.
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

    /// Compares runs of one load with those of another, each side with the name of its file. Of several runs the means are
    /// compared. `margin`: changes up to this share are no difference.
    pub(super) fn of(
        before: (&str, Runs<'_>),
        after: (&str, Runs<'_>),
        places: Places,
        margin: f64,
    ) -> Self {
        let doubted = [before, after]
            .into_iter()
            .filter_map(|(name, runs)| {
                let verdicts = runs.all().filter_map(|run| run.verdict.as_ref());
                let doubts = verdicts.map(|verdict| verdict.doubts.len()).sum();
                (doubts > 0).then(|| (name.to_owned(), doubts))
            })
            .collect();
        let ((before_name, before), (after_name, after)) = (before, after);
        let (different_work, different_circumstances) = differences(before.first, after.first);
        let comparable = different_work.is_empty();
        let (changes, tested) = corrected(before, after, comparable, margin);
        let groups = groups(before, after, comparable, margin);
        Self {
            before: before_name.to_owned(),
            after: after_name.to_owned(),
            load: load_of(after.first),
            repeats: [before, after].map(|runs| runs.all().count()),
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

/// The runs of one load in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Runs<'a> {
    /// The first of them.
    pub(super) first: &'a Run,
    /// Its repetitions.
    pub(super) more: &'a [&'a Run],
}

impl<'a> Runs<'a> {
    /// `None`: there is none.
    pub(super) fn of(runs: &'a [&'a Run]) -> Option<Self> {
        let (first, more) = runs.split_first()?;
        Some(Self { first, more })
    }

    fn all(self) -> impl Iterator<Item = &'a Run> {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }

    /// A figure: of one run as that run knows it, of several the mean with the interval between runs. `None`: a run does
    /// not have it.
    fn estimate(self, metric: &Metric) -> Option<Estimate> {
        let mut of_each = self.all().map(|run| metric.of(run.totals.as_ref()?));
        if self.more.is_empty() {
            return of_each.next()?;
        }
        let values = of_each.map(|found| Some(found?.value));
        let values: Vec<f64> = values.collect::<Option<_>>()?;
        let mean = RepeatedFigure::of(&values)?;
        Some(Estimate {
            value: mean.mean,
            low: Some(mean.low),
            high: Some(mean.high),
        })
    }
}

/// The groups that all runs have.
fn groups(before: Runs<'_>, after: Runs<'_>, comparable: bool, margin: f64) -> Vec<GroupChanges> {
    let known = before.first.totals.as_ref().map(|totals| &totals.groups);
    let known = known.map_or(&[][..], Vec::as_slice);
    // A steady state is not another part of the requests, but the same ones without beginning and end.
    let told = known.iter().enumerate();
    let told = told.filter(|(_, group)| group.by != "window");
    let pairs = told.filter_map(|(place, group)| {
        let earlier = known[..place].iter();
        let namesakes = earlier.filter(|earlier| is_same(earlier, group)).count();
        let (ours, theirs) = (
            alone(before, group, namesakes)?,
            alone(after, group, namesakes)?,
        );
        Some((group, ours, theirs))
    });
    pairs
        .filter_map(|(group, ours, theirs)| {
            let ours: Vec<&Run> = ours.iter().collect();
            let theirs: Vec<&Run> = theirs.iter().collect();
            let (ours, theirs) = (Runs::of(&ours)?, Runs::of(&theirs)?);
            Some(GroupChanges {
                by: group.by.clone(),
                name: group.name.clone(),
                changes: corrected(ours, theirs, comparable, margin).0,
            })
        })
        .collect()
}

/// Whether two groups have the same in common.
fn is_same(one: &GroupFigures, other: &GroupFigures) -> bool {
    (&one.by, &one.name) == (&other.by, &other.name)
}

/// Runs of the requests of a group alone; one at least. `namesakes`: how many of the same name are before it, such as stages
/// of one rate. `None`: a run does not have the group.
fn alone(runs: Runs<'_>, group: &GroupFigures, namesakes: usize) -> Option<Vec<Run>> {
    let of_run = |run: &Run| {
        let totals = run.totals.as_ref()?;
        let mut same = totals.groups.iter().filter(|other| is_same(other, group));
        let group = same.nth(namesakes)?;
        Some(Run {
            totals: Some(Totals {
                task: totals.task,
                ..group.totals()
            }),
            ..run.clone()
        })
    };
    runs.all().map(of_run).collect()
}

/// The figures compared, corrected for how many of them were tested, and that number.
fn corrected(
    before: Runs<'_>,
    after: Runs<'_>,
    comparable: bool,
    margin: f64,
) -> (Vec<Change>, usize) {
    let mut changes = changes(before, after, comparable, margin);
    let followers = followers(before.first, after.first);
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

/// Whether requests had to keep to the same bounds (`--goodput`).
fn same_objectives(before: &Run, after: &Run) -> bool {
    before.plan.load.objectives == after.plan.load.objectives
}

/// The figures that at least one side has, each judged by itself.
fn changes(before: Runs<'_>, after: Runs<'_>, comparable: bool, margin: f64) -> Vec<Change> {
    let same_objectives = same_objectives(before.first, after.first);
    METRICS
        .iter()
        .map(|metric| {
            let (a, b) = (before.estimate(metric), after.estimate(metric));
            let change = a.zip(b).and_then(|(a, b)| a.change_to(&b));
            let comparable = comparable && (same_objectives || !metric.depends_on_objectives());
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
