//! What ends a run before its time: a rule of `--stop-if`, or that a probe of a search has found what it was for.

use llmuses_core::document::{ObjectiveOutcome, ProbeFigures, ShareFigures};
use llmuses_core::plan::{Load, ShareBound, StopRule};
use llmuses_fleet::Session;
use llmuses_stats::{
    FEWEST_REQUESTS, Probe, RunSoFar, Sample, SaturationWatch, ShareFound, ShareWatch,
};
use std::time::Duration;

/// The chance that a rule ends a run and should not have.
const ERROR: f64 = 0.01;

/// No rule ends a run before so many requests are over.
const FEWEST: u64 = 50;

/// After this time it is known whether a probe will have enough requests.
const LEAST_TIME: Duration = Duration::from_secs(10);

/// Why a run ends.
pub(super) enum Stop {
    /// It failed, for this reason.
    Failed(String),
    /// It has found what it was for.
    Enough,
    /// Whoever gave the load wants it ended at once.
    Now {
        /// Since the run was interrupted there.
        is_interrupt: bool,
    },
}

/// Looks on while a run goes on, and may end it.
pub(super) trait Watch {
    /// Looks at a request that is over.
    fn offer(&mut self, sample: &Sample);

    /// Whether the run should end.
    fn look(&mut self, run: &RunSoFar<'_>) -> Option<Stop>;

    /// What the run found as a probe, once it is over.
    fn probe(&self) -> Option<ProbeFigures>;
}

/// The rules of `--stop-if`.
pub(super) struct StopRules {
    growth: Option<SaturationWatch>,
    shares: ShareWatch,
}

impl StopRules {
    pub(super) fn of(load: &Load) -> Self {
        let saturated = load.stop_if.contains(&StopRule::Saturated);
        let shares = load.stop_if.iter().filter_map(|rule| match rule {
            StopRule::Share(bound) => Some(bound.clone()),
            StopRule::Saturated => None,
        });
        Self {
            growth: saturated.then(SaturationWatch::default),
            shares: ShareWatch::new(shares, load.objectives, ERROR, FEWEST),
        }
    }
}

impl Watch for StopRules {
    fn offer(&mut self, sample: &Sample) {
        self.shares.offer(sample);
    }

    fn look(&mut self, run: &RunSoFar<'_>) -> Option<Stop> {
        if let Some(found) = self.shares.look() {
            let holds = self
                .shares
                .bounds()
                .zip(&found)
                .find(|(_, found)| found.outcome == ObjectiveOutcome::Met);
            if let Some((bound, found)) = holds {
                return Some(Stop::Failed(stop_reason(bound, found)));
            }
        }
        let growth = self.growth.as_mut()?.look(run.statistics.timeline())?;
        Some(Stop::Failed(format!(
            "--stop-if saturated: the server does not keep up, {:.1} requests are sent per second and {:.1} are over",
            growth.sent, growth.done
        )))
    }

    fn probe(&self) -> Option<ProbeFigures> {
        None
    }
}

/// What holds for certain.
fn stop_reason(bound: &ShareBound, found: &ShareFound) -> String {
    format!(
        "--stop-if {}: it holds for {} of {} requests",
        bound.text, found.counted, found.requests
    )
}

/// A part of a load that a coordinator watches over.
pub(super) struct WorkerWatch<'a> {
    pub(super) session: &'a Session,
    /// Which load it is, from 1.
    pub(super) load: u32,
}

impl Watch for WorkerWatch<'_> {
    fn offer(&mut self, _: &Sample) {}

    fn look(&mut self, _: &RunSoFar<'_>) -> Option<Stop> {
        if self.session.ends_now(self.load) {
            let is_interrupt = self.session.is_interrupted(self.load);
            return Some(Stop::Now { is_interrupt });
        }
        self.session.drains(self.load).then_some(Stop::Enough)
    }

    fn probe(&self) -> Option<ProbeFigures> {
        None
    }
}

/// A probe of a search: over once its objectives are decided, or the queue grows.
pub(super) struct ProbeWatch {
    probe: Probe,
    /// In an open loop.
    growth: Option<SaturationWatch>,
    shares: ShareWatch,
    /// How long it may take.
    limit: Duration,
    decided: Option<Vec<ShareFound>>,
    lost: Option<String>,
}

impl ProbeWatch {
    pub(super) fn new(probe: Probe, bounds: &[ShareBound], load: &Load) -> Self {
        let growth = load.arrivals.is_open().then(SaturationWatch::default);
        Self {
            probe,
            growth,
            shares: ShareWatch::new(
                bounds.to_vec(),
                load.objectives,
                probe.error,
                FEWEST_REQUESTS,
            ),
            limit: load.duration.unwrap_or(Duration::MAX),
            decided: None,
            lost: None,
        }
    }
}

/// Met where all are, missed where one is.
fn of_all(found: &[ShareFound]) -> ObjectiveOutcome {
    let has = |outcome| found.iter().any(|found| found.outcome == outcome);
    if has(ObjectiveOutcome::Missed) {
        ObjectiveOutcome::Missed
    } else if has(ObjectiveOutcome::NotDecided) {
        ObjectiveOutcome::NotDecided
    } else {
        ObjectiveOutcome::Met
    }
}

impl Watch for ProbeWatch {
    fn offer(&mut self, sample: &Sample) {
        if self.decided.is_none() {
            self.shares.offer(sample);
        }
    }

    fn look(&mut self, run: &RunSoFar<'_>) -> Option<Stop> {
        if self.decided.is_some() {
            return None;
        }
        if let Some(found) = self.shares.look()
            && of_all(&found) != ObjectiveOutcome::NotDecided
        {
            self.decided = Some(found);
            return Some(Stop::Enough);
        }
        let timeline = run.statistics.timeline();
        let slots = u32::try_from(timeline.slots().len()).unwrap_or(u32::MAX);
        let time = timeline.slot_length() * slots;
        if time >= LEAST_TIME && self.shares.is_hopeless(time, self.limit) {
            self.decided = Some(self.shares.found());
            return Some(Stop::Enough);
        }
        let growth = self.growth.as_mut()?.look(timeline)?;
        self.lost = Some(format!(
            "the queue grew: {:.1} requests were sent per second and {:.1} were over",
            growth.sent, growth.done
        ));
        self.decided = Some(self.shares.found());
        Some(Stop::Enough)
    }

    fn probe(&self) -> Option<ProbeFigures> {
        let found = self.decided.clone().unwrap_or_else(|| self.shares.found());
        let shares = self.shares.bounds().zip(&found);
        Some(ProbeFigures {
            load: self.probe.load,
            outcome: match self.lost {
                Some(_) => ObjectiveOutcome::Missed,
                None => of_all(&found),
            },
            repeats: self.probe.repeats,
            error: self.probe.error,
            lost: self.lost.clone(),
            shares: shares.map(|(bound, found)| figures(bound, found)).collect(),
        })
    }
}

fn figures(bound: &ShareBound, found: &ShareFound) -> ShareFigures {
    ShareFigures {
        objective: bound.text.clone(),
        bound: bound.share,
        requests: found.requests,
        counted: found.counted,
        low: found.low,
        high: found.high,
        design_effect: found.design_effect,
        outcome: found.outcome,
        requests_needed: found.needed,
    }
}
