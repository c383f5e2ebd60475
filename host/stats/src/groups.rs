//! Figures of requests that have something in common, beside those of the whole run.

use super::json::group_figures;
use super::measure::Origin;
use super::running::RunStatistics;
use super::sample::Sample;
use super::steady::Steady;
use llmuses_core::clock::Moment;
use llmuses_core::document::GroupFigures;
use llmuses_core::plan::{Objectives, Staged, Stages};
use std::collections::BTreeMap;
use std::time::Duration;

/// The most groups of a kind. Requests of further ones are counted together, in a group of that name.
const MOST: usize = 100;

/// The group of requests whose response has no label, or that had no response.
const NO_LABEL: &str = "(none)";

/// The group of the requests of a steady state.
const STEADY: &str = "steady state";

/// By what requests are told apart. A further way is a variant here, and its key in `Groups::keys`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupBy {
    /// Whether all users of a closed loop were at work.
    Window,
    /// The stage of the load in which a request was due.
    Stage,
    /// The URL that it went to, where there are several.
    Url,
    /// The model that it asked, where there are several.
    Model,
    /// Who answered, by a header of the response.
    Label,
}

impl GroupBy {
    /// As a document says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Stage => "stage",
            Self::Url => "url",
            Self::Model => "model",
            Self::Label => "label",
        }
    }
}

/// A group: what it is ordered by, and how it is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    by: GroupBy,
    order: u64,
    name: String,
}

/// The groups of a run.
#[derive(Debug)]
pub struct Groups {
    empty: RunStatistics,
    start: Moment,
    stages: Option<Stages>,
    by_label: bool,
    steady: Option<Steady>,
    /// When the last request of the warm-up was due.
    last_warmup: Option<Moment>,
    /// When the last request of all was due.
    last_due: Moment,
    /// When the last request ended that was due in a stage, by the number of that.
    last_ends: BTreeMap<u64, Moment>,
    groups: BTreeMap<Key, RunStatistics>,
}

