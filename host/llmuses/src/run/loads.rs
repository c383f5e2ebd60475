//! Which loads are run one after another: those of a sweep, or those that a search asks for.

use super::RunResult;
use super::outputs::{Beyond, Outputs};
use super::watch::{ProbeWatch, StopRules, Watch};
use llmuses_core::document::{ObjectiveOutcome, Run, SearchFigures, SearchRecord};
use llmuses_core::plan::{Arrivals, Plan, RunPlace, ShareBound, Sweep};
use llmuses_observe::terminal;
use llmuses_render::report;
use llmuses_stats::{Probe, Search};
use std::time::{Duration, Instant};

/// A load to be run.
pub(super) struct NextLoad {
    pub(super) plan: Plan,
    /// What may end it.
    pub(super) watch: Box<dyn Watch>,
    /// How long nothing is sent before it.
    pub(super) cool_down: Duration,
}

/// Loads one after another.
pub(super) trait Loads {
    /// The next one. `None`: there is no more.
    fn next(&mut self) -> Option<NextLoad>;

    /// Takes in what a load gave.
    fn note(&mut self, result: &RunResult);

    /// Prints the end of all loads. `runs`: those that were carried out.
    fn tell(&self, outputs: &Outputs, runs: &[Run], all_failed: bool);
}

/// The loads of a sweep.
pub(super) struct SweepLoads<'a> {
    sweep: &'a Sweep,
    is_first: bool,
    plans: Box<dyn Iterator<Item = Plan> + 'a>,
}

impl<'a> SweepLoads<'a> {
    pub(super) fn of(sweep: &'a Sweep) -> Self {
        Self {
            sweep,
            is_first: true,
            plans: Box::new(sweep.plans()),
        }
    }
}

impl Loads for SweepLoads<'_> {
    fn next(&mut self) -> Option<NextLoad> {
        let plan = self.plans.next()?;
        Some(NextLoad {
            watch: Box::new(StopRules::of(&plan.load)),
            plan,
            cool_down: match std::mem::take(&mut self.is_first) {
                true => Duration::ZERO,
                false => self.sweep.cool_down,
            },
        })
    }

    fn note(&mut self, _: &RunResult) {}

    fn tell(&self, outputs: &Outputs, runs: &[Run], all_failed: bool) {
        let loads = &self.sweep.loads;
        if loads.len() < 2 || outputs.quiet {
            return;
        }
        let mut not_run = None;
        if runs.len() < loads.len() {
            let missing: Vec<String> = loads[runs.len()..]
                .iter()
                .map(|load| load.arrivals.name())
                .collect();
            let why = if all_failed {
                ", since every request before failed (--keep-going runs them all the same)"
            } else {
                ""
            };
            not_run = Some(format!("Not run: {}{why}.", missing.join(", ")));
        }
        outputs.show(|look| report::sweep_summary(runs, not_run.as_deref(), look));
    }
}

/// What a search is for.
#[derive(Debug, Clone)]
pub struct SearchPlan {
    /// What was asked for.
    pub asked: SearchRecord,
    /// The objectives.
    pub bounds: Vec<ShareBound>,
    /// How long nothing is sent between two probes.
    pub cool_down: Duration,
}

/// The probes of a search.
pub(super) struct SearchLoads<'a> {
    /// The first of its loads is that of every probe, but for what is varied.
    sweep: &'a Sweep,
    search: Search,
    plan: &'a SearchPlan,
    begun: Option<Instant>,
    probe: Option<Probe>,
    probes: u32,
    /// Whether any request of any probe succeeded.
    has_success: bool,
    /// What warns of a load. `None`: nothing, or it has warned of one.
    beyond: Option<Beyond>,
    /// Whether nothing succeeds, so that no load can be found.
    is_stopped: bool,
}

impl<'a> SearchLoads<'a> {
    pub(super) fn new(sweep: &'a Sweep, plan: &'a SearchPlan, beyond: Option<Beyond>) -> Self {
        Self {
            sweep,
            search: Search::new(plan.asked.clone()),
            plan,
            begun: None,
            probe: None,
            probes: 0,
            has_success: false,
            beyond,
            is_stopped: false,
        }
    }
}

impl SearchLoads<'_> {
    /// Warns of the first probe that is more than this machine is known to measure right.
    fn warn_of(&mut self, plan: &Plan) {
        if let Some(reason) = self.beyond.and_then(|beyond| beyond(plan, None)) {
            terminal::say(format!("warning: {reason}"));
            self.beyond = None;
        }
    }
}

impl Loads for SearchLoads<'_> {
    fn next(&mut self) -> Option<NextLoad> {
        let asked = &self.plan.asked;
        let begun = *self.begun.get_or_insert_with(Instant::now);
        let left = asked.time_limit_seconds - begun.elapsed().as_secs_f64();
        let cool_down = match self.probes {
            0 => Duration::ZERO,
            _ => self.plan.cool_down,
        };
        let time = left - cool_down.as_secs_f64();
        if time <= 0.0 || self.is_stopped {
            return None;
        }
        let probe = self.search.next()?;
        self.probe = Some(probe);
        let mut plan = self.sweep.plans().next()?;
        plan.load.arrivals = match asked.vary.as_str() {
            "parallel" => Arrivals::Closed {
                parallel: probe.load as usize,
            },
            _ => Arrivals::poisson(probe.load),
        };
        plan.load.duration = Some(Duration::from_secs_f64(asked.probe_limit_seconds.min(time)));
        // With the same one, every probe would have the same bursts.
        plan.load.seed = plan.load.seed.wrapping_add(u64::from(self.probes));
        self.probes += 1;
        self.warn_of(&plan);
        plan.place = RunPlace {
            run: self.probes,
            // Nobody knows how many there will be.
            runs: u32::MAX,
        };
        Some(NextLoad {
            watch: Box::new(ProbeWatch::new(probe, &self.plan.bounds, &plan.load)),
            plan,
            cool_down,
        })
    }

    fn note(&mut self, result: &RunResult) {
        let totals = result.record.totals.as_ref();
        let figures = totals.and_then(|totals| totals.probe.as_ref());
        if let Some(line) = report::probe_line(&result.record) {
            terminal::say(line);
        }
        let counts = totals.map(|totals| &totals.requests);
        self.has_success |= counts.is_some_and(|counts| counts.succeeded > 0);
        if !self.has_success && counts.is_some_and(|counts| counts.failed > 0) {
            terminal::say("error: the search is stopped: no request succeeded");
            self.is_stopped = true;
        }
        let outcome = figures.map_or(ObjectiveOutcome::NotDecided, |probe| probe.outcome);
        if let Some(probe) = self.probe.take() {
            self.search.note(probe, outcome);
        }
    }

    fn tell(&self, outputs: &Outputs, runs: &[Run], _: bool) {
        if let Some(search) = SearchFigures::of(runs) {
            outputs.show(|look| report::search_summary(&search, runs, look));
        }
    }
}

/// Waits, unless someone ends the program meanwhile.
pub(super) fn cool_down(time: Duration, interrupted: impl Fn() -> bool) {
    const NAP: Duration = Duration::from_millis(50);
    let began = Instant::now();
    while !interrupted() {
        let left = time.saturating_sub(began.elapsed());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(NAP));
    }
}
