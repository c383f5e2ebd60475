//! The search of the highest load that keeps objectives: what was asked for, what each probe found, and the result.

use super::Run;
use super::objective::ObjectiveOutcome;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a search was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SearchRecord {
    /// What is varied: `rate` or `parallel`.
    pub vary: String,
    /// The lowest load.
    pub from: f64,
    /// The highest load.
    pub to: f64,
    /// How near the highest load that keeps the objectives and the lowest that does not should be, as a share of the latter.
    pub resolution: f64,
    /// The objectives.
    pub objectives: Vec<String>,
    /// The chance that any of the probes is decided wrongly, over all of them together.
    pub error: f64,
    /// How long a probe may take.
    pub probe_limit_seconds: f64,
    /// How long the search may take.
    pub time_limit_seconds: f64,
}

/// What a probe of a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeFigures {
    /// The load: requests per second or in flight.
    pub load: f64,
    /// Whether all objectives are met, one is missed, or the time was over before that was known.
    pub outcome: ObjectiveOutcome,
    /// Whether it repeats the highest load that kept the objectives, to see whether it still does.
    pub repeats: bool,
    /// The chance that its outcome is wrong.
    pub error: f64,
    /// Why it was ended: the queue grew; null where the objectives were decided, or the time was over.
    pub lost: Option<String>,
    /// The objectives, as shares of requests.
    pub shares: Vec<ShareFigures>,
}

/// An objective as a bound of a share of requests: that a percentile is below a time means that few enough are longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShareFigures {
    /// As it was asked for.
    pub objective: String,
    /// The bound of the share.
    pub bound: f64,
    /// Requests, in the order in which they were due, up to the first that was not over.
    pub requests: u64,
    /// Of these, the counted ones: failed, or as long as the objective or longer.
    pub counted: u64,
    /// The lower bound of their share, which holds at all times with the confidence of the probe.
    pub low: f64,
    /// The upper bound of their share.
    pub high: f64,
    /// How many requests say as much as one independent request, since long ones come together.
    pub design_effect: f64,
    /// What became of it.
    pub outcome: ObjectiveOutcome,
    /// Requests that would decide it; null where it is decided, or where it lies on the bound.
    pub requests_needed: Option<u64>,
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchFigures {
    /// What was asked for.
    pub asked: SearchRecord,
    /// How it ended.
    pub outcome: SearchOutcome,
    /// The highest load that kept all objectives: the lower end of the interval of the capacity.
    pub highest_met: Option<f64>,
    /// The lowest load that did not: the upper end of the interval.
    pub lowest_missed: Option<f64>,
    /// Loads that were not decided.
    pub not_decided: Vec<f64>,
    /// Goodput at the highest load that kept all objectives, per second.
    pub goodput_per_second: Option<f64>,
    /// The chance that the interval does not hold the capacity.
    pub error: f64,
    /// Probes.
    pub probes: u64,
    /// Requests of all probes, those of their warm-up included.
    pub requests: u64,
    /// The time from the start of the first probe to the end of the last.
    pub seconds: Option<f64>,
    /// Requests of one probe that would decide the load that was not decided; null where there is none, or nobody can say.
    pub requests_needed: Option<u64>,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SearchOutcome {
    /// The interval is as narrow as was asked for, and a repetition of its lower end kept the objectives.
    Found,
    /// Even the highest load kept the objectives.
    BeyondTo,
    /// Even the lowest load did not keep them.
    BelowFrom,
    /// The time was over, or a load lies on an objective, before the interval was as narrow as was asked for.
    NotDecided,
    /// The repetition of the highest load that had kept the objectives did not keep them: the server was not the same.
    NotSteady,
}

/// Whether an interval is as narrow as it should be. Loads in flight are whole numbers.
pub fn is_narrow(met: f64, missed: f64, asked: &SearchRecord) -> bool {
    let whole = asked.vary == "parallel";
    missed - met <= asked.resolution * missed || (whole && missed - met <= 1.0)
}

impl SearchFigures {
    /// The result of the probes of a search. `None`: the runs are no such probes.
    pub fn of(runs: &[Run]) -> Option<Self> {
        let asked = runs.first()?.plan.outputs.search.clone()?;
        let probes: Vec<(&Run, &ProbeFigures)> = runs
            .iter()
            .filter_map(|run| Some((run, run.totals.as_ref()?.probe.as_ref()?)))
            .collect();
        let first = |outcome: ObjectiveOutcome| {
            let probes = probes.iter().map(|(_, probe)| *probe);
            probes.filter(move |probe| !probe.repeats && probe.outcome == outcome)
        };
        let loads = |outcome| first(outcome).map(|probe| probe.load);
        let highest_met = loads(ObjectiveOutcome::Met).reduce(f64::max);
        let lowest_missed = loads(ObjectiveOutcome::Missed).reduce(f64::min);
        let repeated = probes.iter().find(|(_, probe)| probe.repeats);
        let repetition = repeated.map(|(_, probe)| probe.outcome);
        let outcome = match (highest_met, lowest_missed) {
            (Some(met), Some(missed)) if met > missed => SearchOutcome::NotSteady,
            _ if repetition == Some(ObjectiveOutcome::Missed) => SearchOutcome::NotSteady,
            (None, Some(missed)) if missed <= asked.from => SearchOutcome::BelowFrom,
            (Some(met), Some(missed))
                if is_narrow(met, missed, &asked) && repetition == Some(ObjectiveOutcome::Met) =>
            {
                SearchOutcome::Found
            }
            (Some(met), None) if met >= asked.to => SearchOutcome::BeyondTo,
            _ => SearchOutcome::NotDecided,
        };
        let met_run = probes
            .iter()
            .find(|(_, probe)| !probe.repeats && Some(probe.load) == highest_met);
        let started = runs.first().map(|run| run.started_unix_seconds);
        let ended = runs.last().and_then(|run| run.finished_unix_seconds);
        let undecided = probes
            .iter()
            .map(|(_, probe)| *probe)
            .filter(|probe| probe.outcome == ObjectiveOutcome::NotDecided);
        Some(Self {
            outcome,
            highest_met,
            lowest_missed,
            not_decided: loads(ObjectiveOutcome::NotDecided).collect(),
            goodput_per_second: met_run
                .and_then(|(run, _)| run.totals.as_ref()?.goodput.as_ref()?.per_second),
            error: asked.error,
            probes: probes.len() as u64,
            requests: runs
                .iter()
                .filter_map(|run| Some(run.totals.as_ref()?.requests.issued))
                .sum(),
            seconds: ended.zip(started).map(|(ended, started)| ended - started),
            requests_needed: undecided
                .flat_map(|probe| &probe.shares)
                .filter_map(|share| share.requests_needed)
                .max(),
            asked,
        })
    }
}
