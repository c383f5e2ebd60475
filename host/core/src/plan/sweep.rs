//! Loads one after another.

use super::{Limits, Load, Plan, Target, TransportSettings, Work};
use std::time::Duration;

/// The same work to the same target under one load after another; a single run is a sweep of one load.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Where requests go.
    pub target: Target,
    /// What is sent.
    pub work: Work,
    /// How it is sent.
    pub transport: TransportSettings,
    /// What may be used of this machine for it.
    pub limits: Limits,
    /// When it is sent, in the order of the runs. One at least.
    pub loads: Vec<Load>,
    /// How long nothing is sent between one and the next.
    pub cool_down: Duration,
}

impl Sweep {
    /// A plan for each load.
    pub fn plans(&self) -> impl Iterator<Item = Plan> {
        let runs = u32::try_from(self.loads.len()).unwrap_or(u32::MAX);
        (1..).zip(&self.loads).map(move |(run, load)| Plan {
            target: self.target.clone(),
            work: self.work.clone(),
            load: load.clone(),
            transport: self.transport.clone(),
            limits: self.limits,
            place: RunPlace { run, runs },
        })
    }
}

impl From<Plan> for Sweep {
    /// The sweep of that load alone.
    fn from(plan: Plan) -> Self {
        Self {
            target: plan.target,
            work: plan.work,
            transport: plan.transport,
            limits: plan.limits,
            loads: vec![plan.load],
            cool_down: Duration::ZERO,
        }
    }
}

/// Which run of its sweep a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunPlace {
    /// The number of the run, from 1; also its id in the database.
    pub run: u32,
    /// How many runs the sweep has; 1 where it is none.
    pub runs: u32,
}

impl Default for RunPlace {
    /// A run on its own.
    fn default() -> Self {
        Self { run: 1, runs: 1 }
    }
}