impl Groups {
    /// The groups of a run that began at `start`. `origin`: from where times are counted; `stages`: those of its load.
    pub fn new(
        origin: Origin,
        start: Moment,
        objectives: Option<Objectives>,
        stages: Option<Stages>,
    ) -> Self {
        Self {
            empty: RunStatistics::new(origin)
                .starting_at(start)
                .with_objectives(objectives),
            start,
            stages,
            by_label: false,
            steady: None,
            last_warmup: None,
            last_due: start,
            last_ends: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    /// Whether requests are told apart by the label of their responses.
    #[must_use]
    pub fn with_labels(mut self, by_label: bool) -> Self {
        self.by_label = by_label;
        self
    }

    /// Whether there is a steady state: of a closed loop, whose users have all begun after `ramp_up`. With stages, each of
    /// them has figures of its own.
    #[must_use]
    pub fn with_steady_state(mut self, is_closed: bool, ramp_up: Option<Duration>) -> Self {
        let from = self.start.after(ramp_up.unwrap_or_default());
        let has_one = is_closed && self.stages.is_none();
        self.steady = has_one.then(|| Steady::new(from, self.empty.clone()));
        self
    }

    /// Adds a sample to each group that it belongs to.
    pub fn add(&mut self, sample: &Sample) {
        if let Some(steady) = &mut self.steady {
            steady.add(sample);
        }
        let due = sample.outcome.exchange.intended;
        self.last_due = self.last_due.max(due);
        if let Some(stages) = &self.stages {
            let stage = stages.at(due.since(self.start)) as u64;
            let last = self.last_ends.entry(stage).or_default();
            *last = (*last).max(sample.outcome.exchange.end);
        }
        if sample.warmup {
            // The turns of a session belong to the warm-up with its first one, though later ones are due long behind it.
            let began = sample.outcome.exchange.place.began.unwrap_or(due);
            self.last_warmup = self.last_warmup.max(Some(began));
            return;
        }
        for mut key in self.keys(sample) {
            if !self.groups.contains_key(&key) {
                let of_kind = self.groups.keys().filter(|other| other.by == key.by);
                if of_kind.count() >= MOST {
                    key.order = u64::MAX;
                    "others".clone_into(&mut key.name);
                }
            }
            let empty = &self.empty;
            let group = self.groups.entry(key).or_insert_with(|| empty.clone());
            group.add(sample);
        }
    }

    /// The groups that a sample belongs to.
    fn keys(&self, sample: &Sample) -> Vec<Key> {
        let stage = self.stages.as_ref().and_then(|stages| {
            let due = sample.outcome.exchange.intended.since(self.start);
            let stage = stages.at(due);
            Some(Key {
                by: GroupBy::Stage,
                order: stage as u64,
                name: stages.name_of(stage)?,
            })
        });
        let named = |by, name: &str| Key {
            by,
            order: 0,
            name: name.to_owned(),
        };
        let exchange = &sample.outcome.exchange;
        let url = exchange.url.as_ref().map(|url| named(GroupBy::Url, url));
        let model = exchange.model.as_ref();
        let model = model.map(|model| named(GroupBy::Model, model));
        let label = self.by_label.then(|| {
            let head = exchange.head.as_ref();
            let label = head.and_then(|head| head.label.as_deref());
            named(GroupBy::Label, label.unwrap_or(NO_LABEL))
        });
        [stage, url, model, label].into_iter().flatten().collect()
    }

    /// How long the requests of a stage were due that are none of the warm-up. `was_cut`: whether the run ended before its
    /// last stage did.
    fn length_of_stage(&self, stage: u64, was_cut: bool) -> Option<Duration> {
        let stages = self.stages.as_ref()?;
        let (begin, end) = stages.times_of(usize::try_from(stage).ok()?)?;
        let (begin, end) = (self.start.after(begin), self.start.after(end));
        let begin = self.last_warmup.map_or(begin, |last| begin.max(last));
        // Behind an earlier stage others followed, so that it was whole. A slot of a closed loop is at work until its last
        // request ends.
        let is_last = stages.at(self.last_due.since(self.start)) as u64 == stage;
        let last = match stages.of() {
            Staged::Rate => Some(self.last_due),
            Staged::Parallel => self.last_ends.get(&stage).copied(),
        };
        let end = match last {
            Some(last) if was_cut && is_last => end.min(last),
            _ => end,
        };
        Some(end.since(begin))
    }

    /// Their figures. `wall`: the time of the run; `was_cut`: whether it ended before its last stage did.
    pub fn figures(&self, wall: Option<Duration>, was_cut: bool) -> Vec<GroupFigures> {
        let length = |key: &Key| match key.by {
            GroupBy::Stage => self.length_of_stage(key.order, was_cut),
            _ => wall,
        };
        let steady = self.steady.as_ref().and_then(Steady::window);
        let steady = steady.map(|(statistics, begins, length)| GroupFigures {
            by: GroupBy::Window.as_str().to_owned(),
            name: STEADY.to_owned(),
            begins_seconds: Some(begins.since(self.start).as_secs_f64()),
            ..group_figures(statistics, Some(length))
        });
        let groups = self.groups.iter();
        let groups = groups.map(|(key, statistics)| GroupFigures {
            by: key.by.as_str().to_owned(),
            name: key.name.clone(),
            ..group_figures(statistics, length(key))
        });
        steady.into_iter().chain(groups).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::document::Percentile;
    use llmuses_core::metric::{QPS, TTFT};
    use llmuses_samples::OutcomeBuilder;

    fn sample(due_millis: u64, warmup: bool) -> Sample {
        let outcome = OutcomeBuilder::at(due_millis)
            .sent(due_millis)
            .events(&[due_millis + 10, due_millis + 20])
            .end(due_millis + 30)
            .outputs(&[0, 1])
            .build();
        Sample::of(outcome, Origin::Intended, warmup)
    }

    #[test]
    fn each_stage_has_the_figures_of_what_was_due_in_it() {
        let stages: Stages = "rate:2@1s,4@500ms".parse().unwrap();
        let mut groups = Groups::new(Origin::Intended, Moment::default(), None, Some(stages));
        for due in [100, 600, 999, 1000, 1400] {
            groups.add(&sample(due, false));
        }
        let figures = groups.figures(Some(Duration::from_secs(9)), false);
        let found: Vec<(&str, &str, u64, Option<f64>)> = figures
            .iter()
            .map(|group| {
                (
                    group.by.as_str(),
                    group.name.as_str(),
                    group.completed,
                    group.figures.get(QPS),
                )
            })
            .collect();
        let expected = [
            ("stage", "2@1s", 3, Some(3.0)),
            ("stage", "4@0.5s", 2, Some(4.0)),
        ];
        assert_eq!(found, expected);
        assert_eq!(figures[1].due_per_second, Some(4.0));
        assert_eq!(
            figures[0].times[TTFT].percentile(Percentile::P50),
            Some(0.01)
        );
        let totals = figures[0].totals();
        assert_eq!(QPS.of(&totals.sums()), Some(3.0));
        assert_eq!(totals.times, figures[0].times);
    }

    #[test]
    fn rates_of_a_stage_leave_out_its_warm_up_and_what_was_not_run() {
        let lengths = |stages: &str, was_cut: bool| {
            let stages: Stages = stages.parse().unwrap();
            let mut groups = Groups::new(Origin::Intended, Moment::default(), None, Some(stages));
            for (due, warmup) in [(250, true), (500, true), (750, false), (1250, false)] {
                groups.add(&sample(due, warmup));
            }
            let figures = groups.figures(Some(Duration::from_secs(9)), was_cut);
            let lengths: Vec<Option<f64>> = figures.iter().map(|group| group.seconds).collect();
            lengths
        };
        assert_eq!(lengths("rate:4@1s,4@1s", false), [Some(0.5), Some(1.0)]);
        assert_eq!(lengths("rate:4@1s,4@1s", true), [Some(0.5), Some(0.25)]);
        let closed = lengths("parallel:4@1s,4@1s", true);
        assert_eq!(closed, [Some(0.5), Some(0.28)]);
    }

    #[test]
    fn requests_are_told_apart_by_url_and_label() {
        let labelled = |label: Option<&str>, url: &str| {
            let mut made = sample(100, false);
            let exchange = &mut made.outcome.exchange;
            exchange.url = Some(url.into());
            if let Some(head) = &mut exchange.head {
                head.label = label.map(Into::into);
            }
            made
        };
        let samples = [
            labelled(Some("b"), "http://two/"),
            labelled(Some("a"), "http://one/"),
            labelled(Some("b"), "http://one/"),
            labelled(None, "http://one/"),
        ];
        let found = |by_label: bool| -> Vec<(String, String, u64)> {
            let mut groups =
                Groups::new(Origin::Sent, Moment::default(), None, None).with_labels(by_label);
            samples.iter().for_each(|sample| groups.add(sample));
            let figures = groups
                .figures(Some(Duration::from_secs(1)), false)
                .into_iter();
            figures
                .map(|group| (group.by, group.name, group.completed))
                .collect()
        };
        let of = |groups: &[(&str, &str, u64)]| -> Vec<(String, String, u64)> {
            let groups = groups.iter();
            groups
                .map(|(by, name, count)| ((*by).to_owned(), (*name).to_owned(), *count))
                .collect()
        };
        let urls = [("url", "http://one/", 3), ("url", "http://two/", 1)];
        let labels = [("label", "(none)", 1), ("label", "a", 1), ("label", "b", 2)];
        assert_eq!(found(false), of(&urls));
        assert_eq!(found(true), of(&[&urls[..], &labels].concat()));
    }

    #[test]
    fn a_run_without_stages_has_no_groups() {
        let mut groups = Groups::new(Origin::Intended, Moment::default(), None, None);
        groups.add(&sample(0, false));
        assert!(groups.figures(None, false).is_empty());
    }
}
