//! Figures of requests that have something in common, beside those of the whole run.

use super::json::group_figures;
use super::measure::Origin;
use super::running::RunStatistics;
use super::sample::Sample;
use super::sessions::{name_of_place, place_of};
use super::steady::Steady;
use llmuses_core::clock::Moment;
use llmuses_core::document::GroupFigures;
use llmuses_core::plan::{Arrivals, Gaps, Objectives, Staged, Stages, Warmup};
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
    /// The turn of its session, where sessions have several.
    Turn,
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
            Self::Turn => "turn",
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
    warmup: Warmup,
    /// Whether all gaps between requests are equal.
    has_even_gaps: bool,
    /// When the first request was due that counts, by the number of its stage.
    first_counted: BTreeMap<u64, Moment>,
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
            warmup: Warmup::Nothing,
            has_even_gaps: false,
            first_counted: BTreeMap::new(),
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

    /// How the warm-up ends and how requests arrive: by these, a stage with the end of the warm-up inside has the length that
    /// its other requests take.
    #[must_use]
    pub fn with_warmup(mut self, warmup: Warmup, arrivals: &Arrivals) -> Self {
        self.warmup = warmup;
        self.has_even_gaps = matches!(
            arrivals,
            Arrivals::Open {
                gaps: Gaps::Constant,
                ..
            }
        );
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
            if key.by == GroupBy::Stage {
                let first = self.first_counted.entry(key.order).or_insert(due);
                *first = (*first).min(due);
            }
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
        let turn = exchange.place.is_of_several().then(|| {
            let place = place_of(exchange.place.turn);
            Key {
                by: GroupBy::Turn,
                order: place as u64,
                name: name_of_place(place),
            }
        });
        let model = exchange.model.as_ref();
        let model = model.map(|model| named(GroupBy::Model, model));
        let label = self.by_label.then(|| {
            let head = exchange.head.as_ref();
            let label = head.and_then(|head| head.label.as_deref());
            named(GroupBy::Label, label.unwrap_or(NO_LABEL))
        });
        [stage, url, turn, model, label]
            .into_iter()
            .flatten()
            .collect()
    }

    /// From when on the requests of a stage count, as far as there is a warm-up.
    fn warmup_ends(&self, stage: u64) -> Option<Moment> {
        let last = self.last_warmup?;
        match self.warmup {
            Warmup::Time(time) => Some(self.start.after(time)),
            // The gap that follows the last one of the warm-up belongs to that.
            _ if self.has_even_gaps => self
                .first_counted
                .get(&stage)
                .copied()
                .filter(|first| *first > last)
                .or(Some(last)),
            // What follows a request drawn at random does not depend on it.
            _ => Some(last),
        }
    }

    /// How long the requests of a stage were due that are none of the warm-up. `was_cut`: whether the run ended before its
    /// last stage did.
    fn length_of_stage(&self, stage: u64, was_cut: bool) -> Option<Duration> {
        let stages = self.stages.as_ref()?;
        let (begin, end) = stages.times_of(usize::try_from(stage).ok()?)?;
        let (begin, end) = (self.start.after(begin), self.start.after(end));
        let begin = match self.warmup_ends(stage) {
            Some(ends) => begin.max(ends),
            None => begin,
        };
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

    /// The stages of which no request counts. `was_cut`: whether the run ended before its last stage did.
    fn stages_without_any(&self, was_cut: bool) -> Vec<Key> {
        let Some(stages) = &self.stages else {
            return Vec::new();
        };
        let reached = match was_cut {
            true => stages.at(self.last_due.since(self.start)) + 1,
            false => stages.count(),
        };
        let keys = (0..reached).filter_map(|stage| {
            Some(Key {
                by: GroupBy::Stage,
                order: stage as u64,
                name: stages.name_of(stage)?,
            })
        });
        keys.filter(|key| !self.groups.contains_key(key)).collect()
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
        let mut groups: BTreeMap<&Key, &RunStatistics> = self.groups.iter().collect();
        let without_any = self.stages_without_any(was_cut);
        groups.extend(without_any.iter().map(|key| (key, &self.empty)));
        let groups = groups.into_iter().map(|(key, statistics)| GroupFigures {
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
        // The last stage was not run: nothing says how it would have been.
        assert_eq!(lengths("rate:4@1s,4@1s,4@1s", true).len(), 2);
        assert_eq!(lengths("rate:4@1s,4@1s", true), [Some(0.5), Some(0.25)]);
        let closed = lengths("parallel:4@1s,4@1s", true);
        assert_eq!(closed, [Some(0.5), Some(0.28)]);
    }

    #[test]
    fn a_stage_has_the_rate_of_its_arrivals_behind_the_warm_up() {
        let rate = |warmup: Warmup, gaps: Gaps| {
            let stages: Stages = "rate:10@1s,10@1s".parse().unwrap();
            let mut groups = Groups::new(Origin::Intended, Moment::default(), None, Some(stages))
                .with_warmup(warmup, &Arrivals::Open { rate: 10.0, gaps });
            for number in 0..20 {
                let due = number * 100;
                let warm = warmup.covers(number, Duration::from_millis(due));
                groups.add(&sample(due, warm));
            }
            let figures = groups.figures(Some(Duration::from_secs(2)), false);
            figures[0].due_per_second.unwrap()
        };
        let of = |expected: f64, found: f64| assert!((found - expected).abs() < 1e-9, "{found}");
        of(10.0, rate(Warmup::Requests(5), Gaps::Constant));
        of(
            10.0,
            rate(Warmup::Time(Duration::from_millis(500)), Gaps::Constant),
        );
        of(
            10.0,
            rate(Warmup::Time(Duration::from_millis(500)), Gaps::Poisson),
        );
        // The time between the last one of the warm-up and the next is a gap like any other.
        of(5.0 / 0.6, rate(Warmup::Requests(5), Gaps::Poisson));
    }

    #[test]
    fn a_stage_that_sent_nothing_is_told() {
        let stages: Stages = "rate:4@1s,0@1s,4@1s,0@1s".parse().unwrap();
        let mut groups = Groups::new(Origin::Intended, Moment::default(), None, Some(stages));
        for due in [250, 2500] {
            groups.add(&sample(due, false));
        }
        let told = |was_cut: bool| -> Vec<(String, u64, Option<f64>)> {
            let figures = groups.figures(Some(Duration::from_secs(4)), was_cut);
            let told = figures.into_iter();
            told.map(|group| (group.name, group.completed, group.due_per_second))
                .collect()
        };
        let found = told(false);
        let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["4@1s", "0@1s", "4@1s", "0@1s"]);
        assert_eq!(found[1], ("0@1s".to_owned(), 0, Some(0.0)));
        assert_eq!(told(true).len(), 3);
    }

    #[test]
    fn turns_of_sessions_have_figures_of_their_own() {
        let mut groups = Groups::new(Origin::Intended, Moment::default(), None, None);
        groups.add(&sample(0, false));
        for turn in 0..12 {
            let outcome = OutcomeBuilder::at(0)
                .sent(0)
                .end(10)
                .turn(0, turn, 12)
                .build();
            groups.add(&Sample::of(outcome, Origin::Intended, false));
        }
        let figures = groups.figures(Some(Duration::from_secs(1)), false);
        let found: Vec<(&str, u64)> = figures
            .iter()
            .map(|group| (group.name.as_str(), group.completed))
            .collect();
        assert!(figures.iter().all(|group| group.by == "turn"));
        assert_eq!((found.len(), found[0]), (10, ("1", 1)));
        assert_eq!(found[9], ("10 and later", 3));
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
